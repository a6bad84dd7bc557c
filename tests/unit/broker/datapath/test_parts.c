/* SPDX-License-Identifier: MIT */
/* test_parts - halves in any order, old ones, strange ones, too many */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/datapath/datapath.h"
#include "broker/datapath/parts.h"

#define TUNNELS (PARTS_POOL / PARTS_PER_TUNNEL + 1)

static struct parts *parts;
static struct parts_index index_of[TUNNELS];
static uint8_t data[DP_INNER_MIN_MTU], out[DP_INNER_MIN_MTU];

static int setup(void **state)
{
	(void)state;
	memset(index_of, 0, sizeof(index_of));
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31);
	return parts_new(&parts);
}

static int teardown(void **state)
{
	(void)state;
	parts_free(parts);
	return 0;
}

static int add(int tunnel, uint64_t now, uint16_t ident, bool last,
	       uint16_t offset, size_t len)
{
	uint8_t flags = last ? 2 : 1;
	int ret = parts_add(parts, &index_of[tunnel], now, ident, offset, last,
			    data + offset % sizeof(data), len, &flags, out);

	if (ret > 0)
		assert_int_equal(flags, 3);
	return ret;
}

static void test_both_orders(void **state)
{
	(void)state;
	assert_int_equal(add(0, 1, 5, false, 0, 640), 0);
	assert_int_equal(add(0, 1, 5, true, 640, 640), 1280);
	assert_memory_equal(out, data, 1280);
	memset(out, 0, sizeof(out));
	assert_int_equal(add(0, 1, 6, true, 600, 599), 0);
	assert_int_equal(add(0, 1, 6, false, 0, 600), 1199);
	assert_memory_equal(out, data, 1199);
	/* twice the same half */
	assert_int_equal(add(0, 1, 7, true, 600, 599), 0);
	assert_int_equal(add(0, 1, 7, true, 600, 599), 0);
	assert_int_equal(add(0, 1, 7, false, 0, 600), 1199);
}

static void test_strange(void **state)
{
	(void)state;
	assert_int_equal(add(0, 1, 5, false, 0, 0), -NTM_EDECODE);
	assert_int_equal(add(0, 1, 5, true, 0, 10), -NTM_EDECODE);
	assert_int_equal(add(0, 1, 5, false, 8, 10), -NTM_EDECODE);
	assert_int_equal(add(0, 1, 5, true, 1270, 11), -NTM_EDECODE);
	assert_int_equal(add(0, 1, 5, true, 65535, 1), -NTM_EDECODE);
	/* a gap, an overlap */
	assert_int_equal(add(0, 1, 5, false, 0, 600), 0);
	assert_int_equal(add(0, 1, 5, true, 601, 10), -NTM_EDECODE);
	assert_int_equal(add(0, 1, 5, false, 0, 600), 0);
	assert_int_equal(add(0, 1, 5, true, 599, 10), -NTM_EDECODE);
}

static void test_age(void **state)
{
	(void)state;
	assert_int_equal(add(0, 1, 5, false, 0, 600), 0);
	assert_int_equal(add(0, 2 + PARTS_LIFE_NS, 5, true, 600, 10), 0);
	assert_int_equal(add(0, 3 + PARTS_LIFE_NS, 5, false, 0, 600), 610);
}

/* A newer ident takes the place of one that is 64 older. */
static void test_bound_of_a_tunnel(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 4 * PARTS_PER_TUNNEL; i++)
		assert_int_equal(add(0, 1, i, false, 0, 600), 0);
	assert_int_equal(add(0, 1, 0, true, 600, 10), 0);
	assert_int_equal(add(0, 1, 4 * PARTS_PER_TUNNEL - 1, true, 600, 10),
			 610);
}

static void test_bound_of_all(void **state)
{
	(void)state;
	for (int t = 0; t < TUNNELS - 1; t++) {
		for (uint16_t i = 0; i < PARTS_PER_TUNNEL; i++)
			assert_int_equal(add(t, 1, i, false, 0, 600), 0);
	}
	assert_int_equal(add(TUNNELS - 1, 2, 0, false, 0, 600), -NTM_ELIMIT);
	parts_forget(parts, &index_of[0]);
	assert_int_equal(add(TUNNELS - 1, 2, 0, false, 0, 600), 0);
	parts_forget(parts, &index_of[TUNNELS - 1]);
	/* all of them old: taken back by need */
	for (uint16_t i = 0; i < PARTS_PER_TUNNEL; i++)
		assert_int_equal(add(0, 3, i, false, 0, 600), 0);
	assert_int_equal(add(TUNNELS - 1, 4 + PARTS_LIFE_NS, 0, false, 0, 600),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_both_orders),	   T(test_strange),	 T(test_age),
		T(test_bound_of_a_tunnel), T(test_bound_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
