/* SPDX-License-Identifier: MIT */
/*
 * chat_late - messages for members that could not be looked up when the others got theirs
 *
 * Theory of operation
 *
 * A row of the store is a message and a member. Once in ROUND_S all are gone through: who can
 * be looked up now gets the message as an item of its own, ID.K.INDEX, of the same ID, so a
 * receiver that has it already drops it. A row goes when ntm-post has the item, when the
 * member has gone, when it is clear that it never gets it, or after KEEP_S. Names are asked
 * for all at once: who was asked for is looked at again in the same round.
 */
#include "broker/member/chat_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/member/asks.h"
#include "common/log.h"

#define ROUND_S 60
#define KEEP_S	(7 * 86400) /* as what came too early waits */

void chat_late_due(void *arg)
{
	chat_work(arg);
}

static void row_drop(struct chat *c, const struct chat_late *row)
{
	if (chatstore_late_drop(c->store, row->n, row->index))
		log_err("member", "the store of messages cannot be written");
	asking_changed(c->node->asks);
}

/* Return: the row's line; NULL: it has gone, or is damaged */
static struct chat_line *line_of(struct chat *c, const struct chat_late *row)
{
	struct chat_line *l;
	int64_t n;

	if (chatstore_next(c->store, row->group, row->n - 1, 0, &n, &l))
		return NULL;
	if (l->n == row->n)
		return l;
	chat_line_free(l);
	return NULL;
}

/* it never gets it, and the person can read why */
static void give_up(struct chat *c, const struct chat_late *row,
		    const char *name, const char *why)
{
	struct chat_line *l = line_of(c, row);
	char text[NTMC_FQDN_MAX + 200];

	if (l) {
		snprintf(text, sizeof(text), "%s does not get it: %s", name,
			 why);
		free(l->why);
		l->why = strdup(text);
		if (chatstore_change(c->store, l))
			log_err("member",
				"the store of messages cannot be written");
	}
	chat_line_free(l);
	row_drop(c, row);
}

static void hand_over(struct chat *c, const char *name)
{
	if (!chat_hand_over(c, json_pack("[s]", name)))
		return;
	c->late.left = true;
	chat_sending_end(c);
}

/* Return: it is under way */
static bool send_to(struct chat *c, const struct chat_late *row,
		    const struct group_member *m)
{
	struct chat_line *l = line_of(c, row);

	if (!l) {
		row_drop(c, row);
		return false;
	}
	c->out.line = l;
	c->out.late = true;
	c->out.index = m->index;
	hand_over(c, m->fqdn);
	return c->out.line;
}

/* Return: it is under way */
static bool look_at(struct chat *c, const struct chat_late *row)
{
	struct part *p = part_by_id(c->node, row->group);
	const struct group_member *m =
		p && !p->over ? group_find(member_group(p->m), row->index)
			      : NULL;
	int r;

	if (!m) {
		row_drop(c, row);
		return false;
	}
	/* without the group's key its removal may be kept from us */
	if (member_state(p->m) != MEMBER_JOINED) {
		c->late.left = true;
		return false;
	}
	r = chat_known(c->known, m);
	if (!r)
		return send_to(c, row, m);
	if (r != -NTM_EAGAIN && r != -NTM_EUNREACHABLE) {
		give_up(c, row, m->fqdn, err_text(r));
		return false;
	}
	c->late.asked |= r == -NTM_EAGAIN;
	if (row->since + KEEP_S < node_now(c->node))
		give_up(c, row, m->fqdn, err_text(-NTM_EUNREACHABLE));
	else
		c->late.left = true;
	return false;
}

bool chat_late_next(struct chat *c)
{
	struct chat_round *o = &c->late;
	uint64_t now = loop_now_exact(c->node->loop);
	int r;

	if (now < o->due)
		return false;
	while (!(r = chatstore_late_next(c->store, &o->at)))
		if (look_at(c, &o->at))
			return true;
	memset(&o->at, 0, sizeof(o->at));
	if (o->asked && !o->again) {
		o->asked = false;
		o->again = true; /* ready() comes */
		return false;
	}
	if (o->left || r != -NTM_ENOTFOUND)
		loop_timer_arm(o->timer, LOOP_S(ROUND_S));
	o->due = now + LOOP_S(ROUND_S);
	o->asked = o->again = o->left = false;
	return false;
}

void chat_late_sent(struct chat *c, int err, const char *why)
{
	struct chat_sending *o = &c->out;
	struct chat_late row = c->late.at;
	struct part *p = part_by_id(c->node, row.group);
	const struct group_member *m =
		p && !p->over ? group_find(member_group(p->m), row.index)
			      : NULL;

	if (!m || (err && err != -NTM_EEXISTS && !chat_is_final(err))) {
		log_info("member", "a message is not sent yet: %s",
			 err_text(err));
		c->late.left = true;
		chat_sending_end(c);
		chat_later(c);
		return;
	}
	if (o->line->file && !o->file_done && !chat_is_final(err)) {
		o->file_done = true;
		hand_over(c, m->fqdn);
		if (!c->out.line)
			chat_later(c);
		return;
	}
	chat_sending_end(c);
	if (chat_is_final(err))
		give_up(c, &row, m->fqdn, why ? why : err_text(err));
	else
		row_drop(c, &row);
	chat_work(c);
}
