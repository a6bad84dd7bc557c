/* SPDX-License-Identifier: MIT */
/* control_verify - verify, forget: whose key it is that a name has here */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/control.h"
#include "broker/domains.h"
#include "broker/login.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/resolve.h"

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
		control_name_fail(call, err);
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
		control_name_fail(call, err);
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
