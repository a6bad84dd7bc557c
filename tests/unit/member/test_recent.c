/* SPDX-License-Identifier: MIT */
/* test_recent - who was answered of late */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "broker/member/recent.h"

static void each_once(void **state)
{
	struct recent r = {0};

	(void)state;
	assert_true(recent_take(&r, 0, 100, 60));
	assert_false(recent_take(&r, 0, 100, 60));
	assert_false(recent_take(&r, 0, 159, 60));
	assert_true(recent_take(&r, 0, 160, 60));
	/* another one between changes nothing for the first */
	assert_true(recent_take(&r, 7, 161, 60));
	assert_false(recent_take(&r, 0, 162, 60));
	assert_false(recent_take(&r, 7, 163, 60));
}

/* as many as there are places in a while, whoever asks and in whatever order */
static void so_many(void **state)
{
	struct recent r = {0};
	unsigned int i, round, n = 0;

	(void)state;
	for (round = 0; round < 3; round++)
		for (i = 0; i < 3 * RECENT_MAX; i++)
			n += recent_take(&r, i, 100 + i, 60);
	assert_int_equal(n, RECENT_MAX);
	assert_false(recent_take(&r, 40, 159, 60));
	/* one place is free, then the next */
	assert_true(recent_take(&r, 40, 160, 60));
	assert_false(recent_take(&r, 41, 160, 60));
	assert_true(recent_take(&r, 41, 161, 60));
	assert_false(recent_take(&r, 40, 161, 60));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_once),
		cmocka_unit_test(so_many),
	};

	return cmocka_run_group_tests_name("recent", tests, NULL, NULL);
}
