/* SPDX-License-Identifier: MIT */
/* asks_join - the requests of member.sock by which devices come into a group */
#include <string.h>

#include "broker/member/asks.h"
#include "broker/member/plans.h"

/* --- found ------------------------------------------------------------------------------ */

/* @plan: where an administrator has defined it; else NULL */
static void found(struct ask *a, const char *name,
		  const struct group_policy *policy, const struct plan *plan)
{
	struct part *p;
	int r = part_found(ask_node(a), name, policy, &p);

	if (r == -NTM_ENOTFOUND && node_renew_login(ask_node(a), a))
		return; /* the login is of before there was one, maybe */
	if (r == -NTM_ENOTFOUND) {
		ask_fail(a, r,
			 "this domain has no server for groups, whose "
			 "administrator adds gms to server.roles, or it could "
			 "not be asked just now; try again in a while");
		return;
	}
	if (r) {
		ask_done(a, r);
		return;
	}
	p->waits = a;
	p->planned = plan;
	if (plan)
		memcpy(p->plan, plan_id(plan), sizeof(p->plan));
}

void asks_create(struct ask *a)
{
	struct group_policy policy = group_policy_default;
	const char *name = ask_text(a, "name");
	struct part *p;

	if (!group_name_ok(name)) {
		ask_fail(a, -NTM_EINVAL,
			 "a group's name is 1 to 63 of a-z, 0-9 and inner "
			 "hyphens");
		return;
	}
	if (!ask_node(a)->who.logged_in) {
		ask_fail(a, -NTM_ENOLOGIN, NULL);
		return;
	}
	if (!part_find(ask_node(a), name, &p)) {
		ask_fail(a, -NTM_EEXISTS,
			 "this device is in a group of that name already");
		return;
	}
	if (!ask_policy(a, &policy))
		return;
	found(a, name, &policy, NULL);
}

void asks_founded(struct part *p)
{
	struct ask *a = p->waits;

	p->waits = NULL;
	if (p->planned) {
		inviting_plan(a, p);
		return;
	}
	ask_answer(a, json_pack("{s:s, s:s}", "name", member_name(p->m), "id",
				part_id_text(member_id(p->m))));
}

/* --- invitations ----------------------------------------------------------------------- */

void asks_invite(struct ask *a)
{
	struct part *p = ask_part(a);

	if (p)
		inviting_begin(a, p);
}

static void no_invitation(struct ask *a)
{
	ask_fail(a, -NTM_ENOTFOUND,
		 "no such invitation waits; see `ntm-group list`");
}

/* an administrator's wish, where no member's invitation is meant */
static void accept_plan(struct ask *a)
{
	const char *name = ask_text(a, "group");
	struct plan *plan = plans_find(ask_node(a)->plans, name);
	struct part *p;

	if (!plan && papers_fetch_held(ask_node(a)->papers, name)) {
		ask_answer(a, json_pack("{s:s}", "fetched", name));
		return;
	}
	if (!plan) {
		no_invitation(a);
		return;
	}
	if (part_find(ask_node(a), name, &p)) {
		found(a, name, plan_policy(plan), plan);
		return;
	}
	/* founded before, and then something failed: who is left is invited */
	if (!p->over && server_manager(p->server) && member_index(p->m) == 0) {
		memcpy(p->plan, plan_id(plan), sizeof(p->plan));
		inviting_plan(a, p);
		return;
	}
	ask_fail(a, -NTM_EEXISTS,
		 "this device is in a group of that name; leave that one "
		 "first, or decline this");
}

static void decline_plan(struct ask *a)
{
	struct plans *all = ask_node(a)->plans;
	struct plan *plan = plans_find(all, ask_text(a, "group"));

	if (!plan) {
		no_invitation(a);
		return;
	}
	plan_over(all, plan, true);
	ask_answer(a, NULL);
}

/* @agreed: one that the person has accepted is meant as well */
static void decide(struct ask *a, bool agreed, void (*plan)(struct ask *a),
		   int (*fn)(struct papers *all, struct paper *p))
{
	struct papers *all = ask_node(a)->papers;
	const char *name = ask_text(a, "group");
	struct paper *p;
	int r = papers_find(all, PAPER_INVITED, name, &p);

	if (r == -NTM_ENOTFOUND && agreed)
		r = papers_find(all, PAPER_AGREED, name, &p);
	if (r == -NTM_ENOTFOUND) {
		plans_look(ask_node(a)->plans, a, plan);
		return;
	}
	if (r) {
		ask_fail(a, r,
			 "several invitations are meant; give the group's ID, "
			 "see `ntm-group list`");
		return;
	}
	r = fn(all, p);
	if (r == -NTM_EEXISTS)
		ask_fail(a, r,
			 "this device is in, or joins, a group of that name; "
			 "leave that one first, with --here where it is not in "
			 "yet, or decline it");
	else if (r == -NTM_EEXPIRED)
		ask_fail(a, r, "the invitation has run out; ask for another");
	else
		ask_done(a, r);
}

void asks_accept(struct ask *a)
{
	decide(a, false, accept_plan, papers_accept);
}

void asks_decline(struct ask *a)
{
	decide(a, true, decline_plan, papers_decline);
}
