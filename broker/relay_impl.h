/* SPDX-License-Identifier: MIT */
/*
 * relay_impl - the relays' own data, shared by their files
 *
 * Owner:    relay.c makes and frees it. Context: loop thread.
 * Files:    relay.c has the list and the rounds of probes, relay_seen.c what they show
 *           (it reads alone), relay_told.c what the DC was told of it.
 */
#ifndef NTM_BROKER_RELAY_IMPL_H
#define NTM_BROKER_RELAY_IMPL_H

#include "broker/relay.h"

struct relays {
	struct worker *w;
	struct relay list[RELAYS_MAX];
	size_t n;
	uint64_t round_ns;   /* of the last one; 0 never */
	bool running, other; /* ask for answers from the other port, too */
	bool asking;	     /* the DC, for its list */
	struct relays_wait *waits;
	unsigned int tries;
	struct addr dc_observed; /* at the last round */
	uint64_t heard_ns;	 /* an answer by UDP; 0 never */
	struct loop_timer *timer;
	uint32_t refresh; /* request under way; 0 none */

	uint64_t told_id[RELAYS_MAX], told_rtt_ns[RELAYS_MAX];
	size_t n_told;
	Ntm__NatMapping told_mapping;
	bool told_unasked;
};

/* --- relay_told.c ------------------------------------------------------------- */

/** tells the DC what is another now than it was told */
void relays_refresh(struct relays *rs);

#endif
