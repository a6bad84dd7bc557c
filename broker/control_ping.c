/* SPDX-License-Identifier: MIT */
/* control_ping - ping: echoes through the tunnel to a peer */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/control.h"
#include "broker/peer.h"
#include "broker/resolve.h"

#define PING_COUNT	     4
#define PING_INTERVAL_MS     1000
#define PING_INTERVAL_MIN_MS 5
#define PING_LIMIT_MS	     2000 /* the last echo is waited for that long */
#define PING_SIZE_MAX	     1024 /* bytes of padding */

/* struct ping - one command; an echo's cookie is @cookie + its sequence number */
struct ping {
	struct ask *call;
	struct worker *w;
	struct resolve_wait *wait;
	unsigned int typed; /* which of the names that it may be */
	char fqdn[FQDN_MAX + 1];
	struct loop_timer *timer;
	unsigned int count, interval_ms, size, sent, received;
	uint64_t cookie, sent_ns[16];
	uint64_t min_ns, max_ns, sum_ns;
	bool answered, started;
	struct ping *next;
};

static void ping_free(struct ping *g)
{
	struct ping **at = &g->w->pings;

	while (*at && *at != g)
		at = &(*at)->next;
	if (*at)
		*at = g->next;
	if (!g->w->pings)
		g->w->echo_fn = NULL;
	loop_timer_free(g->timer);
	free(g);
}

static void ping_gone(void *arg)
{
	struct ping *g = arg;

	if (g->wait)
		resolve_cancel(g->wait);
	ask_answer(g->call, NULL);
	ping_free(g);
}

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void ping_end(struct ping *g)
{
	struct ask *call = g->call;
	const struct peer *p = peers_find(g->w->peers, g->fqdn);
	const struct candidate *c = p ? path_current(p) : NULL;
	char path[ADDR_TEXT_LEN] = "";
	json_t *answer;

	if (c)
		addr_format(&c->addr, path);
	answer = json_pack("{s:i, s:i, s:f, s:f, s:f, s:s}", "sent",
			   (int)g->sent, "received", (int)g->received, "min_ms",
			   ms(g->min_ns), "avg_ms",
			   g->received ? ms(g->sum_ns / g->received) : 0.0,
			   "max_ms", ms(g->max_ns), "path", path);
	ask_on_gone(call, NULL, NULL);
	ping_free(g);
	ask_answer(call, answer);
}

static void ping_send(struct ping *g)
{
	static uint8_t zeros[PING_SIZE_MAX];
	Ntm__TunnelControl msg = NTM__TUNNEL_CONTROL__INIT;
	Ntm__Echo e = NTM__ECHO__INIT;
	struct peer *p = peers_find(g->w->peers, g->fqdn);

	e.cookie = g->cookie + g->sent;
	e.padding.data = zeros;
	e.padding.len = g->size;
	msg.body_case = NTM__TUNNEL_CONTROL__BODY_ECHO;
	msg.echo = &e;
	g->sent_ns[g->sent % 16] = loop_now_exact(g->w->loop);
	g->sent++;
	if (p && peer_control_send(p, &msg, NULL))
		return; /* counted as lost */
}

static void ping_due(void *arg)
{
	struct ping *g = arg;

	if (g->sent == g->count) {
		ping_end(g);
		return;
	}
	ping_send(g);
	loop_timer_arm(g->timer, LOOP_MS(g->sent == g->count ? PING_LIMIT_MS
							     : g->interval_ms));
}

static void ping_echo(struct worker *w, uint64_t cookie)
{
	uint64_t now = loop_now_exact(w->loop), rtt;
	struct ping *g = w->pings;
	char text[64];

	while (g && cookie - g->cookie >= g->sent)
		g = g->next;
	if (!g || g->sent - (cookie - g->cookie) > 16)
		return;
	rtt = now - g->sent_ns[(cookie - g->cookie) % 16];
	g->received++;
	g->sum_ns += rtt;
	if (!g->min_ns || rtt < g->min_ns)
		g->min_ns = rtt;
	if (rtt > g->max_ns)
		g->max_ns = rtt;
	snprintf(text, sizeof(text), "echo %u from the peer: %.2f ms",
		 (unsigned int)(cookie - g->cookie) + 1, ms(rtt));
	if (g->received == g->count)
		loop_timer_arm(g->timer, 0);
	/* last: where the asker has gone, @g goes, too */
	ask_progress(g->call, json_pack("{s:s, s:i, s:f}", "progress", text,
					"seq", (int)(cookie - g->cookie) + 1,
					"rtt_ms", ms(rtt)));
}

static bool ping_resolve(struct ping *g);

static void ping_resolved(void *arg, int err, struct peer *p)
{
	struct ping *g = arg;
	struct ask *call = g->call;

	g->wait = NULL;
	if (err == NTM_ENONAME && ping_resolve(g))
		return;
	if (err) {
		ask_on_gone(call, NULL, NULL);
		ping_free(g);
		control_name_fail(call, err);
		return;
	}
	snprintf(g->fqdn, sizeof(g->fqdn), "%s", p->fqdn);
	g->started = true;
	loop_timer_arm(g->timer, 0);
}

/* the next of the names that it may be; false: there is none. @g may be gone then */
static bool ping_resolve(struct ping *g)
{
	struct worker *w = g->w;
	struct resolve_wait *wait;
	char name[FQDN_MAX + 1];

	if (!resolve_typed(w, ask_text(g->call, "name"), g->typed, name))
		return false;
	g->typed++;
	resolve_name(w->resolve, name, ping_resolved, g, &wait);
	if (wait)
		g->wait = wait;
	return true;
}

static unsigned int number(struct ask *call, const char *key, unsigned int dflt,
			   unsigned int min, unsigned int max)
{
	json_int_t n =
		json_integer_value(json_object_get(ask_request(call), key));

	if (n <= 0)
		return dflt;
	if (n < min)
		return min;
	return n > max ? max : (unsigned int)n;
}

void control_ping(struct ask *call)
{
	struct worker *w = control_worker(call);
	struct ping *g = calloc(1, sizeof(*g));

	if (!g || loop_timer_new(w->loop, ping_due, g, &g->timer)) {
		free(g);
		ask_fail(call, NTM_ENOMEM, NULL);
		return;
	}
	g->call = call;
	g->w = w;
	g->count = number(call, "count", PING_COUNT, 1, UINT32_MAX);
	g->interval_ms = number(call, "interval_ms", PING_INTERVAL_MS,
				PING_INTERVAL_MIN_MS, 3600000);
	g->size = number(call, "size", 0, 0, PING_SIZE_MAX);
	ntmc_random(&w->env->crypto, &g->cookie, sizeof(g->cookie));
	g->next = w->pings;
	w->pings = g;
	w->echo_fn = ping_echo;
	ask_on_gone(call, ping_gone, g);
	if (!ping_resolve(g))
		ping_resolved(
			g, w->account->logged_in ? NTM_ENOTOURS : NTM_ENOLOGIN,
			NULL);
}
