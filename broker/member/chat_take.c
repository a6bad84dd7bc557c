/* SPDX-License-Identifier: MIT */
/*
 * chat_take - messages and marks that come, as items
 *
 * Theory of operation
 *
 * An item is signed by a device whose key ntm-post has pinned. It must be a member now,
 * with that key. A message of a later epoch than ours waits in ntm-post's inbox until the
 * log is there. The same ID of the same author is one message.
 *
 * Who claims a clock far ahead (CLOCK_LEAP) is put one behind the last: else he could use
 * the numbers up.
 */
#include "broker/member/chat_impl.h"

#include <string.h>

#include "broker/member/asks.h"
#include "broker/member/papers.h"

#define CLOCK_LEAP (INT64_C(1) << 32)

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
			chat_later(c);
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
