/* SPDX-License-Identifier: MIT */
/*
 * pairs - who was directed to whom in the last day, for withdrawals
 *
 * Owner:   struct dc. Context: loop thread.
 * A ring of PAIRS_MAX entries; each node's newest entry is node.last_pair, each
 * entry names the one before of both its nodes. An entry that was overwritten is
 * older than the ring's tail, which ends every walk: nothing is ever unlinked.
 */
#ifndef NTM_SERVERS_DC_PAIRS_H
#define NTM_SERVERS_DC_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "servers/dc/nodes.h"

#define PAIRS_MAX   (1u << 20)
#define PAIRS_DAY_S 86400

struct pairs {
	struct pair *ring;
	uint64_t next;	 /* sequence number of the next entry; first is 1 */
	uint32_t lost_s; /* when an entry of the last day was overwritten + 1 */
};

NTM_MUST_CHECK int pairs_init(struct pairs *p);
void pairs_clear(struct pairs *p);
/** @now_s: monotonic seconds */
void pairs_add(struct pairs *p, struct nodes *n, uint32_t a, uint32_t b,
	       uint32_t now_s);
typedef void pairs_fn(void *arg, uint32_t other);
/** whoever was directed to or from @node; some may come twice */
void pairs_each(const struct pairs *p, const struct nodes *n, uint32_t node,
		uint32_t now_s, pairs_fn *fn, void *arg);
/** were entries of the last day overwritten? */
bool pairs_incomplete(const struct pairs *p, uint32_t now_s);

#endif
