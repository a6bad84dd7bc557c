/* SPDX-License-Identifier: MIT */
/* role - what the supervisor knows about each role, and a role's own process */
#include "servers/role.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/adminsock.h"
#include "servers/as/as.h"
#include "servers/box/box.h"
#include "servers/cs/cs.h"
#include "servers/gms/gms.h"
#include "servers/dc/dc.h"
#include "servers/dns/dns.h"
#include "servers/exitrole.h"
#include "servers/gate/gate.h"
#include "servers/isolate.h"
#include "servers/ns/ns.h"
#include "servers/push/push.h"
#include "servers/resolver/resolver.h"
#include "servers/rs/rs.h"

unsigned int role_want_descriptors(const char *role, unsigned int n,
				   const char *what)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur >= n)
		return n;
	l.rlim_cur = l.rlim_max < n ? l.rlim_max : n;
	if (setrlimit(RLIMIT_NOFILE, &l) && getrlimit(RLIMIT_NOFILE, &l))
		return n;
	if (l.rlim_cur < n)
		log_warn(role,
			 "only %llu files may be open here, too few for %s: "
			 "raise the limit (LimitNOFILE of the unit, `ulimit "
			 "-Hn`) to %u",
			 (unsigned long long)l.rlim_cur, what, n);
	return l.rlim_cur < n ? (unsigned int)l.rlim_cur : n;
}

/* --- the roles there are --------------------------------------------------------- */

static const char *as_listens(const struct server_conf *c, uint16_t *port)
{
	*port = (uint16_t)c->as_port;
	return c->as_listen;
}

static int as_start(const struct role_env *env, void **state)
{
	return as_new(env, (struct as **)state);
}

static void as_stop(void *state)
{
	as_free(state);
}

static void as_reread(void *state, const struct server_conf *c)
{
	as_reload(state, c);
}

static bool as_restarts(const void *state)
{
	return as_wants_restart(state);
}

static json_t *as_asked(void *state, const char *command, json_t *request)
{
	return as_admin(state, command, request);
}

static const char *dc_listens(const struct server_conf *c, uint16_t *port)
{
	*port = (uint16_t)c->dc_port;
	return c->dc_listen;
}

static int dc_start(const struct role_env *env, void **state)
{
	return dc_new(env, (struct dc **)state);
}

static void dc_stop(void *state)
{
	dc_free(state);
}

static void dc_reread(void *state, const struct server_conf *c)
{
	dc_reload(state, c);
}

static bool dc_restarts(const void *state)
{
	return dc_wants_restart(state);
}

static json_t *dc_asked(void *state, const char *command, json_t *request)
{
	return dc_admin(state, command, request);
}

static bool dns_wanted(const struct server_conf *c)
{
	return c->dns_enable;
}

static const char *dns_listens(const struct server_conf *c, uint16_t *port)
{
	*port = (uint16_t)c->dns_port;
	return c->dns_listen;
}

static int dns_start(const struct role_env *env, void **state)
{
	return dns_new(env, (struct dns **)state);
}

static void dns_stop(void *state)
{
	dns_free(state);
}

static json_t *dns_asked(void *state, const char *command, json_t *request)
{
	return dns_admin(state, command, request);
}

static const char *rs_listens(const struct server_conf *c, uint16_t *port)
{
	*port = (uint16_t)c->rs_port;
	return c->rs_listen;
}

static uint16_t rs_other_port(const struct server_conf *c)
{
	return (uint16_t)c->rs_other_port;
}

static const char *exit_listens(const struct server_conf *c, uint16_t *port)
{
	*port = (uint16_t)c->exit_port;
	return c->exit_listen;
}

static int rs_start(const struct role_env *env, void **state)
{
	return rs_new(env, (struct rs **)state);
}

static void rs_stop(void *state)
{
	rs_free(state);
}

static void rs_reread(void *state, const struct server_conf *c)
{
	rs_reload(state, c);
}

static json_t *rs_asked(void *state, const char *command, json_t *request)
{
	return rs_admin(state, command, request);
}

static bool gate_wanted(const struct server_conf *c)
{
	return c->rs_tls_port != 0;
}

static const char *gate_listens(const struct server_conf *c, uint16_t *port)
{
	*port = (uint16_t)c->rs_tls_port;
	return c->rs_listen;
}

static int gate_start(const struct role_env *env, void **state)
{
	return gate_new(env, (struct gate **)state);
}

static void gate_stop(void *state)
{
	gate_free(state);
}

static json_t *gate_asked(void *state, const char *command, json_t *request)
{
	return gate_admin(state, command, request);
}

static const char *ns_listens(const struct server_conf *c, uint16_t *port)
{
	*port = (uint16_t)c->ns_port;
	return c->ns_listen;
}

static int ns_start(const struct role_env *env, void **state)
{
	return ns_new(env, (struct ns **)state);
}

static void ns_stop(void *state)
{
	ns_free(state);
}

static void ns_reread(void *state, const struct server_conf *c)
{
	ns_reload(state, c);
}

static json_t *ns_asked(void *state, const char *command, json_t *request)
{
	return ns_admin(state, command, request);
}

static const char *gms_listens(const struct server_conf *c, uint16_t *port)
{
	*port = (uint16_t)c->gms_port;
	return c->gms_listen;
}

static int gms_start(const struct role_env *env, void **state)
{
	return gms_new(env, (struct gms **)state);
}

static void gms_stop(void *state)
{
	gms_free(state);
}

static json_t *gms_asked(void *state, const char *command, json_t *request)
{
	return gms_admin(state, command, request);
}

static bool box_wanted(const struct server_conf *c)
{
	return c->box_port != 0;
}

static const char *box_listens(const struct server_conf *c, uint16_t *port)
{
	*port = (uint16_t)c->box_port;
	return c->box_listen;
}

static int box_start(const struct role_env *env, void **state)
{
	return box_new(env, (struct box **)state);
}

static void box_stop(void *state)
{
	box_free(state);
}

static void box_reread(void *state, const struct server_conf *c)
{
	box_reload(state, c);
}

static bool box_restarts(const void *state)
{
	return box_wants_restart(state);
}

static json_t *box_asked(void *state, const char *command, json_t *request)
{
	return box_admin(state, command, request);
}

static const char *cs_listens(const struct server_conf *c, uint16_t *port)
{
	*port = (uint16_t)c->cs_port;
	return c->cs_listen;
}

static int cs_start(const struct role_env *env, void **state)
{
	return cs_new(env, (struct cs **)state);
}

static void cs_stop(void *state)
{
	cs_free(state);
}

static void cs_reread(void *state, const struct server_conf *c)
{
	cs_reload(state, c);
}

static bool cs_restarts(const void *state)
{
	return cs_wants_restart(state);
}

static json_t *cs_asked(void *state, const char *command, json_t *request)
{
	return cs_admin(state, command, request);
}

static int push_start(const struct role_env *env, void **state)
{
	return push_new(env, (struct push **)state);
}

static void push_stop(void *state)
{
	push_free(state);
}

static json_t *push_asked(void *state, const char *command, json_t *request)
{
	return push_admin(state, command, request);
}

static int resolver_start(const struct role_env *env, void **state)
{
	return resolver_new(env, (struct resolver **)state);
}

static void resolver_stop(void *state)
{
	resolver_free(state);
}

static json_t *resolver_asked(void *state, const char *command, json_t *request)
{
	return resolver_admin(state, command, request);
}

/* A role that is built gets its row here.
 * The DC starts before AS, RS and NS, which look for it. */
const struct role role_table[] = {
	{.name = "dc",
	 .configured = true,
	 .flags = ROLE_TCP | ROLE_UDP | ROLE_PAIR,
	 .listens = dc_listens,
	 .start = dc_start,
	 .stop = dc_stop,
	 .reload = dc_reread,
	 .restarts = dc_restarts,
	 .admin = dc_asked},
	{.name = "as",
	 .configured = true,
	 .flags = ROLE_TCP,
	 .listens = as_listens,
	 .start = as_start,
	 .stop = as_stop,
	 .reload = as_reread,
	 .restarts = as_restarts,
	 .admin = as_asked},
	{.name = "rs",
	 .configured = true,
	 .flags = ROLE_UDP,
	 .listens = rs_listens,
	 .copies = rs_threads,
	 .other_port = rs_other_port,
	 .start = rs_start,
	 .stop = rs_stop,
	 .reload = rs_reread,
	 .admin = rs_asked},
	{.name = "exit",
	 .configured = true,
	 .flags = ROLE_UDP,
	 .listens = exit_listens,
	 .exec = exitrole_exec},
	{.name = "gate",
	 .parent = "rs",
	 .flags = ROLE_TCP | ROLE_SPARED,
	 .wanted = gate_wanted,
	 .listens = gate_listens,
	 .start = gate_start,
	 .stop = gate_stop,
	 .admin = gate_asked},
	{.name = "ns",
	 .configured = true,
	 .flags = ROLE_TCP,
	 .listens = ns_listens,
	 .start = ns_start,
	 .stop = ns_stop,
	 .reload = ns_reread,
	 .admin = ns_asked},
	{.name = "box",
	 .parent = "dc",
	 .flags = ROLE_TCP | ROLE_SPARED,
	 .wanted = box_wanted,
	 .listens = box_listens,
	 .start = box_start,
	 .stop = box_stop,
	 .reload = box_reread,
	 .restarts = box_restarts,
	 .admin = box_asked},
	{.name = "cs",
	 .configured = true,
	 .flags = ROLE_TCP | ROLE_SPARED,
	 .listens = cs_listens,
	 .start = cs_start,
	 .stop = cs_stop,
	 .reload = cs_reread,
	 .restarts = cs_restarts,
	 .admin = cs_asked},
	{.name = "gms",
	 .configured = true,
	 .flags = ROLE_TCP | ROLE_SPARED,
	 .listens = gms_listens,
	 .start = gms_start,
	 .stop = gms_stop,
	 .admin = gms_asked},
	{.name = "push",
	 .parent = "dc",
	 .wanted = push_wanted,
	 .start = push_start,
	 .stop = push_stop,
	 .admin = push_asked},
	{.name = "resolver",
	 .parent = "dc",
	 .flags = ROLE_PAIR | ROLE_SEALS,
	 .start = resolver_start,
	 .stop = resolver_stop,
	 .admin = resolver_asked},
	{.name = "dns",
	 .parent = "dc",
	 .wanted = dns_wanted,
	 .flags = ROLE_TCP | ROLE_UDP | ROLE_SEALED,
	 .listens = dns_listens,
	 .start = dns_start,
	 .stop = dns_stop,
	 .admin = dns_asked},
	{.name = NULL},
};

const struct role *role_find(const char *name)
{
	for (const struct role *r = role_table; r->name; r++)
		if (!strcmp(r->name, name))
			return r;
	return NULL;
}

bool role_is_wanted(const struct role *r, const struct server_conf *c)
{
	if (!r->parent)
		return serverconf_has_role(c->roles, r->name);
	return (!r->wanted || r->wanted(c)) &&
	       serverconf_has_role(c->roles, r->parent);
}

/* --- a role's process -------------------------------------------------------------- */

struct process {
	const struct role *role;
	struct role_env env;
	const char *conf_path;
	struct server_conf *conf, *old_conf;
	void *state;
	struct loop_signal *term, *interrupt, *hangup;
	struct adminsock *admin;
};

static void process_stop(void *arg)
{
	struct process *p = arg;

	loop_stop(p->env.loop);
}

/* sockets and folder stay as they are until the next start; the rest is read */
static void process_reload(void *arg)
{
	struct process *p = arg;
	char error[SERVERCONF_ERROR_LEN];
	struct server_conf *c;
	enum log_level level;

	if (p->role->flags & (ROLE_SEALED | ROLE_SEALS))
		return; /* it can open no file */
	c = calloc(1, sizeof(*c));
	if (!c || serverconf_load(p->conf_path, c, error)) {
		log_err(p->role->name, "configuration not reloaded: %s",
			c ? error : "out of memory");
		free(c);
		return;
	}
	if (log_level_parse(c->log_level, &level))
		log_set_level(level);
	if (p->role->reload)
		p->role->reload(p->state, c);
	if (p->old_conf) {
		serverconf_clear(p->old_conf);
		free(p->old_conf);
	}
	p->old_conf = c;
	log_info(p->role->name, "configuration reloaded");
}

static json_t *process_asked(void *arg, const char *command, json_t *request)
{
	struct process *p = arg;

	return p->role->admin(p->state, command, request);
}

static int process_open(struct process *p)
{
	struct loop *l = p->env.loop;
	int r = p->role->start(&p->env, &p->state);

	if (!r)
		r = loop_signal_add(l, SIGTERM, process_stop, p, &p->term);
	if (!r)
		r = loop_signal_add(l, SIGINT, process_stop, p, &p->interrupt);
	if (!r)
		r = loop_signal_add(l, SIGHUP, process_reload, p, &p->hangup);
	if (!r)
		r = adminsock_new(l, p->env.sockets.admin, process_asked, p,
				  &p->admin);
	if (!r && p->role->flags & ROLE_SEALED)
		r = isolate_seal();
	return r;
}

static void process_close(struct process *p)
{
	adminsock_free(p->admin);
	loop_signal_del(p->hangup);
	loop_signal_del(p->interrupt);
	loop_signal_del(p->term);
	if (p->state)
		p->role->stop(p->state);
	loop_free(p->env.loop);
	if (p->old_conf)
		serverconf_clear(p->old_conf);
	free(p->old_conf);
}

int role_main(const struct role *r, const char *dir, const char *conf_path,
	      struct server_conf *conf, const struct role_sockets *sockets)
{
	struct process p = {.role = r, .conf_path = conf_path, .conf = conf};
	bool restart = false;
	int err;

	prctl(PR_SET_NAME, r->name);
	err = isolate_user(dir);
	if (!err && r->exec)
		return r->exec(dir, conf, sockets);
	if (!err)
		err = isolate_syscalls(r->name);
	if (err) {
		log_err(r->name, "cannot be isolated: %s", err_text(err));
		return EXIT_FAILURE;
	}
	p.env.dir = dir;
	p.env.conf = conf;
	p.env.sockets = *sockets;
	err = loop_new(&p.env.loop);
	if (err)
		return EXIT_FAILURE;
	err = process_open(&p);
	if (!err) {
		log_info(r->name, "running");
		err = loop_run(p.env.loop);
	}
	if (!err && r->restarts)
		restart = r->restarts(p.state);
	process_close(&p);
	if (restart)
		return ROLE_EXIT_RESTART;
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
