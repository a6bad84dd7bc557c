/* SPDX-License-Identifier: MIT */
/*
 * domains - other domains that the person has allowed: their CAs, names, addresses
 *
 * Theory of operation
 *
 * The person allows a domain (or an account or device in it) by `ntm allow`. For each
 * subject of the policy that is not under our own domain the DC is asked for the CA,
 * when we come online and when the policy changes, so that it is there before it is
 * needed, and that a renewed or changed one is seen; and when a name needs it. What comes must be constrained to its
 * domain and /64, hold the name we asked for, overlap neither us nor another one
 * (ntmc_trust_add()), and be the one pinned, if one is. Then it is pinned, and stands
 * beside our own CA in account->trust: handshakes verify against all of them, and a
 * CA vouches for nothing outside its constraints.
 *
 * Addresses. IPv6 prefixes cannot clash unseen. IPv4 slices clash as a rule, so a
 * peer of another domain is shown under an alias from a /16 of 240.0.0.0/4 that is
 * not ours: 16 bits of a MAC of its IPv6 address under our identity, so that it is the
 * same one after a restart, and nobody can choose it. It stays its own while it is away,
 * as programs may have connections there: of two that fall on one, the one that we know
 * for less long takes the next (domains_show()).
 */
#include "broker/domains.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/groups.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/policy.h"
#include "broker/resolve.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "common/log.h"

#define ALIAS_NET    241u
#define ALIAS_SECOND 64u
#define ALIAS_LAST   0xffff /* not given, as is the first */

/* struct asked - a name whose domain is not known; @name "": free */
struct asked {
	char name[FQDN_MAX + 1];
	uint32_t request; /* under way; 0 none */
	int err;
	bool by_dc; /* our DC said so, not we */
	uint64_t at_ns;
};

/* struct asking - the request's arg: the place may be another's by then */
struct asking {
	struct domains *ds;
	char name[FQDN_MAX + 1];
};

struct domains {
	struct worker *w;
	struct asked asked[DOMAINS_ASKED_MAX];
	unsigned int turn;
	char hints[DOMAINS_HINTS_MAX][FQDN_MAX + 1]; /* newest first */
};

/* --- names ---------------------------------------------------------------------- */

static bool is_own(const struct account *a, const char *fqdn)
{
	return fqdn_is_within(fqdn, a->domain);
}

bool domains_allowed(const struct worker *w, const char *fqdn)
{
	const struct account *a = w->account;
	const struct ntmc_trust_domain *d;
	struct fqdn_parts parts;

	if (!a->logged_in || is_own(a, fqdn))
		return false;
	d = domains_find(w, fqdn);
	if (d && fqdn_split(fqdn, d->domain, &parts))
		return false;
	for (size_t i = 0; i < policy_count(w->policy); i++) {
		const char *subject = policy_rule(w->policy, i)->subject;

		if (*subject != '@' && !is_own(a, subject) &&
		    fqdn_is_within(fqdn, subject))
			/* a domain's own name is no node's */
			return d || strcmp(fqdn, subject) != 0 ||
			       !pins_server_ca(w->pins, subject, NULL);
	}
	return false;
}

/* struct look - pins_servers_each() until one fits */
struct look {
	const char *fqdn;
	const struct ntmc_trust_domain *found;
};

static void look_at(void *arg, const struct ntmc_trust_domain *d)
{
	struct look *l = arg;

	if (fqdn_is_within(l->fqdn, d->domain))
		l->found = d;
}

const struct ntmc_trust_domain *domains_find(const struct worker *w,
					     const char *fqdn)
{
	struct look l = {fqdn, NULL};

	if (!w->account->logged_in)
		return NULL;
	if (is_own(w->account, fqdn))
		return &w->account->constraint;
	ntmc_trust_each(w->account->trust, look_at, &l);
	return l.found;
}

int domains_split(const struct worker *w, const char *fqdn,
		  struct fqdn_parts *out)
{
	const struct ntmc_trust_domain *d = domains_find(w, fqdn);

	return d ? fqdn_split(fqdn, d->domain, out) : -NTM_ENOTOURS;
}

/* --- a CA ------------------------------------------------------------------------- */

/* what @der is constrained to; 0 or an error */
static int read_ca(const uint8_t *der, size_t len,
		   struct ntmc_trust_domain *out)
{
	struct ntmc_trust *t;
	int err = ntmc_trust_new(&t);

	if (err)
		return err;
	err = ntmc_trust_add(t, der, len, NULL, out);
	ntmc_trust_free(t);
	return err;
}

/* @by_dc: false from here on: it is we who judge */
static int take_ca(struct worker *w, const char *asked,
		   const Ntm__DomainInformation *m, bool *by_dc)
{
	struct ntmc_trust_domain d;
	int err;

	*by_dc = false;

	if (!m->ca.len || m->ca.len > NTMC_CERT_MAX)
		return -NTM_EDECODE;
	err = read_ca(m->ca.data, m->ca.len, &d);
	if (err)
		return err;
	if (strcmp(d.domain, m->domain) || !fqdn_is_within(asked, d.domain) ||
	    is_own(w->account, d.domain))
		return -NTM_ECONSTRAINT;
	err = pins_server_check(w->pins, d.domain, d.fp);
	if (!err)
		err = ntmc_trust_add(w->account->trust, m->ca.data, m->ca.len,
				     d.fp, NULL);
	if (!err)
		err = pins_server_keep(w->pins, d.domain, d.fp, m->ca.data,
				       m->ca.len);
	if (!err) {
		log_info("domains", "%s: its CA is known now", d.domain);
		groups_domain(w->groups);
		worker_ranges(w);
	}
	return err;
}

static struct asked *asked_find(const struct domains *ds, const char *name)
{
	for (size_t i = 0; i < DOMAINS_ASKED_MAX; i++)
		if (!strcmp(ds->asked[i].name, name))
			return (struct asked *)&ds->asked[i];
	return NULL;
}

static const char *sentence(int err, bool by_dc)
{
	switch (err < 0 ? -err : err) {
	case NTM_EPIN:
		if (by_dc)
			return "its server shows another CA than the one that "
			       "the administrator of this domain has added";
		return "it shows another CA than before: ask its "
		       "administrator, then run `ntm forget DOMAIN`";
	case NTM_ECONSTRAINT:
		return "its CA is not constrained to its own domain and "
		       "addresses, or overlaps another one: it is not trusted";
	case NTM_ENONAME:
		return "the server of this domain does not know it: its "
		       "administrator runs `ntm-server peer add`";
	case NTM_EPERM:
		return "the administrator of this domain has blocked it";
	case NTM_EUNREACHABLE:
	case NTM_ETIMEOUT:
		return "its server is not found or does not answer";
	case NTM_ECERT:
		return "its server does not accept this domain: its "
		       "administrator runs `ntm-server peer add`, too";
	case NTM_EAUTH:
		return "its DNS answers are forged";
	case NTM_EUNVERIFIED:
		return "nobody vouches for its CA: the administrator of this "
		       "domain runs `ntm-server peer add`";
	default:
		return err_text(err < 0 ? -err : err);
	}
}

static void answered(void *arg, int err, const Ntm__Signal *msg)
{
	struct asking *q = arg;
	struct worker *w = q->ds->w;
	struct asked *x = asked_find(q->ds, q->name);
	bool by_dc = true;

	if (!err && msg->body_case == NTM__SIGNAL__BODY_ACK)
		err = -(int)msg->ack->code;
	else if (!err && msg->body_case != NTM__SIGNAL__BODY_DOMAIN_INFORMATION)
		err = -NTM_EDECODE;
	else if (!err && msg->domain_information->code)
		err = -(int)msg->domain_information->code;
	else if (!err)
		err = take_ca(w, q->name, msg->domain_information, &by_dc);
	if (x && err) {
		if (x->err != err)
			log_warn("domains", "%s: %s", q->name,
				 sentence(err, by_dc));
		x->request = 0;
		x->err = err;
		x->by_dc = by_dc;
		x->at_ns = loop_now(w->loop);
	} else if (x) {
		memset(x, 0, sizeof(*x));
	}
	free(q);
	resolve_domain_changed(w->resolve);
}

static struct asked *asked_put(struct domains *ds, const char *name)
{
	struct asked *x = asked_find(ds, name);

	if (!x)
		x = asked_find(ds, "");
	for (size_t i = 0; !x && i < DOMAINS_ASKED_MAX; i++) {
		struct asked *y = &ds->asked[ds->turn++ % DOMAINS_ASKED_MAX];

		if (!y->request)
			x = y;
	}
	if (x && strcmp(x->name, name)) {
		memset(x, 0, sizeof(*x));
		snprintf(x->name, sizeof(x->name), "%s", name);
	}
	return x;
}

static int ask(struct domains *ds, const char *name)
{
	Ntm__DomainRequest body = NTM__DOMAIN_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct asked *x = asked_put(ds, name);
	struct asking *q;
	int err;

	if (!x)
		return -NTM_ELIMIT;
	if (x->request)
		return -NTM_EAGAIN;
	if (x->err &&
	    loop_now(ds->w->loop) - x->at_ns < LOOP_S(DOMAINS_AGAIN_S))
		return x->err;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -NTM_ENOMEM;
	q->ds = ds;
	snprintf(q->name, sizeof(q->name), "%s", name);
	body.name = q->name;
	msg.body_case = NTM__SIGNAL__BODY_DOMAIN_REQUEST;
	msg.domain_request = &body;
	err = session_request(ds->w->session, &msg, DIRECTION_LIMIT_MS,
			      answered, q, &x->request);
	if (err)
		free(q);
	return err ? err : -NTM_EAGAIN;
}

int domains_need(struct worker *w, const char *fqdn)
{
	if (domains_find(w, fqdn))
		return 0;
	return domains_allowed(w, fqdn) ? ask(w->domains, fqdn) : -NTM_ENOTOURS;
}

void domains_look(struct worker *w)
{
	if (!w->account->logged_in)
		return;
	for (size_t i = 0; i < policy_count(w->policy); i++) {
		const char *subject = policy_rule(w->policy, i)->subject;

		if (*subject == '@' || is_own(w->account, subject))
			continue;
		/* one that is known, too: it may have been renewed, or changed */
		(void)ask(w->domains, subject);
	}
}

static void trust_one(void *arg, const char *domain, const uint8_t *ca,
		      size_t len)
{
	struct worker *w = arg;
	struct ntmc_trust_domain d;
	int err;

	if (is_own(w->account, domain) || !len)
		return;
	err = read_ca(ca, len, &d);
	if (!err)
		err = ntmc_trust_add(w->account->trust, ca, len, NULL, NULL);
	if (err)
		log_warn("domains", "%s: its CA is not used: %s", domain,
			 sentence(err, false));
}

void domains_trust(struct worker *w)
{
	pins_set_home(w->pins, w->account->constraint.prefix6);
	pins_servers_each(w->pins, trust_one, w);
}

int domains_forget(struct worker *w, const char *domain, writer_fn *fn,
		   void *arg)
{
	int err = !w->account->logged_in || is_own(w->account, domain)
			  ? -NTM_ENOTFOUND
			  : pins_server_forget(w->pins, domain, fn, arg);

	if (err)
		return err;
	ntmc_trust_remove(w->account->trust, domain);
	for (size_t i = 0; i < DOMAINS_ASKED_MAX; i++)
		if (!w->domains->asked[i].request)
			memset(&w->domains->asked[i], 0,
			       sizeof(w->domains->asked[i]));
	domains_look(w);
	return 0;
}

const char *domains_why(const struct worker *w, const char *fqdn)
{
	for (size_t i = 0; i < DOMAINS_ASKED_MAX; i++) {
		const struct asked *x = &w->domains->asked[i];

		if (x->name[0] && x->err &&
		    (fqdn_is_within(fqdn, x->name) ||
		     fqdn_is_within(x->name, fqdn)))
			return sentence(x->err, x->by_dc);
	}
	return NULL;
}

/* --- addresses --------------------------------------------------------------------- */

void domains_alias_range(const struct worker *w, uint8_t out[static 4])
{
	const struct ntmc_trust_domain *c = &w->account->constraint;

	memset(out, 0, 4);
	out[0] = ALIAS_NET;
	out[1] = ALIAS_SECOND;
	if (c->prefix4[0] == ALIAS_NET) /* at most a /8 */
		out[0]++;
}

bool domains_is_alias(const struct worker *w, const uint8_t ip4[static 4])
{
	uint8_t range[4];

	domains_alias_range(w, range);
	return w->account->logged_in && !memcmp(range, ip4, 2);
}

/* Under a key of our own: whoever chooses IPv6 addresses cannot choose an alias. */
static uint16_t alias_hash(const struct worker *w,
			   const uint8_t vip6[static 16])
{
	static const char label[] = "ntm alias v1";
	uint8_t in[sizeof(label) - 1 + 16], mac[NTMC_HASH_LEN];
	uint16_t v;

	memcpy(in, label, sizeof(label) - 1);
	memcpy(in + sizeof(label) - 1, vip6, 16);
	ntmc_hmac(w->account->secrets->id.ed_priv.b, NTMC_KEY_LEN, in,
		  sizeof(in), mac);
	v = (uint16_t)(mac[0] << 8 | mac[1]);
	return v == 0 || v == ALIAS_LAST ? 1 : v;
}

void domains_shown4(const struct worker *w, const uint8_t vip6[static 16],
		    const uint8_t vip4[static 4], uint8_t out[static 4])
{
	static const uint8_t none[4];
	uint16_t v;

	memcpy(out, vip4, 4);
	if (!memcmp(vip4, none, 4) ||
	    !memcmp(vip6, w->account->constraint.prefix6, 8))
		return;
	v = alias_hash(w, vip6);
	domains_alias_range(w, out);
	out[2] = (uint8_t)(v >> 8);
	out[3] = (uint8_t)v;
}

/* struct owner - whose alias an address is by its hash: of several the one we have
 * known for longest */
struct owner {
	const struct worker *w;
	const uint8_t *ip4;
	const struct pin *pin;
};

static void owner_look(void *arg, const struct pin *pin)
{
	struct owner *o = arg;
	uint8_t shown[4];

	domains_shown4(o->w, pin->vip6, pin->vip4, shown);
	if (!memcmp(shown, o->ip4, 4) &&
	    (!o->pin || pin->first_seen < o->pin->first_seen))
		o->pin = pin;
}

const struct pin *domains_alias_owner(const struct worker *w,
				      const uint8_t ip4[static 4])
{
	struct owner o = {.w = w, .ip4 = ip4};

	pins_each(w->pins, owner_look, &o);
	return o.pin;
}

/* another peer's: by its tunnel, or by its pin, also while it is away: programs may
 * have connections there */
static bool is_taken(const struct peer *p, const uint8_t ip4[static 4])
{
	const struct pin *pin = domains_alias_owner(p->w, ip4);
	struct dp_tunnel *t;
	struct addr vip;

	return (pin && strcmp(pin->fqdn, p->fqdn) != 0) ||
	       (!addr_from_ip(ip4, 4, 0, &vip) &&
		dp_tunnel_find(p->w->dp, &vip, &t) && dp_tunnel_arg(t) != p);
}

void domains_show(struct peer *p)
{
	uint16_t v;

	domains_shown4(p->w, p->vip6, p->vip4, p->shown4);
	if (!domains_is_alias(p->w, p->shown4) ||
	    !memcmp(p->shown4, p->vip4, 4))
		return;
	/* PINS_MAX and PEERS_MAX are fewer */
	while (is_taken(p, p->shown4)) {
		v = (uint16_t)(p->shown4[2] << 8 | p->shown4[3]);
		v = v >= ALIAS_LAST - 1 ? 1 : (uint16_t)(v + 1);
		p->shown4[2] = (uint8_t)(v >> 8);
		p->shown4[3] = (uint8_t)v;
	}
}

/* --- domains that the person may want ------------------------------------------------ */

void domains_hint(struct worker *w, const char *domain)
{
	struct domains *ds = w->domains;
	char name[FQDN_MAX + 1];

	if (!w->account->logged_in || fqdn_normalize(domain, name) ||
	    is_own(w->account, name))
		return;
	for (size_t i = 0; i < DOMAINS_HINTS_MAX; i++)
		if (!strcmp(ds->hints[i], name))
			return;
	memmove(ds->hints[1], ds->hints[0],
		sizeof(ds->hints) - sizeof(ds->hints[0]));
	strcpy(ds->hints[0], name);
	log_warn("domains",
		 "%s runs NTMobile, too: `ntm allow %s` lets its "
		 "names be found",
		 name, name);
}

static bool is_allowed(const struct worker *w, const char *domain)
{
	for (size_t i = 0; i < policy_count(w->policy); i++)
		if (fqdn_is_within(domain,
				   policy_rule(w->policy, i)->subject) ||
		    fqdn_is_within(policy_rule(w->policy, i)->subject, domain))
			return true;
	return false;
}

const char *domains_hinted(const struct worker *w, size_t i)
{
	const struct domains *ds = w->domains;

	for (size_t k = 0; k < DOMAINS_HINTS_MAX; k++)
		if (ds->hints[k][0] && !is_allowed(w, ds->hints[k]) && !i--)
			return ds->hints[k];
	return NULL;
}

/* --- shown ---------------------------------------------------------------------------- */

static void json_known(void *arg, const struct ntmc_trust_domain *d)
{
	char fp[NTMC_FP_TEXT_LEN];

	ntmc_fingerprint_text(d->fp, fp);
	json_array_append_new(arg, json_pack("{s:s, s:s, s:s}", "domain",
					     d->domain, "ca", fp, "why", ""));
}

json_t *domains_json(const struct worker *w)
{
	json_t *list = json_array();

	if (!w->account->logged_in)
		return list;
	ntmc_trust_each(w->account->trust, json_known, list);
	json_array_remove(list, 0); /* our own comes first */
	for (size_t i = 0; i < DOMAINS_ASKED_MAX; i++) {
		const struct asked *x = &w->domains->asked[i];

		if (x->name[0] && x->err)
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s}", "domain",
						x->name, "ca", "", "why",
						sentence(x->err, x->by_dc)));
	}
	return list;
}

/* --- life ------------------------------------------------------------------------------- */

int domains_new(struct worker *w, struct domains **out)
{
	struct domains *ds = calloc(1, sizeof(*ds));

	if (!ds)
		return -NTM_ENOMEM;
	ds->w = w;
	*out = ds;
	return 0;
}

void domains_free(struct domains *ds)
{
	for (size_t i = 0; ds && i < DOMAINS_ASKED_MAX; i++)
		if (ds->asked[i].request)
			free(session_cancel(ds->w->session,
					    ds->asked[i].request));
	free(ds);
}
