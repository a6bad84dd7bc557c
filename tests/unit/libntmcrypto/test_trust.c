/* SPDX-License-Identifier: MIT */
/*
 * test_trust - CAs that may and may not be trusted, certificates that do and do
 * not pass; forged ones are made with the CA's own key, past ntmc_ca_issue()
 */
#include <gnutls/x509-ext.h>
#include <string.h>

#include "fixture.h"
#include "libntmcrypto/cert.h"

#define DAY 86400
#define CA  1 /* fixture_ca(n) has the key of fixture_identity(n) */

struct der {
	uint8_t b[2048];
	size_t len;
};

/* --- forging --------------------------------------------------------------- */

enum forge {
	NO_CONSTRAINTS = 1 << 0,
	NOT_CRITICAL = 1 << 1,
	OTHER_PREFIX6 = 1 << 2,
	WIDE_PREFIX6 = 1 << 3,
	NO_DOMAIN = 1 << 4,
	TWO_DOMAINS = 1 << 5,
	EXCLUDED = 1 << 6,
	NO_IP4 = 1 << 7,
	HOLED_MASK4 = 1 << 8,
	NOT_CA = 1 << 9,
	OTHER_SIGNER = 1 << 10,
	EMAIL_TOO = 1 << 11,
	NO_IP6 = 1 << 12,
	ANY_NAME = 1 << 13,
	/* leaves */
	LEAF_EMAIL = 1 << 16,
	LEAF_CA = 1 << 17,
	LEAF_UNKNOWN_CRITICAL = 1 << 18,
	LEAF_NO_USAGE = 1 << 19,
	LEAF_UNKNOWN = 1 << 20,
	LEAF_TWO_NAMES = 1 << 21,
};

static gnutls_x509_privkey_t signer(uint8_t n)
{
	struct ntmc_identity id;
	gnutls_x509_privkey_t key;
	gnutls_datum_t x = {id.ed_pub, 32}, k = {id.ed_priv.b, 32};

	fixture_identity(n, &id);
	assert_int_equal(gnutls_x509_privkey_init(&key), 0);
	assert_int_equal(gnutls_x509_privkey_import_ecc_raw(
				 key, GNUTLS_ECC_CURVE_ED25519, &x, NULL, &k),
			 0);
	return key;
}

static void finish(gnutls_x509_crt_t crt, gnutls_x509_crt_t issuer, uint8_t n,
		   struct der *out)
{
	gnutls_x509_privkey_t key = signer(n);

	assert_int_equal(
		gnutls_x509_crt_sign2(crt, issuer, key, GNUTLS_DIG_SHA512, 0),
		0);
	out->len = sizeof(out->b);
	assert_int_equal(gnutls_x509_crt_export(crt, GNUTLS_X509_FMT_DER,
						out->b, &out->len),
			 0);
	gnutls_x509_privkey_deinit(key);
	gnutls_x509_crt_deinit(crt);
}

static void permit(gnutls_x509_name_constraints_t nc, int type, const void *p,
		   size_t len)
{
	gnutls_datum_t d = {(unsigned char *)p, (unsigned int)len};

	assert_int_equal(gnutls_x509_name_constraints_add_permitted(
				 nc, (gnutls_x509_subject_alt_name_t)type, &d),
			 0);
}

static void forge_constraints(gnutls_x509_crt_t crt, const char *domain,
			      const uint8_t *pub, unsigned int how)
{
	uint8_t ip4[8] = {198, 18, 0, 0, 255, 254, 0, 0};
	uint8_t fp[32], ip6[32] = {0};
	gnutls_x509_name_constraints_t nc;
	gnutls_datum_t ext = {NULL, 0};

	assert_int_equal(gnutls_x509_name_constraints_init(&nc), 0);
	ntmc_fingerprint(pub, fp);
	x509_prefix6(fp, ip6);
	memset(ip6 + 16, 0xff, 8);
	if (how & OTHER_PREFIX6)
		ip6[7] ^= 1;
	if (how & WIDE_PREFIX6)
		ip6[7] = ip6[16 + 7] = 0;
	if (!(how & NO_DOMAIN))
		permit(nc, GNUTLS_SAN_DNSNAME, how & ANY_NAME ? "" : domain,
		       how & ANY_NAME ? 0 : strlen(domain));
	if (how & TWO_DOMAINS)
		permit(nc, GNUTLS_SAN_DNSNAME, "example.com", 11);
	if (how & EMAIL_TOO)
		permit(nc, GNUTLS_SAN_RFC822NAME, "example.com", 11);
	if (!(how & NO_IP6))
		permit(nc, GNUTLS_SAN_IPADDRESS, ip6, 32);
	if (!(how & NO_IP4))
		permit(nc, GNUTLS_SAN_IPADDRESS, ip4, 8);
	if (how & EXCLUDED) {
		gnutls_datum_t d = {(unsigned char *)"a.example.net", 13};

		assert_int_equal(gnutls_x509_name_constraints_add_excluded(
					 nc, GNUTLS_SAN_DNSNAME, &d),
				 0);
	}
	/* the bytes themselves: GnuTLS would not write a mask with a hole */
	assert_int_equal(gnutls_x509_ext_export_name_constraints(nc, &ext), 0);
	if (how & HOLED_MASK4) {
		uint8_t *mask = memmem(ext.data, ext.size, ip4 + 4, 4);

		assert_non_null(mask);
		mask[1] = 0xfa;
	}
	assert_int_equal(gnutls_x509_crt_set_extension_by_oid(
				 crt, "2.5.29.30", ext.data, ext.size,
				 !(how & NOT_CRITICAL)),
			 0);
	gnutls_free(ext.data);
	gnutls_x509_name_constraints_deinit(nc);
}

static void forge_ca(uint8_t n, const char *domain, unsigned int how,
		     struct der *out)
{
	struct ntmc_identity id;
	gnutls_x509_crt_t crt;

	fixture_identity(n, &id);
	assert_int_equal(x509_begin(NULL, domain, id.ed_pub, FIXTURE_NOW,
				    FIXTURE_NOW + 365 * DAY, &crt),
			 0);
	if (!(how & NO_CONSTRAINTS))
		forge_constraints(crt, domain, id.ed_pub, how);
	gnutls_x509_crt_set_basic_constraints(crt, !(how & NOT_CA), -1);
	gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN);
	finish(crt, crt, how & OTHER_SIGNER ? (uint8_t)(n + 50) : n, out);
}

static void forge_leaf(const struct der *ca, const struct ntmc_cert *c,
		       unsigned int how, struct der *out)
{
	gnutls_datum_t d = {(unsigned char *)ca->b, (unsigned int)ca->len};
	gnutls_x509_crt_t crt, issuer;
	uint8_t fp[32];
	struct ntmc_identity id;

	fixture_identity(CA, &id);
	ntmc_fingerprint(id.ed_pub, fp);
	assert_int_equal(gnutls_x509_crt_init(&issuer), 0);
	assert_int_equal(
		gnutls_x509_crt_import(issuer, &d, GNUTLS_X509_FMT_DER), 0);
	assert_int_equal(x509_begin(NULL, "forged", c->ed_pub, FIXTURE_NOW,
				    FIXTURE_NOW + DAY, &crt),
			 0);
	assert_int_equal(cert_fill(crt, c), 0);
	gnutls_x509_crt_set_authority_key_id(crt, fp, X509_KEY_ID_LEN);
	if (how & LEAF_EMAIL)
		gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_RFC822NAME,
						     "a@b.c", 5,
						     GNUTLS_FSAN_APPEND);
	if (how & LEAF_TWO_NAMES)
		gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME,
						     "www.example.org", 15,
						     GNUTLS_FSAN_APPEND);
	if (how & LEAF_CA)
		gnutls_x509_crt_set_basic_constraints(crt, 1, -1);
	if (how & LEAF_NO_USAGE)
		gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN);
	if (how & (LEAF_UNKNOWN | LEAF_UNKNOWN_CRITICAL))
		gnutls_x509_crt_set_extension_by_oid(
			crt, "1.3.6.1.4.1.59999.9", "\5\0", 2,
			!!(how & LEAF_UNKNOWN_CRITICAL));
	finish(crt, issuer, CA, out);
	gnutls_x509_crt_deinit(issuer);
}

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
	c.roles = 1 << 6;
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lifetimes),
		TEST(unknown_and_impostor),
		TEST(odd_leaves),
		TEST(outside_constraints),
		TEST(gnutls_enforces),
		TEST(bad_authorities),
		TEST(pins),
		TEST(damaged_authority),
		TEST(overlaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
