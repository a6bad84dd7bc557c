/* SPDX-License-Identifier: MIT */
/* test_cut - fragments, put together again by hand, are the packet */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "broker/datapath/checksum.h"
#include "broker/datapath/cut.h"
#include "broker/datapath/inner.h"

#define PAYLOAD 5000

/* struct heap - what came, by the place that each fragment names */
struct heap {
	uint8_t data[65536];
	bool there[65536];
	size_t max, pieces, end; /* @end: known from the last fragment */
	size_t again;		 /* cut every piece once more, to that */
	uint8_t first[80];
	uint32_t ident;
};

static void place(struct heap *h, uint32_t off, bool more, const uint8_t *p,
		  size_t len)
{
	if (more)
		assert_int_equal(len % 8, 0);
	else
		h->end = off + len;
	for (size_t i = 0; i < len; i++) {
		assert_false(h->there[off + i]);
		h->there[off + i] = true;
		h->data[off + i] = p[i];
	}
}

static void take(void *arg, const uint8_t *pkt, size_t len)
{
	struct heap *h = arg;
	size_t head = pkt[0] >> 4 == 4 ? (pkt[0] & 15) * 4u : 48, max;

	if (h->again && len > h->again) {
		max = h->again;
		h->again = 0;
		assert_int_equal(cut_packet(pkt, len, max, 9, take, h), 0);
		h->again = max;
		return;
	}
	h->pieces++;
	assert_true(len <= h->max);
	if (pkt[0] >> 4 == 4) {
		assert_int_equal(get16(pkt + 2), len);
		assert_int_equal(checksum_fold(checksum_add(0, pkt, head)),
				 0xffff);
		assert_int_equal(get16(pkt + 4), 0x1234);
		place(h, (get16(pkt + 6) & 0x1fffu) * 8,
		      get16(pkt + 6) & 0x2000, pkt + head, len - head);
	} else {
		assert_int_equal(get16(pkt + 4), len - 40);
		assert_int_equal(pkt[6], IPPROTO_FRAGMENT);
		assert_int_equal(pkt[40], IPPROTO_UDP);
		assert_int_equal(get32(pkt + 44), h->ident);
		place(h, get16(pkt + 42) & 0xfff8u, pkt[43] & 1, pkt + head,
		      len - head);
	}
	memcpy(h->first, pkt, head);
}

static size_t make(uint8_t *p, unsigned int version, size_t options)
{
	size_t head = version == 4 ? 20 + options : 40;

	memset(p, 0, head);
	if (version == 4) {
		p[0] = (uint8_t)(0x40 | head / 4);
		put16(p + 2, (uint32_t)(head + PAYLOAD));
		put16(p + 4, 0x1234);
		put16(p + 6, 0x4000); /* DF: our own kernel's */
		p[8] = 1;
		p[9] = IPPROTO_UDP;
	} else {
		p[0] = 0x60;
		put16(p + 4, PAYLOAD);
		p[6] = IPPROTO_UDP;
		p[7] = 1;
	}
	for (size_t i = 0; i < PAYLOAD; i++)
		p[head + i] = (uint8_t)(i * 31 >> 3);
	return head + PAYLOAD;
}

static void whole(const struct heap *h, const uint8_t *payload)
{
	assert_int_equal(h->end, PAYLOAD);
	for (size_t i = 0; i < PAYLOAD; i++)
		assert_true(h->there[i]);
	assert_memory_equal(h->data, payload, PAYLOAD);
}

static void test_both(void **state)
{
	static const size_t sizes[] = {56, 57, 576, 1207, 1400, 5000};
	static struct heap h;
	static uint8_t p[PAYLOAD + 80];

	(void)state;
	for (unsigned int v = 4; v <= 6; v += 2) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			for (size_t again = 0; again < 2; again++) {
				size_t len = make(p, v, 0);

				memset(&h, 0, sizeof(h));
				h.max = sizes[i];
				h.again = again && sizes[i] > 100
						  ? sizes[i] / 2 & ~3u
						  : 0;
				h.ident = 7;
				assert_int_equal(cut_packet(p, len, sizes[i], 7,
							    take, &h),
						 0);
				whole(&h, p + (v == 4 ? 20 : 40));
			}
		}
	}
}

/* copied into each, or for the first one alone: RFC 791 says which */
static void test_options(void **state)
{
	static const uint8_t options[8] = {0x94, 4, 0, 0, 0x07, 3, 4, 0};
	static struct heap h;
	static uint8_t p[PAYLOAD + 80];
	size_t len = make(p, 4, 8);

	(void)state;
	memset(&h, 0, sizeof(h));
	memcpy(p + 20, options, 8);
	h.max = 1000;
	assert_int_equal(cut_packet(p, len, 1000, 7, take, &h), 0);
	whole(&h, p + 28);
	/* the last one's */
	assert_memory_equal(h.first + 20, options, 4);
	assert_int_equal(h.first[24], 1);
}

static void test_refused(void **state)
{
	static struct heap h;
	static uint8_t p[PAYLOAD + 80];
	size_t len = make(p, 6, 0), i;

	(void)state;
	h.max = 1000;
	p[6] = IPPROTO_HOPOPTS;
	assert_int_equal(cut_packet(p, len, 1000, 0, take, &h), -NTM_EDECODE);
	p[6] = IPPROTO_FRAGMENT; /* one that says it lies too far out */
	put16(p + 42, 0xfff8);
	assert_int_equal(cut_packet(p, len, 1000, 0, take, &h), -NTM_EDECODE);
	for (i = 0; i < 48; i++)
		assert_int_equal(cut_packet(p, i, 1000, 0, take, &h),
				 -NTM_EDECODE);
	len = make(p, 4, 0);
	assert_int_equal(cut_packet(p, len, 27, 0, take, &h), -NTM_EDECODE);
	for (i = 0; i < 20; i++)
		assert_int_equal(cut_packet(p, i, 1000, 0, take, &h),
				 -NTM_EDECODE);
	p[0] = 0x4f; /* a header longer than the packet */
	assert_int_equal(cut_packet(p, 40, 1000, 0, take, &h), -NTM_EDECODE);
	p[0] = 0x50;
	assert_int_equal(cut_packet(p, len, 1000, 0, take, &h), -NTM_EDECODE);
	assert_int_equal(h.pieces, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
