/* SPDX-License-Identifier: MIT */
/* test_identity - key files, fingerprints, verify codes, static signatures */
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

static void put_file(const char *path, const void *data, size_t len,
		     mode_t mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void file_round_trip(void **state)
{
	struct ntmc_identity id, got;
	char dir[64], path[80];
	struct stat st;

	(void)state;
	fixture_mkdir(dir);
	snprintf(path, sizeof(path), "%s/identity", dir);
	fixture_identity(1, &id);
	assert_int_equal(ntmc_identity_load(path, &got), -NTM_ENOTFOUND);
	assert_int_equal(ntmc_identity_save(&id, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(ntmc_identity_load(path, &got), 0);
	assert_memory_equal(&got, &id, sizeof(id));

	/* replacing keeps nothing of the old one, leaves no temporary file */
	fixture_identity(9, &id);
	assert_int_equal(ntmc_identity_save(&id, path), 0);
	assert_int_equal(ntmc_identity_load(path, &got), 0);
	assert_memory_equal(&got, &id, sizeof(id));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void file_refused(void **state)
{
	static const mode_t open_modes[] = {0640, 0604, 0620, 0602, 0644};
	struct ntmc_identity id, got, before;
	char dir[64], path[80];

	(void)state;
	fixture_mkdir(dir);
	snprintf(path, sizeof(path), "%s/identity", dir);
	fixture_identity(1, &id);
	memset(&got, 0x5a, sizeof(got));
	before = got;
	assert_int_equal(ntmc_identity_save(&id, path), 0);
	for (size_t i = 0; i < ARRAY_LEN(open_modes); i++) {
		assert_int_equal(chmod(path, open_modes[i]), 0);
		assert_int_equal(ntmc_identity_load(path, &got), -NTM_EPERM);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ntmc_identity_load(dir, &got), -NTM_EDECODE);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(ntmc_identity_load(path, &got), -NTM_EDECODE);
	assert_memory_equal(&got, &before, sizeof(got));
	fixture_rmdir(dir);
	assert_int_equal(ntmc_identity_save(&id, path), -NTM_ESTORE);
}

/* truncated at every byte, one byte more, and every bit flipped */
static void file_damaged(void **state)
{
	struct ntmc_identity id, got;
	char dir[64], path[80], text[1024];
	ssize_t len;
	int fd;

	(void)state;
	fixture_mkdir(dir);
	snprintf(path, sizeof(path), "%s/identity", dir);
	fixture_identity(1, &id);
	assert_int_equal(ntmc_identity_save(&id, path), 0);
	fd = open(path, O_RDONLY);
	len = read(fd, text, sizeof(text));
	close(fd);
	assert_in_range(len, 200, 400);
	for (ssize_t n = 0; n < len; n++) {
		put_file(path, text, (size_t)n, 0600);
		assert_int_equal(ntmc_identity_load(path, &got), -NTM_EDECODE);
	}
	text[len] = '\n';
	put_file(path, text, (size_t)len + 1, 0600);
	assert_int_equal(ntmc_identity_load(path, &got), -NTM_EDECODE);
	for (ssize_t bit = 0; bit < len * 8; bit++) {
		text[bit / 8] ^= (char)(1 << bit % 8);
		put_file(path, text, (size_t)len, 0600);
		assert_int_equal(ntmc_identity_load(path, &got), -NTM_EDECODE);
		text[bit / 8] ^= (char)(1 << bit % 8);
	}
	put_file(path, text, (size_t)len, 0600);
	assert_int_equal(ntmc_identity_load(path, &got), 0);
	fixture_rmdir(dir);
}

/* GnuTLS reads the PEM and computes the same public key */
static void pem(void **state)
{
	gnutls_datum_t d, x, k;
	gnutls_ecc_curve_t curve;
	gnutls_privkey_t key;
	struct ntmc_identity id;
	char text[256];

	(void)state;
	fixture_identity(1, &id);
	assert_int_equal(ntmc_identity_pem(&id, text, sizeof(text)), 0);
	d.data = (unsigned char *)text;
	d.size = (unsigned int)strlen(text);
	assert_int_equal(gnutls_privkey_init(&key), 0);
	assert_int_equal(gnutls_privkey_import_x509_raw(
				 key, &d, GNUTLS_X509_FMT_PEM, NULL, 0),
			 0);
	assert_int_equal(
		gnutls_privkey_export_ecc_raw(key, &curve, &x, NULL, &k), 0);
	assert_int_equal(curve, GNUTLS_ECC_CURVE_ED25519);
	assert_memory_equal(x.data, id.ed_pub, 32);
	assert_memory_equal(k.data, id.ed_priv.b, 32);
	gnutls_free(x.data);
	gnutls_free(k.data);
	gnutls_privkey_deinit(key);
	assert_int_equal(ntmc_identity_pem(&id, text, strlen(text)),
			 -NTM_EINVAL);
}

static void static_signature(void **state)
{
	struct ntmc_identity a, b;
	uint8_t sig[64], msg[13 + 32 + 32] = "ntm static v1";

	(void)state;
	fixture_identity(1, &a);
	fixture_identity(2, &b);
	ntmc_static_sign(&a, sig);
	assert_int_equal(ntmc_static_verify(a.ed_pub, a.x_pub, sig), 0);
	assert_int_equal(ntmc_static_verify(a.ed_pub, b.x_pub, sig),
			 -NTM_EAUTH);
	assert_int_equal(ntmc_static_verify(b.ed_pub, a.x_pub, sig),
			 -NTM_EAUTH);
	/* the message, spelled out */
	ntmc_fingerprint(a.ed_pub, msg + 13);
	memcpy(msg + 45, a.x_pub, 32);
	assert_int_equal(ntmc_ed25519_verify(a.ed_pub, msg, sizeof(msg), sig),
			 0);
}

/* as GnuTLS and every browser compute it: SHA-256 of the SPKI */
static void fingerprint(void **state)
{
	gnutls_datum_t x;
	gnutls_pubkey_t key;
	struct ntmc_identity id;
	uint8_t fp[32], want[32], got[32];
	char text[NTMC_FP_TEXT_LEN], bad[NTMC_FP_TEXT_LEN + 1];
	size_t len = sizeof(want);

	(void)state;
	fixture_identity(1, &id);
	ntmc_fingerprint(id.ed_pub, fp);
	x.data = id.ed_pub;
	x.size = 32;
	assert_int_equal(gnutls_pubkey_init(&key), 0);
	assert_int_equal(gnutls_pubkey_import_ecc_raw(
				 key, GNUTLS_ECC_CURVE_ED25519, &x, NULL),
			 0);
	assert_int_equal(gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256,
						  want, &len),
			 0);
	gnutls_pubkey_deinit(key);
	assert_memory_equal(fp, want, 32);

	ntmc_fingerprint_text(fp, text);
	assert_int_equal(strlen(text), 64);
	assert_int_equal(ntmc_fingerprint_parse(text, got), 0);
	assert_memory_equal(got, fp, 32);
	for (size_t n = 0; n < 64; n++) {
		strcpy(bad, text);
		bad[n] = '\0';
		assert_int_equal(ntmc_fingerprint_parse(bad, got),
				 -NTM_EDECODE);
		strcpy(bad, text);
		bad[n] = 'A';
		assert_int_equal(ntmc_fingerprint_parse(bad, got),
				 -NTM_EDECODE);
	}
	strcpy(bad, text);
	strcat(bad, "0");
	assert_int_equal(ntmc_fingerprint_parse(bad, got), -NTM_EDECODE);
}

static void verify_code(void **state)
{
	char ab[NTMC_VERIFY_TEXT_LEN], ba[NTMC_VERIFY_TEXT_LEN], other[36];
	uint8_t a[32] = {1}, b[32] = {2}, c[32] = {2, 1};
	uint8_t msg[13 + 64] = "ntm verify v1", h[32];
	unsigned long long v = 0;
	char group[6];

	(void)state;
	ntmc_verify_code(a, b, ab);
	ntmc_verify_code(b, a, ba);
	assert_string_equal(ab, ba);
	ntmc_verify_code(a, c, other);
	assert_string_not_equal(ab, other);
	assert_int_equal(strlen(ab), 35);
	for (int i = 0; i < 35; i++)
		assert_true(i % 6 == 5 ? ab[i] == ' '
				       : ab[i] >= '0' && ab[i] <= '9');
	/* the last group, spelled out */
	memcpy(msg + 13, a, 32);
	memcpy(msg + 45, b, 32);
	ntmc_sha256(msg, sizeof(msg), h);
	for (int i = 25; i < 30; i++)
		v = v << 8 | h[i];
	snprintf(group, sizeof(group), "%05llu", v % 100000);
	assert_string_equal(ab + 30, group);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_round_trip),
		cmocka_unit_test(file_refused),
		cmocka_unit_test(file_damaged),
		cmocka_unit_test(pem),
		cmocka_unit_test(static_signature),
		cmocka_unit_test(fingerprint),
		cmocka_unit_test(verify_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
