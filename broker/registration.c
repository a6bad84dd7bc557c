/* SPDX-License-Identifier: MIT */
/*
 * registration - the session's Registration Requests, until the DC knows where we are
 *
 * Theory of operation
 *
 * A Registration Request goes to the address of the DC that worked last; from the first
 * repetition on to all of them, and the one that answers stays. A challenge is echoed at
 * once, the fourth in a row with the next repetition (a NAT may give each datagram
 * another address); the answer without one makes us ONLINE. The DC may answer any request
 * with a challenge (a NAT moved, it restarted), or, where the request was too small for
 * that, with an empty response: then we register, and what waited is sent again. Our
 * Registration Requests are padded: the DC sends to an address that is not proven no more
 * than came from it. Never gives up.
 *
 * A DC that was restored from a backup has no key of ours and cannot say so: it is
 * silent. After SESSION_UNKNOWN_S without an answer, and each time twice as much later,
 * the AS is asked for a new session; the one in use stays until that has come.
 */
#include "broker/session_state.h"

#include <string.h>

#include "broker/account.h"
#include "broker/gate.h"
#include "broker/keepalive.h"
#include "broker/login.h"
#include "broker/notify.h"
#include "broker/pins.h"
#include "broker/portmap.h"
#include "broker/postlink.h"
#include "broker/relay.h"
#include "broker/timers.h"
#include "common/log.h"

/* --- asking ------------------------------------------------------------------------ */

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
	return session_send_to(s, &msg.base, to, way);
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

void registration_due(void *arg)
{
	struct session *s = arg;

	if (s->echoes == 3)
		log_warn("session", "the DC does not answer; still trying");
	if (s->echoes > 2)
		s->challenge_len = s->challenges = 0;
	session_register(s);
	unknown_check(s);
}

static void anew(struct session *s)
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

void registration_start(struct session *s)
{
	source_of(s, &s->source);
	s->challenges = 0;
	anew(s);
}

static void challenged(struct session *s, const Ntm__RegistrationResponse *r)
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
		anew(s);
}

/* --- answers ----------------------------------------------------------------------- */

static void clock_compare(struct session *s, int64_t dc_now)
{
	char text[SESSION_CLOCK_TEXT];
	bool wrong;

	if (!dc_now)
		return;
	s->skew = dc_now - worker_wall(s->w);
	wrong = session_clock_wrong(s, text);
	if (wrong && !s->skew_said)
		log_warn("session", "%s; set it", text);
	s->skew_said = wrong;
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
	presence_begin(s, r);
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

void registration_answered(struct session *s, uint32_t txn,
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
		challenged(s, r);
	else if (!r->code && s->state == SESSION_ONLINE)
		registration_start(s); /* our question had no room for it */
	else if (txn != s->register_txn || s->state != SESSION_REGISTERING)
		return;
	else if (r->code && r->code != NTM_EAGAIN && r->code != NTM_ELIMIT)
		refused(s, (int)r->code);
	else if (!r->code)
		online(s, r);
}

/* --- causes to register anew --------------------------------------------------------- */

/* Somebody waits, and the next keep-alive may be far: is the way to the DC still one?
 * It is asked anew; where UDP is blocked now, that finds it out (gate.h). */
void session_doubt(struct session *s, uint64_t since_ns)
{
	if (s->state != SESSION_ONLINE || s->heard_ns >= since_ns)
		return;
	log_info("session", "the DC leaves a request unanswered; registering "
			    "anew");
	s->dc_works = false;
	registration_start(s);
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
	registration_start(s);
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
	registration_start(s);
}
