/* SPDX-License-Identifier: MIT */
/*
 * test_trust - CAs that may and may not be trusted, certificates that do and do
 * not pass
 */
#include <gnutls/x509.h>
#include <string.h>

#include "fixture.h"
#include "forge.h"

#define DAY FORGE_DAY
#define CA  FORGE_CA

/* --- fixtures ---------------------------------------------------------------- */

struct world {
	struct ntmc_trust *t;
	struct ntmc_ca *ca;
	struct der ca_der;
	uint8_t prefix6[16];
	struct ntmc_cert node;
};

static int world_open(void **state)
{
	static struct world w;
	struct ntmc_identity id;

	memset(&w, 0, sizeof(w));
	w.ca = fixture_ca("example.net", CA, w.prefix6);
	w.ca_der.len = sizeof(w.ca_der.b);
	assert_int_equal(ntmc_ca_der(w.ca, w.ca_der.b, &w.ca_der.len), 0);
	assert_int_equal(ntmc_trust_new(&w.t), 0);
	assert_int_equal(
		ntmc_trust_add(w.t, w.ca_der.b, w.ca_der.len, NULL, NULL), 0);
	fixture_identity(40, &id);
	fixture_node(w.prefix6, "alice.example.net", &id, &w.node);
	*state = &w;
	return 0;
}

static int world_close(void **state)
{
	struct world *w = *state;

	ntmc_trust_free(w->t);
	ntmc_ca_free(w->ca);
	return 0;
}

static int verify(const struct world *w, const struct der *d, int64_t now)
{
	struct ntmc_cert got, before;
	int r;

	memset(&got, 0x5a, sizeof(got));
	before = got;
	r = ntmc_trust_verify(w->t, d->b, d->len, now, &got);
	if (r)
		assert_memory_equal(&got, &before, sizeof(got));
	return r;
}

static void issue(struct world *w, const struct ntmc_cert *c, struct der *out)
{
	out->len = sizeof(out->b);
	assert_int_equal(ntmc_ca_issue(NULL, w->ca, c, FIXTURE_NOW + DAY,
				       FIXTURE_NOW + 2 * DAY, out->b,
				       &out->len),
			 0);
}

/* --- certificates ------------------------------------------------------------- */

static void lifetimes(void **state)
{
	const int64_t from = FIXTURE_NOW + DAY, to = FIXTURE_NOW + 2 * DAY;
	struct world *w = *state;
	struct der d;

	issue(w, &w->node, &d);
	assert_int_equal(verify(w, &d, from), 0);
	assert_int_equal(verify(w, &d, to), 0);
	assert_int_equal(verify(w, &d, to + 1), -NTM_EEXPIRED);
	assert_int_equal(verify(w, &d, from - 300), 0);
	assert_int_equal(verify(w, &d, from - 301), -NTM_ECLOCK);
	/* a clock of 1970 or of the far future, and the CA's own lifetime */
	assert_int_equal(verify(w, &d, 0), -NTM_ECLOCK);
	assert_int_equal(verify(w, &d, FIXTURE_NOW + 366 * (int64_t)DAY),
			 -NTM_EEXPIRED);
}

/* who is behind believes what was made just now, by a CA that is as new */
static void clock_behind(void **state)
{
	const int64_t most = NTMC_CERT_BACKDATE_S + 300;
	struct world *w = *state;
	struct der d = {.len = sizeof(d.b)};

	assert_int_equal(NTMC_CERT_BACKDATE_S, 3600);
	assert_int_equal(ntmc_ca_issue(NULL, w->ca, &w->node,
				       FIXTURE_NOW - NTMC_CERT_BACKDATE_S,
				       FIXTURE_NOW + DAY, d.b, &d.len),
			 0);
	assert_int_equal(verify(w, &d, FIXTURE_NOW - most), 0);
	assert_int_equal(verify(w, &d, FIXTURE_NOW - most - 1), -NTM_ECLOCK);
	/* of the CA's time only */
	d.len = sizeof(d.b);
	assert_int_equal(ntmc_ca_issue(NULL, w->ca, &w->node, FIXTURE_NOW - DAY,
				       FIXTURE_NOW + DAY, d.b, &d.len),
			 0);
	assert_int_equal(verify(w, &d, FIXTURE_NOW - most), 0);
	assert_int_equal(verify(w, &d, FIXTURE_NOW - most - 1), -NTM_ECLOCK);
}

static void lifetimes_with_grace(void **state)
{
	const int64_t from = FIXTURE_NOW + DAY, to = FIXTURE_NOW + 2 * DAY;
	struct world *w = *state;
	struct ntmc_cert got;
	struct der d;

	issue(w, &w->node, &d);
	assert_int_equal(
		ntmc_trust_verify_late(w->t, d.b, d.len, to + 60, 60, &got), 0);
	assert_int_equal(got.not_after, to);
	assert_int_equal(
		ntmc_trust_verify_late(w->t, d.b, d.len, to + 61, 60, &got),
		-NTM_EEXPIRED);
	assert_int_equal(ntmc_trust_verify_late(w->t, d.b, d.len, from - 301,
						400 * DAY, &got),
			 -NTM_ECLOCK);
	/* the CA gets none */
	assert_int_equal(
		ntmc_trust_verify_late(w->t, d.b, d.len,
				       FIXTURE_NOW + 366 * (int64_t)DAY,
				       400 * DAY, &got),
		-NTM_EEXPIRED);
}

static void unknown_and_impostor(void **state)
{
	struct world *w = *state;
	uint8_t prefix6[16];
	struct ntmc_ca *other = fixture_ca("example.net", 9, prefix6);
	struct ntmc_trust *empty;
	struct ntmc_cert c;
	struct der d;

	issue(w, &w->node, &d);
	assert_int_equal(ntmc_trust_new(&empty), 0);
	assert_int_equal(
		ntmc_trust_verify(empty, d.b, d.len, FIXTURE_NOW + DAY, &c),
		-NTM_ECERT);
	ntmc_trust_free(empty);
	ntmc_trust_free(NULL);

	/* the same domain, another key */
	c = w->node;
	memcpy(c.vip6, prefix6, 8);
	d.len = sizeof(d.b);
	assert_int_equal(ntmc_ca_issue(NULL, other, &c, FIXTURE_NOW,
				       FIXTURE_NOW + DAY, d.b, &d.len),
			 0);
	assert_int_equal(verify(w, &d, FIXTURE_NOW), -NTM_ECERT);
	/* naming our CA, but signed by another key */
	issue(w, &w->node, &d);
	d.b[d.len - 1] ^= 1;
	assert_int_equal(verify(w, &d, FIXTURE_NOW + DAY), -NTM_ECERT);
	ntmc_ca_free(other);
}

static void outside_constraints(void **state)
{
	struct world *w = *state;
	struct ntmc_cert c;
	struct der d;

	forge_leaf(&w->ca_der, &w->node, 0, &d);
	assert_int_equal(verify(w, &d, FIXTURE_NOW), 0);

	c = w->node;
	strcpy(c.fqdn, "alice.example.org");
	forge_leaf(&w->ca_der, &c, 0, &d);
	assert_int_equal(verify(w, &d, FIXTURE_NOW), -NTM_ECONSTRAINT);
	strcpy(c.fqdn, "badexample.net");
	forge_leaf(&w->ca_der, &c, 0, &d);
	assert_int_equal(verify(w, &d, FIXTURE_NOW), -NTM_ECONSTRAINT);
	c = w->node;
	c.vip6[7] ^= 1;
	forge_leaf(&w->ca_der, &c, 0, &d);
	assert_int_equal(verify(w, &d, FIXTURE_NOW), -NTM_ECONSTRAINT);
	c = w->node;
	c.vip4[1] = 20;
	forge_leaf(&w->ca_der, &c, 0, &d);
	assert_int_equal(verify(w, &d, FIXTURE_NOW), -NTM_ECONSTRAINT);
}

static void odd_leaves(void **state)
{
	static const unsigned int odd[] = {LEAF_EMAIL, LEAF_CA,
					   LEAF_UNKNOWN_CRITICAL, LEAF_NO_USAGE,
					   LEAF_TWO_NAMES};
	struct world *w = *state;
	struct ntmc_cert c;
	struct der d;

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		forge_leaf(&w->ca_der, &w->node, odd[i], &d);
		if (verify(w, &d, FIXTURE_NOW) != -NTM_EDECODE)
			fail_msg("case %zu", i);
	}
	/* an extension of tomorrow that may be ignored is ignored */
	forge_leaf(&w->ca_der, &w->node, LEAF_UNKNOWN, &d);
	assert_int_equal(verify(w, &d, FIXTURE_NOW), 0);
	/* the CA replaces the device's X25519 key */
	c = w->node;
	c.x_pub[3] ^= 1;
	forge_leaf(&w->ca_der, &c, 0, &d);
	assert_int_equal(verify(w, &d, FIXTURE_NOW), -NTM_EDECODE);
	c = w->node;
	memset(c.x_pub, 0, 32); /* a node without one */
	forge_leaf(&w->ca_der, &c, 0, &d);
	assert_int_equal(verify(w, &d, FIXTURE_NOW), -NTM_EDECODE);
	/* a server with a virtual address; a role that does not exist */
	c = w->node;
	c.roles = NTMC_ROLE_DC;
	forge_leaf(&w->ca_der, &c, 0, &d);
	assert_int_equal(verify(w, &d, FIXTURE_NOW), -NTM_EDECODE);
	memset(c.vip6, 0, 16);
	memset(c.vip4, 0, 4);
	forge_leaf(&w->ca_der, &c, 0, &d);
	assert_int_equal(verify(w, &d, FIXTURE_NOW), 0);
	c.roles = 1 << 7;
	forge_leaf(&w->ca_der, &c, 0, &d);
	assert_int_equal(verify(w, &d, FIXTURE_NOW), -NTM_EDECODE);
	/* a CA's certificate is nobody's */
	assert_int_equal(verify(w, &w->ca_der, FIXTURE_NOW), -NTM_EDECODE);
}

/* what the design assumes of GnuTLS: it enforces the anchor's constraints */
static void gnutls_enforces(void **state)
{
	struct world *w = *state;
	gnutls_x509_crt_t ca, leaf;
	struct ntmc_cert c = w->node;
	gnutls_datum_t d;
	struct der der;

	d.data = w->ca_der.b;
	d.size = (unsigned int)w->ca_der.len;
	assert_int_equal(gnutls_x509_crt_init(&ca), 0);
	assert_int_equal(gnutls_x509_crt_import(ca, &d, GNUTLS_X509_FMT_DER),
			 0);
	for (int bad = 0; bad < 4; bad++) {
		unsigned int status = 0;

		c = w->node;
		if (bad == 1)
			strcpy(c.fqdn, "alice.example.org");
		else if (bad == 2)
			c.vip6[7] ^= 1;
		else if (bad == 3)
			c.vip4[1] = 20;
		forge_leaf(&w->ca_der, &c, 0, &der);
		d.data = der.b;
		d.size = (unsigned int)der.len;
		assert_int_equal(gnutls_x509_crt_init(&leaf), 0);
		assert_int_equal(
			gnutls_x509_crt_import(leaf, &d, GNUTLS_X509_FMT_DER),
			0);
		assert_int_equal(gnutls_x509_crt_verify(
					 leaf, &ca, 1,
					 GNUTLS_VERIFY_DISABLE_TIME_CHECKS,
					 &status),
				 0);
		assert_int_equal(
			!!(status & GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE),
			bad != 0);
		gnutls_x509_crt_deinit(leaf);
	}
	gnutls_x509_crt_deinit(ca);
}

/* --- authorities ------------------------------------------------------------- */

static void bad_authorities(void **state)
{
	static const struct {
		unsigned int how;
		int want;
	} bad[] = {
		{NO_CONSTRAINTS, -NTM_ECONSTRAINT},
		{NOT_CRITICAL, -NTM_ECONSTRAINT},
		{OTHER_PREFIX6, -NTM_ECONSTRAINT},
		{WIDE_PREFIX6, -NTM_ECONSTRAINT},
		{NO_DOMAIN, -NTM_ECONSTRAINT},
		{TWO_DOMAINS, -NTM_ECONSTRAINT},
		{EXCLUDED, -NTM_ECONSTRAINT},
		{NO_IP4, -NTM_ECONSTRAINT},
		{NO_IP6, -NTM_ECONSTRAINT},
		{HOLED_MASK4, -NTM_ECONSTRAINT},
		{EMAIL_TOO, -NTM_ECONSTRAINT},
		{ANY_NAME, -NTM_ECONSTRAINT},
		{NOT_CA, -NTM_EDECODE},
		{OTHER_SIGNER, -NTM_EDECODE},
	};
	struct ntmc_trust *t;
	struct der d;

	(void)state;
	assert_int_equal(ntmc_trust_new(&t), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		forge_ca(CA, "example.net", bad[i].how, &d);
		if (ntmc_trust_add(t, d.b, d.len, NULL, NULL) != bad[i].want)
			fail_msg("case %zu", i);
	}
	forge_ca(CA, "example.net", 0, &d);
	assert_int_equal(ntmc_trust_add(t, d.b, d.len, NULL, NULL), 0);
	ntmc_trust_free(t);
}

static void damaged_authority(void **state)
{
	struct world *w = *state;
	struct ntmc_trust *t;
	struct der d;

	assert_int_equal(ntmc_trust_new(&t), 0);
	for (size_t len = 0; len < w->ca_der.len; len++)
		assert_int_equal(
			ntmc_trust_add(t, w->ca_der.b, len, NULL, NULL),
			-NTM_EDECODE);
	d = w->ca_der;
	d.b[d.len] = 0;
	assert_int_equal(ntmc_trust_add(t, d.b, d.len + 1, NULL, NULL),
			 -NTM_EDECODE);
	for (size_t bit = 0; bit < d.len * 8; bit++) {
		d.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(ntmc_trust_add(t, d.b, d.len, NULL, NULL),
				     0);
		d.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ntmc_trust_free(t);
}

static void pins(void **state)
{
	struct world *w = *state;
	struct ntmc_trust_domain got;
	uint8_t fp[32];
	struct ntmc_trust *t;
	struct der d;

	assert_int_equal(ntmc_trust_new(&t), 0);
	assert_int_equal(
		ntmc_trust_add(t, w->ca_der.b, w->ca_der.len, NULL, &got), 0);
	memcpy(fp, got.fp, 32);
	assert_int_equal(
		ntmc_trust_add(t, w->ca_der.b, w->ca_der.len, fp, &got), 0);
	fp[31] ^= 1;
	assert_int_equal(
		ntmc_trust_add(t, w->ca_der.b, w->ca_der.len, fp, &got),
		-NTM_EPIN);
	/* of another key and unconstrained too: the key is what is said */
	forge_ca(7, "example.net", NO_CONSTRAINTS, &d);
	assert_int_equal(ntmc_trust_add(t, d.b, d.len, fp, NULL), -NTM_EPIN);
	ntmc_trust_free(t);
}

/* a CA that calls itself like another one does not stand in its way */
static void namesakes(void **state)
{
	struct world *w = *state;
	struct ntmc_trust *t;
	struct ntmc_cert got;
	struct der d, ca, leaf;

	assert_int_equal(ntmc_trust_new(&t), 0);
	forge_ca(7, "evil.test", SAME_SUBJECT, &d);
	assert_int_equal(ntmc_trust_add(t, d.b, d.len, NULL, NULL), 0);
	forge_ca(CA, "example.net", 0, &ca);
	assert_int_equal(ntmc_trust_add(t, ca.b, ca.len, NULL, NULL), 0);
	forge_leaf(&ca, &w->node, 0, &leaf);
	assert_int_equal(
		ntmc_trust_verify(t, leaf.b, leaf.len, FIXTURE_NOW, &got), 0);
	ntmc_trust_free(t);
}

/* no two may speak for the same; the same key again replaces itself */
static void overlaps(void **state)
{
	static const char *const over[] = {"example.net", "sub.example.net",
					   "net"};
	struct world *w = *state;
	struct ntmc_trust_domain got;
	struct der d, leaf;

	for (size_t i = 0; i < ARRAY_LEN(over); i++) {
		forge_ca(7, over[i], 0, &d);
		assert_int_equal(ntmc_trust_add(w->t, d.b, d.len, NULL, NULL),
				 -NTM_ECONSTRAINT);
	}
	forge_ca(7, "xample.net", 0, &d);
	assert_int_equal(ntmc_trust_add(w->t, d.b, d.len, NULL, &got), 0);
	assert_string_equal(got.domain, "xample.net");
	forge_ca(CA, "example.net", 0, &d);
	assert_int_equal(ntmc_trust_add(w->t, d.b, d.len, NULL, NULL), 0);
	forge_leaf(&d, &w->node, 0, &leaf);
	assert_int_equal(verify(w, &leaf, FIXTURE_NOW), 0);
	/* the same key may not move on top of another domain either */
	forge_ca(CA, "xample.net", 0, &d);
	assert_int_equal(ntmc_trust_add(w->t, d.b, d.len, NULL, NULL),
			 -NTM_ECONSTRAINT);
}

/* what passed is known again: as it was, and while its CA is trusted */
static void known_again(void **state)
{
	const int64_t from = FIXTURE_NOW + DAY;
	struct world *w = *state;
	struct der d, changed;
	size_t i;

	issue(w, &w->node, &d);
	assert_int_equal(verify(w, &d, from), 0);
	assert_int_equal(verify(w, &d, from), 0);
	for (i = 0; i < d.len; i++) {
		changed = d;
		changed.b[i] ^= 1;
		assert_int_not_equal(verify(w, &changed, from), 0);
	}
	assert_int_equal(verify(w, &d, from), 0);
	ntmc_trust_remove(w->t, "example.net");
	assert_int_equal(verify(w, &d, from), -NTM_ECERT);
	assert_int_equal(
		ntmc_trust_add(w->t, w->ca_der.b, w->ca_der.len, NULL, NULL),
		0);
	assert_int_equal(verify(w, &d, from), 0);
	/* another CA's of that name: the same key is needed */
	ntmc_trust_remove(w->t, "example.net");
	forge_ca(7, "example.net", 0, &changed);
	assert_int_equal(
		ntmc_trust_add(w->t, changed.b, changed.len, NULL, NULL), 0);
	assert_int_equal(verify(w, &d, from), -NTM_ECERT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lifetimes),
		TEST(clock_behind),
		TEST(lifetimes_with_grace),
		TEST(unknown_and_impostor),
		TEST(odd_leaves),
		TEST(outside_constraints),
		TEST(gnutls_enforces),
		TEST(bad_authorities),
		TEST(pins),
		TEST(damaged_authority),
		TEST(namesakes),
		TEST(overlaps),
		TEST(known_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
