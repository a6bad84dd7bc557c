/* SPDX-License-Identifier: MIT */
/*
 * guest - directions of other domains' nodes to ours (we are DCcn), withdrawals across
 *
 * Theory of operation
 *
 * Peer Direction. The other DC repeats it until it has CN's answer, so nothing is
 * repeated here: each one is checked and goes to CN as a Route Direction, whose txn
 * names a place in a table; CN's NTM ACK finds it and goes back. The place follows
 * from who asks and its txn, so a repetition takes the same one, and CN sees the same
 * txn again; another asker may take it over, and the loser is repeated.
 *
 * What MN is called, its identity and addresses must be of the domain that speaks.
 * Where CN is, is told when CN has agreed, and not before: with DNSSEC the other DC may
 * be anybody's, and a name is all that it needs to ask.
 *
 * Withdrawals. Whoever met whom across domains is kept for a day (meetings.c). A
 * withdrawn identity of ours is told to the DCs of those it met, every 500 ms, ten
 * times, until they acknowledge; what they tell us reaches only nodes of ours that
 * met that identity of that domain, each once, so no DC can end a tunnel to another's
 * node, or have nodes told without end. What comes above its rate is not answered,
 * and comes again.
 */
#include "servers/dc/abroad.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/dc/courier.h"
#include "servers/dc/meetings.h"
#include "servers/dc/nodeinfo.h"
#include "servers/dc/pathid.h"
#include "servers/dc/state.h"

#define PLACE_BITS  14
#define PLACES	    (1u << PLACE_BITS)
#define GENERATIONS (1u << (30 - PLACE_BITS))
#define TELLS_MAX   256
#define TELL_NS	    LOOP_MS(500)
#define TELL_TIMES  10

/* struct guest - a Peer Direction whose answer is awaited; @domain 0: none */
struct guest {
	uint16_t domain, generation;
	uint32_t peer_txn, cn;
	uint64_t cn_fp8;
	uint8_t fp[NTMC_FP_LEN]; /* MN */
};

/* struct tell - a withdrawal that another DC has yet to acknowledge; @domain 0: none */
struct tell {
	uint16_t domain;
	uint8_t tries;
	uint32_t txn;
	uint8_t fp[NTMC_FP_LEN];
};

struct guests {
	struct dc *dc;
	struct guest places[PLACES];
	struct meetings *met;
	uint32_t tell_txn;
	struct tell tells[TELLS_MAX];
	struct loop_timer *timer;
};

/* --- Node Information ------------------------------------------------------------- */

static void send_information(struct dc *dc, struct domain *d, uint32_t txn,
			     Ntm__NodeInformation *body)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_NODE_INFORMATION;
	msg.node_information = body;
	if (!domain_send(dc, d, false, &msg))
		log_debug("guest", "%s: not answered", d->name);
}

static void information_request(struct dc *dc, struct domain *d, uint32_t txn,
				const Ntm__NodeInformationRequest *q)
{
	Ntm__NodeInformation body = NTM__NODE_INFORMATION__INIT;
	struct fqdn_parts parts;
	struct nodeinfo info;
	struct node *cn;
	uint32_t h = 0;
	int err = 0;

	if (fqdn_split(q->asker, d->name, &parts) || !parts.device[0]) {
		domain_refuse(dc, d, "its DC asks for", q->asker);
		err = -NTM_EPERM;
	}
	body.retry_after_ms = err ? 0 : domain_must_wait_ms(dc, d);
	if (body.retry_after_ms)
		err = -NTM_ELIMIT;
	if (!err)
		err = direction_find_cn(dc, q->fqdn, &h);
	body.code = (uint32_t)-err;
	if (!err) {
		cn = nodes_at(&dc->nodes, h);
		if (cn->wakeup) /* it is there when it is directed */
			wake_node(dc, cn, 0);
		if (dc_is_asleep(cn))
			return; /* asked again; nobody knows where it is */
		nodeinfo_fill(dc, cn, &info);
		body.node = &info.msg;
		body.reachable = cn->flags & NODE_REACHABLE;
		body.families = cn->families;
		body.aead = nodes_session(&dc->nodes, cn->session)->aead;
	}
	send_information(dc, d, txn, &body);
}

/* --- Peer Direction ------------------------------------------------------------------ */

/* @cn: has agreed; NULL: nothing is told of it */
static void send_ack_of(struct dc *dc, struct domain *d, bool ours,
			uint32_t txn, int err, uint64_t retry_after_ms,
			const struct node *cn)
{
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct nodeinfo info;

	if (cn) {
		nodeinfo_fill(dc, cn, &info);
		nodeinfo_fill_addresses(dc, cn, &info);
		body.peer = &info.msg;
	}
	body.code = (uint32_t)-err;
	body.retry_after_ms = retry_after_ms;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &body;
	if (!domain_send(dc, d, ours, &msg))
		log_debug("guest", "%s: not acknowledged", d->name);
}

static void send_ack(struct dc *dc, struct domain *d, bool ours, uint32_t txn,
		     int err, uint64_t retry_after_ms)
{
	send_ack_of(dc, d, ours, txn, err, retry_after_ms, NULL);
}

static uint32_t place_of(const struct domain *d, uint32_t txn)
{
	uint64_t v = (uint64_t)d->number << 32 | txn;

	v *= UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(v >> (64 - PLACE_BITS));
}

/* the place of this direction; a repetition finds its own. Return: txn for CN */
static uint32_t place_take(struct guests *g, const struct domain *d,
			   uint32_t txn, uint32_t cn, const uint8_t *fp)
{
	uint32_t i = place_of(d, txn);
	struct guest *x = &g->places[i];

	if (x->domain != d->number || x->peer_txn != txn || x->cn != cn)
		x->generation = (uint16_t)((x->generation + 1) % GENERATIONS);
	x->domain = d->number;
	x->peer_txn = txn;
	x->cn = cn;
	x->cn_fp8 = nodes_at(&g->dc->nodes, cn)->fp8;
	memcpy(x->fp, fp, NTMC_FP_LEN);
	return ABROAD_TXN | (uint32_t)x->generation << PLACE_BITS | i;
}

/* Is what it says of MN its to say? And the Path ID, if our node's DC is to know it */
static int check_direction(struct dc *dc, struct domain *d,
			   const Ntm__PeerDirection *q,
			   const uint8_t fp[static NTMC_FP_LEN], uint32_t *cn)
{
	int err = domain_check_node(d, q->route->peer);
	uint64_t fp8;

	if (err) {
		domain_refuse(dc, d, "its DC speaks for", q->route->peer->fqdn);
		return err;
	}
	err = direction_find_cn(dc, q->fqdn, cn);
	memcpy(&fp8, fp, sizeof(fp8));
	if (err || !q->check_path ||
	    pathid_is_of(dc, q->route->path_id, fp8,
			 nodes_at(&dc->nodes, *cn)->fp8))
		return err;
	dc->stats.foreign_paths++;
	return -NTM_EEXISTS;
}

static void peer_direction(struct dc *dc, struct domain *d, uint32_t txn,
			   const Ntm__PeerDirection *q)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	uint64_t wait_ms = domain_must_wait_ms(dc, d);
	uint8_t fp[NTMC_FP_LEN];
	uint32_t h = 0;
	struct node *cn;
	int err;

	ntmc_fingerprint(q->route->peer->ed_pub.data, fp);
	err = wait_ms ? -NTM_ELIMIT : check_direction(dc, d, q, fp, &h);
	if (err) {
		send_ack(dc, d, false, txn, err, wait_ms);
		return;
	}
	cn = nodes_at(&dc->nodes, h);
	if (dc_is_asleep(cn))
		return;
	msg.txn = place_take(dc->guests, d, txn, h, fp);
	msg.body_case = NTM__SIGNAL__BODY_ROUTE_DIRECTION;
	msg.route_direction = q->route;
	if (!signal_send(dc, cn->session, &cn->at, &msg))
		log_debug("guest", "a Route Direction was not sent");
}

void guest_ack(struct dc *dc, uint32_t session, uint32_t txn,
	       const Ntm__NtmAck *ack)
{
	struct guest *x = &dc->guests->places[txn & (PLACES - 1)];
	struct domain *d = domains_at(dc, x->domain);
	struct node *cn;

	if (!d || ((txn & ~ABROAD_TXN) >> PLACE_BITS) != x->generation ||
	    nodes_session(&dc->nodes, session)->node != x->cn)
		return;
	cn = nodes_at(&dc->nodes, x->cn);
	if (cn->fp8 != x->cn_fp8)
		return;
	if (!ack->code)
		guests_met(dc, d, x->cn, x->fp);
	send_ack_of(dc, d, false, x->peer_txn, -(int)ack->code, 0,
		    ack->code ? NULL : cn);
	x->domain = 0; /* said once; a repetition takes the place again */
}

/* --- withdrawals ------------------------------------------------------------------------ */

void guests_met(struct dc *dc, struct domain *d, uint32_t h,
		const uint8_t fp[static NTMC_FP_LEN])
{
	meetings_add(dc->guests->met, d, h, fp);
}

static void tell_send(struct dc *dc, struct domain *d, struct tell *t)
{
	Ntm__Withdraw body = NTM__WITHDRAW__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	ProtobufCBinaryData fp = {NTMC_FP_LEN, t->fp};

	body.n_fingerprints = 1;
	body.fingerprints = &fp;
	msg.txn = t->txn;
	msg.body_case = NTM__SIGNAL__BODY_WITHDRAW;
	msg.withdraw = &body;
	t->tries++;
	/* by whichever key there is; where there is none one is made */
	if (!domain_ready(dc, d))
		(void)domain_send(dc, d, true, &msg);
	else
		(void)domain_send(dc, d, false, &msg);
}

static void tell_add(struct guests *g, struct domain *d, const uint8_t *fp)
{
	struct tell *t = NULL;

	for (size_t i = 0; i < TELLS_MAX; i++) {
		struct tell *x = &g->tells[i];

		if (x->domain == d->number && !memcmp(x->fp, fp, NTMC_FP_LEN))
			return;
		if (!x->domain)
			t = x;
	}
	if (!t) {
		log_warn("guest", "%s was not told of a withdrawal: too many",
			 d->name);
		return;
	}
	memset(t, 0, sizeof(*t));
	t->domain = d->number;
	memcpy(t->fp, fp, NTMC_FP_LEN);
	t->txn = WITHDRAW_TXN | (++g->tell_txn & ~WITHDRAW_TXN);
	tell_send(g->dc, d, t);
	if (!loop_timer_armed(g->timer))
		loop_timer_arm(g->timer, TELL_NS);
}

static void tell_tick(void *arg)
{
	struct guests *g = arg;
	bool again = false;

	for (size_t i = 0; i < TELLS_MAX; i++) {
		struct tell *t = &g->tells[i];
		struct domain *d = domains_at(g->dc, t->domain);

		if (!d || t->tries == TELL_TIMES) {
			t->domain = 0;
			continue;
		}
		tell_send(g->dc, d, t);
		again = true;
	}
	if (again)
		loop_timer_arm(g->timer, TELL_NS);
}

void guests_acked(struct dc *dc, struct domain *d, uint32_t txn)
{
	struct guests *g = dc->guests;

	for (size_t i = 0; i < TELLS_MAX; i++)
		if (g->tells[i].domain == d->number && g->tells[i].txn == txn)
			g->tells[i].domain = 0;
}

/* for the identity whose withdrawal is being told */
static void tell_domain(struct dc *dc, struct domain *d, uint32_t node,
			const uint8_t other[static NTMC_FP_LEN])
{
	uint8_t fp[NTMC_FP_LEN];

	(void)other;
	ntmc_fingerprint(nodes_at(&dc->nodes, node)->ed_pub, fp);
	tell_add(dc->guests, d, fp);
}

void guests_withdrawn(struct dc *dc, uint32_t h)
{
	meetings_of_node(dc->guests->met, h, tell_domain);
}

static void tell_node(struct dc *dc, struct domain *d, uint32_t node,
		      const uint8_t fp[static NTMC_FP_LEN])
{
	(void)d;
	withdraw_tell(dc, node, fp);
}

void guests_removed(struct dc *dc, struct domain *d)
{
	meetings_end_all(dc->guests->met, d, tell_node);
}

void guests_forget(struct dc *dc, struct domain *d)
{
	if (dc->guests)
		meetings_end_all(dc->guests->met, d, NULL);
}

void guests_expire(struct dc *dc, struct domain *d)
{
	meetings_expire(dc->guests->met, d);
}

void guests_told(struct dc *dc, struct domain *d, bool ours,
		 const Ntm__Signal *msg)
{
	const Ntm__Withdraw *w = msg->withdraw;

	if (domain_must_wait_ms(dc, d))
		return;
	for (size_t i = 0; i < w->n_fingerprints; i++)
		if (!meetings_end(dc->guests->met, d, w->fingerprints[i].data,
				  tell_node))
			domain_refuse(dc, d, "its DC withdraws",
				      "somebody whom nobody met");
	send_ack(dc, d, ours, msg->txn, 0, 0);
}

/* --- life ---------------------------------------------------------------------------------- */

void guest_receive(struct dc *dc, struct domain *d, const Ntm__Signal *msg)
{
	switch (msg->body_case) {
	case NTM__SIGNAL__BODY_NODE_INFORMATION_REQUEST:
		information_request(dc, d, msg->txn,
				    msg->node_information_request);
		break;
	case NTM__SIGNAL__BODY_PEER_DIRECTION:
		peer_direction(dc, d, msg->txn, msg->peer_direction);
		break;
	case NTM__SIGNAL__BODY_BOX_REQUEST:
		courier_request(dc, d, msg->txn, msg->box_request);
		break;
	case NTM__SIGNAL__BODY_WITHDRAW:
		guests_told(dc, d, false, msg);
		break;
	case NTM__SIGNAL__BODY_ACK:
		guests_acked(dc, d, msg->txn);
		break;
	default: /* nothing that a DC says to another one */
		dc->stats.bad_datagrams++;
		break;
	}
}

int guests_new(struct dc *dc, struct guests **out)
{
	struct guests *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -NTM_ENOMEM;
	g->dc = dc;
	r = meetings_new(dc, &g->met);
	if (!r)
		r = loop_timer_new(dc->loop, tell_tick, g, &g->timer);
	if (r)
		guests_free(g);
	else
		*out = g;
	return r;
}

void guests_free(struct guests *g)
{
	if (!g)
		return;
	loop_timer_free(g->timer);
	meetings_free(g->met);
	free(g);
}
