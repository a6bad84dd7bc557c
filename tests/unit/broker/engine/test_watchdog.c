/* SPDX-License-Identifier: MIT */
/* test_watchdog - who is silent hangs; who was not looked at does not */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "broker/watchdog.h"

#define MS 1000000ull
#define S  (1000 * MS)

static void test_silent(void **state)
{
	struct watchdog w;
	uint64_t now = 5 * S, end = now + WATCHDOG_LIMIT_NS;

	(void)state;
	watchdog_start(&w, now);
	while (now + S < end) {
		now += S;
		assert_false(watchdog_turn(&w, now));
	}
	assert_false(watchdog_turn(&w, end - 1));
	assert_true(watchdog_turn(&w, end));
	assert_true(
		watchdog_turn(&w, end + 1)); /* until another one is there */
	watchdog_start(&w, end + 1);
	assert_false(watchdog_turn(&w, end + 2));
}

static void test_heard(void **state)
{
	struct watchdog w;
	uint64_t now = 0;

	(void)state;
	watchdog_start(&w, now);
	for (int i = 0; i < 1000; i++) {
		now += WATCHDOG_STEP_NS;
		if (i % 3 == 2)
			watchdog_heard(&w);
		assert_false(watchdog_turn(&w, now));
	}
}

/* Turns of the keeper itself that came late, be it by an hour or by a year. */
static void test_keeper_did_not_run(void **state)
{
	struct watchdog w;
	uint64_t now = S;
	int turns;

	(void)state;
	watchdog_start(&w, now);
	for (turns = 1; turns < 4; turns++) {
		now += 3600 * S * (uint64_t)turns;
		assert_false(watchdog_turn(&w, now));
	}
	watchdog_heard(&w); /* after a second at the latest, if it lives */
	now += 365 * 86400 * S;
	assert_false(watchdog_turn(&w, now));
	/* silent for good: then each late turn counts one step, no more */
	for (turns = 2; !watchdog_turn(&w, now += 3600 * S); turns++)
		assert_true(turns < 10);
	assert_int_equal(turns, WATCHDOG_LIMIT_NS / WATCHDOG_STEP_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_heard),
		cmocka_unit_test(test_keeper_did_not_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
