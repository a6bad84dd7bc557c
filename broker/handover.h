/* SPDX-License-Identifier: MIT */
/*
 * handover - the host's addresses and routes: what they are, and when they change
 *
 * Owner:    worker_main.c. Context: loop thread. Netlink by libmnl; IPv6 addresses
 * that are tentative, and what link-local or loopback is, do not count.
 */
#ifndef NTM_BROKER_HANDOVER_H
#define NTM_BROKER_HANDOVER_H

#include "broker/worker.h"

#define HANDOVER_ADDRS_MAX 64

struct handover;

/** struct handover_addr - one address of one interface, for people */
struct handover_addr {
	char interface[32];
	struct addr addr;
};

/** @changed: called at the first event, and once more when what followed is over */
NTM_MUST_CHECK int handover_open(struct loop *l, loop_fn *changed, void *arg,
				 struct handover **out);
void handover_close(struct handover *h);
/** struct worker_env's route and locals; @ctx is the handover */
int handover_route(void *ctx, const struct addr *remote, struct addr *source,
		   unsigned int *mtu);
size_t handover_locals(void *ctx, struct addr *out, size_t max);
size_t handover_list(const struct handover *h, struct handover_addr *out,
		     size_t max);

#endif
