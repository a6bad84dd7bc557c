/* SPDX-License-Identifier: MIT */
/* test_cert - certificates of nodes and servers: made, read, damaged */
#include <string.h>

#include "fixture.h"

static const int64_t day = 86400;

struct issued {
	uint8_t der[NTMC_CERT_MAX];
	size_t len;
};

static int issue(struct ntmc_ca *ca, const struct ntmc_cert *cert,
		 struct issued *out)
{
	struct script s = {.fill = 77, .now = FIXTURE_NOW};
	struct ntmc_env env = script_env(&s);

	out->len = sizeof(out->der);
	return ntmc_ca_issue(&env, ca, cert, FIXTURE_NOW, FIXTURE_NOW + day,
			     out->der, &out->len);
}

static void issue_node(struct issued *out)
{
	struct ntmc_identity id;
	struct ntmc_cert cert;
	uint8_t prefix6[16];
	struct ntmc_ca *ca = fixture_ca("example.net", 1, prefix6);

	fixture_identity(2, &id);
	fixture_node(prefix6, "alice.example.net", &id, &cert);
	assert_int_equal(issue(ca, &cert, out), 0);
	ntmc_ca_free(ca);
}

static void node_round_trip(void **state)
{
	struct ntmc_cert want, got;
	struct ntmc_identity id;
	uint8_t prefix6[16];
	struct ntmc_ca *ca = fixture_ca("example.net", 1, prefix6);
	struct issued c, again;

	(void)state;
	fixture_identity(2, &id);
	fixture_node(prefix6, "alice.example.net", &id, &want);
	assert_int_equal(issue(ca, &want, &c), 0);
	assert_int_equal(ntmc_cert_parse(c.der, c.len, &got), 0);
	print_message("node certificate: %zu bytes\n", c.len);
	assert_int_equal(got.kind, NTMC_CERT_NODE);
	assert_string_equal(got.fqdn, "alice.example.net");
	assert_memory_equal(got.ed_pub, want.ed_pub, 32);
	assert_memory_equal(got.x_pub, want.x_pub, 32);
	assert_memory_equal(got.x_sig, want.x_sig, 64);
	assert_memory_equal(got.vip6, want.vip6, 16);
	assert_memory_equal(got.vip4, want.vip4, 4);
	assert_int_equal(got.roles, 0);
	assert_int_equal(got.not_before, FIXTURE_NOW);
	assert_int_equal(got.not_after, FIXTURE_NOW + day);
	/* the same randomness makes the same bytes */
	assert_int_equal(issue(ca, &want, &again), 0);
	assert_int_equal(c.len, again.len);
	assert_memory_equal(c.der, again.der, c.len);
	ntmc_ca_free(ca);
}

static void server_round_trip(void **state)
{
	struct ntmc_cert want, got;
	struct ntmc_identity id;
	uint8_t prefix6[16];
	struct ntmc_ca *ca = fixture_ca("example.net", 1, prefix6);
	struct issued c;

	(void)state;
	fixture_identity(3, &id);
	fixture_server("dc.example.net", &id, NTMC_ROLE_AS | NTMC_ROLE_DC,
		       &want);
	assert_int_equal(issue(ca, &want, &c), 0);
	assert_int_equal(ntmc_cert_parse(c.der, c.len, &got), 0);
	assert_int_equal(got.kind, NTMC_CERT_SERVER);
	assert_string_equal(got.fqdn, "dc.example.net");
	assert_int_equal(got.roles, NTMC_ROLE_AS | NTMC_ROLE_DC);
	assert_memory_equal(got.ed_pub, want.ed_pub, 32);

	/* a server may have a static key too */
	memcpy(want.x_pub, id.x_pub, 32);
	ntmc_static_sign(&id, want.x_sig);
	assert_int_equal(issue(ca, &want, &c), 0);
	assert_int_equal(ntmc_cert_parse(c.der, c.len, &got), 0);
	assert_memory_equal(got.x_pub, id.x_pub, 32);
	ntmc_ca_free(ca);
}

/* the longest names fit NTMC_CERT_MAX */
static void longest_name(void **state)
{
	char domain[NTMC_FQDN_MAX + 1], fqdn[NTMC_FQDN_MAX + 1];
	struct ntmc_identity id;
	struct ntmc_cert want, got;
	uint8_t prefix6[16], der[NTMC_CERT_MAX];
	size_t len = sizeof(der);
	struct ntmc_trust *t;
	struct issued c;
	struct ntmc_ca *ca;

	(void)state;
	for (int i = 0; i < NTMC_FQDN_MAX; i++)
		fqdn[i] = i % 50 == 49 ? '.' : 'a';
	fqdn[NTMC_FQDN_MAX] = '\0';
	strcpy(domain, fqdn + 2);
	ca = fixture_ca(domain, 9, prefix6);
	assert_int_equal(ntmc_ca_der(ca, der, &len), 0);
	assert_int_equal(ntmc_trust_new(&t), 0);
	fixture_identity(2, &id);
	assert_int_equal(ntmc_trust_add(t, der, len, NULL, NULL), 0);
	/* two letters before the domain do not make a name below it */
	fixture_node(prefix6, fqdn, &id, &want);
	assert_int_equal(issue(ca, &want, &c), -NTM_EINVAL);
	fqdn[1] = '.';
	fixture_node(prefix6, fqdn, &id, &want);
	assert_int_equal(issue(ca, &want, &c), 0);
	assert_int_equal(ntmc_trust_verify(t, c.der, c.len, FIXTURE_NOW, &got),
			 0);
	assert_string_equal(got.fqdn, fqdn);
	ntmc_trust_free(t);
	ntmc_ca_free(ca);
}

static void refuse_to_issue(void **state)
{
	struct ntmc_identity id, other;
	struct ntmc_cert good, c;
	uint8_t prefix6[16];
	struct ntmc_ca *ca = fixture_ca("example.net", 1, prefix6);
	struct issued out;
	static const char *const bad_names[] = {
		"",
		"example.org",
		"badexample.net",
		"Alice.example.net",
		".net",
		"a..example.net",
		"-a.example.net",
		"a-.example.net",
		"a b.example.net",
		"alice.example.net.",
		"*.example.net",
	};

	(void)state;
	fixture_identity(2, &id);
	fixture_identity(5, &other);
	fixture_node(prefix6, "alice.example.net", &id, &good);
	for (size_t i = 0; i < ARRAY_LEN(bad_names); i++) {
		c = good;
		strcpy(c.fqdn, bad_names[i]);
		assert_int_equal(issue(ca, &c, &out), -NTM_EINVAL);
	}
	c = good;
	c.vip6[7] ^= 1;
	assert_int_equal(issue(ca, &c, &out), -NTM_EINVAL);
	c = good;
	c.vip4[1] = 20;
	assert_int_equal(issue(ca, &c, &out), -NTM_EINVAL);
	c = good;
	c.x_sig[5] ^= 1;
	assert_int_equal(issue(ca, &c, &out), -NTM_EAUTH);
	c = good;
	memcpy(c.x_pub, other.x_pub, 32);
	assert_int_equal(issue(ca, &c, &out), -NTM_EAUTH);
	c = good;
	c.roles = NTMC_ROLE_AS; /* a node has none */
	assert_int_equal(issue(ca, &c, &out), -NTM_EINVAL);
	fixture_server("dc.example.net", &id, 0, &c);
	assert_int_equal(issue(ca, &c, &out), -NTM_EINVAL);
	fixture_server("dc.example.net", &id, 1 << 7, &c);
	assert_int_equal(issue(ca, &c, &out), -NTM_EINVAL);

	/* a buffer too small, a lifetime beyond the CA's */
	out.len = 100;
	assert_int_equal(ntmc_ca_issue(NULL, ca, &good, FIXTURE_NOW,
				       FIXTURE_NOW + day, out.der, &out.len),
			 -NTM_ETOOBIG);
	out.len = sizeof(out.der);
	assert_int_equal(ntmc_ca_issue(NULL, ca, &good, FIXTURE_NOW,
				       FIXTURE_NOW + 366 * day, out.der,
				       &out.len),
			 -NTM_EINVAL);
	ntmc_ca_free(ca);
}

static void truncated_everywhere(void **state)
{
	struct issued c;
	struct ntmc_cert got, before;

	(void)state;
	issue_node(&c);
	memset(&got, 0x5a, sizeof(got));
	before = got;
	for (size_t len = 0; len < c.len; len++)
		assert_int_equal(ntmc_cert_parse(c.der, len, &got),
				 -NTM_EDECODE);
	assert_memory_equal(&got, &before, sizeof(got));
}

static void trailing_byte(void **state)
{
	struct issued c;
	struct ntmc_cert got;

	(void)state;
	issue_node(&c);
	c.der[c.len] = 0;
	assert_int_equal(ntmc_cert_parse(c.der, c.len + 1, &got), -NTM_EDECODE);
}

/* every flipped bit is refused by the verifier; the parser only survives it */
static void flipped_bits(void **state)
{
	uint8_t prefix6[16], der[NTMC_CERT_MAX];
	struct ntmc_ca *ca = fixture_ca("example.net", 1, prefix6);
	size_t len = sizeof(der);
	struct ntmc_trust *t;
	struct issued c;
	struct ntmc_cert got;

	(void)state;
	issue_node(&c);
	assert_int_equal(ntmc_ca_der(ca, der, &len), 0);
	assert_int_equal(ntmc_trust_new(&t), 0);
	assert_int_equal(ntmc_trust_add(t, der, len, NULL, NULL), 0);
	assert_int_equal(ntmc_trust_verify(t, c.der, c.len, FIXTURE_NOW, &got),
			 0);
	for (size_t i = 0; i < c.len * 8; i++) {
		c.der[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_not_equal(
			ntmc_trust_verify(t, c.der, c.len, FIXTURE_NOW, &got),
			0);
		c.der[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	ntmc_trust_free(t);
	ntmc_ca_free(ca);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(node_round_trip),
		cmocka_unit_test(server_round_trip),
		cmocka_unit_test(longest_name),
		cmocka_unit_test(refuse_to_issue),
		cmocka_unit_test(truncated_everywhere),
		cmocka_unit_test(trailing_byte),
		cmocka_unit_test(flipped_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
