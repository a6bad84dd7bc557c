/* SPDX-License-Identifier: MIT */
/* ledger_end - of the ledger: a group that all members have left */
#include "servers/gms/ledger_impl.h"

bool ledger_is_left(const struct ledger_group *lg)
{
	size_t i;

	for (i = 0; i < lg->n; i++)
		if (!lg->people[i].leaving)
			return false;
	return true;
}

int64_t ledger_ended(const struct ledger_group *lg)
{
	return lg->ended;
}

static int run_on(struct ledger *l, const struct ledger_group *lg,
		  enum ledger_statement st, int index)
{
	store_bind_blob(l->store, st, index, lg->id, sizeof(lg->id));
	return store_run(l->store, st);
}

static int finish(struct ledger *l, int r)
{
	if (!r)
		r = store_commit(l->store);
	if (r)
		store_rollback(l->store);
	return r;
}

int ledger_end(struct ledger *l, struct ledger_group *lg)
{
	int64_t now = ntmc_now(l->env);
	int r = store_begin(l->store);

	if (r)
		return r;
	store_bind_int(l->store, GROUP_END, 1, now);
	r = run_on(l, lg, GROUP_END, 2);
	if (!r)
		r = run_on(l, lg, PARTS_WIPE, 1);
	r = finish(l, r);
	if (r)
		return r;
	lg->ended = now;
	ntmc_key_clear(&lg->rn2);
	return 0;
}

int ledger_wipe(struct ledger *l, struct ledger_group *lg)
{
	int r = store_begin(l->store);

	if (r)
		return r;
	r = run_on(l, lg, ENTRIES_WIPE, 1);
	if (!r)
		r = run_on(l, lg, PARTS_WIPE, 1);
	if (!r)
		r = run_on(l, lg, PEOPLE_WIPE, 1);
	if (!r)
		r = run_on(l, lg, GROUP_WIPE, 1);
	r = finish(l, r);
	if (!r)
		ledger_group_drop(l, lg);
	return r;
}
