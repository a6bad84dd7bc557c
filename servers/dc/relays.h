/* SPDX-License-Identifier: MIT */
/*
 * relays - the Relay Servers of the domain: links, keys, state, withdrawals
 *
 * Owner:   struct dc. Context: loop thread. Nothing is allocated after the start.
 * A relay is an identity (Ed25519 key) whose certificate has the role RS. Each key has
 * an id of its own, drawn with it; what nodes measured under an id before is still
 * known to be of this relay.
 *   relays.c: who they are, links, keys; relaysignal.c: datagrams; relaywithdraw.c.
 *   reach.c says which relay a direction takes, and keeps what nodes measure.
 */
#ifndef NTM_SERVERS_DC_RELAYS_H
#define NTM_SERVERS_DC_RELAYS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/channel.h"
#include "common/datagram.h"
#include "common/fqdn.h"
#include "servers/dc/nodes.h"

#define RELAYS_MAX	    64
#define RELAY_ADDRESSES_MAX 4
#define RELAY_SILENT_S	    15	  /* no new paths for who says nothing */
#define RELAY_KEY_S	    86400 /* life of Kdcrs, renewed at half */
#define RELAY_KEY_GRACE_S   60	  /* the key before it opens so long */
#define RELAY_ACK_S	    30	  /* to acknowledge a key */
#define RELAY_QUIET_S	    5 /* no new paths for who did not answer; doubles */
#define RELAY_QUIET_MAX_S   600
#define RELAY_TELL_S	    60	 /* nodes hear of one relay so often at most */
#define RELAY_FORGET_S	    600	 /* without link and without a word */
#define RELAY_WITHDRAWN_MAX 1024 /* accounts that a relay has yet to hear of */
#define RELAY_WITHDRAWN_ONE 8	 /* in one Relay Withdraw */
#define RELAY_IDS_MAX	    8	 /* that nodes may still know */
#define RELAY_NUDGES_S	    1000 /* nodes told of a new relay in a second */

struct dc;

/** struct relay_key - one Kdcrs; @until: 0 when there is none */
struct relay_key {
	uint64_t id;		   /* in datagrams, and for nodes */
	struct datagram_keys keys; /* @up: RS->DC, @down: DC->RS */
	struct ntmc_replay64 replay;
	uint64_t until;	     /* loop_now() */
	uint64_t registered; /* counter of the newest Relay Registration */
	uint32_t seq;	     /* datagrams we sealed */
};

/** struct relay - @number: 0 when the place is not in use */
struct relay {
	uint16_t number; /* not given to another one while nodes may know it */
	uint8_t fp[NTMC_FP_LEN];
	struct channel *channel; /* NULL: none now */
	uint64_t gone;		 /* since then */
	/* one seals; the other is the next one (@pending) or the last one */
	struct relay_key keys[2];
	uint8_t key;
	uint64_t ids[RELAY_IDS_MAX]; /* all that were drawn, a ring */
	uint8_t n_ids;
	bool pending;
	uint32_t share_txn;
	uint64_t shared, renew;
	/* as it registers */
	struct endpoint at;
	struct addr addrs[RELAY_ADDRESSES_MAX];
	uint8_t n_addrs, families; /* REACH_IP4, REACH_IP6 */
	uint16_t tls_port;	   /* of its gate; 0: none */
	bool draining;
	bool mute; /* its link has ended; until it says something */
	/* Relay Directions without an answer: no new paths until then; seconds, of
	 * which each one has twice as many as the last */
	uint64_t quiet_until;
	uint32_t quiet_s;
	uint64_t told; /* nodes were told to ask; 0 never */
	bool to_tell;  /* again, when that is RELAY_TELL_S ago */
	uint32_t load, paths;
	uint64_t heard;	 /* Relay Registration; 0 never */
	uint32_t rtt_us; /* smoothed, of all nodes; 0 unknown */
	/* number of the last account it knows to be withdrawn; @telling more have
	 * been sent, under @withdraw_txn */
	uint64_t withdrawn;
	uint32_t telling, withdraw_txn;
};

struct relays {
	struct dc *dc;
	struct relay list[RELAYS_MAX];
	uint16_t last_number;
	uint32_t txn, turn;
	struct loop_timer *timer; /* withdrawals */
	/* accounts by number, the newest last; @sent: of the last one that
	 * somebody was told */
	uint64_t withdrawn, sent;
	char accounts[RELAY_WITHDRAWN_MAX][FQDN_MAX + 1];
	uint32_t nudged_s, nudges;
	uint64_t silent; /* Relay Directions without an answer */
};

NTM_MUST_CHECK int relays_new(struct dc *dc, struct relays **out);
void relays_free(struct relays *rs);

/** @c: its certificate has the role RS; a key is shared at once */
void relays_link_open(struct dc *dc, struct channel *c);
/** Return: false when @c is no relay's */
bool relays_link_message(struct dc *dc, struct channel *c,
			 const Ntm__Envelope *msg);
bool relays_link_closed(struct dc *dc, struct channel *c, int err);

/** a datagram of PACKET_SIGNAL_MAX at most. Return: false when h->id is no relay's */
bool relays_receive(struct dc *dc, const struct endpoint *from,
		    const struct packet_header *h, uint8_t *buf, size_t len);
/** once a second: renew keys, forget who has gone. @now: of loop_now() */
void relays_sweep(struct dc *dc, uint64_t now);

/** NULL: forgotten */
struct relay *relays_find(const struct dc *dc, uint16_t number);
/** by any id that it had */
struct relay *relays_find_id(const struct dc *dc, uint64_t id);
static inline uint64_t relay_id(const struct relay *r)
{
	return r->keys[r->key].id;
}
/** may it get new paths? */
bool relay_is_usable(const struct dc *dc, const struct relay *r);
unsigned int relays_usable(const struct dc *dc);
/** Return: false when it cannot be sent at all */
bool relays_direct(struct dc *dc, struct relay *r, uint32_t txn,
		   const Ntm__RelayDirection *msg);
bool relays_direct_group(struct dc *dc, struct relay *r, uint32_t txn,
			 const Ntm__GroupDirection *msg);
/** it did not answer: no new paths until it says something */
void relays_silent(struct dc *dc, struct relay *r);
/** the paths of @account end, at every relay: a label, or account.domain of another
 *  domain */
void relays_withdraw(struct dc *dc, const char *account);
/** may one more node be made to ask for the relays now? */
bool relays_may_nudge(struct dc *dc);
/** those that an administrator took back (servers/removed.h) end. Return: how many */
unsigned int relays_end_removed(struct dc *dc);
/** new reference: an array */
json_t *relays_admin(struct dc *dc);

#endif
