/* SPDX-License-Identifier: MIT */
/*
 * chat_marks - who wrote what the person has seen is told so
 *
 * What the person has seen is SHOWN; after CHAT_MARKS_MS the authors are told, each by one
 * small item of up to 64 IDs. Then it is OLD.
 */
#include "broker/member/chat_impl.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "broker/member/asks.h"
#include "broker/member/papers.h"
#include "broker/member/postcall.h"

static void on_marked(void *arg, int err, const json_t *answer)
{
	struct chat_marking *k = arg;
	struct chat *c =
		(struct chat *)((char *)k - offsetof(struct chat, marks));
	struct chat_line *l;
	int64_t n;
	int r = 0;

	(void)answer;
	k->calling = false;
	if (err && !chat_is_final(err)) {
		chat_later(c);
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
		chat_later(c);
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
		chat_later(c);
}

/* Is @l's author to be told now? Else it never will be, or *@wait */
static bool is_to_be_told(struct chat *c, const struct group *g,
			  const struct chat_line *l, bool *wait)
{
	const struct group_member *m = group_find(g, l->index);
	int r = m ? chat_known(c->known, m) : -NTM_ENONAME;

	*wait = r == -NTM_EAGAIN || r == -NTM_EUNREACHABLE;
	if (r == -NTM_EUNREACHABLE)
		chat_later(c);
	return !r;
}

/* Those of one author. Return: are any on their way? */
static bool marks_collect(struct chat *c, struct part *p)
{
	const uint8_t *id = member_id(p->m);
	struct chat_marking *k = &c->marks;
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
				chat_later(c);
		}
		chat_line_free(l);
	}
	k->n = m.n;
	if (m.n)
		marks_send(c, &m, author);
	return m.n;
}

void chat_marks_due(void *arg)
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
		loop_timer_arm(c->marks_due, LOOP_MS(CHAT_MARKS_MS));
	if (r)
		asking_changed(c->node->asks);
	return 0;
}
