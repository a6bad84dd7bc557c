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
 * The streams themselves, and whom they trust: gate_way.c.
 */
#include "broker/gate_impl.h"

#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/gatelist.h"
#include "broker/relay.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "common/log.h"
#include "common/tls.h"

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

/* --- ways ------------------------------------------------------------------------------ */

static void close_all(void *arg)
{
	struct gate *g = arg;

	for (size_t i = 0; i < GATES_MAX; i++)
		way_close(&g->ways[i]);
	loop_timer_disarm(g->retry);
}

void gate_lost(struct gate *g)
{
	gate_set_state(g, GATE_TRYING);
	session_woke(g->w->session);
}

void gate_answered(struct way *y)
{
	struct gate *g = y->g;
	char text[ADDR_TEXT_LEN];

	if (g->state != GATE_TRYING)
		return;
	log_warn("gate",
		 "UDP is blocked here: relayed by TLS, through %s on port %u",
		 addr_format_ip(&y->e.addrs[y->at], text), y->e.port);
	gate_set_state(g, GATE_USED);
	g->dc = y;
	g->reroute = true;
	g->used_ns = now_ns(g);
	g->probe_s = GATE_PROBE_S;
	if (g->left_ns && g->used_ns - g->left_ns < LOOP_S(GATE_RELAPSE_S))
		g->probe_s = 2 * GATE_PROBE_MAX_S;
	loop_timer_arm(g->udp, LOOP_S(g->probe_s));
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
