/* SPDX-License-Identifier: MIT */
/*
 * tlshello - which protocol a TLS client asks for, before anybody answers it
 *
 * One port serves three: a relay's gate, and by it the Account Server and the GMS, whose
 * TLS is the node's affair and no gate's. The client's first record says which (ALPN, RFC 7301).
 * Context: any; strangers' bytes.
 */
#ifndef NTM_COMMON_TLSHELLO_H
#define NTM_COMMON_TLSHELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLSHELLO_AS   "ntm-as/1"
#define TLSHELLO_GMS  "ntm-gms/1"
#define TLSHELLO_PEEK 2048 /* enough for a hello of ours */

/** does this record, as far as it is there, ask for @protocol first? A hello that is
 *  cut off, or none, asks for nothing */
bool tlshello_asks(const uint8_t *data, size_t len, const char *protocol);

#endif
