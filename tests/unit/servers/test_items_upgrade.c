/* SPDX-License-Identifier: MIT */
/*
 * test_items_upgrade - a Cache Server's store that an older version has filled
 *
 * alice has four items: one waits for bob and carol, one is half here, one is done, and
 * one, where that version could, lies in the store. The present code opens it, goes on
 * with each of them, and its sums are what they would have been.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/cs/items.h"
#include "servers/cs/items_impl.h"
#include "tests/unit/common/oldstore.h"

#define LAPTOP	"laptop.alice.example.net"
#define BOB	"desk.bob.example.net"
#define CAROL	"desk.carol.example.org"
#define DORA	"desk.dora.example.net"
#define EXPIRES "2000000000"

/* sealed keys: bob's have 3 bytes, carol's 4. Her ticket: zeros, and their hash */
#define TICKET "zeroblob(32)"
#define TICKET_HASH                                                            \
	"x'66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925'"

#define KEY_HASH_3                                                             \
	"x'039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81'"
#define KEY_HASH_4                                                             \
	"x'9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a'"

static const struct oldstore_row rows[] = {
	{1, "INSERT INTO accounts (name, bytes, n) VALUES ('alice', 150, 2)"},
	{1, "INSERT INTO items (number, sender, application, service, item,"
	    " message, account, state, created, expires, size, hash) VALUES"
	    " (1, '" LAPTOP "', 'ntm', 'file', 'waits', 'hello', 'alice', 2,"
	    " 1700000001, " EXPIRES ", 100, zeroblob(32)),"
	    " (2, '" LAPTOP "', 'ntm', 'file', 'half', '', 'alice', 1,"
	    " 1700000002, " EXPIRES ", 50, NULL),"
	    " (3, '" LAPTOP "', 'ntm', 'file', 'done', '', 'alice', 3,"
	    " 1700000003, " EXPIRES ", 10, zeroblob(32))"},
	{1, "INSERT INTO receivers (item, name, state, at, code, ticket_hash,"
	    " ticket, key_hash, key) VALUES"
	    " (1, '" BOB "', 2, 7, 0, x'01', NULL, " KEY_HASH_3 ", x'010203'),"
	    " (1, '" CAROL "', 1, 7, 0, " TICKET_HASH ", " TICKET ","
	    " " KEY_HASH_4 ", x'01020304'),"
	    " (2, '" BOB "', 1, 7, 0, x'03', x'03', " KEY_HASH_3 ", x'010203'),"
	    " (3, '" BOB "', 3, 8, 0, x'04', NULL, " KEY_HASH_3 ", NULL)"},
	{1, "INSERT INTO asks (item, kind, name, tries, due) VALUES"
	    " (1, 1, '" CAROL "', 2, 0), (1, 2, '" CAROL "', 0, 0),"
	    " (2, 1, '" BOB "', 0, 0), (3, 3, '" BOB "', 0, 0)"},
	{2, "INSERT INTO ended (account, item) VALUES ('alice', 3);"
	    "UPDATE accounts SET ended = 1"},
	{4,
	 "INSERT INTO items (number, sender, application, service, item,"
	 " message, account, state, created, expires, size, hash, small)"
	 " VALUES (4, '" LAPTOP "', 'ntm', 'text', 'small', '', 'alice', 2,"
	 " 1700000004, " EXPIRES ", 5, x'04', 1);"
	 "INSERT INTO small VALUES (4, x'68656c6c6f');"
	 "INSERT INTO receivers (item, name, state, at, code, ticket_hash,"
	 " key_hash, key) VALUES (4, '" BOB "', 2, 7, 0, x'05', " KEY_HASH_3 ","
	 " x'010203');"
	 "UPDATE accounts SET bytes = bytes + 5, n = n + 1"},
	{5, "UPDATE asks SET account = 'alice'"},
	{6, "UPDATE items SET keys = (SELECT sum(length(key)) FROM receivers"
	    " WHERE item = number) WHERE state < 3;"
	    "UPDATE accounts SET bytes = bytes +"
	    " (SELECT sum(keys) FROM items)"},
	{0, NULL},
};

static const char *const pins[] = {"3c8f66d0ab342030", "d672d5fcc4c9669f",
				   "b568b5b40f8133ae", "e28197dffeb48d05",
				   "61cbfdc39e77e0ca", "2578db8535f2bc54",
				   "90a81aaca804eda1", NULL};

static struct items *items;
static size_t n_seen;
static struct items_totals totals;

static void steps_stand(void **state)
{
	size_t n;
	const char *const *schema = items_schema(&n);

	(void)state;
	oldstore_pinned(schema, n, pins);
}

static int64_t find(const char *service, const char *id, enum item_state state)
{
	struct item item;

	assert_int_equal(items_find(items, LAPTOP, "ntm", service, id, &item),
			 0);
	assert_int_equal(item.state, state);
	return item.number;
}

static void on_account(void *arg, const char *name, uint64_t bytes, uint64_t n)
{
	uint64_t *want = arg;

	assert_string_equal(name, "alice");
	assert_int_equal(bytes, want[0]);
	assert_int_equal(n, want[1]);
	n_seen++;
}

/* what alice is charged with; 0 items: she is not named */
static void charged(uint64_t bytes, uint64_t n)
{
	uint64_t want[2] = {bytes, n};

	n_seen = 0;
	assert_int_equal(items_accounts(items, 9, on_account, want), 0);
	assert_int_equal(n_seen, n != 0);
	assert_int_equal(items_totals(items, &totals), 0);
	assert_int_equal(totals.bytes, bytes);
}

static bool on_ask(void *arg, const struct ask *a)
{
	struct ask *out = arg;

	out[n_seen++] = *a;
	return true;
}

static size_t asks(struct ask out[static 8])
{
	char account[FQDN_MAX + 1];

	n_seen = 0;
	assert_int_equal(items_asks_account(items, "", account), 0);
	assert_string_equal(account, "alice");
	assert_int_equal(items_asks_of(items, account, 1, 8, on_ask, out), 0);
	return n_seen;
}

/* the box is told of each, as it would have been */
static void box_told(void)
{
	struct ask a[8];
	size_t i, n = asks(a);
	uint8_t ticket[ITEMS_TICKET_LEN] = {0};
	struct receiver r;
	struct item item;

	assert_int_equal(n, 4);
	assert_int_equal(items_by_ticket(items, ticket, &item, &r), 0);
	assert_int_equal(item.number, 1);
	assert_string_equal(r.name, CAROL);
	assert_true(r.has_ticket);
	for (i = 0; i < n; i++)
		assert_int_equal(items_asked(items, &a[i], 0, 9), 0);
	assert_int_equal(items_receiver(items, 1, CAROL, &r), 0);
	assert_int_equal(r.state, RECEIVER_TOLD);
	assert_int_equal(r.key_len, 4);
	assert_false(r.has_ticket);
}

static bool confirm(int64_t number, const char *name)
{
	uint8_t receipt[RECEIPT_LEN] = {7};
	struct receiver r;
	bool over;

	assert_int_equal(
		items_confirm(items, number, name, 0, receipt, 10, &over), 0);
	assert_int_equal(items_receiver(items, number, name, &r), 0);
	assert_int_equal(r.state, RECEIVER_RECEIVED);
	assert_true(r.has_receipt);
	return over;
}

/* a receiver joins the one that waits; those who wait are named again */
static void join(void)
{
	struct items_limits limits = {.bytes = 1000, .n = 9};
	struct item item = {.expires = 2000000000, .size = 100};
	struct receiver r[3] = {{.name = BOB, .key_len = 3},
				{.name = CAROL, .key_len = 4},
				{.name = DORA, .key_len = 6}};
	size_t i;

	strcpy(item.sender, LAPTOP);
	strcpy(item.application, "ntm");
	strcpy(item.service, "file");
	strcpy(item.item, "waits");
	strcpy(item.message, "hello");
	for (i = 0; i < 3; i++)
		memcpy(r[i].key, "\1\2\3\4\5\6", r[i].key_len);
	assert_int_equal(items_add(items, &item, "alice", r, 3, NULL, &limits),
			 2);
}

static void go_on(bool small)
{
	uint64_t bytes = 160 + (small ? 8 : 0), n = 2 + small;
	uint8_t hash[NTMC_HASH_LEN] = {9}, data[5];

	charged(bytes, n);
	assert_int_equal(items_begin(items), 0);
	box_told();
	join();
	charged(bytes += 6, n);
	assert_int_equal(find("file", "waits", ITEM_COMPLETE), 1);
	assert_false(confirm(1, BOB));
	assert_false(confirm(1, CAROL));
	assert_true(confirm(1, DORA));
	charged(bytes -= 113, --n);
	assert_int_equal(find("file", "half", ITEM_OPEN), 2);
	assert_int_equal(items_complete(items, 2, hash), 0);
	assert_true(confirm(2, BOB));
	charged(bytes -= 53, --n);
	if (small) {
		assert_int_equal(find("text", "small", ITEM_COMPLETE), 4);
		assert_int_equal(items_small_get(items, 4, data, 5), 0);
		assert_memory_equal(data, "hello", 5);
		assert_int_equal(items_cancel(items, 4), 0);
		charged(bytes -= 8, --n);
	}
	assert_int_equal(bytes, 0);
	assert_int_equal(find("file", "done", ITEM_DONE), 3);
	assert_int_equal(items_commit(items), 0);
}

static void old_stores(void **state)
{
	size_t n, k, ended;
	const char *const *schema = items_schema(&n);

	(void)state;
	for (k = 1; k <= n; k++) {
		print_message("%zu of %zu steps\n", k, n);
		oldstore_make(schema, k, rows);
		assert_int_equal(items_open(oldstore_path, &items), 0);
		go_on(k >= 4);
		items_close(items);
		ended = k >= 4 ? 4 : 3;
		assert_int_equal(oldstore_number("SELECT ended FROM accounts"),
				 ended);
		assert_int_equal(oldstore_number("SELECT count(*) FROM ended"),
				 ended);
		/* what ended first is forgotten first */
		assert_int_equal(oldstore_number("SELECT item FROM ended"
						 " ORDER BY seq"),
				 3);
		assert_int_equal(oldstore_number("SELECT count(*) FROM small"),
				 0);
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
