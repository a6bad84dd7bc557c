/* SPDX-License-Identifier: MIT */
/* test_addr - outer addresses: forms, order, messages, what may be sent to */
#include "common/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_parse_and_format(void **state)
{
	static const struct {
		const char *in, *out;
	} good[] = {
		{"192.0.2.1:4500", "192.0.2.1:4500"},
		{"192.0.2.1", "192.0.2.1:7"},
		{"[2001:db8::1]:4500", "[2001:db8::1]:4500"},
		{"[2001:DB8::1]", "[2001:db8::1]:7"},
		{"2001:db8:0:0::1", "[2001:db8::1]:7"},
		{"::ffff:192.0.2.1", "192.0.2.1:7"},
		{"[::ffff:192.0.2.1]:65535", "192.0.2.1:65535"},
		{"0.0.0.0:0", "0.0.0.0:0"},
		{"fe80::1%1", "[fe80::1%1]:7"},
	};
	char text[ADDR_TEXT_LEN];
	struct addr a, b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(addr_parse(good[i].in, 7, &a), 0);
		assert_string_equal(addr_format(&a, text), good[i].out);
		assert_int_equal(addr_parse(text, 9, &b), 0);
		assert_true(addr_equal(&a, &b));
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		":1",
		"1.2.3",
		"1.2.3.4:",
		"1.2.3.4:x",
		"1.2.3.4:65536",
		"1.2.3.4:-1",
		"1.2.3.4: 1",
		"1.2.3.4:000001",
		"example.org:1",
		"[1.2.3.4",
		"[::1",
		"[::1]x",
		"[::1]:",
		"::1::2",
		"[::1%]:1",
		"[1.2.3.4]:5",
		" 1.2.3.4",
		"1.2.3.4 ",
		"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:"
		"1111"
		":1111:1111:1111:1111",
	};
	struct addr a;
	size_t i;

	(void)state;
	memset(&a, 0x55, sizeof(a));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(addr_parse(bad[i], 7, &a), -NTM_EINVAL);
}

static void test_sockaddr(void **state)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
				   .sin6_port = htons(80),
				   .sin6_flowinfo = 77,
				   .sin6_scope_id = 3};
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(1)};
	struct addr a, b;
	sa_family_t unix_family = AF_UNIX;

	(void)state;
	inet_pton(AF_INET, "192.0.2.9", &in4.sin_addr);
	memset(in4.sin_zero, 0xaa, sizeof(in4.sin_zero));
	assert_int_equal(
		addr_from_sockaddr((struct sockaddr *)&in4, sizeof(in4), &a),
		0);
	assert_int_equal(addr_parse("192.0.2.9:1", 0, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a)); /* nothing odd comes along */
	assert_int_equal(addr_len(&a), sizeof(struct sockaddr_in));

	inet_pton(AF_INET6, "fe80::1", &in6.sin6_addr);
	assert_int_equal(
		addr_from_sockaddr((struct sockaddr *)&in6, sizeof(in6), &a),
		0);
	assert_int_equal(a.in6.sin6_scope_id, 3);
	assert_int_equal(a.in6.sin6_flowinfo, 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&in6,
					    sizeof(in6) - 1, &a),
			 -NTM_EINVAL);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&in4,
					    sizeof(in4) - 1, &a),
			 -NTM_EINVAL);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&unix_family,
					    sizeof(unix_family), &a),
			 -NTM_EINVAL);
	assert_int_equal(
		addr_from_sockaddr((struct sockaddr *)&unix_family, 1, &a),
		-NTM_EINVAL);
	addr_clear(&a);
	assert_false(addr_is_set(&a));
	assert_int_equal(addr_len(&a), 0);
	assert_int_equal(addr_any(AF_INET6, 5, &a), 0);
	assert_int_equal(addr_port(&a), 5);
	assert_int_equal(addr_any(AF_UNIX, 5, &a), -NTM_EINVAL);
}

static void test_order(void **state)
{
	static const char *const ascending[] = {
		"1.2.3.4:5",   "1.2.3.4:6",	"1.2.3.5:1",
		"200.0.0.1:1", "[::1]:9",	"[2001:db8::]:1",
		"[fe80::1]:1", "[fe80::1%1]:1", "[fe80::1%2]:1",
	};
	struct addr a, b;
	size_t n = sizeof(ascending) / sizeof(ascending[0]), i, k;

	(void)state;
	for (i = 0; i < n; i++) {
		for (k = 0; k < n; k++) {
			int want = (i > k) - (i < k), got;

			assert_int_equal(addr_parse(ascending[i], 0, &a), 0);
			assert_int_equal(addr_parse(ascending[k], 0, &b), 0);
			got = addr_compare(&a, &b);
			assert_int_equal((got > 0) - (got < 0), want);
			assert_int_equal(addr_equal(&a, &b), want == 0);
		}
	}
	assert_int_equal(addr_parse("1.2.3.4:5", 0, &a), 0);
	assert_int_equal(addr_parse("1.2.3.4:6", 0, &b), 0);
	assert_true(addr_equal_ip(&a, &b));
}

static void test_usable_remote(void **state)
{
	static const char *const no[] = {
		"0.0.0.0:1",
		"0.1.2.3:1",
		"127.0.0.1:1",
		"127.77.1.2:1",
		"224.0.0.1:1",
		"239.255.255.255:1",
		"255.255.255.255:1",
		"192.0.2.1:0",
		"[::]:1",
		"[::1]:1",
		"[ff02::1]:1",
		"[fe80::1]:1",
		"[::ffff:127.0.0.1]:1",
		"[::127.0.0.1]:1",
		"[2001:db8::1]:0",
	};
	static const char *const yes[] = {
		"1.0.0.0:1",   "10.0.0.1:1",	  "192.168.1.1:65535",
		"126.0.0.1:1", "128.0.0.1:1",	  "223.255.255.255:1",
		"240.0.0.1:1", "[2001:db8::1]:1", "[fd00::1]:1",
		"[fec0::1]:1",
	};
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		assert_int_equal(addr_parse(no[i], 0, &a), 0);
		assert_false(addr_is_usable_remote(&a));
	}
	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		assert_int_equal(addr_parse(yes[i], 0, &a), 0);
		assert_true(addr_is_usable_remote(&a));
	}
	addr_clear(&a);
	assert_false(addr_is_usable_remote(&a));
}

static void test_messages(void **state)
{
	Ntm__Address m, list[12], *refs[12];
	struct addr a, b, in[12], out[ADDR_REMOTES_MAX];
	uint8_t ip[17] = {0};
	size_t len;
	int i;

	(void)state;
	assert_int_equal(addr_parse("[2001:db8::1]:99", 0, &a), 0);
	addr_to_message(&a, NTM__ADDRESS_KIND__ADDRESS_OBSERVED, &m);
	assert_int_equal(m.ip.len, 16);
	assert_int_equal(m.kind, NTM__ADDRESS_KIND__ADDRESS_OBSERVED);
	assert_int_equal(addr_from_message(&m, &b), 0);
	assert_true(addr_equal(&a, &b));
	m.port = 65536;
	assert_int_equal(addr_from_message(&m, &b), -NTM_EDECODE);
	m.port = 1;
	m.ip.data = ip;
	for (len = 0; len <= 17; len++) {
		m.ip.len = len;
		assert_int_equal(addr_from_message(&m, &b),
				 len == 4 || len == 16 ? 0 : -NTM_EDECODE);
	}

	/* twelve: one loopback, one twice; eight come out, in order */
	for (i = 0; i < 12; i++) {
		char text[32];

		snprintf(text, sizeof(text),
			 i == 2 ? "127.0.0.1:%d" : "10.0.0.%d:5",
			 i == 5 ? 4 : i);
		assert_int_equal(addr_parse(text, 0, &in[i]), 0);
		addr_to_message(&in[i], 0, &list[i]);
		refs[i] = &list[i];
	}
	assert_int_equal(
		addr_list_from_messages(refs, 12, out, ADDR_REMOTES_MAX),
		ADDR_REMOTES_MAX);
	assert_true(addr_equal(&out[0], &in[0]));
	assert_true(addr_equal(&out[2], &in[3]));
	assert_true(addr_equal(&out[3], &in[4]));
	assert_true(addr_equal(&out[4], &in[6]));
	assert_int_equal(addr_list_from_messages(refs, 3, out, 8), 2);
	assert_int_equal(addr_list_from_messages(NULL, 0, out, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_format),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_usable_remote),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
