/* SPDX-License-Identifier: MIT */
/*
 * direction - Direction Requests until they are answered
 *
 * Theory of operation
 *
 * A request finds CN, draws Path ID, Ktun and Ktmp, and becomes a direction:
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
 * A relay that refuses or says nothing is replaced by another one, once: CN is asked
 * anew, as it must meet MN there. After that, or when there is none, MN is told of
 * the direct way alone. Which relay a path had last is remembered in a table of hints
 * (NAMED_MAX): MOVE means that it did not help, or no longer, and takes another one.
 *
 * All directions of a state wait equally long, so each state is a list in the
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
#include "servers/dc/reach.h"
#include "servers/dc/pathid.h"
#include "servers/dc/state.h"

#define HANDLE_BITS    17
#define DIRECTIONS_MAX ((1u << HANDLE_BITS) - 1)
#define GENERATIONS    (1u << (30 - HANDLE_BITS)) /* below ABROAD_TXN */
#define ASK_EVERY_NS   LOOP_MS(250)
#define ASK_TIMES      4
#define WAKE_TIMES     14 /* who must be woken first: 3.5 s */
#define KEEP_ANSWER_NS LOOP_S(2)
#define LIFETIME_S     60 /* of Ktun and Ktmp */
#define RANDOM_BLOCK   4096
#define RELAY_TRIES    2     /* relays asked for one direction */
#define NAMED_MAX      65536 /* a power of two */

/* what a direction waits for */
#define WAIT_CN 1
#define WAIT_RS 2

enum direction_state { DIRECTION_ASKED, DIRECTION_ANSWERED, DIRECTION_NSTATES };

struct direction {
	uint32_t slab_link;
	uint32_t mn, cn, mn_txn, cn_txn;
	uint32_t prev, next;	 /* in its state's list */
	uint64_t mn_fp8, cn_fp8; /* the nodes these handles meant */
	uint64_t path_id, deadline;
	struct ntmc_key ktun, ktmp;
	int err; /* ANSWERED: 0 or what MN was told */
	uint8_t state, tries, aead, reason, waits;
	uint8_t relay_tries;
	uint16_t relay, not_relay; /* the one it has, and had; 0 none */
	bool swapped; /* MN is the path's end 1: it has asked before, as CN */
	bool cn_sends;
	bool chosen; /* the way */
	bool absent; /* CN's NS does not have it; or it has come at last */
};

/* which relay a path had last; @pair: of whom the path is */
struct named {
	uint64_t path_id, pair;
	uint16_t relay;
};

struct list {
	uint32_t head, tail;
};

struct directions {
	struct dc *dc;
	struct slab slab;
	struct index by_txn; /* MN and its txn */
	struct list lists[DIRECTION_NSTATES];
	struct loop_timer *timer;
	uint32_t generation;
	struct named *named; /* by Path ID; another one takes the place over */
	/* keys are drawn by the block: a system's generator is not free */
	uint8_t random[RANDOM_BLOCK];
	size_t random_left;
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

static void draw(struct directions *d, void *out, size_t len)
{
	if (d->random_left < len) {
		ntmc_random(NULL, d->random, sizeof(d->random));
		d->random_left = sizeof(d->random);
	}
	d->random_left -= len;
	memcpy(out, d->random + d->random_left, len);
	ntmc_wipe(d->random + d->random_left, len);
}

/* --- lists and timer ------------------------------------------------------------ */

static void list_append(struct directions *d, uint32_t h)
{
	struct direction *x = direction_at(d, h);
	struct list *l = &d->lists[x->state];

	x->prev = l->tail;
	x->next = 0;
	if (l->tail)
		direction_at(d, l->tail)->next = h;
	else
		l->head = h;
	l->tail = h;
}

static void list_remove(struct directions *d, uint32_t h)
{
	struct direction *x = direction_at(d, h);
	struct list *l = &d->lists[x->state];

	if (x->prev)
		direction_at(d, x->prev)->next = x->next;
	else
		l->head = x->next;
	if (x->next)
		direction_at(d, x->next)->prev = x->prev;
	else
		l->tail = x->prev;
}

static void arm(struct directions *d)
{
	uint64_t first = UINT64_MAX, now = loop_now(d->dc->loop);

	for (int i = 0; i < DIRECTION_NSTATES; i++) {
		uint32_t h = d->lists[i].head;

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

	list_remove(d, h);
	x->state = (uint8_t)s;
	x->deadline = loop_now(d->dc->loop) + wait_ns;
	list_append(d, h);
	if (!loop_timer_armed(d->timer))
		arm(d);
}

static void direction_end(struct directions *d, uint32_t h)
{
	list_remove(d, h);
	index_del(&d->by_txn, h);
	slab_del(&d->slab, h); /* wipes the keys */
}

/* --- messages -------------------------------------------------------------------- */

/* tell @to about @peer */
static void send_route(struct directions *d, struct direction *x,
		       struct node *to, const struct node *peer, uint32_t txn,
		       Ntm__TunnelRole role)
{
	const struct relay *relay = relays_find(d->dc, x->relay);
	Ntm__RouteDirection body = NTM__ROUTE_DIRECTION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct reach_relay told;
	struct nodeinfo info;

	if (!to->session)
		return;
	if (relay) {
		reach_fill_relay(relay, &told);
		body.relay = &told.msg;
	}
	nodeinfo_fill(d->dc, peer, &info);
	nodeinfo_fill_addresses(d->dc, peer, &info);
	body.path_id = x->path_id;
	body.role = role;
	body.peer = &info.msg;
	body.ktun = (ProtobufCBinaryData){NTMC_KEY_LEN, x->ktun.b};
	body.ktmp = (ProtobufCBinaryData){NTMC_KEY_LEN, x->ktmp.b};
	body.aead = x->aead;
	body.lifetime_s = LIFETIME_S;
	body.reason = x->reason;
	body.end = (to->fp8 == x->mn_fp8) != x->swapped
			   ? NTM__TUNNEL_END__END_MN
			   : NTM__TUNNEL_END__END_CN;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_ROUTE_DIRECTION;
	msg.route_direction = &body;
	if (!signal_send(d->dc, to->session, &to->at, &msg))
		log_debug("direction", "a Route Direction was not sent");
}

static void end_fill(struct dc *dc, const struct node *n,
		     struct fqdn_parts *parts, Ntm__RelayEnd *out)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	size_t skip = memcmp(n->at.ip, mapped, sizeof(mapped)) ? 0 : 12;

	if (!fqdn_split(n->fqdn, dc->cert.domain.domain, parts))
		out->account = parts->account;
	out->proven = (ProtobufCBinaryData){sizeof(n->at.ip) - skip,
					    (uint8_t *)n->at.ip + skip};
}

/* false: there is no such relay any more */
static bool send_relay(struct directions *d, struct direction *x,
		       const struct node *mn, const struct node *cn)
{
	Ntm__RelayDirection body = NTM__RELAY_DIRECTION__INIT;
	Ntm__RelayEnd ends[2] = {NTM__RELAY_END__INIT, NTM__RELAY_END__INIT};
	struct relay *relay = relays_find(d->dc, x->relay);
	struct fqdn_parts parts[2];
	struct ntmc_key kpunch;

	if (!relay || datagram_punch_secret(&x->ktun, x->path_id, &kpunch))
		return false;
	end_fill(d->dc, mn, &parts[0], &ends[x->swapped]);
	end_fill(d->dc, cn, &parts[1], &ends[!x->swapped]);
	body.path_id = x->path_id;
	body.kpunch = (ProtobufCBinaryData){NTMC_KEY_LEN, kpunch.b};
	body.aead = x->aead;
	body.mn = &ends[0];
	body.cn = &ends[1];
	if (!relays_direct(d->dc, relay, x->cn_txn, &body))
		log_debug("direction", "a Relay Direction was not sent");
	ntmc_key_clear(&kpunch);
	return true;
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
		send_route(d, x, mn, cn, x->mn_txn,
			   x->cn_sends ? NTM__TUNNEL_ROLE__ROLE_WAIT
				       : NTM__TUNNEL_ROLE__ROLE_SEND);
	else
		send_refusal(d, x, mn, cn);
}

static struct named *named_at(struct directions *d, uint64_t path_id)
{
	return &d->named[(path_id >> 1) & (NAMED_MAX - 1)];
}

void direction_name_relay(struct dc *dc, uint64_t path_id, uint64_t pair,
			  uint16_t relay)
{
	*named_at(dc->directions, path_id) =
		(struct named){path_id, pair, relay};
}

/* a hint: others may have taken its place. That a path of others is not taken over is
 * the relay's to see, which knows whose it is */
uint16_t direction_relay_named(struct dc *dc, uint64_t path_id, uint64_t pair)
{
	const struct named *was = named_at(dc->directions, path_id);

	return was->path_id == path_id && was->pair == pair ? was->relay : 0;
}

static void direction_answer(struct directions *d, uint32_t h, int err)
{
	struct direction *x = direction_at(d, h);

	x->err = err;
	if (err) {
		d->dc->stats.directions_refused++;
	} else {
		d->dc->stats.directions++;
		d->dc->stats.directions_relayed += x->relay != 0;
	}
	if (!err && x->relay)
		direction_name_relay(d->dc, x->path_id, x->mn_fp8 ^ x->cn_fp8,
				     x->relay);
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
	uint16_t next = 0;

	if (mn && cn && ++x->relay_tries < RELAY_TRIES)
		next = reach_choose(d->dc, mn, cn, x->relay, x->not_relay);
	x->relay = next;
	if (next) { /* an answer to what was asked before is none to this */
		set_txn(d, h);
		/* and the relay before has no keys for this one */
		draw(d, &x->ktun, sizeof(x->ktun));
		x->tries = 0;
		x->waits = WAIT_CN | WAIT_RS;
		direction_ask(d, h);
		return;
	}
	x->waits &= (uint8_t)~WAIT_RS;
	if (!x->waits)
		direction_answer(d, h, 0);
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

/* through a relay? */
static void choose_relay(struct directions *d, struct direction *x,
			 const struct node *mn, const struct node *cn)
{
	x->chosen = true;
	x->cn_sends = reach_cn_sends(mn, cn);
	x->not_relay =
		direction_relay_named(d->dc, x->path_id, mn->fp8 ^ cn->fp8);
	if (x->reason == NTM__DIRECTION_REASON__DIRECTION_MOVE ||
	    reach_needs_relay(mn, cn))
		x->relay = reach_choose(d->dc, mn, cn, 0, x->not_relay);
	if (x->relay)
		x->waits |= WAIT_RS;
}

/* CN is where we can write to: what could not be done before is. Once */
static void cn_is_here(struct directions *d, struct direction *x,
		       const struct node *mn, const struct node *cn)
{
	if (x->chosen || !(cn->flags & NODE_PROVEN))
		return;
	choose_relay(d, x, mn, cn);
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
	struct relay *relay;
	bool has_relay, woken = x->tries;

	if (mn && cn)
		cn_is_here(d, x, mn, cn);
	if (!mn || !cn || !dc_is_online(d->dc, cn) ||
	    (x->tries >= ask_times(x, cn) && x->waits & WAIT_CN)) {
		direction_answer(d, h, -NTM_EOFFLINE);
		return;
	}
	if (x->tries >= ASK_TIMES && x->waits & WAIT_RS) {
		relay = relays_find(d->dc, x->relay);
		if (relay)
			relays_silent(d->dc, relay);
		direction_replace_relay(d, h);
		return;
	}
	x->tries++;
	has_relay = !(x->waits & WAIT_RS) || send_relay(d, x, mn, cn);
	if (x->waits & WAIT_CN && !woken && cn->wakeup)
		wake(d, h, cn);
	if (x->waits & WAIT_CN && x->chosen)
		send_route(d, x, cn, mn, x->cn_txn,
			   x->cn_sends ? NTM__TUNNEL_ROLE__ROLE_SEND
				       : NTM__TUNNEL_ROLE__ROLE_WAIT);
	direction_set_state(d, h, DIRECTION_ASKED, ASK_EVERY_NS);
	if (!has_relay)
		direction_replace_relay(d, h);
}

static void directions_tick(void *arg)
{
	struct directions *d = arg;
	uint64_t now = loop_now(d->dc->loop);
	uint32_t h;

	while ((h = d->lists[DIRECTION_ASKED].head) &&
	       direction_at(d, h)->deadline <= now)
		direction_ask(d, h);
	while ((h = d->lists[DIRECTION_ANSWERED].head) &&
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

	if (h || !d->lists[DIRECTION_ANSWERED].head)
		return h;
	direction_end(d, d->lists[DIRECTION_ANSWERED].head);
	return slab_add(&d->slab);
}

static enum ntmc_aead_alg choose_aead(struct dc *dc, const struct node *mn,
				      const struct node *cn, uint32_t wanted)
{
	const struct session *s = nodes_session(&dc->nodes, cn->session);

	(void)mn;
	return wanted == NTMC_AES_256_GCM && s->aead == NTMC_AES_256_GCM
		       ? NTMC_AES_256_GCM
		       : NTMC_CHACHA20_POLY1305;
}

static bool is_move(const Ntm__DirectionRequest *q)
{
	return q->reason == NTM__DIRECTION_REASON__DIRECTION_MOVE;
}

static void choose_path(struct directions *d, struct direction *x,
			const struct node *mn, const struct node *cn,
			const Ntm__DirectionRequest *q)
{
	uint64_t random;

	draw(d, &random, sizeof(random));
	x->path_id = pathid_make(d->dc, random, mn->fp8, cn->fp8);
	if (is_move(q) && q->path_id > 1) {
		if (pathid_is_of(d->dc, q->path_id, mn->fp8, cn->fp8)) {
			x->path_id = q->path_id & ~UINT64_C(1);
			x->swapped = q->path_id & 1;
		} else {
			d->dc->stats.foreign_paths++;
		}
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
	x->reason = (uint8_t)q->reason;
	x->aead = (uint8_t)choose_aead(dc, mn, cn, q->aead);
	choose_path(d, x, mn, cn, q);
	x->waits = WAIT_CN;
	draw(d, &x->ktun, sizeof(x->ktun));
	draw(d, &x->ktmp, sizeof(x->ktmp));
	x->state = DIRECTION_ASKED;
	x->deadline = UINT64_MAX;
	if (index_add(&d->by_txn, h)) {
		slab_del(&d->slab, h);
		return -NTM_ELIMIT;
	}
	list_append(d, h);
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
	    x->state != DIRECTION_ASKED || !(x->waits & WAIT_CN))
		return;
	mn = direction_node(d, x->mn, x->mn_fp8);
	if (mn && !x->chosen)
		direction_ask(d, h);
	else if (mn)
		send_route(d, x, cn, mn, x->cn_txn,
			   x->cn_sends ? NTM__TUNNEL_ROLE__ROLE_SEND
				       : NTM__TUNNEL_ROLE__ROLE_WAIT);
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
	return x->cn_txn == txn && x->state == DIRECTION_ASKED && x->waits & who
		       ? h
		       : 0;
}

void direction_absent(struct dc *dc, uint8_t notifier, uint32_t txn)
{
	struct directions *d = dc->directions;
	uint32_t h = direction_waiting(d, txn, WAIT_CN);
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

	x->waits &= (uint8_t)~who;
	if (!x->waits)
		direction_answer(d, h, 0);
}

void direction_ack(struct dc *dc, uint32_t session, uint32_t txn,
		   const Ntm__NtmAck *ack)
{
	struct directions *d = dc->directions;
	uint32_t h = direction_waiting(d, txn, WAIT_CN);

	if (!h ||
	    direction_at(d, h)->cn != nodes_session(&dc->nodes, session)->node)
		return;
	if (ack->code)
		direction_answer(d, h, -(int)ack->code);
	else
		direction_agreed(d, h, WAIT_CN);
}

void direction_relay_ack(struct dc *dc, uint16_t relay, uint32_t txn,
			 const Ntm__NtmAck *ack)
{
	struct directions *d = dc->directions;
	uint32_t h = direction_waiting(d, txn, WAIT_RS);

	if (!h || direction_at(d, h)->relay != relay)
		return;
	if (ack->code) {
		log_debug("direction", "relay %u refuses: %s", relay,
			  err_text(-(int)ack->code));
		direction_replace_relay(d, h);
	} else {
		direction_agreed(d, h, WAIT_RS);
	}
}

int directions_new(struct dc *dc, struct directions **out)
{
	struct directions *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -NTM_ENOMEM;
	d->dc = dc;
	/* pages are taken by the kernel as it fills */
	d->named = calloc(NAMED_MAX, sizeof(*d->named));
	if (!d->named) {
		free(d);
		return -NTM_ENOMEM;
	}
	slab_init(&d->slab, sizeof(struct direction), DIRECTIONS_MAX);
	index_init(&d->by_txn, direction_hash, d);
	r = loop_timer_new(dc->loop, directions_tick, d, &d->timer);
	if (r) {
		free(d->named);
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
	ntmc_wipe(d->random, sizeof(d->random));
	free(d->named);
	free(d);
}
