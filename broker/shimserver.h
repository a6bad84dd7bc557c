/* SPDX-License-Identifier: MIT */
/*
 * shimserver - answers the shims: names, doorbells, UDP flows; writes the page
 *
 * Owner:    the worker. Context: loop thread.
 * Listens on broker.sock (kept in the keeper's fd store over restarts), checks
 * SO_PEERCRED, decodes, dispatches; limits requests in flight per process.
 * listener.c (doorbells), udpmap.c (wildcard UDP) and page.c stand behind it; names
 * are asked of struct shim_names, which resolve.c fills.
 */
#ifndef NTM_BROKER_SHIMSERVER_H
#define NTM_BROKER_SHIMSERVER_H

#include <stddef.h>
#include <stdint.h>

#include "broker/engine.h"
#include "broker/keeper_link.h"
#include "common/addr.h"
#include "common/err.h"
#include "common/loop.h"

struct shimserver;
struct shim_ticket; /* one held RESOLVE; answered exactly once */

/** struct shim_names - who knows names; all on the loop thread */
struct shim_names {
	/** start a look-up; answer now or later by shimserver_resolved() */
	void (*resolve)(void *arg, const char *name,
			struct shim_ticket *ticket);
	/** the program went away; drop the ticket without answering */
	void (*cancel)(void *arg, struct shim_ticket *ticket);
	/** name of a virtual address; NULL: unknown */
	const char *(*reverse)(void *arg, const struct addr *vip);
	/** a program asked for a name of @domain, which runs NTMobile and which nobody
	 *  has allowed */
	void (*hint)(void *arg, const char *domain);
	/** does a socket to a host that is no node go through the exit? As exit_ask() */
	int (*exit)(void *arg, unsigned int mode, const struct addr *dst);
	void *arg;
};

NTM_MUST_CHECK int shimserver_new(struct loop *l, struct keeper_link *k,
				  const struct shim_names *names,
				  struct shimserver **out);
void shimserver_free(struct shimserver *s);
/** our virtual addresses and the virtual ranges of all trusted domains, for the
 *  page; called at start and whenever they change, after keeper_configure().
 *  Return: 0, -NTM_ELIMIT (more than SHIM_RANGES_MAX ranges) */
NTM_MUST_CHECK int shimserver_configure(struct shimserver *s,
					const uint8_t vip6[static 16],
					const uint8_t vip4[static 4],
					const struct engine_config *ranges,
					size_t n_ranges);
/** @err: 0 or positive enum ntm_err; @vip6/@vip4: zero where absent */
void shimserver_resolved(struct shimserver *s, struct shim_ticket *ticket,
			 int err, const char *canonical,
			 const uint8_t vip6[static 16],
			 const uint8_t vip4[static 4]);

struct shim_stats {
	uint64_t requests, refused, doorbells, claimed, unclaimed, udp_flows,
		listeners, udp_servers;
};
void shimserver_stats(const struct shimserver *s, struct shim_stats *out);

#endif
