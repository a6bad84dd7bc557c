/* SPDX-License-Identifier: MIT */
/*
 * ca - a domain's certificate authority, held by its Account Server alone
 *
 * The key file (0600; keyfile.h gives the notation):
 *
 *   ntm-ca-key 1
 *   ed25519 PRIVATE PUBLIC
 *
 * The certificate file is PEM, readable by all. Loading holds it to the same
 * rules as a stranger's (x509_ca_import) and to the key beside it.
 */
#include "libntmcrypto/cert.h"
#include "libntmcrypto/keyfile.h"

#include <stdlib.h>
#include <string.h>

#define CA_KEY_HEAD "ntm-ca-key 1\n"
#define DAY_S	    86400
#define CA_DAYS_MAX (100 * 366)

struct ntmc_ca {
	struct ntmc_key priv;
	uint8_t pub[NTMC_KEY_LEN];
	struct ntmc_trust_domain domain;
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key; /* the same key as GnuTLS wants it */
};

void ntmc_ca_free(struct ntmc_ca *ca)
{
	if (!ca)
		return;
	if (ca->crt)
		gnutls_x509_crt_deinit(ca->crt);
	if (ca->key)
		gnutls_x509_privkey_deinit(ca->key);
	ntmc_wipe(ca, sizeof(*ca));
	free(ca);
}

static int import_key(struct ntmc_ca *ca)
{
	gnutls_datum_t x = {.data = ca->pub, .size = sizeof(ca->pub)};
	gnutls_datum_t k = {.data = ca->priv.b, .size = sizeof(ca->priv.b)};

	if (gnutls_x509_privkey_init(&ca->key) < 0)
		return -NTM_ENOMEM;
	return gnutls_x509_privkey_import_ecc_raw(
		       ca->key, GNUTLS_ECC_CURVE_ED25519, &x, NULL, &k) < 0
		       ? -NTM_EINVAL
		       : 0;
}

/* EdDSA hashes for itself; GnuTLS wants SHA-512 named */
static int sign_with(struct ntmc_ca *ca, gnutls_x509_crt_t issuer,
		     gnutls_x509_crt_t crt)
{
	return gnutls_x509_crt_sign2(crt, issuer, ca->key, GNUTLS_DIG_SHA512,
				     0) < 0
		       ? -NTM_EINVAL
		       : 0;
}

static int export_der(gnutls_x509_crt_t crt, uint8_t *der, size_t *len)
{
	gnutls_datum_t d = {NULL, 0};
	int r = -NTM_ETOOBIG;

	if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &d) < 0)
		return -NTM_ENOMEM;
	if (d.size <= *len) {
		memcpy(der, d.data, d.size);
		*len = d.size;
		r = 0;
	}
	gnutls_free(d.data);
	return r;
}

/* --- making one
 * ---------------------------------------------------------------------- */

static int permit(gnutls_x509_name_constraints_t nc,
		  gnutls_x509_subject_alt_name_t type, const void *data,
		  size_t len)
{
	gnutls_datum_t d = {.data = (uint8_t *)data, .size = (unsigned int)len};

	return gnutls_x509_name_constraints_add_permitted(nc, type, &d) < 0
		       ? -NTM_EINVAL
		       : 0;
}

static int add_permitted(const struct ntmc_trust_domain *d,
			 gnutls_x509_name_constraints_t nc)
{
	uint8_t ip6[32] = {0}, ip4[8];
	int r;

	memcpy(ip6, d->prefix6, 16);
	memset(ip6 + 16, 0xff, 8);
	memcpy(ip4, d->prefix4, 4);
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int bits =
			d->prefix4_len > 8 * i ? d->prefix4_len - 8 * i : 0;

		ip4[4 + i] = bits >= 8 ? 0xff : (uint8_t)(0xff00 >> bits);
	}
	r = permit(nc, GNUTLS_SAN_DNSNAME, d->domain, strlen(d->domain));
	if (!r)
		r = permit(nc, GNUTLS_SAN_IPADDRESS, ip6, sizeof(ip6));
	if (!r)
		r = permit(nc, GNUTLS_SAN_IPADDRESS, ip4, sizeof(ip4));
	return r;
}

static int set_constraints(gnutls_x509_crt_t crt,
			   const struct ntmc_trust_domain *d)
{
	gnutls_x509_name_constraints_t nc;
	int r;

	if (gnutls_x509_name_constraints_init(&nc) < 0)
		return -NTM_ENOMEM;
	r = add_permitted(d, nc);
	if (!r && gnutls_x509_crt_set_name_constraints(crt, nc, 1) < 0)
		r = -NTM_EINVAL;
	gnutls_x509_name_constraints_deinit(nc);
	return r;
}

static int self_sign(const struct ntmc_env *env, struct ntmc_ca *ca,
		     unsigned int days)
{
	int64_t now = ntmc_now(env);
	int r;

	r = import_key(ca);
	if (!r)
		r = x509_begin(env, ca->domain.domain, ca->pub,
			       now - NTMC_CERT_BACKDATE_S,
			       now + (int64_t)days * DAY_S, &ca->crt);
	if (!r)
		r = set_constraints(ca->crt, &ca->domain);
	if (!r && (gnutls_x509_crt_set_basic_constraints(ca->crt, 1, 0) < 0 ||
		   gnutls_x509_crt_set_key_usage(ca->crt,
						 GNUTLS_KEY_KEY_CERT_SIGN) < 0))
		r = -NTM_EINVAL;
	if (!r)
		r = sign_with(ca, ca->crt, ca->crt);
	return r;
}

/* from the bytes again, so that what is used is what was written */
static int reimport(struct ntmc_ca *ca)
{
	uint8_t der[NTMC_CERT_MAX], pub[NTMC_KEY_LEN];
	struct ntmc_trust_domain domain;
	size_t len = sizeof(der);
	gnutls_x509_crt_t crt;
	int r;

	r = export_der(ca->crt, der, &len);
	if (!r)
		r = x509_ca_import(der, len, &crt, pub, &domain);
	if (r)
		return r;
	if (memcmp(pub, ca->pub, sizeof(pub))) {
		gnutls_x509_crt_deinit(crt);
		return -NTM_EDECODE;
	}
	gnutls_x509_crt_deinit(ca->crt);
	ca->crt = crt;
	ca->domain = domain;
	return 0;
}

int ntmc_ca_new(const struct ntmc_env *env, const char *domain,
		const uint8_t prefix4[static 4], unsigned int prefix4_len,
		unsigned int days, struct ntmc_ca **out,
		uint8_t prefix6[static 16])
{
	struct ntmc_ca *ca;
	int r;

	if (!x509_name_ok(domain) || !x509_prefix4_ok(prefix4, prefix4_len) ||
	    !days || days > CA_DAYS_MAX)
		return -NTM_EINVAL;
	ca = calloc(1, sizeof(*ca));
	if (!ca)
		return -NTM_ENOMEM;
	ntmc_ed25519_keygen(env, &ca->priv, ca->pub);
	strcpy(ca->domain.domain, domain); /* x509_name_ok: it fits */
	memcpy(ca->domain.prefix4, prefix4, 4);
	ca->domain.prefix4_len = prefix4_len;
	ntmc_fingerprint(ca->pub, ca->domain.fp);
	x509_prefix6(ca->domain.fp, ca->domain.prefix6);

	r = self_sign(env, ca, days);
	if (!r)
		r = reimport(ca);
	if (r) {
		ntmc_ca_free(ca);
		return r;
	}
	memcpy(prefix6, ca->domain.prefix6, 16);
	*out = ca;
	return 0;
}

/* --- files
 * ---------------------------------------------------------------------------
 */

static int save_cert(const struct ntmc_ca *ca, const char *path)
{
	gnutls_datum_t pem = {NULL, 0};
	int r;

	if (gnutls_x509_crt_export2(ca->crt, GNUTLS_X509_FMT_PEM, &pem) < 0)
		return -NTM_ENOMEM;
	r = keyfile_write(path, 0644, pem.data, pem.size);
	gnutls_free(pem.data);
	return r;
}

int ntmc_ca_save(const struct ntmc_ca *ca, const char *key_path,
		 const char *cert_path)
{
	char text[sizeof(CA_KEY_HEAD) + KEYFILE_LINE_MAX];
	size_t len = sizeof(CA_KEY_HEAD) - 1;
	int r;

	memcpy(text, CA_KEY_HEAD, len);
	len += keyfile_line_put(text + len, "ed25519", &ca->priv, ca->pub);
	r = keyfile_write(key_path, 0600, text, len);
	ntmc_wipe(text, sizeof(text));
	if (!r)
		r = save_cert(ca, cert_path);
	return r;
}

static int load_key(struct ntmc_ca *ca, const char *path)
{
	size_t head = sizeof(CA_KEY_HEAD) - 1, used;
	uint8_t pub[NTMC_KEY_LEN];
	char text[KEYFILE_MAX];
	size_t len = sizeof(text);
	int r;

	r = keyfile_read(path, true, text, &len);
	if (r)
		return r;
	r = -NTM_EDECODE;
	if (len > head && !memcmp(text, CA_KEY_HEAD, head)) {
		used = keyfile_line_get(text + head, len - head, "ed25519",
					&ca->priv, ca->pub);
		ntmc_ed25519_public(&ca->priv, pub);
		if (used && head + used == len &&
		    !memcmp(pub, ca->pub, sizeof(pub)))
			r = 0;
	}
	ntmc_wipe(text, sizeof(text));
	return r ? r : import_key(ca);
}

static int load_cert(struct ntmc_ca *ca, const char *path)
{
	uint8_t text[KEYFILE_MAX];
	size_t len = sizeof(text);
	gnutls_datum_t d = {.data = text};
	int r;

	r = keyfile_read(path, false, text, &len);
	if (r)
		return r;
	d.size = (unsigned int)len;
	if (gnutls_x509_crt_init(&ca->crt) < 0)
		return -NTM_ENOMEM;
	if (gnutls_x509_crt_import(ca->crt, &d, GNUTLS_X509_FMT_PEM) < 0)
		return -NTM_EDECODE;
	return reimport(ca);
}

int ntmc_ca_load(const char *key_path, const char *cert_path,
		 struct ntmc_ca **out)
{
	struct ntmc_ca *ca;
	int r;

	ca = calloc(1, sizeof(*ca));
	if (!ca)
		return -NTM_ENOMEM;
	r = load_key(ca, key_path);
	if (!r)
		r = load_cert(ca, cert_path);
	if (r)
		ntmc_ca_free(ca);
	else
		*out = ca;
	return r;
}

int ntmc_ca_der(const struct ntmc_ca *ca, uint8_t *der, size_t *len)
{
	return export_der(ca->crt, der, len);
}

/* --- issuing
 * ------------------------------------------------------------------------- */

/* inside the CA's domain, addresses and lifetime? */
static int check_scope(const struct ntmc_ca *ca, const struct ntmc_cert *cert,
		       int64_t not_before, int64_t not_after)
{
	if (not_before < 0 || not_after <= not_before ||
	    not_after > gnutls_x509_crt_get_expiration_time(ca->crt))
		return -NTM_EINVAL;
	return x509_within(&ca->domain, cert) ? 0 : -NTM_EINVAL;
}

int ntmc_ca_issue(const struct ntmc_env *env, struct ntmc_ca *ca,
		  const struct ntmc_cert *cert, int64_t not_before,
		  int64_t not_after, uint8_t *der, size_t *len)
{
	gnutls_x509_crt_t crt;
	int r;

	r = cert_check(cert);
	if (!r)
		r = check_scope(ca, cert, not_before, not_after);
	if (r)
		return r;
	r = x509_begin(env, cert->fqdn, cert->ed_pub, not_before, not_after,
		       &crt);
	if (r)
		return r;
	r = cert_fill(crt, cert);
	if (!r && gnutls_x509_crt_set_authority_key_id(crt, ca->domain.fp,
						       X509_KEY_ID_LEN) < 0)
		r = -NTM_EINVAL;
	if (!r)
		r = sign_with(ca, ca->crt, crt);
	if (!r)
		r = export_der(crt, der, len);
	gnutls_x509_crt_deinit(crt);
	return r;
}
