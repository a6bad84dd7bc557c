/* SPDX-License-Identifier: MIT */
/*
 * notify - Notification Servers: their links and keys, and nodes told to come
 *
 * Owner:   struct dc. Context: loop thread. Nothing is kept for a node but which NS it
 *          was given: its key is derived (docs/protocol.md, Notification).
 */
#ifndef NTM_SERVERS_DC_NOTIFY_H
#define NTM_SERVERS_DC_NOTIFY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/channel.h"
#include "common/datagram.h"
#include "servers/dc/nodes.h"

#define NOTIFIERS_MAX	       16
#define NOTIFIER_ADDRESSES_MAX 4
#define NOTIFIER_KEY_S	       86400 /* life of Kdcns, renewed at half */
#define NOTIFIER_FORGET_S      600   /* without link */
#define NOTIFIER_NEWS_S	       60 /* nodes hear of one again, at most so often */

struct dc;

/** struct notifier - @number: index + 1; 0: the place is not in use */
struct notifier {
	uint8_t number;
	uint8_t fp[NTMC_FP_LEN];
	struct channel *channel; /* NULL: none now */
	uint64_t gone;		 /* since then */
	uint64_t key_id, renew;	 /* loop_now() */
	struct ntmc_key key;	 /* Kdcns */
	struct addr addrs[NOTIFIER_ADDRESSES_MAX];
	uint8_t n_addrs;
	uint32_t nodes, room;
	uint64_t told; /* nodes, of it, loop_now(); 0: never */
	bool news;     /* they are to be told again, when it is time */
};

struct notify {
	struct notifier list[NOTIFIERS_MAX];
	uint32_t txn;
	uint64_t sent, absent, dropped;
};

/** struct notify_server - room for what a node is told of its NS */
struct notify_server {
	Ntm__NotificationServer msg;
	Ntm__Address a[NOTIFIER_ADDRESSES_MAX], *list[NOTIFIER_ADDRESSES_MAX];
	uint8_t ip[NOTIFIER_ADDRESSES_MAX][16];
	struct ntmc_key key;
};

NTM_MUST_CHECK int notify_new(struct notify **out);
void notify_free(struct notify *n);

/** @c: its certificate has the role NS; a key is shared at once */
void notify_link_open(struct dc *dc, struct channel *c);
/** Return: false when @c is no NS's */
bool notify_link_message(struct dc *dc, struct channel *c,
			 const Ntm__Envelope *msg);
bool notify_link_closed(struct dc *dc, struct channel *c, int err);
/** once a second: renew keys, forget who has gone. @now: of loop_now() */
void notify_sweep(struct dc *dc, uint64_t now);

/** is there one for nodes? */
bool notify_usable(const struct dc *dc);
/** an NS for @n: the one it has, or that with most room. @out: wiped by the caller.
 *  Return: false: there is none */
bool notify_fill(struct dc *dc, struct node *n, uint64_t node_id,
		 struct notify_server *out);
/** tell the node, by its NS, that something waits for it here. @direction: whose; where
 *  it is not there that hears of it (direction_absent()); 0: nobody */
void notify_node(struct dc *dc, const struct node *n, uint32_t direction);
/** a session is over: its connection ends, too, at whichever NS it is */
void notify_drop(struct dc *dc, uint64_t node_id);
/** the same, and nodes_drop_session() */
void notify_end_session(struct dc *dc, uint32_t session);
/** those that an administrator took back end. Return: how many */
unsigned int notify_end_removed(struct dc *dc);
/** new reference: an array */
json_t *notify_admin(struct dc *dc);

#endif
