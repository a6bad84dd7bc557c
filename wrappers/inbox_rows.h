/* SPDX-License-Identifier: MIT */
/*
 * inbox_rows - all of the inbox as rows, for a table
 *
 * Owner:    the caller's storage. Context: short-lived programs.
 * Ten thousand items as trees of a library take longer to read than all else together.
 */
#ifndef NTM_WRAPPERS_INBOX_ROWS_H
#define NTM_WRAPPERS_INBOX_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define INBOX_ROWS_PAGE 1000 /* of ntm-post */

/** struct inbox_row - an item (docs/control.md, `brief`); texts are fit for a terminal, and
 *  borrowed from the list */
struct inbox_row {
	int64_t number, size;
	const char *from, *title, *message, *state, *text, *application;
};

/** struct inbox_rows - {NULL} is an empty list */
struct inbox_rows {
	struct inbox_row *row;
	size_t n, room;
	char **pages;
	size_t n_pages;
	bool logged_in;
};

/** one answer of it: taken, also where it is wrong.
 *  Return: how many it has, -NTM_EDECODE, -NTM_ENOMEM */
NTM_MUST_CHECK int inbox_rows_add(struct inbox_rows *l, char *answer);
void inbox_rows_clear(struct inbox_rows *l);

#endif
