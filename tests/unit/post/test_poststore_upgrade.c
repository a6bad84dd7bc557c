/* SPDX-License-Identifier: MIT */
/*
 * test_poststore_upgrade - ntm-post's store that an older version has filled
 *
 * Of what was sent one item waits at a Cache Server, one is half sent, one has reached
 * everybody. Of what came one is listed, one is here, one was taken, one refused: the
 * servers have yet to hear of those; one was taken and that is known.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/inbox.h"
#include "broker/post/outbox.h"
#include "broker/post/poststore.h"
#include "common/log.h"
#include "tests/unit/common/oldstore.h"

#define NOW	1800000000
#define LAPTOP	"laptop.mn.example.org"
#define DESK	"desk.cn.example.org"
#define ROOF	"roof.cn.example.org"
#define EXPIRES "1801000000"
#define HAD	5702400 /* 66 days */

static const struct oldstore_row rows[] = {
	{1, "INSERT INTO out (id, application, service, item, state, k,"
	    " payload, size, hash, created, expires, message, title, cs, sent)"
	    " VALUES (1, 'ntm', 'file', 'waits', 1, zeroblob(32), 10, 20,"
	    " zeroblob(32), 1799990000, " EXPIRES ", '', 'a',"
	    " '{\"name\": \"cs.mn.example.org\"}', 20),"
	    " (2, 'ntm', 'text', 'half', 0, zeroblob(32), 11, 21, NULL,"
	    " 1799990001, " EXPIRES ", '', 'b', NULL, 0),"
	    " (3, 'ntm', 'file', 'over', 2, NULL, 10, 20, zeroblob(32),"
	    " 1799990002, " EXPIRES ", '', 'c', NULL, 20)"},
	{1, "INSERT INTO name VALUES (1, '" DESK "', 1), (1, '" ROOF "', 1),"
	    " (2, '" DESK "', 1), (2, 'cn.example.org', 0),"
	    " (3, '" DESK "', 1)"},
	{1, "INSERT INTO receiver (out, name, state, t, wrapped) VALUES"
	    " (1, '" DESK "', 3, zeroblob(32), x'01'),"
	    " (1, '" ROOF "', 4, zeroblob(32), x'02'),"
	    " (2, '" DESK "', 1, zeroblob(32), x'03'),"
	    " (3, '" DESK "', 4, NULL, NULL)"},
	{1, "INSERT INTO inb (id, sender, application, service, item, state,"
	    " entry, key_hash, data_hash, size, cs, ticket, temporal, at,"
	    " expires, k, signer, blob, fetched, title) VALUES"
	    " (1, '" DESK "', 'ntm', 'file', 'comes', 0, 11, 'K1', 'D1', 9,"
	    " '{}', 'T', 'T1', 1799990000, " EXPIRES ", zeroblob(32),"
	    " zeroblob(32), x'0102', 5, NULL),"
	    " (2, '" DESK "', 'ntm', 'file', 'here', 2, 12, 'K2', 'D2', 9,"
	    " '{}', 'T', 'T2', 1799990000, " EXPIRES ", zeroblob(32),"
	    " zeroblob(32), x'0102', 9, 'x'),"
	    " (3, '" DESK "', 'ntm', 'file', 'taken', 5, 13, 'K3', 'D3', 9,"
	    " '{}', 'T', 'T3', 1799990000, " EXPIRES ", zeroblob(32),"
	    " zeroblob(32), NULL, 9, 'y'),"
	    " (4, '" DESK "', 'ntm', 'file', 'wrong', 3, 14, 'K4', 'D4', 9,"
	    " '{}', 'T', 'T4', 1799990000, " EXPIRES ", zeroblob(32),"
	    " zeroblob(32), NULL, 9, NULL),"
	    " (5, '" DESK "', 'ntm', 'file', 'long ago', 5, NULL, 'K5', 'D5',"
	    " 9, '{}', 'T', 'T5', 1799990000, " EXPIRES ", NULL, NULL, NULL, 9,"
	    " 'z')"},
	/* of another login, and of this one */
	{1, "INSERT INTO prekey VALUES"
	    " (x'01', 'old.mn.example.org', zeroblob(32), zeroblob(32),"
	    " 1799000000, 1801000000, zeroblob(64), x'01'),"
	    " (x'02', '" LAPTOP "', zeroblob(32), zeroblob(32), 1799900000,"
	    " 1802000000, zeroblob(64), x'01'),"
	    " (x'03', 'new.mn.example.org', zeroblob(32), zeroblob(32),"
	    " 1799999000, 1803000000, zeroblob(64), x'01')"},
	{1, "INSERT INTO pin VALUES ('" DESK "', zeroblob(32))"},
	{2, "UPDATE inb SET settled = data_hash, k = NULL, signer = NULL,"
	    " blob = NULL, fetched = 0 WHERE state > 1;"
	    "INSERT INTO had (hash, until) SELECT data_hash, at + 5702400"
	    " FROM inb WHERE state IN (2, 5)"},
	{3, "UPDATE out SET sender = '" LAPTOP "'"},
	{4, "INSERT INTO small VALUES (2, x'68656c6c6f')"},
	{5, "UPDATE receiver SET posted = 1 WHERE state = 3"},
	{7, "UPDATE receiver SET signer = zeroblob(32), proven = state = 4;"
	    "UPDATE inb SET receipt = zeroblob(81) WHERE state > 1;"
	    "UPDATE had SET receipt = zeroblob(81)"},
	{8, "UPDATE out SET whole = 1, kept = expires WHERE state IN (1, 2)"},
	{0, NULL},
};

static const char *const pins[] = {"8fd02782971a9cc9", "b739a5cf1a569780",
				   "802a9ac2567eaea0", "c9a0cd978bdd4bbf",
				   "a2d6efde7db07c12", "696c09090bf44332",
				   "4609c9b04d35ba22", "7aed50f37e4d2e3e",
				   "055be9ac8f3722e5", NULL};

static struct store *st;

static void steps_stand(void **state)
{
	size_t n;
	const char *const *schema = poststore_schema(&n);

	(void)state;
	oldstore_pinned(schema, n, pins);
}

static int64_t run(enum post_statement which)
{
	assert_int_equal(store_run(st, which), 0);
	return store_changes(st);
}

/* one row of a statement whose only parameter is a number */
static void row(enum post_statement which, int64_t id)
{
	store_bind_int(st, which, 1, id);
	assert_int_equal(store_step(st, which), 1);
}

/* @which lists just these numbers, up to 0 */
static void lists(enum post_statement which, const int64_t *ids)
{
	store_bind_int(st, which, 1, NOW);
	for (; *ids; ids++) {
		assert_int_equal(store_step(st, which), 1);
		assert_int_equal(store_int(st, which, 0), *ids);
	}
	assert_int_equal(store_step(st, which), 0);
}

/* what was sent goes on: in the name it was sealed in, to those who have it not */
static void sent_on(bool small)
{
	int n, i;
	static const int64_t due[] = {1, 2, 0};
	uint8_t k[32], payload[8];
	int64_t id;

	lists(OUT_DUE, due);
	for (id = 1; id <= 3; id++) {
		row(OUT_GET, id);
		assert_string_equal(store_text(st, OUT_GET, 21), LAPTOP);
		assert_int_equal(store_blob(st, OUT_GET, 5, k, sizeof(k)),
				 id == 3 ? 0 : 32);
		store_reset(st, OUT_GET);
		row(OUT_FOLDER_OVER, id);
		assert_int_equal(store_int(st, OUT_FOLDER_OVER, 0), id == 3);
		store_reset(st, OUT_FOLDER_OVER);
	}
	row(NAME_OPEN, 2);
	assert_string_equal(store_text(st, NAME_OPEN, 0), "cn.example.org");
	store_reset(st, NAME_OPEN);
	if (small) {
		row(SMALL_GET, 2);
		assert_int_equal(store_blob(st, SMALL_GET, 0, payload, 8), 5);
		store_reset(st, SMALL_GET);
	}
	row(TO_COUNT, 1);
	for (n = 0, i = TO_FOUND; i <= TO_TOLD; i++)
		n += (int)store_int(st, TO_COUNT, i);
	assert_int_equal(n, 1);
	store_reset(st, TO_COUNT);
}

/* the Cache Server says of both that it was received; one was before */
static void sent_end(void)
{
	static const int64_t due[] = {2, 0};
	const char *const names[] = {DESK, ROOF};
	size_t i;

	for (i = 0; i < 2; i++) {
		store_bind_int(st, TO_HEARD, 1, 1);
		store_bind_text(st, TO_HEARD, 2, names[i]);
		store_bind_int(st, TO_HEARD, 3, TO_RECEIVED);
		store_bind_int(st, TO_HEARD, 4, 0);
		store_bind_int(st, TO_HEARD, 5, NOW);
		store_bind_int(st, TO_HEARD, 6, 1);
		assert_int_equal(run(TO_HEARD), i == 0);
	}
	store_bind_int(st, OUT_STATE, 1, 1);
	store_bind_int(st, OUT_STATE, 2, OUT_ENDED);
	store_bind_int(st, OUT_STATE, 3, 0);
	store_bind_text(st, OUT_STATE, 4, "");
	store_bind_int(st, OUT_STATE, 5, 0);
	assert_int_equal(run(OUT_STATE), 1);
	lists(OUT_DUE, due);
	store_bind_int(st, OUT_DELETE, 1, 1);
	assert_int_equal(run(OUT_DELETE), 1);
}

/* One is fetched on from where it was; of the others the servers hear. No key of those is
 * kept. */
static void came_on(void)
{
	static const int64_t due[] = {1, 2, 3, 4, 0};
	uint8_t k[32], blob[8];
	int64_t id;

	lists(IN_DUE, due);
	for (id = 1; id <= 5; id++) {
		row(IN_GET, id);
		assert_int_equal(store_blob(st, IN_GET, 17, k, sizeof(k)),
				 id == 1 ? 32 : 0);
		assert_int_equal(store_blob(st, IN_GET, 19, blob, sizeof(blob)),
				 id == 1 ? 2 : 0);
		store_reset(st, IN_GET);
	}
}

/* the same list once more: nothing of it is new */
static void listed_again(void)
{
	int64_t id;

	for (id = 1; id <= 4; id++) {
		store_bind_int(st, IN_ANEW, 1, id);
		assert_int_equal(run(IN_ANEW), 0);
		store_bind_int(st, IN_KNOWN, 1, id);
		assert_int_equal(run(IN_KNOWN), 0);
	}
}

/* A server lists what was here under other IDs: it is known by its blob, and given to
 * nobody twice */
static void known(const char *item, const char *data)
{
	int64_t id;

	store_bind_text(st, IN_NEW, 1, DESK);
	store_bind_text(st, IN_NEW, 2, "ntm");
	store_bind_text(st, IN_NEW, 3, "file");
	store_bind_text(st, IN_NEW, 4, item);
	store_bind_text(st, IN_NEW, 5, "");
	store_bind_int(st, IN_NEW, 6, 20);
	store_bind_text(st, IN_NEW, 7, "K9");
	store_bind_text(st, IN_NEW, 8, data);
	store_bind_int(st, IN_NEW, 9, 9);
	store_bind_text(st, IN_NEW, 10, "{}");
	store_bind_text(st, IN_NEW, 11, "T");
	store_bind_text(st, IN_NEW, 12, "T9");
	store_bind_int(st, IN_NEW, 13, NOW);
	store_bind_int(st, IN_NEW, 14, NOW + 1000);
	assert_int_equal(run(IN_NEW), 1);
	assert_int_equal(store_step(st, OUT_LAST), 1);
	id = store_int(st, OUT_LAST, 0);
	store_reset(st, OUT_LAST);
	store_bind_int(st, IN_KNOWN, 1, id);
	assert_int_equal(run(IN_KNOWN), 1);
	row(IN_GET, id);
	assert_int_equal(store_int(st, IN_GET, 6), IN_TAKEN);
	store_reset(st, IN_GET);
}

/* the person takes what is here; the servers have heard of all; its time is over */
static void came_end(void)
{
	static const int64_t due[] = {1, 0}, none[] = {0};
	int64_t id;

	store_bind_int(st, IN_STATE, 1, 2);
	store_bind_int(st, IN_STATE, 2, IN_TAKEN);
	store_bind_int(st, IN_STATE, 3, 0);
	store_bind_text(st, IN_STATE, 4, "");
	assert_int_equal(run(IN_STATE), 1);
	for (id = 2; id <= 4; id++) {
		store_bind_int(st, IN_SEEN, 1, id);
		store_bind_int(st, IN_SEEN, 2, 10 + id);
		assert_int_equal(run(IN_SEEN), 1);
	}
	lists(IN_DUE, due);
	store_bind_int(st, IN_DELETE, 1, 1);
	assert_int_equal(run(IN_DELETE), 1);
	lists(IN_DUE, none);
	store_bind_int(st, IN_OLD, 1, 1801000001);
	assert_int_equal(run(IN_OLD), 4);
	store_bind_int(st, HAD_OLD, 1, 1799990000 + HAD);
	assert_int_equal(run(HAD_OLD), 0);
	store_bind_int(st, HAD_OLD, 1, 1799990000 + HAD + 1);
	assert_int_equal(run(HAD_OLD), 3);
}

static void keys_are_there(void)
{
	store_bind_text(st, PREKEY_NEWEST, 1, LAPTOP);
	store_bind_int(st, PREKEY_NEWEST, 2, NOW);
	assert_int_equal(store_step(st, PREKEY_NEWEST), 1);
	assert_int_equal(store_int(st, PREKEY_NEWEST, 2), 1799900000);
	store_reset(st, PREKEY_NEWEST);
	store_bind_text(st, PIN_GET, 1, DESK);
	assert_int_equal(store_step(st, PIN_GET), 1);
	store_reset(st, PIN_GET);
}

static void old_stores(void **state)
{
	size_t n, k;
	const char *const *schema = poststore_schema(&n);

	(void)state;
	for (k = 1; k <= n; k++) {
		print_message("%zu of %zu steps\n", k, n);
		oldstore_make(schema, k, rows);
		assert_int_equal(poststore_open(oldstore_folder, &st), 0);
		keys_are_there();
		sent_on(k >= 4);
		sent_end();
		came_on();
		listed_again();
		came_end();
		store_close(st);
	}
}

/* what was verified by an older version, and deleted meanwhile, is still known */
static void had(void **state)
{
	size_t n, k;
	const char *const *schema = poststore_schema(&n);

	(void)state;
	for (k = 1; k <= n; k++) {
		oldstore_make(schema, k, rows);
		assert_int_equal(poststore_open(oldstore_folder, &st), 0);
		known("of one here", "D2");
		known("of one taken", "D3");
		known("of one long gone", "D5");
		store_close(st);
	}
}

int main(void)
{
#define TEST(f)                                                                \
	cmocka_unit_test_setup_teardown(f, oldstore_setup, oldstore_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_stand),
		TEST(old_stores),
		TEST(had),
	};

	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
