/* SPDX-License-Identifier: MIT */
/*
 * plans - groups that an administrator asks this device to found (docs/groups.md)
 *
 * Owner:    struct node. Context: loop thread. Nothing of it is on the disk: the GMS of
 *           our domain is asked when a person wants to see it, and tells by itself who is
 *           connected. A plan is a wish of somebody outside the group; the person decides.
 */
#ifndef NTM_BROKER_MEMBER_PLANS_H
#define NTM_BROKER_MEMBER_PLANS_H

#include "broker/member/asks.h"

struct plan;
struct plans;

NTM_MUST_CHECK int plans_open(struct node *n, struct plans **out);
void plans_close(struct plans *all);
/** @fn(@a) as soon as it is known what there is, or that it cannot be known now */
void plans_look(struct plans *all, struct ask *a, void (*fn)(struct ask *a));
/** our domain's GMS is connected: it is asked */
void plans_online(struct server *s);
void plans_heard(struct plans *all, const Ntm__GroupPlans *m);

/** of that name; NULL: none */
struct plan *plans_find(struct plans *all, const char *name);
struct plan *plans_by_id(struct plans *all,
			 const uint8_t id[static GROUP_ID_LEN]);
/** as an invitation is shown; a list to append to */
void plans_show(struct plans *all, json_t *list);
const char *plan_name(const struct plan *p);
const uint8_t *plan_id(const struct plan *p);
const struct group_policy *plan_policy(const struct plan *p);
/** [{"name", "rights"}]; borrowed */
json_t *plan_members(const struct plan *p);
/** founded, or not: the GMS is told, and @p goes */
void plan_over(struct plans *all, struct plan *p, bool declined);

#endif
