/* SPDX-License-Identifier: MIT */
/*
 * test_dcstore_upgrade - a DC's store that an older version has filled: a node with a
 * session, one without, and a withdrawal
 */
#include <string.h>

#include "servers/dc/dcstore.h"
#include "tests/unit/common/oldstore.h"

#define NOW  INT64_C(1800000000)
#define DESK "desk.bob.example.org"

static const struct oldstore_row rows[] = {
	{1, "UPDATE meta SET value = 7 WHERE key = 'boot';"
	    "UPDATE meta SET value = 3 WHERE key = 'serial'"},
	{1, "INSERT INTO nodes VALUES"
	    " ('" DESK "', 258, 16909060, zeroblob(32), zeroblob(32),"
	    " zeroblob(64)),"
	    " ('pad.bob.example.org', 259, 16909061, zeroblob(32),"
	    " zeroblob(32), zeroblob(64))"},
	{1, "INSERT INTO sessions (node_id, fqdn, kntmdc, aead, expires)"
	    " VALUES (5, '" DESK "', zeroblob(32), 1, 1800009000)"},
	{1, "INSERT INTO revocations VALUES (3, zeroblob(32), 1799990000)"},
	{2, "INSERT INTO push VALUES ('" DESK "', 1, 'TOKEN')"},
	{0, NULL},
};

static const char *const pins[] = {"ebeae44cd95d4ad9", "b23592db0ecc7d33",
				   NULL};

static struct store *st;
static size_t nodes, sessions, tokens, revocations;

static void steps_stand(void **state)
{
	size_t n;
	const char *const *schema = dcstore_schema(&n);

	(void)state;
	oldstore_pinned(schema, n, pins);
}

static int on_node(void *arg, const struct journal_node *n)
{
	(void)arg;
	nodes++;
	assert_true(n->vip6_host == 258 || n->vip6_host == 259);
	return 0;
}

static int on_session(void *arg, const char *fqdn,
		      const struct journal_session *s)
{
	(void)arg;
	sessions++;
	assert_string_equal(fqdn, DESK);
	assert_int_equal(s->node_id, 5);
	return 0;
}

static int on_push(void *arg, const char *fqdn, int kind, const char *token)
{
	(void)arg;
	tokens++;
	assert_string_equal(fqdn, DESK);
	assert_int_equal(kind, 1);
	assert_string_equal(token, "TOKEN");
	return 0;
}

static int on_revocation(void *arg, const struct journal_revocation *r)
{
	(void)arg;
	revocations++;
	assert_int_equal(r->serial, 3);
	return 0;
}

static void loads(size_t n_tokens)
{
	static const struct journal_load_ops ops = {
		.node = on_node,
		.session = on_session,
		.push = on_push,
		.revocation = on_revocation,
	};

	nodes = sessions = tokens = revocations = 0;
	assert_int_equal(dcstore_load(st, &ops, NULL, NOW), 0);
	assert_int_equal(nodes, 2);
	assert_int_equal(sessions, 1);
	assert_int_equal(revocations, 1);
	assert_int_equal(tokens, n_tokens);
}

static void old_stores(void **state)
{
	struct job job = {.kind = JOB_PUSH, .a = 1, .token = (char[]){"TOKEN"}};
	uint64_t boot, serial;
	size_t n, k;
	const char *const *schema = dcstore_schema(&n);

	(void)state;
	strcpy(job.node.fqdn, DESK);
	for (k = 1; k <= n; k++) {
		print_message("%zu of %zu steps\n", k, n);
		oldstore_make(schema, k, rows);
		assert_int_equal(
			dcstore_open(oldstore_path, true, &st, &boot, &serial),
			0);
		assert_int_equal(boot, 8);
		assert_int_equal(serial, 3);
		loads(k >= 2);
		assert_int_equal(dcstore_write(st, &job), 0);
		loads(1);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
