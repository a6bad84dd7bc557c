/* SPDX-License-Identifier: MIT */
/*
 * udpmap - wildcard UDP sockets of programs, reachable on the virtual addresses
 *
 * Owner:    the shim server. Context: worker's loop thread.
 * udpmap.c keeps servers and flows, udpmove.c carries the datagrams.
 */
#ifndef NTM_BROKER_UDPMAP_H
#define NTM_BROKER_UDPMAP_H

#include "broker/keeper_link.h"
#include "broker/page.h"
#include "broker/shimserver.h"
#include "common/loop.h"
#include "preload/shimproto.h"

#define UDP_SERVERS_MAX	   1024
#define UDP_FLOWS_PER_PEER 1024 /* of one peer's address */
#define UDP_IDLE_S	   180	/* then a flow is forgotten */
#define UDP_REST_S	   30	/* until its number is used again */

struct udpmap;

NTM_MUST_CHECK int udpmap_new(struct loop *l, struct keeper_link *k,
			      struct page *page, struct shim_stats *stats,
			      struct udpmap **out);
void udpmap_free(struct udpmap *u);

/** as listeners_restore_fd() and _blob(); then, in any case, udpmap_restored() takes
 *  the page's flows over. Return: 0, -NTM_ESYSTEM (no host socket) */
bool udpmap_restore_fd(struct udpmap *u, const char *key, int fd);
bool udpmap_restore_blob(struct udpmap *u, const char *key, const void *data,
			 size_t len);
NTM_MUST_CHECK int udpmap_restored(struct udpmap *u);

/** the addresses servers are bound to inside; zero: none */
void udpmap_configure(struct udpmap *u, const uint8_t vip6[static 16],
		      const uint8_t vip4[static 4]);
/**
 * udpmap_announce() - UDPBIND
 * Return: 0, -NTM_EPERM (no such wildcard socket of ours), -NTM_EEXISTS, -NTM_ELIMIT,
 *         -NTM_ESYSTEM
 */
NTM_MUST_CHECK int udpmap_announce(struct udpmap *u,
				   const struct shim_request *req);
/**
 * udpmap_alias() - UDPALIAS, both directions
 * @virtual: the request's @remote is a virtual address
 * Return: 0, -NTM_ENOTFOUND (not announced; no such flow), -NTM_ELIMIT
 */
NTM_MUST_CHECK int udpmap_alias(struct udpmap *u,
				const struct shim_request *req, bool is_virtual,
				struct shim_addr *out);

#endif
