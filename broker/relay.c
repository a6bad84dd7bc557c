/* SPDX-License-Identifier: MIT */
/*
 * relay - the relays that the DC names: how far they are, and what they see of us
 *
 * Theory of operation
 *
 * The DC names up to RELAYS_MAX relays when a node registers. Each of their
 * addresses to which there is a route gets a probe, three times at most; the answer
 * gives the round trip and the address the relay saw. A round begins when the list
 * changes, when our own addresses or what the DC sees of us change, and when a
 * direction is wanted and the last round is RELAY_PROBE_S old. So a node that does
 * nothing sends nothing.
 *
 * Over IPv6, where an own address is seen behind a firewall too, each round asks once for
 * an answer from the relay's other port: it comes in where unasked packets do. What the
 * answers mean of NATs: relay_seen.c; who is told: relay_told.c.
 *
 * Trust. Probes are in clear. The counter is random, so nobody off the way can
 * answer; who is on the way can make a relay look near or a NAT look bad, and that
 * costs a detour, no more: addresses observed are told to peers as candidates, and
 * peers challenge them.
 */
#include "broker/relay_impl.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "broker/gate.h"
#include "broker/portmap.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "common/log.h"

/* --- questions ------------------------------------------------------------------------ */

size_t relays_count(const struct relays *rs)
{
	return rs->n;
}

const struct relay *relays_at(const struct relays *rs, size_t i)
{
	return &rs->list[i];
}

uint64_t relay_nearest(const struct relay *r, struct addr *out)
{
	uint64_t best = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct relay_addr *a = &r->addrs[i];

		if (!a->rtt_ns || (best && a->rtt_ns >= best))
			continue;
		best = a->rtt_ns;
		*out = a->addr;
	}
	return best;
}

bool relays_prefer(const struct relays *rs, uint64_t id, struct addr *out)
{
	for (size_t i = 0; i < rs->n; i++)
		if (rs->list[i].id == id)
			return relay_nearest(&rs->list[i], out) != 0;
	return false;
}

static void round_end(struct relays *rs)
{
	struct relays_wait *wait;

	rs->running = rs->other = false;
	loop_timer_disarm(rs->timer);
	while ((wait = rs->waits)) {
		rs->waits = wait->next;
		wait->fn(wait->arg);
	}
	portmap_look(rs->w->portmap);
	relays_refresh(rs);
}

/* --- probing ------------------------------------------------------------------------------ */

static void probe_send(struct relays *rs, const struct relay *r,
		       struct relay_addr *a, uint8_t flags)
{
	struct packet_header h = {
		.type = PACKET_RELAY_PROBE, .flags = flags, .id = r->id};
	uint8_t buf[PACKET_PROBE_LEN] = {0};

	h.counter = a->counter;
	packet_header_put(&h, buf);
	if (!flags)
		a->sent_ns = loop_now_exact(rs->w->loop);
	if (datapath_send(rs->w->dp, buf, sizeof(buf), &a->addr))
		log_debug("relay", "a probe could not be sent");
}

static bool source_of(const struct relays *rs, const struct addr *remote,
		      struct addr *source)
{
	const struct worker_env *env = rs->w->env;
	unsigned int mtu;

	return !env->route(env->ctx, remote, source, &mtu);
}

/* Return: somebody is asked still */
static bool round_send(struct relays *rs, bool first)
{
	bool any = false;

	for (size_t i = 0; i < rs->n; i++)
		for (size_t j = 0; j < rs->list[i].n; j++) {
			struct relay_addr *a = &rs->list[i].addrs[j];

			if (first) {
				a->other = false;
				a->unasked -= a->unasked > 0;
				a->asked = source_of(rs, &a->addr, &a->source);
				a->answered = false;
				ntmc_random(&rs->w->env->crypto, &a->counter,
					    sizeof(a->counter));
			}
			if (a->asked && !a->other &&
			    (rs->other ||
			     (first && a->addr.sa.sa_family == AF_INET6)))
				probe_send(rs, &rs->list[i], a,
					   PACKET_OTHER_PORT);
			if (!a->asked || a->answered)
				continue;
			probe_send(rs, &rs->list[i], a, 0);
			any = true;
		}
	return any;
}

/* Who was asked and is silent is no relay that we know the way to. */
static void silent_forget(struct relays *rs)
{
	for (size_t i = 0; i < rs->n; i++)
		for (size_t j = 0; j < rs->list[i].n; j++) {
			struct relay_addr *a = &rs->list[i].addrs[j];

			if (a->answered)
				continue;
			a->rtt_ns = 0;
			addr_clear(&a->observed);
		}
}

static void probe_due(void *arg)
{
	struct relays *rs = arg;

	if (rs->tries == RELAY_PROBE_TRIES ||
	    (!round_send(rs, false) && !rs->other)) {
		silent_forget(rs);
		round_end(rs);
		return;
	}
	loop_timer_arm(rs->timer,
		       LOOP_MS((uint64_t)RELAY_PROBE_FIRST_MS << rs->tries));
	rs->tries++;
}

static void relays_probe(struct relays *rs)
{
	if (!rs->n)
		return;
	rs->round_ns = loop_now(rs->w->loop);
	rs->running = true;
	rs->tries = 1;
	if (!session_observed(rs->w->session, &rs->dc_observed))
		addr_clear(&rs->dc_observed);
	if (round_send(rs, true)) {
		loop_timer_arm(rs->timer, LOOP_MS(RELAY_PROBE_FIRST_MS));
		return;
	}
	silent_forget(rs);
	round_end(rs);
}

bool relays_measure(struct relays *rs, struct relays_wait *wait)
{
	if (!rs->n)
		return false;
	wait->next = rs->waits;
	rs->waits = wait;
	rs->other = true;
	loop_timer_disarm(rs->timer);
	rs->round_ns = loop_now(rs->w->loop);
	rs->running = true;
	rs->tries = 1;
	round_send(rs, true); /* answered at the earliest with the next turn */
	loop_timer_arm(rs->timer, LOOP_MS(RELAY_PROBE_FIRST_MS));
	return true;
}

void relays_measure_cancel(struct relays *rs, struct relays_wait *wait)
{
	struct relays_wait **at = &rs->waits;

	while (*at && *at != wait)
		at = &(*at)->next;
	if (*at)
		*at = wait->next;
}

void relays_wanted(struct relays *rs)
{
	if (!rs->running &&
	    loop_now(rs->w->loop) - rs->round_ns > LOOP_S(RELAY_PROBE_S))
		relays_probe(rs);
}

void relays_check(struct relays *rs)
{
	if (!rs->running)
		relays_probe(rs);
}

bool relays_heard_since(const struct relays *rs, uint64_t since_ns)
{
	return rs->heard_ns && rs->heard_ns >= since_ns;
}

void relays_rerouted(struct relays *rs)
{
	for (size_t i = 0; i < rs->n; i++)
		for (size_t j = 0; j < rs->list[i].n; j++)
			addr_clear(&rs->list[i].addrs[j].observed);
	relays_probe(rs);
}

void relays_moved(struct relays *rs)
{
	struct addr now;
	bool moved = false;

	for (size_t i = 0; i < rs->n; i++)
		for (size_t j = 0; j < rs->list[i].n; j++) {
			struct relay_addr *a = &rs->list[i].addrs[j];

			addr_clear(&now);
			if (!source_of(rs, &a->addr, &now))
				addr_clear(&now);
			if (addr_equal_ip(&now, &a->source))
				continue;
			addr_clear(&a->observed);
			a->unasked = 0;
			a->source = now;
			moved = true;
		}
	if (moved)
		relays_probe(rs);
}

int relay_ack_get(const uint8_t *buf, size_t len, struct addr *observed)
{
	const uint8_t *p = buf + PACKET_HEADER_LEN;
	struct addr a;
	uint16_t family, port;

	if (len != PACKET_PROBE_LEN)
		return -NTM_EDECODE;
	memcpy(&family, p, sizeof(family));
	memcpy(&port, p + 2, sizeof(port));
	family = be16toh(family);
	if ((family != 4 && family != 6) || !port ||
	    addr_from_ip(p + 4, family == 4 ? 4 : 16, be16toh(port), &a) ||
	    !addr_is_usable_remote(&a))
		return -NTM_EDECODE;
	*observed = a;
	return 0;
}

static struct relay_addr *by_probe(struct relays *rs,
				   const struct packet_header *h)
{
	for (size_t i = 0; i < rs->n; i++)
		for (size_t j = 0; j < rs->list[i].n; j++) {
			struct relay_addr *a = &rs->list[i].addrs[j];

			if (rs->list[i].id == h->id && a->asked &&
			    a->counter == h->counter)
				return a;
		}
	return NULL;
}

/* The other port's answers are waited for until the round is over. */
static bool all_answered(const struct relays *rs)
{
	if (rs->other)
		return false;
	for (size_t i = 0; i < rs->n; i++)
		for (size_t j = 0; j < rs->list[i].n; j++)
			if (rs->list[i].addrs[j].asked &&
			    !rs->list[i].addrs[j].answered)
				return false;
	return true;
}

void relays_datagram(struct relays *rs, const struct packet_header *h,
		     const uint8_t *buf, size_t len)
{
	struct relay_addr *a = by_probe(rs, h);
	struct addr observed;
	bool carried;
	uint64_t rtt;

	if (!a || relay_ack_get(buf, len, &observed))
		return;
	/* through its gate a relay sees the gate, by whichever family */
	carried = gate_carries(rs->w->gate, &a->addr);
	if (!carried && observed.sa.sa_family != a->addr.sa.sa_family)
		return;
	if (carried)
		addr_clear(&observed);
	else
		rs->heard_ns = loop_now(rs->w->loop);
	if (h->flags & PACKET_OTHER_PORT) {
		a->other = true;
		if (a->addr.sa.sa_family == AF_INET6)
			a->unasked = 2;
		if (!rs->running)
			relays_refresh(rs);
		return;
	}
	if (a->answered)
		return;
	rtt = loop_now_exact(rs->w->loop) - a->sent_ns;
	a->rtt_ns = rtt ? rtt : 1;
	a->observed = observed;
	a->answered = true;
	if (!rs->running || !all_answered(rs))
		return;
	silent_forget(rs);
	round_end(rs);
}

/* --- the list ---------------------------------------------------------------------------- */

static bool relay_take(const Ntm__Relay *m, struct relay *out)
{
	struct addr list[RELAY_ADDRS_MAX];

	memset(out, 0, sizeof(*out));
	out->id = m->id;
	out->n = addr_list_from_messages(m->addresses, m->n_addresses, list,
					 RELAY_ADDRS_MAX);
	for (size_t i = 0; i < out->n; i++)
		out->addrs[i].addr = list[i];
	return out->n > 0;
}

static bool same(const struct relay *a, const struct relay *b)
{
	if (a->id != b->id || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!addr_equal(&a->addrs[i].addr, &b->addrs[i].addr))
			return false;
	return true;
}

void relays_named(struct relays *rs, Ntm__Relay *const *list, size_t n)
{
	struct relay fresh[RELAYS_MAX];
	struct addr seen;
	size_t k = 0, known = 0;
	bool gone;

	gate_named(rs->w->gate, list, n);
	for (size_t i = 0; i < n && k < RELAYS_MAX; i++)
		if (relay_take(list[i], &fresh[k]))
			k++;
	for (size_t i = 0; i < k; i++)
		for (size_t j = 0; j < rs->n; j++)
			if (same(&fresh[i], &rs->list[j])) {
				fresh[i] = rs->list[j];
				known++;
				break;
			}
	gone = known < rs->n;
	memcpy(rs->list, fresh, k * sizeof(fresh[0]));
	rs->n = k;
	if (!session_observed(rs->w->session, &seen))
		addr_clear(&seen);
	if (known < k || (k && !addr_equal(&seen, &rs->dc_observed)))
		relays_probe(rs);
	else if (gone && rs->running && all_answered(rs))
		round_end(rs);
}

/* --- life --------------------------------------------------------------------------------- */

int relays_new(struct worker *w, struct relays **out)
{
	struct relays *rs = calloc(1, sizeof(*rs));

	if (!rs)
		return -NTM_ENOMEM;
	rs->w = w;
	if (loop_timer_new(w->loop, probe_due, rs, &rs->timer)) {
		free(rs);
		return -NTM_ENOMEM;
	}
	*out = rs;
	return 0;
}

void relays_forget(struct relays *rs)
{
	rs->n = rs->n_told = 0;
	if (rs->running)
		round_end(rs);
	loop_timer_disarm(rs->timer);
}

void relays_free(struct relays *rs)
{
	if (!rs)
		return;
	loop_timer_free(rs->timer);
	free(rs);
}
