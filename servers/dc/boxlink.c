/* SPDX-License-Identifier: MIT */
/*
 * boxlink - the DC's link with the box beside it, and what it tells nodes of it
 *
 * Theory of operation
 *
 * The box connects (boxsock.h), and first names every device it keeps anything for,
 * with its identity and the number of its cache list: so neither's restart loses
 * anything. Who has been withdrawn meanwhile, or is another device by now, is named
 * back as gone. After that the box names a device whenever its number changes.
 *
 * A number that a node is to hear of goes to its last address, every 500 ms until it
 * acknowledges, ten times; a node that is told by NS or push is woken, once each time,
 * and asks (Route Direction Request). Whoever missed all that hears the number with
 * the next answer to a registration or keep-alive. Of several changes meanwhile only
 * the last one is told.
 */
#include "servers/dc/boxlink.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/boxsock.h"
#include "servers/dc/courier.h"
#include "servers/dc/slab.h"
#include "servers/dc/state.h"

#define NOTICE_NS   LOOP_MS(BOXLINK_NOTICE_MS)
#define HANDLE_BITS 12
#define GENERATIONS (1u << (30 - HANDLE_BITS))

/* struct notice - @node 0: place not in use */
struct notice {
	uint32_t slab_link;
	struct chain_link link; /* in the order of deadlines */
	uint32_t node, txn;
	uint64_t fp8, deadline;
	uint8_t tries;
};

struct boxlink {
	struct dc *dc;
	int fd; /* listening */
	struct loop_io *io;
	struct boxsock *sock; /* NULL: no box is here */
	struct slab slab;
	struct index by_node;
	struct chain chain;
	uint32_t generation;
	struct loop_timer *timer;
	uint64_t links, told, acked, given_up, gone;
};

/* --- notices ------------------------------------------------------------------------ */

static struct notice *notice_at(const struct boxlink *b, uint32_t h)
{
	return slab_at(&b->slab, h);
}

static uint64_t node_hash(uint32_t node)
{
	return (node + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t notice_hash(const void *owner, uint32_t h)
{
	return node_hash(notice_at(owner, h)->node);
}

static uint32_t notice_of(const struct boxlink *b, uint32_t node)
{
	uint32_t at, h = index_first(&b->by_node, node_hash(node), &at);

	while (h && notice_at(b, h)->node != node)
		h = index_next(&b->by_node, &at);
	return h;
}

static void chain_last(struct boxlink *b, uint32_t h)
{
	notice_at(b, h)->deadline = loop_now(b->dc->loop) + NOTICE_NS;
	chain_append(&b->chain, &b->slab, h);
	if (!loop_timer_armed(b->timer))
		loop_timer_arm(b->timer, NOTICE_NS);
}

static void notice_end(struct boxlink *b, uint32_t h)
{
	chain_remove(&b->chain, &b->slab, h);
	index_del(&b->by_node, h);
	slab_del(&b->slab, h);
}

static void notice_send(struct boxlink *b, const struct node *n, uint32_t txn)
{
	Ntm__BoxNotice body = NTM__BOX_NOTICE__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	body.serial = n->cache_serial;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_BOX_NOTICE;
	msg.box_notice = &body;
	if (!signal_send(b->dc, n->session, &n->at, &msg))
		log_debug("boxlink", "a Box Notice was not sent");
}

static bool is_there(struct boxlink *b, const struct node *n)
{
	return n->fqdn && n->session && n->cache_serial &&
	       dc_is_online(b->dc, n);
}

static void new_txn(struct boxlink *b, uint32_t h)
{
	b->generation = (b->generation + 1) % GENERATIONS;
	notice_at(b, h)->txn = BOXLINK_TXN | b->generation << HANDLE_BITS | h;
}

/* @wake: it may not hear us */
static void notice_start(struct boxlink *b, uint32_t node, bool wake)
{
	struct node *n = nodes_at(&b->dc->nodes, node);
	uint32_t h = notice_of(b, node);
	struct notice *x;

	if (!is_there(b, n))
		return;
	if (h) {
		new_txn(b, h); /* it has to know of the last one */
		notice_at(b, h)->tries = 1;
		chain_remove(&b->chain, &b->slab, h);
	} else {
		h = slab_add(&b->slab);
		if (!h)
			return; /* its next keep-alive says it */
		x = notice_at(b, h);
		x->node = node;
		x->fp8 = n->fp8;
		x->tries = 1;
		new_txn(b, h);
		if (index_add(&b->by_node, h)) {
			slab_del(&b->slab, h);
			return;
		}
		if (wake && n->wakeup)
			wake_node(b->dc, n, 0);
	}
	b->told++;
	chain_last(b, h);
	notice_send(b, n, notice_at(b, h)->txn);
}

static void tick(void *arg)
{
	struct boxlink *b = arg;
	uint64_t now = loop_now(b->dc->loop);
	uint32_t h;

	while ((h = b->chain.head) && notice_at(b, h)->deadline <= now) {
		struct notice *x = notice_at(b, h);
		struct node *n = nodes_at(&b->dc->nodes, x->node);

		if (x->tries == BOXLINK_NOTICES || !is_there(b, n) ||
		    n->fp8 != x->fp8) {
			b->given_up++;
			notice_end(b, h);
			continue;
		}
		x->tries++;
		notice_send(b, n, x->txn);
		chain_remove(&b->chain, &b->slab, h);
		chain_last(b, h);
	}
	if (b->chain.head)
		loop_timer_arm(b->timer,
			       notice_at(b, b->chain.head)->deadline - now);
}

void boxlink_acked(struct dc *dc, uint32_t session, uint32_t txn)
{
	struct boxlink *b = dc->boxlink;
	uint32_t h = txn & BOXLINK_NOTICES_MAX;

	if (!h || h > b->slab.top || notice_at(b, h)->txn != txn ||
	    notice_at(b, h)->node != nodes_session(&dc->nodes, session)->node)
		return;
	b->acked++;
	notice_end(b, h);
}

void boxlink_fetch(struct dc *dc, uint32_t session)
{
	notice_start(dc->boxlink, nodes_session(&dc->nodes, session)->node,
		     false);
}

/* --- what the box says ------------------------------------------------------------------ */

void boxlink_gone(struct dc *dc, const char *fqdn)
{
	struct boxlink *b = dc->boxlink;
	Ntm__BoxGone body = NTM__BOX_GONE__INIT;
	Ntm__BoxLink msg = NTM__BOX_LINK__INIT;
	char *one = (char *)fqdn;

	if (!b->sock)
		return; /* it is compared when the box comes */
	body.n_names = 1;
	body.names = &one;
	msg.body_case = NTM__BOX_LINK__BODY_GONE;
	msg.gone = &body;
	b->gone++;
	if (boxsock_send(b->sock, &msg))
		log_warn("boxlink",
			 "the box was not told that %s is gone; it "
			 "hears so when it is started next",
			 fqdn);
}

/* Has whom the box means been withdrawn, or replaced? */
static bool is_gone(const struct dc *dc, const Ntm__BoxNode *x,
		    const struct node *n)
{
	uint8_t fp[NTMC_FP_LEN];

	if (n && n->flags & NODE_REVOKED)
		return true;
	if (x->fingerprint.len != NTMC_FP_LEN)
		return false;
	if (n) {
		ntmc_fingerprint(n->ed_pub, fp);
		return memcmp(fp, x->fingerprint.data, NTMC_FP_LEN) != 0;
	}
	for (size_t i = 0; i < dc->n_revocations; i++)
		if (!memcmp(dc->revocations[i].fp, x->fingerprint.data,
			    NTMC_FP_LEN))
			return true;
	return false;
}

static void named(struct boxlink *b, const Ntm__BoxNode *x)
{
	uint32_t h = nodes_find(&b->dc->nodes, x->fqdn);
	struct node *n = h ? nodes_at(&b->dc->nodes, h) : NULL;

	if (is_gone(b->dc, x, n)) {
		boxlink_gone(b->dc, x->fqdn);
		return;
	}
	if (!n || n->cache_serial == x->serial)
		return;
	n->cache_serial = x->serial;
	notice_start(b, h, true);
}

static void on_message(void *arg, const Ntm__BoxLink *msg)
{
	struct boxlink *b = arg;

	switch (msg->body_case) {
	case NTM__BOX_LINK__BODY_NODES:
		for (size_t i = 0; b->sock && i < msg->nodes->n_nodes; i++)
			named(b, msg->nodes->nodes[i]);
		break;
	case NTM__BOX_LINK__BODY_QUESTION:
		if (msg->question->name[0])
			courier_ask(b->dc, msg->question);
		break;
	case NTM__BOX_LINK__BODY_ANSWER:
		courier_told(b->dc, msg->answer);
		break;
	case NTM__BOX_LINK__BODY_GONE:
	case NTM__BOX_LINK__BODY__NOT_SET:
	default:
		log_err("boxlink", "the box said what no box says");
		break;
	}
}

static void on_closed(void *arg)
{
	struct boxlink *b = arg;

	log_info("boxlink", "the box has gone");
	boxsock_close(b->sock);
	b->sock = NULL;
	courier_forget(b->dc);
}

static const struct boxsock_ops ops = {
	.message = on_message,
	.closed = on_closed,
};

bool boxlink_question(struct dc *dc, uint32_t id, const char *domain,
		      const Ntm__BoxRequest *q)
{
	struct boxlink *b = dc->boxlink;
	Ntm__BoxQuestion body = NTM__BOX_QUESTION__INIT;
	Ntm__BoxLink msg = NTM__BOX_LINK__INIT;

	body.id = id;
	body.domain = (char *)domain;
	body.request = (Ntm__BoxRequest *)q;
	msg.body_case = NTM__BOX_LINK__BODY_QUESTION;
	msg.question = &body;
	return b->sock && !boxsock_send(b->sock, &msg);
}

void boxlink_answer(struct dc *dc, uint32_t id, const Ntm__BoxResponse *r)
{
	struct boxlink *b = dc->boxlink;
	Ntm__BoxAnswer body = NTM__BOX_ANSWER__INIT;
	Ntm__BoxLink msg = NTM__BOX_LINK__INIT;

	body.id = id;
	body.response = (Ntm__BoxResponse *)r;
	msg.body_case = NTM__BOX_LINK__BODY_ANSWER;
	msg.answer = &body;
	if (b->sock && boxsock_send(b->sock, &msg))
		log_warn("boxlink", "an answer did not reach the box");
}

/* --- life -------------------------------------------------------------------------------- */

static void acceptable(void *arg, int fd, unsigned int events)
{
	struct boxlink *b = arg;
	struct boxsock *fresh;
	int c;

	(void)events;
	if (boxsock_accept(fd, &c))
		return;
	if (boxsock_new(b->dc->loop, c, &ops, b, &fresh)) {
		close(c);
		return;
	}
	if (b->sock) { /* the one before has died, and we have yet to hear */
		boxsock_close(b->sock);
		courier_forget(b->dc);
	}
	b->sock = fresh;
	b->links++;
	log_info("boxlink", "the box is here");
}

json_t *boxlink_admin(struct dc *dc)
{
	const struct boxlink *b = dc->boxlink;

#define N(x) (json_int_t)(x)
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "link",
			 b->sock != NULL, "links", N(b->links), "told",
			 N(b->told), "acked", N(b->acked), "given_up",
			 N(b->given_up), "waiting", N(b->slab.used), "gone",
			 N(b->gone), "questions", courier_admin(dc));
#undef N
}

int boxlink_new(struct dc *dc, struct boxlink **out)
{
	struct boxlink *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -NTM_ENOMEM;
	b->dc = dc;
	b->fd = -1;
	slab_init(&b->slab, sizeof(struct notice), BOXLINK_NOTICES_MAX);
	index_init(&b->by_node, notice_hash, b);
	r = loop_timer_new(dc->loop, tick, b, &b->timer);
	if (!r)
		r = boxsock_listen(dc->env->dir, &b->fd);
	if (!r && b->fd >= 0)
		r = loop_io_add(dc->loop, b->fd, LOOP_READ, false, acceptable,
				b, &b->io);
	if (r) {
		boxlink_free(b);
		return r;
	}
	*out = b;
	return 0;
}

void boxlink_free(struct boxlink *b)
{
	if (!b)
		return;
	boxsock_close(b->sock);
	loop_io_del(b->io);
	if (b->fd >= 0) {
		close(b->fd);
		boxsock_unlink(b->dc->env->dir);
	}
	loop_timer_free(b->timer);
	slab_clear(&b->slab);
	index_clear(&b->by_node);
	free(b);
}
