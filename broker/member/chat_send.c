/* SPDX-License-Identifier: MIT */
/*
 * chat_send - messages on their way to ntm-post, one after the other
 *
 * Theory of operation
 *
 * A message that WAITS goes as an item for those who are members now and were so when it
 * was written: who has been removed meanwhile gets nothing, nor does who came later.
 * Indices tell, as they only grow. Each member's name must have the key that the log names
 * (chat_known.c). An item has 64 receivers at most; so a member's index / 64 says which
 * item is his, and a message that is sent again after a crash is the same items, which
 * ntm-post knows. A file is an item of its own, as of `ntm send`, in front of the message
 * that names it.
 *
 * Who cannot be looked up now, and was never met, keeps nobody from a message: it is noted
 * before the others' items leave, and gets an item of its own (chat_late.c). Where that is so
 * of all, the message waits.
 *
 * What ntm-post refuses for now (a file on a disk that is not there) is tried again each
 * CHAT_AGAIN, and holds up its own group alone; after three times not that either: from then
 * on a round goes through all that wait, each of them once, until none is left. Where there
 * is no answer the fault is hardly the message's, and they are to go in their order: it takes
 * TRIES of these, and then too only one is tried at a time.
 *
 * While the group's key is not ours (behind, frozen, forked) nothing is sent: a removal
 * may have been kept from us.
 */
#include "broker/member/chat_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "broker/member/asks.h"
#include "broker/member/papers.h"
#include "broker/member/postcall.h"
#include "common/log.h"

#define GROUP_OF                                                               \
	64 /* indices that share an item: ntm-post's receivers of one */
#define TRIES	12
#define REFUSED 4 /* so many tries is one that ntm-post has answered */

void chat_sending_end(struct chat *c)
{
	postcall_forget(c->node->post, &c->out);
	chat_line_free(c->out.line);
	memset(&c->out, 0, sizeof(c->out));
}

/* The message under way does not go now. @refused: it alone, as far as is known */
static void put_off(struct chat *c, bool refused)
{
	struct part *p = part_by_id(c->node, c->out.line->w.group);
	int64_t n = c->out.line->n;

	chat_sending_end(c);
	chat_later(c);
	if (!p)
		return;
	if (p->waiting.tries < TRIES)
		p->waiting.tries += refused ? REFUSED : 1;
	if (p->waiting.tries >= TRIES)
		p->waiting.behind = n;
	if (p->waiting.tries < TRIES || !refused)
		p->waiting.due = loop_now_exact(c->node->loop) + CHAT_AGAIN;
}

static void sending_over(struct chat *c, enum chat_state to, const char *why)
{
	struct chat_line *l = c->out.line;
	struct part *p = part_by_id(c->node, l->w.group);

	l->state = to;
	free(l->why);
	l->why = why ? strdup(why) : NULL;
	if (chatstore_change(c->store, l)) {
		log_err("member", "the store of messages cannot be written");
		put_off(c, false);
		return;
	}
	if (p && !p->waiting.behind)
		p->waiting.tries = 0;
	chat_sending_end(c);
	asking_changed(c->node->asks);
	chat_work(c);
}

static void missed(struct chat_sending *o, const struct group_member *m,
		   int err)
{
	if (o->file_done)
		return; /* it was counted with the file */
	if (!o->missed++)
		snprintf(o->why, sizeof(o->why), "%s does not get it: %s",
			 m->fqdn,
			 err == -NTM_EPIN
				 ? "the name has another key than the member; "
				   "compare with `ntm-group members`"
				 : err_text(err));
	log_warn("member", "%s gets no message: %s", m->fqdn, err_text(err));
}

static bool is_meant(const struct chat_line *l, const struct group_member *m)
{
	return m->index != l->index && m->index < l->limit;
}

static int look(struct chat *c, const struct chat_line *l,
		const struct group_member *m)
{
	return chatstore_is_late(c->store, l->n, m->index)
		       ? -NTM_EUNREACHABLE
		       : chat_known(c->known, m);
}

/* Return: it is noted */
static bool later(struct chat *c, const struct group_member *m)
{
	struct chat_late late = {.n = c->out.line->n,
				 .index = m->index,
				 .since = node_now(c->node)};

	memcpy(late.group, c->out.line->w.group, sizeof(late.group));
	if (chatstore_late_put(c->store, &late))
		return false;
	if (!c->out.file_done)
		c->out.line->to++;
	c->late.due = 0;
	return true;
}

/* The members of item @at that may have @l. *@err: -NTM_EAGAIN: ask again later */
static json_t *receivers(struct chat *c, const struct group *g,
			 const struct chat_line *l, uint32_t at, int *err)
{
	json_t *to = json_array();
	size_t i, n = group_size(g);
	int r;

	for (i = 0; i < n; i++) {
		const struct group_member *m = group_at(g, i);

		if (!is_meant(l, m) || m->index / GROUP_OF != at)
			continue;
		r = look(c, l, m);
		if (!r)
			json_array_append_new(to, json_string(m->fqdn));
		else if (r == -NTM_EAGAIN)
			*err = r;
		else if (r != -NTM_EUNREACHABLE || !later(c, m))
			missed(&c->out, m, r);
	}
	return to;
}

/* Are all looked up, as far as they can be? Return: 0, -NTM_EAGAIN (ready() comes),
 * -NTM_EUNREACHABLE: there are members, and nobody can be */
static int all_known(struct chat *c, const struct group *g,
		     const struct chat_line *l)
{
	bool away = false, known = false, asked = false;
	size_t i, n = group_size(g);
	int r;

	for (i = 0; i < n; i++) {
		const struct group_member *m = group_at(g, i);

		if (!is_meant(l, m))
			continue;
		r = look(c, l, m);
		asked |= r == -NTM_EAGAIN;
		away |= r == -NTM_EUNREACHABLE;
		known |= !r;
	}
	if (asked)
		return -NTM_EAGAIN;
	return away && !known ? -NTM_EUNREACHABLE : 0;
}

static void item_name(const struct chat_sending *o, char *out, size_t size)
{
	char id[CHAT_ID_TEXT];

	ntmc_base64url_encode(o->line->w.id, CHAT_ID_LEN, id);
	if (o->late)
		snprintf(out, size, "%s.%u.%u", id, o->index / GROUP_OF,
			 o->index);
	else
		snprintf(out, size, o->at ? "%s.%u" : "%s", id, o->at);
}

static void go_on(struct chat *c);

static void on_sent(void *arg, int err, const json_t *answer)
{
	struct chat_sending *o = arg;
	struct chat *c =
		(struct chat *)((char *)o - offsetof(struct chat, out));
	bool file = o->line->file && !o->file_done;
	const char *why = json_string_value(json_object_get(answer, "text"));

	o->calling = false;
	if (o->late) {
		chat_late_sent(c, err, why);
		return;
	}
	if (err && err != -NTM_EEXISTS) {
		if (chat_is_final(err)) {
			sending_over(c, CHAT_FAILED, why ? why : err_text(err));
			return;
		}
		log_info("member", "a message is not sent yet: %s",
			 err_text(err));
		put_off(c, answer);
		chat_work(c);
		return;
	}
	if (file) {
		o->file_done = true;
		o->line->w.size = err ? o->line->w.size
				      : json_integer_value(json_object_get(
						answer, "bytes"));
	} else {
		o->file_done = false;
		o->at++;
	}
	go_on(c);
	chat_work(c); /* unless this one is under way still */
}

static json_t *request(struct chat *c, json_t *to)
{
	struct chat_sending *o = &c->out;
	char item[CHAT_ID_TEXT + 24], *text;
	json_t *j;

	item_name(o, item, sizeof(item));
	if (o->line->file && !o->file_done)
		return json_pack("{s:s, s:o, s:s, s:s, s:s, s:[s]}", "cmd",
				 "send", "to", to, "application", "ntm",
				 "service", "file", "item", item, "files",
				 o->line->file);
	text = chatword_put(&o->line->w);
	j = json_pack("{s:s, s:o, s:s, s:s, s:s, s:s}", "cmd", "send", "to", to,
		      "application", PAPERS_APPLICATION, "service",
		      CHAT_MESSAGE, "item", item, "text", text ? text : "");
	if (text)
		ntmc_wipe(text, strlen(text));
	free(text);
	return j;
}

int chat_hand_over(struct chat *c, json_t *to)
{
	int r = postcall_ask(c->node->post, request(c, to), on_sent, &c->out);

	c->out.calling = !r;
	return r;
}

/* the next item of the message that is under way */
static void go_on(struct chat *c)
{
	struct chat_sending *o = &c->out;
	struct part *p = part_by_id(c->node, o->line->w.group);
	const struct group *g = p ? member_group(p->m) : NULL;
	unsigned int before;
	json_t *to = NULL;
	int err;

	if (!p || p->over || member_state(p->m) != MEMBER_JOINED) {
		chat_sending_end(c); /* it waits for the group's key */
		chat_later(c);	     /* others do not */
		return;
	}
	err = all_known(c, g, o->line);
	/* with EAGAIN ready() comes */
	if (err == -NTM_EUNREACHABLE)
		put_off(c, true);
	if (err)
		return;
	for (; o->at * GROUP_OF < o->line->limit; o->at++) {
		before = o->missed;
		to = receivers(c, g, o->line, o->at, &err);
		if (err) {
			o->missed = before; /* they are looked at again */
			json_decref(to);
			return;
		}
		if (json_array_size(to))
			break;
		json_decref(to);
	}
	if (o->at * GROUP_OF >= o->line->limit) {
		if (o->missed > 1)
			snprintf(o->why + strlen(o->why),
				 sizeof(o->why) - strlen(o->why),
				 " (and %u more)", o->missed - 1);
		sending_over(c, CHAT_SENT, o->missed ? o->why : NULL);
		return;
	}
	if (!o->file_done)
		o->line->to += (uint32_t)json_array_size(to);
	if (chat_hand_over(c, to))
		put_off(c, false);
}

void chat_known_now(void *arg)
{
	struct chat *c = arg;

	if (c->out.line && !c->out.calling)
		go_on(c);
	chat_work(c); /* unless one is under way */
	chat_look(c);
}

/* the next that waits; one that is damaged is passed over */
static bool waiting_find(struct chat *c, struct part *p)
{
	struct part_waiting *w = &p->waiting;
	int64_t n = w->behind;
	int r;

	do
		r = chatstore_next(c->store, member_id(p->m), n, CHAT_WAITS, &n,
				   &c->out.line);
	while (r == -NTM_EAUTH);
	if (r && r != -NTM_ENOTFOUND)
		log_err("member", "messages that wait cannot be read: %s",
			err_text(r));
	if (r && w->behind) /* that was the round */
		w->due = loop_now_exact(c->node->loop) + CHAT_AGAIN;
	else if (r)
		w->tries = 0;
	if (r)
		w->behind = 0;
	return !r;
}

/* Of the first group that can send. Return: is one under way? */
bool chat_send_next(struct chat *c)
{
	uint64_t now = loop_now_exact(c->node->loop), first = UINT64_MAX;
	struct part *p;

	DL_FOREACH (c->node->parts, p) {
		if (p->over || member_state(p->m) != MEMBER_JOINED)
			continue;
		while (p->waiting.due <= now && waiting_find(c, p)) {
			c->out.line->to = 0;
			go_on(c);
			if (c->out.line)
				return true;
		}
		if (p->waiting.due > now && p->waiting.due < first)
			first = p->waiting.due;
	}
	if (first != UINT64_MAX && !loop_timer_armed(c->again))
		loop_timer_arm(c->again, first - now);
	return false;
}
