/* SPDX-License-Identifier: MIT */
/* test_alias - a peer's IPv4 address under another one: checksums hold, both ways */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "broker/datapath/alias.h"
#include "broker/datapath/checksum.h"
#include "broker/datapath/icmp.h"

static const uint8_t ours[4] = {198, 18, 0, 1}, own[4] = {198, 18, 0, 1},
		     shown[4] = {241, 64, 7, 9};

#define PAYLOAD 33

/* from @src to @dst; @partial: the pseudo-header's sum stands in the field */
static size_t make(uint8_t *p, uint8_t proto, const uint8_t *src,
		   const uint8_t *dst, bool partial)
{
	size_t head = proto == IPPROTO_TCP ? 20 : 8, len = 20 + head + PAYLOAD;
	uint8_t *field = p + 20 + (proto == IPPROTO_TCP ? 16 : 6);
	uint16_t sum;
	uint64_t s;

	memset(p, 0, len);
	p[0] = 0x45;
	put16(p + 2, (uint32_t)len);
	p[8] = 64;
	p[9] = proto;
	memcpy(p + 12, src, 4);
	memcpy(p + 16, dst, 4);
	sum = (uint16_t)~checksum_fold(checksum_add(0, p, 20));
	memcpy(p + 10, &sum, 2);
	if (proto == IPPROTO_TCP)
		p[32] = 0x50;
	else
		put16(p + 24, (uint32_t)(8 + PAYLOAD));
	for (size_t i = 0; i < PAYLOAD; i++)
		p[20 + head + i] = (uint8_t)(i * 37 + proto);
	s = checksum_pseudo(4, src, dst, proto) +
	    checksum_number((uint32_t)(len - 20));
	sum = checksum_fold(s);
	if (!partial)
		sum = (uint16_t)~checksum_fold(
			checksum_add(s, p + 20, len - 20));
	memcpy(field, &sum, 2);
	return len;
}

static void same(const uint8_t *got, const uint8_t *want, size_t len)
{
	assert_memory_equal(got, want, len);
}

/* what comes out is what would have been made with the other address */
static void transports(void **state)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};
	uint8_t a[128], b[128];
	struct inner in;
	size_t len;

	(void)state;
	for (int i = 0; i < 2; i++) {
		for (int partial = 0; partial < 2; partial++) {
			len = make(a, protos[i], ours, shown, partial);
			make(b, protos[i], ours, own, partial);
			assert_int_equal(inner_parse(a, len, &in), 0);
			alias_to_peer(a, &in, shown, own, partial);
			same(a, b, len);
			len = make(a, protos[i], own, ours, partial);
			make(b, protos[i], shown, ours, partial);
			assert_int_equal(inner_parse(a, len, &in), 0);
			alias_from_peer(a, &in, shown, own, partial);
			same(a, b, len);
			if (!partial)
				assert_true(inner_checksum_ok(a, &in));
		}
	}
}

/* UDP without a checksum stays without */
static void no_checksum(void **state)
{
	uint8_t a[128];
	struct inner in;
	size_t len = make(a, IPPROTO_UDP, own, ours, false);

	(void)state;
	memset(a + 26, 0, 2);
	assert_int_equal(inner_parse(a, len, &in), 0);
	alias_from_peer(a, &in, shown, own, false);
	assert_int_equal(get16(a + 26), 0);
	assert_memory_equal(a + 12, shown, 4);
}

static bool sums_hold(const uint8_t *p, size_t len)
{
	return checksum_fold(checksum_add(0, p, 20)) == 0xffff &&
	       checksum_fold(checksum_add(0, p + 20, len - 20)) == 0xffff &&
	       checksum_fold(checksum_add(0, p + 28, 20)) == 0xffff;
}

/* an error quotes our packet as it was on the wire: programs see what they sent */
static void quoted(void **state)
{
	uint8_t sent[128], error[ICMP_ERROR_MAX];
	struct inner in;
	size_t len = make(sent, IPPROTO_UDP, ours, own, false);

	(void)state;
	assert_int_equal(inner_parse(sent, len, &in), 0);
	len = icmp_unreachable(sent, &in, error);
	assert_true(len > 0);
	assert_int_equal(inner_parse(error, len, &in), 0);
	alias_from_peer(error, &in, shown, own, false);
	assert_memory_equal(error + 12, shown, 4);
	assert_memory_equal(error + 28 + 16, shown, 4);
	assert_true(sums_hold(error, len));
	/* and what our kernel answers to the peer's packet */
	len = make(sent, IPPROTO_UDP, shown, ours, false);
	assert_int_equal(inner_parse(sent, len, &in), 0);
	len = icmp_unreachable(sent, &in, error);
	assert_int_equal(inner_parse(error, len, &in), 0);
	alias_to_peer(error, &in, shown, own, false);
	assert_memory_equal(error + 16, own, 4);
	assert_memory_equal(error + 28 + 12, own, 4);
	assert_true(sums_hold(error, len));
}

/* cut anywhere, a packet is changed within its own length alone */
static void truncated(void **state)
{
	uint8_t full[128], a[128];
	struct inner in;
	size_t len = make(full, IPPROTO_TCP, own, ours, false);

	(void)state;
	for (size_t n = 20; n < len; n++) {
		memset(a, 0xee, sizeof(a));
		memcpy(a, full, n);
		put16(a + 2, (uint32_t)n);
		assert_int_equal(inner_parse(a, n, &in), 0);
		alias_from_peer(a, &in, shown, own, false);
		for (size_t i = n; i < sizeof(a); i++)
			assert_int_equal(a[i], 0xee);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transports),
		cmocka_unit_test(no_checksum),
		cmocka_unit_test(quoted),
		cmocka_unit_test(truncated),
	};

	return cmocka_run_group_tests_name("alias", tests, NULL, NULL);
}
