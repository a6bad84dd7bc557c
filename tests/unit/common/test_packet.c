/* SPDX-License-Identifier: MIT */
/* test_packet - the header: layout, every truncation, every type */
#include "common/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const uint8_t wire[PACKET_OVERHEAD] = {
	3,    1,    7,	  1,	0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
	0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10,
};

static void test_layout(void **state)
{
	const struct packet_header h = {.type = PACKET_TUNNEL_REQUEST,
					.phase = 7,
					.flags = PACKET_RESUME,
					.id = 0x0123456789abcdef,
					.counter = 0xfedcba9876543210};
	uint8_t buf[PACKET_HEADER_LEN];
	struct packet_header got;

	(void)state;
	packet_header_put(&h, buf);
	assert_memory_equal(buf, wire, sizeof(buf));
	assert_int_equal(packet_header_get(wire, sizeof(wire), &got), 0);
	assert_int_equal(got.type, h.type);
	assert_int_equal(got.phase, h.phase);
	assert_int_equal(got.flags, h.flags);
	assert_true(got.id == h.id && got.counter == h.counter);
}

static void test_truncated(void **state)
{
	struct packet_header got, untouched;
	uint8_t *exact;
	size_t len;

	(void)state;
	memset(&untouched, 0x5a, sizeof(untouched));
	for (len = 0; len < sizeof(wire); len++) {
		got = untouched;
		exact = malloc(len ? len : 1); /* a byte too far is seen */
		memcpy(exact, wire, len);
		assert_int_equal(packet_header_get(exact, len, &got),
				 -NTM_EDECODE);
		assert_memory_equal(&got, &untouched, sizeof(got));
		free(exact);
	}
}

static void test_types_and_versions(void **state)
{
	struct packet_header got;
	uint8_t buf[sizeof(wire)];
	int i;

	(void)state;
	memcpy(buf, wire, sizeof(buf));
	for (i = 0; i < 256; i++) {
		buf[0] = (uint8_t)i;
		assert_int_equal(packet_header_get(buf, sizeof(buf), &got),
				 i >= 1 && i <= 9 ? 0 : -NTM_EDECODE);
	}
	buf[0] = PACKET_DATA;
	for (i = 0; i < 256; i++) {
		buf[1] = (uint8_t)i;
		assert_int_equal(packet_header_get(buf, sizeof(buf), &got),
				 i == PACKET_VERSION ? 0 : -NTM_EVERSION);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_types_and_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
