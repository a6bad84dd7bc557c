/* SPDX-License-Identifier: MIT */
/*
 * ledger - the groups of a GMS
 *
 * Theory of operation
 *
 * A group is in memory as its log has made it (struct group) and on the disk as that
 * state, all entries, and the parts that somebody has not fetched. An entry is applied
 * to a copy first; entry, state, RN2, seal and parts are one transaction; then the copy
 * takes the group's place. So whatever the moment of a crash, the store has the epoch
 * before or the next one, whole, and nobody has been told of an epoch that is not there.
 *
 * RN2 of the epoch before is overwritten: SQLite's secure_delete wipes the row's place, and
 * ledger_tidy() what the write-ahead log has of it, within a second.
 *
 * What members acknowledge is noted, and written by ledger_flush(). What is lost of it
 * in a crash is said again: nodes say in their hello where they are.
 */
#include "servers/gms/ledger_impl.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

static const char *const schema[] = {
	"CREATE TABLE groups (id BLOB PRIMARY KEY, state BLOB NOT NULL,"
	" rn2 BLOB NOT NULL, seal BLOB NOT NULL, renewed INTEGER NOT NULL);"
	"CREATE TABLE entries (id BLOB NOT NULL, epoch INTEGER NOT NULL,"
	" entry BLOB NOT NULL, sealer BLOB, UNIQUE (id, epoch));"
	"CREATE TABLE parts (id BLOB NOT NULL, person INTEGER NOT NULL,"
	" epoch INTEGER NOT NULL, part BLOB NOT NULL,"
	" PRIMARY KEY (id, person, epoch)) WITHOUT ROWID;"
	"CREATE TABLE people (id BLOB NOT NULL, person INTEGER NOT NULL,"
	" serial INTEGER NOT NULL, prekey BLOB NOT NULL,"
	" acked INTEGER NOT NULL, confirmation BLOB NOT NULL,"
	" seen INTEGER NOT NULL, leave_epoch INTEGER, leave_sig BLOB,"
	" PRIMARY KEY (id, person)) WITHOUT ROWID;",
	"CREATE TABLE shared (id INTEGER PRIMARY KEY, key BLOB NOT NULL,"
	" until INTEGER NOT NULL);",
	"ALTER TABLE groups ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;",
	"CREATE TABLE plans (id BLOB PRIMARY KEY, founder TEXT NOT NULL,"
	" made INTEGER NOT NULL, body BLOB NOT NULL,"
	" over INTEGER NOT NULL DEFAULT 0,"
	" declined INTEGER NOT NULL DEFAULT 0);",
};

static const char *const statements[N_STATEMENTS] = {
	[GROUP_PUT] = "INSERT INTO groups (id, state, rn2, seal, renewed)"
		      " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET state "
		      "= excluded.state, rn2 = excluded.rn2,"
		      " seal = excluded.seal, renewed = excluded.renewed",
	[GROUPS_ALL] =
		"SELECT id, rn2, seal, renewed, state, ended FROM groups",
	[ENTRY_PUT] = "INSERT INTO entries VALUES (?, ?, ?, ?)",
	[ENTRIES_AFTER] =
		"SELECT e.epoch, e.entry, e.sealer, p.part FROM entries e LEFT"
		" JOIN parts p ON p.id = e.id AND p.epoch = e.epoch AND"
		" p.person = ? WHERE e.id = ? AND e.epoch > ? ORDER BY e.epoch",
	[ENTRY_NEXT] = "SELECT entry FROM entries WHERE id = ? AND epoch = ?",
	[PART_PUT] = "INSERT INTO parts VALUES (?, ?, ?, ?)",
	[PARTS_DONE] =
		"DELETE FROM parts WHERE id = ? AND person = ? AND epoch <= ?",
	[PERSON_PUT] = "INSERT OR REPLACE INTO people VALUES"
		       " (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[PEOPLE_OF] =
		"SELECT person, serial, prekey, acked, confirmation, seen,"
		" leave_epoch, leave_sig FROM people WHERE id = ?",
	[PEOPLE_GONE] = "DELETE FROM people WHERE id = ? AND person = ?",
	[PARTS_GONE] = "DELETE FROM parts WHERE id = ? AND person = ?",
	[GROUP_END] = "UPDATE groups SET rn2 = zeroblob(32), ended = ?"
		      " WHERE id = ?",
	[PARTS_WIPE] = "DELETE FROM parts WHERE id = ?",
	[PEOPLE_WIPE] = "DELETE FROM people WHERE id = ?",
	[ENTRIES_WIPE] = "DELETE FROM entries WHERE id = ?",
	[GROUP_WIPE] = "DELETE FROM groups WHERE id = ?",
	[SHARED_PUT] = "INSERT OR REPLACE INTO shared VALUES (?, ?, ?)",
	[SHARED_OVER] = "DELETE FROM shared WHERE until <= ?",
	[SHARED_ALL] = "SELECT id, key, until FROM shared ORDER BY until",
	[PLAN_PUT] = "INSERT INTO plans (id, founder, made, body)"
		     " VALUES (?, ?, ?, ?)",
	[PLAN_OVER] = "UPDATE plans SET founder = ?, over = ?, declined = ?"
		      " WHERE id = ?",
	[PLAN_DROP] = "DELETE FROM plans WHERE id = ?",
	[PLANS_ALL] = "SELECT id, founder, made, body, over, declined FROM"
		      " plans ORDER BY made, rowid",
};

/* --- in memory --------------------------------------------------------------------- */

void ledger_group_free(struct ledger_group *lg)
{
	if (!lg)
		return;
	group_free(lg->g);
	ntmc_key_clear(&lg->rn2);
	free(lg->people);
	free(lg);
}

void ledger_group_drop(struct ledger *l, struct ledger_group *lg)
{
	HASH_DEL(l->groups, lg);
	ledger_group_free(lg);
}

struct ledger_group *ledger_find(struct ledger *l,
				 const uint8_t id[static GROUP_ID_LEN])
{
	struct ledger_group *lg;

	HASH_FIND(hh, l->groups, id, GROUP_ID_LEN, lg);
	return lg;
}

void ledger_each(struct ledger *l,
		 void (*fn)(void *arg, struct ledger_group *lg), void *arg)
{
	struct ledger_group *lg, *tmp;

	HASH_ITER (hh, l->groups, lg, tmp)
		fn(arg, lg);
}

size_t ledger_count(const struct ledger *l)
{
	return HASH_COUNT(l->groups);
}

const struct group *ledger_state(const struct ledger_group *lg)
{
	return lg->g;
}

const uint8_t *ledger_seal(const struct ledger_group *lg)
{
	return lg->seal;
}

const struct ntmc_key *ledger_rn2(const struct ledger_group *lg)
{
	return &lg->rn2;
}

int64_t ledger_renewed(const struct ledger_group *lg)
{
	return lg->renewed;
}

void ledger_set_arg(struct ledger_group *lg, void *arg)
{
	lg->arg = arg;
}

void *ledger_arg(const struct ledger_group *lg)
{
	return lg->arg;
}

const struct ledger_person *ledger_person_at(const struct ledger_group *lg,
					     size_t i)
{
	return i < lg->n ? &lg->people[i] : NULL;
}

struct ledger_person *ledger_person_of(const struct ledger_group *lg,
				       uint32_t index)
{
	const struct group_member *m = group_find(lg->g, index);

	return m ? &lg->people[m - group_at(lg->g, 0)] : NULL;
}

const struct ledger_person *ledger_person(const struct ledger_group *lg,
					  uint32_t index)
{
	return ledger_person_of(lg, index);
}

size_t ledger_founded(const struct ledger *l,
		      const uint8_t ed_pub[static NTMC_KEY_LEN])
{
	struct ledger_group *lg, *tmp;
	size_t n = 0;

	HASH_ITER (hh, l->groups, lg, tmp) {
		const struct group_member *m = group_at(lg->g, 0);

		n += !lg->ended && !m->index &&
		     !memcmp(m->ed_pub, ed_pub, NTMC_KEY_LEN);
	}
	return n;
}

/* what is known of the members of @g, where they were there before */
static struct ledger_person *people_of(const struct ledger_group *lg,
				       const struct group *g)
{
	struct ledger_person *all = calloc(group_size(g), sizeof(*all));
	size_t i;

	for (i = 0; all && i < group_size(g); i++) {
		uint32_t index = group_at(g, i)->index;
		const struct ledger_person *p =
			lg->g ? ledger_person_of(lg, index) : NULL;

		if (p)
			all[i] = *p;
		all[i].index = index;
	}
	return all;
}

/* --- the store ----------------------------------------------------------------------- */

const char *const *ledger_schema(size_t *n)
{
	*n = sizeof(schema) / sizeof(schema[0]);
	return schema;
}

int ledger_open(const char *path, const struct ntmc_identity *id,
		const struct ntmc_env *env, struct ledger **out)
{
	struct ledger *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -NTM_ENOMEM;
	l->id = id;
	l->env = env;
	r = store_open(path, schema, sizeof(schema) / sizeof(schema[0]),
		       statements, N_STATEMENTS, &l->store);
	if (!r)
		r = ledger_load(l);
	if (r)
		ledger_close(l);
	else
		*out = l;
	return r;
}

void ledger_close(struct ledger *l)
{
	struct ledger_group *lg, *tmp;

	if (!l)
		return;
	HASH_ITER (hh, l->groups, lg, tmp) {
		HASH_DEL(l->groups, lg);
		ledger_group_free(lg);
	}
	if (l->store)
		store_close(l->store);
	free(l);
}

void ledger_tidy(struct ledger *l)
{
	if (l->stale)
		l->stale = store_tidy(l->store);
}

int ledger_backup(struct ledger *l, const char *path)
{
	return store_backup(l->store, path);
}

/* --- an entry ------------------------------------------------------------------------ */

static int put_entry(struct ledger *l, const struct ledger_group *lg,
		     const uint8_t *entry, size_t len, const uint8_t *sealer)
{
	struct store *s = l->store;
	size_t n;
	uint8_t *state;
	int r;

	if (group_save(lg->g, NULL, 0, &n))
		return -NTM_ESTATE;
	state = malloc(n);
	if (!state)
		return -NTM_ENOMEM;
	r = group_save(lg->g, state, n, &n);
	store_bind_blob(s, GROUP_PUT, 1, lg->id, sizeof(lg->id));
	store_bind_blob(s, GROUP_PUT, 2, state, n);
	store_bind_blob(s, GROUP_PUT, 3, lg->rn2.b, sizeof(lg->rn2.b));
	store_bind_blob(s, GROUP_PUT, 4, lg->seal, sizeof(lg->seal));
	store_bind_int(s, GROUP_PUT, 5, lg->renewed);
	if (!r)
		r = store_run(s, GROUP_PUT);
	free(state);
	store_bind_blob(s, ENTRY_PUT, 1, lg->id, sizeof(lg->id));
	store_bind_int(s, ENTRY_PUT, 2, (int64_t)group_epoch(lg->g));
	store_bind_blob(s, ENTRY_PUT, 3, entry, len);
	if (sealer)
		store_bind_blob(s, ENTRY_PUT, 4, sealer, NTMC_KEY_LEN);
	return r ? r : store_run(s, ENTRY_PUT);
}

static int put_part(struct ledger *l, const struct ledger_group *lg,
		    const struct ledger_part *p)
{
	store_bind_blob(l->store, PART_PUT, 1, lg->id, sizeof(lg->id));
	store_bind_int(l->store, PART_PUT, 2, p->index);
	store_bind_int(l->store, PART_PUT, 3, (int64_t)group_epoch(lg->g));
	store_bind_blob(l->store, PART_PUT, 4, p->part, GROUP_PART_LEN);
	return store_run(l->store, PART_PUT);
}

/* of @old's people those that are not in @lg any more */
static int drop_gone(struct ledger *l, const struct ledger_group *lg,
		     const struct ledger_group *old)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && old && i < old->n; i++) {
		uint32_t index = old->people[i].index;

		if (group_find(lg->g, index))
			continue;
		store_bind_blob(l->store, PEOPLE_GONE, 1, lg->id,
				sizeof(lg->id));
		store_bind_int(l->store, PEOPLE_GONE, 2, index);
		r = store_run(l->store, PEOPLE_GONE);
		store_bind_blob(l->store, PARTS_GONE, 1, lg->id,
				sizeof(lg->id));
		store_bind_int(l->store, PARTS_GONE, 2, index);
		if (!r)
			r = store_run(l->store, PARTS_GONE);
	}
	return r;
}

/* RN2 and seal of the epoch that @lg has just come to */
static int new_rn2(struct ledger *l, struct ledger_group *lg)
{
	int64_t now = ntmc_now(l->env);

	ntmc_key_random(l->env, &lg->rn2);
	return group_seal_make(l->id, lg->g, &lg->rn2, now,
			       now + group_policy(lg->g)->max_age_s, lg->seal);
}

/* one transaction: @next is what the group becomes; @old: what it was, or NULL */
static int commit(struct ledger *l, struct ledger_group *next,
		  const struct ledger_group *old,
		  const struct ledger_written *w)
{
	size_t i;
	int r = new_rn2(l, next);

	if (!r)
		r = store_begin(l->store);
	if (r)
		return r;
	l->stale = true;
	r = put_entry(l, next, w->entry, w->len, w->sealer);
	for (i = 0; !r && i < w->n_parts; i++)
		r = put_part(l, next, &w->parts[i]);
	/* who has come with this entry stands last */
	for (i = next->n - w->n_prekeys; !r && i < next->n; i++)
		r = ledger_person_put(l, next, &next->people[i]);
	if (!r)
		r = drop_gone(l, next, old);
	if (!r)
		r = store_commit(l->store);
	if (r)
		store_rollback(l->store);
	return r;
}

int ledger_create(struct ledger *l, const uint8_t ed_pub[static NTMC_KEY_LEN],
		  const char *fqdn, const uint8_t *entry, size_t len,
		  struct ledger_group **out)
{
	const struct ledger_written w = {.entry = entry, .len = len};
	const struct group_member *founder;
	struct ledger_group *lg = calloc(1, sizeof(*lg));
	const uint8_t *key;
	int r = lg ? group_new(&lg->g) : -NTM_ENOMEM;

	if (!r)
		r = group_apply(lg->g, entry, len, NULL);
	if (!r) {
		memcpy(lg->id, group_id(lg->g), sizeof(lg->id));
		group_server(lg->g, &key);
		founder = group_at(lg->g, 0);
		if (memcmp(key, l->id->ed_pub, NTMC_KEY_LEN) ||
		    memcmp(founder->ed_pub, ed_pub, NTMC_KEY_LEN) ||
		    strcmp(founder->fqdn, fqdn))
			r = -NTM_EPERM;
		else if (ledger_find(l, lg->id))
			r = -NTM_EEXISTS;
	}
	if (!r) {
		lg->n = 1;
		lg->renewed = ntmc_now(l->env);
		lg->people = calloc(1, sizeof(*lg->people));
		r = lg->people ? commit(l, lg, NULL, &w) : -NTM_ENOMEM;
	}
	if (r) {
		ledger_group_free(lg);
		return r;
	}
	HASH_ADD(hh, l->groups, id, sizeof(lg->id), lg);
	*out = lg;
	return 0;
}

static int copy_group(const struct group *g, struct group **out)
{
	uint8_t *b;
	size_t len;
	int r = group_save(g, NULL, 0, &len);

	if (r)
		return r;
	b = malloc(len);
	if (!b)
		return -NTM_ENOMEM;
	r = group_save(g, b, len, &len);
	if (!r)
		r = group_load(b, len, out);
	free(b);
	return r;
}

static int by_index(const void *a, const void *b)
{
	uint32_t x = ((const struct ledger_part *)a)->index;
	uint32_t y = ((const struct ledger_part *)b)->index;

	return (x > y) - (x < y);
}

/*
 * Who stays must get its part, or it would be shut out by whoever wrote the entry;
 * nobody else may get one. Without a prekey there is no part: such a member asks for a
 * welcome again.
 */
static int check_parts(const struct ledger_group *lg, const struct group *g,
		       const struct group_entry *e,
		       const struct ledger_written *w)
{
	const struct ledger_part *parts = w->parts;
	struct ledger_part key;
	size_t i, n = w->n_parts;

	if ((e->commitment != NULL) != (w->sealer != NULL) || (n && !w->sealer))
		return -NTM_EINVAL;
	for (i = 0; i < n; i++)
		if (!group_find(g, parts[i].index) ||
		    (i && parts[i].index <= parts[i - 1].index))
			return -NTM_EINVAL;
	for (i = 0; e->commitment && i < group_size(g); i++) {
		const struct ledger_person *p =
			ledger_person(lg, group_at(g, i)->index);

		if (!p || !p->serial || p->index == e->author)
			continue;
		key.index = p->index;
		if (!n || !bsearch(&key, parts, n, sizeof(*parts), by_index))
			return -NTM_EINVAL;
	}
	return 0;
}

/* of those who have come with the entry: they stand last in @next */
static int take_prekeys(struct ledger_group *next, size_t before,
			const struct group_entry *e,
			const struct ledger_written *w)
{
	static const uint8_t none[GROUP_PREKEY_LEN];
	struct group_prekey k;
	size_t i;
	int r = 0;

	if (w->n_prekeys &&
	    (e->kind != GROUP_ADD || w->n_prekeys != next->n - before))
		return -NTM_EINVAL;
	for (i = 0; !r && i < w->n_prekeys; i++) {
		struct ledger_person *p = &next->people[before + i];

		if (!memcmp(w->prekeys[i], none, sizeof(none)))
			continue;
		r = group_prekey_get(w->prekeys[i], GROUP_PREKEY_LEN, &k);
		if (!r && (!k.serial || k.serial > INT64_MAX))
			r = -NTM_EAUTH;
		if (!r)
			r = group_prekey_verify(
				&k, next->id,
				group_at(next->g, before + i)->ed_pub);
		if (!r && !ntmc_x25519_public_ok(k.pub))
			r = -NTM_EAUTH; /* as in ledger_prekey() */
		memcpy(p->prekey, w->prekeys[i], sizeof(p->prekey));
		p->serial = k.serial;
	}
	return r;
}

int ledger_append(struct ledger *l, struct ledger_group *lg,
		  const struct ledger_written *w, bool repair,
		  enum group_why *why)
{
	struct ledger_group next = *lg;
	struct group_entry e;
	int r;

	if (lg->ended)
		return -NTM_EEXPIRED;
	next.people = NULL;
	next.g = NULL;
	next.renewed = repair ? 0 : ntmc_now(l->env);
	r = copy_group(lg->g, &next.g);
	if (!r)
		r = group_apply(next.g, w->entry, w->len, why);
	if (!r)
		r = group_entry_get(w->entry, w->len, &e);
	if (!r && !repair)
		r = check_parts(lg, next.g, &e, w);
	if (!r) {
		next.n = group_size(next.g);
		next.people = people_of(lg, next.g);
		r = next.people ? 0 : -NTM_ENOMEM;
	}
	if (!r)
		r = take_prekeys(&next, lg->n, &e, w);
	if (!r)
		r = commit(l, &next, lg, w);
	if (r) {
		group_free(next.g);
		free(next.people);
		ntmc_key_clear(&next.rn2);
		return r;
	}
	group_free(lg->g);
	free(lg->people);
	lg->g = next.g;
	lg->people = next.people;
	lg->n = next.n;
	lg->rn2 = next.rn2;
	lg->renewed = next.renewed;
	memcpy(lg->seal, next.seal, sizeof(lg->seal));
	ntmc_key_clear(&next.rn2);
	return 0;
}

int ledger_renew(struct ledger *l, struct ledger_group *lg)
{
	struct group_change c = {.kind = GROUP_RENEW};
	uint8_t entry[GROUP_ENTRY_MAX];
	struct ledger_written w = {.entry = entry};
	int r = group_make(l->env, lg->g, l->id, &c, entry, &w.len, NULL);

	return r ? r : ledger_append(l, lg, &w, false, NULL);
}
