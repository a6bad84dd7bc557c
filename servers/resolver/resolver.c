/* SPDX-License-Identifier: MIT */
/*
 * resolver - asks DNS where the DCs of other domains are, and which CA speaks for them
 *
 * Theory of operation
 *
 *   warm up   libunbound opens root hints and anchors when it resolves its first name,
 *             so that is one that it knows by itself (localhost). Should: read files.
 *             Mustn't: have sent a packet.
 *   sealed    isolate_seal(), then the DC is told that we begin, and its questions are
 *             read. Mustn't: open anything but sockets to hosts.
 *
 * A find is a chain of questions, each asked when the one before is answered: TXT (if
 * somebody must vouch for the CA), SRV, then A and AAAA of its target beside each
 * other. Answers come in the loop: libunbound's thread writes to a pipe that the loop
 * reads. A find that takes longer than RESOLVER_FIND_S is given up.
 *
 * What comes is a stranger's: libunbound has checked its form, and by DNSSEC whether
 * it is forged; a fingerprint, a name, a number and addresses are what is taken from it
 * (records.c). Whoever breaks libunbound has this process: no key, no file, no other
 * process, and a DC that believes it what a false resolver could say, too: where another
 * DC is, which that one's CA proves, and, for domains that nobody added, which CA.
 */
#include "servers/resolver/resolver.h"

#include <arpa/nameser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unbound.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/isolate.h"
#include "servers/resolver/answer.h"
#include "servers/resolver/records.h"

#define QUESTIONS  2 /* beside each other */
#define ASKS_TURN  16
#define TICK_NS	   LOOP_S(1)
#define TYPE_AAAA  28
#define NAME_EXTRA 16 /* "_dc._ntm." */

/* struct question - one name and type; @of NULL: the place is free */
struct question {
	struct find *of;
	int async;
};

/* struct find - one domain; @id 0: the place is free */
struct find {
	struct resolver *r;
	uint32_t id;
	uint64_t until;
	char domain[FQDN_MAX + 1];
	uint16_t port;
	struct finder_answer a;
	struct question q[QUESTIONS];
};

struct resolver {
	const struct server_conf *conf;
	struct loop *loop;
	int fd;
	struct ub_ctx *ub; /* NULL: no DNS */
	struct loop_io *dns_io, *dc_io;
	struct loop_timer *tick;
	bool sealed;
	uint64_t asked, answered, failed;
	struct find finds[RESOLVER_MAX];
};

static void say(struct resolver *r, const struct finder_answer *a, uint32_t id)
{
	struct finder_say s;

	answer_put(a, id, &s);
	if (send(r->fd, &s, sizeof(s), MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    sizeof(s))
		log_warn("resolver", "the DC does not take an answer");
}

/* --- a find ----------------------------------------------------------------------- */

static bool is_waiting(const struct find *x)
{
	return x->q[0].of || x->q[1].of;
}

static void find_end(struct find *x)
{
	for (int i = 0; i < QUESTIONS; i++)
		if (x->q[i].of && ub_cancel(x->r->ub, x->q[i].async))
			log_debug("resolver", "it could not be cancelled");
	x->r->answered++;
	x->r->failed += x->a.err != 0;
	say(x->r, &x->a, x->id);
	memset(x, 0, sizeof(*x));
}

static void find_fail(struct find *x, int err, const char *why)
{
	x->a.err = err;
	snprintf(x->a.why, sizeof(x->a.why), "%s", why);
	find_end(x);
}

static int ask(struct find *x, const char *name, int type, ub_callback_type fn)
{
	struct question *q = &x->q[x->q[0].of ? 1 : 0];

	if (!x->r->ub ||
	    ub_resolve_async(x->r->ub, name, type, ns_c_in, q, fn, &q->async))
		return -NTM_ESYSTEM;
	q->of = x;
	return 0;
}

/* the answer has come: is it one? Return: yes; else the find has ended */
static bool came(struct find *x, int err, const struct ub_result *r,
		 const char *what)
{
	char why[ANSWER_WHY_MAX];

	if (err || !r) {
		find_fail(x, -NTM_EUNREACHABLE, "DNS does not answer");
	} else if (r->bogus) {
		snprintf(why, sizeof(why),
			 "DNS answers are forged (%.60s): %s of %.80s",
			 r->why_bogus ? r->why_bogus : "DNSSEC", what,
			 r->qname);
		find_fail(x, -NTM_EAUTH, why);
	} else if (!r->havedata && r->rcode != ns_r_noerror &&
		   r->rcode != ns_r_nxdomain) {
		find_fail(x, -NTM_EUNREACHABLE, "DNS does not answer");
	} else {
		if (r->havedata && (unsigned int)r->ttl < x->a.ttl_s)
			x->a.ttl_s = (unsigned int)r->ttl;
		return true;
	}
	return false;
}

static struct find *find_of(void *arg)
{
	struct question *q = arg;
	struct find *x = q->of;

	q->of = NULL;
	return x;
}

static void take_addresses(struct find *x, const struct ub_result *r)
{
	struct server_ways *w = &x->a.ways;

	for (int i = 0; r->havedata && r->data[i]; i++)
		if (w->n < SERVERCONF_WAYS_MAX && r->len[i] >= 0)
			w->n += records_address(
				(uint8_t *)r->data[i], (size_t)r->len[i],
				x->port, x->r->conf->dc_loopback, &w->a[w->n]);
}

static void got_address(void *arg, int err, struct ub_result *r)
{
	struct find *x = find_of(arg);

	if (came(x, err, r, "address")) {
		take_addresses(x, r);
		if (!is_waiting(x) && !x->a.ways.n)
			find_fail(x, -NTM_ENONAME,
				  "DNS knows no address of its DC");
		else if (!is_waiting(x))
			find_end(x);
	}
	ub_resolve_free(r);
}

static bool take_srv(const struct ub_result *r, struct record_srv *best)
{
	struct record_srv s;
	bool any = false;

	for (int i = 0; r->havedata && r->data[i]; i++) {
		if (r->len[i] < 0 ||
		    !records_srv((uint8_t *)r->data[i], (size_t)r->len[i], &s))
			continue;
		if (!any || records_srv_first(&s, best))
			*best = s;
		any = true;
	}
	return any;
}

static void got_srv(void *arg, int err, struct ub_result *r)
{
	struct find *x = find_of(arg);
	struct record_srv s;

	if (came(x, err, r, "SRV")) {
		if (!take_srv(r, &s)) {
			find_fail(x, -NTM_ENONAME,
				  "DNS knows no _dc._ntm SRV record of it");
		} else {
			x->port = s.port;
			if (ask(x, s.target, ns_t_a, got_address) ||
			    ask(x, s.target, TYPE_AAAA, got_address))
				find_fail(x, -NTM_EUNREACHABLE,
					  "DNS cannot be asked");
		}
	}
	ub_resolve_free(r);
}

static void ask_srv(struct find *x)
{
	char name[FQDN_MAX + NAME_EXTRA];

	snprintf(name, sizeof(name), "_dc._ntm.%s", x->domain);
	if (ask(x, name, ns_t_srv, got_srv))
		find_fail(x, -NTM_EUNREACHABLE, "DNS cannot be asked");
}

static bool take_txt(const struct ub_result *r, uint8_t *fp)
{
	for (int i = 0; r->data[i]; i++)
		if (r->len[i] >= 0 &&
		    records_txt((uint8_t *)r->data[i], (size_t)r->len[i], fp))
			return true;
	return false;
}

static void got_txt(void *arg, int err, struct ub_result *r)
{
	struct find *x = find_of(arg);

	if (came(x, err, r, "TXT")) {
		if (!r->havedata)
			find_fail(x, -NTM_ENONAME,
				  "DNS knows no such domain of NTMobile");
		else if (!r->secure)
			find_fail(x, -NTM_EUNVERIFIED,
				  "its DNS is not signed: run `ntm-server "
				  "peer add` for it");
		else if (!take_txt(r, x->a.fp))
			find_fail(x, -NTM_EDECODE,
				  "its _ntm TXT record names no CA");
		else
			ask_srv(x);
	}
	ub_resolve_free(r);
}

/* --- the DC ------------------------------------------------------------------------- */

static struct find *find_place(struct resolver *r, uint32_t id)
{
	struct find *x = NULL;

	for (size_t i = 0; i < RESOLVER_MAX; i++) {
		if (r->finds[i].id == id)
			return NULL;
		if (!r->finds[i].id)
			x = &r->finds[i];
	}
	return x;
}

static void asked(struct resolver *r, const struct finder_ask *q)
{
	struct finder_answer busy = {
		.err = -NTM_EUNREACHABLE,
		.why = "too many domains are looked for at once"};
	struct find *x = find_place(r, q->id);
	char name[FQDN_MAX + NAME_EXTRA];

	r->asked++;
	if (!x) {
		say(r, &busy, q->id);
		return;
	}
	x->r = r;
	x->id = q->id;
	x->until = loop_now(r->loop) + LOOP_S(RESOLVER_FIND_S);
	x->a.ttl_s = ANSWER_TTL_MAX;
	memcpy(x->domain, q->domain, sizeof(x->domain));
	if (!q->need_ca) {
		ask_srv(x);
		return;
	}
	snprintf(name, sizeof(name), "_ntm.%s", x->domain);
	if (ask(x, name, ns_t_txt, got_txt))
		find_fail(x, -NTM_EUNREACHABLE, "DNS cannot be asked");
}

static void dc_readable(void *arg, int fd, unsigned int events)
{
	struct resolver *r = arg;
	struct finder_ask q;
	uint8_t buf[sizeof(q) + 1];
	ssize_t n;

	(void)events;
	for (int i = 0; i < ASKS_TURN; i++) {
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n <= 0)
			return;
		if (answer_ask_take(buf, (size_t)n, &q))
			log_warn("resolver", "not a question");
		else
			asked(r, &q);
	}
}

static void tick(void *arg)
{
	struct resolver *r = arg;
	uint64_t now = loop_now(r->loop);

	for (size_t i = 0; i < RESOLVER_MAX; i++)
		if (r->finds[i].id && now > r->finds[i].until)
			find_fail(&r->finds[i], -NTM_EUNREACHABLE,
				  "DNS does not answer");
	loop_timer_arm(r->tick, TICK_NS);
}

/* --- life --------------------------------------------------------------------- */

static void serve(struct resolver *r)
{
	struct finder_answer anew = {.err = 0};
	int err = isolate_memory(RESOLVER_DATA_MIB);

	if (!err)
		err = isolate_seal();
	if (!err)
		err = loop_io_add(r->loop, r->fd, LOOP_READ, false, dc_readable,
				  r, &r->dc_io);
	if (err) {
		log_err("resolver", "cannot be isolated: %s", err_text(err));
		loop_stop(r->loop);
		return;
	}
	r->sealed = true;
	loop_timer_arm(r->tick, TICK_NS);
	say(r, &anew, 0);
}

/* libunbound has opened its files and started its thread */
static void warm(void *arg, int err, struct ub_result *result)
{
	if (err)
		log_warn("resolver", "DNS may not work: %s", ub_strerror(err));
	ub_resolve_free(result);
	serve(arg);
}

static void dns_readable(void *arg, int fd, unsigned int events)
{
	struct resolver *r = arg;

	(void)fd;
	(void)events;
	if (ub_process(r->ub))
		log_warn("resolver", "an answer of DNS was lost");
}

static int add_resolvers(struct ub_ctx *ub, const char *list)
{
	struct addr a[SERVERCONF_ADDRESSES_MAX];
	int n = serverconf_addresses(list, 53, a);
	char ip[ADDR_TEXT_LEN], text[ADDR_TEXT_LEN + 8];

	for (int i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%s@%u", addr_format_ip(&a[i], ip),
			 addr_port(&a[i]));
		if (ub_ctx_set_fwd(ub, text))
			return -NTM_ECONF;
	}
	return n < 0 ? n : 0;
}

static int configure(struct ub_ctx *ub, const struct server_conf *c)
{
	const char *from = c->dc_hints	    ? "dc.hints"
			   : c->dc_resolver ? "dc.resolver"
					    : "/etc/resolv.conf";
	int err = 0;

	ub_ctx_set_option(ub, "qname-minimisation:", "yes");
	ub_ctx_set_option(ub, "use-syslog:", "no");
	if (c->dc_hints) /* from this root on, by ourselves */
		err = ub_ctx_set_option(ub, "root-hints:", c->dc_hints);
	else if (c->dc_resolver)
		err = add_resolvers(ub, c->dc_resolver);
	else
		err = ub_ctx_resolvconf(ub, NULL);
	if (err) {
		log_warn("resolver",
			 "%s cannot be used: other domains are not found by "
			 "DNS",
			 from);
		return -NTM_ECONF;
	}
	if (!c->dc_anchor || !*c->dc_anchor)
		return 0;
	if (access(c->dc_anchor, R_OK))
		log_info("resolver",
			 "no trust anchor in %s: DNSSEC vouches for nobody",
			 c->dc_anchor);
	else if (ub_ctx_add_ta_file(ub, c->dc_anchor))
		return -NTM_ECONF;
	return 0;
}

static int start_dns(struct resolver *r)
{
	int err;

	r->ub = ub_ctx_create();
	if (!r->ub)
		return -NTM_ENOMEM;
	if (configure(r->ub, r->conf)) {
		/* without DNS there are still the peers with an address */
		ub_ctx_delete(r->ub);
		r->ub = NULL;
		serve(r);
		return r->sealed ? 0 : -NTM_ESYSTEM;
	}
	if (ub_ctx_async(r->ub, 1))
		return -NTM_ESYSTEM;
	err = loop_io_add(r->loop, ub_fd(r->ub), LOOP_READ, false, dns_readable,
			  r, &r->dns_io);
	if (err)
		return err;
	return ub_resolve_async(r->ub, "localhost", ns_t_a, ns_c_in, r, warm,
				NULL)
		       ? -NTM_ESYSTEM
		       : 0;
}

int resolver_new(const struct role_env *env, struct resolver **out)
{
	struct resolver *r;
	int err;

	if (env->sockets.pair < 0)
		return -NTM_EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -NTM_ENOMEM;
	r->conf = env->conf;
	r->loop = env->loop;
	r->fd = env->sockets.pair;
	err = loop_timer_new(r->loop, tick, r, &r->tick);
	if (!err)
		err = start_dns(r);
	if (err) {
		log_err("resolver", "cannot start: %s", err_text(err));
		resolver_free(r);
		return err;
	}
	*out = r;
	return 0;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	loop_io_del(r->dc_io);
	loop_io_del(r->dns_io);
	loop_timer_free(r->tick);
	if (r->ub)
		ub_ctx_delete(r->ub);
	free(r);
}

json_t *resolver_admin(struct resolver *r, const char *command, json_t *request)
{
	unsigned int under_way = 0;

	(void)request;
	if (strcmp(command, "status"))
		return NULL;
	for (size_t i = 0; i < RESOLVER_MAX; i++)
		under_way += r->finds[i].id != 0;
	return json_pack("{s:b, s:b, s:b, s:I, s:I, s:I, s:i}", "ok", 1, "dns",
			 r->ub != NULL, "sealed", r->sealed, "asked",
			 (json_int_t)r->asked, "answered",
			 (json_int_t)r->answered, "failed",
			 (json_int_t)r->failed, "under_way", (int)under_way);
}
