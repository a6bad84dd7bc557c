/* SPDX-License-Identifier: MIT */
/*
 * abroad - directions of our nodes towards nodes of other domains (we are DCmn)
 *
 * Theory of operation
 *
 *   LOOKING   there is no key with CN's DC yet (domains.c makes one).
 *   ASKING    Node Information Request sent.
 *   DIRECTING CN is known: Peer Direction sent to its DC, which tells CN, and where
 *             the way is through a relay, ours, Relay Direction beside it. Leaves
 *             when both have agreed, by CN's refusal, or by the clock.
 *   ANSWERED  MN has its Route Direction or why not. Kept 2 s for a repeated request.
 *
 * Whoever has not answered is asked again every 250 ms. A DC that has not answered
 * three times may have been restarted: another key is made beside it, under which the
 * next ones go. All waits are equally long: the chain is in the order of deadlines.
 *
 * How they are to meet is drawn and chosen as in direction.c (way.c). What CN's DC
 * says of CN was held against its CA (domain_check_node()); MN checks it again. Where CN
 * is, comes with its agreement.
 *
 * Path IDs are drawn under our key. One that MN names and that we did
 * not draw for these two, CN's DC must have drawn; if it has not, another is drawn.
 */
#include "servers/dc/abroad.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/dc/courier.h"
#include "servers/dc/foreign.h"
#include "servers/dc/nodeinfo.h"
#include "servers/dc/pathid.h"
#include "servers/dc/state.h"
#include "servers/dc/way.h"

#define ABROAD_MAX   4095 /* one chunk of the slab */
#define HANDLE_BITS  12
#define GENERATIONS  (1u << (30 - HANDLE_BITS))
#define TICK_NS	     LOOP_MS(250)
#define LOOK_TICKS   20 /* 5 s: MN asks for 3 s, then anew */
#define ASK_TICKS    10
#define SUSPECT_TICK 3
#define CN_TICKS     14 /* CN may have to be woken first */
#define RELAY_TICKS  4
#define KEEP_TICKS   8 /* 2 s */

enum abroad_state { LOOKING, ASKING, DIRECTING, ANSWERED, ABROAD_NSTATES };

struct going {
	uint32_t slab_link;
	struct chain_link link;
	uint32_t mn, mn_txn, txn; /* mn 0: the place is free */
	uint64_t mn_fp8, deadline, retry_after_ms;
	uint16_t domain;
	int err;
	uint8_t state, ticks, wanted_aead;
	bool named; /* MN names the path */
	bool check_path;
	char name[FQDN_MAX + 1];
	struct way way;
	struct foreign cn;
};

struct abroad {
	struct dc *dc;
	struct slab slab;
	struct index by_mn; /* MN and its txn */
	struct chain chain;
	uint32_t generation;
	struct loop_timer *timer;
};

static struct going *at(const struct abroad *a, uint32_t h)
{
	return slab_at(&a->slab, h);
}

static uint64_t mn_hash(uint32_t mn, uint32_t txn)
{
	uint64_t v = (uint64_t)mn << 32 | txn;

	/* a node can only collide with itself: mixing is enough */
	v ^= v >> 31;
	v *= UINT64_C(0x9e3779b97f4a7c15);
	return v ^ v >> 29;
}

static uint64_t going_hash(const void *owner, uint32_t h)
{
	const struct going *x = at(owner, h);

	return mn_hash(x->mn, x->mn_txn);
}

/* --- the chain -------------------------------------------------------------------- */

static void chain_last(struct abroad *a, uint32_t h)
{
	at(a, h)->deadline = loop_now(a->dc->loop) + TICK_NS;
	chain_append(&a->chain, &a->slab, h);
	if (!loop_timer_armed(a->timer))
		loop_timer_arm(a->timer, TICK_NS);
}

static void set_state(struct abroad *a, uint32_t h, enum abroad_state s)
{
	chain_remove(&a->chain, &a->slab, h);
	at(a, h)->state = (uint8_t)s;
	at(a, h)->ticks = 0;
	chain_last(a, h);
}

static void new_txn(struct abroad *a, uint32_t h)
{
	a->generation = (a->generation + 1) % GENERATIONS;
	at(a, h)->txn = ABROAD_TXN | a->generation << HANDLE_BITS | h;
}

static uint32_t by_txn(const struct abroad *a, uint32_t txn)
{
	uint32_t h = txn & ABROAD_MAX;

	return h && h <= a->slab.top && at(a, h)->mn && at(a, h)->txn == txn
		       ? h
		       : 0;
}

static struct node *mn_of(struct abroad *a, const struct going *x)
{
	struct node *n = nodes_at(&a->dc->nodes, x->mn);

	return n->fqdn && n->fp8 == x->mn_fp8 && n->session &&
			       !(n->flags & NODE_REVOKED)
		       ? n
		       : NULL;
}

/* --- answers to MN -------------------------------------------------------------------- */

static void send_answer(struct abroad *a, struct going *x)
{
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct node *mn = mn_of(a, x);
	struct foreign_told cn;
	struct way_told way;

	if (!mn)
		return;
	msg.txn = x->mn_txn;
	if (!x->err) {
		way_tell(a->dc, &x->way, true, &way);
		foreign_tell(&x->cn, true, &cn);
		way.msg.peer = &cn.msg;
		msg.body_case = NTM__SIGNAL__BODY_ROUTE_DIRECTION;
		msg.route_direction = &way.msg;
	} else {
		ack.code = (uint32_t)-x->err;
		ack.retry_after_ms = x->retry_after_ms;
		if (x->cn.fqdn[0] &&
		    (x->err == -NTM_EPIN || x->err == -NTM_EUNVERIFIED)) {
			foreign_tell(&x->cn, false, &cn);
			ack.peer = &cn.msg;
		}
		msg.body_case = NTM__SIGNAL__BODY_ACK;
		msg.ack = &ack;
	}
	if (!signal_send(a->dc, mn->session, &mn->at, &msg))
		log_debug("abroad", "an answer was not sent");
}

static void answer(struct abroad *a, uint32_t h, int err)
{
	struct going *x = at(a, h);
	struct domain *d = domains_at(a->dc, x->domain);

	x->err = err;
	way_settled(a->dc, &x->way, x->mn_fp8, x->cn.shadow.fp8, err);
	if (!err && d)
		guests_met(a->dc, d, x->mn, x->cn.fp);
	send_answer(a, x);
	set_state(a, h, ANSWERED);
}

/* --- asking ------------------------------------------------------------------------------ */

static void send_request(struct abroad *a, struct going *x, struct domain *d)
{
	Ntm__NodeInformationRequest body = NTM__NODE_INFORMATION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct node *mn = mn_of(a, x);

	if (!mn)
		return;
	body.fqdn = x->name;
	body.asker = mn->fqdn;
	msg.txn = x->txn;
	msg.body_case = NTM__SIGNAL__BODY_NODE_INFORMATION_REQUEST;
	msg.node_information_request = &body;
	d->asked++;
	if (!domain_send(a->dc, d, true, &msg))
		log_debug("abroad", "%s: not asked", d->name);
}

static void send_direction(struct abroad *a, struct going *x, struct domain *d)
{
	Ntm__PeerDirection body = NTM__PEER_DIRECTION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct node *mn = mn_of(a, x);
	struct nodeinfo info;
	struct way_told way;

	if (!mn)
		return;
	way_tell(a->dc, &x->way, false, &way);
	nodeinfo_fill(a->dc, mn, &info);
	nodeinfo_fill_addresses(a->dc, mn, &info);
	way.msg.peer = &info.msg;
	body.fqdn = x->cn.fqdn;
	body.route = &way.msg;
	body.check_path = x->check_path;
	msg.txn = x->txn;
	msg.body_case = NTM__SIGNAL__BODY_PEER_DIRECTION;
	msg.peer_direction = &body;
	if (!domain_send(a->dc, d, true, &msg))
		log_debug("abroad", "%s: not directed", d->name);
}

/* false: there is no such relay any more */
static bool send_relay(struct abroad *a, const struct going *x)
{
	Ntm__RelayEnd cn = NTM__RELAY_END__INIT;
	struct node *mn = mn_of(a, x);
	struct way_end end;

	if (!mn)
		return false;
	way_end_fill(a->dc, mn, &end);
	cn.account = foreign_account(&x->cn);
	return way_direct_relay(a->dc, &x->way, x->txn, &end.msg, &cn);
}

static void direct(struct abroad *a, uint32_t h, struct domain *d);

static void replace_relay(struct abroad *a, uint32_t h, struct domain *d)
{
	struct going *x = at(a, h);

	if (way_choose_again(a->dc, &x->way, mn_of(a, x), &x->cn.shadow)) {
		new_txn(a, h); /* an answer to what was asked before is none */
		x->ticks = 0;
		direct(a, h, d);
	} else if (!x->way.waits) {
		answer(a, h, 0);
	}
}

/* whoever has not answered yet */
static void direct(struct abroad *a, uint32_t h, struct domain *d)
{
	struct going *x = at(a, h);

	if (x->way.waits & WAY_CN)
		send_direction(a, x, d);
	if (x->way.waits & WAY_RS && !send_relay(a, x))
		replace_relay(a, h, d);
}

/* --- the clock ------------------------------------------------------------------------------ */

static void look(struct abroad *a, uint32_t h, struct domain *d)
{
	int err = domain_ready(a->dc, d);

	if (err == -NTM_EAGAIN)
		return;
	if (err) {
		answer(a, h, err);
		return;
	}
	set_state(a, h, ASKING);
	send_request(a, at(a, h), d);
}

static void tick_directing(struct abroad *a, uint32_t h, struct domain *d)
{
	struct going *x = at(a, h);

	if (x->ticks >= CN_TICKS && x->way.waits & WAY_CN) {
		answer(a, h, -NTM_EOFFLINE);
		return;
	}
	if (x->way.waits & WAY_CN && x->ticks == SUSPECT_TICK + 2 &&
	    d->heard + LOOP_S(1) < loop_now(a->dc->loop))
		domain_suspect(a->dc, d);
	if (x->ticks == RELAY_TICKS && x->way.waits & WAY_RS) {
		way_relay_silent(a->dc, &x->way);
		replace_relay(a, h, d);
		return;
	}
	direct(a, h, d);
}

static void tick_one(struct abroad *a, uint32_t h)
{
	struct going *x = at(a, h);
	struct domain *d = domains_at(a->dc, x->domain);

	x->ticks++;
	chain_remove(&a->chain, &a->slab, h);
	chain_last(a, h);
	if (x->state == ANSWERED) {
		if (x->ticks >= KEEP_TICKS) {
			chain_remove(&a->chain, &a->slab, h);
			index_del(&a->by_mn, h);
			slab_del(&a->slab, h); /* wipes the keys */
		}
	} else if (!d || !mn_of(a, x)) {
		answer(a, h, -NTM_ENONAME);
	} else if (x->state == LOOKING) {
		if (x->ticks >= LOOK_TICKS)
			answer(a, h, -NTM_EUNREACHABLE);
		else
			look(a, h, d);
	} else if (x->state == ASKING) {
		if (x->ticks >= ASK_TICKS) {
			answer(a, h, -NTM_EUNREACHABLE);
			return;
		}
		if (x->ticks == SUSPECT_TICK)
			domain_suspect(a->dc, d);
		send_request(a, x, d);
	} else {
		tick_directing(a, h, d);
	}
}

static void tick(void *arg)
{
	struct abroad *a = arg;
	uint64_t now = loop_now(a->dc->loop);
	uint32_t h;

	while ((h = a->chain.head) && at(a, h)->deadline <= now)
		tick_one(a, h);
	if (a->chain.head)
		loop_timer_arm(a->timer, at(a, a->chain.head)->deadline - now);
}

void abroad_domain_changed(struct dc *dc, struct domain *d)
{
	struct abroad *a = dc->abroad;

	for (uint32_t h = 1; a && h <= a->slab.top; h++) {
		struct going *x = at(a, h);

		if (!x->mn || x->domain != d->number)
			continue;
		if (x->state == LOOKING)
			look(a, h, d);
		else if (x->state == ASKING && d->state == DOMAIN_READY)
			send_request(a, x, d); /* under the new key */
		else if (x->state == DIRECTING && d->state == DOMAIN_READY)
			direct(a, h, d);
	}
}

/* --- what comes ------------------------------------------------------------------------------- */

/* Is @fqdn what was asked for: the name, or a device of the account? */
static bool is_asked(const struct going *x, const char *fqdn)
{
	const char *dot = strchr(fqdn, '.');

	return !strcmp(fqdn, x->name) || (dot && !strcmp(dot + 1, x->name));
}

static void choose_path(struct abroad *a, struct going *x,
			const struct node *mn)
{
	if (x->named)
		x->check_path = !pathid_is_of(a->dc, x->way.path_id, mn->fp8,
					      x->cn.shadow.fp8);
	else
		way_draw_path(a->dc, &x->way, mn->fp8, x->cn.shadow.fp8);
}

/* neither we nor its DC drew the Path ID that MN named */
static void redraw_path(struct abroad *a, uint32_t h, struct domain *d)
{
	struct going *x = at(a, h);
	const struct node *mn = mn_of(a, x);

	if (!mn)
		return;
	a->dc->stats.foreign_paths++;
	x->check_path = false;
	way_draw_path(a->dc, &x->way, mn->fp8, x->cn.shadow.fp8);
	way_draw_ktun(a->dc, &x->way);
	new_txn(a, h); /* an answer to what was asked before is none to this */
	x->ticks = 0;
	x->way.waits = WAY_CN | (x->way.relay ? WAY_RS : 0);
	direct(a, h, d);
}

static void information(struct abroad *a, struct domain *d, uint32_t h,
			const Ntm__NodeInformation *m)
{
	struct going *x = at(a, h);
	struct node *mn = mn_of(a, x);

	if (x->state != ASKING)
		return;
	if (m->code) {
		x->retry_after_ms = m->retry_after_ms;
		answer(a, h, -(int)m->code);
		return;
	}
	if (!m->node || !is_asked(x, m->node->fqdn) ||
	    domain_check_node(d, m->node)) {
		domain_refuse(a->dc, d, "its DC speaks for",
			      m->node ? m->node->fqdn : "nobody");
		answer(a, h, -NTM_ECONSTRAINT);
		return;
	}
	if (!mn)
		return;
	foreign_take(m, &x->cn);
	choose_path(a, x, mn);
	way_take_aead(&x->way, x->wanted_aead, x->cn.aead);
	way_choose(a->dc, &x->way, mn, &x->cn.shadow);
	set_state(a, h, DIRECTING);
	direct(a, h, d);
}

static void agreed(struct abroad *a, uint32_t h, uint8_t who)
{
	struct going *x = at(a, h);

	x->way.waits &= (uint8_t)~who;
	if (!x->way.waits)
		answer(a, h, 0);
}

static void cn_agreed(struct abroad *a, uint32_t h, const Ntm__NodeInfo *cn)
{
	foreign_take_addresses(a->dc, cn, &at(a, h)->cn);
	agreed(a, h, WAY_CN);
}

void abroad_receive(struct dc *dc, struct domain *d, const Ntm__Signal *msg)
{
	struct abroad *a = dc->abroad;
	uint32_t h;

	if (msg->body_case == NTM__SIGNAL__BODY_WITHDRAW) {
		guests_told(dc, d, true, msg);
		return;
	}
	if (msg->body_case == NTM__SIGNAL__BODY_BOX_RESPONSE) {
		courier_response(dc, d, msg->txn, msg->box_response);
		return;
	}
	if (msg->txn & WITHDRAW_TXN) {
		guests_acked(dc, d, msg->txn);
		return;
	}
	h = by_txn(a, msg->txn);
	if (!h || at(a, h)->domain != d->number)
		return;
	d->answered++;
	if (msg->body_case == NTM__SIGNAL__BODY_NODE_INFORMATION)
		information(a, d, h, msg->node_information);
	else if (msg->body_case != NTM__SIGNAL__BODY_ACK)
		dc->stats.bad_datagrams++;
	else if (at(a, h)->state != DIRECTING ||
		 !(at(a, h)->way.waits & WAY_CN))
		return;
	else if (msg->ack->code == NTM_EEXISTS && at(a, h)->check_path)
		redraw_path(a, h, d);
	else if (msg->ack->code)
		answer(a, h, -(int)msg->ack->code);
	else
		cn_agreed(a, h, msg->ack->peer);
}

void abroad_relay_ack(struct dc *dc, uint16_t relay, uint32_t txn, int err)
{
	struct abroad *a = dc->abroad;
	uint32_t h = by_txn(a, txn);
	struct domain *d = h ? domains_at(dc, at(a, h)->domain) : NULL;

	if (!d || at(a, h)->state != DIRECTING ||
	    at(a, h)->way.relay != relay || !(at(a, h)->way.waits & WAY_RS))
		return;
	if (err)
		replace_relay(a, h, d);
	else
		agreed(a, h, WAY_RS);
}

/* --- requests ------------------------------------------------------------------------------------ */

bool abroad_repeated(struct dc *dc, uint32_t mn, uint32_t txn)
{
	struct abroad *a = dc->abroad;

	uint32_t place, h;

	for (h = index_first(&a->by_mn, mn_hash(mn, txn), &place); h;
	     h = index_next(&a->by_mn, &place)) {
		struct going *x = at(a, h);

		if (x->mn != mn || x->mn_txn != txn)
			continue;
		if (x->state == ANSWERED)
			send_answer(a, x);
		return true;
	}
	return false;
}

int abroad_request(struct dc *dc, uint32_t mn, uint32_t txn,
		   const Ntm__DirectionRequest *q)
{
	struct abroad *a = dc->abroad;
	struct domain *d = domains_want(dc, q->fqdn);
	struct going *x;
	uint32_t h;
	int err;

	if (!d)
		return domains_blocked(dc, q->fqdn) ? -NTM_EPERM : -NTM_ENONAME;
	err = domain_ready(dc, d);
	if (err && err != -NTM_EAGAIN)
		return err;
	h = slab_add(&a->slab);
	if (!h)
		return -NTM_ELIMIT;
	x = at(a, h);
	x->mn = mn;
	x->mn_txn = txn;
	x->mn_fp8 = nodes_at(&dc->nodes, mn)->fp8;
	x->domain = d->number;
	x->wanted_aead = (uint8_t)q->aead;
	snprintf(x->name, sizeof(x->name), "%s", q->fqdn);
	x->named = q->reason == NTM__DIRECTION_REASON__DIRECTION_MOVE &&
		   q->path_id > 1;
	way_start(dc, &x->way, q->reason);
	x->way.path_id = x->named ? q->path_id & ~UINT64_C(1) : 0;
	x->way.swapped = x->named && q->path_id & 1;
	new_txn(a, h);
	if (index_add(&a->by_mn, h)) {
		slab_del(&a->slab, h);
		return -NTM_ELIMIT;
	}
	chain_last(a, h);
	look(a, h, d);
	return 0;
}

int abroad_new(struct dc *dc, struct abroad **out)
{
	struct abroad *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -NTM_ENOMEM;
	a->dc = dc;
	slab_init(&a->slab, sizeof(struct going), ABROAD_MAX);
	index_init(&a->by_mn, going_hash, a);
	r = loop_timer_new(dc->loop, tick, a, &a->timer);
	if (r)
		free(a);
	else
		*out = a;
	return r;
}

void abroad_free(struct abroad *a)
{
	if (!a)
		return;
	loop_timer_free(a->timer);
	for (uint32_t h = 1; h <= a->slab.top; h++)
		ntmc_wipe(at(a, h), sizeof(struct going));
	slab_clear(&a->slab);
	index_clear(&a->by_mn);
	free(a);
}
