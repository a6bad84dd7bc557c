/* SPDX-License-Identifier: MIT */
/*
 * state - the DC's own data, shared by the files of this folder
 *
 * Owner: dc.c makes and frees it. Context: loop thread.
 *
 *   dc.c         start, stop, sweep of what expired
 *   signal.c     datagrams of nodes: opened, handed on, sealed; keep-alives
 *   registration.c where a node is, proven
 *   mapping.c    how long a node's NAT bears silence: cookies, and what they allow
 *   direction.c  Direction Requests until they are answered
 *   direction_find.c which node a name means
 *   way.c        how the two are to meet, which direction.c and abroad.c tell them
 *   withdraw.c   withdrawals until they are acknowledged
 *   nodeinfo.c   what one node is told of another
 *   reach.c      whether nodes reach each other, and through which relay
 *   relays.c     the Relay Servers; relaysignal.c, relaywithdraw.c
 *   wake.c       nodes told to come: by their NS, or a push
 *   notify.c     the Notification Servers
 *   groupdirect.c the GMSs: which relay replicates a group's packets
 *   serverlink.c channels of servers, by their roles
 *   aslink.c     what the AS says
 *   passon.c     certificates of servers that are away from the AS
 *   boxlink.c    the box, and what nodes are told of it
 *   courier.c    what boxes of two domains ask each other
 *   domains.c    other domains' DCs; kdcdc.c, inbound.c, finder.c, peersfile.c,
 *                abroad.c, guest.c
 */
#ifndef NTM_SERVERS_DC_STATE_H
#define NTM_SERVERS_DC_STATE_H

#include "common/channel.h"
#include "common/datagram.h"
#include "servers/dc/chain.h"
#include "servers/dc/dc.h"
#include "servers/dc/journal.h"
#include "servers/dc/nodes.h"
#include "servers/dc/notify.h"
#include "servers/dc/pairs.h"
#include "servers/dc/passon.h"
#include "servers/dc/relays.h"
#include "servers/dc/udp.h"
#include "servers/servercert.h"

#define DC_ARENA_SIZE	  16384
#define DC_OFFLINE_AFTER  3 /* keep-alive intervals */
#define DC_CHALLENGE_LEN  16
#define DC_CHALLENGE_S	  30
#define DC_SESSION_MAX_S  (31 * 86400) /* and its certificate */
#define DC_NODE_ADDRESSES 8

struct abroad;
struct ask;
struct boxlink;
struct courier;
struct directions;
struct domains;
struct finder;
struct groupdirect;
struct guests;
struct withdrawals;
struct aslink;
struct ways;

struct dc_revocation {
	uint64_t serial;
	int64_t at;
	uint8_t fp[NTMC_FP_LEN];
};

struct dc_stats {
	uint64_t keepalives, registrations, directions, directions_refused;
	uint64_t directions_relayed, pushes;
	uint64_t
		foreign_paths; /* MOVE with a Path ID that is not that pair's */
	uint64_t withdrawals, bad_datagrams, replays, unknown_sessions;
};

struct dc {
	const struct role_env *env;
	struct loop *loop;
	const struct server_conf *conf;
	struct servercert cert;
	bool restart;
	struct journal *journal;
	struct nodes nodes;
	struct pairs pairs;
	struct udp *udp;
	struct ways *ways;
	struct directions *directions;
	struct withdrawals *withdrawals;
	struct channel_listener *listeners[ROLE_SOCKETS_MAX];
	struct aslink *links; /* utlist */
	struct passon passon;
	struct relays *relays;
	struct notify *notify;
	struct ask *asks; /* of the push process; utlist */
	unsigned int n_asks;
	struct domains *domains;
	struct finder *finder;
	struct abroad *abroad;
	struct guests *guests;
	struct exits *exits;
	struct boxlink *boxlink;
	struct groupdirect *groupdirect;
	struct courier *courier;
	uint8_t relays_change; /* goes up when there is one to tell nodes of */
	uint64_t boot;
	uint32_t start_s;
	bool forgot_pairs; /* there were sessions before this boot */
	struct ntmc_key challenge_key;
	struct ntmc_key path_key; /* pathid.h */
	/* withdrawn identities by serial; @serial: of the last durable one,
	 * @serial_given: of the last one handed to the journal */
	struct dc_revocation *revocations;
	size_t n_revocations, room_revocations;
	uint64_t serial, serial_given;
	struct loop_timer *sweep;
	uint32_t sweep_at; /* next session to look at */
	uint32_t prune_s;  /* when the store is pruned next */
	struct loop_task destroy;
	struct dc_stats stats;
	/* protobuf-c's memory while one datagram is looked at */
	size_t arena_used;
	uint8_t arena[DC_ARENA_SIZE] __attribute__((aligned(16)));
};

/** monotonic seconds since an hour before the process began: never 0 */
static inline uint32_t dc_now_s(struct dc *dc)
{
	return (uint32_t)(loop_now(dc->loop) / 1000000000u) - dc->start_s +
	       3600;
}
bool dc_is_online(struct dc *dc, const struct node *n);
/** not heard of since this process began, but its push service may find it */
bool dc_is_asleep(const struct node *n);
/** forget what expired before @now: sessions, revocations nobody needs any more */
void dc_prune(struct dc *dc, int64_t now);
NTM_MUST_CHECK int dc_add_revocation(struct dc *dc,
				     const struct dc_revocation *r);
void dc_remove_revocation(struct dc *dc, const uint8_t fp[static NTMC_FP_LEN]);

/* signal.c */
void signal_receive(void *arg, const struct endpoint *from, uint8_t *buf,
		    size_t len);
/** seal under @session and queue; false when it cannot be sent at all */
bool signal_send(struct dc *dc, uint32_t session, const struct endpoint *to,
		 const Ntm__Signal *msg);
/** a checked message in the arena, valid until the next one; NULL: it is none */
const Ntm__Signal *signal_unpack(struct dc *dc, const uint8_t *p, size_t len);
bool signal_send_ack(struct dc *dc, uint32_t session, const struct endpoint *to,
		     uint32_t txn, int err, uint64_t retry_after_ms);

/** to who asks once more what we are about: we are here. A Keep Alive Ack */
void signal_send_here(struct dc *dc, uint32_t session,
		      const struct endpoint *to, uint32_t txn);

/* registration.c */
/** proof that a node was at @at at @time_s. @kind: 0, or a bit above a port, so that a
 *  proof for one purpose is none for another */
void registration_mac(struct dc *dc, const struct endpoint *at, uint32_t kind,
		      uint64_t node_id, uint32_t time_s,
		      uint8_t out[static DC_CHALLENGE_LEN]);
/** is @from the address that it has proven? */
bool registration_is_proven(const struct node *n, const struct endpoint *from);
/** are there relays that it has yet to be told of? */
bool registration_is_nudged(const struct dc *dc, const struct node *n);
/** a Registration Response with @err. @asked: bytes of the datagram that it answers */
void registration_answer(struct dc *dc, uint32_t sh,
			 const struct endpoint *from, size_t asked,
			 uint32_t txn, int err);
/** a request of a session, opened */
void registration_take(struct dc *dc, uint32_t sh, const struct endpoint *from,
		       size_t asked, uint32_t txn,
		       const Ntm__RegistrationRequest *q);

/* mapping.c */
/** @proven: from the node's own address. @asked: bytes of the datagram */
void mapping_request(struct dc *dc, uint32_t session,
		     const struct endpoint *from, size_t asked, bool proven,
		     uint32_t txn, const Ntm__MappingRequest *q);
/** what a node says of its interval, s; 0: nothing */
void mapping_keepalive(struct dc *dc, struct node *n, uint32_t interval_s);

/* wake.c */
/** that something waits for it here, by its NS or a push. @direction: its txn, or 0;
 *  see notify_node() */
void wake_node(struct dc *dc, struct node *n, uint32_t direction);
/** what it says of how to tell it. Return: pushes will be sent to it */
bool wake_register(struct dc *dc, struct node *n,
		   const Ntm__RegistrationRequest *q);
/** @token: NULL: none from now on; kept over a restart. Return: false: no memory,
 *  nothing changed */
bool wake_set_push(struct dc *dc, struct node *n, Ntm__PushKind kind,
		   const char *token);
/** at the end: what is under way is given up */
void wake_close(struct dc *dc);
/** another device has its name, or it is withdrawn: nothing of it is to be woken */
void wake_forget(struct dc *dc, struct node *n);

/* direction.c */
NTM_MUST_CHECK int directions_new(struct dc *dc, struct directions **out);
void directions_free(struct directions *d);
/** @session: a proven node's, from its proven address */
void direction_request(struct dc *dc, uint32_t session,
		       const struct endpoint *from, uint32_t txn,
		       const Ntm__DirectionRequest *q);
/** ms to wait, 0: go on, and a direction is paid */
uint64_t direction_must_wait_ms(struct dc *dc, struct node *n);
/** NS @notifier says that CN of the direction with that txn is not there */
void direction_absent(struct dc *dc, uint8_t notifier, uint32_t txn);
/** the node @session asks what waits for it */
void direction_fetch(struct dc *dc, uint32_t session);
/** a CN's answer to a Route Direction; unknown ones are ignored */
void direction_ack(struct dc *dc, uint32_t session, uint32_t txn,
		   const Ntm__NtmAck *ack);
/** a relay's answer to a Relay Direction; unknown ones are ignored */
void direction_relay_ack(struct dc *dc, uint16_t relay, uint32_t txn,
			 const Ntm__NtmAck *ack);

/* direction_find.c */
/** CN by its own name, or the account's device that registered last; never an exit,
 *  which is for nodes of the own domain. Return: 0, -NTM_ENONAME, -NTM_EOFFLINE */
int direction_find_cn(struct dc *dc, const char *fqdn, uint32_t *out);
/** the same for a node of ours; of exits the nearest, if its account may use them
 *  (-NTM_EPERM) */
int direction_find_for(struct dc *dc, const struct node *mn, const char *fqdn,
		       uint32_t *out);

/* withdraw.c */
#define WITHDRAW_TXN                                                           \
	0x80000000u /* txns of withdrawals; the others: directions */
NTM_MUST_CHECK int withdrawals_new(struct dc *dc, struct withdrawals **out);
void withdrawals_free(struct withdrawals *w);
/** durable already: end the sessions, tell the nodes */
void withdraw_start(struct dc *dc, const uint8_t (*fps)[NTMC_FP_LEN], size_t n,
		    bool release);
/** tell the nodes of one account (@others: its first node) that the tunnels with those
 *  of another (@account) end; both stay what they are */
void withdraw_between(struct dc *dc, uint32_t account, uint32_t others);
/** after a start: tell relays what the last process may not have told them */
void withdraw_restart(struct dc *dc);
/** an identity of another domain: @node is told that it is withdrawn */
void withdraw_tell(struct dc *dc, uint32_t node,
		   const uint8_t fp[static NTMC_FP_LEN]);
void withdraw_ack(struct dc *dc, uint32_t session, uint32_t txn);

/* serverlink.c */
extern const struct channel_ops serverlink_ops; /* @arg: struct dc */

/* aslink.c */
void aslink_open(struct dc *dc, struct channel *c);
/** these: false when @c is no AS's */
bool aslink_message(struct dc *dc, struct channel *c, const Ntm__Envelope *msg);
bool aslink_closed(struct dc *dc, struct channel *c, int err);
/** to the AS that came last. Return: false: none is here */
bool aslink_ask(struct dc *dc, const Ntm__Envelope *msg);
void aslinks_free(struct dc *dc);

#endif
