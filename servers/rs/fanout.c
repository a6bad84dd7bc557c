/* SPDX-License-Identifier: MIT */
/*
 * fanout - a group packet, to every place of its epoch but the sender's
 *
 * Theory of operation
 *
 * A run is the neighbours of one arrival with one tag: one look-up, and one run of the
 * outbox for each place, which all point at the bytes where they came. Each packet's
 * hop is checked first: who has no RN2 of this epoch gets nothing replicated. Then the
 * source has to be at a place: what is sent to many is charged, and never begun from
 * an address that did not show itself.
 *
 * The epoch's account is charged for each copy. Where it may not send all, the places
 * are begun at another one each time, so that none is always the one that gets none.
 */
#include <endian.h>
#include <string.h>

#include "libntmcrypto/grouppacket.h"
#include "servers/rs/state.h"

_Static_assert(GROUPS_TAG_LEN == GROUP_TAG_LEN, "one tag");
_Static_assert(GROUPS_PLACES_MAX == GROUP_MEMBERS_MAX, "a place a member");

/* keys of the outbox: no path has one with the highest bit */
static uint32_t key_of(const struct group_here *g, uint32_t place)
{
	return 1u << 31 | (g->number & 0xfffff) << 11 | place;
}

/* how many of @bytes from @data have a good hop, one after the other */
static size_t good_bytes(struct rs_thread *t, const struct group_here *g,
			 const struct arrival *a, const uint8_t *data,
			 size_t bytes)
{
	uint8_t tag[GROUP_TAG_LEN];
	uint64_t be = htobe64(g->tag);
	size_t at = 0, len;

	memcpy(tag, &be, sizeof(tag));
	for (; at < bytes; at += len) {
		len = bytes - at < a->size ? bytes - at : a->size;
		if (group_hop_check(&g->relay_key, tag, data + at, len)) {
			STAT_ADD(t->stats.bad_hop, 1);
			break;
		}
	}
	return at;
}

/* which place @from is at; g->n: none */
static uint32_t place_of(const struct group_here *g, const struct remote *from)
{
	struct remote r;
	uint32_t i;

	for (i = 0; i < g->n; i++)
		if (groups_at(&g->places[i], &r) && remote_same(&r, from))
			break;
	return i;
}

/* all good, of one epoch */
static void replicate(struct rs_thread *t, const struct arrival *a,
		      const struct group_here *g, uint8_t *data, size_t bytes)
{
	uint32_t n = (uint32_t)((bytes + a->size - 1) / a->size);
	uint32_t own = place_of(g, &a->from), first;
	struct remote to;

	if (own == g->n) {
		STAT_ADD(t->stats.not_member, n);
		return;
	}
	STAT_ADD(t->stats.group_packets, n);
	first = quota_is_on(&t->rs->quota) ? t->fan_first++ : 0;
	for (uint32_t k = 0; k < g->n; k++) {
		uint32_t i = (first + k) % g->n;
		size_t go;

		if (i == own || !groups_at(&g->places[i], &to))
			continue;
		go = forward_charge(t, a, g->account, bytes);
		if (!go)
			continue;
		outbox_add(&t->outbox, key_of(g, i), &to, a->ecn, data, go,
			   a->size);
		STAT_ADD(t->stats.group_copies, (go + a->size - 1) / a->size);
	}
}

void fanout_run(struct rs_thread *t, const struct arrival *a, uint8_t *data,
		size_t bytes)
{
	const struct group_here *g;
	size_t at = 0, good;
	uint64_t tag;

	memcpy(&tag, data + PACKET_ID_AT, sizeof(tag));
	g = groups_find(&t->rs->groups, be64toh(tag));
	if (!g) {
		STAT_ADD(t->stats.unknown_group,
			 (bytes + a->size - 1) / a->size);
		return;
	}
	while (at < bytes) {
		good = good_bytes(t, g, a, data + at, bytes - at);
		if (good)
			replicate(t, a, g, data + at, good);
		at += good + a->size; /* behind the one that was bad */
	}
}
