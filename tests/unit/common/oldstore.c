/* SPDX-License-Identifier: MIT */
/* oldstore - a store as an older version of its program left it */
#include "tests/unit/common/oldstore.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libntmcrypto/ntmcrypto.h"

char oldstore_folder[64], oldstore_path[80];

void oldstore_remove(void)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	char name[100];
	size_t i;

	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", oldstore_path, ends[i]);
		unlink(name);
	}
}

int oldstore_setup(void **state)
{
	(void)state;
	strcpy(oldstore_folder, "/tmp/ntm-test-oldstore.XXXXXX");
	assert_non_null(mkdtemp(oldstore_folder));
	snprintf(oldstore_path, sizeof(oldstore_path), "%s/post.db",
		 oldstore_folder);
	return 0;
}

int oldstore_teardown(void **state)
{
	(void)state;
	oldstore_remove();
	return rmdir(oldstore_folder);
}

static sqlite3 *db_open(void)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(oldstore_path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL),
		SQLITE_OK);
	return db;
}

static void db_run(sqlite3 *db, const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
}

static void db_version(sqlite3 *db, size_t k)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA user_version = %zu", k);
	db_run(db, sql);
}

void oldstore_make(const char *const *schema, size_t k,
		   const struct oldstore_row *rows)
{
	sqlite3 *db;
	size_t i;

	oldstore_remove();
	db = db_open();
	for (i = 0; i < k; i++)
		db_run(db, schema[i]);
	db_version(db, k);
	for (; rows->sql; rows++)
		if (rows->from <= k)
			db_run(db, rows->sql);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

void oldstore_back(size_t k, const char *undo)
{
	sqlite3 *db = db_open();

	db_run(db, undo);
	db_version(db, k);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int64_t oldstore_number(const char *sql)
{
	sqlite3 *db = db_open();
	sqlite3_stmt *st;
	int64_t n;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return n;
}

static void step_hash(const char *step, char out[static 17])
{
	uint8_t hash[NTMC_HASH_LEN];
	size_t i;

	ntmc_sha256(step, strlen(step), hash);
	for (i = 0; i < 8; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

void oldstore_pinned(const char *const *schema, size_t n,
		     const char *const *pins)
{
	size_t i, known = 0;
	bool stand = true;
	char hex[17];

	while (pins[known])
		known++;
	for (i = 0; i < n; i++) {
		step_hash(schema[i], hex);
		if (i >= known)
			print_error("step %zu is new: pin \"%s\", and write "
				    "rows as its version has them\n",
				    i + 1, hex);
		else if (strcmp(pins[i], hex))
			print_error("step %zu has changed, \"%s\": stores "
				    "have run what stood there; append a "
				    "step\n",
				    i + 1, hex);
		else
			continue;
		stand = false;
	}
	assert_true(stand && n == known);
}
