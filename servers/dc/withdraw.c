/* SPDX-License-Identifier: MIT */
/*
 * withdraw - withdrawals until they are acknowledged
 *
 * Theory of operation
 *
 * withdraw_start() is called when a revocation is durable. Fingerprints go out in
 * sets of 16. For each set, the nodes themselves (if they are known) and whoever
 * was directed to or from them in the last day get a Withdraw, every 500 ms until
 * they acknowledge it, ten times. A withdrawn node keeps its session for exactly
 * that long; then it is dropped, and the name and lease too when released. Its
 * connection with an NS ends with it.
 *
 * Who is kept by an NS or woken by a push has no mapping by which a Withdraw comes: it
 * is woken, registers, and is told there (the repetitions find it, or the serial does).
 *
 * What the DC cannot know - pairs from before its restart, or overwritten in the
 * ring - it makes up for with a sweep: every node that is online gets the set once,
 * 2000 nodes each 100 ms. Whoever misses all of that sees the serial in its next
 * Keep Alive Ack and asks.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fqdn.h"
#include "common/log.h"
#include "servers/dc/abroad.h"
#include "servers/dc/boxlink.h"
#include "servers/dc/state.h"

#define SET_MAX		16
#define HANDLE_BITS	17
#define WITHDRAWALS_MAX ((1u << HANDLE_BITS) - 1)
#define GENERATIONS	(1u << (30 - HANDLE_BITS))
#define REPEAT_NS	LOOP_MS(500)
#define REPEAT_TIMES	10
#define RELAYS_AGAIN_S	600 /* back from a start: what relays may not know */
#define SWEEPS_MAX	16
#define SWEEP_EVERY_NS	LOOP_MS(100)
#define SWEEP_NODES	2000

struct set {
	unsigned int refs;
	uint64_t serial;
	size_t n;
	uint8_t fps[SET_MAX][NTMC_FP_LEN];
};

struct withdrawal {
	uint32_t slab_link;
	struct chain_link link; /* in the order of deadlines */
	uint32_t node, txn;
	uint64_t fp8, deadline;
	struct set *set; /* NULL: place not in use */
	uint8_t tries;
	bool self; /* to the withdrawn node */
};

struct sweep {
	struct set *set;
	uint32_t next; /* node handle */
};

struct withdrawals {
	struct dc *dc;
	struct slab slab;
	struct chain chain;
	uint32_t generation;
	struct loop_timer *timer, *sweep_timer;
	struct sweep sweeps[SWEEPS_MAX];
	size_t n_sweeps;
};

static struct withdrawal *withdrawal_at(const struct withdrawals *w, uint32_t h)
{
	return slab_at(&w->slab, h);
}

static void set_put(struct set *set)
{
	if (!--set->refs)
		free(set);
}

static void chain_last(struct withdrawals *w, uint32_t h)
{
	withdrawal_at(w, h)->deadline = loop_now(w->dc->loop) + REPEAT_NS;
	chain_append(&w->chain, &w->slab, h);
}

/* --- nodes -------------------------------------------------------------------- */

/* a withdrawn node has been told, or cannot be: its sessions end */
static void node_finish(struct dc *dc, uint32_t h)
{
	struct node *n = nodes_at(&dc->nodes, h);

	if (!n->fqdn || !(n->flags & NODE_REVOKED))
		return; /* logged in again meanwhile */
	if (n->next)
		notify_end_session(dc, n->next);
	if (n->session)
		notify_end_session(dc, n->session);
	wake_forget(dc, n);
	if (n->flags & NODE_RELEASED)
		nodes_release(&dc->nodes, h);
}

static void send_set(struct dc *dc, const struct node *n, struct set *set,
		     uint32_t txn)
{
	Ntm__Withdraw body = NTM__WITHDRAW__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	ProtobufCBinaryData fps[SET_MAX];

	for (size_t i = 0; i < set->n; i++)
		fps[i] = (ProtobufCBinaryData){NTMC_FP_LEN, set->fps[i]};
	body.n_fingerprints = set->n;
	body.fingerprints = fps;
	body.revocation_serial = set->serial;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_WITHDRAW;
	msg.withdraw = &body;
	signal_send(dc, n->session, &n->at, &msg);
}

/* --- one node to be told ---------------------------------------------------------- */

static void withdrawal_end(struct withdrawals *w, uint32_t h)
{
	struct withdrawal *x = withdrawal_at(w, h);
	uint32_t node = x->node;
	bool self = x->self;

	chain_remove(&w->chain, &w->slab, h);
	set_put(x->set);
	slab_del(&w->slab, h);
	if (self)
		node_finish(w->dc, node);
}

static void withdrawals_tick(void *arg)
{
	struct withdrawals *w = arg;
	uint64_t now = loop_now(w->dc->loop);
	uint32_t h;

	while ((h = w->chain.head) && withdrawal_at(w, h)->deadline <= now) {
		struct withdrawal *x = withdrawal_at(w, h);
		struct node *n = nodes_at(&w->dc->nodes, x->node);

		if (x->tries == REPEAT_TIMES || !n->fqdn || n->fp8 != x->fp8 ||
		    !n->session || (x->self && !(n->flags & NODE_REVOKED))) {
			withdrawal_end(w, h);
			continue;
		}
		x->tries++;
		send_set(w->dc, n, x->set, x->txn);
		chain_remove(&w->chain, &w->slab, h);
		chain_last(w, h);
	}
	if (w->chain.head)
		loop_timer_arm(w->timer,
			       withdrawal_at(w, w->chain.head)->deadline - now);
}

static void tell(struct withdrawals *w, uint32_t node, struct set *set,
		 bool self)
{
	struct node *n = nodes_at(&w->dc->nodes, node);
	struct withdrawal *x;
	uint32_t h;

	if (!n->fqdn || !n->session || !(n->flags & NODE_PROVEN)) {
		if (dc_is_asleep(n))
			wake_node(w->dc, n, 0);
		if (self)
			node_finish(w->dc, node);
		return;
	}
	h = slab_add(&w->slab);
	if (!h) { /* the serial in its Keep Alive Ack tells it */
		if (self)
			node_finish(w->dc, node);
		return;
	}
	x = withdrawal_at(w, h);
	x->node = node;
	x->fp8 = n->fp8;
	x->self = self;
	x->set = set;
	set->refs++;
	x->tries = 1;
	w->generation = (w->generation + 1) % GENERATIONS;
	x->txn = WITHDRAW_TXN | w->generation << HANDLE_BITS | h;
	w->dc->stats.withdrawals++;
	send_set(w->dc, n, set, x->txn);
	if (n->wakeup)
		wake_node(w->dc, n, 0);
	chain_last(w, h);
	if (!loop_timer_armed(w->timer))
		loop_timer_arm(w->timer, REPEAT_NS);
}

void withdraw_ack(struct dc *dc, uint32_t session, uint32_t txn)
{
	struct withdrawals *w = dc->withdrawals;
	uint32_t h = txn & WITHDRAWALS_MAX;
	struct withdrawal *x;

	if (!h || h > w->slab.top)
		return;
	x = withdrawal_at(w, h);
	if (!x->set || x->txn != txn ||
	    x->node != nodes_session(&dc->nodes, session)->node)
		return;
	withdrawal_end(w, h);
}

/* --- everybody ------------------------------------------------------------------- */

static void sweep_tick(void *arg)
{
	struct withdrawals *w = arg;
	struct dc *dc = w->dc;
	struct sweep *s = &w->sweeps[0];

	if (!w->n_sweeps)
		return;
	for (unsigned int i = 0; i < SWEEP_NODES; i++, s->next++) {
		struct node *n;

		if (s->next > dc->nodes.nodes.top) {
			set_put(s->set);
			memmove(w->sweeps, w->sweeps + 1,
				--w->n_sweeps * sizeof(*s));
			break;
		}
		n = nodes_at(&dc->nodes, s->next);
		if (n->fqdn && n->session && !(n->flags & NODE_REVOKED) &&
		    dc_is_online(dc, n)) {
			send_set(dc, n, s->set, 0); /* txn 0: nobody waits */
			if (n->wakeup == NTM__WAKEUP__WAKEUP_NS)
				notify_node(dc, n, 0);
		}
	}
	if (w->n_sweeps)
		loop_timer_arm(w->sweep_timer, SWEEP_EVERY_NS);
}

static void sweep_start(struct withdrawals *w, struct set *set)
{
	struct dc *dc = w->dc;
	bool restarted = dc->forgot_pairs && dc_now_s(dc) < PAIRS_DAY_S;

	if (!restarted && !pairs_incomplete(&dc->pairs, dc_now_s(dc)))
		return;
	if (w->n_sweeps == SWEEPS_MAX) {
		log_warn("withdraw", "too many at once; nodes will ask");
		return;
	}
	set->refs++;
	w->sweeps[w->n_sweeps++] = (struct sweep){set, 1};
	if (w->n_sweeps == 1)
		loop_timer_arm(w->sweep_timer, 0);
}

/* --- a revocation ------------------------------------------------------------------ */

struct telling {
	struct withdrawals *w;
	struct set *set;
};

static void tell_partner(void *arg, uint32_t other)
{
	struct telling *t = arg;

	if (!(nodes_at(&t->w->dc->nodes, other)->flags & NODE_REVOKED))
		tell(t->w, other, t->set, false);
}

/* a relay knows no devices: who else of the account had a path asks for one */
static void tell_relays(struct dc *dc, const char *fqdn)
{
	struct fqdn_parts parts;

	if (!fqdn_split(fqdn, dc->cert.domain.domain, &parts))
		relays_withdraw(dc, parts.account);
}

void withdraw_tell(struct dc *dc, uint32_t node,
		   const uint8_t fp[static NTMC_FP_LEN])
{
	struct set *set = calloc(1, sizeof(*set));

	if (!set)
		return;
	set->refs = 1; /* serial 0: none of ours */
	set->n = 1;
	memcpy(set->fps[0], fp, NTMC_FP_LEN);
	tell(dc->withdrawals, node, set, false);
	set_put(set);
}

static void withdraw_set(struct dc *dc, const uint8_t (*fps)[NTMC_FP_LEN],
			 size_t n, bool release)
{
	struct withdrawals *w = dc->withdrawals;
	struct set *set = calloc(1, sizeof(*set));
	struct telling t = {w, set};

	if (!set) {
		log_err("withdraw", "out of memory; nodes will ask");
		return;
	}
	set->refs = 1;
	set->serial = dc->serial;
	set->n = n;
	memcpy(set->fps, fps, n * NTMC_FP_LEN);
	for (size_t i = 0; i < n; i++) {
		uint32_t h = nodes_find_fp(&dc->nodes, fps[i]);

		if (h)
			nodes_at(&dc->nodes, h)->flags |=
				NODE_REVOKED | (release ? NODE_RELEASED : 0);
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t h = nodes_find_fp(&dc->nodes, fps[i]);

		if (!h)
			continue;
		log_info("withdraw", "%s", nodes_at(&dc->nodes, h)->fqdn);
		tell_relays(dc, nodes_at(&dc->nodes, h)->fqdn);
		pairs_each(&dc->pairs, &dc->nodes, h, dc_now_s(dc),
			   tell_partner, &t);
		guests_withdrawn(dc, h);
		boxlink_gone(dc, nodes_at(&dc->nodes, h)->fqdn);
		tell(w, h, set, true);
	}
	sweep_start(w, set);
	set_put(set);
}

/* the next set of the account's identities that begins at node @h */
static uint32_t set_fill(struct dc *dc, uint32_t h, struct set *set)
{
	for (; h && set->n < SET_MAX;
	     h = nodes_at(&dc->nodes, h)->next_of_account)
		ntmc_fingerprint(nodes_at(&dc->nodes, h)->ed_pub,
				 set->fps[set->n++]);
	return h;
}

void withdraw_between(struct dc *dc, uint32_t account, uint32_t others)
{
	struct set *set;
	uint32_t h;

	while (account && others) {
		set = calloc(1, sizeof(*set));
		if (!set) {
			log_err("withdraw", "out of memory");
			return;
		}
		set->refs = 1;
		set->serial = dc->serial;
		account = set_fill(dc, account, set);
		for (h = others; h;
		     h = nodes_at(&dc->nodes, h)->next_of_account)
			tell(dc->withdrawals, h, set, false);
		set_put(set);
	}
}

void withdraw_restart(struct dc *dc)
{
	int64_t since = loop_wall(dc->loop) - RELAYS_AGAIN_S;

	for (size_t i = 0; i < dc->n_revocations; i++) {
		uint32_t h = nodes_find_fp(&dc->nodes, dc->revocations[i].fp);

		if (h && dc->revocations[i].at >= since)
			tell_relays(dc, nodes_at(&dc->nodes, h)->fqdn);
	}
}

void withdraw_start(struct dc *dc, const uint8_t (*fps)[NTMC_FP_LEN], size_t n,
		    bool release)
{
	for (size_t i = 0; i < n; i += SET_MAX)
		withdraw_set(dc, fps + i, n - i < SET_MAX ? n - i : SET_MAX,
			     release);
}

int withdrawals_new(struct dc *dc, struct withdrawals **out)
{
	struct withdrawals *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -NTM_ENOMEM;
	w->dc = dc;
	slab_init(&w->slab, sizeof(struct withdrawal), WITHDRAWALS_MAX);
	r = loop_timer_new(dc->loop, withdrawals_tick, w, &w->timer);
	if (!r)
		r = loop_timer_new(dc->loop, sweep_tick, w, &w->sweep_timer);
	if (r) {
		withdrawals_free(w);
		return r;
	}
	*out = w;
	return 0;
}

void withdrawals_free(struct withdrawals *w)
{
	uint32_t h, next;

	if (!w)
		return;
	for (h = w->chain.head; h; h = next) {
		next = withdrawal_at(w, h)->link.next;
		set_put(withdrawal_at(w, h)->set);
	}
	for (size_t i = 0; i < w->n_sweeps; i++)
		set_put(w->sweeps[i].set);
	loop_timer_free(w->timer);
	loop_timer_free(w->sweep_timer);
	slab_clear(&w->slab);
	free(w);
}
