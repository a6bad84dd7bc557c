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
 * RN2 of the epoch before is overwritten: SQLite's secure_delete wipes the row's place.
 *
 * What members acknowledge is noted, and written by ledger_flush(). What is lost of it
 * in a crash is said again: nodes say in their hello where they are.
 */
#include "servers/gms/ledger.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "common/log.h"
#include "common/store.h"

struct ledger_group {
	UT_hash_handle hh;
	uint8_t id[GROUP_ID_LEN];
	struct group *g;
	struct ntmc_key rn2;
	uint8_t seal[GROUP_SEAL_LEN];
	int64_t renewed;
	struct ledger_person *people; /* as the group's members */
	size_t n;
	void *arg;
};

struct ledger {
	struct store *store;
	const struct ntmc_identity *id;
	const struct ntmc_env *env;
	struct ledger_group *groups;
	bool dirty;
};

enum {
	GROUP_PUT,
	GROUPS_ALL,
	ENTRY_PUT,
	ENTRIES_AFTER,
	ENTRY_NEXT,
	PART_PUT,
	PARTS_DONE,
	PERSON_PUT,
	PEOPLE_OF,
	PEOPLE_GONE,
	PARTS_GONE,
	N_STATEMENTS
};

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
};

static const char *const statements[N_STATEMENTS] = {
	[GROUP_PUT] = "INSERT INTO groups VALUES (?, ?, ?, ?, ?) ON CONFLICT DO"
		      " UPDATE SET state = excluded.state, rn2 = excluded.rn2,"
		      " seal = excluded.seal, renewed = excluded.renewed",
	[GROUPS_ALL] = "SELECT id, rn2, seal, renewed, state FROM groups",
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
};

/* --- in memory --------------------------------------------------------------------- */

static void group_row_free(struct ledger_group *lg)
{
	if (!lg)
		return;
	group_free(lg->g);
	ntmc_key_clear(&lg->rn2);
	free(lg->people);
	free(lg);
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

static struct ledger_person *person(const struct ledger_group *lg,
				    uint32_t index)
{
	const struct group_member *m = group_find(lg->g, index);

	return m ? &lg->people[m - group_at(lg->g, 0)] : NULL;
}

const struct ledger_person *ledger_person(const struct ledger_group *lg,
					  uint32_t index)
{
	return person(lg, index);
}

size_t ledger_founded(const struct ledger *l,
		      const uint8_t ed_pub[static NTMC_KEY_LEN])
{
	struct ledger_group *lg, *tmp;
	size_t n = 0;

	HASH_ITER (hh, l->groups, lg, tmp) {
		const struct group_member *m = group_at(lg->g, 0);

		n += !m->index && !memcmp(m->ed_pub, ed_pub, NTMC_KEY_LEN);
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
			lg->g ? person(lg, index) : NULL;

		if (p)
			all[i] = *p;
		all[i].index = index;
	}
	return all;
}

/* --- at the start ------------------------------------------------------------------- */

static int load_people(struct ledger *l, struct ledger_group *lg)
{
	struct store *s = l->store;
	int r;

	store_bind_blob(s, PEOPLE_OF, 1, lg->id, sizeof(lg->id));
	while ((r = store_step(s, PEOPLE_OF)) == 1) {
		struct ledger_person *p =
			person(lg, (uint32_t)store_int(s, PEOPLE_OF, 0));

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

static int load_all(struct ledger *l)
{
	struct ledger_group *lg, *tmp;
	int r, err = 0;

	while (!err && (r = store_step(l->store, GROUPS_ALL)) == 1) {
		lg = calloc(1, sizeof(*lg));
		err = lg ? load_group(l, lg) : -NTM_ENOMEM;
		if (err)
			group_row_free(lg);
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
		r = load_all(l);
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
		group_row_free(lg);
	}
	if (l->store)
		store_close(l->store);
	free(l);
}

int ledger_backup(struct ledger *l, const char *path)
{
	return store_backup(l->store, path);
}

/* --- an entry ------------------------------------------------------------------------ */

static int put_person(struct ledger *l, const struct ledger_group *lg,
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
	lg->renewed = now;
	return group_seal_make(l->id, lg->g, &lg->rn2, now,
			       now + group_policy(lg->g)->max_age_s, lg->seal);
}

/* one transaction: @next is what the group becomes; @old: what it was, or NULL */
static int commit(struct ledger *l, struct ledger_group *next,
		  const struct ledger_group *old, const uint8_t *entry,
		  size_t len, const uint8_t *sealer,
		  const struct ledger_part *parts, size_t n_parts)
{
	size_t i;
	int r = new_rn2(l, next);

	if (!r)
		r = store_begin(l->store);
	if (r)
		return r;
	r = put_entry(l, next, entry, len, sealer);
	for (i = 0; !r && i < n_parts; i++)
		r = put_part(l, next, &parts[i]);
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
		lg->people = calloc(1, sizeof(*lg->people));
		r = lg->people ? commit(l, lg, NULL, entry, len, NULL, NULL, 0)
			       : -NTM_ENOMEM;
	}
	if (r) {
		group_row_free(lg);
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
		       const struct group_entry *e, const uint8_t *sealer,
		       const struct ledger_part *parts, size_t n)
{
	struct ledger_part key;
	size_t i;

	if ((e->commitment != NULL) != (sealer != NULL) || (n && !sealer))
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
		if (!bsearch(&key, parts, n, sizeof(*parts), by_index))
			return -NTM_EINVAL;
	}
	return 0;
}

int ledger_append(struct ledger *l, struct ledger_group *lg,
		  const uint8_t *entry, size_t len, const uint8_t *sealer,
		  const struct ledger_part *parts, size_t n_parts, bool repair,
		  enum group_why *why)
{
	struct ledger_group next = *lg;
	struct group_entry e;
	int r;

	next.people = NULL;
	next.g = NULL;
	r = copy_group(lg->g, &next.g);
	if (!r)
		r = group_apply(next.g, entry, len, why);
	if (!r)
		r = group_entry_get(entry, len, &e);
	if (!r && !repair)
		r = check_parts(lg, next.g, &e, sealer, parts, n_parts);
	if (!r) {
		next.n = group_size(next.g);
		next.people = people_of(lg, next.g);
		r = next.people ? 0 : -NTM_ENOMEM;
	}
	if (!r)
		r = commit(l, &next, lg, entry, len, sealer, parts, n_parts);
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
	size_t len;
	int r = group_make(l->env, lg->g, l->id, &c, entry, &len, NULL);

	return r ? r
		 : ledger_append(l, lg, entry, len, NULL, NULL, 0, false, NULL);
}

/* --- members -------------------------------------------------------------------------- */

int ledger_prekey(struct ledger *l, struct ledger_group *lg, uint32_t index,
		  const uint8_t *prekey, size_t len)
{
	struct ledger_person *p = person(lg, index);
	struct group_prekey k;
	int r = p ? group_prekey_get(prekey, len, &k) : -NTM_ENONAME;

	if (r)
		return r;
	if (k.serial <= p->serial || k.serial > INT64_MAX)
		return -NTM_EEXISTS;
	r = group_prekey_verify(&k, lg->id, group_find(lg->g, index)->ed_pub);
	if (r)
		return r;
	memcpy(p->prekey, prekey, sizeof(p->prekey));
	p->serial = k.serial;
	p->dirty = true;
	l->dirty = true;
	return 0;
}

void ledger_ack(struct ledger *l, struct ledger_group *lg, uint32_t index,
		uint64_t epoch, const uint8_t *confirmation)
{
	struct ledger_person *p = person(lg, index);

	if (!p || epoch > group_epoch(lg->g))
		return;
	p->seen = ntmc_now(l->env);
	if (epoch > p->acked)
		p->acked = epoch;
	if (confirmation && epoch == p->acked)
		memcpy(p->confirmation, confirmation, sizeof(p->confirmation));
	p->dirty = true;
	l->dirty = true;
}

int ledger_leave(struct ledger *l, struct ledger_group *lg,
		 const struct group_leave *leave)
{
	struct ledger_person *p = person(lg, leave->index), with;
	int r = group_leave_verify(lg->g, leave);

	if (r)
		return r;
	with = *p;
	with.leave = *leave;
	with.leaving = true;
	r = put_person(l, lg, &with);
	if (!r)
		*p = with;
	return r;
}

static int flush_group(struct ledger *l, struct ledger_group *lg)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < lg->n; i++) {
		struct ledger_person *p = &lg->people[i];

		if (!p->dirty)
			continue;
		r = put_person(l, lg, p);
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
