/* SPDX-License-Identifier: MIT */
/*
 * resolve - names to peers: held look-ups, remembered addresses
 *
 * Theory of operation
 *
 * A query is one name that somebody waits for. It belongs to a peer as soon as its
 * canonical name is known: at once for device.account.domain; for account.domain
 * when the DC has said which device is online. From then on the peer's state
 * decides: UP answers, DOWN answers with the reason, the rest waits. All who ask for
 * the same name share the query. Its timer ends it within CONNECT_LIMIT_MS.
 *
 * When the login has run out for good all other names are answered with EXPIRED at
 * once. While a tunnel works its names need no DC; account.domain is remembered for as
 * long as the tunnel to the device that it led to works.
 */
#include "broker/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/direction.h"
#include "broker/domains.h"
#include "broker/login.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/timers.h"
#include "common/log.h"

/* @over: set when it is answered; not NULL inside resolve_name() only */
struct resolve_wait {
	struct query *query;
	resolve_fn *fn;
	void *arg;
	bool *over;
	struct resolve_wait *next;
};

/* struct query - @peer NULL: the DC was asked whom the name means (@direction) */
struct query {
	struct resolve *r;
	char name[FQDN_MAX + 1];
	struct peer *peer;
	uint32_t direction;
	bool needs_ca; /* of its domain; the DC was asked */
	bool ca_came;  /* an answer: to be started */
	struct loop_timer *timer;
	struct resolve_wait *waits;
	UT_hash_handle hh;
};

/* struct alias - account.domain led to this device */
struct alias {
	char name[FQDN_MAX + 1], fqdn[FQDN_MAX + 1];
	UT_hash_handle hh;
};

struct resolve {
	struct worker *w;
	struct query *queries;
	struct alias *aliases;
	size_t waiting;
};

bool resolve_is_ours(const struct worker *w, const char *name,
		     char out[static FQDN_MAX + 1])
{
	static const char *const servers[] = {"dc", "as",  "ns", "rs",
					      "cs", "gms", "box"};
	const struct account *a = w->account;
	struct fqdn_parts parts;

	if (!a->logged_in || fqdn_normalize(name, out))
		return false;
	if (!fqdn_is_within(out, a->domain) && !domains_allowed(w, out))
		return false;
	if (!strcmp(out, a->domain))
		return false;
	if (domains_split(w, out, &parts))
		return true; /* too deep: ours, and no such name; or not known yet */
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
		if (!parts.device[0] && !strcmp(parts.account, servers[i]))
			return false;
	return true;
}

/* --- aliases ---------------------------------------------------------------------------- */

static struct alias *alias_find(const struct resolve *r, const char *name)
{
	struct alias *a;

	HASH_FIND_STR(r->aliases, name, a);
	return a;
}

static void alias_set(struct resolve *r, const char *name, const char *fqdn)
{
	struct alias *a = alias_find(r, name);

	if (!strcmp(name, fqdn))
		return;
	if (!a) {
		if (HASH_COUNT(r->aliases) >= RESOLVE_QUERIES_MAX)
			return;
		a = calloc(1, sizeof(*a));
		if (!a)
			return;
		snprintf(a->name, sizeof(a->name), "%s", name);
		HASH_ADD_STR(r->aliases, name, a);
	}
	snprintf(a->fqdn, sizeof(a->fqdn), "%s", fqdn);
}

static void aliases_drop(struct resolve *r, const char *fqdn)
{
	struct alias *a, *tmp;

	HASH_ITER (hh, r->aliases, a, tmp) {
		if (fqdn && strcmp(a->fqdn, fqdn))
			continue;
		HASH_DEL(r->aliases, a);
		free(a);
	}
}

const char *resolve_device(const struct resolve *r, const char *name)
{
	const struct alias *a = alias_find(r, name);

	return a ? a->fqdn : name;
}

/* --- what people type --------------------------------------------------------------------- */

static bool is_known(const struct worker *w, const char *name)
{
	const char *fqdn = resolve_device(w->resolve, name);

	const struct peer *p = peers_find(w->peers, fqdn);

	return (p && p->known) || pins_find(w->pins, fqdn);
}

/* one word: a device of ours, or an account */
static bool typed_word(const struct worker *w, const char *word, unsigned int i,
		       char out[static FQDN_MAX + 1])
{
	char device[FQDN_MAX + 1], account[FQDN_MAX + 1];
	const char *domain = w->account->domain;
	bool swap;

	if (i > 1 || fqdn_join(word, w->account->name, domain, device) ||
	    fqdn_join(NULL, word, domain, account))
		return false;
	swap = !is_known(w, device) && is_known(w, account);
	return resolve_is_ours(w, (i == 1) != swap ? account : device, out);
}

bool resolve_typed(const struct worker *w, const char *text, unsigned int i,
		   char out[static FQDN_MAX + 1])
{
	char name[FQDN_MAX + 1], full[FQDN_MAX + 1], *dot;

	if (!w->account->logged_in || fqdn_normalize(text, name))
		return false;
	if (fqdn_is_within(name, w->account->domain))
		return i == 0 && resolve_is_ours(w, name, out);
	if (i == 0 && domains_allowed(w, name)) {
		strcpy(out, name);
		return true;
	}
	dot = strchr(name, '.');
	if (!dot)
		return typed_word(w, name, i, out);
	*dot = 0;
	return i == 0 && !strchr(dot + 1, '.') &&
	       !fqdn_join(name, dot + 1, w->account->domain, full) &&
	       resolve_is_ours(w, full, out);
}

/* --- queries ------------------------------------------------------------------------------ */

static void query_free(struct query *q)
{
	if (q->direction)
		direction_cancel(q->r->w, q->direction);
	loop_timer_free(q->timer);
	free(q);
}

/* Answer everybody. The query leaves the table first: an answer may ask again. */
static void query_end(struct query *q, int err)
{
	struct resolve_wait *wait;

	HASH_DEL(q->r->queries, q);
	while ((wait = q->waits)) {
		q->waits = wait->next;
		q->r->waiting--;
		if (wait->over)
			*wait->over = true;
		wait->fn(wait->arg, err < 0 ? -err : err, err ? NULL : q->peer);
		free(wait);
	}
	query_free(q);
}

static void query_due(void *arg)
{
	struct query *q = arg;
	struct peer *p = q->peer;
	int err = NTM_ETIMEOUT;

	if (p && p->state == PEER_MOVING)
		err = NTM_EOFFLINE;
	else if (p && p->why)
		err = p->why;
	query_end(q, err);
}

/* the peer is known: is there an answer already? Return: ended */
static bool query_settle(struct query *q)
{
	struct peer *p = q->peer;

	if (p->state == PEER_UP)
		query_end(q, 0);
	else if (p->state == PEER_DOWN)
		query_end(q, p->why ? p->why : NTM_EOFFLINE);
	else
		return false;
	return true;
}

static struct query *query_find(const struct resolve *r, const char *name)
{
	struct query *q;

	HASH_FIND_STR(r->queries, name, q);
	return q;
}

static void query_directed(void *arg, int err, const struct route *route)
{
	struct query *q = arg;
	struct resolve *r = q->r;
	char name[FQDN_MAX + 1];
	struct peer *p;

	q->direction = 0;
	strcpy(name, q->name);
	if (err) {
		query_end(q, err);
		return;
	}
	p = peers_get(r->w->peers, route->peer.fqdn);
	if (!p) {
		query_end(q, NTM_ELIMIT);
		return;
	}
	p->outward = true;
	alias_set(r, q->name, p->fqdn);
	q->peer = p;
	peer_route(p, route); /* may end the query through its state */
	q = query_find(r, name);
	if (q && q->peer == p)
		query_settle(q);
}

static bool is_device(const struct worker *w, const char *name)
{
	struct fqdn_parts parts;

	return !domains_split(w, name, &parts) && parts.device[0];
}

static void query_start(struct query *q)
{
	struct resolve *r = q->r;
	const struct alias *a = alias_find(r, q->name);
	const char *fqdn = a ? a->fqdn : q->name;
	struct peer *p = NULL;
	int err = domains_need(r->w, q->name);

	if (err == -NTM_EAGAIN) {
		q->needs_ca = true;
		return;
	}
	if (err) {
		query_end(q, err);
		return;
	}
	if (a)
		p = peers_find(r->w->peers, fqdn);
	else if (is_device(r->w, fqdn))
		p = peers_get(r->w->peers, fqdn);
	if (p) {
		q->peer = p;
		peer_connect(p);
		return;
	}
	err = direction_request(r->w, q->name, false, 0, query_directed, q,
				&q->direction);
	if (err)
		query_end(q, err);
}

static struct query *query_new(struct resolve *r, const char *name)
{
	struct query *q;

	if (HASH_COUNT(r->queries) >= RESOLVE_QUERIES_MAX)
		return NULL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->r = r;
	if (loop_timer_new(r->w->loop, query_due, q, &q->timer)) {
		free(q);
		return NULL;
	}
	snprintf(q->name, sizeof(q->name), "%s", name);
	HASH_ADD_STR(r->queries, name, q);
	loop_timer_arm(q->timer, LOOP_MS(CONNECT_LIMIT_MS));
	return q;
}

/* answers that need nobody else. Return: answered */
static bool answer_now(struct resolve *r, const char *name, resolve_fn *fn,
		       void *arg)
{
	const struct alias *a = alias_find(r, name);
	struct fqdn_parts parts;
	struct peer *p = peers_find(r->w->peers, a ? a->fqdn : name);

	if (!strcmp(a ? a->fqdn : name, r->w->account->fqdn)) {
		fn(arg, NTM_EINVAL, NULL); /* as the DC would say */
	} else if (p && p->state == PEER_UP) {
		if (!p->outward) {
			p->outward = true;
			peer_apply_policy(p);
		}
		fn(arg, 0, p);
	} else if ((!domains_need(r->w, name) &&
		    domains_split(r->w, name, &parts)) ||
		   r->waiting >= RESOLVE_WAITERS_MAX) {
		fn(arg,
		   r->waiting >= RESOLVE_WAITERS_MAX ? NTM_ELIMIT : NTM_ENONAME,
		   NULL);
	} else if (login_over(r->w->login)) {
		fn(arg, NTM_EEXPIRED, NULL);
	} else {
		return false;
	}
	return true;
}

void resolve_name(struct resolve *r, const char *name, resolve_fn *fn,
		  void *arg, struct resolve_wait **out)
{
	char norm[FQDN_MAX + 1];
	struct resolve_wait *wait;
	struct query *q;
	bool fresh, over = false;

	*out = NULL;
	if (!resolve_is_ours(r->w, name, norm)) {
		fn(arg, NTM_ENOTOURS, NULL);
		return;
	}
	if (answer_now(r, norm, fn, arg))
		return;
	q = query_find(r, norm);
	fresh = !q;
	if (fresh)
		q = query_new(r, norm);
	wait = q ? calloc(1, sizeof(*wait)) : NULL;
	if (!wait) {
		fn(arg, NTM_ELIMIT, NULL);
		return;
	}
	wait->query = q;
	wait->fn = fn;
	wait->arg = arg;
	wait->next = q->waits;
	q->waits = wait;
	r->waiting++;
	if (!fresh) {
		*out = wait;
		return;
	}
	/* It may be over inside these calls: then the waiter is gone, the query,
	 * and perhaps whatever @out stands in. */
	wait->over = &over;
	query_start(q);
	if (!over && q->peer)
		query_settle(q);
	if (over)
		return;
	wait->over = NULL;
	*out = wait;
}

void resolve_cancel(struct resolve_wait *wait)
{
	struct query *q = wait->query;
	struct resolve_wait **at = &q->waits;

	while (*at && *at != wait)
		at = &(*at)->next;
	if (*at)
		*at = wait->next;
	q->r->waiting--;
	free(wait);
	/* the query goes on: the name will be asked for again */
}

void resolve_peer_changed(struct resolve *r, struct peer *p)
{
	struct query *q, *tmp;

	if (!r || (p->state != PEER_UP && p->state != PEER_DOWN))
		return;
	if (p->state == PEER_DOWN)
		aliases_drop(r, p->fqdn);
restart: /* an answer may have ended any other */
	HASH_ITER (hh, r->queries, q, tmp)
		if (q->peer == p && query_settle(q))
			goto restart;
}

void resolve_domain_changed(struct resolve *r)
{
	struct query *q, *tmp;

	if (!r)
		return;
	HASH_ITER (hh, r->queries, q, tmp) {
		q->ca_came = q->needs_ca;
		q->needs_ca = false;
	}
restart: /* an answer may have ended any other */
	HASH_ITER (hh, r->queries, q, tmp) {
		if (!q->ca_came)
			continue;
		q->ca_came = false;
		query_start(q);
		goto restart;
	}
}

void resolve_peer_gone(struct resolve *r, struct peer *p)
{
	struct query *q, *tmp;

	if (!r)
		return;
restart:
	HASH_ITER (hh, r->queries, q, tmp)
		if (q->peer == p) {
			query_end(q, NTM_EAGAIN);
			goto restart;
		}
}

/* --- addresses -------------------------------------------------------------------------------- */

static const struct pin *pin_at(const struct worker *w, const struct addr *vip)
{
	size_t len;
	const uint8_t *ip = addr_ip(vip, &len);

	return len == 4 && domains_is_alias(w, ip)
		       ? domains_alias_owner(w, ip)
		       : pins_find_vip(w->pins, vip);
}

bool resolve_packet(struct resolve *r, const struct addr *dst)
{
	const struct pin *pin = pin_at(r->w, dst);
	struct peer *p;

	if (!pin || !r->w->account->logged_in)
		return false;
	p = peers_get(r->w->peers, pin->fqdn);
	if (!p)
		return false;
	if (p->state == PEER_DOWN &&
	    peer_now(p) - p->state_ns < LOOP_MS(DOWN_RETRY_MS))
		return false;
	if (!p->tunnel) {
		memcpy(p->vip6, pin->vip6, 16);
		memcpy(p->vip4, pin->vip4, 4);
		if (peer_tunnel(p))
			return false;
	}
	peer_connect(p);
	return p->tunnel != NULL;
}

const char *resolve_reverse(struct resolve *r, const struct addr *vip)
{
	const struct account *a = r->w->account;
	const struct pin *pin;
	struct dp_tunnel *t;
	struct addr own;

	if (!a->logged_in)
		return NULL;
	if ((!addr_from_ip(a->cert.vip6, 16, 0, &own) &&
	     addr_equal_ip(&own, vip)) ||
	    (!addr_from_ip(a->cert.vip4, 4, 0, &own) &&
	     addr_equal_ip(&own, vip)))
		return a->fqdn;
	if (r->w->dp && dp_tunnel_find(r->w->dp, vip, &t))
		return ((struct peer *)dp_tunnel_arg(t))->fqdn;
	pin = pin_at(r->w, vip);
	return pin ? pin->fqdn : NULL;
}

/* --- life --------------------------------------------------------------------------------------- */

int resolve_new(struct worker *w, struct resolve **out)
{
	struct resolve *r = calloc(1, sizeof(*r));

	if (!r)
		return -NTM_ENOMEM;
	r->w = w;
	*out = r;
	return 0;
}

void resolve_free(struct resolve *r)
{
	struct query *q, *tmp;

	if (!r)
		return;
	HASH_ITER (hh, r->queries, q, tmp)
		query_end(q, NTM_EAGAIN);
	aliases_drop(r, NULL);
	free(r);
}
