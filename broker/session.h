/* SPDX-License-Identifier: MIT */
/*
 * session - the node's session with its DC: sealed datagrams, answers, presence
 *
 * Owner:    the worker. Context: loop thread.
 * States:   see enum session_state; only session_set_state() writes it.
 */
#ifndef NTM_BROKER_SESSION_H
#define NTM_BROKER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/worker.h"
#include "common/ntm.pb-c.h"
#include "common/packet.h"

#define SESSION_REQUESTS_MAX 512 /* waiting for the DC at one time */

struct session;

/**
 * enum session_state - what the DC knows of us
 * @SESSION_OFF:         logged out.                   Leaves by: session_start()
 * @SESSION_REGISTERING: asked; repeated for ever.     Leaves by: an answer
 * @SESSION_ONLINE:      our address is proven.        Leaves by: silence, a move,
 *                       a restart of the DC (all to REGISTERING), refusal (OFF)
 */
enum session_state { SESSION_OFF, SESSION_REGISTERING, SESSION_ONLINE };

/** the DC's answer; @err: 0, or negative enum ntm_err (TIMEOUT ...) and @msg NULL.
 *  @msg is borrowed for the call */
typedef void session_answer_fn(void *arg, int err, const Ntm__Signal *msg);

NTM_MUST_CHECK int session_new(struct worker *w, struct session **out);
void session_free(struct session *s);
/** keys from the account; registers. Again after a renewal. */
NTM_MUST_CHECK int session_start(struct session *s);
void session_stop(struct session *s);
/** routes changed; @changed: our addresses too. Registers when the DC would see us
 *  elsewhere, or must be told where else we are */
void session_moved(struct session *s, bool changed);
/** nothing was sent or heard for long: registers, if there is anything to say */
void session_woke(struct session *s);
/** a server of our domain has ended a connection: maybe the DC is another one, too, which
 *  would not know where we are until the next Keep Alive. That goes now */
void session_look(struct session *s);
/** how the DC reaches us has changed: register now */
void session_reachable(struct session *s);
/** we are told by an NS: no keep-alives */
void session_quiet(struct session *s);
/** a datagram of type SIGNAL; destroyed */
void session_datagram(struct session *s, const struct packet_header *h,
		      uint8_t *buf, size_t len, const struct addr *from);

/**
 * session_request() - send, repeat, call back
 * @msg: txn is set here; packed at once. It leaves when we are online.
 * @id:  for session_cancel()
 * Return: 0: @fn is called once, not inside this call; -NTM_ELIMIT,
 *         -NTM_ENOLOGIN, -NTM_ETOOBIG, -NTM_ENOMEM
 */
NTM_MUST_CHECK int session_request(struct session *s, Ntm__Signal *msg,
				   unsigned int limit_ms, session_answer_fn *fn,
				   void *arg, uint32_t *id);
/** Return: the request's arg; NULL: it is over already */
void *session_cancel(struct session *s, uint32_t id);
/** a Registration Request beside the session's own: what @dc sees of us, and what
 *  we tell of relays */
NTM_MUST_CHECK int session_probe(struct session *s, const struct addr *dc,
				 unsigned int limit_ms, session_answer_fn *fn,
				 void *arg, uint32_t *id);

/** for what does not leave by our own socket: a Signal, sealed. @txn: its number.
 *  Return: bytes, or -NTM_ENOLOGIN, -NTM_ETOOBIG */
NTM_MUST_CHECK int session_seal(struct session *s, Ntm__Signal *msg,
				uint8_t buf[static PACKET_SIGNAL_MAX],
				uint32_t *txn);
/** what the DC sent there. @buf: destroyed; @out: freed by datagram_free().
 *  Return: 0, -NTM_EDECODE, -NTM_EAUTH */
NTM_MUST_CHECK int session_open(struct session *s, uint8_t *buf, size_t len,
				Ntm__Signal **out);

/** the same, by UDP in any case (gate.h) */
NTM_MUST_CHECK int session_probe_udp(struct session *s, const struct addr *dc,
				     unsigned int limit_ms,
				     session_answer_fn *fn, void *arg,
				     uint32_t *id);
/** gate.c: the DC can be asked by a stream too: do so now, while registering */
void session_by_gate(struct session *s);

enum session_state session_state(const struct session *s);
/** false: not known yet */
bool session_dc(const struct session *s, struct addr *dc);
bool session_observed(const struct session *s, struct addr *observed);
unsigned int session_rtt_us(const struct session *s); /* 0: unknown */
/** loop time since when it is registering */
uint64_t session_since_ns(const struct session *s);
/** since when the DC does not answer; 0: it does, or nothing is asked of it */
unsigned int session_silent_s(const struct session *s);
/** is this machine's clock known to be off by more than CLOCK_SKEW_S?
 *  @out: a clause that says by how much, and which way; written where it is */
#define SESSION_CLOCK_TEXT 80
bool session_clock_wrong(const struct session *s,
			 char out[static SESSION_CLOCK_TEXT]);

#endif
