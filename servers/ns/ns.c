/* SPDX-License-Identifier: MIT */
/* ns - the Notification Server: start, stop, accept, clock, admin */
#include "servers/ns/ns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/acceptor.h"
#include "common/log.h"
#include "servers/ns/state.h"

#define DESCRIPTORS 128 /* beside the nodes' */
#define DAILY_S	    86400
#define CERT_LOOK_S 3600

/* --- accept ---------------------------------------------------------------------- */

static void comes(void *arg, int fd, const struct addr *from)
{
	if (from)
		guest_new(arg, fd, from);
	else
		close(fd);
}

/* --- clock ------------------------------------------------------------------------- */

/* Without a restart, which would end every connection: only the links begin anew. The
 * certificate before goes with the next one; its channels have ended by then. */
void ns_look_at_certificate(struct ns *ns)
{
	struct servercert fresh;

	for (unsigned int i = 0; i < ns->n_links; i++)
		ns_link_renew(ns->links[i]);
	if (!servercert_is_stale(ns->env->dir, "ns", &ns->cert))
		return;
	if (servercert_load(ns->env->dir, "ns", &fresh)) {
		log_err("ns", "the new certificate cannot be used");
		return;
	}
	log_info("ns", "new server certificate");
	servercert_clear(&ns->cert_before);
	ns->cert_before = ns->cert;
	ns->cert = fresh;
	for (unsigned int i = 0; i < ns->n_links; i++)
		ns_link_certificate(ns->links[i]);
}

static void tick(void *arg)
{
	struct ns *ns = arg;

	guests_sweep(ns);
	if (ns_now_s(ns) >= ns->look_s) {
		ns->look_s = ns_now_s(ns) + CERT_LOOK_S;
		ns_look_at_certificate(ns);
	}
	loop_timer_arm(ns->clock, LOOP_S(1) / NS_SLICES);
}

/* --- start ------------------------------------------------------------------------- */

static int open_links(struct ns *ns)
{
	const struct server_conf *c = ns->conf;
	struct server_ways dcs[SERVERCONF_ADDRESSES_MAX];
	int n = serverconf_ways(c->ns_dc, (uint16_t)c->dc_port, dcs), r = 0;

	if (n < 0)
		return -NTM_ECONF;
	if (!n) {
		r = serverconf_own_dc(c, &dcs[0].a[0]);
		dcs[0].n = 1;
		n = 1;
	}
	for (int i = 0; !r && i < n; i++) {
		r = ns_link_new(ns, (unsigned int)i, &dcs[i], &ns->links[i]);
		ns->n_links += !r;
	}
	return r;
}

/* A descriptor a node. What is left is what the DC is told. */
static void make_room(struct ns *ns)
{
	unsigned int wanted = ns->conf->ns_connections,
		     want = wanted + NS_STRANGERS + DESCRIPTORS,
		     have = role_want_descriptors(
			     "ns", want, "the nodes of ns.connections");

	ns->room = wanted;
	ns->strangers_max = NS_STRANGERS;
	if (have >= want)
		return;
	have = have < 2 * DESCRIPTORS ? DESCRIPTORS : have - DESCRIPTORS;
	if (have / 4 < ns->strangers_max)
		ns->strangers_max = have / 4;
	ns->room = have - ns->strangers_max;
	if (ns->room > wanted)
		ns->room = wanted;
	log_warn("ns", "room for %u nodes, not %u", ns->room, wanted);
}

static int ns_open(struct ns *ns)
{
	const struct role_sockets *s = &ns->env->sockets;
	int r = servercert_load(ns->env->dir, "ns", &ns->cert);

	make_room(ns);
	if (!r)
		r = guests_init(ns);
	if (!r)
		r = loop_timer_new(ns->loop, tick, ns, &ns->clock);
	if (!r)
		r = acceptor_new(ns->loop, "ns", comes, ns, &ns->acceptor);
	if (!r)
		r = open_links(ns);
	for (size_t i = 0; !r && i < s->n_tcp; i++)
		r = acceptor_add(ns->acceptor, s->tcp[i]);
	return r;
}

int ns_new(const struct role_env *env, struct ns **out)
{
	struct ns *ns = calloc(1, sizeof(*ns));
	int r;

	if (!ns)
		return -NTM_ENOMEM;
	ns->env = env;
	ns->loop = env->loop;
	ns->conf = env->conf;
	ns->start_s = (uint32_t)(loop_now(ns->loop) / 1000000000u);
	r = ns_open(ns);
	if (r) {
		log_err("ns", "cannot start: %s", err_text(r));
		ns_free(ns);
		return r;
	}
	loop_timer_arm(ns->clock, LOOP_S(1) / NS_SLICES);
	*out = ns;
	return 0;
}

/* deferred behind the ends of the channels, which use the certificate */
static void ns_destroy(void *arg)
{
	struct ns *ns = arg;

	servercert_clear(&ns->cert);
	servercert_clear(&ns->cert_before);
	free(ns);
}

void ns_free(struct ns *ns)
{
	if (!ns)
		return;
	acceptor_free(ns->acceptor);
	for (unsigned int i = 0; i < ns->n_links; i++)
		ns_link_free(ns->links[i]);
	guests_clear(ns);
	loop_timer_free(ns->clock);
	ns->destroy = (struct loop_task){.fn = ns_destroy, .arg = ns};
	loop_defer_task(ns->loop, &ns->destroy);
}

void ns_reload(struct ns *ns, const struct server_conf *conf)
{
	ns->conf = conf;
}

json_t *ns_admin(struct ns *ns, const char *command, json_t *request)
{
	const struct ns_stats *s = &ns->stats;
	unsigned int up = 0;

	(void)request;
	if (strcmp(command, "status"))
		return NULL;
	for (unsigned int i = 0; i < ns->n_links; i++)
		up += ns_link_is_up(ns->links[i]);
#define N(x) (json_int_t)(x)
	return json_pack(
		"{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
		" s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"ok", 1, "links", N(ns->n_links), "links_up", N(up), "nodes",
		N(ns->n_here), "strangers", N(ns->n_new), "connections_max",
		N(ns->room), "connection_bytes", N(sizeof(struct guest)),
		"accepted", N(s->accepted), "refused", N(s->refused), "evicted",
		N(s->evicted), "dropped", N(s->dropped), "registered",
		N(s->registered), "unknown", N(s->unknown), "bad", N(s->bad),
		"silent", N(s->silent), "keepalives", N(s->keepalives),
		"notified", N(s->notified), "absent", N(s->absent),
		"certificate_days",
		N((ns->cert.not_after - loop_wall(ns->loop)) / DAILY_S));
#undef N
}
