/* SPDX-License-Identifier: MIT */
/*
 * link - the box's link with the DC beside it
 *
 * Theory of operation
 *
 * We connect, again and again until the DC is there. First we name every device that
 * we keep anything for, 100 at a time, each page read by the clerk behind the changes
 * before it, so that what the DC hears last is what holds. Then each change.
 *
 * A question gets one answer while the link stands; when it ends, all that wait hear
 * that they should ask again. What the DC says of who was withdrawn is done at once;
 * if the store fails, the link begins anew, and the DC says it again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uthash.h>

#include "common/log.h"
#include "servers/box/state.h"
#include "servers/boxsock.h"

#define RETRY_FIRST_NS LOOP_MS(100)
#define RETRY_MAX_NS   LOOP_S(5)
#define ASKS_MAX       8192

/* struct asker - an account's questions under way: the DC has room for a thousand, a
 * quarter of them about one domain, and nobody is to take what others need */
struct asker {
	char account[FQDN_MAX + 1];
	unsigned int n;
	UT_hash_handle hh;
};

struct ask {
	uint32_t id;
	struct asker *by;
	box_told_fn *fn;
	void *arg;
	UT_hash_handle hh;
};

struct box_link {
	struct box *box;
	struct boxsock *sock;
	struct loop_timer *timer;
	uint64_t pause;
	struct ask *asks;
	struct asker *askers;
	uint32_t last_id;
	uint32_t
		generation; /* of the link: pages of an older one are not sent */
	bool closing;
};

/* struct page - devices that are named at the start of a link */
struct page {
	struct clerk_job job;
	struct clerk_post post;
	struct box *box;
	uint32_t generation;
	char after[FQDN_MAX + 1];
	int n;
	struct shelf_named list[BOXSOCK_NODES_MAX];
};

static void asker_put(struct box_link *l, struct asker *x)
{
	if (x->n)
		return;
	HASH_DEL(l->askers, x);
	free(x);
}

/* Return: NULL: out of memory */
static struct asker *asker_get(struct box_link *l, const char *node)
{
	const char *account = shelf_account(node);
	struct asker *x;

	HASH_FIND_STR(l->askers, account, x);
	if (x)
		return x;
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	snprintf(x->account, sizeof(x->account), "%s", account);
	HASH_ADD_STR(l->askers, account, x);
	return x;
}

/* @a is answered, or never will be */
static void ask_end(struct box_link *l, struct ask *a, int err,
		    const Ntm__BoxResponse *r)
{
	HASH_DEL(l->asks, a);
	a->by->n--;
	asker_put(l, a->by);
	a->fn(a->arg, err, r);
	free(a);
}

static void link_lost(struct box_link *l)
{
	struct ask *a, *next;

	boxsock_close(l->sock);
	l->sock = NULL;
	l->generation++;
	HASH_ITER (hh, l->asks, a, next)
		ask_end(l, a, -NTM_EAGAIN, NULL);
	if (l->closing)
		return;
	loop_timer_arm(l->timer, l->pause);
	l->pause = l->pause * 2 > RETRY_MAX_NS ? RETRY_MAX_NS : l->pause * 2;
}

static int nodes_send(struct box_link *l, const struct shelf_named *list, int n)
{
	Ntm__BoxLink msg = NTM__BOX_LINK__INIT;
	Ntm__BoxNodes body = NTM__BOX_NODES__INIT;
	Ntm__BoxNode nodes[BOXSOCK_NODES_MAX], *all[BOXSOCK_NODES_MAX];

	for (int i = 0; i < n; i++) {
		ntm__box_node__init(&nodes[i]);
		nodes[i].fqdn = (char *)list[i].fqdn;
		nodes[i].serial = list[i].serial;
		if (list[i].has_fp)
			nodes[i].fingerprint = (ProtobufCBinaryData){
				NTMC_FP_LEN, (uint8_t *)list[i].fp};
		all[i] = &nodes[i];
	}
	body.n_nodes = (size_t)n;
	body.nodes = all;
	msg.body_case = NTM__BOX_LINK__BODY_NODES;
	msg.nodes = &body;
	return boxsock_send(l->sock, &msg);
}

/* --- who there is ----------------------------------------------------------------- */

static int page_work(struct clerk_job *job, struct shelf *s)
{
	struct page *p = (struct page *)job;

	p->n = shelf_named(s, p->after, p->list, BOXSOCK_NODES_MAX);
	return p->n < 0 ? p->n : 0;
}

static void page_ask(struct page *p)
{
	if (clerk_ask(p->box->clerk, &p->job))
		free(p); /* it ends */
}

static void page_here(struct clerk_post *post, void *arg)
{
	struct page *p =
		(struct page *)((char *)post - offsetof(struct page, post));
	struct box *b = arg;
	struct box_link *l = b->link;

	if (!l || !l->sock || p->generation != l->generation) {
		free(p);
		return;
	}
	if (p->n < 0 || nodes_send(l, p->list, p->n)) {
		link_lost(l);
		free(p);
		return;
	}
	if (p->n < BOXSOCK_NODES_MAX) {
		l->pause = RETRY_FIRST_NS;
		free(p);
		return;
	}
	memcpy(p->after, p->list[p->n - 1].fqdn, sizeof(p->after));
	page_ask(p);
}

static void page_done(struct clerk_job *job, int err)
{
	struct page *p = (struct page *)job;

	if (err)
		p->n = -1;
	p->post.fn = page_here;
	clerk_post(p->box->clerk, &p->post);
}

static void name_all(struct box_link *l)
{
	struct page *p = calloc(1, sizeof(*p));

	if (!p) {
		link_lost(l);
		return;
	}
	p->box = l->box;
	p->generation = l->generation;
	p->job.work = page_work;
	p->job.done = page_done;
	page_ask(p);
}

void box_link_changed(struct box_link *l, const char *fqdn, uint32_t serial)
{
	struct shelf_named one = {.serial = serial};

	if (!l || !l->sock)
		return; /* it is named when there is a link */
	snprintf(one.fqdn, sizeof(one.fqdn), "%s", fqdn);
	if (nodes_send(l, &one, 1))
		link_lost(l);
}

/* --- who is gone --------------------------------------------------------------------- */

struct going {
	struct clerk_job job;
	struct clerk_post post;
	struct box *box;
	char fqdn[FQDN_MAX + 1];
};

static int going_work(struct clerk_job *job, struct shelf *s)
{
	return shelf_forget(s, ((struct going *)job)->fqdn);
}

static void going_failed(struct clerk_post *post, void *arg)
{
	struct going *g =
		(struct going *)((char *)post - offsetof(struct going, post));
	struct box *b = arg;

	if (b->link && b->link->sock)
		link_lost(b->link);
	free(g);
}

static void going_done(struct clerk_job *job, int err)
{
	struct going *g = (struct going *)job;

	if (!err)
		log_info("link",
			 "%s was withdrawn: its prekeys, keys and list "
			 "are forgotten",
			 g->fqdn);
	/* AS and DC both say it, and the DC each time that we name the device */
	if (!err || err == -NTM_ENOTFOUND) {
		free(g);
		return;
	}
	g->post.fn = going_failed;
	clerk_post(g->box->clerk, &g->post);
}

void box_forget(struct box *b, const char *fqdn)
{
	struct going *g = calloc(1, sizeof(*g));

	if (!g)
		return;
	g->box = b;
	g->job.work = going_work;
	g->job.done = going_done;
	snprintf(g->fqdn, sizeof(g->fqdn), "%s", fqdn);
	if (clerk_ask(b->clerk, &g->job))
		free(g);
}

/* --- questions and answers --------------------------------------------------------------- */

void box_link_ask(struct box_link *l, const char *node, const char *name,
		  Ntm__BoxRequest *q, box_told_fn *fn, void *arg)
{
	Ntm__BoxLink msg = NTM__BOX_LINK__INIT;
	Ntm__BoxQuestion body = NTM__BOX_QUESTION__INIT;
	struct asker *by;
	struct ask *a;

	if (!l || !l->sock || HASH_COUNT(l->asks) >= ASKS_MAX) {
		fn(arg, l && l->sock ? -NTM_ELIMIT : -NTM_EAGAIN, NULL);
		return;
	}
	by = asker_get(l, node);
	a = by && by->n < BOX_ASKS_OF_ACCOUNT ? calloc(1, sizeof(*a)) : NULL;
	if (a) {
		*a = (struct ask){
			.id = ++l->last_id, .by = by, .fn = fn, .arg = arg};
		body.id = a->id;
		body.name = (char *)name;
		body.request = q;
		msg.body_case = NTM__BOX_LINK__BODY_QUESTION;
		msg.question = &body;
	}
	if (!a || boxsock_send(l->sock, &msg)) {
		free(a);
		if (by)
			asker_put(l, by);
		fn(arg, -NTM_ELIMIT, NULL);
		return;
	}
	by->n++;
	HASH_ADD(hh, l->asks, id, sizeof(a->id), a);
}

void box_link_answer(struct box_link *l, uint32_t id, const Ntm__BoxResponse *r)
{
	Ntm__BoxLink msg = NTM__BOX_LINK__INIT;
	Ntm__BoxAnswer body = NTM__BOX_ANSWER__INIT;

	if (!l || !l->sock)
		return; /* who asked asks again */
	body.id = id;
	body.response = (Ntm__BoxResponse *)r;
	msg.body_case = NTM__BOX_LINK__BODY_ANSWER;
	msg.answer = &body;
	if (boxsock_send(l->sock, &msg))
		log_debug("link", "an answer was not sent");
}

static void answered(struct box_link *l, const Ntm__BoxAnswer *m)
{
	struct ask *a;

	HASH_FIND(hh, l->asks, &m->id, sizeof(m->id), a);
	if (a)
		ask_end(l, a, 0, m->response);
}

static void on_message(void *arg, const Ntm__BoxLink *msg)
{
	struct box_link *l = arg;

	switch (msg->body_case) {
	case NTM__BOX_LINK__BODY_GONE:
		for (size_t i = 0; i < msg->gone->n_names; i++)
			box_forget(l->box, msg->gone->names[i]);
		break;
	case NTM__BOX_LINK__BODY_QUESTION:
		inbound_question(l->box, msg->question);
		break;
	case NTM__BOX_LINK__BODY_ANSWER:
		answered(l, msg->answer);
		break;
	case NTM__BOX_LINK__BODY_NODES:
	case NTM__BOX_LINK__BODY__NOT_SET:
	default:
		log_err("link", "the DC said what no DC says");
		break;
	}
}

static void on_closed(void *arg)
{
	struct box_link *l = arg;

	log_info("link", "the DC has gone");
	link_lost(l);
}

static const struct boxsock_ops ops = {
	.message = on_message,
	.closed = on_closed,
};

static void try_connect(void *arg)
{
	struct box_link *l = arg;
	int fd = -1, r = boxsock_connect(l->box->env->dir, &fd);

	if (!r)
		r = boxsock_new(l->box->loop, fd, &ops, l, &l->sock);
	if (r) {
		if (fd >= 0)
			close(fd);
		l->sock = NULL;
		link_lost(l);
		return;
	}
	log_info("link", "the DC is there");
	name_all(l);
}

/* --- life ---------------------------------------------------------------------------------- */

bool box_link_is_up(const struct box_link *l)
{
	return l && l->sock;
}

int box_link_new(struct box *b, struct box_link **out)
{
	struct box_link *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -NTM_ENOMEM;
	l->box = b;
	l->pause = RETRY_FIRST_NS;
	r = loop_timer_new(b->loop, try_connect, l, &l->timer);
	if (r) {
		free(l);
		return r;
	}
	loop_timer_arm(l->timer, 0);
	*out = l;
	return 0;
}

void box_link_free(struct box_link *l)
{
	if (!l)
		return;
	l->closing = true;
	link_lost(l);
	loop_timer_free(l->timer);
	free(l);
}
