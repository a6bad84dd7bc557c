/* SPDX-License-Identifier: MIT */
/*
 * chat - what members say to each other
 *
 * Theory of operation
 *
 * A message of ours is stored, WAITS (chat_send.c); one of another member's is stored,
 * NEW (chat_take.c); the person has seen it, SHOWN (chat_marks.c).
 *
 * Order. A message's clock is one above the highest that its author knew. By clock, then
 * index, then ID all members see one order, in which no answer stands before what it
 * answers.
 */
#include "broker/member/chat_impl.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "broker/member/asks.h"
#include "common/log.h"

void chat_later(struct chat *c)
{
	if (!loop_timer_armed(c->again))
		loop_timer_arm(c->again, CHAT_AGAIN);
}

bool chat_is_final(int err)
{
	return err == -NTM_EINVAL || err == -NTM_ETOOBIG ||
	       err == -NTM_ENOTFOUND || err == -NTM_EPERM ||
	       err == -NTM_ENONAME;
}

/* --- what is said here -------------------------------------------------------------------- */

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int chat_say(struct chat *c, struct part *p, const char *text, const char *file,
	     int64_t *n)
{
	const struct group *g = member_group(p->m);
	struct chat_line *l;
	int r = 0;

	if (file)
		text = file_name(file);
	if (member_state(p->m) != MEMBER_JOINED)
		return -NTM_ESTATE;
	if (!chat_text_ok(text) ||
	    (file && (*file != '/' || strlen(file) >= PATH_MAX)))
		return -NTM_EINVAL;
	if (chatstore_count(c->store, member_id(p->m), CHAT_WAITS) >=
	    CHAT_WAITS_MAX)
		return -NTM_ELIMIT;
	l = chat_line_new();
	if (!l)
		return -NTM_ENOMEM;
	memcpy(l->w.group, member_id(p->m), GROUP_ID_LEN);
	ntmc_random(NULL, l->w.id, sizeof(l->w.id));
	l->w.epoch = group_epoch(g);
	l->w.clock = chatstore_clock(c->store, l->w.group) + 1;
	l->w.time = node_now(c->node);
	l->w.kind = file ? CHAT_FILE : CHAT_TEXT;
	strcpy(l->w.text, text);
	l->state = CHAT_WAITS;
	strcpy(l->from, c->node->who.fqdn);
	l->index = member_index(p->m);
	l->limit = group_next_index(g);
	if (file) {
		l->file = strdup(file);
		r = l->file ? 0 : -NTM_ENOMEM;
	}
	if (!r)
		r = chatstore_add(c->store, l);
	*n = l->n;
	chat_line_free(l);
	if (!r) {
		asking_changed(c->node->asks);
		chat_work(c);
	}
	return r;
}

/* --- life -------------------------------------------------------------------------------------- */

void chat_work(struct chat *c)
{
	if (!c || c->node->ending || c->out.line)
		return;
	if (!chat_send_next(c) && !chat_late_next(c) &&
	    !loop_timer_armed(c->marks_due))
		loop_timer_arm(c->marks_due, LOOP_MS(CHAT_MARKS_MS));
}

static void on_again(void *arg)
{
	struct chat *c = arg;

	chat_work(c);
	chat_marks_due(c);
	chat_look(c);
}

void chat_forget(struct chat *c, const uint8_t *group)
{
	if (c->out.line && !memcmp(c->out.line->w.group, group, GROUP_ID_LEN)) {
		chat_sending_end(c);
		chat_later(c);
	}
	if (chatstore_drop(c->store, group))
		log_err("member", "messages cannot be forgotten: the store "
				  "cannot be written");
}

struct chatstore *chat_store(struct chat *c)
{
	return c->store;
}

int chat_open(struct node *n, struct chat **out)
{
	char path[PATH_MAX];
	struct chat *c = calloc(1, sizeof(*c));
	int r = c ? 0 : -NTM_ENOMEM;

	if (r)
		return r;
	c->node = n;
	if (snprintf(path, sizeof(path), "%s/chat.db", n->who.dir) >=
	    (int)sizeof(path))
		r = -NTM_EINVAL;
	if (!r)
		r = chatstore_open(path, NULL, n->who.id, &c->store);
	if (!r)
		r = loop_timer_new(n->loop, on_again, c, &c->again);
	if (!r)
		r = loop_timer_new(n->loop, chat_marks_due, c, &c->marks_due);
	if (!r)
		r = loop_timer_new(n->loop, chat_late_due, c, &c->late.timer);
	if (!r)
		r = chat_known_open(n, chat_known_now, c, &c->known);
	if (r)
		chat_close(c);
	else
		*out = c;
	return r;
}

void chat_close(struct chat *c)
{
	if (!c)
		return;
	chat_line_free(c->out.line);
	chat_known_close(c->known);
	loop_timer_free(c->again);
	loop_timer_free(c->marks_due);
	loop_timer_free(c->late.timer);
	chatstore_close(c->store);
	free(c);
}
