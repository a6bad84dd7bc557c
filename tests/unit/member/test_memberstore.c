/* SPDX-License-Identifier: MIT */
/* test_memberstore - what a member keeps comes back, and to nobody else */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "broker/member/memberstore.h"
#include "tests/unit/libntmcrypto/groups.h"

static struct circle c;
static struct memberstore *s;
static char dir[32], path[64];
static struct member_own own;

static void open_as(const struct ntmc_identity *id)
{
	memberstore_close(s);
	s = NULL;
	assert_int_equal(memberstore_open(path, NULL, id, &s), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/memberstore.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/groups.db", dir);
	circle_open(&c);
	circle_create(&c);
	circle_add(&c, 0, 1, GROUP_ALL_RIGHTS);
	memset(&own, 0, sizeof(own));
	own.secret = c.p[1].secret;
	own.prekey[0].priv = c.p[1].prekey_priv;
	memcpy(own.prekey[0].pub, c.p[1].prekey.pub, NTMC_KEY_LEN);
	memset(&own.prekey[1], 0x5a, sizeof(own.prekey[1]));
	own.serial = c.p[1].prekey.serial;
	own.used = true;
	own.waiting = true;
	memset(own.entry_hash, 0x77, sizeof(own.entry_hash));
	memset(&own.share, 0x66, sizeof(own.share));
	open_as(&c.p[1].id);
	return 0;
}

static int teardown(void **state)
{
	static const char *const end[] = {"", "-wal", "-shm"};
	char name[80];
	size_t i;

	(void)state;
	memberstore_close(s);
	s = NULL;
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, end[i]);
		unlink(name);
	}
	rmdir(dir);
	circle_close(&c);
	return 0;
}

#define WHOLE 4096

/* @g as bytes, and zeros; @slot: of two */
static uint8_t *whole(const struct group *g, unsigned int slot)
{
	static uint8_t b[2][WHOLE];
	size_t len;

	memset(b[slot], 0, WHOLE);
	assert_int_equal(group_save(g, b[slot], WHOLE, &len), 0);
	return b[slot];
}

static int get(void)
{
	struct member_own got;
	struct group *g = NULL;
	int r = memberstore_get(s, c.id, &g, &got);

	if (r) {
		assert_null(g);
		return r;
	}
	assert_memory_equal(&got, &own, sizeof(got));
	assert_memory_equal(group_hash(g), group_hash(c.p[1].g), NTMC_HASH_LEN);
	assert_int_equal(group_size(g), group_size(c.p[1].g));
	assert_memory_equal(whole(g, 0), whole(c.p[1].g, 1), WHOLE);
	group_free(g);
	return 0;
}

static void test_round(void **state)
{
	uint8_t ids[2][GROUP_ID_LEN];

	(void)state;
	assert_int_equal(get(), -NTM_ENOTFOUND);
	assert_int_equal(memberstore_list(s, ids, 2), 0);
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	assert_int_equal(get(), 0);
	open_as(&c.p[1].id);
	assert_int_equal(get(), 0);
	/* the next epoch takes its place */
	circle_refresh(&c, 0);
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), -NTM_ESTATE);
	own.secret = c.p[1].secret;
	own.used = own.waiting = false;
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	assert_int_equal(get(), 0);
	assert_int_equal(memberstore_list(s, ids, 2), 1);
	assert_memory_equal(ids[0], c.id, GROUP_ID_LEN);
	assert_int_equal(memberstore_drop(s, c.id), 0);
	assert_int_equal(get(), -NTM_ENOTFOUND);
}

/* is @b in the file, or its log? */
static bool on_disk(const uint8_t *b, size_t len)
{
	static const char *const end[] = {"", "-wal"};
	static uint8_t buf[1 << 20];
	char name[80];
	bool found = false;
	size_t n;

	for (size_t i = 0; i < 2; i++) {
		FILE *f;

		snprintf(name, sizeof(name), "%s%s", path, end[i]);
		f = fopen(name, "r");
		n = f ? fread(buf, 1, sizeof(buf), f) : 0;
		if (f)
			fclose(f);
		found |= memmem(buf, n, b, len) != NULL;
	}
	return found;
}

/* who takes the files, and the device's identity, has no secret of before */
static void test_wiped(void **state)
{
	uint8_t was[64];
	sqlite3_stmt *st;
	sqlite3 *db;

	(void)state;
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db, "SELECT own FROM groups", -1, &st, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	memcpy(was, sqlite3_column_blob(st, 0), sizeof(was));
	sqlite3_finalize(st);
	sqlite3_close(db);
	circle_refresh(&c, 0);
	own.secret = c.p[1].secret;
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	assert_true(on_disk(was, sizeof(was)));
	assert_int_equal(memberstore_tidy(s), 0);
	assert_false(on_disk(was, sizeof(was)));
	assert_int_equal(get(), 0);
}

/* a disk that dies between the two of one transaction */
static void test_whole(void **state)
{
	uint8_t entry[GROUP_ENTRY_MAX], sealer[NTMC_KEY_LEN];
	size_t len;

	(void)state;
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	assert_int_equal(memberstore_begin(s), 0);
	assert_int_equal(memberstore_log_put(s, c.id, 2, c.entry, c.len, NULL),
			 0);
	own.serial++;
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	memberstore_rollback(s);
	own.serial--;
	assert_int_equal(get(), 0);
	assert_int_equal(memberstore_log_get(s, c.id, 2, entry, &len, sealer),
			 -NTM_ENOTFOUND);
}

static void test_log(void **state)
{
	uint8_t entry[GROUP_ENTRY_MAX], sealer[NTMC_KEY_LEN], none[32] = {0};
	size_t len;

	(void)state;
	memset(sealer, 9, sizeof(sealer));
	assert_int_equal(memberstore_log_put(s, c.id, 2, c.entry, c.len, NULL),
			 0);
	assert_int_equal(memberstore_log_put(s, c.id, 3, c.entry, 99, sealer),
			 0);
	assert_int_equal(memberstore_log_put(s, c.id, 3, c.entry, 98, NULL),
			 -NTM_EEXISTS);
	assert_int_equal(memberstore_log_get(s, c.id, 2, entry, &len, sealer),
			 0);
	assert_int_equal(len, c.len);
	assert_memory_equal(entry, c.entry, len);
	assert_memory_equal(sealer, none, sizeof(none));
	assert_int_equal(memberstore_log_get(s, c.id, 3, entry, &len, sealer),
			 0);
	assert_int_equal(len, 99);
	assert_int_equal(sealer[31], 9);
	assert_int_equal(memberstore_drop(s, c.id), 0);
	assert_int_equal(memberstore_log_get(s, c.id, 3, entry, &len, sealer),
			 -NTM_ENOTFOUND);
}

/* what somebody else writes into it */
static void meanwhile(const char *sql, const void *body, size_t len)
{
	sqlite3_stmt *st;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(
		sqlite3_bind_blob(st, 1, body, (int)len, SQLITE_STATIC),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
	sqlite3_close(db);
}

/* where nobody came or went the list of members is not written */
static void test_pieces(void **state)
{
	(void)state;
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	meanwhile("UPDATE piece SET body = ? WHERE number = 0", "not them", 8);
	assert_int_equal(get(), -NTM_EAUTH);
	circle_timer(&c);
	own.secret = c.p[1].secret;
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	assert_int_equal(get(), -NTM_EAUTH);
	circle_add(&c, 0, 2, 0);
	own.secret = c.p[1].secret;
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	assert_int_equal(get(), 0);
	/* and where it was rolled back it is written later */
	circle_remove(&c, 0, 2);
	own.secret = c.p[1].secret;
	assert_int_equal(memberstore_begin(s), 0);
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	memberstore_rollback(s);
	circle_timer(&c);
	own.secret = c.p[1].secret;
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	assert_int_equal(get(), 0);
	assert_int_equal(memberstore_drop(s, c.id), 0);
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	assert_int_equal(get(), 0);
}

/* the whole file, searched for @len bytes */
static bool disk_has(const void *what, size_t len)
{
	static const char *const end[] = {"", "-wal"};
	static char b[1 << 20];
	char name[80];
	bool found = false;
	size_t i;
	ssize_t n;
	int fd;

	for (i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%s%s", path, end[i]);
		fd = open(name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, b, sizeof(b));
		found |= n > 0 && memmem(b, (size_t)n, what, len);
		close(fd);
	}
	return found;
}

/* what is noted of a group: of that one, and gone with it */
static void test_notes(void **state)
{
	static const uint8_t body[] = "whom nobody knows";
	uint8_t got[MEMBERSTORE_NOTE_MAX], *big = calloc(1, sizeof(got) + 1);
	size_t len;

	(void)state;
	assert_non_null(big);
	assert_int_equal(memberstore_note_get(s, c.id, NOTE_REMOVAL, got, &len),
			 -NTM_ENOTFOUND);
	assert_int_equal(
		memberstore_note_put(s, c.id, NOTE_REMOVAL, body, sizeof(body)),
		0);
	assert_int_equal(memberstore_note_get(s, c.id, NOTE_REMOVAL, got, &len),
			 0);
	assert_int_equal(len, sizeof(body));
	assert_memory_equal(got, body, sizeof(body));
	assert_false(disk_has(body, sizeof(body)));
	open_as(&c.p[0].id);
	assert_int_equal(memberstore_note_get(s, c.id, NOTE_REMOVAL, got, &len),
			 -NTM_EAUTH);
	open_as(&c.p[1].id);
	assert_int_equal(memberstore_note_put(s, c.id, NOTE_REMOVAL, big,
					      sizeof(got) + 1),
			 -NTM_ETOOBIG);
	assert_int_equal(
		memberstore_note_put(s, c.id, NOTE_REMOVAL, big, sizeof(got)),
		0);
	assert_int_equal(memberstore_note_put(s, c.id, NOTE_REMOVAL, NULL, 0),
			 0);
	assert_int_equal(memberstore_note_get(s, c.id, NOTE_REMOVAL, got, &len),
			 -NTM_ENOTFOUND);
	assert_int_equal(
		memberstore_note_put(s, c.id, NOTE_REMOVAL, body, sizeof(body)),
		0);
	assert_int_equal(memberstore_drop(s, c.id), 0);
	assert_int_equal(memberstore_note_get(s, c.id, NOTE_REMOVAL, got, &len),
			 -NTM_ENOTFOUND);
	free(big);
}

/* the file alone is worth nothing: not the keys, not the group's name */
static void test_sealed(void **state)
{
	(void)state;
	assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
	/* what is no secret can be found, so the search works */
	assert_true(disk_has(group_hash(c.p[1].g), NTMC_HASH_LEN));
	assert_false(disk_has(own.secret.rn1.b, 16));
	assert_false(disk_has(own.prekey[0].priv.b, 16));
	assert_false(disk_has(own.prekey[1].priv.b, 16));
	assert_false(disk_has(own.share.b, 16));
	assert_false(disk_has("band", 4));
	open_as(&c.p[0].id);
	assert_int_equal(get(), -NTM_EAUTH);
	open_as(&c.p[1].id);
	assert_int_equal(get(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round, setup, teardown),
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wiped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sealed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_notes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
