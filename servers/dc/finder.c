/* SPDX-License-Identifier: MIT */
/*
 * finder - where the DC of a domain is, and which CA speaks for it, by DNS
 *
 * Theory of operation
 *
 * A find is a chain of questions, each asked when the one before is answered: TXT (if
 * somebody must vouch for the CA), SRV, then A and AAAA of its target beside each
 * other. Answers come in the loop: libunbound's thread writes to a pipe that the loop
 * reads. A find that was cancelled still waits for its last answer and then frees
 * its place.
 *
 * What comes is a stranger's: libunbound has checked its form, and by DNSSEC whether
 * it is forged; a name, a number and addresses are what is taken from it.
 */
#include "servers/dc/finder.h"

#include <arpa/nameser.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/dc/state.h"

#define T_AAAA_	 28
#define SRV_HEAD 6 /* priority, weight, port */

/* struct find - one domain; @waits: questions under way */
struct find {
	struct finder *f;
	uint16_t number; /* 0: cancelled, or the place is free */
	unsigned int waits;
	finder_fn *fn;
	char domain[FQDN_MAX + 1];
	uint16_t port;
	struct finder_answer a;
};

struct finder {
	struct dc *dc;
	struct ub_ctx *ub; /* NULL: no DNS */
	struct loop_io *io;
	bool vouches;
	struct find finds[FINDER_MAX];
};

static void ask_srv(struct find *x);

static void find_end(struct find *x)
{
	struct dc *dc = x->f->dc;
	uint16_t number = x->number;

	if (x->waits)
		return;
	x->number = 0;
	if (!number)
		return;
	if (x->a.ttl_s < FINDER_TTL_MIN)
		x->a.ttl_s = FINDER_TTL_MIN;
	x->fn(dc, number, &x->a);
}

static void find_fail(struct find *x, int err, const char *why)
{
	x->a.err = err;
	snprintf(x->a.why, sizeof(x->a.why), "%s", why);
	find_end(x);
}

static int ask(struct find *x, const char *name, int type, ub_callback_type fn)
{
	if (!x->f->ub ||
	    ub_resolve_async(x->f->ub, name, type, ns_c_in, x, fn, NULL))
		return -NTM_ESYSTEM;
	x->waits++;
	return 0;
}

/* the answer has come: is it one? Return: yes; else the find has ended, or @more
 * is under way */
static bool came(struct find *x, int err, const struct ub_result *r,
		 const char *what)
{
	char why[FINDER_WHY_MAX];

	x->waits--;
	if (!x->number || x->a.err) {
		find_end(x);
		return false;
	}
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

/* "v=ntm1 ca=<64 hexadecimal digits>", one string */
static bool take_txt(const struct ub_result *r, uint8_t *fp)
{
	static const char head[] = "v=ntm1 ca=";
	const size_t n = sizeof(head) - 1, hex = NTMC_FP_TEXT_LEN - 1;
	char text[NTMC_FP_TEXT_LEN];

	for (int i = 0; r->havedata && r->data[i]; i++) {
		const char *p = r->data[i];

		if ((size_t)r->len[i] < 1 + n + hex ||
		    (size_t)(uint8_t)p[0] < n + hex || memcmp(p + 1, head, n))
			continue;
		memcpy(text, p + 1 + n, hex);
		text[hex] = '\0';
		if (!ntmc_fingerprint_parse(text, fp))
			return true;
	}
	return false;
}

static void got_txt(void *arg, int err, struct ub_result *r)
{
	struct find *x = arg;

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

static void got_address(void *arg, int err, struct ub_result *r)
{
	struct find *x = arg;

	if (came(x, err, r, "address")) {
		for (int i = 0; r->havedata && r->data[i]; i++) {
			struct addr *a = &x->a.ways.a[x->a.ways.n];

			if (x->a.ways.n < SERVERCONF_WAYS_MAX &&
			    !addr_from_ip(r->data[i], (size_t)r->len[i],
					  x->port, a) &&
			    (x->f->dc->conf->dc_loopback ||
			     addr_is_usable_remote(a)))
				x->a.ways.n++;
		}
		if (!x->waits && !x->a.ways.n)
			find_fail(x, -NTM_ENONAME,
				  "DNS knows no address of its DC");
		else
			find_end(x);
	}
	ub_resolve_free(r);
}

static void got_srv(void *arg, int err, struct ub_result *r)
{
	struct find *x = arg;
	char target[NS_MAXDNAME];
	const uint8_t *p;
	int len;

	if (came(x, err, r, "SRV")) {
		p = r->havedata ? (const uint8_t *)r->data[0] : NULL;
		len = p ? r->len[0] : 0;
		if (len <= SRV_HEAD ||
		    dn_expand(p, p + len, p + SRV_HEAD, target,
			      sizeof(target)) <= 0 ||
		    !target[0]) {
			find_fail(x, -NTM_ENONAME,
				  "DNS knows no _dc._ntm SRV record of it");
		} else {
			x->port = (uint16_t)(p[4] << 8 | p[5]);
			if (ask(x, target, ns_t_a, got_address) ||
			    ask(x, target, T_AAAA_, got_address))
				find_fail(x, -NTM_ESYSTEM,
					  "DNS cannot be asked");
		}
	}
	ub_resolve_free(r);
}

static void ask_srv(struct find *x)
{
	char name[FQDN_MAX + 16];

	snprintf(name, sizeof(name), "_dc._ntm.%s", x->domain);
	if (ask(x, name, ns_t_srv, got_srv))
		find_fail(x, -NTM_ESYSTEM, "DNS cannot be asked");
}

int finder_find(struct finder *f, const char *domain, uint16_t number,
		bool need_ca, size_t max, finder_fn *fn)
{
	struct find *x = NULL;
	char name[FQDN_MAX + 16];
	size_t used = 0;

	for (size_t i = 0; i < FINDER_MAX; i++)
		if (f->finds[i].number || f->finds[i].waits)
			used++;
		else
			x = &f->finds[i];
	if (!x || used >= max)
		return -NTM_ELIMIT;
	memset(x, 0, sizeof(*x));
	x->f = f;
	x->fn = fn;
	x->a.ttl_s = FINDER_TTL_MAX;
	snprintf(x->domain, sizeof(x->domain), "%s", domain);
	snprintf(name, sizeof(name), "%s.%s", need_ca ? "_ntm" : "_dc._ntm",
		 domain);
	if (ask(x, name, need_ca ? ns_t_txt : ns_t_srv,
		need_ca ? got_txt : got_srv))
		return -NTM_ESYSTEM;
	x->number = number;
	return 0;
}

void finder_cancel(struct finder *f, uint16_t number)
{
	for (size_t i = 0; f && i < FINDER_MAX; i++)
		if (f->finds[i].number == number)
			f->finds[i].number = 0;
}

bool finder_vouches(const struct finder *f)
{
	return f && f->vouches;
}

/* --- life --------------------------------------------------------------------- */

static void readable(void *arg, int fd, unsigned int events)
{
	struct finder *f = arg;

	(void)fd;
	(void)events;
	if (ub_process(f->ub))
		log_warn("finder", "an answer of DNS was lost");
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

static int configure(struct finder *f, const struct server_conf *c)
{
	int err = 0;

	if (c->dc_hints) /* from this root on, by ourselves */
		err = ub_ctx_set_option(f->ub, "root-hints:", c->dc_hints);
	else if (c->dc_resolver)
		err = add_resolvers(f->ub, c->dc_resolver);
	else
		err = ub_ctx_resolvconf(f->ub, NULL);
	if (err) {
		log_warn("finder",
			 "%s cannot be used: other domains are not "
			 "found by DNS",
			 c->dc_hints	  ? "dc.hints"
			 : c->dc_resolver ? "dc.resolver"
					  : "/etc/resolv.conf");
		return -NTM_ECONF;
	}
	if (c->dc_anchor && *c->dc_anchor && access(c->dc_anchor, R_OK)) {
		log_info("finder",
			 "no trust anchor in %s: DNSSEC vouches for "
			 "nobody",
			 c->dc_anchor);
	} else if (c->dc_anchor && *c->dc_anchor) {
		if (ub_ctx_add_ta_file(f->ub, c->dc_anchor))
			return -NTM_ECONF;
		f->vouches = true;
	}
	return 0;
}

int finder_new(struct dc *dc, struct finder **out)
{
	struct finder *f = calloc(1, sizeof(*f));
	int err = -NTM_ENOMEM;

	if (!f)
		return err;
	f->dc = dc;
	f->ub = ub_ctx_create();
	if (!f->ub)
		goto err_free;
	ub_ctx_set_option(f->ub, "qname-minimisation:", "yes");
	ub_ctx_set_option(f->ub, "use-syslog:", "no");
	if (ub_ctx_async(f->ub, 1))
		goto err_ub;
	/* without DNS there are still the peers with an address */
	if (configure(f, dc->conf)) {
		f->vouches = false;
		ub_ctx_delete(f->ub);
		f->ub = NULL;
	} else {
		err = loop_io_add(dc->loop, ub_fd(f->ub), LOOP_READ, false,
				  readable, f, &f->io);
		if (err)
			goto err_ub;
	}
	*out = f;
	return 0;

err_ub:
	ub_ctx_delete(f->ub);
err_free:
	free(f);
	return err;
}

void finder_free(struct finder *f)
{
	if (!f)
		return;
	loop_io_del(f->io);
	if (f->ub)
		ub_ctx_delete(f->ub);
	free(f);
}
