/* SPDX-License-Identifier: MIT */
/*
 * gate - where no UDP passes: relay and DC by TLS, through a relay's gate
 *
 * Theory of operation
 *
 * A relay may have a gate: TLS on TCP 443, behind which a node has a UDP socket of
 * its own towards that relay and another one towards the DC (servers/gate). AS and DC
 * name the relays that have one; the list is kept on disk, since a node that starts
 * where no UDP passes can ask nobody.
 *
 * When. The DC leaves GATE_TRIES registrations unanswered, GATE_TRIES_SOON after a
 * move, and no relay has answered by UDP meanwhile (then it is the DC that is away):
 * TRYING. Streams are made to the gates, and registrations go both ways. The first
 * answer decides. By UDP: OFF again. By a stream: USED.
 *
 * What. While USED the data path hands us (struct dp_carrier) what goes to the DC and
 * to relays with a gate; what the stream brings is given to it as if it had come from
 * the address spoken to last. So session, punches and paths know nothing of TLS. To
 * relays the way has changed as by a move: worker_rerouted() has them punched anew.
 * A stream of each relay is made when something is to go there; the first that the DC
 * answered by carries Signals.
 *
 * Back. UDP is tried every GATE_PROBE_S, doubling, by a Registration Request. An
 * answer: OFF, all is rerouted, streams stay for GATE_LINGER_S for what is under way.
 * Where that was in vain, UDP is tried less often.
 *
 * A stream whose TCP does not take more than GATE_QUEUE bytes loses what comes: the
 * TCP inside finds its speed by that, as on any link.
 *
 * Trust: the server must show a certificate of role RS of our domain's CA, and gets
 * nothing but sealed datagrams, as the relay and all the network do.
 */
#include "broker/gate.h"

#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/gatelist.h"
#include "broker/relay.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "common/channel.h"
#include "common/gateframe.h"
#include "common/log.h"

#define GATE_QUEUE (256u * 1024)

/* struct way - to one relay's gate
 * @at:     which of its addresses is used or tried; @source: ours towards it
 * @as:     from where its datagrams seem to come, by side */
struct way {
	struct gate *g;
	struct gate_entry e;
	struct channel *c;
	struct tls_context *tls;
	bool open;
	size_t at;
	struct addr source;
	struct addr as[GATE_SIDES];
	uint64_t again_ns;
	unsigned int pause_ms;
};

struct gate {
	struct worker *w;
	enum gate_state state;
	char *folder;
	struct way ways[GATES_MAX];
	size_t n;
	struct way *dc; /* USED: it carries Signals */
	bool reroute;	/* as soon as the session is online */
	uint64_t moved_ns, used_ns, left_ns;
	unsigned int probe_s;
	size_t probe_at; /* which address of the DC */
	uint32_t probe;	 /* request under way; 0: none */
	struct loop_timer *retry, *udp, *linger;
	struct loop_task destroy;
};

static const char *const state_names[] = {
	[GATE_OFF] = "OFF", [GATE_TRYING] = "TRYING", [GATE_USED] = "USED"};
_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == GATE_NSTATES,
	       "a name for each state");

static const struct dp_carrier carrier;

static uint64_t now_ns(const struct gate *g)
{
	return loop_now(g->w->loop);
}

static void gate_set_state(struct gate *g, enum gate_state state)
{
	if (g->state == state)
		return;
	log_info("gate", "%s -> %s", state_names[g->state], state_names[state]);
	g->state = state;
	datapath_set_carrier(g->w->dp, state == GATE_USED ? &carrier : NULL, g);
	if (state != GATE_USED) {
		g->dc = NULL;
		loop_timer_disarm(g->udp);
	}
	if (state == GATE_OFF)
		loop_timer_arm(g->linger, LOOP_S(GATE_LINGER_S));
	else
		loop_timer_disarm(g->linger);
}

/* --- streams --------------------------------------------------------------------------- */

static void way_connect(struct way *y);

static void way_close(struct way *y)
{
	struct channel *c = y->c;

	y->c = NULL; /* its closed() is not for us */
	y->open = false;
	if (c)
		channel_close(c);
}

static void close_all(void *arg)
{
	struct gate *g = arg;

	for (size_t i = 0; i < GATES_MAX; i++)
		way_close(&g->ways[i]);
	loop_timer_disarm(g->retry);
}

/* TRYING again: by UDP, too */
static void gate_lost(struct gate *g)
{
	gate_set_state(g, GATE_TRYING);
	session_woke(g->w->session);
}

static void way_later(struct way *y)
{
	struct gate *g = y->g;

	y->at = 0;
	y->pause_ms = y->pause_ms ? 2 * y->pause_ms : GATE_RETRY_MS;
	if (y->pause_ms > GATE_RETRY_MAX_MS)
		y->pause_ms = GATE_RETRY_MAX_MS;
	y->again_ns = now_ns(g) + LOOP_MS(y->pause_ms);
	if (!loop_timer_armed(g->retry))
		loop_timer_arm(g->retry, LOOP_MS(y->pause_ms));
}

static void on_open(struct channel *c, void *arg)
{
	struct way *y = arg;

	if (y->c != c)
		return;
	y->open = true;
	y->pause_ms = 0;
	if (y->g->state == GATE_TRYING)
		session_by_gate(y->g->w->session);
	else if (y->g->state == GATE_USED)
		worker_rerouted(y->g->w);
}

static void on_closed(struct channel *c, int err, void *arg)
{
	struct way *y = arg;
	struct gate *g = y->g;
	char text[ADDR_TEXT_LEN];
	bool was_open = y->open;

	if (y->c != c)
		return;
	y->c = NULL;
	y->open = false;
	log_debug("gate", "no TLS with %s: %s",
		  addr_format(&y->e.addrs[y->at], text), err_text(err));
	if (g->state == GATE_OFF)
		return;
	if (!was_open && ++y->at < y->e.n)
		way_connect(y);
	else
		way_later(y);
	if (g->state == GATE_USED && y == g->dc)
		gate_lost(g);
}

static void take_dc(struct way *y, struct gateframe *f)
{
	struct gate *g = y->g;
	char text[ADDR_TEXT_LEN];

	if (!addr_is_set(&y->as[GATE_DC]))
		return; /* it was asked nothing */
	if (g->state == GATE_TRYING) {
		log_warn("gate",
			 "UDP is blocked here: relayed by TLS, through %s on "
			 "port %u",
			 addr_format_ip(&y->e.addrs[y->at], text), y->e.port);
		gate_set_state(g, GATE_USED);
		g->dc = y;
		g->reroute = true;
		g->used_ns = now_ns(g);
		g->probe_s = GATE_PROBE_S;
		if (g->left_ns &&
		    g->used_ns - g->left_ns < LOOP_S(GATE_RELAPSE_S))
			g->probe_s = 2 * GATE_PROBE_MAX_S;
		loop_timer_arm(g->udp, LOOP_S(g->probe_s));
	}
	datapath_carried(g->w->dp, f->data, f->len, &y->as[GATE_DC]);
}

static int on_bytes(struct channel *c, uint8_t *data, size_t len, void *arg)
{
	struct way *y = arg;
	struct gateframe f;
	size_t done = 0;
	int n;

	if (y->c != c)
		return (int)len;
	while ((n = gateframe_get(data + done, len - done, &f)) > 0) {
		done += (size_t)n;
		if (f.side == GATE_DC)
			take_dc(y, &f);
		else if (addr_is_set(&y->as[GATE_RELAY]))
			datapath_carried(y->g->w->dp, f.data, f.len,
					 &y->as[GATE_RELAY]);
	}
	datapath_carried_end(y->g->w->dp);
	return n < 0 ? n : (int)done;
}

static const struct channel_ops ops = {
	.open = on_open,
	.bytes = on_bytes,
	.closed = on_closed,
};

static int way_try(struct way *y)
{
	struct worker *w = y->g->w;
	const struct account *a = w->account;
	struct addr to = y->e.addrs[y->at];
	unsigned int mtu;
	int err;

	addr_set_port(&to, y->e.port);
	err = w->env->route(w->env->ctx, &to, &y->source, &mtu);
	if (err)
		return err;
	tls_context_free(y->tls); /* its channel has gone */
	y->tls = NULL;
	/* under our own CA: a relay of a domain that we allow is none of ours */
	err = tls_context_new(&a->secrets->id, a->cert_der, a->cert_len,
			      a->ca_der, a->ca_len, NULL, a->constraint.fp,
			      &y->tls);
	if (err)
		return err;
	tls_context_set_roles(y->tls, NTMC_ROLE_RS);
	tls_context_set_env(y->tls, &w->env->crypto);
	for (int i = 0; i < GATE_SIDES; i++)
		addr_clear(&y->as[i]);
	return channel_connect(w->loop, y->tls, &to.sa, addr_len(&to), &ops, y,
			       &y->c);
}

/* The next of its addresses to which there is a route. */
static void way_connect(struct way *y)
{
	if (y->c || !y->g->w->account->logged_in)
		return;
	for (; y->at < y->e.n; y->at++)
		if (!way_try(y))
			return;
	way_later(y);
}

static void way_want(struct way *y)
{
	if (!y->c && now_ns(y->g) >= y->again_ns)
		way_connect(y);
}

static void retry_due(void *arg)
{
	struct gate *g = arg;

	for (size_t i = 0; i < g->n && g->state != GATE_OFF; i++)
		if (g->state == GATE_TRYING || g->ways[i].pause_ms)
			way_want(&g->ways[i]);
}

/* --- carrying --------------------------------------------------------------------------------- */

static bool is_dc(const struct gate *g, const struct addr *to)
{
	const struct account *a = g->w->account;

	for (size_t i = 0; i < a->n_dc; i++)
		if (addr_equal(&a->dc[i], to))
			return true;
	return false;
}

static struct way *way_of(struct gate *g, const struct addr *to)
{
	for (size_t i = 0; i < g->n; i++)
		for (size_t k = 0; k < g->ways[i].e.n; k++)
			if (addr_equal(&g->ways[i].e.addrs[k], to))
				return &g->ways[i];
	return NULL;
}

static bool carrier_takes(void *arg, const struct addr *to)
{
	struct gate *g = arg;

	return way_of(g, to) || is_dc(g, to);
}

static void way_put(struct way *y, enum gate_side side, const struct addr *to,
		    const uint8_t *data, size_t len, size_t seg)
{
	y->as[side] = *to;
	for (size_t at = 0; at < len; at += seg) {
		size_t n = len - at < seg ? len - at : seg;
		uint8_t *room;

		if (channel_queued(y->c) > GATE_QUEUE)
			channel_flush(y->c);
		if (channel_queued(y->c) > GATE_QUEUE)
			return;
		room = channel_room(y->c, GATEFRAME_HEAD + n);
		if (!room)
			return;
		gateframe_put(room, side, n);
		memcpy(room + GATEFRAME_HEAD, data + at, n);
		channel_put(y->c, GATEFRAME_HEAD + n);
	}
	channel_flush(y->c);
}

static void carrier_send(void *arg, const struct addr *to, const uint8_t *data,
			 size_t len, size_t seg)
{
	struct gate *g = arg;
	struct way *y = way_of(g, to);
	enum gate_side side = GATE_RELAY;

	if (!y) {
		y = g->dc;
		side = GATE_DC;
	}
	if (!y)
		return;
	if (y->open)
		way_put(y, side, to, data, len, seg);
	else
		way_want(y);
}

static const struct dp_carrier carrier = {.takes = carrier_takes,
					  .send = carrier_send};

bool gate_send_dc(struct gate *g, const struct addr *to, const uint8_t *buf,
		  size_t len)
{
	bool any = false;

	for (size_t i = 0; i < g->n; i++) {
		if (!g->ways[i].open)
			continue;
		way_put(&g->ways[i], GATE_DC, to, buf, len, len);
		any = true;
	}
	return any;
}

/* --- does UDP pass? ------------------------------------------------------------------------ */

static void udp_passes(void *arg, int err, const Ntm__Signal *msg)
{
	struct gate *g = arg;

	(void)msg;
	g->probe = 0;
	if (g->state != GATE_USED)
		return;
	if (err) {
		g->probe_s = g->probe_s < GATE_PROBE_MAX_S ? 2 * g->probe_s
							   : g->probe_s;
		loop_timer_arm(g->udp, LOOP_S(g->probe_s));
		return;
	}
	log_info("gate", "UDP passes again");
	g->left_ns = now_ns(g);
	g->reroute = true;
	gate_set_state(g, GATE_OFF);
	session_woke(g->w->session);
}

static void udp_probe(void *arg)
{
	struct gate *g = arg;
	const struct account *a = g->w->account;

	if (g->probe || g->state != GATE_USED || !a->n_dc)
		return;
	if (session_probe_udp(g->w->session, &a->dc[g->probe_at++ % a->n_dc],
			      DIRECTION_LIMIT_MS, udp_passes, g, &g->probe))
		loop_timer_arm(g->udp, LOOP_S(g->probe_s));
}

/* --- events ------------------------------------------------------------------------------------ */

void gate_unanswered(struct gate *g, unsigned int tries)
{
	uint64_t now = now_ns(g);
	bool soon = g->moved_ns && now - g->moved_ns < LOOP_S(GATE_SOON_S);

	if (g->state == GATE_OFF && g->n) {
		if (!soon && tries + 1 == GATE_TRIES)
			relays_check(g->w->relays);
		if (tries < (soon ? GATE_TRIES_SOON : GATE_TRIES) ||
		    (!soon &&
		     relays_heard_since(g->w->relays,
					session_since_ns(g->w->session))))
			return;
		gate_set_state(g, GATE_TRYING);
	}
	for (size_t i = 0; g->state == GATE_TRYING && i < g->n; i++)
		way_want(&g->ways[i]);
}

void gate_online(struct gate *g)
{
	if (g->state == GATE_TRYING)
		gate_set_state(g, GATE_OFF);
	if (!g->reroute)
		return;
	g->reroute = false;
	worker_rerouted(g->w);
}

void gate_moved(struct gate *g)
{
	const struct worker_env *env = g->w->env;
	bool lost = false;

	g->moved_ns = now_ns(g);
	for (size_t i = 0; i < g->n; i++) {
		struct way *y = &g->ways[i];
		struct addr source;
		unsigned int mtu;

		y->again_ns = 0;
		y->pause_ms = 0;
		if (!y->c) {
			y->at = 0;
			continue;
		}
		if (!env->route(env->ctx, &y->e.addrs[y->at], &source, &mtu) &&
		    addr_equal_ip(&source, &y->source))
			continue;
		lost |= y == g->dc;
		way_close(y);
		y->at = 0;
	}
	g->left_ns = 0;
	if (g->state == GATE_USED && lost) {
		gate_set_state(g, GATE_TRYING);
		loop_timer_arm(g->retry, 0); /* the channels before end first */
	} else if (g->state == GATE_USED) {
		g->probe_s = GATE_PROBE_S;
		loop_timer_arm(g->udp, 0);
	}
}

static void list_set(struct gate *g, const struct gate_entry *list, size_t n)
{
	for (size_t i = 0; i < GATES_MAX; i++) {
		struct way *y = &g->ways[i];

		if (i < n && i < g->n && gatelist_same(&list[i], &y->e))
			continue;
		if (y == g->dc)
			g->dc = NULL;
		way_close(y);
		y->at = 0;
		y->again_ns = 0;
		y->pause_ms = 0;
		if (i < n)
			y->e = list[i];
	}
	g->n = n;
	if (g->state == GATE_USED && !g->dc)
		gate_lost(g);
}

void gate_named(struct gate *g, Ntm__Relay *const *list, size_t n)
{
	struct gate_entry fresh[GATES_MAX];
	size_t k = gatelist_take(list, n, fresh), same = 0;

	/* the order is the DC's affair; those we have a stream to stay in place */
	for (size_t i = 0; i < k; i++)
		for (size_t j = 0; j < g->n; j++)
			same += gatelist_same(&fresh[i], &g->ways[j].e);
	if (!k || (same == k && k == g->n) || (g->state != GATE_OFF && same))
		return;
	list_set(g, fresh, k);
	gatelist_save(g->folder, fresh, k);
}

void gate_forget(struct gate *g)
{
	session_cancel(g->w->session, g->probe);
	g->probe = 0;
	gate_set_state(g, GATE_OFF);
	close_all(g);
	g->n = 0;
	g->reroute = false;
	gatelist_remove(g->folder);
}

/* --- questions --------------------------------------------------------------------------------- */

enum gate_state gate_state(const struct gate *g)
{
	return g->state;
}

bool gate_carries(const struct gate *g, const struct addr *to)
{
	return g->state == GATE_USED && carrier_takes((struct gate *)g, to);
}

bool gate_address(const struct gate *g, struct addr *out)
{
	if (g->state != GATE_USED || !g->dc)
		return false;
	*out = g->dc->e.addrs[g->dc->at];
	addr_set_port(out, g->dc->e.port);
	return true;
}

/* --- life ------------------------------------------------------------------------------------------ */

int gate_new(struct worker *w, const char *state, struct gate **out)
{
	struct gate *g = calloc(1, sizeof(*g));
	struct gate_entry list[GATES_MAX];
	int err = -NTM_ENOMEM;

	if (!g)
		return err;
	g->w = w;
	g->folder = strdup(state);
	for (size_t i = 0; i < GATES_MAX; i++)
		g->ways[i].g = g;
	if (g->folder)
		err = loop_timer_new(w->loop, retry_due, g, &g->retry);
	if (!err)
		err = loop_timer_new(w->loop, udp_probe, g, &g->udp);
	if (!err)
		err = loop_timer_new(w->loop, close_all, g, &g->linger);
	if (err) {
		gate_free(g);
		return err;
	}
	g->n = gatelist_load(state, list);
	for (size_t i = 0; i < g->n; i++)
		g->ways[i].e = list[i];
	*out = g;
	return 0;
}

/* deferred behind the ends of the channels */
static void gate_destroy(void *arg)
{
	struct gate *g = arg;

	for (size_t i = 0; i < GATES_MAX; i++)
		tls_context_free(g->ways[i].tls);
	free(g->folder);
	free(g);
}

void gate_free(struct gate *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < GATES_MAX; i++)
		way_close(&g->ways[i]);
	loop_timer_free(g->retry);
	loop_timer_free(g->udp);
	loop_timer_free(g->linger);
	g->destroy = (struct loop_task){.fn = gate_destroy, .arg = g};
	loop_defer_task(g->w->loop, &g->destroy);
}
