/* SPDX-License-Identifier: MIT */
/* worker_names - what programs ask of names: the worker's answers to the shim server */
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/domains.h"
#include "broker/exit.h"
#include "broker/groups.h"
#include "broker/peer.h"
#include "broker/resolve.h"
#include "broker/worker.h"

/* struct held - one shim's question; freed by its answer */
struct held {
	struct worker *w;
	struct shim_ticket *ticket;
	struct resolve_wait *wait;
	struct held *next;
	bool done;
};

static void held_unlink(struct held *h)
{
	struct held **at = &h->w->held;

	while (*at && *at != h)
		at = &(*at)->next;
	if (*at)
		*at = h->next;
}

static void shim_answer(struct worker *w, struct shim_ticket *t, int err,
			const char *name, const uint8_t *vip6,
			const uint8_t *vip4)
{
	static const uint8_t none[16];

	shimserver_resolved(w->shim, t, err, name, vip6 ? vip6 : none,
			    vip4 ? vip4 : none);
}

static void held_answer(void *arg, int err, struct peer *p)
{
	struct held *h = arg;

	h->done = true;
	shim_answer(h->w, h->ticket, err, p ? p->fqdn : "", p ? p->vip6 : NULL,
		    p ? p->shown4 : NULL);
	if (!h->wait)
		return; /* inside resolve_name(): its caller frees */
	held_unlink(h);
	free(h);
}

/* A group's name is known here or nowhere. false: it is none */
static bool group_answer(struct worker *w, const char *name,
			 struct shim_ticket *t)
{
	uint8_t vip6[16], vip4[4];
	char norm[FQDN_MAX + 1];
	int err;

	if (fqdn_normalize(name, norm) || !groups_is_name(w->groups, norm))
		return false;
	err = groups_find(w->groups, norm, vip6, vip4);
	shim_answer(w, t, -err, norm, err ? NULL : vip6, err ? NULL : vip4);
	return true;
}

static void names_resolve(void *arg, const char *name, struct shim_ticket *t)
{
	struct worker *w = arg;
	const struct account *a = w->account;
	char norm[FQDN_MAX + 1];
	struct held *h;

	if (group_answer(w, name, t))
		return;
	if (!resolve_is_ours(w, name, norm)) {
		shim_answer(w, t, NTM_ENOTOURS, "", NULL, NULL);
		return;
	}
	if (!strcmp(norm, a->fqdn)) {
		shim_answer(w, t, 0, a->fqdn, a->cert.vip6, a->cert.vip4);
		return;
	}
	h = calloc(1, sizeof(*h));
	if (!h) {
		shim_answer(w, t, NTM_ENOMEM, "", NULL, NULL);
		return;
	}
	h->w = w;
	h->ticket = t;
	h->next = w->held;
	w->held = h;
	resolve_name(w->resolve, norm, held_answer, h, &h->wait);
	if (h->done) {
		held_unlink(h);
		free(h);
	}
}

static void names_cancel(void *arg, struct shim_ticket *t)
{
	struct worker *w = arg;
	struct held *h = w->held;

	while (h && h->ticket != t)
		h = h->next;
	if (!h)
		return;
	resolve_cancel(h->wait);
	held_unlink(h);
	free(h);
}

static const char *names_reverse(void *arg, const struct addr *vip)
{
	struct worker *w = arg;

	const char *group = groups_reverse(w->groups, vip);

	return group ? group : resolve_reverse(w->resolve, vip);
}

static int names_exit(void *arg, unsigned int mode, const struct addr *dst)
{
	struct worker *w = arg;

	return exit_ask(w->exit, mode, dst);
}

static void names_hint(void *arg, const char *domain)
{
	domains_hint(arg, domain);
}

void worker_shim_names(struct worker *w, struct shim_names *out)
{
	out->resolve = names_resolve;
	out->cancel = names_cancel;
	out->reverse = names_reverse;
	out->hint = names_hint;
	out->exit = names_exit;
	out->arg = w;
}
