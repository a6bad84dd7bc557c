/* SPDX-License-Identifier: MIT */
/*
 * punch - a peer's relay: our end of the path there, kept alive by Hole Punching
 *
 * Owner:    the peer, by value. Context: loop thread.
 * States:   of one end: asked (punched, not answered), bound (the relay sends us
 *           what comes for us), or free.
 */
#ifndef NTM_BROKER_PUNCH_H
#define NTM_BROKER_PUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/direction.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "common/datagram.h"

/* The newest, and the one before: directions of both sides may cross, and while
 * they do nobody knows whose keys the relay has. */
#define PUNCHES_MAX 2

struct peer;

/**
 * struct punch - our end at one relay
 * @path_id:  bit 0 names our end (0 MN, 1 CN); 0: free
 * @at:       index of the address in use
 * @source:   ours towards it, when it was last punched
 * @sent_ms:  of the last punch; @acked_ms: of the last answer; @known_ms: the oldest
 *            that an answer may name
 * @answered_ns: 0 never
 * @code:     of the last answer; LIMIT: it forwards nothing for this account;
 *            @peer_code: for the peer's
 */
struct punch {
	struct peer *p;
	uint64_t path_id;
	struct route_relay relay;
	size_t at;
	enum ntmc_aead_alg aead;
	struct ntmc_key ktun;
	struct datagram_keys keys;
	struct addr source, observed;
	uint64_t sent_ms, acked_ms, sent_ns, answered_ns, made_ns, rtt_ns;
	uint8_t cookie[16];
	bool has_cookie, bound, peer_bound;
	unsigned int cookies, tries;
	int code, peer_code;
	struct loop_timer *timer;
};

struct punches {
	struct punch list[PUNCHES_MAX]; /* newest first */
};

/** struct punch_answer - a HolePunchAck */
struct punch_answer {
	uint64_t sent_ms;
	int code, peer_code;
	uint8_t cookie[16];
	bool has_cookie, bound, echo, peer_bound;
	struct addr observed;
};

NTM_MUST_CHECK int punch_init(struct peer *p);
void punch_clear(struct peer *p);
/** the direction's relay, if it names one: punch now. The same again: nothing */
void punch_route(struct peer *p, const struct route *r);
/** we have moved: punch from where we are now */
void punch_moved(struct peer *p);
/** the relay may have forgotten our ends, the NAT our mappings; or the way there is
 *  another one, from the same address (gate.h) */
void punch_woke(struct peer *p);
/** the relay at @a may have lost us: punch, unless that was done just now */
void punch_again(struct peer *p, const struct addr *a);
/** the tunnel ends: leave every relay */
void punch_stop(struct peer *p);
/** leave those that are needed no more; every tick of the peer */
void punch_tick(struct peer *p);
/** a Hole Punch Ack of anybody; destroyed */
void punch_datagram(struct worker *w, const struct packet_header *h,
		    uint8_t *buf, size_t len);

/** is @a an address of a relay of this peer? */
bool punch_owns(const struct peer *p, const struct addr *a);
/** the address at which the relay for @path_id (either bit; 0: any) is punched.
 *  Return: false: there is none */
bool punch_addr(const struct peer *p, uint64_t path_id, struct addr *out);
/** the end at @a, or NULL */
const struct punch *punch_at(const struct peer *p, const struct addr *a);
/** a relay of it says that an account's amount is used up: why for people, else NULL */
const char *punch_limit(const struct peer *p);
/** where relays saw us, each once. Return: how many */
size_t punch_observed(const struct peer *p, struct addr *out, size_t max);

/** struct punch_packed - room for punch_save() */
struct punch_packed {
	Ntm__State__Punch msg[PUNCHES_MAX], *list[PUNCHES_MAX];
	ProtobufCBinaryData addrs[PUNCHES_MAX][RELAY_ADDRS_MAX];
	uint8_t bytes[PUNCHES_MAX][RELAY_ADDRS_MAX][STATEFILE_ADDR_MAX];
};
/** for the keeper's blob; borrows the peer's key. Return: how many */
size_t punch_save(const struct peer *p, struct punch_packed *out);
/** from the blob; nothing is sent before punch_resume() */
void punch_restore(struct peer *p, Ntm__State__Punch *const *list, size_t n);
void punch_resume(struct peer *p);

/** what is in a Hole Punch Ack sealed under @keys. Return: 0, -NTM_EAUTH,
 *  -NTM_EDECODE; @buf destroyed */
NTM_MUST_CHECK int punch_ack_open(const struct datagram_keys *keys,
				  const struct packet_header *h, uint8_t *buf,
				  size_t len, struct punch_answer *out);

#endif
