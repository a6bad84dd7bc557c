/* SPDX-License-Identifier: MIT */
/* test_records - what is taken from DNS records, and from what the resolver says */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "servers/resolver/answer.h"
#include "servers/resolver/records.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void txt(void **state)
{
	static const char whole[] = "\x4a"
				    "v=ntm1 ca=" HEX;
	uint8_t rdata[80], fp[NTMC_FP_LEN];
	size_t len = sizeof(whole) - 1;

	(void)state;
	memcpy(rdata, whole, len);
	assert_true(records_txt(rdata, len, fp));
	assert_int_equal(fp[1], 0x23);
	for (size_t n = 0; n < len; n++)
		assert_false(records_txt(rdata, n, fp));
	rdata[0]--;
	assert_false(records_txt(rdata, len, fp));
	rdata[0]++;
	rdata[3] = 'N';
	assert_false(records_txt(rdata, len, fp));
	memcpy(rdata, whole, len);
	rdata[len - 1] = 'g';
	assert_false(records_txt(rdata, len, fp));
}

static void srv(void **state)
{
	static const uint8_t whole[] = "\0\1\0\2\x11\x96\2dc\3two\7example";
	struct record_srv s, worse;
	uint8_t rdata[64];
	size_t len = sizeof(whole); /* with the root */

	(void)state;
	memcpy(rdata, whole, len);
	assert_true(records_srv(rdata, len, &s));
	assert_string_equal(s.target, "dc.two.example");
	assert_int_equal(s.port, 4502);
	for (size_t n = 0; n < len; n++)
		assert_false(records_srv(rdata, n, &s));
	assert_false(records_srv(rdata, len + 1, &s));
	rdata[7] = '\n'; /* it ends in logs */
	assert_false(records_srv(rdata, len, &s));
	memcpy(rdata, whole, len);
	rdata[6] = 0xc0; /* no compression here */
	assert_false(records_srv(rdata, len, &s));
	memcpy(rdata, whole, len);
	rdata[4] = rdata[5] = 0;
	assert_false(records_srv(rdata, len, &s));
	rdata[5] = 1;
	rdata[6] = 0; /* the root: there is no such service */
	assert_false(records_srv(rdata, 7, &s));
	memcpy(rdata, whole, len);
	assert_true(records_srv(rdata, len, &s));
	worse = s;
	worse.priority++;
	assert_true(records_srv_first(&s, &worse));
	assert_false(records_srv_first(&worse, &s));
	worse = s;
	worse.weight--;
	assert_true(records_srv_first(&s, &worse));
	assert_false(records_srv_first(&s, &s));
}

static void address(void **state)
{
	static const uint8_t good[16] = {192, 0, 2, 1},
			     none[16] = {127, 0, 0, 1};
	static const uint8_t six[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
	static const uint8_t mapped[16] = {
		[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
	struct addr a;

	(void)state;
	assert_true(records_address(good, 4, 4502, false, &a));
	assert_int_equal(addr_port(&a), 4502);
	assert_true(records_address(six, 16, 4502, false, &a));
	for (size_t n = 0; n < 16; n++)
		if (n != 4)
			assert_false(records_address(six, n, 4502, false, &a));
	assert_false(records_address(none, 4, 4502, false, &a));
	assert_true(records_address(none, 4, 4502, true, &a));
	assert_false(records_address(mapped, 16, 4502, false, &a));
}

static void said(void **state)
{
	struct finder_answer a = {.err = 0, .ttl_s = 60}, out;
	struct finder_say s, bent;
	uint8_t longer[sizeof(s) + 1] = {0};
	uint32_t id;

	(void)state;
	assert_int_equal(addr_parse("192.0.2.1", 4502, &a.ways.a[0]), 0);
	assert_int_equal(addr_parse("127.0.0.1", 4502, &a.ways.a[1]), 0);
	a.ways.n = 2;
	memset(a.why, 'w', sizeof(a.why)); /* no end, and a line of its own */
	a.why[3] = '\n';
	answer_put(&a, 9, &s);
	for (size_t n = 0; n < sizeof(s); n++)
		assert_int_equal(answer_take(&s, n, false, &id, &out),
				 -NTM_EDECODE);
	memcpy(longer, &s, sizeof(s));
	assert_int_equal(answer_take(longer, sizeof(longer), false, &id, &out),
			 -NTM_EDECODE);
	assert_int_equal(answer_take(&s, sizeof(s), false, &id, &out), 0);
	assert_int_equal(id, 9);
	assert_int_equal(out.ways.n, 1);
	assert_int_equal(out.why[3], '?');
	assert_int_equal(strlen(out.why), ANSWER_WHY_MAX - 1);
	assert_int_equal(out.ttl_s, 60);
	bent = s;
	bent.ttl_s = 0xffffffff;
	bent.code = 0x80000000;
	assert_int_equal(answer_take(&bent, sizeof(s), false, &id, &out), 0);
	assert_int_equal(out.ttl_s, ANSWER_TTL_MAX);
	assert_int_equal(out.err, -NTM_EUNREACHABLE);
	bent = s;
	bent.n_ways = 5;
	assert_int_equal(answer_take(&bent, sizeof(s), false, &id, &out),
			 -NTM_EDECODE);
	bent = s;
	bent.ways[1].len = 17;
	assert_int_equal(answer_take(&bent, sizeof(s), false, &id, &out),
			 -NTM_EDECODE);
	bent = s;
	bent.n_ways = 0;
	assert_int_equal(answer_take(&bent, sizeof(s), false, &id, &out), 0);
	assert_int_equal(out.err, -NTM_ENONAME);
	bent = s;
	bent.version++;
	assert_int_equal(answer_take(&bent, sizeof(s), false, &id, &out),
			 -NTM_EDECODE);
}

static void asked(void **state)
{
	struct finder_ask q = {.version = ANSWER_VERSION,
			       .id = 1,
			       .domain = "two.example"},
			  bent, out;

	(void)state;
	for (size_t n = 0; n < sizeof(q); n++)
		assert_int_equal(answer_ask_take(&q, n, &out), -NTM_EDECODE);
	assert_int_equal(answer_ask_take(&q, sizeof(q), &out), 0);
	bent = q;
	memset(bent.domain, 'a', sizeof(bent.domain));
	assert_int_equal(answer_ask_take(&bent, sizeof(q), &out), -NTM_EDECODE);
	bent = q;
	bent.id = 0;
	assert_int_equal(answer_ask_take(&bent, sizeof(q), &out), -NTM_EDECODE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(txt),	   cmocka_unit_test(srv),
		cmocka_unit_test(address), cmocka_unit_test(said),
		cmocka_unit_test(asked),
	};

	return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
