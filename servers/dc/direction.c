/* SPDX-License-Identifier: MIT */
/*
 * direction - Direction Requests until they are answered
 *
 * Theory of operation
 *
 * A request finds CN, draws a way to it (way.c), and becomes a direction:
 *
 *   ASKED     Route Direction sent to CN and, where the way is through a relay,
 *             Relay Direction to it, beside each other; whoever has not answered is
 *             asked again every 250 ms, four times in all. Leaves by CN's refusal,
 *             when both have agreed, or by the clock (CN's: OFFLINE).
 *   ANSWERED  MN has its Route Direction or its NTM ACK. Kept for 2 s so that a
 *             repeated request (same node, same txn) gets the same answer, with the
 *             same keys; then the keys are wiped.
 *
 * CN may have to be woken (wake.c). Who asks once more meanwhile hears that we are there.
 * A CN that has not been heard of since our start has no address to write to, and no
 * measurements to choose a relay by: that is done when it has come.
 *
 * All directions of a state wait equally long, so each state is a chain in the
 * order of deadlines and one timer serves both. The txn that CN echoes is
 * handle | generation << 17: found without a search, and an old one is not
 * mistaken for a new one. Nothing is allocated per direction once the table's
 * chunks exist; when it is full (DIRECTIONS_MAX), requests get LIMIT.
 *
 * Rate: each node has a virtual clock (node.paid_us) that every direction pushes
 * ahead by 1/rate; who is ahead by more than the burst waits.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fqdn.h"
#include "common/log.h"
#include "servers/dc/abroad.h"
#include "servers/dc/nodeinfo.h"
#include "servers/dc/pathid.h"
#include "servers/dc/state.h"
#include "servers/dc/way.h"

#define HANDLE_BITS    17
#define DIRECTIONS_MAX ((1u << HANDLE_BITS) - 1)
#define GENERATIONS    (1u << (30 - HANDLE_BITS)) /* below ABROAD_TXN */
#define ASK_EVERY_NS   LOOP_MS(250)
#define ASK_TIMES      4
#define WAKE_TIMES     14 /* who must be woken first: 3.5 s */
#define KEEP_ANSWER_NS LOOP_S(2)

enum direction_state { DIRECTION_ASKED, DIRECTION_ANSWERED, DIRECTION_NSTATES };

struct direction {
	uint32_t slab_link;
	struct chain_link link; /* in its state's chain */
	uint32_t mn, cn, mn_txn, cn_txn;
	uint64_t mn_fp8, cn_fp8; /* the nodes these handles meant */
	uint64_t deadline;
	struct way way;
	int err; /* ANSWERED: 0 or what MN was told */
	uint8_t state, tries;
	bool chosen; /* the way */
	bool absent; /* CN's NS does not have it; or it has come at last */
};

struct directions {
	struct dc *dc;
	struct slab slab;
	struct index by_txn; /* MN and its txn */
	struct chain chains[DIRECTION_NSTATES];
	struct loop_timer *timer;
	uint32_t generation;
};

static struct direction *direction_at(const struct directions *d, uint32_t h)
{
	return slab_at(&d->slab, h);
}

static uint64_t txn_hash(uint32_t mn, uint32_t txn)
{
	uint64_t v = (uint64_t)mn << 32 | txn;

	/* a node can only collide with itself: mixing is enough */
	v ^= v >> 31;
	v *= UINT64_C(0x9e3779b97f4a7c15);
	return v ^ v >> 29;
}

static uint64_t direction_hash(const void *owner, uint32_t h)
{
	const struct direction *x = direction_at(owner, h);

	return txn_hash(x->mn, x->mn_txn);
}

/* --- chains and timer ----------------------------------------------------------- */

static void arm(struct directions *d)
{
	uint64_t first = UINT64_MAX, now = loop_now(d->dc->loop);

	for (int i = 0; i < DIRECTION_NSTATES; i++) {
		uint32_t h = d->chains[i].head;

		if (h && direction_at(d, h)->deadline < first)
			first = direction_at(d, h)->deadline;
	}
	if (first != UINT64_MAX)
		loop_timer_arm(d->timer, first > now ? first - now : 0);
}

static void direction_set_state(struct directions *d, uint32_t h,
				enum direction_state s, uint64_t wait_ns)
{
	struct direction *x = direction_at(d, h);

	chain_remove(&d->chains[x->state], &d->slab, h);
	x->state = (uint8_t)s;
	x->deadline = loop_now(d->dc->loop) + wait_ns;
	chain_append(&d->chains[s], &d->slab, h);
	if (!loop_timer_armed(d->timer))
		arm(d);
}

static void direction_end(struct directions *d, uint32_t h)
{
	chain_remove(&d->chains[direction_at(d, h)->state], &d->slab, h);
	index_del(&d->by_txn, h);
	slab_del(&d->slab, h); /* wipes the keys */
}

/* --- messages -------------------------------------------------------------------- */

/* tell @to, which is MN or CN, about @peer */
static void send_route(struct directions *d, struct direction *x,
		       struct node *to, const struct node *peer, bool to_mn)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct way_told told;
	struct nodeinfo info;

	if (!to->session)
		return;
	way_tell(d->dc, &x->way, to_mn, &told);
	nodeinfo_fill(d->dc, peer, &info);
	nodeinfo_fill_addresses(d->dc, peer, &info);
	told.msg.peer = &info.msg;
	msg.txn = to_mn ? x->mn_txn : x->cn_txn;
	msg.body_case = NTM__SIGNAL__BODY_ROUTE_DIRECTION;
	msg.route_direction = &told.msg;
	if (!signal_send(d->dc, to->session, &to->at, &msg))
		log_debug("direction", "a Route Direction was not sent");
}

/* false: there is no such relay any more */
static bool send_relay(struct directions *d, const struct direction *x,
		       const struct node *mn, const struct node *cn)
{
	struct way_end ends[2];

	way_end_fill(d->dc, mn, &ends[0]);
	way_end_fill(d->dc, cn, &ends[1]);
	return way_direct_relay(d->dc, &x->way, x->cn_txn, &ends[0].msg,
				&ends[1].msg);
}

/* the node a direction means, unless it has gone */
static struct node *direction_node(struct directions *d, uint32_t h,
				   uint64_t fp8)
{
	struct node *n = nodes_at(&d->dc->nodes, h);

	return n->fqdn && n->fp8 == fp8 && !(n->flags & NODE_REVOKED) ? n
								      : NULL;
}

/* CN does not know MN's key, and it is people who must compare: MN gets CN's key
 * to compare with. To whom CN's policy is closed CN says neither of the two. */
static void send_refusal(struct directions *d, struct direction *x,
			 struct node *mn, const struct node *cn)
{
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	int err = x->err ? x->err : -NTM_EOFFLINE;
	struct nodeinfo info;

	body.code = (uint32_t)-err;
	if (cn && (err == -NTM_EPIN || err == -NTM_EUNVERIFIED)) {
		nodeinfo_fill(d->dc, cn, &info);
		body.peer = &info.msg;
	}
	msg.txn = x->mn_txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &body;
	if (!signal_send(d->dc, mn->session, &mn->at, &msg))
		log_debug("direction", "a refusal was not sent");
}

static void send_answer(struct directions *d, struct direction *x)
{
	struct node *mn = direction_node(d, x->mn, x->mn_fp8);
	struct node *cn = direction_node(d, x->cn, x->cn_fp8);

	if (!mn || !mn->session)
		return;
	if (!x->err && cn)
		send_route(d, x, mn, cn, true);
	else
		send_refusal(d, x, mn, cn);
}

static void direction_answer(struct directions *d, uint32_t h, int err)
{
	struct direction *x = direction_at(d, h);

	x->err = err;
	way_settled(d->dc, &x->way, x->mn_fp8, x->cn_fp8, err);
	send_answer(d, x);
	direction_set_state(d, h, DIRECTION_ANSWERED, KEEP_ANSWER_NS);
}

static void set_txn(struct directions *d, uint32_t h)
{
	d->generation = (d->generation + 1) % GENERATIONS;
	direction_at(d, h)->cn_txn = d->generation << HANDLE_BITS | h;
}

static void direction_ask(struct directions *d, uint32_t h);

/* its relay will not have it: another one, or the direct way alone */
static void direction_replace_relay(struct directions *d, uint32_t h)
{
	struct direction *x = direction_at(d, h);
	struct node *mn = direction_node(d, x->mn, x->mn_fp8);
	struct node *cn = direction_node(d, x->cn, x->cn_fp8);

	if (way_choose_again(d->dc, &x->way, mn, cn)) {
		set_txn(d, h); /* an answer to what was asked before is none */
		x->tries = 0;
		direction_ask(d, h);
	} else if (!x->way.waits) {
		direction_answer(d, h, 0);
	}
}

static void wake(struct directions *d, uint32_t h, struct node *cn)
{
	cn->waiting = h;
	wake_node(d->dc, cn, direction_at(d, h)->cn_txn);
}

/* who must be woken first gets longer, unless nothing wakes it */
static unsigned int ask_times(const struct direction *x, const struct node *cn)
{
	return cn->wakeup && !x->absent ? WAKE_TIMES : ASK_TIMES;
}

/* CN is where we can write to: what could not be done before is. Once */
static void cn_is_here(struct directions *d, struct direction *x,
		       const struct node *mn, const struct node *cn)
{
	if (x->chosen || !(cn->flags & NODE_PROVEN))
		return;
	x->chosen = true;
	way_choose(d->dc, &x->way, mn, cn);
	if (x->tries) { /* from here on as with any other */
		x->absent = true;
		x->tries = 0;
	}
}

static void direction_ask(struct directions *d, uint32_t h)
{
	struct direction *x = direction_at(d, h);
	struct node *mn = direction_node(d, x->mn, x->mn_fp8);
	struct node *cn = direction_node(d, x->cn, x->cn_fp8);
	bool has_relay, woken = x->tries;

	if (mn && cn)
		cn_is_here(d, x, mn, cn);
	if (!mn || !cn || !dc_is_online(d->dc, cn) ||
	    (x->tries >= ask_times(x, cn) && x->way.waits & WAY_CN)) {
		direction_answer(d, h, -NTM_EOFFLINE);
		return;
	}
	if (x->tries >= ASK_TIMES && x->way.waits & WAY_RS) {
		way_relay_silent(d->dc, &x->way);
		direction_replace_relay(d, h);
		return;
	}
	x->tries++;
	has_relay = !(x->way.waits & WAY_RS) || send_relay(d, x, mn, cn);
	if (x->way.waits & WAY_CN && !woken && cn->wakeup)
		wake(d, h, cn);
	if (x->way.waits & WAY_CN && x->chosen)
		send_route(d, x, cn, mn, false);
	direction_set_state(d, h, DIRECTION_ASKED, ASK_EVERY_NS);
	if (!has_relay)
		direction_replace_relay(d, h);
}

static void directions_tick(void *arg)
{
	struct directions *d = arg;
	uint64_t now = loop_now(d->dc->loop);
	uint32_t h;

	while ((h = d->chains[DIRECTION_ASKED].head) &&
	       direction_at(d, h)->deadline <= now)
		direction_ask(d, h);
	while ((h = d->chains[DIRECTION_ANSWERED].head) &&
	       direction_at(d, h)->deadline <= now)
		direction_end(d, h);
	arm(d);
}

/* --- requests ------------------------------------------------------------------------ */

uint64_t direction_must_wait_ms(struct dc *dc, struct node *n)
{
	uint64_t now = loop_now(dc->loop) / 1000, step, ahead;

	if (!dc->conf->dc_direction_rate)
		return 0;
	step = 1000000 / dc->conf->dc_direction_rate;
	if (n->paid_us < now)
		n->paid_us = now;
	ahead = n->paid_us - now;
	if (ahead > step * (dc->conf->dc_direction_burst - 1))
		return (ahead - step * (dc->conf->dc_direction_burst - 1)) /
			       1000 +
		       1;
	n->paid_us += step;
	return 0;
}

/* when the table is full, the oldest answer makes room */
static uint32_t direction_new(struct directions *d)
{
	uint32_t h = slab_add(&d->slab);

	if (h || !d->chains[DIRECTION_ANSWERED].head)
		return h;
	direction_end(d, d->chains[DIRECTION_ANSWERED].head);
	return slab_add(&d->slab);
}

static bool is_move(const Ntm__DirectionRequest *q)
{
	return q->reason == NTM__DIRECTION_REASON__DIRECTION_MOVE;
}

static void choose_path(struct dc *dc, struct way *w, const struct node *mn,
			const struct node *cn, const Ntm__DirectionRequest *q)
{
	way_draw_path(dc, w, mn->fp8, cn->fp8);
	if (!is_move(q) || q->path_id <= 1)
		return;
	if (pathid_is_of(dc, q->path_id, mn->fp8, cn->fp8)) {
		w->path_id = q->path_id & ~UINT64_C(1);
		w->swapped = q->path_id & 1;
	} else {
		dc->stats.foreign_paths++;
	}
}

static int direction_start(struct directions *d, uint32_t mnh, uint32_t cnh,
			   uint32_t txn, const Ntm__DirectionRequest *q)
{
	struct dc *dc = d->dc;
	struct node *mn = nodes_at(&dc->nodes, mnh);
	struct node *cn = nodes_at(&dc->nodes, cnh);
	uint32_t h = direction_new(d);
	struct direction *x;

	if (!h)
		return -NTM_ELIMIT;
	x = direction_at(d, h);
	x->mn = mnh;
	x->cn = cnh;
	x->mn_txn = txn;
	x->mn_fp8 = mn->fp8;
	x->cn_fp8 = cn->fp8;
	set_txn(d, h);
	way_start(dc, &x->way, q->reason);
	way_take_aead(&x->way, q->aead,
		      nodes_session(&dc->nodes, cn->session)->aead);
	choose_path(dc, &x->way, mn, cn, q);
	x->way.waits = WAY_CN;
	x->state = DIRECTION_ASKED;
	x->deadline = UINT64_MAX;
	if (index_add(&d->by_txn, h)) {
		slab_del(&d->slab, h);
		return -NTM_ELIMIT;
	}
	chain_append(&d->chains[x->state], &d->slab, h);
	pairs_add(&dc->pairs, &dc->nodes, mnh, cnh, dc_now_s(dc));
	direction_ask(d, h);
	return 0;
}

static uint32_t direction_find(const struct directions *d, uint32_t mn,
			       uint32_t txn)
{
	uint32_t at, h;

	for (h = index_first(&d->by_txn, txn_hash(mn, txn), &at); h;
	     h = index_next(&d->by_txn, &at)) {
		const struct direction *x = direction_at(d, h);

		if (x->mn == mn && x->mn_txn == txn)
			break;
	}
	return h;
}

void direction_request(struct dc *dc, uint32_t session,
		       const struct endpoint *from, uint32_t txn,
		       const Ntm__DirectionRequest *q)
{
	struct directions *d = dc->directions;
	uint32_t mnh = nodes_session(&dc->nodes, session)->node, cnh = 0, h;
	uint64_t wait_ms = 0;
	bool abroad;
	int err;

	h = direction_find(d, mnh, txn);
	if (h) { /* repeated: the answer, or that there will be one */
		if (direction_at(d, h)->state == DIRECTION_ANSWERED)
			send_answer(d, direction_at(d, h));
		else if (nodes_at(&dc->nodes, direction_at(d, h)->cn)->wakeup)
			signal_send_here(dc, session, from, txn);
		return;
	}
	abroad = !fqdn_is_within(q->fqdn, dc->cert.domain.domain);
	if (abroad && abroad_repeated(dc, mnh, txn))
		return;
	wait_ms = direction_must_wait_ms(dc, nodes_at(&dc->nodes, mnh));
	err = wait_ms ? -NTM_ELIMIT : 0;
	if (!err && abroad) {
		err = abroad_request(dc, mnh, txn, q);
		if (!err)
			return;
	}
	if (!err)
		err = direction_find_for(dc, nodes_at(&dc->nodes, mnh), q->fqdn,
					 &cnh);
	if (!err && cnh == mnh)
		err = -NTM_EINVAL;
	if (!err)
		err = direction_start(d, mnh, cnh, txn, q);
	if (err) {
		dc->stats.directions_refused++;
		signal_send_ack(dc, session, from, txn, err, wait_ms);
	}
}

/* The last one that it was told of; others are repeated to where it is now. */
void direction_fetch(struct dc *dc, uint32_t session)
{
	struct directions *d = dc->directions;
	uint32_t cnh = nodes_session(&dc->nodes, session)->node;
	struct node *cn = nodes_at(&dc->nodes, cnh), *mn;
	uint32_t h = cn->waiting;
	struct direction *x;

	cn->waiting = 0;
	if (!h || h > d->slab.top)
		return;
	x = direction_at(d, h);
	if (x->cn != cnh || x->cn_fp8 != cn->fp8 ||
	    x->state != DIRECTION_ASKED || !(x->way.waits & WAY_CN))
		return;
	mn = direction_node(d, x->mn, x->mn_fp8);
	if (mn && !x->chosen)
		direction_ask(d, h);
	else if (mn)
		send_route(d, x, cn, mn, false);
}

/* the one that waits for @who's answer to @txn; 0: none */
static uint32_t direction_waiting(const struct directions *d, uint32_t txn,
				  uint8_t who)
{
	uint32_t h = txn & DIRECTIONS_MAX;
	const struct direction *x;

	if (!h || h > d->slab.top)
		return 0;
	x = direction_at(d, h);
	return x->cn_txn == txn && x->state == DIRECTION_ASKED &&
			       x->way.waits & who
		       ? h
		       : 0;
}

void direction_absent(struct dc *dc, uint8_t notifier, uint32_t txn)
{
	struct directions *d = dc->directions;
	uint32_t h = direction_waiting(d, txn, WAY_CN);
	struct node *cn;

	if (!h)
		return;
	cn = direction_node(d, direction_at(d, h)->cn,
			    direction_at(d, h)->cn_fp8);
	if (!cn || cn->notifier != notifier)
		return;
	direction_at(d, h)->absent = true;
	cn->flags |= NODE_AWAY;
}

static void direction_agreed(struct directions *d, uint32_t h, uint8_t who)
{
	struct direction *x = direction_at(d, h);

	x->way.waits &= (uint8_t)~who;
	if (!x->way.waits)
		direction_answer(d, h, 0);
}

void direction_ack(struct dc *dc, uint32_t session, uint32_t txn,
		   const Ntm__NtmAck *ack)
{
	struct directions *d = dc->directions;
	uint32_t h = direction_waiting(d, txn, WAY_CN);

	if (!h ||
	    direction_at(d, h)->cn != nodes_session(&dc->nodes, session)->node)
		return;
	if (ack->code)
		direction_answer(d, h, -(int)ack->code);
	else
		direction_agreed(d, h, WAY_CN);
}

void direction_relay_ack(struct dc *dc, uint16_t relay, uint32_t txn,
			 const Ntm__NtmAck *ack)
{
	struct directions *d = dc->directions;
	uint32_t h = direction_waiting(d, txn, WAY_RS);

	if (!h || direction_at(d, h)->way.relay != relay)
		return;
	if (ack->code) {
		log_debug("direction", "relay %u refuses: %s", relay,
			  err_text(-(int)ack->code));
		direction_replace_relay(d, h);
	} else {
		direction_agreed(d, h, WAY_RS);
	}
}

int directions_new(struct dc *dc, struct directions **out)
{
	struct directions *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -NTM_ENOMEM;
	d->dc = dc;
	slab_init(&d->slab, sizeof(struct direction), DIRECTIONS_MAX);
	index_init(&d->by_txn, direction_hash, d);
	r = loop_timer_new(dc->loop, directions_tick, d, &d->timer);
	if (r) {
		free(d);
		return r;
	}
	*out = d;
	return 0;
}

void directions_free(struct directions *d)
{
	if (!d)
		return;
	loop_timer_free(d->timer);
	for (uint32_t h = 1; h <= d->slab.top; h++)
		ntmc_wipe(direction_at(d, h), sizeof(struct direction));
	slab_clear(&d->slab);
	index_clear(&d->by_txn);
	free(d);
}
