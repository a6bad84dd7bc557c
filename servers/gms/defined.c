/* SPDX-License-Identifier: MIT */
/*
 * defined - groups that an administrator has defined, until their founder founds them
 *
 * Theory of operation
 *
 * A plan is a wish, and gives nobody anything: the create entry is the founder's, whose
 * device makes RN1's first share. So all that is here is names, rights and rules; that a
 * plan was followed, the founder's device says. Only nodes of our domain are asked, by
 * the name in the certificate that our CA gave them. What is over stays for
 * GMS_KEEP_S, for the administrator to see.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "common/fqdn.h"
#include "common/grouprules.h"
#include "common/datagram.h"
#include "common/log.h"
#include "libntmcrypto/groupkey.h"
#include "servers/gms/state.h"

#define PLANS_MAX	256
#define PLAN_MEMBERS	64
#define PLAN_FOUNDERS	16    /* that wait for one founder */
#define PLANS_BYTES_MAX 49152 /* in one answer */

struct plan {
	struct plan *prev, *next;
	struct ledger_plan l;
	Ntm__GroupPlan *p;
};

static void plan_free(struct gms *gms, struct plan *pl)
{
	DL_DELETE(gms->plans, pl);
	gms->n_plans--;
	ntm__group_plan__free_unpacked(pl->p, NULL);
	free(pl);
}

static int plan_add(struct gms *gms, const struct ledger_plan *l)
{
	struct plan *pl = calloc(1, sizeof(*pl));

	if (!pl)
		return -NTM_ENOMEM;
	pl->l = *l;
	pl->l.body = NULL;
	pl->p = ntm__group_plan__unpack(NULL, l->len, l->body);
	if (!pl->p || datagram_check(&pl->p->base)) {
		ntm__group_plan__free_unpacked(pl->p, NULL);
		free(pl);
		return -NTM_EDECODE;
	}
	DL_APPEND(gms->plans, pl);
	gms->n_plans++;
	return 0;
}

static void plan_load(void *arg, const struct ledger_plan *l)
{
	if (plan_add(arg, l))
		log_err("gms", "a group that was defined makes no sense");
}

int defined_open(struct gms *gms)
{
	return ledger_plans(gms->ledger, plan_load, gms);
}

void defined_close(struct gms *gms)
{
	while (gms->plans)
		plan_free(gms, gms->plans);
}

void defined_tidy(struct gms *gms)
{
	int64_t now = loop_wall(gms->loop);
	struct plan *pl, *tmp;

	DL_FOREACH_SAFE (gms->plans, pl, tmp)
		if (pl->l.over && now - pl->l.over >= GMS_KEEP_S &&
		    !ledger_plan_drop(gms->ledger, pl->l.id))
			plan_free(gms, pl);
}

/* --- the founder ---------------------------------------------------------------------- */

/* @founder is a device, or an account, whose devices all may */
static bool is_for(const struct plan *pl, const struct caller *ca)
{
	return !pl->l.over && ca->ours &&
	       fqdn_is_within(ca->fqdn, pl->l.founder);
}

static void tell(struct caller *ca, uint32_t txn)
{
	Ntm__Envelope env = NTM__ENVELOPE__INIT;
	Ntm__GroupPlans body = NTM__GROUP_PLANS__INIT;
	Ntm__GroupPlan *list[PLAN_FOUNDERS];
	size_t bytes = 0;
	struct plan *pl;

	body.plans = list;
	DL_FOREACH (ca->gms->plans, pl) {
		if (!is_for(pl, ca) || body.n_plans == PLAN_FOUNDERS)
			continue;
		bytes += ntm__group_plan__get_packed_size(pl->p) + 4;
		if (bytes > PLANS_BYTES_MAX)
			break; /* the rest when these are founded */
		list[body.n_plans++] = pl->p;
	}
	env.txn = txn;
	env.body_case = NTM__ENVELOPE__BODY_GROUP_PLANS;
	env.group_plans = &body;
	caller_send(ca, &env);
}

static struct plan *plan_of(struct gms *gms, const uint8_t *id)
{
	struct plan *pl;

	DL_FOREACH (gms->plans, pl)
		if (!memcmp(pl->l.id, id, sizeof(pl->l.id)))
			return pl;
	return NULL;
}

static void over(struct caller *ca, struct plan *pl, bool declined)
{
	struct ledger_plan l = pl->l;
	int r;

	l.over = loop_wall(ca->gms->loop);
	l.declined = declined;
	snprintf(l.founder, sizeof(l.founder), "%s", ca->fqdn);
	r = ledger_plan_over(ca->gms->ledger, &l);
	if (r) {
		log_err("gms", "that %s was founded is not written: %s",
			pl->p->name, err_text(r));
		return;
	}
	pl->l = l;
	log_info("gms", "%s has %s a group that was defined", ca->fqdn,
		 declined ? "declined to found" : "founded");
}

void defined_question(struct caller *ca, uint32_t txn,
		      const Ntm__GroupPlanQuestion *m)
{
	struct plan *pl = m->done.len ? plan_of(ca->gms, m->done.data) : NULL;

	if (pl && is_for(pl, ca))
		over(ca, pl, m->declined);
	tell(ca, txn);
}

/* --- the administrator ------------------------------------------------------------------ */

static json_t *failed(int err, const char *text)
{
	return json_pack("{s:b, s:s, s:s}", "ok", 0, "error", err_name(err),
			 "text", text ? text : err_text(err));
}

static const char *text_of(const json_t *request, const char *key)
{
	const char *s = json_string_value(json_object_get(request, key));

	return s ? s : "";
}

static struct plan *plan_find(struct gms *gms, const char *name)
{
	struct plan *pl;

	DL_FOREACH (gms->plans, pl)
		if (!pl->l.over && !strcmp(pl->p->name, name))
			return pl;
	return NULL;
}

/* what is wrong with the words; NULL: nothing */
static const char *wrong(struct gms *gms, const json_t *request)
{
	const char *name = text_of(request, "name");
	const char *founder = text_of(request, "founder");
	const json_t *members = json_object_get(request, "members"), *j;
	struct fqdn_parts parts;
	unsigned int n = 0;
	struct plan *pl;
	size_t i;

	if (!group_name_ok(name))
		return "a group's name is 1 to 63 of a-z, 0-9 and inner "
		       "hyphens";
	if (!fqdn_is_valid(founder) ||
	    fqdn_split(founder, gms->conf->domain, &parts))
		return "the founder is an account or a device of this domain, "
		       "as the server founds groups for these alone";
	if (json_array_size(members) > PLAN_MEMBERS)
		return "64 members at most; whoever may can invite more";
	json_array_foreach(members, i, j)
	{
		json_int_t rights =
			json_integer_value(json_object_get(j, "rights"));

		if (!fqdn_is_valid(text_of(j, "name")) || rights < 0 ||
		    rights > GROUP_ALL_RIGHTS)
			return "a member is NAME or NAME:RIGHTS; see "
			       "ntm-server(8)";
	}
	if (plan_find(gms, name))
		return "a group of that name is defined already and waits for "
		       "its founder; see ntm-server gms list";
	DL_FOREACH (gms->plans, pl)
		n += !pl->l.over && !strcmp(pl->l.founder, founder);
	if (gms->n_plans >= PLANS_MAX)
		return "the list of groups that are defined, or were lately, "
		       "is full; see ntm-server gms list";
	if (n >= PLAN_FOUNDERS)
		return "too many groups are defined and wait for their "
		       "founders; see ntm-server gms list";
	return NULL;
}

/* @m: PLAN_MEMBERS of them, @list too; names are borrowed of @request */
static void fill(Ntm__GroupPlan *p, const json_t *request,
		 const struct group_policy *rules, Ntm__GroupPlanMember *m,
		 Ntm__GroupPlanMember **list)
{
	const json_t *members = json_object_get(request, "members"), *j;
	size_t i;

	p->name = (char *)text_of(request, "name");
	json_array_foreach(members, i, j)
	{
		ntm__group_plan_member__init(&m[i]);
		m[i].name = (char *)text_of(j, "name");
		m[i].rights = (uint32_t)json_integer_value(
			json_object_get(j, "rights"));
		list[i] = &m[i];
	}
	p->n_members = json_array_size(members);
	p->members = list;
	p->auth = rules->auth;
	p->delegate = rules->delegate;
	p->keep_s = rules->keep_s;
	p->renew_s = rules->renew_s;
	p->refresh_s = rules->refresh_s;
	p->evict_s = rules->evict_s;
	p->max_age_s = rules->max_age_s;
}

static int put(struct gms *gms, const json_t *request,
	       const struct group_policy *rules, struct ledger_plan *l)
{
	Ntm__GroupPlanMember m[PLAN_MEMBERS], *list[PLAN_MEMBERS];
	Ntm__GroupPlan p = NTM__GROUP_PLAN__INIT;
	uint8_t *body;
	int r;

	ntmc_random(NULL, l->id, sizeof(l->id));
	p.id = (ProtobufCBinaryData){sizeof(l->id), l->id};
	fill(&p, request, rules, m, list);
	l->made = loop_wall(gms->loop);
	snprintf(l->founder, sizeof(l->founder), "%s",
		 text_of(request, "founder"));
	l->len = ntm__group_plan__get_packed_size(&p);
	body = malloc(l->len);
	if (!body)
		return -NTM_ENOMEM;
	ntm__group_plan__pack(&p, body);
	l->body = body;
	r = datagram_check(&p.base);
	if (!r)
		r = ledger_plan_put(gms->ledger, l);
	if (!r)
		r = plan_add(gms, l);
	free(body);
	l->body = NULL;
	return r;
}

/* whoever is connected and may found for @founder hears what waits now */
static void tell_all(struct gms *gms, const char *founder)
{
	struct caller *ca, *tmp;

	HASH_ITER (hh, gms->callers, ca, tmp)
		if (ca->ours && fqdn_is_within(ca->fqdn, founder))
			tell(ca, 0);
}

static json_t *define(struct gms *gms, const json_t *request)
{
	struct group_policy rules = group_policy_default;
	const char *why = wrong(gms, request);
	struct ledger_plan l = {.over = 0};
	char text[GROUPRULES_WHY_LEN];
	int r;

	if (why)
		return failed(-NTM_EINVAL, why);
	r = grouprules_take(json_object_get(request, "rules"), &rules, text);
	if (r)
		return failed(r, text);
	r = put(gms, request, &rules, &l);
	if (r)
		return failed(r, NULL);
	log_info("gms", "a group is defined; %s is to found it", l.founder);
	tell_all(gms, l.founder);
	return json_pack("{s:b, s:s, s:s}", "ok", 1, "name",
			 text_of(request, "name"), "founder", l.founder);
}

static json_t *undefine(struct gms *gms, const json_t *request)
{
	struct plan *pl = plan_find(gms, text_of(request, "name"));
	char founder[NTMC_FQDN_MAX + 1];
	int r;

	if (!pl)
		return failed(-NTM_ENOTFOUND,
			      "no group of that name waits for its founder; "
			      "one that was founded is its members', see "
			      "ntm-server gms list");
	r = ledger_plan_drop(gms->ledger, pl->l.id);
	if (r)
		return failed(r, NULL);
	memcpy(founder, pl->l.founder, sizeof(founder));
	plan_free(gms, pl);
	tell_all(gms, founder);
	return json_pack("{s:b}", "ok", 1);
}

json_t *defined_list(struct gms *gms)
{
	json_t *list = json_array(), *members;
	struct plan *pl;

	DL_FOREACH (gms->plans, pl) {
		members = json_array();
		for (size_t i = 0; i < pl->p->n_members; i++)
			json_array_append_new(
				members,
				json_pack("{s:s, s:i}", "name",
					  pl->p->members[i]->name, "rights",
					  (int)pl->p->members[i]->rights));
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:I, s:I, s:s, s:o}", "name",
				  pl->p->name, "founder", pl->l.founder,
				  "defined", (json_int_t)pl->l.made, "over",
				  (json_int_t)pl->l.over, "state",
				  !pl->l.over	   ? "waits"
				  : pl->l.declined ? "declined"
						   : "founded",
				  "members", members));
	}
	return list;
}

json_t *defined_admin(struct gms *gms, const char *command,
		      const json_t *request)
{
	if (!strcmp(command, "define"))
		return define(gms, request);
	if (!strcmp(command, "undefine"))
		return undefine(gms, request);
	return NULL;
}
