/* SPDX-License-Identifier: MIT */
/*
 * domains - the DCs of other domains: who they are, and what they may say
 *
 * Theory of operation
 *
 * A domain is here because an administrator added it (`peer add`, with its CA's
 * fingerprint), or because one of ours or of theirs wants it and DNSSEC vouches for the
 * fingerprint in its `_ntm` TXT record. Nothing else makes us believe a CA, and a CA
 * only for its own domain and /64: it must be constrained to both, and overlap nobody's.
 *
 * A domain may be blocked, with all under it: DNSSEC then vouches for nobody there.
 *
 * Trust. What the other DC says of its own nodes is passed on, what it says of anybody
 * else is refused and logged: names, virtual addresses and identities are held against
 * its CA's constraints here, and again by the nodes, who also get that CA from us.
 * Requests of each domain have a rate.
 */
#include "servers/dc/domains.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/dc/abroad.h"
#include "servers/dc/courier.h"
#include "servers/dc/domains_impl.h"
#include "servers/dc/finder.h"
#include "servers/dc/state.h"

#define LOG_EVERY_NS LOOP_S(10)
#define UNUSED_S     86400 /* one that nobody added is forgotten */

/* --- the table ------------------------------------------------------------------ */

struct domain *domains_find(const struct dc *dc, const char *name)
{
	for (size_t i = 0; i < DOMAINS_MAX; i++)
		if (dc->domains->list[i] &&
		    !strcmp(dc->domains->list[i]->name, name))
			return dc->domains->list[i];
	return NULL;
}

struct domain *domains_at(const struct dc *dc, uint16_t number)
{
	for (size_t i = 0; i < DOMAINS_MAX && number; i++)
		if (dc->domains->list[i] &&
		    dc->domains->list[i]->number == number)
			return dc->domains->list[i];
	return NULL;
}

static const char *above(const char *name)
{
	const char *dot = name ? strchr(name, '.') : NULL;

	return dot ? dot + 1 : NULL;
}

struct domain *domains_of(const struct dc *dc, const char *fqdn)
{
	const char *up1 = above(fqdn), *up2 = above(up1);
	struct domain *d = up1 ? domains_find(dc, up1) : NULL, *e;

	/* what was added stands before what was only guessed at */
	e = up2 ? domains_find(dc, up2) : NULL;
	return e && (!d || (e->added && !d->added)) ? e : d;
}

void domain_set_state(struct dc *dc, struct domain *d, enum domain_state s)
{
	static const char *const names[] = {
		[DOMAIN_IDLE] = "idle",	      [DOMAIN_FINDING] = "finding",
		[DOMAIN_LINKING] = "linking", [DOMAIN_READY] = "ready",
		[DOMAIN_FAILED] = "failed",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == DOMAIN_NSTATES,
		       "a name for each state");
	if (d->state != s)
		log_debug("domains", "%s: %s -> %s", d->name, names[d->state],
			  names[s]);
	d->state = s;
	d->since = loop_now(dc->loop);
	d->deadline = d->since + (s == DOMAIN_FAILED ? LOOP_S(DOMAIN_FAILED_S)
						     : LOOP_S(DOMAIN_LINK_S));
}

void domain_channel_drop(struct channel **c)
{
	struct channel *gone = *c;

	*c = NULL;
	if (gone)
		channel_close(gone);
}

bool domain_is_known(const struct dc *dc, const struct domain *d)
{
	return d && d->has_fp && (d->added || d->vouched > loop_now(dc->loop));
}

bool domain_has_key(const struct domain *d)
{
	for (int k = 0; k < 4; k++)
		if (d->keys[k].id)
			return true;
	return false;
}

void domain_reset(struct dc *dc, struct domain *d)
{
	inbound_drop(dc, d);
	domain_channel_drop(&d->channel);
	finder_cancel(dc->finder, d->number);
	ntmc_wipe(d->keys, sizeof(d->keys));
	ntmc_wipe(&d->next, sizeof(d->next));
	d->finding = d->links = d->suspected = d->used = false;
	d->vouched = d->found = d->again = 0;
	d->ways.n = d->way = d->tried = 0;
	d->ca_len = 0;
	d->why[0] = '\0';
	domain_set_state(dc, d, DOMAIN_IDLE);
}

void domain_other_ca(struct dc *dc, struct domain *d)
{
	log_warn("domains", "%s has another CA than before", d->name);
	guests_removed(dc, d);
	ntmc_wipe(d->keys, sizeof(d->keys));
	d->ca_len = 0;
	if (d->state == DOMAIN_READY)
		domain_set_state(dc, d, DOMAIN_IDLE);
}

void domain_drop(struct dc *dc, struct domain *d)
{
	domain_reset(dc, d);
	guests_forget(dc, d);
	for (size_t i = 0; i < DOMAINS_MAX; i++)
		if (dc->domains->list[i] == d)
			dc->domains->list[i] = NULL;
	ntmc_wipe(d, sizeof(*d));
	free(d);
}

/* nothing would be lost with it */
static bool is_spare(const struct domain *d)
{
	return !d->added && !d->channel && !d->finding && !domain_has_key(d);
}

/* a free place, or that of who was not added and is nothing to us */
static size_t place_for(struct dc *dc)
{
	struct domains *ds = dc->domains;
	size_t spare = DOMAINS_MAX;

	for (size_t i = 0; i < DOMAINS_MAX; i++) {
		if (!ds->list[i])
			return i;
		if (is_spare(ds->list[i]) &&
		    (ds->list[i]->state == DOMAIN_FAILED ||
		     ds->list[i]->state == DOMAIN_IDLE))
			spare = i;
	}
	if (spare < DOMAINS_MAX)
		domain_drop(dc, ds->list[spare]);
	return spare;
}

bool domains_blocked(const struct dc *dc, const char *name)
{
	const struct domains *ds = dc->domains;

	for (size_t i = 0; i < ds->n_blocked; i++)
		if (fqdn_is_within(name, ds->blocked[i]))
			return true;
	return false;
}

struct domain *domain_put(struct dc *dc, const char *name)
{
	struct domains *ds = dc->domains;
	struct domain *d = domains_find(dc, name);
	size_t i;

	if (d)
		return d;
	if (domains_blocked(dc, name))
		return NULL;
	i = place_for(dc);
	d = i < DOMAINS_MAX ? calloc(1, sizeof(*d)) : NULL;
	if (!d)
		return NULL;
	do
		ds->last_number++;
	while (!ds->last_number || domains_at(dc, ds->last_number));
	d->number = ds->last_number;
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->since = loop_now(dc->loop);
	ds->list[i] = d;
	return d;
}

bool domains_nested(const char *a, const char *b)
{
	return fqdn_is_within(a, b) || fqdn_is_within(b, a);
}

/* a CA's addresses are fd6e and the first 48 bits of its fingerprint */
#define SLICE_FP_LEN 6

bool domains_conflict(const struct dc *dc, const char *name,
		      const uint8_t fp[static NTMC_FP_LEN], char *why)
{
	const struct ntmc_trust_domain *own = &dc->cert.domain;

	if (domains_nested(name, own->domain) ||
	    !memcmp(fp, own->fp, SLICE_FP_LEN)) {
		snprintf(why, DOMAIN_WHY_MAX,
			 "%.60s overlaps this server's own domain: its %s",
			 name,
			 domains_nested(name, own->domain)
				 ? "name"
				 : "CA's virtual addresses are the same");
		return true;
	}
	for (size_t i = 0; i < DOMAINS_MAX; i++) {
		const struct domain *d = dc->domains->list[i];

		if (!d || !d->has_fp || !strcmp(d->name, name))
			continue;
		if (!domains_nested(name, d->name) &&
		    memcmp(fp, d->fp, SLICE_FP_LEN))
			continue;
		snprintf(why, DOMAIN_WHY_MAX,
			 "%.60s overlaps the peer %.60s: its %s", name, d->name,
			 domains_nested(name, d->name)
				 ? "name"
				 : "CA's virtual addresses are the same");
		return true;
	}
	return false;
}

/* --- failing --------------------------------------------------------------------- */

const char *domain_reason(int err)
{
	switch (-err) {
	case NTM_EPIN:
		return "its DC shows another CA than the one that was added";
	case NTM_ECERT:
		return "its DC does not accept this domain, or shows no "
		       "certificate of a DC; the other side must add it, too";
	case NTM_ECONSTRAINT:
		return "its CA is not constrained to its domain and addresses, "
		       "or they overlap others";
	case NTM_ETOOBIG:
		return "its CA's certificate is too large";
	case NTM_EUNREACHABLE:
	case NTM_ETIMEOUT:
		return "its DC does not answer";
	default:
		return err_text(err);
	}
}

void domain_fail(struct dc *dc, struct domain *d, int err, const char *why)
{
	uint64_t now = loop_now(dc->loop);

	if (d->state != DOMAIN_FAILED || d->err != err)
		log_warn("domains", "%s: %s", d->name, why);
	snprintf(d->why, sizeof(d->why), "%s", why);
	d->err = err;
	domain_channel_drop(&d->channel);
	ntmc_wipe(&d->next, sizeof(d->next));
	if (d->state == DOMAIN_READY && !d->suspected &&
	    d->keys[DOMAIN_OURS].until > now) {
		d->again = now + LOOP_S(DOMAIN_FAILED_S);
		return;
	}
	d->suspected = false;
	ntmc_wipe(&d->keys[DOMAIN_OURS], sizeof(d->keys[0]));
	d->found = 0;
	domain_set_state(dc, d, DOMAIN_FAILED);
	abroad_domain_changed(dc, d);
	courier_domain_changed(dc, d);
}

void domain_refuse(struct dc *dc, struct domain *d, const char *what,
		   const char *about)
{
	uint64_t now = loop_now(dc->loop);

	d->refused++;
	if (d->logged_ns && now - d->logged_ns < LOG_EVERY_NS)
		return;
	d->logged_ns = now;
	log_warn("domains", "%s: refused: %s %s", d->name, what, about);
}

/* --- what it may say ------------------------------------------------------------------ */

static bool within4(const struct ntmc_trust_domain *c, const uint8_t *ip)
{
	uint32_t net, host;
	uint32_t mask = c->prefix4_len ? ~0u << (32 - c->prefix4_len) : 0;

	memcpy(&net, c->prefix4, 4);
	memcpy(&host, ip, 4);
	return ((ntohl(net) ^ ntohl(host)) & mask) == 0;
}

int domain_check_node(const struct domain *d, const Ntm__NodeInfo *n)
{
	struct fqdn_parts parts;

	if (!d->ca_len || fqdn_split(n->fqdn, d->name, &parts) ||
	    !parts.device[0] || n->vip6.len != 16 ||
	    memcmp(n->vip6.data, d->constraint.prefix6, 8) ||
	    (n->vip4.len && !within4(&d->constraint, n->vip4.data)))
		return -NTM_EPERM;
	return ntmc_static_verify(n->ed_pub.data, n->x_pub.data, n->x_sig.data);
}

uint64_t domain_must_wait_ms(struct dc *dc, struct domain *d)
{
	uint64_t now = loop_now(dc->loop) / 1000, step, ahead;

	if (!dc->conf->dc_peer_rate)
		return 0;
	step = 1000000 / dc->conf->dc_peer_rate;
	if (d->paid_us < now)
		d->paid_us = now;
	ahead = d->paid_us - now;
	if (ahead > 1000000)
		return (ahead - 1000000) / 1000 + 1;
	d->paid_us += step ? step : 1;
	return 0;
}

/* --- nodes ask for a CA ------------------------------------------------------------------ */

/* a domain that only DNS can name: device.account.DOMAIN, account.DOMAIN, DOMAIN */
static struct domain *guess(struct dc *dc, const char *name)
{
	const char *up1 = above(name), *up2 = above(up1);
	const char *tries[3] = {up2, up1, name};
	struct domain *d = NULL;

	for (int i = 0; i < 3; i++) {
		if (!tries[i] || !strchr(tries[i], '.') ||
		    domains_nested(tries[i], dc->cert.domain.domain))
			continue;
		d = domain_put(dc, tries[i]);
		if (!d || d->state != DOMAIN_FAILED || d->err != -NTM_ENONAME)
			return d;
	}
	return d;
}

struct domain *domains_want(struct dc *dc, const char *name)
{
	struct domain *d = domains_of(dc, name);

	if (d && (d->added || d->state != DOMAIN_FAILED))
		return d;
	d = domains_find(dc, name);
	if (d && d->added)
		return d;
	return finder_vouches(dc->finder) ? guess(dc, name) : NULL;
}

void domains_request(struct dc *dc, uint32_t session,
		     const struct endpoint *from, uint32_t txn,
		     const Ntm__DomainRequest *q)
{
	Ntm__DomainInformation body = NTM__DOMAIN_INFORMATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	uint32_t node = nodes_session(&dc->nodes, session)->node;
	struct domain *d = domains_of(dc, q->name);
	int err = 0;

	/* what nobody has heard of has DNS asked */
	if (!d && !domains_find(dc, q->name) &&
	    direction_must_wait_ms(dc, nodes_at(&dc->nodes, node)))
		err = -NTM_ELIMIT;
	d = err ? NULL : domains_want(dc, q->name);
	if (!d && !err)
		err = domains_blocked(dc, q->name) ? -NTM_EPERM : -NTM_ENONAME;

	if (d && (!d->ca_len || d->state == DOMAIN_FAILED ||
		  d->state == DOMAIN_IDLE))
		err = domain_ready(dc, d);
	if (d && d->ca_len)
		err = 0;
	if (err == -NTM_EAGAIN)
		return; /* it asks again */
	body.code = (uint32_t)-err;
	if (!err) {
		body.domain = d->name;
		body.ca = (ProtobufCBinaryData){d->ca_len, d->ca};
	}
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_DOMAIN_INFORMATION;
	msg.domain_information = &body;
	if (!signal_send(dc, session, from, &msg))
		log_debug("domains", "a CA was not sent");
}

/* --- life ----------------------------------------------------------------------------------- */

static bool is_forgotten(const struct domain *d, uint64_t now)
{
	if (!is_spare(d))
		return false;
	if (d->state == DOMAIN_FAILED)
		return now > d->deadline;
	return now > d->since + LOOP_S(d->state == DOMAIN_IDLE ? DOMAIN_FAILED_S
							       : UNUSED_S);
}

static void domain_sweep(struct dc *dc, struct domain *d, uint64_t now)
{
	struct domain_key *ours = &d->keys[DOMAIN_OURS];

	for (int k = 0; k < 4; k++)
		if (d->keys[k].until && d->keys[k].until <= now)
			ntmc_wipe(&d->keys[k], sizeof(d->keys[k]));
	if (d->finding && now > d->find_until)
		kdcdc_find_late(dc, d);
	if ((d->state == DOMAIN_LINKING ||
	     (d->state == DOMAIN_READY && d->channel)) &&
	    now > d->deadline)
		domain_fail(dc, d, -NTM_ETIMEOUT, domain_reason(-NTM_ETIMEOUT));
	if (d->state == DOMAIN_READY && d->used && now >= d->again &&
	    ours->until < now + LOOP_S(DOMAIN_KEY_S / 2))
		kdcdc_renew(dc, d);
	guests_expire(dc, d);
	if (is_forgotten(d, now))
		domain_drop(dc, d);
}

void domains_sweep(struct dc *dc, uint64_t now)
{
	for (size_t i = 0; i < DOMAINS_MAX; i++)
		if (dc->domains->list[i])
			domain_sweep(dc, dc->domains->list[i], now);
	inbound_sweep(dc, now);
}

static json_t *domain_admin(const struct domain *d)
{
	static const char *const shown[] = {
		[DOMAIN_IDLE] = "idle",
		[DOMAIN_FINDING] = "looking for its DC",
		[DOMAIN_LINKING] = "connecting",
		[DOMAIN_READY] = "ready",
		[DOMAIN_FAILED] = "failed",
	};
	char fp[NTMC_FP_TEXT_LEN] = "", at[ADDR_TEXT_LEN] = "";

	if (d->has_fp)
		ntmc_fingerprint_text(d->fp, fp);
	if (d->ways.n)
		addr_format(&d->ways.a[d->way], at);
	return json_pack(
		"{s:s, s:s, s:b, s:s, s:s, s:s, s:b, s:I, s:I, s:I}", "domain",
		d->name, "ca", fp, "added", d->added, "state", shown[d->state],
		"why", d->state == DOMAIN_FAILED ? d->why : "", "dc", at,
		"asked_by_it", d->keys[DOMAIN_THEIRS].id != 0, "asked",
		(json_int_t)d->asked, "answered", (json_int_t)d->answered,
		"refused", (json_int_t)d->refused);
}

json_t *domains_admin(struct dc *dc)
{
	json_t *list = json_array();

	for (size_t i = 0; i < DOMAINS_MAX; i++)
		if (dc->domains->list[i])
			json_array_append_new(
				list, domain_admin(dc->domains->list[i]));
	return list;
}

int domains_new(struct dc *dc, struct domains **out)
{
	struct domains *ds = calloc(1, sizeof(*ds));

	if (!ds)
		return -NTM_ENOMEM;
	ds->dc = dc;
	tls_context_set_accept(dc->cert.tls, inbound_accept, dc);
	*out = ds;
	return 0;
}

void domains_close(struct domains *ds)
{
	for (size_t i = 0; ds && i < DOMAINS_MAX; i++) {
		struct channel *c = ds->list[i] ? ds->list[i]->channel : NULL;

		if (!c)
			continue;
		channel_set_arg(c, NULL);
		domain_channel_drop(&ds->list[i]->channel);
	}
}

void domains_free(struct domains *ds)
{
	for (size_t i = 0; ds && i < DOMAINS_MAX; i++) {
		if (!ds->list[i])
			continue;
		ntmc_wipe(ds->list[i], sizeof(*ds->list[i]));
		free(ds->list[i]);
	}
	if (ds)
		ntmc_wipe(ds, sizeof(*ds));
	free(ds);
}
