/* SPDX-License-Identifier: MIT */
/*
 * session - the node's session with its DC: sealed datagrams, answers, presence
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
 * Registration. A Registration Request goes to the address of the DC that worked
 * last; from the first repetition on to all of them, and the one that answers
 * stays. A challenge is echoed at once, the fourth in a row with the next repetition
 * (a NAT may give each datagram another address); the answer without one makes us
 * ONLINE. The DC may answer any request with a challenge (a NAT moved, it restarted),
 * or, where the request was too small for that, with an empty response: then we
 * register, and what waited is sent again. Our Registration Requests are padded: the
 * DC sends to an address that is not proven no more than came from it.
 *
 * Requests (SESSION_REQUESTS_MAX). Each has a transaction number, a time limit and
 * doubling repetitions. They leave while ONLINE; becoming ONLINE sends all that wait.
 *
 * Presence. A Keep Alive every so often as keepalive.c says; two repetitions; then
 * registration. One that follows a change of that interval says so: the DC counts by
 * it. A new `boot` in any answer: the DC restarted, register. Never gives up.
 *
 * A DC that was restored from a backup has no key of ours and cannot say so: it is
 * silent. After SESSION_UNKNOWN_S without an answer, and each time twice as much later,
 * the AS is asked for a new session; the one in use stays until that has come.
 */
#include "broker/session_state.h"

#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/direction.h"
#include "broker/gate.h"
#include "broker/keepalive.h"
#include "broker/login.h"
#include "broker/notify.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/portmap.h"
#include "broker/postlink.h"
#include "broker/relay.h"
#include "broker/revocation.h"
#include "broker/timers.h"
#include "common/datagram.h"
#include "common/log.h"

static const char *const state_names[] = {
	[SESSION_OFF] = "OFF",
	[SESSION_REGISTERING] = "REGISTERING",
	[SESSION_ONLINE] = "ONLINE",
};

static void session_set_state(struct session *s, enum session_state state)
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

static int send_to(struct session *s, const ProtobufCMessage *msg,
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
	return send_to(s, &msg->base, &s->w->account->dc[s->dc], SESSION_ANY);
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

/* --- registration ------------------------------------------------------------------ */

static size_t local_messages(struct session *s, struct addr *addrs,
			     Ntm__Address *m, Ntm__Address **list)
{
	const struct worker_env *env = s->w->env;
	size_t mapped = portmap_mapped(s->w->portmap, &addrs[0]);
	size_t n = mapped + env->locals(env->ctx, addrs + mapped,
					ADDR_REMOTES_MAX - mapped);

	for (size_t i = 0; i < n; i++) {
		if (i >= mapped)
			addr_set_port(&addrs[i], s->w->udp_port);
		addr_to_message(&addrs[i],
				i < mapped ? NTM__ADDRESS_KIND__ADDRESS_MAPPED
					   : NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&m[i]);
		list[i] = &m[i];
	}
	return n;
}

int session_register_to(struct session *s, uint32_t txn, const struct addr *to,
			bool challenge, enum session_way way)
{
	Ntm__RegistrationRequest r = NTM__REGISTRATION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct addr addrs[ADDR_REMOTES_MAX];
	Ntm__PushToken push;
	Ntm__Address m[ADDR_REMOTES_MAX], *list[ADDR_REMOTES_MAX];
	Ntm__RelayRtt rtt[RELAYS_MAX], *rtts[RELAYS_MAX];

	r.n_addresses = local_messages(s, addrs, m, list);
	r.addresses = list;
	r.n_relays =
		relays_tell(s->w->relays, rtt, rtts, &r.mapping, &r.unasked);
	r.relays = rtts;
	r.revocation_serial = pins_serial(s->w->pins);
	r.keepalive_s = keepalive_interval_s(s->w->keepalive);
	r.wakeup = notify_wanted(s->w->notify);
	if (notify_push(s->w->notify, &push))
		r.push = &push;
	if (challenge) {
		r.challenge.data = s->challenge;
		r.challenge.len = s->challenge_len;
	}
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_REGISTRATION_REQUEST;
	msg.registration_request = &r;
	datagram_pad_registration(&msg);
	return send_to(s, &msg.base, to, way);
}

void session_by_gate(struct session *s)
{
	if (s->state == SESSION_REGISTERING &&
	    gate_state(s->w->gate) == GATE_TRYING &&
	    session_register_to(s, s->register_txn, &s->w->account->dc[s->dc],
				false, SESSION_GATE))
		log_debug("session", "no gate to the DC yet");
}

/* The first attempt asks the DC that worked; later ones, or one that could not
 * leave, ask all: IPv6 may work where IPv4 does not. */
void session_register(struct session *s)
{
	const struct account *a = s->w->account;
	/* behind a gate all are one */
	bool carried = gate_state(s->w->gate) == GATE_USED;
	bool all = !carried && (s->register_tries > 0 || !s->dc_works);
	uint64_t pause, longest;
	uint8_t jitter;

	s->asked_ns = loop_now_exact(s->w->loop);
	if (session_register_to(s, s->register_txn, &a->dc[s->dc], true,
				SESSION_ANY))
		all = !carried;
	for (size_t i = 0; all && i < a->n_dc; i++)
		if (i != s->dc &&
		    session_register_to(s, s->register_txn, &a->dc[i], false,
					SESSION_ANY))
			continue;
	gate_unanswered(s->w->gate, s->register_tries);
	session_by_gate(s);
	pause = LOOP_MS((uint64_t)REQUEST_FIRST_MS
			<< (s->register_tries < 7 ? s->register_tries : 7));
	longest = LOOP_S(s->challenges > CHALLENGES_AT_ONCE
				 ? REGISTER_CHALLENGED_S
				 : REGISTER_RESTART_S);
	if (pause > longest)
		pause = longest;
	/* all nodes of a DC that was away must not come at one time */
	ntmc_random(&s->w->env->crypto, &jitter, sizeof(jitter));
	pause -= pause / 4 * jitter / UINT8_MAX;
	s->register_tries++;
	s->echoes++;
	loop_timer_arm(s->register_timer, pause);
}

/* Does the DC know this session at all? */
static void unknown_check(struct session *s)
{
	uint64_t silent = loop_now(s->w->loop) - s->since_ns;

	if (silent < LOOP_S(s->unknown_s))
		return;
	s->unknown_s += s->unknown_s < SESSION_UNKNOWN_MAX_S
				? s->unknown_s
				: SESSION_UNKNOWN_MAX_S;
	login_refresh(s->w->login);
}

static void register_again(void *arg)
{
	struct session *s = arg;

	if (s->echoes == 3)
		log_warn("session", "the DC does not answer; still trying");
	if (s->echoes > 2)
		s->challenge_len = s->challenges = 0;
	session_register(s);
	unknown_check(s);
}

static void register_anew(struct session *s)
{
	s->register_tries = s->echoes = 0;
	s->register_txn = session_txn(s);
	session_set_state(s, SESSION_REGISTERING);
	session_register(s);
}

static void source_of(const struct session *s, struct addr *out)
{
	const struct worker_env *env = s->w->env;
	unsigned int mtu;

	if (env->route(env->ctx, &s->w->account->dc[s->dc], out, &mtu))
		addr_clear(out);
}

static void register_start(struct session *s)
{
	source_of(s, &s->source);
	s->challenges = 0;
	register_anew(s);
}

static void register_challenged(struct session *s,
				const Ntm__RegistrationResponse *r)
{
	if (r->challenge.len > sizeof(s->challenge))
		return;
	memcpy(s->challenge, r->challenge.data, r->challenge.len);
	s->challenge_len = r->challenge.len;
	s->echoes = 0;
	if (s->challenges <= CHALLENGES_AT_ONCE)
		s->challenges++;
	if (s->challenges <= CHALLENGES_AT_ONCE ||
	    s->state != SESSION_REGISTERING)
		register_anew(s);
}

/* Somebody waits, and the next keep-alive may be far: is the way to the DC still one?
 * It is asked anew; where UDP is blocked now, that finds it out (gate.h). */
void session_doubt(struct session *s, uint64_t since_ns)
{
	if (s->state != SESSION_ONLINE || s->heard_ns >= since_ns)
		return;
	log_info("session", "the DC leaves a request unanswered; registering "
			    "anew");
	s->dc_works = false;
	register_start(s);
}

/* --- presence -------------------------------------------------------------------------- */

static void keepalive_send(struct session *s)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__KeepAlive k = NTM__KEEP_ALIVE__INIT;

	msg.txn = s->keepalive_txn;
	msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE;
	msg.keep_alive = &k;
	if (keepalive_interval_s(s->w->keepalive) != s->told_s)
		k.interval_s = keepalive_interval_s(s->w->keepalive);
	s->telling_s = keepalive_interval_s(s->w->keepalive);
	s->asked_ns = loop_now_exact(s->w->loop);
	if (session_send(s, &msg))
		log_debug("session", "a keep-alive could not be sent");
}

static void keepalive_due(void *arg)
{
	struct session *s = arg;

	switch (s->keepalive_tries++) {
	case 0:
		s->keepalive_txn = session_txn(s);
		loop_timer_arm(s->keepalive_timer, LOOP_MS(KEEPALIVE_FIRST_MS));
		break;
	case 1:
		loop_timer_arm(s->keepalive_timer,
			       LOOP_MS(KEEPALIVE_SECOND_MS));
		break;
	default:
		log_info("session", "the DC is silent; registering anew");
		s->dc_works = false;
		register_start(s);
		return;
	}
	keepalive_send(s);
}

static void keepalive_arm(struct session *s)
{
	s->keepalive_tries = 0;
	s->keepalive_txn = 0;
	/* a stream through a gate is kept by what goes through it */
	if (notify_is_up(s->w->notify) && gate_state(s->w->gate) != GATE_USED) {
		loop_timer_disarm(s->keepalive_timer);
		return;
	}
	loop_timer_arm(s->keepalive_timer,
		       LOOP_S(keepalive_interval_s(s->w->keepalive)));
}

/* --- receiving -------------------------------------------------------------------------- */

static void clock_compare(struct session *s, int64_t dc_now)
{
	if (!dc_now)
		return;
	s->skew = dc_now - worker_wall(s->w);
	if (s->skew < CLOCK_SKEW_S && s->skew > -CLOCK_SKEW_S) {
		s->skew_said = false;
		return;
	}
	if (!s->skew_said)
		log_warn("session",
			 "this machine's clock is %lld s %s the DC's; set it",
			 (long long)(s->skew < 0 ? -s->skew : s->skew),
			 s->skew < 0 ? "ahead of" : "behind");
	s->skew_said = true;
}

static void dc_answered(struct session *s, const struct addr *from)
{
	const struct account *a = s->w->account;

	for (size_t i = 0; i < a->n_dc; i++)
		if (addr_equal(&a->dc[i], from)) {
			s->dc = i;
			s->dc_works = true;
		}
}

static unsigned int within(unsigned int v, unsigned int min, unsigned int max)
{
	return v < min ? min : v > max ? max : v;
}

/* The DC sees us by another port of the same NAT, and we had not moved. */
static bool is_lost(const struct session *s, uint64_t boot)
{
	return !s->moved && boot == s->boot &&
	       addr_equal_ip(&s->observed, &s->proven) &&
	       !addr_equal(&s->observed, &s->proven);
}

static void presence(struct session *s, const Ntm__RegistrationResponse *r)
{
	struct keepalive *k = s->w->keepalive;
	bool lost = is_lost(s, r->boot);
	unsigned int max = within(r->keepalive_max_s, 0, KEEPALIVE_MAX_S);
	unsigned int base =
		r->keepalive_s ? r->keepalive_s : KEEPALIVE_DEFAULT_S;

	base = within(base, KEEPALIVE_MIN_S, KEEPALIVE_MAX_S);
	s->boot = r->boot;
	s->proven = s->observed;
	s->moved = false;
	s->told_s = keepalive_interval_s(k); /* in the request */
	notify_named(s->w->notify, r);
	/* behind a gate no NAT's mapping is kept, and with an NS it is not what
	 * keeps us reachable: nothing to measure */
	if (gate_state(s->w->gate) == GATE_USED ||
	    notify_wanted(s->w->notify) == NTM__WAKEUP__WAKEUP_NS ||
	    notify_is_up(s->w->notify))
		max = 0;
	keepalive_online(k, base, max, &s->observed);
	if (lost)
		keepalive_lost(k);
	keepalive_arm(s);
}

static void online(struct session *s, const Ntm__RegistrationResponse *r)
{
	bool was = s->state == SESSION_ONLINE;
	struct request *rq, *tmp;

	s->challenge_len = 0;
	s->challenges = 0;
	s->register_txn = 0;
	s->unknown_s = SESSION_UNKNOWN_S;
	s->rtt_us = (loop_now_exact(s->w->loop) - s->asked_ns) / 1000;
	session_set_state(s, SESSION_ONLINE);
	presence(s, r);
	HASH_ITER (hh, s->requests, rq, tmp)
		if (!rq->probe)
			request_send(rq);
	revocation_ask(&s->revocation, r->revocation_serial);
	postlink_serial(s->w->postlink, r->cache_serial);
	relays_named(s->w->relays, r->relays, r->n_relays);
	if (!was)
		worker_online(s->w);
}

static void refused(struct session *s, int code)
{
	log_warn("session", "the DC refuses our registration: %s",
		 err_text(code));
	if (code == NTM_EEXPIRED || code == NTM_EAUTH) {
		session_stop(s);
		login_renew_now(s->w->login);
		return;
	}
	worker_logged_out(s->w, code);
}

static void registration_response(struct session *s, uint32_t txn,
				  const Ntm__RegistrationResponse *r,
				  const struct addr *from)
{
	clock_compare(s, r->now);
	if (txn == s->register_txn || !r->code)
		dc_answered(s, from);
	/* what is seen of us through a gate is the gate's */
	if (gate_state(s->w->gate) == GATE_USED ||
	    (r->observed && addr_from_message(r->observed, &s->observed)))
		addr_clear(&s->observed);
	if (r->challenge.len && !r->code)
		register_challenged(s, r);
	else if (!r->code && s->state == SESSION_ONLINE)
		register_start(s); /* our question had no room for it */
	else if (txn != s->register_txn || s->state != SESSION_REGISTERING)
		return;
	else if (r->code && r->code != NTM_EAGAIN && r->code != NTM_ELIMIT)
		refused(s, (int)r->code);
	else if (!r->code)
		online(s, r);
}

static void keepalive_ack(struct session *s, const Ntm__KeepAliveAck *k)
{
	s->rtt_us = (loop_now_exact(s->w->loop) - s->asked_ns) / 1000;
	if (k->boot != s->boot) {
		log_info("session", "the DC has restarted; registering anew");
		register_start(s);
		return;
	}
	s->told_s = s->telling_s;
	keepalive_arm(s);
	revocation_ask(&s->revocation, k->revocation_serial);
	postlink_serial(s->w->postlink, k->cache_serial);
}

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
		registration_response(s, msg->txn, msg->registration_response,
				      from);
	} else if (msg->body_case == NTM__SIGNAL__BODY_KEEP_ALIVE_ACK) {
		if (msg->txn == s->keepalive_txn)
			keepalive_ack(s, msg->keep_alive_ack);
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
	err = loop_timer_new(w->loop, register_again, s, &s->register_timer);
	if (!err)
		err = loop_timer_new(w->loop, keepalive_due, s,
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
	register_start(s);
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

void session_moved(struct session *s, bool changed)
{
	struct addr source;

	if (!s->keyed)
		return;
	source_of(s, &source);
	if (!changed && addr_equal_ip(&source, &s->source))
		return;
	/* that was elsewhere; @source may be of another address of the DC */
	if (!addr_is_set(&source) || !addr_equal_ip(&source, &s->source))
		addr_clear(&s->observed);
	s->moved = true;
	keepalive_moved(s->w->keepalive);
	register_start(s);
}

void session_quiet(struct session *s)
{
	loop_timer_disarm(s->keepalive_timer);
	keepalive_rest(s->w->keepalive);
}

void session_reachable(struct session *s)
{
	session_woke(s);
}

void session_woke(struct session *s)
{
	if (!s->keyed)
		return;
	s->moved = true; /* a mapping that is gone did not die in use */
	register_start(s);
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

int64_t session_clock_skew(const struct session *s)
{
	return s->skew;
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
