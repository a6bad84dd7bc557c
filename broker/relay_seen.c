/* SPDX-License-Identifier: MIT */
/*
 * relay_seen - what the DC and the relays see of us: our addresses, and what the NAT does
 *
 * What several servers see over one family tells what a NAT does with a socket that speaks
 * with them all. Nothing is kept here: relay.c has what was seen last.
 */
#include "broker/relay_impl.h"

#include "broker/gate.h"
#include "broker/session.h"

static bool is_own(const struct worker *w, const struct addr *a)
{
	struct addr list[ADDR_REMOTES_MAX];
	size_t n = w->env->locals(w->env->ctx, list, ADDR_REMOTES_MAX);

	if (addr_port(a) != w->udp_port)
		return false;
	for (size_t i = 0; i < n; i++)
		if (addr_equal_ip(&list[i], a))
			return true;
	return false;
}

/* struct seen - what several servers saw over one family */
struct seen {
	const struct worker *w;
	int family;
	struct addr first;
	unsigned int n;
	bool own, differ;
};

static void seen_add(struct seen *s, const struct addr *a)
{
	if (a->sa.sa_family != s->family)
		return;
	s->own |= is_own(s->w, a);
	if (s->n++)
		s->differ |= !addr_equal(&s->first, a);
	else
		s->first = *a;
}

Ntm__NatMapping relays_mapping(const struct relays *rs, int family)
{
	struct seen s = {.w = rs->w, .family = family};
	struct addr dc;

	if (gate_state(rs->w->gate) == GATE_USED)
		return NTM__NAT_MAPPING__MAPPING_BLOCKED;
	if (session_observed(rs->w->session, &dc))
		seen_add(&s, &dc);
	for (size_t i = 0; i < rs->n; i++)
		for (size_t j = 0; j < rs->list[i].n; j++)
			seen_add(&s, &rs->list[i].addrs[j].observed);
	if (s.own)
		return NTM__NAT_MAPPING__MAPPING_NONE;
	if (s.n < 2)
		return NTM__NAT_MAPPING__MAPPING_UNKNOWN;
	return s.differ ? NTM__NAT_MAPPING__MAPPING_DEPENDENT
			: NTM__NAT_MAPPING__MAPPING_INDEPENDENT;
}

Ntm__NatMapping relays_told_mapping(const struct relays *rs)
{
	struct addr dc;

	if (gate_state(rs->w->gate) == GATE_USED)
		return NTM__NAT_MAPPING__MAPPING_BLOCKED;
	if (!session_observed(rs->w->session, &dc))
		return NTM__NAT_MAPPING__MAPPING_UNKNOWN;
	return relays_mapping(rs, dc.sa.sa_family);
}

static size_t add_once(struct addr *list, size_t n, size_t max,
		       const struct addr *a)
{
	if (!addr_is_set(a) || n == max)
		return n;
	for (size_t i = 0; i < n; i++)
		if (addr_equal(&list[i], a))
			return n;
	list[n] = *a;
	return n + 1;
}

size_t relays_observed(const struct relays *rs, struct addr *out, size_t max)
{
	struct addr dc;
	size_t n = 0;

	if (session_observed(rs->w->session, &dc))
		n = add_once(out, n, max, &dc);
	for (size_t i = 0; i < rs->n; i++)
		for (size_t j = 0; j < rs->list[i].n; j++)
			n = add_once(out, n, max,
				     &rs->list[i].addrs[j].observed);
	return n;
}
