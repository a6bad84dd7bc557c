/* SPDX-License-Identifier: MIT */
/*
 * placepunch - Hole Punch of a member of a group: proves its place, binds it
 *
 * As punch.c, but that no address is proven before: a place is bound only to where a
 * cookie comes back from. An unknown tag costs a look-up, a known one two derivations
 * and an AEAD check. The answer says which places are bound: who sends to the group
 * sends to the others himself.
 */
#include "servers/rs/punch_impl.h"

/* @len of @buf: a good punch of @place, under @keys */
static void place_punch(struct rs_thread *t, struct arrival *a,
			const struct packet_header *h,
			const struct group_here *g, struct group_place *place,
			const struct datagram_keys *keys, uint8_t *buf,
			size_t len)
{
	const Ntm__HolePunch *q = punch_open(t, h, keys, buf, len);
	uint8_t places[GROUPS_PLACES_MAX / 8];
	struct punch_verdict v = {.code = 0};
	enum group_wish wish;

	if (!q) {
		STAT_ADD(t->stats.bad_punch, 1);
		return;
	}
	STAT_ADD(t->stats.punches, 1);
	arrival_local(t, a);
	wish = q->leave ? GROUP_WISH_LEAVE
	       : punch_cookie(t->rs, &a->from, h->id, &q->cookie)
		       ? GROUP_WISH_BIND
		       : GROUP_WISH_ASK;
	if (!groups_punch(place, wish, &a->from, q->sent_ms, rs_now_s(t->rs),
			  &v.bound)) {
		STAT_ADD(t->stats.old_punch, 1);
		return;
	}
	if (quota_is_over(&t->rs->quota, g->account))
		v.code = -NTM_ELIMIT;
	v.sure = wish == GROUP_WISH_BIND;
	v.places.data = places;
	v.places.len = groups_places(g, places);
	punch_answer(t, a, h, keys, q, &v, buf, len);
}

void place_punch_receive(struct rs_thread *t, struct arrival *a,
			 const struct packet_header *h, uint8_t *buf,
			 size_t len)
{
	struct group_here *g = groups_find(&t->rs->groups, h->id);
	uint32_t place = (uint32_t)(h->counter >> PACKET_PLACE_SHIFT);
	struct datagram_keys keys;

	if (!g || place >= g->n) {
		STAT_ADD(t->stats.unknown_group, 1);
		return;
	}
	if (groups_place_keys(g, place, &keys))
		return;
	place_punch(t, a, h, g, &g->places[place], &keys, buf, len);
	datagram_keys_clear(&keys);
}
