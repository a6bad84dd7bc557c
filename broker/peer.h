/* SPDX-License-Identifier: MIT */
/*
 * peer - one node we speak with: its identity, tunnel, keys and paths
 *
 * Owner:    peers.c (the table). Context: loop thread.
 * Files:    peer.c decides (states), peer_keys.c has keys, peer_control.c what is said
 *           inside, peer_ask.c and peer_route.c directions; peers.c finds, restores and
 *           saves, shake.c drives handshakes, path.c addresses, punch.c and relayed.c
 *           its relay, pmtu.c sizes.
 * States:   see enum peer_state; only peer_set_state() writes it.
 */
#ifndef NTM_BROKER_PEER_H
#define NTM_BROKER_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include <uthash.h>

#include "broker/direction.h"
#include "broker/handshake.h"
#include "broker/path.h"
#include "broker/pmtu.h"
#include "broker/punch.h"
#include "broker/worker.h"

#define PEERS_MAX	1024
#define PEER_EXPECT_MAX 4 /* Route Directions waited for at one time */
#define PEER_PATHS_MAX                                                         \
	(3 + PEER_EXPECT_MAX) /* in use, asked for, expected, directed */

/**
 * enum peer_state - what we have with it
 * @PEER_IDLE:    no tunnel wanted; a resumption secret may be kept
 * @PEER_ASKING:  tunnel wanted: the DC was asked, or a resumption is under way
 * @PEER_SHAKING: Tunnel Request sent under a direction's keys
 * @PEER_UP:      keys, and a path that answers
 * @PEER_MOVING:  keys, and no path that answers; packets wait
 * @PEER_DOWN:    it failed, for @why; packets get ICMP unreachable
 */
enum peer_state {
	PEER_IDLE,
	PEER_ASKING,
	PEER_SHAKING,
	PEER_UP,
	PEER_MOVING,
	PEER_DOWN,
	PEER_NSTATES
};

struct shake;
struct answered;

/** struct handshake_from - where an answer came from; @asked: our request went there;
 *  @directed: the request was that of a direction */
struct handshake_from {
	const struct addr *addr;
	size_t wire_len;
	bool asked, directed;
};

/** struct path_ref - one Path ID (bit 0 clear) under which the peer is found */
struct path_ref {
	uint64_t id;
	struct peer *peer;
	bool used;
	UT_hash_handle hh;
};

/**
 * struct peer - fields are read by the files named above
 * @known:    ed_pub, x_pub, fp are set (from a direction, a pin or a blob)
 * @outward:  we asked for the tunnel
 * @path_id:  as we receive, bit included; 0 none
 * @secret:   resumption secret; @pending: of an answered, unconfirmed handshake
 * @pending_kept: @pending is not of this worker's time: no keys belong to it
 * @keyed_ns: when the keys in use were made; 0 none
 * @seen_ms:  latest sent_ms of this identity
 * @moves:    Direction Requests sent since the path was lost, or because the Tunnel
 *            Request was not answered
 */
struct peer {
	struct worker *w;
	char fqdn[FQDN_MAX + 1];
	bool known, outward;
	uint8_t ed_pub[NTMC_KEY_LEN], x_pub[NTMC_KEY_LEN], fp[NTMC_FP_LEN];
	uint8_t vip6[16], vip4[4];
	uint8_t shown4
		[4]; /* where programs here see it; @vip4 but for other domains */

	enum peer_state state;
	int why;
	uint64_t state_ns;

	struct dp_tunnel *tunnel;
	uint64_t path_id;
	enum ntmc_aead_alg aead, pending_aead;
	struct ntmc_key secret, pending;
	struct dp_tail *tail; /* of a tunnel that failed */
	struct ports *ports;  /* of the tunnel before */
	bool has_secret, has_pending, pending_kept;
	uint8_t pending_phase;
	uint64_t keyed_ns, seen_ms, unknown_ns;
	int64_t cert_expires;

	struct route expect[PEER_EXPECT_MAX];
	struct path_ref refs[PEER_PATHS_MAX];
	struct shake *shake;
	struct answered *answered;
	uint64_t rate_ns;
	unsigned int rate_used;

	uint32_t direction;  /* request in flight; 0 none */
	bool ask_waits;	     /* it had to wait for the session */
	uint64_t route_path; /* of the last direction, with our bit */
	unsigned int moves;
	struct punches punches;
	struct paths paths;
	struct pmtu pmtu;
	uint64_t inner_packets, inner_ns; /* traffic seen at @inner_ns */
	struct loop_timer *rekey, *connect, *move, *old_keys;
	UT_hash_handle hh;
};

/* --- peers.c ------------------------------------------------------------------- */

struct peers;
NTM_MUST_CHECK int peers_new(struct worker *w, struct peers **out);
void peers_free(struct peers *ps);
struct peer *peers_find(const struct peers *ps, const char *fqdn);
struct peer *peers_find_path(const struct peers *ps, uint64_t path_id);
/** find or make. NULL: too many, or no memory */
struct peer *peers_get(struct peers *ps, const char *fqdn);
void peers_each(struct peers *ps, void (*fn)(void *arg, struct peer *p),
		void *arg);
size_t peers_count(const struct peers *ps);
/** make tunnels of the keeper's blobs and resume them all */
void peers_restore(struct peers *ps);
/** end every tunnel, forget every secret: another account */
void peers_drop_all(struct peers *ps);
/** look after paths: armed by whoever makes a peer UP */
void peers_tick_arm(struct peers *ps);
/** one more handshake may be answered now, of all peers */
bool peers_rate(struct peers *ps);
/** "connecting", "direct", "relayed", "moving", "offline", "refused", "idle" */
const char *peer_shown(const struct peer *p);
/** register the peer's Path IDs anew. Return: 0, -NTM_EEXISTS (another's) */
NTM_MUST_CHECK int peer_index(struct peer *p);
/** what a new worker needs, into the keeper; removes it where nothing is kept */
void peer_save(struct peer *p);
void peer_free(struct peer *p);

/* --- peer.c -------------------------------------------------------------------- */

const char *peer_state_name(enum peer_state s);
NTM_MUST_CHECK int peer_init(struct peer *p, struct worker *w,
			     const char *fqdn);
void peer_clear(struct peer *p);
/** identity and addresses from @info; -NTM_EPIN, -NTM_EUNVERIFIED */
NTM_MUST_CHECK int peer_identify(struct peer *p, const struct node_info *info);
/** a tunnel object of the data path with the peer's virtual addresses, HELD */
NTM_MUST_CHECK int peer_tunnel(struct peer *p);
/** the tunnel of this certificate and Path ID (as we receive it). Return: 0, or as
 *  pins_learn(), peer_tunnel(), peer_index() */
NTM_MUST_CHECK int peer_tunnel_for(struct peer *p, const struct ntmc_cert *cert,
				   uint64_t path_id);
/** somebody wants the tunnel: resume or ask the DC. Nothing when it is under way */
void peer_connect(struct peer *p);
/** after a start of the worker: a tunnel again, under the kept secret */
void peer_resume(struct peer *p);
void peer_set_state(struct peer *p, enum peer_state state);
/** the way to it failed; @err negative or positive */
void peer_fail(struct peer *p, int err);
/** end the tunnel; @code told to the peer when @tell */
void peer_close(struct peer *p, int code, bool tell);
/** nobody needs the tunnel; the next packet of either side resumes it */
void peer_sleep(struct peer *p);
/** the identity is withdrawn: end, forget the secret */
void peer_withdraw(struct peer *p);
/** DATA came that we have no keys for */
void peer_unknown(struct peer *p, const struct addr *from);
/** policy changed: close what is not allowed any more, set ports */
void peer_apply_policy(struct peer *p);
uint64_t peer_now(const struct peer *p);
/** the one with the lower fingerprint: breaks ties */
bool peer_we_are_lower(const struct peer *p);

/* --- peer_keys.c ---------------------------------------------------------------- */

/** a new worker cannot know which of the two the peer has: try the other */
void peer_swap_secrets(struct peer *p);
/** the keys are too old to carry anything: new ones are awaited */
bool peer_keys_ended(const struct peer *p);
/** keys of our request: the tunnel works */
void peer_keyed(struct peer *p, struct handshake_keys *k,
		const struct ntmc_cert *cert, const struct handshake_from *from,
		uint64_t path_id);
/** keys of an answered request; the tunnel works when the peer uses them */
NTM_MUST_CHECK int peer_answered(struct peer *p, struct handshake_keys *k,
				 const struct handshake_request *rq,
				 const struct addr *from, uint64_t path_id);
/** something came under the keys @phase */
void peer_confirmed(struct peer *p, uint8_t phase, const struct addr *from,
		    size_t wire_len);
/** the send counter asks for new keys */
void peer_rekey(struct peer *p);
/** timers of the peer, @arg: renewal is due; keys of before are over */
void peer_rekey_due(void *arg);
void peer_old_keys_due(void *arg);

/* --- peer_control.c ------------------------------------------------------------- */

/** one packed TunnelControl to @to (NULL: current) */
int peer_control_send(struct peer *p, const Ntm__TunnelControl *msg,
		      const struct addr *to);
/** one TunnelControl of the peer */
void peer_control(struct peer *p, const uint8_t *msg, size_t len,
		  const struct addr *from, size_t wire_len);
/** we close the tunnel, for @code; 0: nobody needs it now */
void peer_farewell(struct peer *p, int code);

/* --- peer_ask.c --------------------------------------------------------------------- */

/** ask the DC for the way; @move: the tunnel's, under its Path ID. Nothing when that
 *  is under way. Return: 0, or as direction_request() */
NTM_MUST_CHECK int peer_ask(struct peer *p, bool move);
/** path.c: an answer came while MOVING / nothing answers any more */
void peer_path_up(struct peer *p);
void peer_path_lost(struct peer *p);
/** path.c: we send from another address now; nobody has answered there yet */
void peer_path_unsure(struct peer *p);
/** the DC can be asked again */
void peer_look_again(struct peer *p);
/** punch.c: the relay in use does not answer, though packets may pass still */
void peer_relay_silent(struct peer *p);
/** peer.move: nobody has answered in time */
void peer_move_due(void *arg);

/* --- peer_route.c ----------------------------------------------------------------- */

/** the DC's answer to a request for this peer */
void peer_route(struct peer *p, const struct route *r);
/** the DC told us that the peer wants us: it comes, or we are to go. Return: code for
 *  the DC */
int peer_expect(struct peer *p, const struct route *r);
/** SHAKING, and the Tunnel Request is not answered: is the DC to be asked for a relay,
 *  or another one, now? Looks again later by itself */
bool peer_wants_relay(struct peer *p);

/* --- shake.c ------------------------------------------------------------------- */

/** struct shake_keys - which secret a request goes under */
enum shake_kind { SHAKE_DIRECT, SHAKE_RESUME };
NTM_MUST_CHECK int shake_start(struct peer *p, enum shake_kind kind,
			       const struct route *r);
/** the request under way once to @a too, where nobody has proven to be */
void shake_also(struct peer *p, const struct addr *a);
/** the request under way to @a once more: it hears us now */
void shake_again(struct peer *p, const struct addr *a);
/** Path ID of our request under way, bit 0 clear; 0 none */
uint64_t shake_path(const struct peer *p);
bool shake_running(const struct peer *p, enum shake_kind kind);
/** shake.c: our request was not answered */
void peer_shake_over(struct peer *p, enum shake_kind kind);
void shake_stop(struct peer *p);
/** the peer uses the keys of our answer: a request of ours put aside is over */
void shake_settled(struct peer *p);
void shake_forget(struct peer *p); /* the stored answer */
/** the stored answer went to @a */
bool shake_answered_at(const struct peer *p, const struct addr *a);
/** Tunnel Request, Tunnel Response of anybody; destroyed */
void shake_datagram(struct worker *w, const struct packet_header *h,
		    uint8_t *buf, size_t len, const struct addr *from);

#endif
