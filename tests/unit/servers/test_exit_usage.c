/* SPDX-License-Identifier: MIT */
/* test_exit_usage - what an account has left of its day at an exit */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "servers/exit/usage.h"

#define LIMIT 1000

static void test_a_day(void **state)
{
	struct usage_numbers number;
	struct usage *u;

	(void)state;
	assert_int_equal(usage_new(&u), 0);
	usage_day(u, 100, LIMIT);
	/* a tunnel's counter goes up: what came since is counted */
	assert_false(usage_count(u, "alice", "a.alice", 400, &number));
	assert_false(usage_count(u, "alice", "a.alice", 400, &number));
	assert_false(usage_count(u, "alice", "a.alice", 900, &number));
	/* another account has its own day, another device of this one has not */
	assert_false(usage_count(u, "bob", "a.bob", 1000, &number));
	assert_false(usage_count(u, "alice", "b.alice", 100, &number));
	assert_int_equal(usage_idle(u, "b.alice", true), 1);
	assert_int_equal(usage_idle(u, "b.alice", true), 2);
	assert_int_equal(usage_idle(u, "a.alice", true), 1);
	assert_int_equal(usage_idle(u, "b.alice", false), 0);
	assert_int_equal(usage_idle(u, "b.alice", true), 1);
	assert_false(usage_to_say(u, "alice"));
	assert_true(usage_count(u, "alice", "b.alice", 101, &number));
	assert_true(usage_to_say(u, "alice"));
	assert_false(usage_to_say(u, "alice")); /* once */
	assert_false(usage_to_say(u, "bob"));
	assert_true(usage_count(u, "alice", "a.alice", 900, &number));
	assert_false(usage_count(u, "bob", "a.bob", 1000, &number));
	usage_free(u);
}

/* a new tunnel counts from 0; so does a new day, but not what was counted before */
static void test_anew(void **state)
{
	struct usage_numbers number;
	struct usage *u;

	(void)state;
	assert_int_equal(usage_new(&u), 0);
	usage_day(u, 100, LIMIT);
	assert_false(usage_count(u, "alice", "a.alice", 600, &number));
	assert_false(usage_count(u, "alice", "a.alice", 400, &number));
	assert_true(usage_count(u, "alice", "a.alice", 401, &number));
	usage_day(u, 100, LIMIT);
	assert_true(usage_count(u, "alice", "a.alice", 401, &number));
	usage_day(u, 101, LIMIT);
	assert_false(usage_count(u, "alice", "a.alice", 401, &number));
	assert_false(usage_count(u, "alice", "a.alice", 1401, &number));
	assert_true(usage_count(u, "alice", "a.alice", 1402, &number));
	/* no limit */
	usage_day(u, 101, 0);
	assert_false(
		usage_count(u, "alice", "a.alice", UINT64_MAX / 2, &number));
	usage_free(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_day),
		cmocka_unit_test(test_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
