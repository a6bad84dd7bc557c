/* SPDX-License-Identifier: MIT */
/* test_icmp - the errors byte by byte, and what must not be answered */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/datapath/icmp.h"
#include "packets.h"

static uint8_t pkt[PACKET_BYTES], out[ICMP_ERROR_MAX];

static size_t build(unsigned int version, uint8_t proto, uint32_t payload,
		    struct inner *in)
{
	struct spec s = {.version = version,
			 .proto = proto,
			 .src = version == 4 ? vip4_a : vip6_a,
			 .dst = version == 4 ? vip4_b : vip6_b,
			 .ttl = 64,
			 .payload = payload};
	struct virtio_net_hdr vh;
	size_t len = packet_build(&s, &vh, pkt);

	assert_int_equal(inner_parse(pkt, len, in), 0);
	return len;
}

/* one's complement sum as RFC 1071 describes it */
static uint32_t sum16(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void check4(size_t n, size_t quoted)
{
	assert_int_equal(n, 28 + quoted);
	assert_int_equal(out[0], 0x45);
	assert_int_equal(out[2] << 8 | out[3], n);
	assert_int_equal(out[9], 1);
	assert_memory_equal(out + 12, vip4_b, 4);
	assert_memory_equal(out + 16, vip4_a, 4);
	assert_int_equal(sum16(0, out, 20), 0xffff);
	assert_int_equal(sum16(0, out + 20, n - 20), 0xffff);
	assert_memory_equal(out + 28, pkt, quoted);
}

static void check6(size_t n, size_t quoted)
{
	assert_int_equal(n, 48 + quoted);
	assert_int_equal(out[0], 0x60);
	assert_int_equal(out[4] << 8 | out[5], n - 40);
	assert_int_equal(out[6], 58);
	assert_memory_equal(out + 8, vip6_b, 16);
	assert_memory_equal(out + 24, vip6_a, 16);
	assert_int_equal(sum16(sum16((uint32_t)(n - 40) + 58, out + 8, 32),
			       out + 40, n - 40),
			 0xffff);
	assert_memory_equal(out + 48, pkt, quoted);
}

static void test_unreachable(void **state)
{
	struct inner in;
	size_t len;

	(void)state;
	len = build(4, 6, 0, &in);
	check4(icmp_unreachable(pkt, &in, out), len);
	assert_int_equal(out[20] << 8 | out[21], 0x0301);
	len = build(6, 6, 0, &in);
	check6(icmp_unreachable(pkt, &in, out), len);
	assert_int_equal(out[40] << 8 | out[41], 0x0103);
}

/* A connected UDP socket hears of these codes, and of no host unreachable. */
static void test_unreachable_udp(void **state)
{
	struct inner in;
	size_t len;

	(void)state;
	len = build(4, 17, 20, &in);
	check4(icmp_unreachable(pkt, &in, out), len);
	assert_int_equal(out[20] << 8 | out[21], 0x030a);
	len = build(6, 17, 20, &in);
	check6(icmp_unreachable(pkt, &in, out), len);
	assert_int_equal(out[40] << 8 | out[41], 0x0104);
}

static void test_too_big(void **state)
{
	struct inner in;

	(void)state;
	build(4, 17, 1400, &in);
	check4(icmp_too_big(pkt, &in, 1300, out), 576 - 28);
	assert_int_equal(out[20] << 8 | out[21], 0x0304);
	assert_int_equal(out[26] << 8 | out[27], 1300);
	assert_int_equal(out[24] | out[25], 0);
	build(6, 17, 1400, &in);
	check6(icmp_too_big(pkt, &in, 1300, out), 1280 - 48);
	assert_int_equal(out[40] << 8 | out[41], 0x0200);
	assert_int_equal(out[44] | out[45], 0);
	assert_int_equal(out[46] << 8 | out[47], 1300);
}

static void test_not_answered(void **state)
{
	struct inner in;

	(void)state;
	build(4, 1, 100, &in);
	pkt[20] = 3; /* an error */
	assert_int_equal(icmp_unreachable(pkt, &in, out), 0);
	pkt[20] = 8; /* echo */
	assert_true(icmp_unreachable(pkt, &in, out) > 0);
	build(6, 58, 100, &in);
	pkt[40] = 2;
	assert_int_equal(icmp_unreachable(pkt, &in, out), 0);
	pkt[40] = 128;
	assert_true(icmp_unreachable(pkt, &in, out) > 0);
	build(4, 17, 100, &in);
	pkt[7] = 9; /* a later fragment */
	assert_int_equal(inner_parse(pkt, 128, &in), 0);
	assert_int_equal(icmp_unreachable(pkt, &in, out), 0);
	build(6, 17, 100, &in);
	pkt[24] = 0xff;
	assert_int_equal(icmp_unreachable(pkt, &in, out), 0);
}

/* Truncated at every byte, a packet is none, or says so. */
static void test_inner_truncated(void **state)
{
	struct inner in;
	size_t len;

	(void)state;
	for (unsigned int v = 4; v <= 6; v += 2) {
		len = build(v, 6, 100, &in);
		for (size_t n = 0; n < len; n++)
			assert_int_equal(inner_parse(pkt, n, &in),
					 -NTM_EDECODE);
		assert_int_equal(inner_parse(pkt, len + 9, &in), 0);
		assert_int_equal(in.len, len);
	}
	/* by its own length: too short for the transport */
	for (unsigned int l4 = 0; l4 < 20; l4++) {
		build(6, 6, 100, &in);
		pkt[5] = (uint8_t)l4;
		assert_int_equal(inner_parse(pkt, 160, &in), 0);
		assert_false(in.transport);
	}
}

static void test_extension_headers(void **state)
{
	struct inner in;
	size_t len;

	(void)state;
	len = build(6, 17, 100, &in);
	memmove(pkt + 56, pkt + 40, len - 40);
	memset(pkt + 40, 0, 16);
	pkt[6] = 0;   /* hop-by-hop ... */
	pkt[40] = 60; /* ... then destination options ... */
	pkt[48] = 17; /* ... then UDP */
	pkt[5] += 16;
	assert_int_equal(inner_parse(pkt, len + 16, &in), 0);
	assert_true(in.transport);
	assert_false(in.plain);
	assert_int_equal(in.l4, 56);
	assert_int_equal(in.csum, 62);
	pkt[40] = 44; /* a fragment header instead */
	assert_int_equal(inner_parse(pkt, len + 16, &in), 0);
	assert_true(in.fragment);
	assert_false(in.transport);
	pkt[41] = 255; /* an extension that is longer than the packet */
	pkt[40] = 60;
	assert_int_equal(inner_parse(pkt, len + 16, &in), 0);
	assert_false(in.transport);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_unreachable_udp),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_not_answered),
		cmocka_unit_test(test_inner_truncated),
		cmocka_unit_test(test_extension_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
