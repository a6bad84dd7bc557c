/* SPDX-License-Identifier: MIT */
/*
 * session_state - the session's own data, shared by session.c and request.c
 *
 * Owner:    session.c makes and frees it. Context: loop thread.
 */
#ifndef NTM_BROKER_SESSION_STATE_H
#define NTM_BROKER_SESSION_STATE_H

#include <uthash.h>

#include "broker/revocation.h"
#include "broker/session.h"
#include "common/datagram.h"

#define SESSION_ENDED_MAX 64

/* struct request - one transaction; @packed: the Signal as it is sent */
struct request {
	struct session *s;
	uint32_t txn;
	bool probe, udp; /* @udp: and not by a gate */
	struct addr to;	 /* probes only */
	session_answer_fn *fn;
	void *arg;
	uint64_t deadline_ns, sent_ns;
	unsigned int repeat_ms;
	struct loop_timer *timer;
	size_t len;
	uint8_t *packed;
	UT_hash_handle hh;
};

struct session {
	struct worker *w;
	enum session_state state;
	struct datagram_keys keys;
	bool keyed, synced, skew_said;
	uint64_t node_id, sequence;
	struct ntmc_replay64 replay;

	size_t dc; /* index in account->dc */
	bool dc_works;
	struct addr observed, source;		   /* ours towards the DC */
	uint64_t boot, rtt_us, asked_ns, since_ns; /* REGISTERING since */
	unsigned int unknown_s; /* after so long of it the AS is asked */
	int64_t skew;

	uint32_t next_txn;
	uint32_t register_txn, keepalive_txn;
	unsigned int register_tries, keepalive_tries;
	unsigned int telling_s, told_s; /* the DC, of our interval */
	struct addr proven; /* where it saw us when we were online last */
	bool moved;	    /* since then */
	unsigned int challenges, echoes; /* in a row; requests since the last */
	uint8_t challenge[16];
	size_t challenge_len;
	uint64_t heard_ns; /* a word of the DC */
	struct loop_timer *register_timer, *keepalive_timer;
	struct request *requests;
	uint32_t ended[SESSION_ENDED_MAX]; /* requests, the last ones */
	unsigned int n_ended;
	struct revocation revocation;
};

/* how a message goes: as is due, by UDP in any case, by a gate that is tried */
enum session_way { SESSION_ANY, SESSION_UDP, SESSION_GATE };

/* session.c: a transaction number; a message to the DC; a Registration Request, with
 * the challenge's echo or without, to one of its addresses, or as is due now */
uint32_t session_txn(struct session *s);
NTM_MUST_CHECK int session_send(struct session *s, const Ntm__Signal *msg);
NTM_MUST_CHECK int session_register_to(struct session *s, uint32_t txn,
				       const struct addr *to, bool challenge,
				       enum session_way way);
void session_register(struct session *s);
/** a request that was first sent at @since_ns is not answered */
void session_doubt(struct session *s, uint64_t since_ns);

/* request.c */
struct request *request_find(const struct session *s, uint32_t txn);
/** its number was one of the last requests' */
bool request_was(const struct session *s, uint32_t txn);
/** send it (again) now */
void request_send(struct request *rq);
/** over: frees it, then calls back */
void request_end(struct request *rq, int err, const Ntm__Signal *msg);
/** ends all. Whoever is told may cancel others; asking anew is refused by now */
void requests_fail(struct session *s, int err);
/** frees all, calls nobody */
void requests_free(struct session *s);

#endif
