/* SPDX-License-Identifier: MIT */
/*
 * session_state - the session's own data, shared by its files
 *
 * Owner:    session.c makes and frees it. Context: loop thread.
 * Files:    session.c seals, opens and hands out; registration.c tells the DC where we
 *           are, presence.c that we are there still; request.c asks.
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
	int64_t skew;		/* DC's clock minus ours, s; 0 while unknown */

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

/* --- session.c ---------------------------------------------------------------- */

void session_set_state(struct session *s, enum session_state state);
/** the next transaction number, never 0 */
uint32_t session_txn(struct session *s);
/** a message to the DC's address in use. Return: 0, or as session_send_to() */
NTM_MUST_CHECK int session_send(struct session *s, const Ntm__Signal *msg);
/** one to any address of it. Return: 0, -NTM_ETOOBIG, -NTM_ECLOSED (no gate), or as
 *  datapath_send() */
NTM_MUST_CHECK int session_send_to(struct session *s,
				   const ProtobufCMessage *msg,
				   const struct addr *to, enum session_way way);

/* --- registration.c ----------------------------------------------------------- */

/** one Registration Request, with the challenge's echo or without, to one address of
 *  the DC. Return: as session_send_to() */
NTM_MUST_CHECK int session_register_to(struct session *s, uint32_t txn,
				       const struct addr *to, bool challenge,
				       enum session_way way);
/** the one under way (again) now, to whom it is due */
void session_register(struct session *s);
/** a new one, as our place or the DC's memory of it is in doubt */
void registration_start(struct session *s);
/** its timer; @arg: the session */
void registration_due(void *arg);
/** a Registration Response */
void registration_answered(struct session *s, uint32_t txn,
			   const Ntm__RegistrationResponse *r,
			   const struct addr *from);
/** a request that was first sent at @since_ns is not answered */
void session_doubt(struct session *s, uint64_t since_ns);

/* --- presence.c --------------------------------------------------------------- */

/** registered: keep-alives from now on, as the DC wishes in @r */
void presence_begin(struct session *s, const Ntm__RegistrationResponse *r);
/** its timer; @arg: the session */
void presence_due(void *arg);
void presence_answered(struct session *s, const Ntm__KeepAliveAck *k);

/* --- request.c ---------------------------------------------------------------- */

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
