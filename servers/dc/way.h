/* SPDX-License-Identifier: MIT */
/*
 * way - how MN and CN are to meet: Path ID, keys, who sends, through which relay
 *
 * Owner:   by value in its direction (direction.c, abroad.c), which wipes it; what all
 *          ways share is struct ways, of struct dc.
 * Context: loop thread. Nothing is allocated for a way.
 */
#ifndef NTM_SERVERS_DC_WAY_H
#define NTM_SERVERS_DC_WAY_H

#include "servers/dc/reach.h"
#include "servers/dc/state.h"

/* whose agreement is awaited */
#define WAY_CN 1
#define WAY_RS 2

/** struct way - zeroed, then way_start(), a Path ID, way_choose() */
struct way {
	uint64_t path_id;
	struct ntmc_key ktun, ktmp;
	uint16_t relay, not_relay; /* the one it has, and had; 0 none */
	uint8_t aead, reason, waits, relay_tries;
	bool swapped; /* MN is the path's end 1: it has asked before, as CN */
	bool cn_sends;
};

/** struct way_told - a Route Direction being made; borrows from its way and relay */
struct way_told {
	Ntm__RouteDirection msg;
	struct reach_relay relay;
};

/** struct way_end - a node of ours as a relay is told of it; borrows from the node */
struct way_end {
	Ntm__RelayEnd msg;
	struct fqdn_parts parts;
};

NTM_MUST_CHECK int ways_new(struct ways **out);
void ways_free(struct ways *ws);

/** Ktun and Ktmp are drawn */
void way_start(struct dc *dc, struct way *w, uint32_t reason);
/** @mn_aead: what MN asked for, @cn_aead: what CN can */
void way_take_aead(struct way *w, uint32_t mn_aead, uint32_t cn_aead);
/** another Path ID, for the nodes with these fp8; MN is its end 0 */
void way_draw_path(struct dc *dc, struct way *w, uint64_t mn, uint64_t cn);
/** other keys: an answer to the ones before is none to these */
void way_draw_ktun(struct dc *dc, struct way *w);
/** who sends, and through a relay or not; sets whose agreement is awaited */
void way_choose(struct dc *dc, struct way *w, const struct node *mn,
		const struct node *cn);
/**
 * way_choose_again() - its relay will not have it
 * @mn, @cn: NULL: gone
 *
 * Return: true: there is another one, and both are to be asked anew; false: the direct
 *         way is left
 */
bool way_choose_again(struct dc *dc, struct way *w, const struct node *mn,
		      const struct node *cn);
/** its relay has said nothing */
void way_relay_silent(struct dc *dc, const struct way *w);
/** for MN (@to_mn) or CN, without a peer */
void way_tell(struct dc *dc, const struct way *w, bool to_mn,
	      struct way_told *out);
void way_end_fill(struct dc *dc, const struct node *n, struct way_end *out);
/** Relay Direction. Return: false: there is no such relay any more */
bool way_direct_relay(struct dc *dc, const struct way *w, uint32_t txn,
		      Ntm__RelayEnd *mn, Ntm__RelayEnd *cn);
/** MN is told the way, or why not (@err): it is counted, and its relay remembered */
void way_settled(struct dc *dc, const struct way *w, uint64_t mn, uint64_t cn,
		 int err);

#endif
