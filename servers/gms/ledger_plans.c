/* SPDX-License-Identifier: MIT */
/* ledger_plans - of the ledger: groups that an administrator has defined */
#include "servers/gms/ledger_impl.h"

#include <stdio.h>
#include <stdlib.h>

int ledger_plan_put(struct ledger *l, const struct ledger_plan *p)
{
	store_bind_blob(l->store, PLAN_PUT, 1, p->id, sizeof(p->id));
	store_bind_text(l->store, PLAN_PUT, 2, p->founder);
	store_bind_int(l->store, PLAN_PUT, 3, p->made);
	store_bind_blob(l->store, PLAN_PUT, 4, p->body, p->len);
	return store_run(l->store, PLAN_PUT);
}

int ledger_plan_over(struct ledger *l, const struct ledger_plan *p)
{
	store_bind_text(l->store, PLAN_OVER, 1, p->founder);
	store_bind_int(l->store, PLAN_OVER, 2, p->over);
	store_bind_int(l->store, PLAN_OVER, 3, p->declined);
	store_bind_blob(l->store, PLAN_OVER, 4, p->id, sizeof(p->id));
	return store_run(l->store, PLAN_OVER);
}

int ledger_plan_drop(struct ledger *l, const uint8_t id[static GROUP_ID_LEN])
{
	store_bind_blob(l->store, PLAN_DROP, 1, id, GROUP_ID_LEN);
	return store_run(l->store, PLAN_DROP);
}

int ledger_plans(struct ledger *l,
		 void (*fn)(void *arg, const struct ledger_plan *p), void *arg)
{
	uint8_t *body = malloc(LEDGER_PLAN_MAX);
	struct store *s = l->store;
	struct ledger_plan p;
	int r = body ? 0 : -NTM_ENOMEM;

	while (body && (r = store_step(s, PLANS_ALL)) == 1) {
		p = (struct ledger_plan){
			.made = store_int(s, PLANS_ALL, 2),
			.over = store_int(s, PLANS_ALL, 4),
			.declined = store_int(s, PLANS_ALL, 5) != 0,
			.body = body,
		};
		store_blob(s, PLANS_ALL, 0, p.id, sizeof(p.id));
		snprintf(p.founder, sizeof(p.founder), "%s",
			 store_text(s, PLANS_ALL, 1));
		p.len = store_blob(s, PLANS_ALL, 3, body, LEDGER_PLAN_MAX);
		if (p.len <= LEDGER_PLAN_MAX)
			fn(arg, &p);
	}
	free(body);
	return r < 0 ? r : 0;
}
