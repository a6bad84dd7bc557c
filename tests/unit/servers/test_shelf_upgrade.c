/* SPDX-License-Identifier: MIT */
/*
 * test_shelf_upgrade - a box's store that an older version has filled
 *
 * desk waits for an item of laptop, of its own domain, and for one of far, of another;
 * and an item of its own was confirmed. The present code opens the store, tells of all of
 * it, counts it, and takes more of the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/box/shelf.h"
#include "servers/box/shelf_impl.h"
#include "tests/unit/common/oldstore.h"

#define NOW    INT64_C(1800000000)
#define NUMBER "1799999002"
#define DESK   "desk.bob.example.org"
#define LAPTOP "laptop.alice.example.org"
#define FAR    "pc.eve.example.net"

/* a receiver, whose account and domain of the sender, and the item */
#define OWN   "'" DESK "', 'alice.example.org', '', '" LAPTOP "',"
#define OTHER "'" DESK "', 'eve.example.net', 'example.net', '" FAR "',"
#define IDS   " 'ntm', 'file', "
#define CS    "'cs.example.org', '[\"192.0.2.1:443\"]', 1799999000, 1800000500, "

static const struct oldstore_row rows[] = {
	{1, "INSERT INTO devices VALUES ('" DESK "', 'bob.example.org',"
	    " zeroblob(32), " NUMBER ")"},
	{1, "INSERT INTO prekeys VALUES ('" DESK "', zeroblob(8), zeroblob(32),"
	    " 0, 1800001000, zeroblob(64), x'01020304')"},
	{1, "INSERT INTO keys (receiver, account, domain, sender, application,"
	    " service, item, key, hash, expires) VALUES"
	    " (" OWN IDS "'near', zeroblob(32), zeroblob(32), 1800000500),"
	    " (" OTHER IDS "'far', zeroblob(32), zeroblob(32), 1800000500)"},
	{1, "INSERT INTO entries (receiver, account, domain, sender,"
	    " application, service, item, status, message, key_hash,"
	    " data_hash, size, ticket, cs, addresses, at, expires, number)"
	    " VALUES (" OWN IDS "'near', 0, 'hello', zeroblob(32),"
	    " zeroblob(32), 5, zeroblob(32), " CS "1799999000),"
	    " (" OTHER IDS "'far', 0, '', zeroblob(32), zeroblob(0), -1,"
	    " zeroblob(32), " CS "1799999001),"
	    " (" OWN IDS "'mine', 1, '', zeroblob(0), zeroblob(0), -1,"
	    " zeroblob(0), " CS NUMBER ")"},
	{1, "INSERT INTO servers (name, addresses, at) VALUES"
	    " ('cs.example.org', '[\"192.0.2.1:443\"]', 1799999900)"},
	{2, "UPDATE servers SET fp = zeroblob(32), room = 9;"
	    "UPDATE entries SET since = 1799998000 WHERE status = 0"},
	{0, NULL},
};

static const char *const pins[] = {"bc8b1fd4ccdcbdb8", "e3667bf0f785c913",
				   "2026e70fb7a03c85", NULL};

/* how many tallies are missing, or are not what there is */
#define TALLIES_OF(table, what)                                                \
	"SELECT receiver, " what " AS w, '', count(*) FROM " table             \
	" GROUP BY receiver, w UNION SELECT receiver, " what                   \
	" AS w, account, count(*) FROM " table                                 \
	" GROUP BY receiver, w, account UNION SELECT '', " what                \
	" AS w, account, count(*) FROM " table                                 \
	" WHERE domain = '' GROUP BY account, w UNION SELECT receiver, " what  \
	" AS w, '@', count(*) FROM " table                                     \
	" WHERE domain <> '' GROUP BY receiver, w UNION SELECT "               \
	"receiver, " what " AS w, '@' || domain, count(*) FROM " table         \
	" WHERE domain <> '' GROUP BY receiver, w, domain UNION SELECT "       \
	"'', " what " AS w, '@' || domain, count(*) FROM " table               \
	" WHERE domain <> '' GROUP BY w, domain"
#define TALLIES                                                                \
	TALLIES_OF("keys", "0") " UNION " TALLIES_OF("entries", "1 + status")
#define TALLIES_WRONG                                                          \
	"SELECT (SELECT count(*) FROM (SELECT * FROM (" TALLIES ") EXCEPT"     \
	" SELECT * FROM tallies)) + (SELECT count(*) FROM (SELECT * FROM"      \
	" tallies EXCEPT SELECT * FROM (" TALLIES ")))"

static struct shelf *s;

static void steps_stand(void **state)
{
	size_t n;
	const char *const *schema = shelf_schema(&n);

	(void)state;
	oldstore_pinned(schema, n, pins);
}

static void on_changed(void *arg, const char *fqdn, uint32_t serial)
{
	(void)arg;
	(void)fqdn;
	(void)serial;
}

static void begin(void)
{
	assert_int_equal(shelf_open(oldstore_path, &s), 0);
	assert_int_equal(shelf_begin(s, NOW), 0);
}

static void end(int64_t tallies)
{
	assert_int_equal(shelf_commit(s, on_changed, NULL), 0);
	shelf_close(s);
	assert_int_equal(oldstore_number(TALLIES_WRONG), 0);
	assert_int_equal(oldstore_number("SELECT count(*) FROM tallies"),
			 tallies);
}

static void count(int64_t keys, int64_t entries)
{
	struct shelf_counts c;

	assert_int_equal(shelf_count(s, &c), 0);
	assert_int_equal(c.devices, 1);
	assert_int_equal(c.prekeys, 1);
	assert_int_equal(c.keys, keys);
	assert_int_equal(c.entries, entries);
}

/* the list of desk as a person's device reads it: @n entries. A new reference */
static json_t *list(size_t n)
{
	json_t *j, *entries;
	char *text;

	assert_int_equal(shelf_list(s, DESK, 0, 100, &text), 0);
	j = json_loads(text, 0, NULL);
	free(text);
	entries = json_object_get(j, "entries");
	assert_int_equal(json_array_size(entries), n);
	json_incref(entries);
	json_decref(j);
	return entries;
}

static bool not_removed(void *arg, const uint8_t *fp)
{
	(void)arg;
	(void)fp;
	return false;
}

/* @fp: is its fingerprint known? One that has none is told of when it has spoken again */
static void there(bool fp)
{
	struct shelf_named named[2];
	char *text;
	json_t *j;

	assert_int_equal(shelf_named(s, "", named, 2), 1);
	assert_string_equal(named[0].fqdn, DESK);
	assert_int_equal(named[0].serial, strtoll(NUMBER, NULL, 10));
	assert_int_equal(shelf_prekeys(s, "bob.example.org", &text), 0);
	free(text);
	j = shelf_keys(s, DESK, 0, 9);
	assert_int_equal(json_array_size(json_object_get(j, "keys")), 2);
	json_decref(j);
	j = shelf_servers(s, not_removed, NULL, false);
	assert_int_equal(json_array_size(json_object_get(j, "servers")), fp);
	json_decref(j);
	json_decref(list(3));
	count(2, 3);
}

static struct shelf_exchange exchange(const char *from, const char *id)
{
	struct shelf_exchange x = {.kind = SHELF_DATA,
				   .i = {.to = DESK,
					 .application = "ntm",
					 .service = "file",
					 .expires = NOW + 500},
				   .hash = {1},
				   .size = 7,
				   .since = NOW,
				   .cs = "cs.example.org"};

	snprintf(x.i.from, sizeof(x.i.from), "%s", from);
	snprintf(x.i.item, sizeof(x.i.item), "%s", id);
	return x;
}

/* the data of the other domain's, whose key alone was here, and one more of laptop */
static void more(void)
{
	struct shelf_exchange x = exchange(FAR, "far");
	json_t *j, *e;

	assert_int_equal(shelf_put_exchange(s, &x), 0);
	x = exchange(LAPTOP, "more");
	assert_int_equal(shelf_put_exchange(s, &x), 0);
	count(2, 4);
	j = list(4);
	e = json_array_get(j, 2);
	assert_string_equal(json_string_value(json_object_get(e, "item")),
			    "far");
	assert_int_equal(json_integer_value(json_object_get(e, "size")), 7);
	json_decref(j);
}

static void all_fetched(void)
{
	json_t *j = list(4), *e;
	size_t i;

	json_array_foreach(j, i, e)
	{
		assert_int_equal(
			shelf_delete_entry(
				s, DESK,
				json_integer_value(json_object_get(e, "id"))),
			0);
	}
	json_decref(j);
	count(0, 0);
}

static void old_stores(void **state)
{
	size_t n, k;
	const char *const *schema = shelf_schema(&n);

	(void)state;
	for (k = 1; k <= n; k++) {
		print_message("%zu of %zu steps\n", k, n);
		oldstore_make(schema, k, rows);
		begin();
		there(k >= 2);
		/* desk's: of all, of alice, of eve, of other domains, of eve's: of
		 * keys and entries; of all and of alice: of confirmations; for all
		 * receivers, alice's three, and the other domain's two */
		end(5 + 5 + 2 + 3 + 2);
		begin();
		more();
		end(5 + 5 + 2 + 3 + 2);
		begin();
		all_fetched();
		end(0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_stand),
		cmocka_unit_test_setup_teardown(old_stores, oldstore_setup,
						oldstore_teardown),
	};

	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
