/* SPDX-License-Identifier: MIT */
/*
 * vectors - docs/vectors.txt: every message and datagram, with fixed keys
 *
 * For whoever writes the protocol a second time: docs/protocol.md in bytes.
 */
#ifndef NTM_TESTS_VECTORS_VECTORS_H
#define NTM_TESTS_VECTORS_VECTORS_H

#include <stdio.h>

/** write them all; the same bytes each time */
void vectors_write(FILE *out);

/** one line, "name: " and hexadecimal */
typedef void vectors_hex_fn(FILE *out, const char *name, const void *data,
			    size_t len);
void vectors_write_items(FILE *out, vectors_hex_fn *hex);
void vectors_write_groups(FILE *out, vectors_hex_fn *hex);

#endif
