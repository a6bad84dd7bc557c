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

#endif
