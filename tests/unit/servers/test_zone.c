/* SPDX-License-Identifier: MIT */
/* test_zone - DNS answers: ours, NODATA, refused, malformed */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "servers/dns/zone.h"

static struct zone *zone;
static const uint8_t fp[NTMC_FP_LEN] = {0xab};

static int setup(void **state)
{
	struct addr at[2];
	struct zone_config c = {.domain = "example.org",
				.ttl = 600,
				.serial = 7,
				.dc = at,
				.n_dc = 2,
				.as = at,
				.n_as = 1,
				.as_port = 4501,
				.dc_port = 4502,
				.ca_fp = fp};

	(void)state;
	assert_int_equal(addr_parse("192.0.2.1", 0, &at[0]), 0);
	assert_int_equal(addr_parse("2001:db8::1", 0, &at[1]), 0);
	return zone_new(&c, &zone);
}

static int teardown(void **state)
{
	(void)state;
	zone_free(zone);
	return 0;
}

static size_t query(const char *name, ldns_rr_type type, int edns,
		    uint8_t wire[512])
{
	ldns_pkt *q = ldns_pkt_query_new(ldns_dname_new_frm_str(name), type,
					 LDNS_RR_CLASS_IN, LDNS_RD);
	uint8_t *out;
	size_t len;

	ldns_pkt_set_id(q, 4711);
	if (edns >= 0) {
		ldns_pkt_set_edns_udp_size(q, 4096);
		ldns_pkt_set_edns_version(q, (uint8_t)edns);
	}
	assert_int_equal(ldns_pkt2wire(&out, q, &len), LDNS_STATUS_OK);
	assert_true(len <= 512);
	memcpy(wire, out, len);
	free(out);
	ldns_pkt_free(q);
	return len;
}

static ldns_pkt *ask(const char *name, ldns_rr_type type, int edns)
{
	uint8_t wire[512], out[ZONE_UDP_MAX];
	size_t len = query(name, type, edns, wire);
	ldns_pkt *a;

	len = zone_answer(zone, wire, len, false, out, sizeof(out));
	assert_int_equal(ldns_wire2pkt(&a, out, len), LDNS_STATUS_OK);
	assert_int_equal(ldns_pkt_id(a), 4711);
	assert_true(ldns_pkt_qr(a));
	return a;
}

static void records(void **state)
{
	static const struct {
		const char *name;
		ldns_rr_type type;
		unsigned int answers;
	} cases[] = {
		{"example.org", LDNS_RR_TYPE_SOA, 1},
		{"example.org", LDNS_RR_TYPE_NS, 1},
		{"example.org", LDNS_RR_TYPE_A, 1},
		{"EXAMPLE.ORG", LDNS_RR_TYPE_AAAA, 1},
		{"_ntm.example.org", LDNS_RR_TYPE_SRV, 1},
		{"_dc._ntm.example.org", LDNS_RR_TYPE_SRV, 1},
		{"_ntm.example.org", LDNS_RR_TYPE_TXT, 1},
		{"_ntm.example.org", LDNS_RR_TYPE_A, 1},
		/* NODATA: whoever asks learns nothing */
		{"_ntm.example.org", LDNS_RR_TYPE_AAAA, 0},
		{"example.org", LDNS_RR_TYPE_MX, 0},
		{"laptop.alice.example.org", LDNS_RR_TYPE_AAAA, 0},
		{"alice.example.org", LDNS_RR_TYPE_A, 0},
		{"a.b.c.d.e.example.org", LDNS_RR_TYPE_HTTPS, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ldns_pkt *a = ask(cases[i].name, cases[i].type, 0);

		assert_int_equal(ldns_pkt_get_rcode(a), LDNS_RCODE_NOERROR);
		assert_true(ldns_pkt_aa(a));
		assert_int_equal(ldns_pkt_ancount(a), cases[i].answers);
		assert_int_equal(ldns_pkt_nscount(a), !cases[i].answers);
		assert_true(ldns_pkt_edns(a));
		ldns_pkt_free(a);
	}
}

static void fingerprint(void **state)
{
	ldns_pkt *a = ask("_ntm.example.org", LDNS_RR_TYPE_TXT, -1);
	char *text = ldns_rr2str(ldns_rr_list_rr(ldns_pkt_answer(a), 0));

	(void)state;
	assert_non_null(strstr(text, "\"v=ntm1 ca=ab00000000"));
	assert_false(ldns_pkt_edns(a));
	free(text);
	ldns_pkt_free(a);
}

static void refused(void **state)
{
	ldns_pkt *a = ask("example.com", LDNS_RR_TYPE_A, 0);

	(void)state;
	assert_int_equal(ldns_pkt_get_rcode(a), LDNS_RCODE_REFUSED);
	assert_int_equal(ldns_pkt_ancount(a) + ldns_pkt_nscount(a), 0);
	ldns_pkt_free(a);
	a = ask("notexample.org", LDNS_RR_TYPE_A, 0);
	assert_int_equal(ldns_pkt_get_rcode(a), LDNS_RCODE_REFUSED);
	ldns_pkt_free(a);
	a = ask("example.org", LDNS_RR_TYPE_AXFR, 0);
	assert_int_equal(ldns_pkt_get_rcode(a), LDNS_RCODE_REFUSED);
	ldns_pkt_free(a);
	a = ask("example.org", LDNS_RR_TYPE_SOA, 1); /* EDNS version 1 */
	assert_int_equal(ldns_pkt_edns_extended_rcode(a), 1); /* BADVERS */
	assert_int_equal(ldns_pkt_ancount(a), 0);
	ldns_pkt_free(a);
}

static void malformed(void **state)
{
	uint8_t wire[512], out[ZONE_UDP_MAX];
	size_t len = query("example.org", LDNS_RR_TYPE_SOA, 0, wire), n;

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		n = zone_answer(zone, wire, cut, false, out, sizeof(out));
		assert_int_equal(n, cut < 12 ? 0 : 12);
		if (n)
			assert_int_equal(out[3] & 0xf, LDNS_RCODE_FORMERR);
	}
	wire[2] |= 0x80; /* an answer is never answered */
	assert_int_equal(zone_answer(zone, wire, len, false, out, sizeof(out)),
			 0);
	wire[2] = 0x28; /* UPDATE */
	assert_int_equal(zone_answer(zone, wire, len, false, out, sizeof(out)),
			 12);
	assert_int_equal(out[3] & 0xf, LDNS_RCODE_NOTIMPL);
}

static void truncated(void **state)
{
	uint8_t wire[512], out[512];
	size_t len = query("_ntm.example.org", LDNS_RR_TYPE_TXT, -1, wire);

	(void)state;
	/* a client with room for less than the answer is told to use TCP */
	assert_int_equal(zone_answer(zone, wire, len, false, out, 64), 12);
	assert_true(out[2] & 0x02);
	assert_true(zone_answer(zone, wire, len, true, out, sizeof(out)) > 64);
}

/* Never more bytes than the query had, whatever it is. */
static void slipped(void **state)
{
	uint8_t wire[512], out[512];
	size_t len = query("_ntm.example.org", LDNS_RR_TYPE_TXT, 0, wire), n;
	ldns_pkt *a;

	(void)state;
	n = zone_truncated(wire, len, out, sizeof(out));
	assert_true(n > 12 && n <= len);
	assert_int_equal(ldns_wire2pkt(&a, out, n), LDNS_STATUS_OK);
	assert_int_equal(ldns_pkt_id(a), 4711);
	assert_true(ldns_pkt_qr(a) && ldns_pkt_tc(a) && ldns_pkt_rd(a));
	assert_int_equal(ldns_pkt_qdcount(a), 1);
	assert_int_equal(ldns_pkt_ancount(a), 0);
	ldns_pkt_free(a);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(zone_truncated(wire, cut, out, sizeof(out)),
				 cut < n ? 0 : n);
	wire[12] = 0xc0; /* a name that points */
	assert_int_equal(zone_truncated(wire, len, out, sizeof(out)), 0);
	wire[12] = 63; /* or reaches beyond */
	assert_int_equal(zone_truncated(wire, len, out, sizeof(out)), 0);
	wire[12] = 4;
	wire[5] = 2;
	assert_int_equal(zone_truncated(wire, len, out, sizeof(out)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),   cmocka_unit_test(fingerprint),
		cmocka_unit_test(refused),   cmocka_unit_test(malformed),
		cmocka_unit_test(truncated), cmocka_unit_test(slipped),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
