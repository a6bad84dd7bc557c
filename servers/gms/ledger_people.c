/* SPDX-License-Identifier: MIT */
/* ledger_people - of the ledger: what is known of members, and what they read */
#include "servers/gms/ledger_impl.h"

#include <string.h>

int ledger_person_put(struct ledger *l, const struct ledger_group *lg,
		      const struct ledger_person *p)
{
	struct store *s = l->store;

	store_bind_blob(s, PERSON_PUT, 1, lg->id, sizeof(lg->id));
	store_bind_int(s, PERSON_PUT, 2, p->index);
	store_bind_int(s, PERSON_PUT, 3, (int64_t)p->serial);
	store_bind_blob(s, PERSON_PUT, 4, p->prekey, sizeof(p->prekey));
	store_bind_int(s, PERSON_PUT, 5, (int64_t)p->acked);
	store_bind_blob(s, PERSON_PUT, 6, p->confirmation,
			sizeof(p->confirmation));
	store_bind_int(s, PERSON_PUT, 7, p->seen);
	if (p->leaving) {
		store_bind_int(s, PERSON_PUT, 8, (int64_t)p->leave.epoch);
		store_bind_blob(s, PERSON_PUT, 9, p->leave.sig,
				sizeof(p->leave.sig));
	}
	return store_run(s, PERSON_PUT);
}

/* --- members -------------------------------------------------------------------------- */

int ledger_prekey(struct ledger *l, struct ledger_group *lg, uint32_t index,
		  const uint8_t *prekey, size_t len)
{
	struct ledger_person *p = ledger_person_of(lg, index);
	struct group_prekey k;
	int r = p ? group_prekey_get(prekey, len, &k) : -NTM_ENONAME;

	if (r)
		return r;
	if (k.serial <= p->serial || k.serial > INT64_MAX)
		return -NTM_EEXISTS;
	r = group_prekey_verify(&k, lg->id, group_find(lg->g, index)->ed_pub);
	/* else nobody could seal a part to it, and so none make an entry */
	if (!r && !ntmc_x25519_public_ok(k.pub))
		r = -NTM_EAUTH;
	if (r)
		return r;
	memcpy(p->prekey, prekey, sizeof(p->prekey));
	p->serial = k.serial;
	p->dirty = true;
	l->dirty = true;
	return 0;
}

static void want_over(struct ledger_group *lg, struct ledger_person *p)
{
	lg->n_wants -= p->wants && lg->n_wants;
	p->wants = false;
}

void ledger_ack(struct ledger *l, struct ledger_group *lg, uint32_t index,
		uint64_t epoch, const uint8_t *confirmation)
{
	struct ledger_person *p = ledger_person_of(lg, index);

	if (!p || epoch > group_epoch(lg->g))
		return;
	p->seen = ntmc_now(l->env);
	if (epoch > p->acked)
		p->acked = epoch;
	if (confirmation && epoch == group_epoch(lg->g))
		want_over(lg, p);
	if (confirmation && epoch == p->acked)
		memcpy(p->confirmation, confirmation, sizeof(p->confirmation));
	p->dirty = true;
	l->dirty = true;
}

int ledger_leave(struct ledger *l, struct ledger_group *lg,
		 const struct group_leave *leave)
{
	struct ledger_person *p = ledger_person_of(lg, leave->index), with;
	int r = group_leave_verify(lg->g, leave);

	if (r)
		return r;
	with = *p;
	with.leave = *leave;
	with.leaving = true;
	r = ledger_person_put(l, lg, &with);
	if (!r)
		*p = with;
	return r;
}

int ledger_want(struct ledger *l, struct ledger_group *lg, uint32_t index,
		unsigned int pause_s)
{
	struct ledger_person *p = ledger_person_of(lg, index);
	int64_t now = ntmc_now(l->env);

	/* a clock that was put back must not silence it */
	if (p->asked && now >= p->asked && now - p->asked < pause_s)
		return -NTM_ERATE;
	lg->n_wants += !p->wants;
	p->wants = true;
	return 0;
}

bool ledger_has_wants(const struct ledger_group *lg)
{
	return lg->n_wants > 0;
}

void ledger_want_passed(struct ledger *l, struct ledger_group *lg,
			uint32_t index)
{
	ledger_person_of(lg, index)->asked = ntmc_now(l->env);
}

static int flush_group(struct ledger *l, struct ledger_group *lg)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < lg->n; i++) {
		struct ledger_person *p = &lg->people[i];

		if (!p->dirty)
			continue;
		r = ledger_person_put(l, lg, p);
		store_bind_blob(l->store, PARTS_DONE, 1, lg->id,
				sizeof(lg->id));
		store_bind_int(l->store, PARTS_DONE, 2, p->index);
		store_bind_int(l->store, PARTS_DONE, 3, (int64_t)p->acked);
		if (!r)
			r = store_run(l->store, PARTS_DONE);
	}
	return r;
}

int ledger_flush(struct ledger *l)
{
	struct ledger_group *lg, *tmp;
	size_t i;
	int r;

	if (!l->dirty)
		return 0;
	r = store_begin(l->store);
	if (r)
		return r;
	HASH_ITER (hh, l->groups, lg, tmp)
		if (!r)
			r = flush_group(l, lg);
	if (!r)
		r = store_commit(l->store);
	if (r) {
		store_rollback(l->store);
		return r;
	}
	HASH_ITER (hh, l->groups, lg, tmp)
		for (i = 0; i < lg->n; i++)
			lg->people[i].dirty = false;
	l->dirty = false;
	return 0;
}

/* --- reading --------------------------------------------------------------------------- */

int ledger_read(struct ledger *l, const struct ledger_group *lg, uint32_t index,
		uint64_t epoch,
		bool (*fn)(void *arg, const struct ledger_logged *e), void *arg)
{
	uint8_t entry[GROUP_ENTRY_MAX], sealer[NTMC_KEY_LEN];
	uint8_t part[GROUP_PART_LEN];
	struct store *s = l->store;
	int r;

	store_bind_int(s, ENTRIES_AFTER, 1, index);
	store_bind_blob(s, ENTRIES_AFTER, 2, lg->id, sizeof(lg->id));
	store_bind_int(s, ENTRIES_AFTER, 3, (int64_t)epoch);
	while ((r = store_step(s, ENTRIES_AFTER)) == 1) {
		struct ledger_logged e = {
			.epoch = (uint64_t)store_int(s, ENTRIES_AFTER, 0),
			.entry = entry,
			.len = store_blob(s, ENTRIES_AFTER, 1, entry,
					  sizeof(entry)),
		};

		if (store_blob(s, ENTRIES_AFTER, 2, sealer, sizeof(sealer)))
			e.sealer = sealer;
		if (store_blob(s, ENTRIES_AFTER, 3, part, sizeof(part)))
			e.part = part;
		if (!fn(arg, &e)) {
			store_reset(s, ENTRIES_AFTER);
			return 0;
		}
	}
	return r;
}

int ledger_hash(struct ledger *l, const struct ledger_group *lg, uint64_t epoch,
		uint8_t hash[static NTMC_HASH_LEN])
{
	uint8_t entry[GROUP_ENTRY_MAX];
	struct group_entry e;
	size_t len;
	int r;

	if (epoch == group_epoch(lg->g)) {
		memcpy(hash, group_hash(lg->g), NTMC_HASH_LEN);
		return 0;
	}
	/* the entry after it names it */
	store_bind_blob(l->store, ENTRY_NEXT, 1, lg->id, sizeof(lg->id));
	store_bind_int(l->store, ENTRY_NEXT, 2, (int64_t)epoch + 1);
	r = store_step(l->store, ENTRY_NEXT);
	if (r != 1)
		return r ? r : -NTM_ENOTFOUND;
	len = store_blob(l->store, ENTRY_NEXT, 0, entry, sizeof(entry));
	store_reset(l->store, ENTRY_NEXT);
	r = group_entry_get(entry, len, &e);
	if (!r)
		memcpy(hash, e.previous, NTMC_HASH_LEN);
	return r;
}

/* --- keys that the AS shares with us -------------------------------------------------------- */

int ledger_shared_put(struct ledger *l, const struct ledger_shared *k)
{
	struct store *s = l->store;
	int r;

	store_bind_int(s, SHARED_OVER, 1, ntmc_now(l->env));
	r = store_run(s, SHARED_OVER);
	store_bind_int(s, SHARED_PUT, 1, (int64_t)k->id);
	store_bind_blob(s, SHARED_PUT, 2, k->key.b, sizeof(k->key.b));
	store_bind_int(s, SHARED_PUT, 3, k->until);
	return r ? r : store_run(s, SHARED_PUT);
}

int ledger_shared(struct ledger *l, struct ledger_shared *out, size_t max,
		  size_t *n)
{
	struct store *s = l->store;
	int r;

	*n = 0;
	while ((r = store_step(s, SHARED_ALL)) == 1 && *n < max) {
		struct ledger_shared *k = &out[(*n)++];

		k->id = (uint64_t)store_int(s, SHARED_ALL, 0);
		store_blob(s, SHARED_ALL, 1, k->key.b, sizeof(k->key.b));
		k->until = store_int(s, SHARED_ALL, 2);
	}
	if (r == 1)
		store_reset(s, SHARED_ALL);
	return r < 0 ? r : 0;
}
