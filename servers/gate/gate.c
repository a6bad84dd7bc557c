/* SPDX-License-Identifier: MIT */
/* gate - TLS for nodes whose network passes no UDP: start, stop, certificate, admin */
#include "servers/gate/gate.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/gate/state.h"
#include "servers/rs/rs.h"

#define HOUR_S		  3600
#define DESCRIPTORS_NODE  (1 + GATE_SIDES) /* its stream, its sockets */
#define DESCRIPTORS_OTHER 64

/* --- whom it leads to ---------------------------------------------------------------- */

/* the relay beside us: where it listens, by loopback where that is everywhere */
static int find_relay(struct gate *g)
{
	const struct server_conf *c = g->env->conf;
	struct addr list[SERVERCONF_ADDRESSES_MAX];
	int n = serverconf_addresses(c->rs_listen, (uint16_t)c->rs_port, list);

	if (n < 1)
		return -NTM_ECONF;
	g->relay = list[0];
	return serverconf_reachable(&g->relay);
}

static int find_dcs(struct gate *g)
{
	struct server_ways dcs[SERVERCONF_ADDRESSES_MAX];
	int n = rs_dcs(g->env->conf, dcs);

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < dcs[i].n && g->n_dc < GATE_WAYS_MAX; k++)
			g->dc[g->n_dc++] = dcs[i].a[k];
	return g->n_dc ? 0 : -NTM_ECONF;
}

/* AS and GMS, where they are on this machine: logins and groups may need the one open
 * port, too. By IPv4 if it has that (splice.c). */
static void find_beside(const struct server_conf *c, const char *role,
			const char *listen, uint16_t port, struct addr *out)
{
	struct addr list[SERVERCONF_ADDRESSES_MAX];
	int n;

	addr_clear(out);
	if (!serverconf_has_role(c->roles, role))
		return;
	n = serverconf_addresses(listen, port, list);
	if (n < 1)
		return;
	*out = list[0];
	for (int i = 0; i < n && out->sa.sa_family != AF_INET; i++)
		*out = list[i];
	if (out->sa.sa_family != AF_INET)
		*out = list[0];
	if (serverconf_reachable(out))
		addr_clear(out);
}

/* --- certificate ------------------------------------------------------------------------- */

/* Sessions keep the one they began with; the one before goes with the next. */
static void look_at_certificate(void *arg)
{
	struct gate *g = arg;
	struct servercert fresh;
	int r;

	loop_timer_arm(g->hourly, LOOP_S(HOUR_S));
	if (!servercert_is_stale(g->env->dir, "rs", &g->cert))
		return;
	r = servercert_load(g->env->dir, "rs", &fresh);
	if (r) {
		log_err("gate", "new certificate: %s", err_text(r));
		return;
	}
	log_info("gate", "new server certificate");
	servercert_clear(&g->cert_before);
	g->cert_before = g->cert;
	g->cert = fresh;
	for (size_t i = 0; i < g->n_listeners; i++)
		channel_listener_set_context(g->listeners[i], g->cert.tls);
}

/* --- start and stop ------------------------------------------------------------------ */

static int gate_open(struct gate *g)
{
	const struct role_sockets *s = &g->env->sockets;
	const struct server_conf *c = g->env->conf;
	int r = servercert_load(g->env->dir, "rs", &g->cert);

	role_want_descriptors("gate",
			      CHANNEL_SESSIONS_MAX * DESCRIPTORS_NODE +
				      DESCRIPTORS_OTHER,
			      "as many nodes as may come");
	keyhash_init(&g->sources);
	if (!r)
		r = find_relay(g);
	if (!r)
		r = find_dcs(g);
	find_beside(c, "as", c->as_listen, (uint16_t)c->as_port, &g->as);
	find_beside(c, "gms", c->gms_listen, (uint16_t)c->gms_port, &g->gms);
	if (!r)
		r = loop_timer_new(g->loop, look_at_certificate, g, &g->hourly);
	for (size_t i = 0; !r && i < s->n_tcp; i++) {
		r = channel_listen_take(g->loop, g->cert.tls, s->tcp[i],
					&client_ops, g, &g->listeners[i]);
		g->n_listeners += !r;
	}
	return r;
}

int gate_new(const struct role_env *env, struct gate **out)
{
	struct gate *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -NTM_ENOMEM;
	g->env = env;
	g->loop = env->loop;
	r = gate_open(g);
	if (r) {
		log_err("gate", "cannot start: %s", err_text(r));
		gate_free(g);
		return r;
	}
	loop_timer_arm(g->hourly, LOOP_S(HOUR_S));
	*out = g;
	return 0;
}

/* deferred behind the ends of the sessions, which use certificate and gate */
static void gate_destroy(void *arg)
{
	struct gate *g = arg;

	servercert_clear(&g->cert);
	servercert_clear(&g->cert_before);
	free(g);
}

void gate_free(struct gate *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n_listeners; i++)
		channel_listener_close(g->listeners[i]);
	loop_timer_free(g->hourly);
	g->destroy = (struct loop_task){.fn = gate_destroy, .arg = g};
	loop_defer_task(g->loop, &g->destroy);
}

/* --- admin ----------------------------------------------------------------------------- */

static void add_listeners(const struct gate *g, json_t *o)
{
	struct channel_listener_stats sum = {0}, one;

	for (size_t i = 0; i < g->n_listeners; i++) {
		channel_listener_stats(g->listeners[i], &one);
		sum.accepted += one.accepted;
		sum.refused_source += one.refused_source;
		sum.refused_total += one.refused_total;
		sum.evicted += one.evicted;
		sum.half_open += one.half_open;
		sum.sessions += one.sessions;
	}
#define SET(name, value)                                                       \
	json_object_set_new(o, name, json_integer((json_int_t)(value)))
	SET("accepted", sum.accepted);
	SET("over_source_limit", sum.refused_source);
	SET("over_limit", sum.refused_total);
	SET("evicted", sum.evicted);
	SET("sessions", sum.sessions);
	SET("half_open", sum.half_open);
}

json_t *gate_admin(struct gate *g, const char *command, json_t *request)
{
	json_t *o;

	(void)request;
	if (strcmp(command, "status"))
		return NULL;
	o = json_object();
	json_object_set_new(o, "ok", json_true());
	add_listeners(g, o);
	SET("nodes", g->n_clients);
	SET("refused", g->stats.refused);
	SET("logins", g->stats.logins);
	SET("groups", g->stats.groups);
	SET("replaced", g->stats.replaced);
	SET("in", g->stats.in);
	SET("in_bytes", g->stats.in_bytes);
	SET("out", g->stats.out);
	SET("out_bytes", g->stats.out_bytes);
	SET("malformed", g->stats.bad);
	SET("lost", g->stats.lost);
#undef SET
	return o;
}
