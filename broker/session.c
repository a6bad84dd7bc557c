/* SPDX-License-Identifier: MIT */
/*
 * session - the node's session with its DC: sealed datagrams, and who gets the answers
 *
 * Theory of operation
 *
 * Every datagram is sealed under keys of Kntmdc; the counter is our boot number and
 * a sequence begun at random: nothing repeats over restarts, nor on a machine put
 * back to an earlier state. What the DC sends passes a replay window, empty after a
 * start: until the first answer that fits a transaction number of ours (drawn at
 * random) nothing unasked is believed, and that answer sets the window: older
 * datagrams of the DC are dead.
 *
 * What goes up: registration.c tells the DC where we are, presence.c that we are there
 * still, request.c asks. What comes down passes here to one of the three, or, told
 * unasked, to whom it concerns.
 */
#include "broker/session_state.h"

#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/direction.h"
#include "broker/gate.h"
#include "broker/keepalive.h"
#include "broker/notify.h"
#include "broker/postlink.h"
#include "broker/revocation.h"
#include "broker/timers.h"
#include "common/datagram.h"
#include "common/log.h"

static const char *const state_names[] = {
	[SESSION_OFF] = "OFF",
	[SESSION_REGISTERING] = "REGISTERING",
	[SESSION_ONLINE] = "ONLINE",
};

void session_set_state(struct session *s, enum session_state state)
{
	if (s->state == state)
		return;
	log_info("session", "%s -> %s", state_names[s->state],
		 state_names[state]);
	s->state = state;
	if (state != SESSION_ONLINE)
		loop_timer_disarm(s->keepalive_timer);
	if (state != SESSION_REGISTERING)
		loop_timer_disarm(s->register_timer);
	else
		s->since_ns = loop_now(s->w->loop);
}

/* --- sending ---------------------------------------------------------------------- */

static int seal(struct session *s, const ProtobufCMessage *msg, uint8_t *buf)
{
	const struct account *a = s->w->account;
	struct packet_header h = {
		.type = PACKET_SIGNAL,
		.id = s->node_id,
		.counter =
			(uint64_t)a->boot << PACKET_BOOT_SHIFT | s->sequence++,
	};

	return datagram_seal(&h, s->keys.aead, &s->keys.up, msg, buf);
}

int session_send_to(struct session *s, const ProtobufCMessage *msg,
		    const struct addr *to, enum session_way way)
{
	uint8_t buf[PACKET_SIGNAL_MAX];
	int n = seal(s, msg, buf);

	if (n < 0)
		return n;
	if (way == SESSION_GATE)
		return gate_send_dc(s->w->gate, to, buf, (size_t)n)
			       ? 0
			       : -NTM_ECLOSED;
	return way == SESSION_UDP
		       ? datapath_send_udp(s->w->dp, buf, (size_t)n, to)
		       : datapath_send(s->w->dp, buf, (size_t)n, to);
}

uint32_t session_txn(struct session *s)
{
	if (!++s->next_txn)
		++s->next_txn;
	return s->next_txn;
}

int session_send(struct session *s, const Ntm__Signal *msg)
{
	return session_send_to(s, &msg->base, &s->w->account->dc[s->dc],
			       SESSION_ANY);
}

static void send_ack(struct session *s, uint32_t txn, int code)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;

	ack.code = (uint32_t)code;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &ack;
	if (session_send(s, &msg))
		log_debug("session", "an acknowledgement could not be sent");
}

/* --- receiving -------------------------------------------------------------------------- */

/* what the DC sends unasked, with a transaction number of its own */
static void told(struct session *s, const Ntm__Signal *msg)
{
	int code;

	if (msg->body_case == NTM__SIGNAL__BODY_ROUTE_DIRECTION) {
		code = direction_told(s->w, msg->route_direction);
		if (code != NTM_EAGAIN)
			send_ack(s, msg->txn, code);
	} else if (msg->body_case == NTM__SIGNAL__BODY_WITHDRAW) {
		send_ack(s, msg->txn, 0);
		revocation_told(&s->revocation, msg->withdraw);
	} else if (msg->body_case == NTM__SIGNAL__BODY_BOX_NOTICE) {
		send_ack(s, msg->txn, 0);
		postlink_serial(s->w->postlink, msg->box_notice->serial);
	}
}

/* A Route Direction with a number that is not ours, nor was lately: an answer that
 * comes twice is not the DC's own word. */
static bool is_told(const struct session *s, const Ntm__Signal *msg)
{
	return msg->body_case == NTM__SIGNAL__BODY_WITHDRAW ||
	       msg->body_case == NTM__SIGNAL__BODY_BOX_NOTICE ||
	       (msg->body_case == NTM__SIGNAL__BODY_ROUTE_DIRECTION &&
		!request_find(s, msg->txn) && !request_was(s, msg->txn));
}

/* Is it an answer to something we asked? */
static bool is_ours(const struct session *s, uint32_t txn)
{
	return txn && (txn == s->register_txn || txn == s->keepalive_txn ||
		       request_find(s, txn));
}

static void dispatch(struct session *s, const Ntm__Signal *msg,
		     const struct addr *from)
{
	struct request *rq;

	if (is_told(s, msg)) {
		told(s, msg);
		return;
	}
	if (!is_ours(s, msg->txn))
		return;
	rq = request_find(s, msg->txn);
	if (rq && rq->probe) {
		request_end(rq, 0, msg);
	} else if (msg->body_case == NTM__SIGNAL__BODY_REGISTRATION_RESPONSE) {
		registration_answered(s, msg->txn, msg->registration_response,
				      from);
	} else if (msg->body_case == NTM__SIGNAL__BODY_KEEP_ALIVE_ACK) {
		if (msg->txn == s->keepalive_txn)
			presence_answered(s, msg->keep_alive_ack);
	} else if (rq) {
		request_end(rq, 0, msg);
	}
}

/* The first answer that fits sets the window; see Theory. */
static bool replay_accept(struct session *s, const Ntm__Signal *msg,
			  uint64_t counter)
{
	if (s->synced)
		return ntmc_replay64_mark(&s->replay, counter);
	if (is_told(s, msg) || !is_ours(s, msg->txn))
		return false;
	memset(&s->replay, 0, sizeof(s->replay));
	s->synced = ntmc_replay64_mark(&s->replay, counter);
	s->replay.bits = UINT64_MAX;
	return s->synced;
}

void session_datagram(struct session *s, const struct packet_header *h,
		      uint8_t *buf, size_t len, const struct addr *from)
{
	ProtobufCMessage *msg;

	if (!s->keyed || h->id != s->node_id)
		return;
	if (s->synced && !ntmc_replay64_check(&s->replay, h->counter))
		return;
	if (datagram_open(h, s->keys.aead, &s->keys.down, buf, len,
			  &ntm__signal__descriptor, &msg))
		return;
	if (replay_accept(s, (Ntm__Signal *)msg, h->counter)) {
		s->heard_ns = loop_now(s->w->loop);
		dispatch(s, (Ntm__Signal *)msg, from);
	}
	datagram_free(msg);
}

int session_seal(struct session *s, Ntm__Signal *msg,
		 uint8_t buf[static PACKET_SIGNAL_MAX], uint32_t *txn)
{
	if (!s->keyed)
		return -NTM_ENOLOGIN;
	*txn = msg->txn = session_txn(s);
	return seal(s, &msg->base, buf);
}

int session_open(struct session *s, uint8_t *buf, size_t len, Ntm__Signal **out)
{
	struct packet_header h;
	ProtobufCMessage *msg;

	if (packet_header_get(buf, len, &h) || h.type != PACKET_SIGNAL)
		return -NTM_EDECODE;
	if (!s->keyed || !s->synced || h.id != s->node_id ||
	    !ntmc_replay64_check(&s->replay, h.counter) ||
	    datagram_open(&h, s->keys.aead, &s->keys.down, buf, len,
			  &ntm__signal__descriptor, &msg))
		return -NTM_EAUTH;
	if (!ntmc_replay64_mark(&s->replay, h.counter)) {
		datagram_free(msg);
		return -NTM_EAUTH;
	}
	*out = (Ntm__Signal *)msg;
	return 0;
}

/* --- life ---------------------------------------------------------------------------------- */

int session_new(struct worker *w, struct session **out)
{
	struct session *s = calloc(1, sizeof(*s));
	int err = -NTM_ENOMEM;

	if (!s)
		return err;
	s->w = s->revocation.w = w;
	s->unknown_s = SESSION_UNKNOWN_S;
	ntmc_random(&w->env->crypto, &s->next_txn, sizeof(s->next_txn));
	ntmc_random(&w->env->crypto, &s->sequence, sizeof(s->sequence));
	s->sequence >>= 64 - PACKET_BOOT_SHIFT + 2; /* the lowest quarter */
	err = loop_timer_new(w->loop, registration_due, s, &s->register_timer);
	if (!err)
		err = loop_timer_new(w->loop, presence_due, s,
				     &s->keepalive_timer);
	if (err) {
		session_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	requests_free(s);
	loop_timer_free(s->register_timer);
	loop_timer_free(s->keepalive_timer);
	datagram_keys_clear(&s->keys);
	free(s);
}

int session_start(struct session *s)
{
	const struct account *a = s->w->account;
	int err = datagram_keys_derive(&a->secrets->kntmdc, a->node_id,
				       ntmc_aead_preferred(), &s->keys);

	if (err)
		return err;
	if (s->node_id != a->node_id)
		s->synced = false;
	s->node_id = a->node_id;
	s->keyed = true;
	if (s->dc >= a->n_dc) {
		s->dc = 0;
		s->dc_works = false;
	}
	registration_start(s);
	return 0;
}

void session_stop(struct session *s)
{
	session_set_state(s, SESSION_OFF);
	datagram_keys_clear(&s->keys);
	s->keyed = s->synced = false;
	s->node_id = 0;
	keepalive_moved(s->w->keepalive);
	notify_stop(s->w->notify);
	requests_fail(s, -NTM_ENOLOGIN);
}

/* --- questions ------------------------------------------------------------------------------- */

enum session_state session_state(const struct session *s)
{
	return s->state;
}

bool session_dc(const struct session *s, struct addr *dc)
{
	if (!s->keyed || !s->dc_works)
		return false;
	*dc = s->w->account->dc[s->dc];
	return true;
}

bool session_observed(const struct session *s, struct addr *observed)
{
	*observed = s->observed;
	return addr_is_set(observed);
}

unsigned int session_rtt_us(const struct session *s)
{
	return (unsigned int)s->rtt_us;
}

bool session_clock_wrong(const struct session *s,
			 char out[static SESSION_CLOCK_TEXT])
{
	if (s->skew >= -CLOCK_SKEW_S && s->skew <= CLOCK_SKEW_S)
		return false;
	snprintf(out, SESSION_CLOCK_TEXT,
		 "this machine's clock is %lld s %s the server's",
		 (long long)(s->skew < 0 ? -s->skew : s->skew),
		 s->skew < 0 ? "ahead of" : "behind");
	return true;
}

uint64_t session_since_ns(const struct session *s)
{
	return s->since_ns;
}

unsigned int session_silent_s(const struct session *s)
{
	if (s->state != SESSION_REGISTERING)
		return 0;
	return (unsigned int)((loop_now(s->w->loop) - s->since_ns) / LOOP_S(1));
}
