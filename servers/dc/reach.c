/* SPDX-License-Identifier: MIT */
/* reach - how nodes are reached: by themselves, or through which relay */
#include "servers/dc/reach.h"

#include <string.h>

#include "servers/dc/state.h"

#define RTT_UNIT_US	100    /* of struct node_relay: up to 6.5 s */
#define RTT_UNKNOWN_US	150000 /* taken for who has not measured */
#define RTT_SMOOTHING	8
#define LOAD_FULL	1000
#define LOAD_MAX	4000
#define COST_NO_LINK	UINT64_C(1000000000)
#define COST_RATHER_NOT UINT64_C(4000000000)

/* --- nodes ------------------------------------------------------------------ */

uint8_t reach_family(const struct addr *addr)
{
	return addr->sa.sa_family == AF_INET	? REACH_IP4
	       : addr->sa.sa_family == AF_INET6 ? REACH_IP6
						: 0;
}

static uint8_t ip_family(const uint8_t ip[static 16])
{
	struct addr a;

	return addr_from_ip(ip, 16, 1, &a) ? 0 : reach_family(&a);
}

static void keep_rtt(struct node_relay *kept, struct relay *r, uint32_t rtt_us)
{
	uint32_t units = rtt_us / RTT_UNIT_US;

	kept->relay = r->number;
	kept->rtt = (uint16_t)(units > UINT16_MAX ? UINT16_MAX : units);
	if (r->rtt_us)
		r->rtt_us += (uint32_t)(((int64_t)rtt_us - r->rtt_us) /
					RTT_SMOOTHING);
	else
		r->rtt_us = rtt_us;
}

/* no UDP passes there, in nor out */
static bool is_blocked(const struct node *n)
{
	return n->mapping == NTM__NAT_MAPPING__MAPPING_BLOCKED;
}

void reach_note(struct dc *dc, struct node *n,
		const Ntm__RegistrationRequest *q)
{
	size_t kept = 0;

	n->flags &= (uint8_t)~NODE_REACHABLE;
	n->mapping = (uint8_t)q->mapping;
	/* what is seen of it through a gate is the gate's */
	n->families = is_blocked(n) ? 0 : ip_family(n->at.ip);
	for (size_t i = 0; i < n->n_addrs; i++) {
		n->families |= ip_family(n->addrs[i].ip);
		/* IPv6: behind a firewall, too, own and observed are one */
		if (n->addrs[i].port == n->at.port &&
		    (q->unasked || ip_family(n->at.ip) != REACH_IP6) &&
		    !memcmp(n->addrs[i].ip, n->at.ip, sizeof(n->at.ip)))
			n->flags |= NODE_REACHABLE;
	}
	memset(n->relays, 0, sizeof(n->relays));
	for (size_t i = 0; i < q->n_relays && kept < NODES_RELAYS_MAX; i++) {
		struct relay *r = relays_find_id(dc, q->relays[i]->id);

		if (r)
			keep_rtt(&n->relays[kept++], r, q->relays[i]->rtt_us);
	}
}

/* microseconds; false: not measured */
static bool rtt_of(const struct node *n, uint16_t relay, uint32_t *out)
{
	for (size_t i = 0; i < NODES_RELAYS_MAX; i++) {
		if (n->relays[i].relay != relay)
			continue;
		*out = n->relays[i].rtt * RTT_UNIT_US;
		return true;
	}
	*out = RTT_UNKNOWN_US;
	return false;
}

uint32_t reach_between(const struct node *a, const struct node *b)
{
	uint32_t ra, rb, least = 2 * RTT_UNKNOWN_US;

	for (size_t i = 0; i < NODES_RELAYS_MAX; i++) {
		if (!a->relays[i].relay)
			continue;
		ra = a->relays[i].rtt * RTT_UNIT_US;
		if (rtt_of(b, a->relays[i].relay, &rb) && ra + rb < least)
			least = ra + rb;
	}
	return least;
}

bool reach_needs_relay(const struct node *mn, const struct node *cn)
{
	return is_blocked(mn) || is_blocked(cn) ||
	       !((mn->flags | cn->flags) & NODE_REACHABLE) ||
	       !(mn->families & cn->families);
}

bool reach_cn_sends(const struct node *mn, const struct node *cn)
{
	return mn->flags & NODE_REACHABLE && !is_blocked(mn) &&
	       !(cn->flags & NODE_REACHABLE);
}

/* --- relays ------------------------------------------------------------------- */

/* Both round trips; half as much again for each half of its capacity in use. */
static uint64_t cost_of(const struct relay *r, const struct node *mn,
			const struct node *cn, uint16_t rather_not)
{
	uint32_t load = r->load < LOAD_MAX ? r->load : LOAD_MAX;
	uint32_t a, b;
	uint64_t cost;

	rtt_of(mn, r->number, &a);
	rtt_of(cn, r->number, &b);
	cost = (uint64_t)(a + b + RTT_UNIT_US) * (LOAD_FULL + load) / LOAD_FULL;
	if (!r->channel) /* it may have died a moment ago */
		cost += COST_NO_LINK;
	if (r->number == rather_not)
		cost += COST_RATHER_NOT;
	return cost;
}

uint16_t reach_choose(struct dc *dc, const struct node *mn,
		      const struct node *cn, uint16_t never,
		      uint16_t rather_not)
{
	uint64_t cost, least = UINT64_MAX;
	uint16_t best[RELAYS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < RELAYS_MAX; i++) {
		const struct relay *r = &dc->relays->list[i];

		if (!r->number || r->number == never ||
		    !relay_is_usable(dc, r) || !(r->families & mn->families) ||
		    !(r->families & cn->families))
			continue;
		cost = cost_of(r, mn, cn, rather_not);
		if (cost > least)
			continue;
		if (cost < least)
			n = 0;
		least = cost;
		best[n++] = r->number;
	}
	return n ? best[dc->relays->turn++ % n] : 0; /* alike: by turns */
}

void reach_fill_relay(const struct relay *r, struct reach_relay *out)
{
	ntm__relay__init(&out->msg);
	out->msg.id = relay_id(r);
	for (size_t i = 0; i < r->n_addrs; i++) {
		ntm__address__init(&out->address[i]);
		addr_to_message(&r->addrs[i], NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&out->address[i]);
		out->list[i] = &out->address[i];
	}
	out->msg.n_addresses = r->n_addrs;
	out->msg.addresses = out->list;
	out->msg.tls_port = r->tls_port;
}

size_t reach_gates(struct dc *dc, struct reach_relay out[static REACH_TOLD_MAX])
{
	uint32_t start = dc->relays->turn++;
	size_t n = 0;

	for (size_t i = 0; i < RELAYS_MAX && n < REACH_TOLD_MAX; i++) {
		const struct relay *r =
			&dc->relays->list[(start + i) % RELAYS_MAX];

		if (r->number && r->tls_port && relay_is_usable(dc, r))
			reach_fill_relay(r, &out[n++]);
	}
	return n;
}

static bool is_told(const struct relay *const *told, size_t n,
		    const struct relay *r)
{
	for (size_t i = 0; i < n; i++)
		if (told[i] == r)
			return true;
	return false;
}

size_t reach_tell(struct dc *dc, const struct node *n,
		  struct reach_relay out[static REACH_TOLD_MAX])
{
	const struct relay *told[REACH_TOLD_MAX], *r, *best;
	uint32_t start = dc->relays->turn++, rtt, least;
	size_t count = 0;

	/* half of them stay, or two nodes would seldom measure the same one */
	while (count < REACH_TOLD_MAX / 2) {
		best = NULL;
		least = UINT32_MAX;
		for (size_t i = 0; i < RELAYS_MAX; i++) {
			r = &dc->relays->list[i];
			if (r->number && relay_is_usable(dc, r) &&
			    r->families & n->families &&
			    rtt_of(n, r->number, &rtt) && rtt < least &&
			    !is_told(told, count, r)) {
				best = r;
				least = rtt;
			}
		}
		if (!best)
			break;
		told[count++] = best;
	}
	for (size_t i = 0; i < RELAYS_MAX && count < REACH_TOLD_MAX; i++) {
		r = &dc->relays->list[(start + i) % RELAYS_MAX];
		if (r->number && relay_is_usable(dc, r) &&
		    r->families & n->families && !is_told(told, count, r))
			told[count++] = r;
	}
	for (size_t i = 0; i < count; i++)
		reach_fill_relay(told[i], &out[i]);
	return count;
}
