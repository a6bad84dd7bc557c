/* SPDX-License-Identifier: MIT */
/*
 * state - the NS's own data, shared by the files of this folder
 *
 * Owner: ns.c makes and frees it. Context: loop thread.
 *
 *   ns.c      start, stop, accept, clock, admin
 *   guests.c  nodes' connections: greeting, registration, keep-alive, notification
 *   link.c    the DCs: their keys, what they ask
 */
#ifndef NTM_SERVERS_NS_STATE_H
#define NTM_SERVERS_NS_STATE_H

#include "common/frame.h"
#include "servers/dc/chain.h"
#include "servers/dc/index.h"
#include "servers/dcchannel.h"
#include "servers/keyhash.h"
#include "servers/ns/ns.h"
#include "servers/servercert.h"

#define NS_LINKS_MAX	SERVERCONF_ADDRESSES_MAX
#define NS_REGISTER_S	10   /* from the connection to its registration */
#define NS_ANSWER_S	15   /* a keep-alive unanswered: the node is gone */
#define NS_STRANGERS	2048 /* connections that have not registered yet */
#define NS_STRANGERS_IP 64   /* of those, from one /24 or /56, or of its hash */
#define NS_BUCKETS	4096
#define NS_CALLS_S	1000 /* nodes told in a second that the DC is another */
#define NS_SLICES	10   /* in which all are looked at, within a second */
#define NS_FRAMES_S	32   /* that a node may say in a second */
#define NS_DROPPED	1024 /* Node IDs that may not come again */

struct ns_link;

/**
 * enum guest_state - a node's connection
 * @GUEST_FREE:    the place is not in use
 * @GUEST_NEW:     greeted, its registration is awaited. Leaves by: it, the clock,
 *                 younger strangers
 * @GUEST_HERE:    registered.                           Leaves by: the clock, a word
 * @GUEST_ASKED:   its answer to us is awaited.          Leaves by: it, the clock
 */
enum guest_state { GUEST_FREE, GUEST_NEW, GUEST_HERE, GUEST_ASKED };

/** struct guest - @part: of a frame, while it is incomplete; else NULL */
struct guest {
	uint32_t slab_link;
	struct chain_link order; /* of the strangers, by the time they came */
	uint32_t handle;
	struct ns *ns;
	struct loop_io *io;
	int fd;
	uint64_t node_id;
	struct ntmc_key up, down;
	uint32_t rx, tx; /* counters */
	uint32_t due_s;
	uint16_t interval_s, part_len, bucket;
	uint8_t state, aead, link;
	uint8_t said; /* frames in this second */
	bool to_call; /* the DC has another key: it must register */
	uint8_t *part;
	uint8_t greeting[FRAME_GREETING_LEN];
};

struct ns_stats {
	uint64_t accepted, refused, evicted, registered, unknown, bad, silent;
	uint64_t notified, absent, keepalives, dropped;
};

struct ns {
	const struct role_env *env;
	struct loop *loop;
	const struct server_conf *conf;
	struct servercert cert, cert_before;
	struct slab guests;
	struct index by_node;
	struct keyhash hash;
	unsigned int n_new, n_here;
	unsigned int room, strangers_max; /* as descriptors allow */
	struct chain waiting;		  /* the strangers, the oldest first */
	uint16_t strangers[NS_BUCKETS];
	uint64_t dropped[NS_DROPPED];
	unsigned int n_dropped, slice;
	struct acceptor *acceptor;
	struct loop_timer *clock;
	uint32_t start_s, look_s;
	struct ns_link *links[NS_LINKS_MAX];
	unsigned int n_links;
	struct ns_stats stats;
	struct loop_task destroy;
};

/** monotonic seconds since the start, from 1 */
static inline uint32_t ns_now_s(struct ns *ns)
{
	return (uint32_t)(loop_now(ns->loop) / 1000000000u) - ns->start_s + 1;
}

/* ns.c */
/** is there a newer certificate on disk? then it is taken; old ones are renewed */
void ns_look_at_certificate(struct ns *ns);

/* guests.c */
NTM_MUST_CHECK int guests_init(struct ns *ns);
void guests_clear(struct ns *ns);
/** @fd: taken over, or closed */
void guest_new(struct ns *ns, int fd, const struct addr *from);
/** NS_SLICES times a second: every NS_SLICES-th of them, others each time */
void guests_sweep(struct ns *ns);
/** Return: 0, -NTM_EOFFLINE */
NTM_MUST_CHECK int guest_notify(struct ns *ns, unsigned int link,
				uint64_t node_id);
/** its connection ends, and it may not come again under that Node ID */
void guest_drop(struct ns *ns, unsigned int link, uint64_t node_id);
/** all of that link are told to register, NS_CALLS_S a second */
void guests_call(struct ns *ns, unsigned int link);

/* link.c */
NTM_MUST_CHECK int ns_link_new(struct ns *ns, unsigned int number,
			       const struct server_ways *dc,
			       struct ns_link **out);
void ns_link_free(struct ns_link *l);
/** ns->cert is another one */
void ns_link_certificate(struct ns_link *l);
/** ask for another certificate, if half of its life is over */
void ns_link_renew(struct ns_link *l);
bool ns_link_is_up(const struct ns_link *l);
/** Kntmns of a node under key @key_id, of whichever DC. Return: 0, -NTM_ENOTFOUND */
NTM_MUST_CHECK int ns_link_key(struct ns *ns, uint64_t key_id, uint64_t node_id,
			       struct ntmc_key *kntmns, uint8_t *aead,
			       uint8_t *link);

#endif
