/* SPDX-License-Identifier: MIT */
/*
 * as_link - one question to the Account Server over TLS
 *
 * Theory of operation
 *
 * CONNECTING an address; TLS done: the server's certificate must have the role of
 * an AS, then the question is sent (ASKED); the first answer with its transaction
 * number ends it. An address that cannot be reached leads to the next one, so does one
 * with which there is no TLS after AS_NEXT_MS, but for the last; a server
 * that proves to be the wrong one ends it at once: the next would get the password.
 *
 * Behind the addresses of the join string come the same on port 443: there a relay's
 * gate may lead to the AS, whose name is said in TLS's first message (tlshello.h).
 * Whoever else has that port is not asked anything, and no error of it is told. Last
 * come those of the join string once more, for a network that is slow.
 */
#include "broker/as_link.h"

#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/timers.h"
#include "common/channel.h"
#include "common/datagram.h"
#include "common/log.h"
#include "common/tls.h"
#include "common/tlshello.h"

#define GATE_PORT 443

/**
 * enum as_state -
 * @AS_CONNECTING: nothing secret has left.      Leaves by: open, closed, time
 * @AS_ASKED:      the question is on its way.   Leaves by: answer, closed, time
 * @AS_DONE:       called back; freed at the end of the turn
 */
enum as_state { AS_CONNECTING, AS_ASKED, AS_DONE };

struct as_link {
	struct worker *w;
	enum as_state state;
	struct join join;
	/* the join string's, guesses up to @n_known, and again the join string's */
	struct addr ways[3 * JOIN_ADDRESSES_MAX];
	size_t n_known, n_ways, index;
	int first_err; /* of the join string's addresses */
	uint32_t txn;
	uint8_t *packed;
	size_t len;
	struct tls_context *tls;
	struct channel *channel;
	struct loop_timer *timer, *next;
	as_link_fn *fn;
	void *arg;
	struct loop_task task;
};

static void link_free(void *arg)
{
	struct as_link *l = arg;

	loop_timer_free(l->timer);
	loop_timer_free(l->next);
	tls_context_free(l->tls);
	if (l->packed)
		ntmc_wipe(l->packed, l->len);
	free(l->packed);
	free(l);
}

static void link_end(struct as_link *l, int err, const Ntm__Envelope *msg)
{
	if (l->state == AS_DONE)
		return;
	l->state = AS_DONE;
	loop_timer_disarm(l->timer);
	loop_timer_disarm(l->next);
	if (l->channel)
		channel_close(l->channel);
	if (l->fn)
		l->fn(l->arg, err, msg);
	/* the channel's own end frees us after it; see on_closed() */
	if (!l->channel)
		loop_defer_task(l->w->loop, &l->task);
}

static void on_open(struct channel *c, void *arg)
{
	struct as_link *l = arg;
	const struct ntmc_cert *cert = channel_peer(c);
	Ntm__Envelope *msg;
	int err;

	if (l->state != AS_CONNECTING || l->channel != c)
		return;
	loop_timer_disarm(l->next);
	if (!cert || cert->kind != NTMC_CERT_SERVER ||
	    !(cert->roles & NTMC_ROLE_AS)) {
		link_end(l, -NTM_ECERT, NULL);
		return;
	}
	msg = ntm__envelope__unpack(NULL, l->len, l->packed);
	err = msg ? channel_send(c, msg) : -NTM_ENOMEM;
	if (msg)
		datagram_free(&msg->base);
	l->state = AS_ASKED;
	if (err)
		link_end(l, err, NULL);
}

static void on_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct as_link *l = arg;

	(void)c;
	if (l->state == AS_ASKED && msg->txn == l->txn)
		link_end(l, 0, msg);
}

static int link_connect(struct as_link *l);

/* beyond the join string's own: whoever answers there may be anybody */
static bool is_guessed(const struct as_link *l)
{
	return l->index >= l->join.n_addrs && l->index < l->n_known;
}

static bool is_unreached(int err)
{
	return !err || err == -NTM_ESYSTEM || err == -NTM_ETIMEOUT ||
	       err == -NTM_ECLOSED || err == -NTM_EUNREACHABLE;
}

/* Return: false: there is none left */
static bool link_next(struct as_link *l, int err)
{
	if (!is_guessed(l) && !l->first_err)
		l->first_err = err;
	while (++l->index < l->n_ways)
		if (!link_connect(l))
			return true;
	return false;
}

/* Try the next address when this one could not be reached at all. */
static void on_closed(struct channel *c, int err, void *arg)
{
	struct as_link *l = arg;

	if (l->channel && l->channel != c)
		return; /* given up for the next one */
	l->channel = NULL;
	/* In TLS 1.3 the client is done first. What has run out before that is the
	 * server's certificate, which it renews early: our clock must be ahead. After
	 * it, the server says it of ours. */
	if (l->state == AS_CONNECTING && err == -NTM_EEXPIRED)
		err = -NTM_ECLOCK;
	if (l->state == AS_DONE) {
		loop_defer_task(l->w->loop, &l->task);
		return;
	}
	if (l->state == AS_CONNECTING) {
		if ((is_guessed(l) || is_unreached(err)) && link_next(l, err))
			return;
		if (is_unreached(err) && l->first_err)
			err = l->first_err;
	}
	link_end(l, err ? err : -NTM_ECLOSED, NULL);
}

/* no TLS with this one yet; the last one has all the time that is left */
static void link_slow(void *arg)
{
	struct as_link *l = arg;
	struct channel *c = l->channel;

	if (l->state != AS_CONNECTING || l->index + 1 >= l->n_ways)
		return;
	if (!link_next(l, -NTM_ETIMEOUT))
		l->index = l->n_ways - 1;
	else if (c)
		channel_close(c);
}

static const struct channel_ops ops = {
	.open = on_open,
	.message = on_message,
	.closed = on_closed,
};

static int link_connect(struct as_link *l)
{
	const struct addr *a = &l->ways[l->index];

	loop_timer_arm(l->next, LOOP_MS(AS_NEXT_MS));
	return channel_connect(l->w->loop, l->tls, &a->sa, addr_len(a), &ops, l,
			       &l->channel);
}

static void ways_fill(struct as_link *l)
{
	const struct join *j = &l->join;

	l->n_ways = j->n_addrs;
	memcpy(l->ways, j->addrs, j->n_addrs * sizeof(l->ways[0]));
	for (size_t i = 0; i < j->n_addrs; i++) {
		if (addr_port(&j->addrs[i]) == GATE_PORT)
			continue;
		l->ways[l->n_ways] = j->addrs[i];
		addr_set_port(&l->ways[l->n_ways++], GATE_PORT);
	}
	l->n_known = l->n_ways;
	memcpy(&l->ways[l->n_ways], j->addrs, j->n_addrs * sizeof(l->ways[0]));
	l->n_ways += j->n_addrs;
}

static void link_late(void *arg)
{
	link_end(arg, -NTM_ETIMEOUT, NULL);
}

static int context_new(struct as_link *l, bool by_cert)
{
	const struct account *a = l->w->account;
	int err;

	err = tls_context_new(
		by_cert ? &a->secrets->id : NULL, by_cert ? a->cert_der : NULL,
		by_cert ? a->cert_len : 0, by_cert ? a->ca_der : NULL,
		by_cert ? a->ca_len : 0, NULL, l->join.ca_fp, &l->tls);
	if (!err)
		tls_context_set_alpn(l->tls, TLSHELLO_AS);
	return err;
}

int as_link_ask(struct worker *w, const struct join *join, bool by_cert,
		Ntm__Envelope *msg, as_link_fn *fn, void *arg,
		struct as_link **out)
{
	struct as_link *l = calloc(1, sizeof(*l));
	int err = -NTM_ENOMEM;

	if (!l)
		return err;
	l->w = w;
	l->join = *join;
	l->fn = fn;
	l->arg = arg;
	l->task.fn = link_free;
	l->task.arg = l;
	ntmc_random(&w->env->crypto, &l->txn, sizeof(l->txn));
	msg->txn = l->txn;
	l->len = ntm__envelope__get_packed_size(msg);
	l->packed = malloc(l->len + 1);
	if (!l->packed)
		goto err_free;
	ntm__envelope__pack(msg, l->packed);
	ways_fill(l);
	err = loop_timer_new(w->loop, link_late, l, &l->timer);
	if (!err)
		err = loop_timer_new(w->loop, link_slow, l, &l->next);
	if (!err)
		err = context_new(l, by_cert);
	while (!err && (err = link_connect(l)) && ++l->index < l->n_ways)
		err = 0;
	if (err)
		goto err_free;
	loop_timer_arm(l->timer, LOOP_S(AS_LIMIT_S));
	*out = l;
	return 0;

err_free:
	link_free(l);
	return err;
}

void as_link_cancel(struct as_link *l)
{
	l->fn = NULL;
	link_end(l, -NTM_ECLOSED, NULL);
}
