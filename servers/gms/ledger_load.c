/* SPDX-License-Identifier: MIT */
/* ledger_load - of the ledger: groups and members as the store has them, at the start */
#include "servers/gms/ledger_impl.h"

#include <stdlib.h>
#include <string.h>

static int load_people(struct ledger *l, struct ledger_group *lg)
{
	struct store *s = l->store;
	int r;

	store_bind_blob(s, PEOPLE_OF, 1, lg->id, sizeof(lg->id));
	while ((r = store_step(s, PEOPLE_OF)) == 1) {
		struct ledger_person *p = ledger_person_of(
			lg, (uint32_t)store_int(s, PEOPLE_OF, 0));

		if (!p)
			continue;
		p->serial = (uint64_t)store_int(s, PEOPLE_OF, 1);
		store_blob(s, PEOPLE_OF, 2, p->prekey, sizeof(p->prekey));
		p->acked = (uint64_t)store_int(s, PEOPLE_OF, 3);
		store_blob(s, PEOPLE_OF, 4, p->confirmation,
			   sizeof(p->confirmation));
		p->seen = store_int(s, PEOPLE_OF, 5);
		p->leave.index = p->index;
		p->leave.epoch = (uint64_t)store_int(s, PEOPLE_OF, 6);
		p->leaving = store_blob(s, PEOPLE_OF, 7, p->leave.sig,
					sizeof(p->leave.sig)) ==
			     sizeof(p->leave.sig);
	}
	return r;
}

static int load_group(struct ledger *l, struct ledger_group *lg)
{
	struct store *s = l->store;
	size_t len = store_blob(s, GROUPS_ALL, 4, NULL, 0);
	uint8_t *state = malloc(len + 1);
	int r = -NTM_EDECODE;

	if (!state)
		return -NTM_ENOMEM;
	store_blob(s, GROUPS_ALL, 4, state, len);
	if (store_blob(s, GROUPS_ALL, 0, lg->id, sizeof(lg->id)) ==
		    sizeof(lg->id) &&
	    store_blob(s, GROUPS_ALL, 1, lg->rn2.b, sizeof(lg->rn2.b)) ==
		    sizeof(lg->rn2.b) &&
	    store_blob(s, GROUPS_ALL, 2, lg->seal, sizeof(lg->seal)) ==
		    sizeof(lg->seal))
		r = group_load(state, len, &lg->g);
	free(state);
	lg->renewed = store_int(s, GROUPS_ALL, 3);
	lg->ended = store_int(s, GROUPS_ALL, 5);
	if (!r && memcmp(group_id(lg->g), lg->id, sizeof(lg->id)))
		r = -NTM_EDECODE;
	if (r)
		return r;
	lg->n = group_size(lg->g);
	lg->people = calloc(lg->n, sizeof(*lg->people));
	if (!lg->people)
		return -NTM_ENOMEM;
	for (len = 0; len < lg->n; len++)
		lg->people[len].index = group_at(lg->g, len)->index;
	return 0;
}

int ledger_load(struct ledger *l)
{
	struct ledger_group *lg, *tmp;
	int r, err = 0;

	while (!err && (r = store_step(l->store, GROUPS_ALL)) == 1) {
		lg = calloc(1, sizeof(*lg));
		err = lg ? load_group(l, lg) : -NTM_ENOMEM;
		if (err)
			ledger_group_free(lg);
		else
			HASH_ADD(hh, l->groups, id, sizeof(lg->id), lg);
	}
	if (err)
		store_reset(l->store, GROUPS_ALL);
	else
		err = r;
	HASH_ITER (hh, l->groups, lg, tmp)
		if (!err)
			err = load_people(l, lg);
	return err;
}
