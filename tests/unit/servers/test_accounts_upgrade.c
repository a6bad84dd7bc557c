/* SPDX-License-Identifier: MIT */
/*
 * test_accounts_upgrade - an AS's store that an older version has filled
 *
 * alice has a laptop that logs in and a lost phone; bob is disabled, and his desk has yet
 * to be withdrawn.
 */
#include <string.h>

#include "servers/as/accounts.h"
#include "servers/as/accounts_impl.h"
#include "tests/unit/common/oldstore.h"

#define NOW    INT64_C(1800000000)
#define LAPTOP "laptop.alice.example.org"
#define PHONE  "phone.alice.example.org"
#define DESK   "desk.bob.example.org"

static const struct oldstore_row rows[] = {
	{1, "INSERT INTO accounts (name, hash, enabled, created) VALUES"
	    " ('alice', 'HASH', 1, 1700000000),"
	    " ('bob', 'HASH', 0, 1700000001)"},
	{1, "INSERT INTO devices VALUES"
	    " ('" LAPTOP "', 'alice', zeroblob(32), 0, 1799990000, '1'),"
	    " ('" PHONE "', 'alice', x'01', 1, 1799980000, '1'),"
	    " ('" DESK "', 'bob', x'02', 0, 1799970000, '1')"},
	{1, "INSERT INTO revoked VALUES (x'01', 1799990000)"},
	{1, "INSERT INTO withdrawals VALUES (1, zeroblob(32), 0)"},
	{2, "INSERT INTO newcomers VALUES ('alice', 20833, 4)"},
	{3, "UPDATE accounts SET exit = name = 'alice'"},
	{4, "INSERT INTO tokens (fqdn, hash, expires) VALUES"
	    " ('" LAPTOP "', zeroblob(32), 1800001000)"},
	{0, NULL},
};

static const char *const pins[] = {"bca950636170ebfb", "f228e0b130330b55",
				   "281881c1b6e3a1cd", "1a73d559769ec952",
				   NULL};

static struct accounts *a;

static void steps_stand(void **state)
{
	size_t n;
	const char *const *schema = accounts_schema(&n);

	(void)state;
	oldstore_pinned(schema, n, pins);
}

static void there(bool exit)
{
	char names[4][FQDN_LABEL_MAX + 1];
	struct account got;
	struct device d;
	struct withdrawal w;
	size_t n;

	assert_int_equal(accounts_get(a, "alice", &got), 0);
	assert_string_equal(got.hash, "HASH");
	assert_true(got.enabled);
	assert_int_equal(got.exit, exit);
	assert_int_equal(got.n_devices, 1);
	assert_int_equal(accounts_get(a, "bob", &got), 0);
	assert_false(got.enabled || got.exit);
	assert_int_equal(accounts_device(a, PHONE, &d), 0);
	assert_true(d.revoked);
	assert_int_equal(accounts_withdrawal_next(a, 0, &w), 0);
	assert_int_equal(w.n, 1);
	assert_int_equal(accounts_withdrawal_done(a, w.id), 0);
	assert_int_equal(accounts_exits(a, "", 4, names, &n), 0);
	assert_int_equal(n, exit);
}

/* a login, with a token; a new device; who may use exits is said anew */
static void go_on(size_t tokens)
{
	struct accounts_token t = {.hash = {7}, .expires = NOW + 2000};
	struct accounts_holder h;
	struct device d = {.fqdn = LAPTOP,
			   .account = "alice",
			   .last_login = NOW,
			   .version = "2"};

	assert_int_equal(accounts_device_login(a, &d, 8), 0);
	assert_int_equal(accounts_token_add(a, LAPTOP, &t, NOW), 0);
	assert_int_equal(accounts_holder(a, LAPTOP, NOW, &h), 0);
	assert_false(h.withdrawn);
	assert_int_equal(h.n, tokens);
	assert_int_equal(h.tokens[0].hash[0], 7);
	strcpy(d.fqdn, "pad.alice.example.org");
	d.fp[0] = 9;
	assert_int_equal(accounts_device_login(a, &d, 8), 0);
	assert_int_equal(accounts_set_exit(a, "alice", false), 0);
	assert_int_equal(accounts_set_exit(a, "bob", true), 0);
	assert_int_equal(accounts_delete(a, "alice"), 0);
	assert_int_equal(accounts_holder(a, LAPTOP, NOW, &h), -NTM_ENOTFOUND);
}

static void old_stores(void **state)
{
	size_t n, k;
	const char *const *schema = accounts_schema(&n);

	(void)state;
	for (k = 1; k <= n; k++) {
		print_message("%zu of %zu steps\n", k, n);
		oldstore_make(schema, k, rows);
		assert_int_equal(accounts_open(oldstore_path, &a), 0);
		there(k >= 3);
		go_on(k >= 4 ? 2 : 1);
		accounts_close(a);
		assert_int_equal(oldstore_number("SELECT count(*) FROM tokens"),
				 0);
		assert_int_equal(
			oldstore_number("SELECT count(*) FROM newcomers"), 0);
	}
}

int main(void)
{
#define TEST(f)                                                                \
	cmocka_unit_test_setup_teardown(f, oldstore_setup, oldstore_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_stand),
		TEST(old_stores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
