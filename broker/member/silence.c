/* SPDX-License-Identifier: MIT */
/*
 * silence - for how long a member has not been heard of, by our own clock
 *
 * Theory of operation
 *
 * Who is not heard of for evict_s is evicted, for good, and a clock that jumps must not do
 * that, nor a server that says another time. So nobody's time is compared: what counts is
 * how long we were connected ourselves, by a clock that only ticks, while nothing new came
 * of that member. New is another time at which the server heard of it, whichever, and a
 * confirmation of an epoch that it had not confirmed, which no server can make. A member
 * that never came counts from when we first saw it in the log.
 *
 * A server that keeps back what it hears of a member could still have it evicted. So who
 * is about to be is asked by an item, which no GMS carries (alive.c), and has the last
 * quarter of evict_s to answer: any such item of it begins the count anew. Without the
 * question nobody is evicted.
 *
 * What was counted is on the disk each SAVE_S: it lasts over a start. Time without a
 * connection, asleep, or switched off counts nothing, so a member is evicted late rather
 * than early.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/member/member_impl.h"
#include "common/log.h"
#include "libntmcrypto/wire.h"

#define SAVE_S	600
#define VERSION 2

/** struct silent - @seen, @confirmed: what was new last; @s: of ours, since then
 * @asked: @s when it was asked; 0: it was not */
struct silent {
	uint32_t index;
	int64_t seen;
	uint64_t confirmed;
	uint32_t s, asked;
};
#define SILENT_LEN (4 + 8 + 8 + 4 + 4)

/** struct silence - @row: by index, as group_at(); @since: loop's ns; 0: not connected */
struct silence {
	struct silent row[GROUP_MEMBERS_MAX];
	size_t n;
	uint64_t since, watched_s, unsaved_s;
	int64_t told[GROUP_MEMBERS_MAX]; /* by position, of this answer */
};

int silence_new(struct silence **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -NTM_ENOMEM;
}

void silence_free(struct silence *s)
{
	free(s);
}

/* --- on the disk ---------------------------------------------------------------------- */

void silence_load(struct member *m)
{
	struct silence *s = m->silence;
	size_t size = 1 + GROUP_MEMBERS_MAX * SILENT_LEN, len = 0;
	uint8_t *b = malloc(size);
	struct wire_in w;

	if (b && !memberstore_silence_get(m->s.store, m->id, b, size, &len)) {
		w = wire_in(b, len);
		w.bad |= wire_get_number(&w, 1) != VERSION;
		while (w.left && !w.bad) {
			struct silent *r = &s->row[s->n++];

			r->index = (uint32_t)wire_get_number(&w, 4);
			r->seen = (int64_t)wire_get_number(&w, 8);
			r->confirmed = wire_get_number(&w, 8);
			r->s = (uint32_t)wire_get_number(&w, 4);
			r->asked = (uint32_t)wire_get_number(&w, 4);
		}
		if (w.bad)
			s->n = 0;
	}
	free(b);
}

static void save(struct member *m)
{
	const struct silence *s = m->silence;
	size_t size = 1 + s->n * SILENT_LEN;
	uint8_t *b = malloc(size);
	struct wire_out w = wire_out(b, size);

	if (b)
		wire_put_number(&w, VERSION, 1);
	for (size_t i = 0; b && i < s->n; i++) {
		wire_put_number(&w, s->row[i].index, 4);
		wire_put_number(&w, (uint64_t)s->row[i].seen, 8);
		wire_put_number(&w, s->row[i].confirmed, 8);
		wire_put_number(&w, s->row[i].s, 4);
		wire_put_number(&w, s->row[i].asked, 4);
	}
	if (!b || memberstore_silence_put(m->s.store, m->id, b, size))
		log_warn("member", "%s: who is silent is not stored",
			 m->own.secret.name);
	free(b);
}

/* --- what is heard ---------------------------------------------------------------------- */

static void watch(struct member *m)
{
	struct silence *s = m->silence;
	uint64_t n;

	if (!s->since)
		return;
	n = (loop_now(m->s.loop) - s->since) / LOOP_S(1);
	s->since += LOOP_S(n);
	s->watched_s += n;
}

/* what was watched counts for all */
static void count(struct member *m)
{
	struct silence *s = m->silence;

	watch(m);
	for (size_t i = 0; i < s->n; i++) {
		uint64_t sum = s->row[i].s + s->watched_s;

		s->row[i].s = sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
	}
	s->unsaved_s += s->watched_s;
	s->watched_s = 0;
}

void silence_online(struct member *m, bool online)
{
	watch(m);
	if (!online)
		m->silence->since = 0;
	else if (!m->silence->since)
		m->silence->since = loop_now(m->s.loop);
}

void silence_told(struct member *m, size_t i, int64_t seen)
{
	m->silence->told[i] = seen;
}

void silence_look(struct member *m)
{
	struct silence *s = m->silence;
	size_t i, old = 0, n = group_size(m->g);
	struct silent *was = calloc(s->n + 1, sizeof(*was));
	size_t n_was = s->n;

	if (!was)
		return; /* what was watched is counted the next time */
	count(m);
	memcpy(was, s->row, s->n * sizeof(*was));
	for (i = 0; i < n; i++) {
		struct silent *r = &s->row[i];
		uint64_t confirmed = member_confirmed(m, i) ? m->keys.epoch : 0;

		*r = (struct silent){.index = group_at(m->g, i)->index,
				     .seen = s->told[i],
				     .confirmed = confirmed};
		while (old < n_was && was[old].index < r->index)
			old++;
		if (old == n_was || was[old].index != r->index ||
		    was[old].seen != r->seen || was[old].confirmed < confirmed)
			continue;
		*r = was[old];
	}
	s->n = n;
	free(was);
	if (s->unsaved_s < SAVE_S)
		return;
	s->unsaved_s = 0;
	save(m);
}

static struct silent *row_of(const struct member *m, uint32_t index)
{
	struct silence *s = m->silence;

	for (size_t i = 0; i < s->n; i++)
		if (s->row[i].index == index)
			return &s->row[i];
	return NULL;
}

uint32_t silence_s(const struct member *m, uint32_t index)
{
	const struct silent *r = row_of(m, index);

	return r ? r->s : 0;
}

/* --- asked ------------------------------------------------------------------------------ */

void member_asked(struct member *m, uint32_t index)
{
	struct silent *r;

	count(m);
	r = row_of(m, index);
	if (!r)
		return;
	r->asked = r->s;
	m->silence->unsaved_s = SAVE_S; /* on the disk at the next look */
}

uint32_t silence_asked_s(const struct member *m, uint32_t index)
{
	const struct silent *r = row_of(m, index);

	return r && r->asked ? r->s - r->asked : SILENCE_UNASKED;
}

void member_alive(struct member *m, uint32_t index)
{
	struct silent *r;

	count(m);
	r = row_of(m, index);
	if (!r)
		return;
	r->s = 0;
	r->asked = 0;
	m->silence->unsaved_s = SAVE_S; /* on the disk at the next look */
}
