/* SPDX-License-Identifier: MIT */
/*
 * relay_told - what the DC is told of relays: round trips, our NAT; and asked: its list
 *
 * All of it goes with any Registration Request. What was told last is remembered: where a
 * round of probes finds something else, one Registration Request more says so, and brings
 * the list as it is now.
 */
#include "broker/relay_impl.h"

#include "broker/session.h"
#include "broker/timers.h"
#include "common/log.h"

#define RTT_STEP_NS LOOP_MS(5) /* a change below that, or a quarter, is none */

/* Is there nothing in front of us that lets in only whom we have written to? An own
 * address that servers see says nothing of that, over IPv6. */
static bool is_unasked(const struct relays *rs)
{
	for (size_t i = 0; i < rs->n; i++)
		for (size_t j = 0; j < rs->list[i].n; j++)
			if (rs->list[i].addrs[j].unasked)
				return true;
	return false;
}

size_t relays_tell(struct relays *rs, Ntm__RelayRtt *m, Ntm__RelayRtt **list,
		   Ntm__NatMapping *mapping, uint32_t *unasked)
{
	struct addr at;

	rs->n_told = 0;
	rs->told_unasked = is_unasked(rs);
	*unasked = rs->told_unasked;
	rs->told_mapping = *mapping = relays_told_mapping(rs);
	for (size_t i = 0; i < rs->n; i++) {
		uint64_t rtt = relay_nearest(&rs->list[i], &at);
		size_t k = rs->n_told;

		if (!rtt)
			continue;
		rs->told_id[k] = rs->list[i].id;
		rs->told_rtt_ns[k] = rtt;
		ntm__relay_rtt__init(&m[k]);
		m[k].id = rs->list[i].id;
		m[k].rtt_us = rtt / 1000 < UINT32_MAX ? (uint32_t)(rtt / 1000)
						      : UINT32_MAX;
		if (!m[k].rtt_us)
			m[k].rtt_us = 1;
		list[k] = &m[k];
		rs->n_told++;
	}
	return rs->n_told;
}

static bool told(const struct relays *rs, uint64_t id, uint64_t rtt)
{
	for (size_t i = 0; i < rs->n_told; i++) {
		uint64_t was = rs->told_rtt_ns[i];
		uint64_t step = was / 4 > RTT_STEP_NS ? was / 4 : RTT_STEP_NS;

		if (rs->told_id[i] == id)
			return rtt <= was + step && was <= rtt + step;
	}
	return false;
}

static bool changed(const struct relays *rs)
{
	struct addr at;

	if (rs->told_mapping != relays_told_mapping(rs) ||
	    rs->told_unasked != is_unasked(rs))
		return true;
	for (size_t i = 0; i < rs->n; i++) {
		uint64_t rtt = relay_nearest(&rs->list[i], &at);

		if (rtt && !told(rs, rs->list[i].id, rtt))
			return true;
	}
	return false;
}

static void refreshed(void *arg, int err, const Ntm__Signal *msg)
{
	struct relays *rs = arg;
	const Ntm__RegistrationResponse *r;

	rs->refresh = 0;
	if (err || msg->body_case != NTM__SIGNAL__BODY_REGISTRATION_RESPONSE) {
		rs->n_told = 0; /* told by the next one, then */
		return;
	}
	r = msg->registration_response;
	/* of many relays the DC names others each time: those we have will do */
	if (!r->code && !r->challenge.len && rs->asking)
		relays_named(rs, r->relays, r->n_relays);
	rs->asking = false;
	if (!rs->running)
		relays_refresh(rs); /* what changed meanwhile */
}

static void tell(struct relays *rs)
{
	struct addr dc;

	if (rs->refresh || session_state(rs->w->session) != SESSION_ONLINE ||
	    !session_dc(rs->w->session, &dc))
		return;
	if (session_probe(rs->w->session, &dc, DIRECTION_LIMIT_MS, refreshed,
			  rs, &rs->refresh))
		log_debug("relay", "the DC cannot be told now");
}

void relays_refresh(struct relays *rs)
{
	if (changed(rs))
		tell(rs);
}

void relays_ask(struct relays *rs)
{
	rs->asking = true;
	tell(rs);
}

void relays_met(struct relays *rs, uint64_t id)
{
	for (size_t i = 0; i < rs->n; i++)
		if (rs->list[i].id == id)
			return;
	if (rs->n &&
	    loop_now(rs->w->loop) - rs->round_ns < LOOP_S(RELAY_PROBE_S))
		return;
	relays_ask(rs);
}
