/* SPDX-License-Identifier: MIT */
/*
 * gate_way - the TLS stream to one relay's gate: made, used, lost, tried again
 *
 * Theory of operation
 *
 * The addresses of a gate are tried in turn; where none is reached, again after a pause
 * that doubles. A stream whose TCP does not take more than GATE_QUEUE bytes loses what
 * comes: the TCP inside finds its speed by that, as on any link.
 *
 * Trust: the server must show a certificate of role RS of our domain's CA, and gets
 * nothing but sealed datagrams, as the relay and all the network do.
 */
#include <string.h>

#include "broker/account.h"
#include "broker/gate_impl.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "common/channel.h"
#include "common/log.h"

#define GATE_QUEUE (256u * 1024)

static void way_connect(struct way *y);

void way_close(struct way *y)
{
	struct channel *c = y->c;

	y->c = NULL; /* its closed() is not for us */
	y->open = false;
	if (c)
		channel_close(c);
}

/* --- what the stream brings ---------------------------------------------------------- */

static void way_later(struct way *y)
{
	struct gate *g = y->g;

	y->at = 0;
	y->pause_ms = y->pause_ms ? 2 * y->pause_ms : GATE_RETRY_MS;
	if (y->pause_ms > GATE_RETRY_MAX_MS)
		y->pause_ms = GATE_RETRY_MAX_MS;
	y->again_ns = loop_now(g->w->loop) + LOOP_MS(y->pause_ms);
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

	if (!addr_is_set(&y->as[GATE_DC]))
		return; /* it was asked nothing */
	gate_answered(y);
	datapath_carried(y->g->w->dp, f->data, f->len, &y->as[GATE_DC]);
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

/* --- making it ------------------------------------------------------------------------ */

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

void way_want(struct way *y)
{
	if (!y->c && loop_now(y->g->w->loop) >= y->again_ns)
		way_connect(y);
}

/* --- what goes by it ------------------------------------------------------------------ */

void way_put(struct way *y, enum gate_side side, const struct addr *to,
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
