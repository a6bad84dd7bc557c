/* SPDX-License-Identifier: MIT */
/*
 * share - what each account takes of the exit: its rate, its turn, its sockets
 *
 * Owner:    net.c. Context: the net process's one thread.
 * An account has SHARE_QUANTUM bytes a round. Who has had them waits until all others
 * that have something to do have had theirs, or have nothing more (deficit round robin):
 * so many connections bring no more than few. With a rate (exit.account_rate, each way)
 * it may be in debt by SHARE_BURST_MS, a byte being 1/rate seconds. Then its hosts'
 * sockets are not read, so TCP slows down without a loss; what it sends is dropped. Of
 * sockets an account may have as many as are left for all.
 * Until somebody says whose a node is, it has a share of its own.
 */
#ifndef NTM_SERVERS_EXIT_SHARE_H
#define NTM_SERVERS_EXIT_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define SHARE_QUANTUM	(256 * 1024)
#define SHARE_BURST_MS	250
#define SHARE_BURST_MIN 131072 /* bytes */
#define SHARE_DEBT_MS	2000   /* what comes in above this is dropped, too */

struct shares;
struct share;

/** @rate: bytes a second of each account, 0: any */
NTM_MUST_CHECK int shares_new(uint64_t rate, struct shares **out);
/** every share has been put */
void shares_free(struct shares *s);
/** @account: of the worker's numbers; 0: nobody's but this node's. NULL: no memory */
struct share *share_get(struct shares *s, uint32_t account);
void share_put(struct shares *s, struct share *h); /* NULL is fine */

bool share_is_of(const struct share *h, uint32_t account);
/** it has used up its day: nothing passes, either way */
void share_close(struct share *h, bool closed);
bool share_is_closed(const struct share *h);
/** may a packet of @bytes from its node pass? It is paid for */
bool share_up(struct shares *s, struct share *h, uint64_t now_ns, size_t bytes);
/** the same, of one for its node */
bool share_down(struct shares *s, struct share *h, uint64_t now_ns,
		size_t bytes);
/**
 * share_turn() - may its sockets be read now?
 * @wait_ms: if not: made less, to when it has paid; unchanged where it is the others'
 *           turn
 * @others:  if not: set when it waits for the others
 */
bool share_turn(struct shares *s, struct share *h, uint64_t now_ns,
		uint32_t *wait_ms, bool *others);
/** nobody else has anything to do */
void shares_round(struct shares *s);

/** sockets of its nodes */
unsigned int *share_sockets(struct share *h);

#endif
