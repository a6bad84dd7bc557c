/* SPDX-License-Identifier: MIT */
/*
 * announced - the programs' sockets on one wildcard port, as their shims named them
 *
 * Owner:    a listener or UDP server, by value. Context: worker's loop thread.
 * A socket is known by its inode, which the kernel vouches for (sockdiag.h): a name
 * that another program could take by binding the same port is not enough.
 */
#ifndef NTM_BROKER_ANNOUNCED_H
#define NTM_BROKER_ANNOUNCED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/sockdiag.h"
#include "preload/shimproto.h"

#define ANNOUNCED_MAX 64 /* SO_REUSEPORT sockets on one port */

/** struct announced - @seen: in the sweep under way */
struct announced {
	uint64_t inode[ANNOUNCED_MAX];
	bool seen[ANNOUNCED_MAX];
	size_t n;
};

/**
 * announced_check() - is there a socket as @req says: ours, wildcard, on that port?
 * @protocol: IPPROTO_TCP or IPPROTO_UDP
 *
 * Return: 0, -NTM_EPERM, -NTM_ESYSTEM
 */
NTM_MUST_CHECK int announced_check(struct sockdiag *d, int protocol,
				   const struct shim_request *req);
bool announced_has(const struct announced *a, uint64_t inode);
/** false: full; once is enough */
bool announced_add(struct announced *a, uint64_t inode);
/** as kept in a blob, @len bytes. false: too many; nothing is changed */
bool announced_set(struct announced *a, const void *inodes, size_t len);

/* A sweep: unsee all, see what sockdiag_each() reports, keep what was seen. */
void announced_unsee(struct announced *a);
/** @info: of the port that @a is for */
void announced_see(struct announced *a, const struct sockdiag_info *info);
/** forget what was not seen, unless that is all of them. Return: any was seen
 *  @changed: some are forgotten */
bool announced_keep_seen(struct announced *a, bool *changed);

#endif
