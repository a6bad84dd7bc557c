/* SPDX-License-Identifier: MIT */
/*
 * resolve - names to peers: held look-ups, remembered addresses
 *
 * Owner:    the worker. Context: loop thread. A look-up is answered when the tunnel
 * works: at once where it does, within CONNECT_LIMIT_MS in any case.
 */
#ifndef NTM_BROKER_RESOLVE_H
#define NTM_BROKER_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/worker.h"
#include "common/fqdn.h"

#define RESOLVE_QUERIES_MAX 256	 /* names looked up at one time */
#define RESOLVE_WAITERS_MAX 4096 /* programs waiting, all names together */

struct peer;
struct resolve;
struct resolve_wait;

/** @err: 0 or positive enum ntm_err; @p: the peer, UP, on 0 */
typedef void resolve_fn(void *arg, int err, struct peer *p);

NTM_MUST_CHECK int resolve_new(struct worker *w, struct resolve **out);
/** answers all with NTM_EAGAIN */
void resolve_free(struct resolve *r);
/** is it a name of nodes (own domain, not a server's name)? @out: normalized */
bool resolve_is_ours(const struct worker *w, const char *name,
		     char out[static FQDN_MAX + 1]);
/**
 * resolve_typed() - what a person may mean by @text: a name of the domain, or one
 * without it: DEVICE.ACCOUNT, a DEVICE of our account, ACCOUNT
 * @i:   0 for the likeliest; 1 when nobody is called that; known ones come first
 * @out: normalized
 * Return: false: that is all
 */
bool resolve_typed(const struct worker *w, const char *text, unsigned int i,
		   char out[static FQDN_MAX + 1]);
/** the device that account.domain @name led to; @name itself where that is unknown */
const char *resolve_device(const struct resolve *r, const char *name);
/**
 * resolve_name() - the peer behind a name, its tunnel working
 * @name: any form; coalesced with others asking the same
 * @out:  for resolve_cancel(); NULL when it was answered inside the call
 *
 * @fn is called exactly once unless cancelled, possibly inside the call.
 */
void resolve_name(struct resolve *r, const char *name, resolve_fn *fn,
		  void *arg, struct resolve_wait **out);
void resolve_cancel(struct resolve_wait *wait);
/** the peer's state changed */
void resolve_peer_changed(struct resolve *r, struct peer *p);
/** the peer is being freed */
void resolve_peer_gone(struct resolve *r, struct peer *p);
/** the CA of a domain came, or there is none */
void resolve_domain_changed(struct resolve *r);
/** datapath's no_tunnel: a packet to a virtual address without tunnel. true: the
 *  peer is remembered, a tunnel exists now and is being connected */
bool resolve_packet(struct resolve *r, const struct addr *dst);
/** canonical name of a virtual address; NULL: unknown. Valid until the next call */
const char *resolve_reverse(struct resolve *r, const struct addr *vip);

#endif
