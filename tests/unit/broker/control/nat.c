/* SPDX-License-Identifier: MIT */
/* nat - a NAT in front of a node of the world: mapping and filtering, IPv4 */
#include <string.h>

#include "tests/unit/broker/control/world.h"

void nat_set(struct node *n, const char *outside, enum nat_rule mapping,
	     enum nat_rule filter)
{
	memset(&n->nat, 0, sizeof(n->nat));
	if (!outside || addr_parse(outside, 0, &n->nat.outside))
		return;
	n->nat.on = true;
	n->nat.mapping = mapping;
	n->nat.filter = filter;
}

void nat_forgets(struct node *n, unsigned int silent_s, unsigned int life_s)
{
	n->nat.forget_ns = LOOP_S(silent_s);
	n->nat.cut_ns = LOOP_S(life_s);
	n->nat.now_ns = &n->world->now_ns;
}

/* Who is gone leaves his port to whoever comes: no other tells that he was. */
static void forget(struct nat *nat)
{
	for (size_t i = 0; nat->now_ns && i < nat->n; i++) {
		struct nat_map *m = &nat->maps[i];
		uint64_t now = *nat->now_ns;

		if ((nat->forget_ns && now - m->used_ns >= nat->forget_ns) ||
		    (nat->cut_ns && now - m->made_ns >= nat->cut_ns)) {
			memset(m, 0, sizeof(*m));
			nat->shift += nat->cut_ns != 0;
		}
	}
}

static struct nat_map *map_for(struct nat *nat, const struct addr *inside,
			       const struct addr *to)
{
	struct nat_map *m, *oldest = &nat->maps[0];

	forget(nat);

	for (size_t i = 0; i < nat->n; i++) {
		m = &nat->maps[i];
		if (addr_equal(&m->inside, inside) &&
		    (nat->mapping == NAT_ANY || addr_equal(&m->to, to)))
			return m;
		if (m->used < oldest->used)
			oldest = m;
	}
	m = nat->n < NAT_MAPS ? &nat->maps[nat->n++] : oldest;
	memset(m, 0, sizeof(*m));
	m->inside = *inside;
	m->made_ns = nat->now_ns ? *nat->now_ns : 0;
	m->to = *to;
	m->port = addr_equal_ip(inside, &nat->outside)
			  ? addr_port(inside) /* a firewall, no more */
			  : (uint16_t)(40000 + nat->shift + (m - nat->maps));
	return m;
}

void nat_out(struct nat *nat, struct addr *from, const struct addr *to)
{
	struct nat_map *m;
	size_t i = 0;

	if (from->sa.sa_family != AF_INET)
		return;
	m = map_for(nat, from, to);
	m->used = ++nat->clock;
	m->used_ns = nat->now_ns ? *nat->now_ns : 0;
	while (i < NAT_FILTERS && !addr_equal(&m->spoken[i], to))
		i++;
	if (i == NAT_FILTERS)
		m->spoken[m->n_spoken++ % NAT_FILTERS] = *to;
	*from = nat->outside;
	addr_set_port(from, m->port);
}

static bool lets_in(const struct nat *nat, const struct nat_map *m,
		    const struct addr *from)
{
	if (nat->filter == NAT_ANY)
		return true;
	for (size_t i = 0; i < NAT_FILTERS; i++)
		if (nat->filter == NAT_ADDRESS
			    ? addr_equal_ip(&m->spoken[i], from)
			    : addr_equal(&m->spoken[i], from))
			return true;
	return false;
}

bool nat_in(struct nat *nat, const struct addr *from, struct addr *to)
{
	forget(nat);
	for (size_t i = 0; i < nat->n; i++) {
		struct nat_map *m = &nat->maps[i];

		if (m->port != addr_port(to) || !lets_in(nat, m, from))
			continue;
		*to = m->inside;
		m->used_ns = nat->now_ns ? *nat->now_ns : 0;
		return true;
	}
	return false;
}
