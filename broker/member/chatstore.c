/* SPDX-License-Identifier: MIT */
/*
 * chatstore - what was said in a node's groups, on its disk
 *
 * Theory of operation
 *
 * A row is a message: number, group, ID, author's index, clock and state in columns, all
 * else in one sealed body (rowkey.h). Additional data is group, ID, index and clock: a row
 * does not open in another's place. The state is not bound: it changes, and lies about
 * itself at worst.
 */
#include "broker/member/chatstore.h"

#include <stdlib.h>
#include <string.h>

#include "broker/member/rowkey.h"
#include "common/store.h"
#include "libntmcrypto/wire.h"

#define AD_LEN (4 + GROUP_ID_LEN + CHAT_ID_LEN + 4 + 8)

enum {
	LINE_PUT,
	LINE_CHANGE,
	LINE_NEXT,
	LINE_NEXT_STATE,
	LINE_OLD,
	LINE_LAST,
	LINE_COUNT,
	LINE_CLOCK,
	LINE_SHOWN,
	LINE_OURS,
	LINE_DROP,
	READ_PUT,
	READ_COUNT,
	READ_LIST,
	READ_OLD,
	READ_DROP,
	LATE_PUT,
	LATE_NEXT,
	LATE_IS,
	LATE_COUNT,
	LATE_ALL,
	LATE_END,
	LATE_OLD,
	LATE_DROP,
	N_STATEMENTS
};

static const char *const schema[] = {
	"CREATE TABLE line (n INTEGER PRIMARY KEY AUTOINCREMENT,"
	" gid BLOB NOT NULL, id BLOB NOT NULL, author INTEGER NOT NULL,"
	" clock INTEGER NOT NULL, state INTEGER NOT NULL, body BLOB NOT NULL,"
	" UNIQUE (gid, id, author));"
	"CREATE INDEX line_number ON line (gid);"
	"CREATE INDEX line_state ON line (gid, state);"
	"CREATE INDEX line_clock ON line (gid, clock);"
	"CREATE TABLE seen (gid BLOB NOT NULL, id BLOB NOT NULL,"
	" reader INTEGER NOT NULL, UNIQUE (gid, id, reader));",
	"CREATE TABLE late (n INTEGER NOT NULL, reader INTEGER NOT NULL,"
	" gid BLOB NOT NULL, since INTEGER NOT NULL,"
	" PRIMARY KEY (n, reader)) WITHOUT ROWID;",
};

#define LINE_COLUMNS "SELECT n, id, author, clock, state, body FROM line "

static const char *const statements[N_STATEMENTS] = {
	[LINE_PUT] = "INSERT INTO line (gid, id, author, clock, state, body)"
		     " VALUES (?, ?, ?, ?, ?, ?)",
	[LINE_CHANGE] = "UPDATE line SET state = ?, body = ? WHERE n = ?",
	[LINE_NEXT] = LINE_COLUMNS "WHERE gid = ? AND n > ? ORDER BY n LIMIT 1",
	[LINE_NEXT_STATE] = LINE_COLUMNS
	"WHERE gid = ? AND n > ? AND state = ? ORDER BY n LIMIT 1",
	[LINE_OLD] = "DELETE FROM line WHERE gid = ? AND n <= (SELECT n FROM"
		     " line WHERE gid = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?)",
	[LINE_LAST] = "SELECT n FROM line WHERE gid = ? ORDER BY n DESC"
		      " LIMIT 1 OFFSET ?",
	[LINE_COUNT] = "SELECT count(*) FROM line WHERE gid = ? AND state = ?",
	[LINE_CLOCK] = "SELECT max(clock) FROM line WHERE gid = ?",
	[LINE_SHOWN] = "UPDATE line SET state = ? WHERE gid = ? AND n <= ?"
		       " AND state = 4",
	[LINE_OURS] = "SELECT 1 FROM line WHERE gid = ? AND id = ?"
		      " AND state <= 3",
	[LINE_DROP] = "DELETE FROM line WHERE gid = ?",
	[READ_PUT] = "INSERT INTO seen VALUES (?, ?, ?)",
	[READ_COUNT] = "SELECT count(*) FROM seen WHERE gid = ? AND id = ?",
	[READ_LIST] = "SELECT reader FROM seen WHERE gid = ? AND id = ?"
		      " ORDER BY reader LIMIT 64",
	[READ_OLD] = "DELETE FROM seen WHERE gid = ?1 AND id NOT IN"
		     " (SELECT id FROM line WHERE gid = ?1)",
	[READ_DROP] = "DELETE FROM seen WHERE gid = ?",
	[LATE_PUT] = "INSERT OR IGNORE INTO late VALUES (?, ?, ?, ?)",
	[LATE_NEXT] = "SELECT n, reader, gid, since FROM late WHERE"
		      " (n, reader) > (?, ?) ORDER BY n, reader LIMIT 1",
	[LATE_IS] = "SELECT 1 FROM late WHERE n = ? AND reader = ?",
	[LATE_COUNT] = "SELECT count(*) FROM late WHERE n = ?",
	[LATE_ALL] = "SELECT count(*) FROM late",
	[LATE_END] = "DELETE FROM late WHERE n = ? AND reader = ?",
	[LATE_OLD] = "DELETE FROM late WHERE n NOT IN (SELECT n FROM line)",
	[LATE_DROP] = "DELETE FROM late WHERE gid = ?",
};

_Static_assert(CHAT_NEW == 4 && CHAT_FAILED == 3, "as the statements have it");
_Static_assert(CHATSTORE_READS == 64, "as the statement has it");

struct chatstore {
	struct store *store;
	struct rowkey key;
};

struct chat_line *chat_line_new(void)
{
	return calloc(1, sizeof(struct chat_line));
}

void chat_line_free(struct chat_line *l)
{
	if (!l)
		return;
	ntmc_wipe(&l->w, sizeof(l->w));
	free(l->file);
	free(l->why);
	free(l);
}

const char *const *chatstore_schema(size_t *n)
{
	*n = sizeof(schema) / sizeof(schema[0]);
	return schema;
}

int chatstore_open(const char *path, const struct ntmc_env *env,
		   const struct ntmc_identity *id, struct chatstore **out)
{
	struct chatstore *s = calloc(1, sizeof(*s));
	int r = s ? 0 : -NTM_ENOMEM;

	if (!r)
		r = rowkey_init(&s->key, env, "ntm group chat store v1", id);
	if (!r)
		r = store_open(path, schema, sizeof(schema) / sizeof(schema[0]),
			       statements, N_STATEMENTS, &s->store);
	if (r) {
		chatstore_close(s);
		return r;
	}
	*out = s;
	return 0;
}

void chatstore_close(struct chatstore *s)
{
	if (!s)
		return;
	store_close(s->store);
	rowkey_clear(&s->key);
	free(s);
}

/* --- what is sealed --------------------------------------------------------------------- */

static void bind_ad(const struct chat_line *l, uint8_t ad[static AD_LEN])
{
	struct wire_out w = wire_out(ad, AD_LEN);

	wire_put(&w, "chat", 4);
	wire_put(&w, l->w.group, GROUP_ID_LEN);
	wire_put(&w, l->w.id, CHAT_ID_LEN);
	wire_put_number(&w, l->index, 4);
	wire_put_number(&w, (uint64_t)l->w.clock, 8);
}

static char *body_text(const struct chat_line *l)
{
	json_t *j = json_pack(
		"{s:s, s:I, s:I, s:I, s:i, s:s, s:I, s:I, s:s*, s:s*}", "from",
		l->from, "epoch", (json_int_t)l->w.epoch, "time",
		(json_int_t)l->w.time, "size", (json_int_t)l->w.size, "kind",
		(int)l->w.kind, "text", l->w.text, "limit",
		(json_int_t)l->limit, "to", (json_int_t)l->to, "file", l->file,
		"why", l->why);
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	return text;
}

/* *@out: @*len bytes, free()d by the caller */
static int body_seal(const struct chatstore *s, const struct chat_line *l,
		     uint8_t **out, size_t *len)
{
	char *text = body_text(l);
	size_t n = text ? strlen(text) : 0;
	uint8_t *b = n && n <= CHATSTORE_BODY ? malloc(n + ROWKEY_EXTRA) : NULL;
	uint8_t ad[AD_LEN];
	int r = n > CHATSTORE_BODY ? -NTM_ETOOBIG : b ? 0 : -NTM_ENOMEM;

	if (!r) {
		memcpy(b + ROWKEY_SALT, text, n);
		bind_ad(l, ad);
		r = rowkey_seal(&s->key, ad, sizeof(ad), b, n);
	}
	if (text)
		ntmc_wipe(text, n);
	free(text);
	if (r) {
		free(b);
		return r;
	}
	*out = b;
	*len = n + ROWKEY_EXTRA;
	return 0;
}

static const char *text_get(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static int64_t number_get(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static int body_take(struct chat_line *l, const json_t *j)
{
	const char *text = text_get(j, "text"), *from = text_get(j, "from");

	if (!*text || strlen(text) > CHAT_TEXT_MAX ||
	    strlen(from) > NTMC_FQDN_MAX)
		return -NTM_EAUTH;
	strcpy(l->w.text, text);
	strcpy(l->from, from);
	l->w.epoch = (uint64_t)number_get(j, "epoch");
	l->w.time = number_get(j, "time");
	l->w.size = number_get(j, "size");
	l->w.kind = number_get(j, "kind") == CHAT_FILE ? CHAT_FILE : CHAT_TEXT;
	l->limit = (uint32_t)number_get(j, "limit");
	l->to = (uint32_t)number_get(j, "to");
	if (*text_get(j, "file"))
		l->file = strdup(text_get(j, "file"));
	if (*text_get(j, "why"))
		l->why = strdup(text_get(j, "why"));
	return 0;
}

/* @b is wiped */
static int body_open(const struct chatstore *s, struct chat_line *l, uint8_t *b,
		     size_t len)
{
	uint8_t ad[AD_LEN];
	json_t *j = NULL;
	int r;

	bind_ad(l, ad);
	r = rowkey_open(&s->key, ad, sizeof(ad), b, len);
	if (!r)
		j = json_loadb((char *)b + ROWKEY_SALT, len - ROWKEY_EXTRA, 0,
			       NULL);
	r = j ? body_take(l, j) : -NTM_EAUTH;
	json_decref(j);
	ntmc_wipe(b, len);
	return r;
}

/* --- lines -------------------------------------------------------------------------------- */

/* those beyond CHATSTORE_MAX go, and what is known of them */
static int old_drop(struct chatstore *s, const uint8_t *group)
{
	int r;

	store_bind_blob(s->store, LINE_OLD, 1, group, GROUP_ID_LEN);
	store_bind_int(s->store, LINE_OLD, 2, CHATSTORE_MAX);
	r = store_run(s->store, LINE_OLD);
	if (r || !store_changes(s->store))
		return r;
	store_bind_blob(s->store, READ_OLD, 1, group, GROUP_ID_LEN);
	r = store_run(s->store, READ_OLD);
	return r ? r : store_run(s->store, LATE_OLD);
}

int chatstore_add(struct chatstore *s, struct chat_line *l)
{
	uint8_t *b;
	size_t len;
	int r = body_seal(s, l, &b, &len);

	if (r)
		return r;
	store_bind_blob(s->store, LINE_PUT, 1, l->w.group, GROUP_ID_LEN);
	store_bind_blob(s->store, LINE_PUT, 2, l->w.id, CHAT_ID_LEN);
	store_bind_int(s->store, LINE_PUT, 3, l->index);
	store_bind_int(s->store, LINE_PUT, 4, l->w.clock);
	store_bind_int(s->store, LINE_PUT, 5, l->state);
	store_bind_blob(s->store, LINE_PUT, 6, b, len);
	r = store_begin(s->store);
	if (!r) {
		r = store_run(s->store, LINE_PUT);
		if (!r)
			l->n = chatstore_last(s, l->w.group, 0);
		/* to count them takes longer than to write one */
		if (!r && l->n % CHATSTORE_SLACK == 0)
			r = old_drop(s, l->w.group);
		if (!r)
			r = store_commit(s->store);
		if (r)
			store_rollback(s->store);
	}
	free(b);
	return r;
}

int chatstore_change(struct chatstore *s, struct chat_line *l)
{
	uint8_t *b;
	size_t len;
	int r = body_seal(s, l, &b, &len);

	if (r)
		return r;
	store_bind_int(s->store, LINE_CHANGE, 1, l->state);
	store_bind_blob(s->store, LINE_CHANGE, 2, b, len);
	store_bind_int(s->store, LINE_CHANGE, 3, l->n);
	r = store_run(s->store, LINE_CHANGE);
	free(b);
	return r;
}

/* the row that was stepped to */
static int line_get(struct chatstore *s, size_t st, const uint8_t *group,
		    struct chat_line **out)
{
	size_t len = store_blob(s->store, st, 5, NULL, 0);
	struct chat_line *l = chat_line_new();
	uint8_t *b = len >= ROWKEY_EXTRA && len <= CHATSTORE_BODY + ROWKEY_EXTRA
			     ? malloc(len)
			     : NULL;
	int r = l ? 0 : -NTM_ENOMEM;

	if (!r && (!b || store_blob(s->store, st, 1, l->w.id, CHAT_ID_LEN) !=
				 CHAT_ID_LEN))
		r = -NTM_EAUTH;
	if (!r) {
		memcpy(l->w.group, group, GROUP_ID_LEN);
		l->n = store_int(s->store, st, 0);
		l->index = (uint32_t)store_int(s->store, st, 2);
		l->w.clock = store_int(s->store, st, 3);
		l->state = (enum chat_state)store_int(s->store, st, 4);
		store_blob(s->store, st, 5, b, len);
		r = body_open(s, l, b, len);
	}
	free(b);
	if (r)
		chat_line_free(l);
	else
		*out = l;
	return r;
}

int chatstore_next(struct chatstore *s,
		   const uint8_t group[static GROUP_ID_LEN], int64_t after,
		   enum chat_state state, int64_t *n, struct chat_line **out)
{
	size_t st = state ? LINE_NEXT_STATE : LINE_NEXT;
	int r;

	store_bind_blob(s->store, st, 1, group, GROUP_ID_LEN);
	store_bind_int(s->store, st, 2, after);
	if (state)
		store_bind_int(s->store, st, 3, state);
	r = store_step(s->store, st);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	*n = store_int(s->store, st, 0);
	r = line_get(s, st, group, out);
	store_reset(s->store, st);
	return r;
}

static int64_t one_number(struct chatstore *s, size_t st, const uint8_t *group)
{
	int64_t n = 0;

	store_bind_blob(s->store, st, 1, group, GROUP_ID_LEN);
	if (store_step(s->store, st) == 1) {
		n = store_int(s->store, st, 0);
		store_reset(s->store, st);
	}
	return n;
}

int64_t chatstore_last(struct chatstore *s,
		       const uint8_t group[static GROUP_ID_LEN], int64_t count)
{
	store_bind_int(s->store, LINE_LAST, 2, count);
	return one_number(s, LINE_LAST, group);
}

int64_t chatstore_count(struct chatstore *s,
			const uint8_t group[static GROUP_ID_LEN],
			enum chat_state state)
{
	store_bind_int(s->store, LINE_COUNT, 2, state);
	return one_number(s, LINE_COUNT, group);
}

int64_t chatstore_clock(struct chatstore *s,
			const uint8_t group[static GROUP_ID_LEN])
{
	return one_number(s, LINE_CLOCK, group);
}

int chatstore_shown(struct chatstore *s,
		    const uint8_t group[static GROUP_ID_LEN], int64_t n,
		    enum chat_state to)
{
	int r;

	store_bind_int(s->store, LINE_SHOWN, 1, to);
	store_bind_blob(s->store, LINE_SHOWN, 2, group, GROUP_ID_LEN);
	store_bind_int(s->store, LINE_SHOWN, 3, n);
	r = store_run(s->store, LINE_SHOWN);
	return r ? r : (int)store_changes(s->store);
}

/* --- who has read ------------------------------------------------------------------------ */

int chatstore_read(struct chatstore *s,
		   const uint8_t group[static GROUP_ID_LEN],
		   const uint8_t id[static CHAT_ID_LEN], uint32_t index)
{
	int r;

	store_bind_blob(s->store, LINE_OURS, 1, group, GROUP_ID_LEN);
	store_bind_blob(s->store, LINE_OURS, 2, id, CHAT_ID_LEN);
	r = store_step(s->store, LINE_OURS);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	store_reset(s->store, LINE_OURS);
	store_bind_blob(s->store, READ_PUT, 1, group, GROUP_ID_LEN);
	store_bind_blob(s->store, READ_PUT, 2, id, CHAT_ID_LEN);
	store_bind_int(s->store, READ_PUT, 3, index);
	return store_run(s->store, READ_PUT);
}

size_t chatstore_readers(struct chatstore *s,
			 const uint8_t group[static GROUP_ID_LEN],
			 const uint8_t id[static CHAT_ID_LEN],
			 uint32_t out[static CHATSTORE_READS], size_t *all)
{
	size_t n = 0;

	store_bind_blob(s->store, READ_COUNT, 1, group, GROUP_ID_LEN);
	store_bind_blob(s->store, READ_COUNT, 2, id, CHAT_ID_LEN);
	*all = store_step(s->store, READ_COUNT) == 1
		       ? (size_t)store_int(s->store, READ_COUNT, 0)
		       : 0;
	store_reset(s->store, READ_COUNT);

	store_bind_blob(s->store, READ_LIST, 1, group, GROUP_ID_LEN);
	store_bind_blob(s->store, READ_LIST, 2, id, CHAT_ID_LEN);
	while (n < CHATSTORE_READS && store_step(s->store, READ_LIST) == 1)
		out[n++] = (uint32_t)store_int(s->store, READ_LIST, 0);
	store_reset(s->store, READ_LIST);
	return n;
}

int chatstore_drop(struct chatstore *s,
		   const uint8_t group[static GROUP_ID_LEN])
{
	int r;

	store_bind_blob(s->store, LINE_DROP, 1, group, GROUP_ID_LEN);
	store_bind_blob(s->store, READ_DROP, 1, group, GROUP_ID_LEN);
	store_bind_blob(s->store, LATE_DROP, 1, group, GROUP_ID_LEN);
	r = store_run(s->store, LINE_DROP);
	if (!r)
		r = store_run(s->store, READ_DROP);
	return r ? r : store_run(s->store, LATE_DROP);
}

/* --- who gets a message later ------------------------------------------------------------- */

int64_t chatstore_late_count(struct chatstore *s, int64_t n)
{
	size_t st = n ? LATE_COUNT : LATE_ALL;
	int64_t count = 0;

	if (n)
		store_bind_int(s->store, st, 1, n);
	if (store_step(s->store, st) == 1) {
		count = store_int(s->store, st, 0);
		store_reset(s->store, st);
	}
	return count;
}

int chatstore_late_put(struct chatstore *s, const struct chat_late *late)
{
	if (chatstore_late_count(s, 0) >= CHATSTORE_LATE_MAX)
		return -NTM_ELIMIT;
	store_bind_int(s->store, LATE_PUT, 1, late->n);
	store_bind_int(s->store, LATE_PUT, 2, late->index);
	store_bind_blob(s->store, LATE_PUT, 3, late->group, GROUP_ID_LEN);
	store_bind_int(s->store, LATE_PUT, 4, late->since);
	return store_run(s->store, LATE_PUT);
}

int chatstore_late_next(struct chatstore *s, struct chat_late *at)
{
	int r;

	store_bind_int(s->store, LATE_NEXT, 1, at->n);
	store_bind_int(s->store, LATE_NEXT, 2, at->index);
	r = store_step(s->store, LATE_NEXT);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	at->n = store_int(s->store, LATE_NEXT, 0);
	at->index = (uint32_t)store_int(s->store, LATE_NEXT, 1);
	store_blob(s->store, LATE_NEXT, 2, at->group, GROUP_ID_LEN);
	at->since = store_int(s->store, LATE_NEXT, 3);
	store_reset(s->store, LATE_NEXT);
	return 0;
}

int chatstore_late_drop(struct chatstore *s, int64_t n, uint32_t index)
{
	store_bind_int(s->store, LATE_END, 1, n);
	store_bind_int(s->store, LATE_END, 2, index);
	return store_run(s->store, LATE_END);
}

bool chatstore_is_late(struct chatstore *s, int64_t n, uint32_t index)
{
	bool is;

	store_bind_int(s->store, LATE_IS, 1, n);
	store_bind_int(s->store, LATE_IS, 2, index);
	is = store_step(s->store, LATE_IS) == 1;
	store_reset(s->store, LATE_IS);
	return is;
}
