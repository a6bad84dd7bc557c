/* SPDX-License-Identifier: MIT */
/*
 * jsonread - JSON read where it lies, where trees of a library would be too slow
 *
 * Owner:    the caller's storage, and the caller's text: strings are decoded in their own
 *           place, so they live as long as it does. Context: any; no state beyond it.
 * It is read from its beginning to its end, each value by what it should be. After the
 * first that is something else all of them are empty, and jsonread_end() says so.
 */
#ifndef NTM_COMMON_JSONREAD_H
#define NTM_COMMON_JSONREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jsonread {
	char *at;
	bool bad;
};

/** @text: terminated */
void jsonread_begin(struct jsonread *r, char *text);
/** is there one more in this array? *@n: 0 at first, then how many there are so far. Each
 *  must be read, or skipped */
bool jsonread_element(struct jsonread *r, size_t *n);
/** the same of an object: the member's name; NULL: there is none */
const char *jsonread_member(struct jsonread *r, size_t *n);
/** bytes without NUL; whether they are UTF-8 nobody looks */
char *jsonread_string(struct jsonread *r);
/** a whole one */
int64_t jsonread_number(struct jsonread *r);
bool jsonread_bool(struct jsonread *r);
/** whatever it is; nobody looks closely */
void jsonread_skip(struct jsonread *r);
/** Return: true: it was well, and nothing is left */
bool jsonread_end(struct jsonread *r);

#endif
