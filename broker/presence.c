/* SPDX-License-Identifier: MIT */
/*
 * presence - keep-alives of the session: sent while ONLINE, repeated, answered
 *
 * Theory of operation
 *
 * A Keep Alive every so often as keepalive.c says; two repetitions; then registration.
 * One that follows a change of that interval says so: the DC counts by it. A new `boot`
 * in the answer: the DC restarted, register; one goes at once where ntm-member says that
 * a server of the domain has ended a connection, as it may be in the same machine. None is
 * sent where an NS tells us what the
 * DC has for us, unless a gate carries us.
 */
#include "broker/session_state.h"

#include "broker/gate.h"
#include "broker/keepalive.h"
#include "broker/notify.h"
#include "broker/postlink.h"
#include "broker/timers.h"
#include "common/log.h"

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

void presence_due(void *arg)
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
		registration_start(s);
		return;
	}
	keepalive_send(s);
}

static void presence_wait(struct session *s)
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

void presence_begin(struct session *s, const Ntm__RegistrationResponse *r)
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
	presence_wait(s);
}

void presence_answered(struct session *s, const Ntm__KeepAliveAck *k)
{
	s->rtt_us = (loop_now_exact(s->w->loop) - s->asked_ns) / 1000;
	if (k->boot != s->boot) {
		log_info("session", "the DC has restarted; registering anew");
		registration_start(s);
		return;
	}
	s->told_s = s->telling_s;
	presence_wait(s);
	revocation_ask(&s->revocation, k->revocation_serial);
	postlink_serial(s->w->postlink, k->cache_serial);
}

void session_look(struct session *s)
{
	if (s->state == SESSION_ONLINE && !s->keepalive_tries &&
	    loop_timer_armed(s->keepalive_timer))
		presence_due(s);
}

void session_quiet(struct session *s)
{
	loop_timer_disarm(s->keepalive_timer);
	keepalive_rest(s->w->keepalive);
}
