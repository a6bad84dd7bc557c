/* SPDX-License-Identifier: MIT */
/*
 * listener - wildcard TCP listeners of programs, reachable on the virtual address
 *
 * Owner:    the shim server. Context: worker's loop thread.
 * For each announced listener of the host one of the same family, V6ONLY and port
 * in the namespace; what it accepts is offered to the program by a doorbell.
 */
#ifndef NTM_BROKER_LISTENER_H
#define NTM_BROKER_LISTENER_H

#include "broker/keeper_link.h"
#include "broker/shimserver.h"
#include "common/loop.h"
#include "preload/shimproto.h"

#define LISTENERS_MAX	       1024 /* ports; KEEPER_FDS_MAX holds them all */
#define DOORBELLS_MAX	       1024 /* two descriptors each */
#define DOORBELLS_PER_LISTENER 64   /* the rest waits in the kernel's queue */
#define DOORBELLS_PER_SOURCE   256  /* of one peer, over all listeners */

struct listeners;

/** @stats: counters to be kept; borrowed */
NTM_MUST_CHECK int listeners_new(struct loop *l, struct keeper_link *k,
				 struct shim_stats *stats,
				 struct listeners **out);
void listeners_free(struct listeners *ls);

/** what an earlier worker left in the keeper's stores. true: it was ours; the
 *  descriptor then belongs to the listeners. Descriptors come before blobs. */
bool listeners_restore_fd(struct listeners *ls, const char *key, int fd);
bool listeners_restore_blob(struct listeners *ls, const char *key,
			    const void *data, size_t len);

/**
 * listeners_announce() - LISTEN
 * Return: 0, -NTM_EPERM (no such wildcard listener of ours), -NTM_EEXISTS (the port is
 *         taken inside), -NTM_ELIMIT, -NTM_ESYSTEM
 */
NTM_MUST_CHECK int listeners_announce(struct listeners *ls,
				      const struct shim_request *req);
/**
 * listeners_claim() - CLAIM: exchange a doorbell for its connection
 * @fd:   the caller's; close it after it was sent
 * @bell: likewise, by doorbell_reset(): the program copies options from its end first
 * @peer: who connected
 * Return: 0, -NTM_ENOTFOUND: no doorbell of ours
 */
NTM_MUST_CHECK int listeners_claim(struct listeners *ls,
				   const struct shim_request *req, int *fd,
				   int *bell, struct shim_addr *peer);
/** closes without TIME_WAIT */
void doorbell_reset(int bell);

#endif
