/* SPDX-License-Identifier: MIT */
/*
 * oldstore - a store as an older version of its program left it
 *
 * Owner: the test program. The first steps of a schema make it, rows are written by SQL
 * as that version had written them; then the test opens it with the present code.
 */
#ifndef NTM_TESTS_UNIT_COMMON_OLDSTORE_H
#define NTM_TESTS_UNIT_COMMON_OLDSTORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/** struct oldstore_row - what versions of @from steps and more had done */
struct oldstore_row {
	size_t from;
	const char *sql;
};

/** the store's file, post.db in a folder of its own; setup and teardown of one test */
extern char oldstore_folder[64], oldstore_path[80];
int oldstore_setup(void **state);
int oldstore_teardown(void **state);

/** a new one, in place of what was there: @k steps, and the rows of that version in
 *  their order, up to one without sql */
void oldstore_make(const char *const *schema, size_t k,
		   const struct oldstore_row *rows);
/** there is none */
void oldstore_remove(void);
/** one that the present code has made and filled becomes as it was at @k steps: @undo
 *  takes back what later ones have made */
void oldstore_back(size_t k, const char *undo);
/** the first column of the first row; nobody has the store open */
int64_t oldstore_number(const char *sql);
/** the steps are those that have landed, which never change: stores have run them.
 *  @pins: of each step the first 16 digits of its SHA-256; up to NULL */
void oldstore_pinned(const char *const *schema, size_t n,
		     const char *const *pins);

#endif
