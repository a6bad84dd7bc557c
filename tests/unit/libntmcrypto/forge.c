/* SPDX-License-Identifier: MIT */
/* forge - certificates that ntmc_ca_new() and ntmc_ca_issue() would not make */
#include "forge.h"

#include <gnutls/x509-ext.h>
#include <string.h>

#include "libntmcrypto/cert.h"

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

void forge_ca(uint8_t n, const char *domain, unsigned int how, struct der *out)
{
	struct ntmc_identity id, victim;
	gnutls_x509_crt_t crt;
	/* OCTET STRING */
	uint8_t fp[NTMC_FP_LEN],
		ski[2 + X509_KEY_ID_LEN] = {4, X509_KEY_ID_LEN};

	fixture_identity(n, &id);
	assert_int_equal(x509_begin(NULL,
				    how & SAME_SUBJECT ? "example.net" : domain,
				    id.ed_pub, FIXTURE_NOW,
				    FIXTURE_NOW + 365 * FORGE_DAY, &crt),
			 0);
	fixture_identity(FORGE_CA, &victim);
	ntmc_fingerprint(victim.ed_pub, fp);
	memcpy(ski + 2, fp, X509_KEY_ID_LEN);
	if (how & SAME_SUBJECT)
		assert_int_equal(gnutls_x509_crt_set_extension_by_oid(
					 crt, "2.5.29.14", ski, sizeof(ski), 0),
				 0);
	if (!(how & NO_CONSTRAINTS))
		forge_constraints(crt, domain, id.ed_pub, how);
	gnutls_x509_crt_set_basic_constraints(crt, !(how & NOT_CA), -1);
	gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN);
	finish(crt, crt, how & OTHER_SIGNER ? (uint8_t)(n + 50) : n, out);
}

void forge_leaf(const struct der *ca, const struct ntmc_cert *c,
		unsigned int how, struct der *out)
{
	gnutls_datum_t d = {(unsigned char *)ca->b, (unsigned int)ca->len};
	gnutls_x509_crt_t crt, issuer;
	uint8_t fp[32];
	struct ntmc_identity id;

	fixture_identity(FORGE_CA, &id);
	ntmc_fingerprint(id.ed_pub, fp);
	assert_int_equal(gnutls_x509_crt_init(&issuer), 0);
	assert_int_equal(
		gnutls_x509_crt_import(issuer, &d, GNUTLS_X509_FMT_DER), 0);
	assert_int_equal(x509_begin(NULL, "forged", c->ed_pub, FIXTURE_NOW,
				    FIXTURE_NOW + FORGE_DAY, &crt),
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
	finish(crt, issuer, FORGE_CA, out);
	gnutls_x509_crt_deinit(issuer);
}
