/* SPDX-License-Identifier: MIT */
/* as - the Account Server: sockets, connections, start and stop */
#include "servers/as/as.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/as/admin.h"
#include "servers/as/groupmanagers.h"
#include "servers/as/state.h"
#include "servers/as/subscribers.h"
#include "servers/datadir.h"
#include "servers/enrol.h"
#include "servers/servercert.h"

#define ACCOUNT_WAIT_MAX_S 60 /* short: a stranger can cause it */
#define SOURCE_WAIT_MAX_S  600
#define DAILY_S		   86400

static void source_of(const struct sockaddr_storage *ss,
		      uint8_t out[AS_SOURCE_LEN])
{
	struct addr a;
	const uint8_t *ip;
	size_t len;

	memset(out, 0, AS_SOURCE_LEN);
	if (addr_from_sockaddr((const struct sockaddr *)ss, sizeof(*ss), &a))
		return;
	ip = addr_ip(&a, &len);
	/* one customer has a /64: its 2^64 addresses are one source */
	memcpy(out, ip, len == 16 ? 8 : len);
	out[AS_SOURCE_LEN - 1] = (uint8_t)len;
}

static struct as_conn *conn_find(struct as *as, struct channel *c)
{
	struct as_conn *conn;

	HASH_FIND_PTR(as->conns, &c, conn);
	return conn;
}

static void conn_open(struct channel *c, void *arg)
{
	struct as *as = arg;
	struct as_conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		channel_close(c);
		return;
	}
	conn->as = as;
	conn->channel = c;
	source_of(channel_remote(c), conn->source);
	HASH_ADD_PTR(as->conns, channel, conn);
}

static void conn_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct as_conn *conn = conn_find(arg, c);

	if (conn)
		request_start(conn, msg);
}

static void conn_closed(struct channel *c, int err, void *arg)
{
	struct as *as = arg;
	struct as_conn *conn = conn_find(as, c);

	if (!conn) {
		log_debug("as", "handshake failed: %s", err_text(err));
		return;
	}
	if (conn->busy)
		request_orphan(conn->busy);
	HASH_DEL(as->conns, conn);
	free(conn);
}

static const struct channel_ops conn_ops = {
	.open = conn_open,
	.message = conn_message,
	.closed = conn_closed,
};

static void as_daily(void *arg)
{
	struct as *as = arg;
	bool renewed = false;
	int r = servercert_renew(as->env->dir, as->ca, as->conf->domain,
				 loop_wall(as->loop), false, &renewed);

	if (r)
		log_err("as", "server certificates: %s", err_text(r));
	if (renewed) {
		log_info("as", "server certificates renewed");
		as->restart = true;
		loop_stop(as->loop);
	}
	loop_timer_arm(as->daily, LOOP_S(DAILY_S));
}

static int open_ca(struct as *as)
{
	char key[DATADIR_PATH_MAX], cert[DATADIR_PATH_MAX];
	int r = datadir_file(as->env->dir, DATADIR_CA_KEY, key);

	if (!r)
		r = datadir_file(as->env->dir, DATADIR_CA_CERT, cert);
	if (!r)
		r = ntmc_ca_load(key, cert, &as->ca);
	as->ca_len = sizeof(as->ca_der);
	if (!r)
		r = ntmc_ca_der(as->ca, as->ca_der, &as->ca_len);
	if (!r)
		r = servercert_renew(as->env->dir, as->ca, as->conf->domain,
				     loop_wall(as->loop), false, NULL);
	if (!r)
		r = servercert_load(as->env->dir, "as", &as->cert);
	if (!r)
		tls_context_set_grace(as->cert.tls, as->conf->as_renew_grace);
	if (!r && strcmp(as->cert.domain.domain, as->conf->domain)) {
		log_err("as", "the CA is for %s, the configuration for %s",
			as->cert.domain.domain, as->conf->domain);
		r = -NTM_ECONF;
	}
	return r;
}

/* the DC's server port: configured, or where this machine's DC listens */
static int dc_addr(const struct server_conf *c, struct addr *out)
{
	struct addr a[SERVERCONF_ADDRESSES_MAX];
	size_t len;
	const uint8_t *ip;
	int n;

	if (c->as_dc)
		return addr_parse(c->as_dc, (uint16_t)c->dc_port, out);
	n = serverconf_addresses(c->dc_listen, (uint16_t)c->dc_port, a);
	if (n < 1)
		return -NTM_ECONF;
	*out = a[0];
	ip = addr_ip(out, &len);
	for (size_t i = 0; i < len; i++)
		if (ip[i])
			return 0;
	return addr_parse(len == 4 ? "127.0.0.1" : "::1", addr_port(out), out);
}

/* a relay, an NS or a CS elsewhere */
int as_renew_server(void *arg, const Ntm__CertificateRequest *q, uint8_t *der,
		    size_t *len)
{
	struct as *as = arg;
	int r = enrol_renew(as->env->dir, as->ca, as->cert.trust,
			    &q->certificate, loop_wall(as->loop), der, len);

	if (!r)
		log_info("as", "a server's certificate was renewed");
	else
		log_warn("as", "a server's certificate is not renewed: %s",
			 err_text(r));
	return r;
}

static int as_open(struct as *as)
{
	char db[DATADIR_PATH_MAX];
	struct addr dc;
	int r = open_ca(as);

	if (!r)
		r = datadir_file(as->env->dir, DATADIR_AS_DB, db);
	if (!r)
		r = accounts_open(db, &as->accounts);
	if (!r)
		r = groupmanagers_load(as);
	if (!r)
		r = limiter_new(ACCOUNT_WAIT_MAX_S, &as->by_account);
	if (!r)
		r = limiter_new(SOURCE_WAIT_MAX_S, &as->by_source);
	if (!r)
		r = hasher_new(as->loop, &as->hasher);
	if (!r)
		r = dc_addr(as->conf, &dc);
	if (!r)
		r = dclink_new(as->loop, &dc, as->cert.tls, as->accounts,
			       as_renew_server, as, &as->dclink);
	if (!r)
		r = loop_timer_new(as->loop, as_daily, as, &as->daily);
	return r;
}

int as_new(const struct role_env *env, struct as **out)
{
	const struct role_sockets *s = &env->sockets;
	struct as *as = calloc(1, sizeof(*as));
	int r;

	if (!as)
		return -NTM_ENOMEM;
	as->env = env;
	as->loop = env->loop;
	as->conf = env->conf;
	as->refused_log = (struct log_limit){.burst = 30, .per_s = 60};
	r = as_open(as);
	for (size_t i = 0; !r && i < s->n_tcp; i++)
		r = channel_listen_take(as->loop, as->cert.tls, s->tcp[i],
					&conn_ops, as, &as->listeners[i]);
	if (r) {
		log_err("as", "cannot start: %s", err_text(r));
		as_free(as);
		return r;
	}
	loop_timer_arm(as->daily, LOOP_S(DAILY_S));
	*out = as;
	return 0;
}

/* deferred behind the ends of all channels, which look for their connection */
static void as_destroy(void *arg)
{
	struct as *as = arg;

	limiter_free(as->by_account);
	limiter_free(as->by_source);
	accounts_close(as->accounts);
	groupmanagers_free(as);
	servercert_clear(&as->cert);
	ntmc_ca_free(as->ca);
	free(as);
}

void as_free(struct as *as)
{
	if (!as)
		return;
	for (size_t i = 0; i < ROLE_SOCKETS_MAX; i++)
		if (as->listeners[i])
			channel_listener_close(as->listeners[i]);
	hasher_free(as->hasher);
	dclink_free(as->dclink);
	requests_free(as);
	loop_timer_free(as->daily);
	as->destroy = (struct loop_task){.fn = as_destroy, .arg = as};
	loop_defer_task(as->loop, &as->destroy);
}

void as_reload(struct as *as, const struct server_conf *conf)
{
	as->conf = conf;
	tls_context_set_grace(as->cert.tls, conf->as_renew_grace);
}

bool as_wants_restart(const struct as *as)
{
	return as->restart;
}

static json_t *as_status(struct as *as)
{
	return json_pack("{s:b, s:s, s:b, s:i, s:I, s:I, s:I, s:I}", "ok", 1,
			 "domain", as->conf->domain, "dc_link",
			 dclink_is_up(as->dclink), "connections",
			 (int)HASH_COUNT(as->conns), "logins",
			 (json_int_t)as->stats.logins, "renewals",
			 (json_int_t)as->stats.renewals, "refused",
			 (json_int_t)as->stats.refused, "rate_limited",
			 (json_int_t)as->stats.rate_limited);
}

json_t *as_admin(struct as *as, const char *command, json_t *request)
{
	bool withdraw = false;
	struct subscribers_names *names;
	json_t *answer;

	if (!strcmp(command, "status"))
		return as_status(as);
	if (!strcmp(command, "removed"))
		return json_pack("{s:b, s:i}", "ok", 1, "ended",
				 (int)subscribers_end_removed(as));
	/* before: who is deleted has no name afterwards */
	names = subscribers_gather(
		as, command,
		json_string_value(json_object_get(request, "name")));
	answer = admin_do(as->accounts, command, request, loop_wall(as->loop),
			  &withdraw);
	if (answer && strcmp(command, "account-list") &&
	    strcmp(command, "device-list"))
		log_info("admin", "%s %s: %s", command,
			 json_string_value(json_object_get(request, "name")),
			 json_is_true(json_object_get(answer, "ok"))
				 ? "done"
				 : json_string_value(
					   json_object_get(answer, "error")));
	if (withdraw)
		dclink_withdraw(as->dclink);
	subscribers_tell(as, names);
	return answer;
}
