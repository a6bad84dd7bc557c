/* SPDX-License-Identifier: MIT */
/*
 * ways - where a GMS of another domain is, as text: ADDRESS:PORT|ADDRESS:PORT
 *
 * Owner: none. Context: loop thread; no state.
 */
#ifndef NTM_BROKER_MEMBER_WAYS_H
#define NTM_BROKER_MEMBER_WAYS_H

#include <stddef.h>

#include "common/addr.h"
#include "libntmcrypto/groupinvite.h"

#define WAYS_MAX   8
#define WAYS_FIRST 4 /* of those that are known, which stay in front */

/** Return: how many are in @out; what is no address with a port is left out */
size_t ways_read(const char *text, struct addr out[static WAYS_MAX]);
/** as many as there is room for; none: "" */
void ways_write(const struct addr *list, size_t n,
		char out[static GROUP_WAYS_MAX + 1]);
/**
 * ways_learn() - an invitation names @heard of a GMS of which @known ("": nothing) is known
 *
 * All are tried in turn. Whoever invites may lie about where a server is, so the first
 * WAYS_FIRST of @known stay; as it may also have moved, @heard comes before the others.
 */
void ways_learn(const char *known, const char *heard,
		char out[static GROUP_WAYS_MAX + 1]);

#endif
