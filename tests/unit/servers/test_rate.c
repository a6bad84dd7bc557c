/* SPDX-License-Identifier: MIT */
/* test_rate - answers a second to one network, and what slips through beyond */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "servers/dns/rate.h"

#define S 1000000000ull

static struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, 4711, &a), 0);
	return a;
}

/* verdicts on @n queries at one moment */
struct count {
	unsigned int n[RATE_DROP + 1];
};

static struct count ask(struct rate *r, const char *from, unsigned int n,
			uint64_t now)
{
	struct addr a = at(from);
	struct count c = {{0}};

	while (n--)
		c.n[rate_query(r, &a, now)]++;
	return c;
}

static void limited(void **state)
{
	uint64_t now = 50 * S;
	struct count c;
	struct rate *r;

	(void)state;
	assert_int_equal(rate_new(20, 2, &r), 0);
	c = ask(r, "192.0.2.1", 120, now);
	assert_int_equal(c.n[RATE_ANSWER], 20);
	assert_int_equal(c.n[RATE_TRUNCATE], 50);
	assert_int_equal(c.n[RATE_DROP], 50);
	/* half a second later half of it */
	c = ask(r, "192.0.2.1", 100, now + S / 2);
	assert_int_equal(c.n[RATE_ANSWER], 10);
	/* however long it was quiet: a second's worth */
	c = ask(r, "192.0.2.1", 100, now + 1000 * S);
	assert_int_equal(c.n[RATE_ANSWER], 20);
	rate_free(r);
}

static void networks(void **state)
{
	uint64_t now = 50 * S;
	struct rate *r;

	(void)state;
	assert_int_equal(rate_new(10, 0, &r), 0);
	assert_int_equal(ask(r, "192.0.2.1", 10, now).n[RATE_ANSWER], 10);
	assert_int_equal(ask(r, "192.0.2.254", 5, now).n[RATE_DROP], 5);
	assert_int_equal(ask(r, "::ffff:192.0.2.9", 5, now).n[RATE_DROP], 5);
	assert_int_equal(ask(r, "192.0.3.1", 10, now).n[RATE_ANSWER], 10);
	assert_int_equal(ask(r, "2001:db8:1:2200::1", 10, now).n[RATE_ANSWER],
			 10);
	assert_int_equal(ask(r, "2001:db8:1:22ff:1::2", 5, now).n[RATE_DROP],
			 5);
	assert_int_equal(ask(r, "2001:db8:1:2300::1", 10, now).n[RATE_ANSWER],
			 10);
	rate_free(r);
}

static void unlimited(void **state)
{
	struct rate *r;

	(void)state;
	assert_int_equal(rate_new(0, 2, &r), 0);
	assert_int_equal(ask(r, "192.0.2.1", 1000, S).n[RATE_ANSWER], 1000);
	rate_free(r);
	assert_int_equal(rate_new(RATE_MAX, 1, &r), 0);
	assert_int_equal(ask(r, "192.0.2.1", RATE_MAX + 7, S).n[RATE_TRUNCATE],
			 7);
	rate_free(r);
}

/* From however many forged networks: no more than the buckets hold. */
static void many_networks(void **state)
{
	unsigned long answers = 0;
	struct rate *r;
	char text[32];

	(void)state;
	assert_int_equal(rate_new(1, 0, &r), 0);
	for (unsigned int i = 0; i < 1 << 17; i++) {
		snprintf(text, sizeof(text), "%u.%u.%u.1", 1 + (i >> 16),
			 i >> 8 & 0xff, i & 0xff);
		answers += ask(r, text, 1, S).n[RATE_ANSWER];
	}
	assert_in_range(answers, RATE_BUCKETS / 2, RATE_BUCKETS);
	rate_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limited),
		cmocka_unit_test(networks),
		cmocka_unit_test(unlimited),
		cmocka_unit_test(many_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
