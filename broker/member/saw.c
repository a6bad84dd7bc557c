/* SPDX-License-Identifier: MIT */
/*
 * saw - what a member noticed: the last NODE_SAW_MAX, for its person, over a start as well
 *
 * Much of it is noticed while news is taken, in a transaction that is not committed then.
 * So it is written a moment later, which also bounds what a server can make us write.
 */
#include "broker/member/saw.h"

#include "common/log.h"
#include "libntmcrypto/wire.h"

#define KEEP_MS 500
#define ROW_LEN (1 + 4 + 8 + 4 + 8)

static_assert(NODE_SAW_MAX * ROW_LEN <= MEMBERSTORE_NOTE_MAX, "a note");
static_assert(MEMBER_SAWS <= 256, "one byte");

void saw_add(struct part *p, enum member_saw what, uint32_t who, uint64_t epoch,
	     int code)
{
	struct part_saw *s = &p->saw[p->n_saw++ % NODE_SAW_MAX];

	*s = (struct part_saw){.what = what,
			       .who = who,
			       .epoch = epoch,
			       .code = code,
			       .at = node_now(p->node)};
	log_warn("member", "%s: epoch %llu: %s: %s", member_name(p->m),
		 (unsigned long long)epoch, member_saw_text(what),
		 err_text(code));
	if (!loop_timer_armed(p->saw_due))
		loop_timer_arm(p->saw_due, LOOP_MS(KEEP_MS));
}

void saw_keep(void *arg)
{
	struct part *p = arg;
	unsigned int i = p->n_saw > NODE_SAW_MAX ? p->n_saw - NODE_SAW_MAX : 0;
	uint8_t body[NODE_SAW_MAX * ROW_LEN];
	struct wire_out w = wire_out(body, sizeof(body));

	loop_timer_disarm(p->saw_due);
	/* who has no log yet is in no store, and notices it anew at the next hello */
	if (!p->n_saw || p->over || !group_epoch(member_group(p->m)))
		return;
	for (; i < p->n_saw; i++) {
		const struct part_saw *s = &p->saw[i % NODE_SAW_MAX];

		wire_put_number(&w, s->what, 1);
		wire_put_number(&w, s->who, 4);
		wire_put_number(&w, s->epoch, 8);
		wire_put_number(&w, (uint32_t)-s->code, 4);
		wire_put_number(&w, (uint64_t)s->at, 8);
	}
	if (memberstore_note_put(p->node->store, member_id(p->m), NOTE_SAW,
				 body, w.len))
		log_err("member", "%s: what was noticed is not stored",
			member_name(p->m));
}

void saw_load(struct part *p)
{
	uint8_t body[MEMBERSTORE_NOTE_MAX];
	struct wire_in w;
	size_t len;

	if (memberstore_note_get(p->node->store, member_id(p->m), NOTE_SAW,
				 body, &len))
		return;
	w = wire_in(body, len);
	while (w.left >= ROW_LEN && p->n_saw < NODE_SAW_MAX) {
		struct part_saw *s = &p->saw[p->n_saw];

		s->what = (enum member_saw)wire_get_number(&w, 1);
		s->who = (uint32_t)wire_get_number(&w, 4);
		s->epoch = wire_get_number(&w, 8);
		s->code = -(int)(uint32_t)wire_get_number(&w, 4);
		s->at = (int64_t)wire_get_number(&w, 8);
		/* of a later program: it has a text there */
		if (s->what < MEMBER_SAWS)
			p->n_saw++;
	}
}
