/* SPDX-License-Identifier: MIT */
/* test_pcp - the one request and answer of PCP: by the byte, and what is none */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/pcp.h"

static const struct pcp_map ask = {
	.nonce = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
	.client = {192, 168, 1, 2},
	.life_s = 7200,
	.inner_port = 4500,
	.outer_port = 4501,
};

/* RFC 6887, figures 2 and 9 */
static const uint8_t wire[PCP_MAP_LEN] = {
	2,  1, 0, 0, 0,	   0,	 0x1c, 0x20, 0,	  0,   0,  0,
	0,  0, 0, 0, 0,	   0,	 0xff, 0xff, 192, 168, 1,  2,
	1,  2, 3, 4, 5,	   6,	 7,    8,    9,	  10,  11, 12,
	17, 0, 0, 0, 0x11, 0x94, 0x11, 0x95, 0,	  0,   0,  0,
	0,  0, 0, 0, 0,	   0,	 0xff, 0xff, 0,	  0,   0,  0};

static void answer_make(uint8_t buf[static PCP_MAP_LEN])
{
	memcpy(buf, wire, PCP_MAP_LEN);
	buf[1] = 0x81;
	memset(buf + 8, 0, 16);
	buf[42] = 0x4e;
	buf[43] = 0x20;
	memcpy(buf + 56, (uint8_t[]){203, 0, 113, 9}, 4);
}

static void test_request(void **state)
{
	uint8_t buf[PCP_MAP_LEN];

	(void)state;
	pcp_map_put(&ask, buf);
	assert_memory_equal(buf, wire, sizeof(wire));
}

static void test_answer(void **state)
{
	uint8_t buf[PCP_MAP_LEN];
	struct pcp_map out;

	(void)state;
	answer_make(buf);
	assert_int_equal(pcp_map_get(buf, sizeof(buf), &ask, &out), 0);
	assert_int_equal(out.result, 0);
	assert_int_equal(out.outer_port, 20000);
	assert_int_equal(out.life_s, 7200);
	assert_memory_equal(out.outer, ((uint8_t[]){203, 0, 113, 9}), 4);
	buf[3] = 8;
	assert_int_equal(pcp_map_get(buf, sizeof(buf), &ask, &out), 0);
	assert_int_equal(out.result, 8);
}

static void test_no_answer(void **state)
{
	/* of another kind: no answer, another opcode, nonce, protocol, port, family */
	static const size_t at[] = {1, 1, 24, 35, 36, 40, 41, 44, 54};
	static const uint8_t with[] = {1, 0x82, 9, 9, 6, 9, 9, 9, 9};
	uint8_t buf[PCP_ANSWER_MAX + 1] = {0};
	struct pcp_map out = {.life_s = 77};

	(void)state;
	answer_make(buf);
	for (size_t n = 0; n < PCP_MAP_LEN; n++)
		assert_int_equal(pcp_map_get(buf, n, &ask, &out), -NTM_EDECODE);
	assert_int_equal(pcp_map_get(buf, 61, &ask, &out), -NTM_EDECODE);
	assert_int_equal(pcp_map_get(buf, sizeof(buf), &ask, &out),
			 -NTM_EDECODE);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		answer_make(buf);
		buf[at[i]] = with[i];
		assert_int_equal(pcp_map_get(buf, PCP_MAP_LEN, &ask, &out),
				 -NTM_EDECODE);
	}
	assert_int_equal(out.life_s, 77);
	answer_make(buf); /* options */
	assert_int_equal(pcp_map_get(buf, PCP_ANSWER_MAX, &ask, &out), 0);
}

static void test_other_version(void **state)
{
	const uint8_t natpmp[8] = {0, 0x81, 0, 1};
	struct pcp_map out;

	(void)state;
	assert_int_equal(pcp_map_get(natpmp, sizeof(natpmp), &ask, &out),
			 -NTM_EVERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_other_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
