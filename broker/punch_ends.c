/* SPDX-License-Identifier: MIT */
/* punch_ends - what others ask about a peer's ends at relays */
#include "broker/peer.h"
#include "broker/punch_impl.h"

bool punch_is_at(const struct punch *u, const struct addr *a)
{
	for (size_t i = 0; u->path_id && i < u->relay.n; i++)
		if (addr_equal(&u->relay.addrs[i], a))
			return true;
	return false;
}

bool punch_owns(const struct peer *p, const struct addr *a)
{
	return punch_at(p, a) != NULL;
}

const struct punch *punch_at(const struct peer *p, const struct addr *a)
{
	for (size_t i = 0; i < PUNCHES_MAX; i++) {
		const struct punch *u = &p->punches.list[i];

		if (punch_is_at(u, a))
			return u;
	}
	return NULL;
}

bool punch_addr(const struct peer *p, uint64_t path_id, struct addr *out)
{
	for (size_t i = 0; i < PUNCHES_MAX; i++) {
		const struct punch *u = &p->punches.list[i];

		if (!u->path_id || !addr_is_set(&u->source) ||
		    (path_id && (u->path_id ^ path_id) & ~1ull))
			continue;
		*out = u->relay.addrs[u->at];
		return true;
	}
	return false;
}

/* What was heard last: another end may have been left to itself for a while. */
const char *punch_limit(const struct peer *p)
{
	const struct punch *u = NULL;

	for (size_t i = 0; i < PUNCHES_MAX; i++) {
		const struct punch *o = &p->punches.list[i];

		if (o->path_id && o->answered_ns &&
		    (!u || o->answered_ns > u->answered_ns))
			u = o;
	}
	if (u && u->code == NTM_ELIMIT)
		return "the relay forwards no more for this account today: its "
		       "limit is reached";
	if (u && u->peer_code == NTM_ELIMIT)
		return "the relay forwards no more for the peer's account "
		       "today: its limit is reached";
	return NULL;
}

size_t punch_observed(const struct peer *p, struct addr *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < PUNCHES_MAX && n < max; i++) {
		const struct punch *u = &p->punches.list[i];
		size_t j = 0;

		if (!u->path_id || !addr_is_set(&u->observed))
			continue;
		while (j < n && !addr_equal(&out[j], &u->observed))
			j++;
		if (j == n)
			out[n++] = u->observed;
	}
	return n;
}
