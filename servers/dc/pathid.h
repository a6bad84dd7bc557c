/* SPDX-License-Identifier: MIT */
/*
 * pathid - Path IDs that say whose they are, to the DC that drew them
 *
 * A node names the Path ID of its tunnel when it has moved. Were it believed, a node
 * could name another pair's, and have a relay take other keys for that path. So 40 of
 * the 63 bits are a MAC of the other 23 and the pair; nothing is kept for it.
 * Owner: struct dc has the key, of the DC's own: it is the same after a restart.
 * Context: loop thread.
 */
#ifndef NTM_SERVERS_DC_PATHID_H
#define NTM_SERVERS_DC_PATHID_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "libntmcrypto/ntmcrypto.h"

struct dc;

/** @dir: data folder, whose dc/server.key it is derived from. Return: 0 or an error */
NTM_MUST_CHECK int pathid_key(const char *dir, struct ntmc_key *out);
/** of the nodes @a and @b (first 8 bytes of their fingerprints), in any order, and of
 *  @random, whose low bits are not used. Bit 0 is clear */
uint64_t pathid_make(const struct dc *dc, uint64_t random, uint64_t a,
		     uint64_t b);
/** was @id, either end's, made for these two? */
bool pathid_is_of(const struct dc *dc, uint64_t id, uint64_t a, uint64_t b);

#endif
