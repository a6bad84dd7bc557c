/* SPDX-License-Identifier: MIT */
/*
 * chat - what members say to each other
 *
 * Theory of operation
 *
 * Sending. A message is stored, WAITS. One after the other goes to ntm-post, as an item
 * for those who are members then and were so when it was written: who has been removed
 * meanwhile gets nothing, nor does who came later. Indices tell, as they only grow. Each
 * member's name must have the key that the log names (chat_known.c). An item has 64
 * receivers at most; so a member's index / 64 says which item is his, and a message that
 * is sent again after a crash is the same items, which ntm-post knows. A file is an item
 * of its own, as of `ntm send`, in front of the message that names it.
 * While the group's key is not ours (behind, frozen, forked) nothing is sent: a removal
 * may have been kept from us.
 *
 * Receiving. An item is signed by a device whose key ntm-post has pinned. It must be a
 * member now, with that key. A message of a later epoch than ours waits in ntm-post's
 * inbox until the log is there. The same ID of the same author is one message.
 *
 * Order. A message's clock is one above the highest that its author knew. By clock, then
 * index, then ID all members see one order, in which no answer stands before what it
 * answers. Who claims a clock far ahead is put one behind the last: else he could use
 * the numbers up.
 *
 * Marks. What the person has seen is SHOWN; after MARKS_MS the authors are told, each by
 * one small item of up to 64 IDs.
 */
#include "broker/member/chat.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "broker/member/asks.h"
#include "broker/member/papers.h"
#include "broker/member/postcall.h"
#include "common/log.h"

#define AGAIN_S	   5
#define MARKS_MS   1000
#define CLOCK_LEAP (INT64_C(1) << 32)
#define GROUP_OF                                                               \
	64 /* indices that share an item: ntm-post's receivers of one */

/**
 * struct sending - the message that is on its way to ntm-post
 * @at: index / GROUP_OF of the item that is next; @file_done: of this one
 * @calling: ntm-post is to answer
 * @missed:  members that get nothing, and why the first one does not
 */
struct sending {
	struct chat_line *line; /* NULL: none */
	uint32_t at;
	bool file_done, calling;
	unsigned int missed;
	char why[400];
};

/** struct marking - marks that ntm-post is to take: of lines up to @upto */
struct marking {
	uint8_t group[GROUP_ID_LEN];
	int64_t line[CHAT_MARKS_MAX];
	size_t n;
	bool calling;
};

struct chat {
	struct node *node;
	struct chatstore *store;
	struct chat_known *known;
	struct sending out;
	struct marking marks;
	struct loop_timer *again, *marks_due;
	bool items_wait; /* in ntm-post's inbox, until we know more */
};

static void later(struct chat *c)
{
	if (!loop_timer_armed(c->again))
		loop_timer_arm(c->again, LOOP_S(AGAIN_S));
}

/* what no other try will change */
static bool is_final(int err)
{
	return err == -NTM_EINVAL || err == -NTM_ETOOBIG ||
	       err == -NTM_ENOTFOUND || err == -NTM_EPERM ||
	       err == -NTM_ENONAME;
}

/* --- sending ---------------------------------------------------------------------------- */

static void sending_end(struct chat *c)
{
	postcall_forget(c->node->post, &c->out);
	chat_line_free(c->out.line);
	memset(&c->out, 0, sizeof(c->out));
}

static void sending_over(struct chat *c, enum chat_state to, const char *why)
{
	struct chat_line *l = c->out.line;

	l->state = to;
	free(l->why);
	l->why = why ? strdup(why) : NULL;
	if (chatstore_change(c->store, l)) {
		log_err("member", "the store of messages cannot be written");
		sending_end(c);
		later(c);
		return;
	}
	sending_end(c);
	asking_changed(c->node->asks);
	chat_work(c);
}

static void missed(struct sending *o, const struct group_member *m, int err)
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

/* The members of item @at that may have @l. *@err: -NTM_EAGAIN: ask again later */
static json_t *receivers(struct chat *c, const struct group *g,
			 const struct chat_line *l, uint32_t at, int *err)
{
	json_t *to = json_array();
	size_t i, n = group_size(g);
	int r;

	for (i = 0; i < n; i++) {
		const struct group_member *m = group_at(g, i);

		if (m->index == l->index || m->index >= l->limit ||
		    m->index / GROUP_OF != at)
			continue;
		r = chat_known(c->known, m);
		if (!r)
			json_array_append_new(to, json_string(m->fqdn));
		else if (r == -NTM_EAGAIN || r == -NTM_EUNREACHABLE)
			*err = *err == -NTM_EAGAIN ? *err : r;
		else
			missed(&c->out, m, r);
	}
	return to;
}

static void item_name(const struct chat_line *l, uint32_t at, char *out,
		      size_t size)
{
	char id[CHAT_ID_TEXT];

	ntmc_base64url_encode(l->w.id, CHAT_ID_LEN, id);
	snprintf(out, size, at ? "%s.%u" : "%s", id, at);
}

static void go_on(struct chat *c);

static void on_sent(void *arg, int err, const json_t *answer)
{
	struct sending *o = arg;
	struct chat *c =
		(struct chat *)((char *)o - offsetof(struct chat, out));
	bool file = o->line->file && !o->file_done;
	const char *why = json_string_value(json_object_get(answer, "text"));

	o->calling = false;
	if (err && err != -NTM_EEXISTS) {
		if (is_final(err)) {
			sending_over(c, CHAT_FAILED, why ? why : err_text(err));
			return;
		}
		log_info("member", "a message is not sent yet: %s",
			 err_text(err));
		sending_end(c);
		later(c);
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
}

static json_t *request(struct chat *c, json_t *to)
{
	struct sending *o = &c->out;
	char item[CHAT_ID_TEXT + 16], *text;
	json_t *j;

	item_name(o->line, o->at, item, sizeof(item));
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

/* the next item of the message that is under way */
static void go_on(struct chat *c)
{
	struct sending *o = &c->out;
	struct part *p = part_by_id(c->node, o->line->w.group);
	const struct group *g = p ? member_group(p->m) : NULL;
	unsigned int before;
	json_t *to = NULL;
	int err = 0;

	if (!p || p->over || member_state(p->m) != MEMBER_JOINED) {
		sending_end(c); /* it waits for the group's key */
		later(c);	/* others do not */
		return;
	}
	for (; o->at * GROUP_OF < o->line->limit; o->at++) {
		before = o->missed;
		to = receivers(c, g, o->line, o->at, &err);
		if (err) {
			o->missed = before; /* they are looked at again */
			json_decref(to);
			/* with EAGAIN ready() comes */
			if (err != -NTM_EAGAIN) {
				sending_end(c);
				later(c);
			}
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
	if (postcall_ask(c->node->post, request(c, to), on_sent, o)) {
		sending_end(c);
		later(c);
		return;
	}
	o->calling = true;
}

static void on_known(void *arg)
{
	struct chat *c = arg;

	if (c->out.line && !c->out.calling)
		go_on(c);
	else
		chat_work(c);
	chat_look(c);
}

/* the first that waits; one that is damaged is passed over */
static bool waiting_find(struct chat *c, const struct part *p)
{
	int64_t n = 0;
	int r;

	do
		r = chatstore_next(c->store, member_id(p->m), n, CHAT_WAITS, &n,
				   &c->out.line);
	while (r == -NTM_EAUTH);
	if (r && r != -NTM_ENOTFOUND)
		log_err("member", "messages that wait cannot be read: %s",
			err_text(r));
	return !r;
}

/* Of the first group that can send. Return: is one under way? */
static bool send_next(struct chat *c)
{
	struct part *p;

	DL_FOREACH (c->node->parts, p) {
		if (p->over || member_state(p->m) != MEMBER_JOINED ||
		    !waiting_find(c, p))
			continue;
		c->out.line->to = 0;
		go_on(c);
		if (c->out.line)
			return true;
	}
	return false;
}

/* --- marks ------------------------------------------------------------------------------- */

static void on_marked(void *arg, int err, const json_t *answer)
{
	struct marking *k = arg;
	struct chat *c =
		(struct chat *)((char *)k - offsetof(struct chat, marks));
	struct chat_line *l;
	int64_t n;
	int r = 0;

	(void)answer;
	k->calling = false;
	if (err && !is_final(err)) {
		later(c);
		return;
	}
	for (size_t i = 0; i < k->n; i++) {
		if (chatstore_next(c->store, k->group, k->line[i] - 1,
				   CHAT_SHOWN, &n, &l))
			continue;
		if (n == k->line[i]) {
			l->state = CHAT_OLD;
			r = r ? r : chatstore_change(c->store, l);
		}
		chat_line_free(l);
	}
	if (r) /* they are said again: that changes nothing */
		later(c);
	else
		loop_timer_arm(c->marks_due, 0);
}

static void marks_send(struct chat *c, const struct chatmarks *m,
		       const char *author)
{
	char *text = chatmarks_put(m);
	json_t *j = json_pack("{s:s, s:[s], s:s, s:s, s:s}", "cmd", "send",
			      "to", author, "application", PAPERS_APPLICATION,
			      "service", CHAT_READ, "text", text ? text : "");

	free(text);
	c->marks.calling =
		!postcall_ask(c->node->post, j, on_marked, &c->marks);
	if (!c->marks.calling)
		later(c);
}

/* Is @l's author to be told now? Else it never will be, or *@wait */
static bool is_to_be_told(struct chat *c, const struct group *g,
			  const struct chat_line *l, bool *wait)
{
	const struct group_member *m = group_find(g, l->index);
	int r = m ? chat_known(c->known, m) : -NTM_ENONAME;

	*wait = r == -NTM_EAGAIN || r == -NTM_EUNREACHABLE;
	if (r == -NTM_EUNREACHABLE)
		later(c);
	return !r;
}

/* Those of one author. Return: are any on their way? */
static bool marks_collect(struct chat *c, struct part *p)
{
	const uint8_t *id = member_id(p->m);
	struct marking *k = &c->marks;
	struct chatmarks m = {.n = 0};
	struct chat_line *l;
	char author[NTMC_FQDN_MAX + 1] = "";
	uint32_t index = 0;
	int64_t n = 0;
	bool wait;

	memcpy(m.group, id, GROUP_ID_LEN);
	memcpy(k->group, id, GROUP_ID_LEN);
	while (m.n < CHAT_MARKS_MAX &&
	       !chatstore_next(c->store, id, n, CHAT_SHOWN, &n, &l)) {
		if (m.n && l->index != index) {
			/* another author's turn comes */
		} else if (is_to_be_told(c, member_group(p->m), l, &wait)) {
			index = l->index;
			strcpy(author, l->from);
			k->line[m.n] = l->n;
			memcpy(m.id[m.n++], l->w.id, CHAT_ID_LEN);
		} else if (!wait) {
			l->state = CHAT_OLD;
			if (chatstore_change(c->store, l))
				later(c);
		}
		chat_line_free(l);
	}
	k->n = m.n;
	if (m.n)
		marks_send(c, &m, author);
	return m.n;
}

static void on_marks_due(void *arg)
{
	struct chat *c = arg;
	struct part *p;

	if (c->marks.calling)
		return;
	DL_FOREACH (c->node->parts, p)
		if (!p->over && member_state(p->m) == MEMBER_JOINED &&
		    marks_collect(c, p))
			return;
}

int chat_seen(struct chat *c, struct part *p, int64_t n, bool tell)
{
	int r = chatstore_shown(c->store, member_id(p->m), n,
				tell ? CHAT_SHOWN : CHAT_OLD);

	if (r < 0)
		return r;
	if (r && tell && !loop_timer_armed(c->marks_due))
		loop_timer_arm(c->marks_due, LOOP_MS(MARKS_MS));
	if (r)
		asking_changed(c->node->asks);
	return 0;
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

/* --- what comes ----------------------------------------------------------------------------- */

bool chat_is_service(const char *service)
{
	return !strcmp(service, CHAT_MESSAGE) || !strcmp(service, CHAT_READ);
}

/* the member that @from is, with the key that is pinned for it. Return: 0, -NTM_EPERM,
 * -NTM_EAGAIN */
static int author(struct chat *c, const struct part *p, const char *from,
		  const struct group_member **out)
{
	const struct group *g = member_group(p->m);
	size_t i, count = group_size(g);
	int r;

	for (i = 0; i < count; i++) {
		const struct group_member *m = group_at(g, i);

		if (strcmp(m->fqdn, from) || m->index == member_index(p->m))
			continue;
		*out = m;
		r = chat_known(c->known, m);
		if (r == -NTM_EUNREACHABLE)
			later(c);
		return !r ? 0
		       : r == -NTM_EAGAIN || r == -NTM_EUNREACHABLE
			       ? -NTM_EAGAIN
			       : -NTM_EPERM;
	}
	return -NTM_EPERM;
}

static int take_line(struct chat *c, const char *from, struct chat_line *l,
		     const char *text, size_t len)
{
	const struct group_member *m = NULL;
	struct part *p;
	int64_t clock;
	int r = chatword_get(text, len, &l->w);

	if (r)
		return r;
	p = part_by_id(c->node, l->w.group);
	/* the others may know that we have come before we do */
	if (!p && papers_expect(c->node->papers, l->w.group))
		return -NTM_EAGAIN;
	if (!p || p->over)
		return -NTM_ENOTFOUND;
	if (l->w.epoch > group_epoch(member_group(p->m)) ||
	    member_index(p->m) == UINT32_MAX)
		return -NTM_EAGAIN;
	r = author(c, p, from, &m);
	if (r)
		return r;
	clock = chatstore_clock(c->store, l->w.group);
	if (l->w.clock > clock + CLOCK_LEAP)
		l->w.clock = clock + 1;
	strcpy(l->from, m->fqdn);
	l->index = m->index;
	l->state = CHAT_NEW;
	return chatstore_add(c->store, l);
}

static int take_message(struct chat *c, const char *from, const char *text,
			size_t len)
{
	struct chat_line *l = chat_line_new();
	int r = l ? take_line(c, from, l, text, len) : -NTM_ENOMEM;

	chat_line_free(l);
	return r;
}

static int take_marks(struct chat *c, const char *from, const char *text,
		      size_t len)
{
	const struct group_member *m = NULL;
	struct chatmarks marks;
	struct part *p;
	int r = chatmarks_get(text, len, &marks);

	if (r)
		return r;
	p = part_by_id(c->node, marks.group);
	if (!p || p->over)
		return -NTM_ENOTFOUND;
	if (!group_size(member_group(p->m)))
		return -NTM_EAGAIN; /* it walks its log anew */
	r = author(c, p, from, &m);
	if (r)
		return r;
	for (size_t i = 0; i < marks.n && !r; i++) {
		r = chatstore_read(c->store, marks.group, marks.id[i],
				   m->index);
		if (r == -NTM_ENOTFOUND || r == -NTM_EEXISTS)
			r = 0;
	}
	return r;
}

int chat_item(struct chat *c, const char *from, const char *service,
	      const char *text, size_t len)
{
	int r = !strcmp(service, CHAT_READ) ? take_marks(c, from, text, len)
					    : take_message(c, from, text, len);

	if (!r)
		asking_changed(c->node->asks);
	if (r == -NTM_EAGAIN)
		c->items_wait = true;
	return r;
}

void chat_look(struct chat *c)
{
	if (!c || !c->items_wait)
		return;
	c->items_wait = false;
	papers_fetch(c->node->papers);
}

/* --- life -------------------------------------------------------------------------------------- */

void chat_work(struct chat *c)
{
	if (!c || c->node->ending || c->out.line)
		return;
	if (!send_next(c) && !loop_timer_armed(c->marks_due))
		loop_timer_arm(c->marks_due, LOOP_MS(MARKS_MS));
}

static void on_again(void *arg)
{
	struct chat *c = arg;

	chat_work(c);
	on_marks_due(c);
	chat_look(c);
}

void chat_forget(struct chat *c, const uint8_t *group)
{
	if (c->out.line && !memcmp(c->out.line->w.group, group, GROUP_ID_LEN)) {
		sending_end(c);
		later(c);
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
		r = loop_timer_new(n->loop, on_marks_due, c, &c->marks_due);
	if (!r)
		r = chat_known_open(n, on_known, c, &c->known);
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
	chatstore_close(c->store);
	free(c);
}
