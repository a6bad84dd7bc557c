/* SPDX-License-Identifier: MIT */
/*
 * plain - text that others chose, made fit for a terminal
 *
 * Context: any; no state. Control characters (of ASCII, of the upper half, DEL), those
 * that turn the direction of writing, line and paragraph separators, and bytes that are
 * no UTF-8 become '?': nothing moves the cursor, hides or reorders what a person reads.
 */
#ifndef NTM_COMMON_PLAIN_H
#define NTM_COMMON_PLAIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/** is there nothing in @text that would become '?' */
bool plain_ok(const char *text);

/** columns that @text takes on a terminal: wide characters two, combining ones none */
size_t plain_columns(const char *text);

/**
 * plain_text() - @in, plain
 * @out: @size bytes (at least 1), terminated; never longer than @in, and cut between
 *       two characters where it does not fit. May be @in itself.
 * Return: @out
 */
char *plain_text(const char *in, char *out, size_t size);

/**
 * plain_fit() - @in, plain, in at most @columns columns
 *
 * What is too long loses its middle to an ellipsis: beginnings and endings of file
 * names tell most. @out as for plain_text(), but up to 3 bytes longer than @in.
 * Return: @out
 */
char *plain_fit(const char *in, size_t columns, char *out, size_t size);

/** all texts in @j, but members called @but (may be NULL), in place */
void plain_json(json_t *j, const char *but);

#endif
