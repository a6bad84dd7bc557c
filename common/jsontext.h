/* SPDX-License-Identifier: MIT */
/*
 * jsontext - JSON written as it goes, where trees of a library would be too slow
 *
 * Owner:    the caller's storage. Context: any thread; no state beyond it.
 * After an allocation that failed nothing is added any more, and jsontext_take() says so.
 */
#ifndef NTM_COMMON_JSONTEXT_H
#define NTM_COMMON_JSONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct jsontext - {NULL} is an empty one; @p is terminated once there is something */
struct jsontext {
	char *p;
	size_t len, room;
	bool bad;
};

/** as it is */
void jsontext_put(struct jsontext *t, const char *text);
void jsontext_number(struct jsontext *t, int64_t v);
/** a string, quoted. Control characters are escaped; a byte that is no UTF-8 becomes '?' */
void jsontext_string(struct jsontext *t, const char *text);
/** Return: malloc()ed, the caller's; NULL: there was no memory. @t is empty then */
char *jsontext_take(struct jsontext *t);

#endif
