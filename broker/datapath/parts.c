/* SPDX-License-Identifier: MIT */
/*
 * parts - inner packets that came in two halves, put together again
 *
 * Theory of operation
 *
 * A slot holds the half that came first. A tunnel finds its slots by the low bits
 * of the sender's ident, so a search never walks; a newer ident in the same place
 * replaces the older, which bounds a tunnel at PARTS_PER_TUNNEL halves. Slots are
 * one array for all tunnels, touched only as far as used; when it is full, those
 * older than PARTS_LIFE_NS are taken back. Age is checked when the other half
 * comes, so no timer is needed.
 */
#include "broker/datapath/parts.h"

#include <stdlib.h>
#include <string.h>

#include "broker/datapath/datapath.h"

struct slot {
	struct parts_index *owner; /* NULL: free */
	uint64_t since;
	uint16_t ident, offset, len;
	bool last;
	uint8_t flags;
	uint16_t next_free;
	uint8_t data[DP_INNER_MIN_MTU];
};

struct parts {
	uint16_t free;	/* slot + 1, 0: none; slots never used come after */
	uint16_t fresh; /* slots from here on were never used */
	struct slot slot[PARTS_POOL];
};

int parts_new(struct parts **out)
{
	struct parts *p = calloc(1, sizeof(*p));

	if (!p)
		return -NTM_ENOMEM;
	*out = p;
	return 0;
}

void parts_free(struct parts *p)
{
	free(p);
}

static uint16_t *place(struct parts_index *index, uint16_t ident)
{
	return &index->slot[ident % PARTS_PER_TUNNEL];
}

static void slot_release(struct parts *p, struct slot *s)
{
	*place(s->owner, s->ident) = 0;
	s->owner = NULL;
	s->next_free = p->free;
	p->free = (uint16_t)(s - p->slot + 1);
}

static void release_old(struct parts *p, uint64_t now)
{
	for (unsigned int i = 0; i < p->fresh; i++) {
		struct slot *s = &p->slot[i];

		if (s->owner && now - s->since > PARTS_LIFE_NS)
			slot_release(p, s);
	}
}

static struct slot *slot_take(struct parts *p, uint64_t now)
{
	struct slot *s;

	if (!p->free && p->fresh < PARTS_POOL)
		return &p->slot[p->fresh++];
	if (!p->free)
		release_old(p, now);
	if (!p->free)
		return NULL;
	s = &p->slot[p->free - 1];
	p->free = s->next_free;
	return s;
}

static int join(const struct slot *s, uint16_t offset, bool last,
		const uint8_t *half, size_t len, uint8_t *out)
{
	size_t first = last ? s->len : len;

	if (s->last == last || (last ? offset : s->offset) != first)
		return -NTM_EDECODE;
	memcpy(out + s->offset, s->data, s->len);
	memcpy(out + offset, half, len);
	return (int)(s->len + len);
}

int parts_add(struct parts *p, struct parts_index *index, uint64_t now,
	      uint16_t ident, uint16_t offset, bool last, const uint8_t *half,
	      size_t len, uint8_t *flags, uint8_t *out)
{
	uint16_t *at = place(index, ident);
	struct slot *s = *at ? &p->slot[*at - 1] : NULL;
	int ret;

	if (!len || offset + len > DP_INNER_MIN_MTU || last != (offset != 0))
		return -NTM_EDECODE;
	if (s && (s->ident != ident || now - s->since > PARTS_LIFE_NS)) {
		slot_release(p, s);
		s = NULL;
	}
	if (s) {
		if (s->last == last)
			return 0; /* the same half under a reused ident */
		ret = join(s, offset, last, half, len, out);
		*flags |= s->flags;
		slot_release(p, s);
		return ret;
	}
	s = slot_take(p, now);
	if (!s)
		return -NTM_ELIMIT;
	s->owner = index;
	s->since = now;
	s->ident = ident;
	s->offset = offset;
	s->len = (uint16_t)len;
	s->last = last;
	s->flags = *flags;
	memcpy(s->data, half, len);
	*at = (uint16_t)(s - p->slot + 1);
	return 0;
}

void parts_forget(struct parts *p, struct parts_index *index)
{
	for (unsigned int i = 0; i < PARTS_PER_TUNNEL; i++) {
		if (index->slot[i])
			slot_release(p, &p->slot[index->slot[i] - 1]);
	}
}
