/* SPDX-License-Identifier: MIT */
/* control_peer - commands about peers: ping, verify, allow, forget */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/domains.h"
#include "broker/groups.h"
#include "broker/control.h"
#include "broker/login.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/policy.h"
#include "broker/postlink.h"
#include "broker/resolve.h"

/* Why a name cannot be met, where there is more to say than the error's sentence. */
static void name_fail(struct ask *call, int err)
{
	const struct worker *w = control_worker(call);
	const char *why = NULL;

	err = err < 0 ? -err : err;
	if (err == NTM_EINVAL)
		why = "that is this device itself";
	else if (err == NTM_EEXPIRED)
		why = login_over(w->login);
	ask_fail(call, err, why);
}

/* --- ping ----------------------------------------------------------------------------- */

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
	ask_progress(g->call, json_pack("{s:s, s:i, s:f}", "progress", text,
					"seq", (int)(cookie - g->cookie) + 1,
					"rtt_ms", ms(rtt)));
	if (g->received == g->count)
		loop_timer_arm(g->timer, 0);
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
		name_fail(call, err);
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

/* --- verify ------------------------------------------------------------------------------ */

/* struct verify - a command that may first have to ask the DC for the name's key */
struct verify {
	struct ask *call;
	struct worker *w;
	unsigned int typed; /* as in struct ping */
	uint32_t direction;
};

/* struct compared - a confirmed key, until the disk has it */
struct compared {
	struct ask *call; /* NULL: the client went away */
	char fqdn[FQDN_MAX + 1];
	uint8_t fp[NTMC_FP_LEN];
};

static void verify_show(struct ask *call, const char *fqdn, const uint8_t *fp,
			bool verified, bool changed)
{
	const struct account *a = control_worker(call)->account;
	char text[NTMC_FP_TEXT_LEN], code[NTMC_VERIFY_TEXT_LEN];

	ntmc_fingerprint_text(fp, text);
	ntmc_verify_code(a->fp, fp, code);
	ask_answer(call, json_pack("{s:s, s:s, s:s, s:b, s:b}", "fqdn", fqdn,
				   "fingerprint", text, "code", code,
				   "verified", verified, "changed", changed));
}

/* Is @fp the key that the person compared? The DC may name another one now. */
static bool verify_is_compared(const struct ask *call, const uint8_t *fp)
{
	const char *asked = ask_text(call, "fingerprint");
	char text[NTMC_FP_TEXT_LEN];

	ntmc_fingerprint_text(fp, text);
	return !asked || !*asked || !strcmp(asked, text);
}

static void compared_gone(void *arg)
{
	struct compared *c = arg;

	ask_answer(c->call, NULL);
	c->call = NULL;
}

static void compared_written(void *arg, int err)
{
	struct compared *c = arg;

	if (c->call) {
		ask_on_gone(c->call, NULL, NULL);
		if (err)
			ask_fail(c->call, err, NULL);
		else
			verify_show(c->call, c->fqdn, c->fp, true, false);
	}
	free(c);
}

static void verify_confirm(struct ask *call, const char *fqdn,
			   const uint8_t *fp)
{
	struct compared *c = calloc(1, sizeof(*c));
	int err = -NTM_ENOMEM;

	if (c) {
		c->call = call;
		snprintf(c->fqdn, sizeof(c->fqdn), "%s", fqdn);
		memcpy(c->fp, fp, NTMC_FP_LEN);
		err = pins_verify(control_worker(call)->pins, fqdn, fp,
				  compared_written, c);
	}
	if (err) {
		free(c);
		ask_fail(call, err, NULL);
		return;
	}
	ask_on_gone(call, compared_gone, c);
}

/* @fp: the key that the name shows now. A verified pin is not replaced unasked. */
static void verify_with(struct ask *call, const char *fqdn, const uint8_t *fp)
{
	struct worker *w = control_worker(call);
	const struct pin *pin = pins_find(w->pins, fqdn);
	bool same = pin && pin->pinned && !memcmp(pin->fp, fp, NTMC_FP_LEN);
	bool changed = pin && pin->pinned && !same;
	bool confirm =
		json_is_true(json_object_get(ask_request(call), "confirm"));

	if (!confirm) {
		verify_show(call, fqdn, fp, same && pin->verified, changed);
		return;
	}
	if (!verify_is_compared(call, fp)) {
		ask_fail(call, NTM_EPIN,
			 "the key changed while you compared; nothing was "
			 "confirmed, compare again");
		return;
	}
	verify_confirm(call, fqdn, fp);
}

static void verify_gone(void *arg)
{
	struct verify *v = arg;

	direction_cancel(v->w, v->direction);
	ask_answer(v->call, NULL);
	free(v);
}

static int verify_ask(struct verify *v);

static void verify_directed(void *arg, int err, const struct route *r)
{
	struct verify *v = arg;
	struct ask *call = v->call;

	if (!r && err == -NTM_ENONAME && !verify_ask(v))
		return;
	ask_on_gone(call, NULL, NULL);
	free(v);
	if (!r) /* else it may refuse our key; its own can be compared */
		name_fail(call, err);
	else
		verify_with(call, r->peer.fqdn, r->peer.fp);
}

/* The next of the names that it may be. Return: 0, or why nobody was asked */
static int verify_ask(struct verify *v)
{
	char name[FQDN_MAX + 1];

	if (login_over(v->w->login))
		return -NTM_EEXPIRED;
	if (!resolve_typed(v->w, ask_text(v->call, "name"), v->typed, name))
		return -NTM_ENONAME;
	v->typed++;
	return direction_request(v->w, name, false, 0, verify_directed, v,
				 &v->direction);
}

static void verify_unknown(struct ask *call)
{
	struct verify *v = calloc(1, sizeof(*v));
	int err = -NTM_ENOMEM;

	if (v) {
		v->call = call;
		v->w = control_worker(call);
		err = verify_ask(v);
	}
	if (err) {
		free(v);
		name_fail(call, err);
		return;
	}
	ask_on_gone(call, verify_gone, v);
}

/* The key in question: a refused one first, then the pinned one. */
static const uint8_t *verify_key(const struct pin *pin)
{
	static const uint8_t none[NTMC_FP_LEN];

	if (memcmp(pin->offered, none, NTMC_FP_LEN))
		return pin->offered;
	return pin->pinned ? pin->fp : NULL;
}

void control_verify(struct ask *call)
{
	struct worker *w = control_worker(call);
	char name[FQDN_MAX + 1];
	const struct pin *pin;
	const char *device;
	uint8_t fp[NTMC_FP_LEN];

	if (!w->account->logged_in) {
		ask_fail(call, NTM_ENOLOGIN, NULL);
		return;
	}
	if (!resolve_typed(w, ask_text(call, "name"), 0, name)) {
		ask_fail(call, NTM_ENOTOURS, NULL);
		return;
	}
	if (json_is_true(json_object_get(ask_request(call), "forget"))) {
		control_forget(call);
		return;
	}
	device = resolve_device(w->resolve, name);
	pin = pins_find(w->pins, device);
	if (pin && verify_key(pin)) {
		strcpy(name, pin->fqdn);
		memcpy(fp, verify_key(pin), sizeof(fp));
		verify_with(call, name, fp);
	} else {
		verify_unknown(call);
	}
}

/* struct forgetting - a name's pin that goes, until it has gone from the disk */
struct forgetting {
	struct ask *call; /* NULL: the client went away */
};

static void forget_gone(void *arg)
{
	struct forgetting *f = arg;

	ask_answer(f->call, NULL);
	f->call = NULL;
}

static void forgotten(void *arg, int err)
{
	struct forgetting *f = arg;

	if (f->call) {
		ask_on_gone(f->call, NULL, NULL);
		if (err)
			ask_fail(f->call, err, NULL);
		else
			ask_answer(f->call, NULL);
	}
	free(f);
}

static void peer_forget(struct worker *w, const char *name)
{
	struct peer *p = peers_find(w->peers, name);

	if (p) {
		peer_close(p, 0, true);
		peer_free(p);
	}
}

void control_forget(struct ask *call)
{
	struct forgetting *f = calloc(1, sizeof(*f));
	struct worker *w = control_worker(call);
	char name[FQDN_MAX + 1], domain[FQDN_MAX + 1];
	bool met;
	int err;

	if (!f || (!resolve_typed(w, ask_text(call, "name"), 0, name) &&
		   fqdn_normalize(ask_text(call, "name"), name))) {
		ask_fail(call, f ? NTM_EINVAL : NTM_ENOMEM,
			 f ? "that is not a name (DEVICE.ACCOUNT.DOMAIN)"
			   : NULL);
		free(f);
		return;
	}
	f->call = call;
	/* a domain's name might also be read as DEVICE.ACCOUNT */
	err = -NTM_ENOTFOUND;
	if (!fqdn_normalize(ask_text(call, "name"), domain))
		err = domains_forget(w, domain, forgotten, f);
	if (err == -NTM_ENOTFOUND)
		err = pins_forget(w->pins, name, forgotten, f);
	met = peers_find(w->peers, name);
	peer_forget(w, name);
	if (!err) {
		ask_on_gone(call, forget_gone, f);
		return;
	}
	free(f);
	if (err == -NTM_ENOTFOUND && met)
		ask_answer(call, NULL);
	else
		ask_fail(call, err,
			 err == -NTM_ENOTFOUND
				 ? "nothing is remembered of that name"
				 : NULL);
}

/* --- allow ----------------------------------------------------------------------------------- */

static void allow_list(struct ask *call)
{
	const struct policy *pol = control_worker(call)->policy;
	json_t *list = json_array(), *ports;

	for (size_t i = 0; i < policy_count(pol); i++) {
		const struct policy_rule *r = policy_rule(pol, i);

		ports = json_array();
		for (size_t j = 0; j < r->n_ports; j++)
			json_array_append_new(ports, json_integer(r->ports[j]));
		json_array_append_new(list,
				      json_pack("{s:s, s:o}", "subject",
						r->subject, "ports", ports));
	}
	ask_answer(call, json_pack("{s:o}", "allowed", list));
}

static int allow_ports(struct ask *call, struct policy_rule *r)
{
	const json_t *ports = json_object_get(ask_request(call), "ports");

	if (json_array_size(ports) > POLICY_PORTS_MAX)
		return -NTM_ELIMIT;
	for (size_t i = 0; i < json_array_size(ports); i++) {
		json_int_t n = json_integer_value(json_array_get(ports, i));

		if (n < 1 || n > 65535)
			return -NTM_EINVAL;
		r->ports[r->n_ports++] = (uint16_t)n;
	}
	return 0;
}

static void apply(void *arg, struct peer *p)
{
	(void)arg;
	peer_apply_policy(p);
}

static const char *allow_trouble(int err)
{
	switch (err) {
	case -NTM_EINVAL:
		return "ports are numbers from 1 to 65535";
	case -NTM_ELIMIT:
		return "too many: 64 ports for a name, and 256 names or "
		       "domains; a domain stands for all of its names";
	case -NTM_ENOTFOUND:
		return "nothing was allowed to that name; see `ntm allow`";
	default:
		return NULL;
	}
}

/* struct allowing - a change of the policy, until the disk has it */
struct allowing {
	struct ask *call; /* NULL: the client went away */
	struct worker *w;
};

static void allow_gone(void *arg)
{
	struct allowing *a = arg;

	ask_answer(a->call, NULL);
	a->call = NULL;
}

static void allow_apply(struct worker *w)
{
	if (w->account->logged_in)
		peers_each(w->peers, apply, NULL);
	postlink_policy(w->postlink);
	domains_look(w);
}

static void allow_written(void *arg, int err)
{
	struct allowing *a = arg;

	if (!err)
		allow_apply(a->w);
	if (a->call) {
		ask_on_gone(a->call, NULL, NULL);
		if (err)
			ask_fail(a->call, err, allow_trouble(err));
		else
			allow_list(a->call);
	}
	free(a);
}

static int allow_change(struct ask *call, struct policy_rule *r,
			struct allowing *a)
{
	struct policy *p = control_worker(call)->policy;
	int err;

	if (json_is_true(json_object_get(ask_request(call), "remove")))
		return policy_remove(p, r->subject, allow_written, a);
	err = allow_ports(call, r);
	return err ? err : policy_allow(p, r, allow_written, a);
}

static bool is_allowed(const struct policy *p, const char *subject)
{
	for (size_t i = 0; i < policy_count(p); i++)
		if (!strcmp(policy_rule(p, i)->subject, subject))
			return true;
	return false;
}

/* What people type: one word is an account of ours; with a final dot, a domain; behind
 * an @ a group. */
static int allow_subject(const struct worker *w, const char *text,
			 char out[static FQDN_MAX + 1])
{
	const struct account *a = w->account;
	char word[FQDN_MAX + 1];
	int err = policy_subject(text, out);

	if (!err && *out == '@')
		return groups_subject(w->groups, out);
	if (err || strchr(text, '.') || is_allowed(w->policy, out))
		return err;
	if (!a->logged_in)
		return -NTM_ENOLOGIN;
	if (!strcmp(out, a->domain))
		return 0;
	strcpy(word, out);
	return fqdn_join(NULL, word, a->domain, out);
}

void control_allow(struct ask *call)
{
	struct worker *w = control_worker(call);
	struct policy_rule r = {.n_ports = 0};
	struct allowing *a;
	int err;

	/* the file may have been edited: neither overwrite that nor pretend */
	err = policy_reload(w->policy, w->policy_why, sizeof(w->policy_why));
	if (err) {
		ask_fail(call, err, w->policy_why);
		return;
	}
	if (!*ask_text(call, "subject")) {
		allow_apply(w);
		allow_list(call);
		return;
	}
	err = allow_subject(w, ask_text(call, "subject"), r.subject);
	if (err) {
		ask_fail(call, err,
			 err == -NTM_ENOLOGIN
				 ? "say the whole name, as account.domain: "
				   "this device is not logged in to a "
				   "domain"
			 : err == -NTM_ENOTFOUND
				 ? "no group of that name is here, or more "
				   "than one: say @NAME.group.DOMAIN; "
				   "`ntm-group list` shows yours"
				 : "a subject is a device's name, "
				   "account.domain, a domain or @GROUP");
		return;
	}
	a = calloc(1, sizeof(*a));
	err = -NTM_ENOMEM;
	if (a) {
		a->call = call;
		a->w = w;
		err = allow_change(call, &r, a);
	}
	if (err) {
		free(a);
		ask_fail(call, err, allow_trouble(err));
		return;
	}
	ask_on_gone(call, allow_gone, a);
}
