/* SPDX-License-Identifier: MIT */
/* plans - groups that an administrator asks this device to found */
#include "broker/member/plans.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "common/log.h"
#include "libntmcrypto/groupkey.h"

#define LOOK_S	2  /* a person waits for it */
#define FRESH_S 5  /* what was said so lately is so still */
#define HOLD_S	30 /* a connection without a group */

struct plan {
	struct plan *prev, *next;
	uint8_t id[GROUP_ID_LEN];
	char name[GROUP_NAME_MAX + 1];
	struct group_policy policy;
	json_t *members;
};

/** struct look - somebody waits */
struct look {
	struct look *next;
	struct ask *ask;
	void (*fn)(struct ask *a);
};

struct plans {
	struct node *node;
	struct plan *list;
	struct look *looks;
	struct server *held; /* kept open for us; NULL */
	struct loop_timer *patience, *hold;
	uint64_t heard;
};

/* --- what there is ----------------------------------------------------------------------- */

static void plan_free(struct plans *all, struct plan *p)
{
	DL_DELETE(all->list, p);
	json_decref(p->members);
	free(p);
}

static void plan_take(struct plans *all, const Ntm__GroupPlan *m)
{
	struct plan *p = calloc(1, sizeof(*p));

	if (!p)
		return;
	memcpy(p->id, m->id.data, sizeof(p->id));
	snprintf(p->name, sizeof(p->name), "%s", m->name);
	p->policy = (struct group_policy){
		.auth = (enum group_auth)m->auth,
		.delegate = m->delegate,
		.keep_s = m->keep_s > UINT16_MAX ? UINT16_MAX
						 : (uint16_t)m->keep_s,
		.renew_s = m->renew_s,
		.refresh_s = m->refresh_s,
		.evict_s = m->evict_s,
		.max_age_s = m->max_age_s,
	};
	p->members = json_array();
	for (size_t i = 0; i < m->n_members; i++)
		json_array_append_new(
			p->members,
			json_pack("{s:s, s:I}", "name", m->members[i]->name,
				  "rights", (json_int_t)m->members[i]->rights));
	DL_APPEND(all->list, p);
	if (group_name_ok(p->name) && group_policy_ok(&p->policy))
		return;
	log_warn("member", "a group that is defined cannot be founded");
	plan_free(all, p);
}

struct plan *plans_find(struct plans *all, const char *name)
{
	struct plan *p;

	DL_FOREACH (all->list, p)
		if (!strcmp(p->name, name))
			return p;
	return NULL;
}

struct plan *plans_by_id(struct plans *all,
			 const uint8_t id[static GROUP_ID_LEN])
{
	struct plan *p;

	DL_FOREACH (all->list, p)
		if (!memcmp(p->id, id, sizeof(p->id)))
			return p;
	return NULL;
}

void plans_show(struct plans *all, json_t *list)
{
	const char *server =
		all->node->who.n_managers ? all->node->who.managers->name : "";
	struct plan *p;

	DL_FOREACH (all->list, p)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:O}", "state",
					"defined", "name", p->name, "server",
					server, "members", p->members));
}

const char *plan_name(const struct plan *p)
{
	return p->name;
}

const uint8_t *plan_id(const struct plan *p)
{
	return p->id;
}

const struct group_policy *plan_policy(const struct plan *p)
{
	return &p->policy;
}

json_t *plan_members(const struct plan *p)
{
	return p->members;
}

/* --- the GMS ------------------------------------------------------------------------------- */

static bool question(struct server *s, const uint8_t *done, bool declined)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupPlanQuestion body = NTM__GROUP_PLAN_QUESTION__INIT;

	if (done) {
		body.done =
			(ProtobufCBinaryData){GROUP_ID_LEN, (uint8_t *)done};
		body.declined = declined;
	}
	e.body_case = NTM__ENVELOPE__BODY_GROUP_PLAN_QUESTION;
	e.group_plan_question = &body;
	return server_send(s, NULL, &e);
}

void plan_over(struct plans *all, struct plan *p, bool declined)
{
	/* where it is not heard it is asked again, and answered by who is in */
	if (!all->held || !question(all->held, p->id, declined))
		log_info("member", "the server is not told of %s", p->name);
	plan_free(all, p);
	asking_changed(all->node->asks);
}

void plans_online(struct server *s)
{
	if (server_manager(s) && !question(s, NULL, false))
		log_debug("member", "what is defined is not asked");
}

/* they may ask again */
static void looks_end(struct plans *all)
{
	struct look *l = all->looks, *next;

	all->looks = NULL;
	loop_timer_disarm(all->patience);
	for (; l; l = next) {
		next = l->next;
		l->fn(l->ask);
		free(l);
	}
}

void plans_heard(struct plans *all, const Ntm__GroupPlans *m)
{
	while (all->list)
		plan_free(all, all->list);
	for (size_t i = 0; i < m->n_plans; i++)
		plan_take(all, m->plans[i]);
	all->heard = loop_now_exact(all->node->loop);
	looks_end(all);
	asking_changed(all->node->asks);
}

static void on_patience(void *arg)
{
	looks_end(arg);
}

static void on_hold(void *arg)
{
	struct plans *all = arg;
	struct server *s = all->held;

	all->held = NULL;
	if (s)
		server_release(s);
}

/* Return: false: there is none, or it does not answer these days */
static bool reach(struct plans *all)
{
	const struct who *w = &all->node->who;
	const struct who_manager *gms = w->managers;

	if (!w->logged_in || !w->n_managers)
		return false;
	loop_timer_arm(all->hold, LOOP_S(HOLD_S));
	if (!all->held) {
		if (server_of(all->node, gms->name, gms->ed_pub, &all->held))
			return false;
		server_hold(all->held);
	}
	if (server_is_open(all->held))
		return question(all->held, NULL, false);
	return !*server_trouble(all->held);
}

void plans_look(struct plans *all, struct ask *a, void (*fn)(struct ask *a))
{
	uint64_t now = loop_now_exact(all->node->loop);
	struct look *l;

	if ((all->heard && now - all->heard < LOOP_S(FRESH_S) && all->held) ||
	    !reach(all)) {
		fn(a);
		return;
	}
	l = calloc(1, sizeof(*l));
	if (!l) {
		fn(a);
		return;
	}
	l->ask = a;
	l->fn = fn;
	LL_APPEND(all->looks, l);
	loop_timer_arm(all->patience, LOOP_S(LOOK_S));
}

/* --- life ------------------------------------------------------------------------------------ */

int plans_open(struct node *n, struct plans **out)
{
	struct plans *all = calloc(1, sizeof(*all));
	int r = all ? 0 : -NTM_ENOMEM;

	if (r)
		return r;
	all->node = n;
	r = loop_timer_new(n->loop, on_patience, all, &all->patience);
	if (!r)
		r = loop_timer_new(n->loop, on_hold, all, &all->hold);
	if (r)
		plans_close(all);
	else
		*out = all;
	return r;
}

void plans_close(struct plans *all)
{
	if (!all)
		return;
	looks_end(all);
	on_hold(all);
	while (all->list)
		plan_free(all, all->list);
	loop_timer_free(all->patience);
	loop_timer_free(all->hold);
	free(all);
}
