/* SPDX-License-Identifier: MIT */
/* test_ca - making, saving and loading a domain's authority */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

static void prefix_is_hash_of_key(void **state)
{
	struct ntmc_trust_domain d;
	uint8_t prefix6[16], other6[16], der[NTMC_CERT_MAX];
	struct ntmc_ca *ca = fixture_ca("example.net", 1, prefix6);
	struct ntmc_ca *other = fixture_ca("example.net", 2, other6);
	size_t len = sizeof(der);
	struct ntmc_trust *t;

	(void)state;
	assert_int_equal(prefix6[0], 0xfd);
	assert_int_equal(prefix6[1], 0x6e);
	assert_memory_not_equal(prefix6, other6, 16);
	assert_int_equal(ntmc_ca_der(ca, der, &len), 0);
	print_message("CA certificate: %zu bytes\n", len);
	assert_int_equal(ntmc_trust_new(&t), 0);
	assert_int_equal(ntmc_trust_add(t, der, len, NULL, &d), 0);
	assert_memory_equal(d.fp, prefix6 + 2, 6);
	assert_memory_equal(d.prefix6, prefix6, 16);
	assert_string_equal(d.domain, "example.net");
	assert_memory_equal(d.prefix4, "\306\022\0\0", 4);
	assert_int_equal(d.prefix4_len, 15);
	len = 10;
	assert_int_equal(ntmc_ca_der(ca, der, &len), -NTM_ETOOBIG);
	ntmc_trust_free(t);
	ntmc_ca_free(ca);
	ntmc_ca_free(other);
	ntmc_ca_free(NULL);
}

static void bad_arguments(void **state)
{
	static const struct {
		const char *domain;
		uint8_t prefix4[4];
		unsigned int len, days;
	} bad[] = {
		{"", {198, 18, 0, 0}, 15, 1},
		{"Example.net", {198, 18, 0, 0}, 15, 1},
		{"example.net.", {198, 18, 0, 0}, 15, 1},
		{"example.net", {198, 18, 0, 1}, 15, 1},
		{"example.net", {198, 19, 0, 0}, 15, 1},
		{"example.net", {198, 18, 0, 0}, 31, 1},
		{"example.net", {0, 0, 0, 0}, 0, 1},
		{"example.net", {0, 0, 0, 0}, 8, 1},
		{"example.net", {127, 1, 0, 0}, 16, 1},
		{"example.net", {169, 254, 0, 0}, 16, 1},
		{"example.net", {239, 0, 0, 0}, 8, 1},
		{"example.net", {255, 255, 255, 0}, 24, 1},
		{"example.net", {198, 18, 0, 0}, 15, 0},
		{"example.net", {198, 18, 0, 0}, 15, 100000},
	};
	struct ntmc_ca *ca = NULL;
	uint8_t prefix6[16];
	char deep[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (ntmc_ca_new(NULL, bad[i].domain, bad[i].prefix4, bad[i].len,
				bad[i].days, &ca, prefix6) != -NTM_EINVAL)
			fail_msg("row %zu", i);
	memset(deep, 'a', sizeof(deep));
	deep[299] = '\0';
	assert_int_equal(
		ntmc_ca_new(NULL, deep, bad[0].prefix4, 15, 1, &ca, prefix6),
		-NTM_EINVAL);
	deep[64] = '\0'; /* one label of 64 */
	assert_int_equal(
		ntmc_ca_new(NULL, deep, bad[0].prefix4, 15, 1, &ca, prefix6),
		-NTM_EINVAL);
	assert_null(ca);
}

/* slices as /15, /12 and /30 come back as they went in */
static void slices(void **state)
{
	static const struct {
		uint8_t prefix4[4];
		unsigned int len;
	} good[] = {
		{{240, 0, 0, 0}, 12},
		{{10, 0, 0, 0}, 8},
		{{198, 18, 3, 252}, 30},
		{{198, 18, 128, 0}, 17},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct ntmc_trust_domain d;
		uint8_t prefix6[16], der[NTMC_CERT_MAX];
		size_t len = sizeof(der);
		struct ntmc_trust *t;
		struct ntmc_ca *ca;

		assert_int_equal(ntmc_ca_new(NULL, "example.net",
					     good[i].prefix4, good[i].len, 1,
					     &ca, prefix6),
				 0);
		assert_int_equal(ntmc_ca_der(ca, der, &len), 0);
		assert_int_equal(ntmc_trust_new(&t), 0);
		assert_int_equal(ntmc_trust_add(t, der, len, NULL, &d), 0);
		assert_memory_equal(d.prefix4, good[i].prefix4, 4);
		assert_int_equal(d.prefix4_len, good[i].len);
		ntmc_trust_free(t);
		ntmc_ca_free(ca);
	}
}

static void save_and_load(void **state)
{
	char dir[64], key[80], cert[80], key2[80], cert2[80];
	uint8_t prefix6[16], a[NTMC_CERT_MAX], b[NTMC_CERT_MAX];
	size_t a_len = sizeof(a), b_len = sizeof(b);
	struct ntmc_ca *ca = fixture_ca("example.net", 1, prefix6), *got = NULL;
	struct ntmc_ca *other = fixture_ca("example.org", 2, prefix6);
	struct stat st;

	(void)state;
	fixture_mkdir(dir);
	snprintf(key, sizeof(key), "%s/ca.key", dir);
	snprintf(cert, sizeof(cert), "%s/ca.pem", dir);
	snprintf(key2, sizeof(key2), "%s/ca2.key", dir);
	snprintf(cert2, sizeof(cert2), "%s/ca2.pem", dir);
	assert_int_equal(ntmc_ca_load(key, cert, &got), -NTM_ENOTFOUND);
	assert_int_equal(ntmc_ca_save(ca, key, cert), 0);
	assert_int_equal(ntmc_ca_save(other, key2, cert2), 0);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(cert, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);

	assert_int_equal(ntmc_ca_load(key, cert, &got), 0);
	assert_int_equal(ntmc_ca_der(ca, a, &a_len), 0);
	assert_int_equal(ntmc_ca_der(got, b, &b_len), 0);
	assert_int_equal(a_len, b_len);
	assert_memory_equal(a, b, a_len);
	ntmc_ca_free(got);
	got = NULL;

	assert_int_equal(ntmc_ca_load(key, cert2, &got), -NTM_EDECODE);
	assert_int_equal(ntmc_ca_load(key, key, &got), -NTM_EDECODE);
	assert_int_equal(ntmc_ca_load(cert, cert, &got), -NTM_EPERM);
	assert_int_equal(chmod(key, 0640), 0);
	assert_int_equal(ntmc_ca_load(key, cert, &got), -NTM_EPERM);
	assert_int_equal(chmod(key, 0600), 0);
	assert_int_equal(truncate(key, 30), 0);
	assert_int_equal(ntmc_ca_load(key, cert, &got), -NTM_EDECODE);
	assert_int_equal(truncate(cert2, 100), 0);
	assert_int_equal(ntmc_ca_load(key2, cert2, &got), -NTM_EDECODE);
	assert_null(got);
	ntmc_ca_free(ca);
	ntmc_ca_free(other);
	fixture_rmdir(dir);
}

/* what a loaded CA issues is trusted by who trusts the saved one */
static void loaded_ca_issues(void **state)
{
	char dir[64], key[80], cert[80];
	uint8_t prefix6[16], der[NTMC_CERT_MAX], node[NTMC_CERT_MAX];
	struct ntmc_ca *ca = fixture_ca("example.net", 1, prefix6), *got = NULL;
	size_t len = sizeof(der), node_len = sizeof(node);
	struct ntmc_identity id;
	struct ntmc_cert c;
	struct ntmc_trust *t;

	(void)state;
	fixture_mkdir(dir);
	snprintf(key, sizeof(key), "%s/ca.key", dir);
	snprintf(cert, sizeof(cert), "%s/ca.pem", dir);
	assert_int_equal(ntmc_ca_save(ca, key, cert), 0);
	assert_int_equal(ntmc_ca_der(ca, der, &len), 0);
	ntmc_ca_free(ca);
	assert_int_equal(ntmc_ca_load(key, cert, &got), 0);
	fixture_identity(3, &id);
	fixture_node(prefix6, "bob.example.net", &id, &c);
	assert_int_equal(ntmc_ca_issue(NULL, got, &c, FIXTURE_NOW,
				       FIXTURE_NOW + 100, node, &node_len),
			 0);
	assert_int_equal(ntmc_trust_new(&t), 0);
	assert_int_equal(ntmc_trust_add(t, der, len, NULL, NULL), 0);
	assert_int_equal(ntmc_trust_verify(t, node, node_len, FIXTURE_NOW, &c),
			 0);
	ntmc_trust_free(t);
	ntmc_ca_free(got);
	fixture_rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefix_is_hash_of_key),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(slices),
		cmocka_unit_test(save_and_load),
		cmocka_unit_test(loaded_ca_issues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
