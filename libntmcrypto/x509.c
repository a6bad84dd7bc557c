/* SPDX-License-Identifier: MIT */
/* x509 - what certificates of CAs, nodes and servers have in common */
#include "libntmcrypto/x509.h"

#include <gnutls/abstract.h>
#include <string.h>

#define DER_SEQUENCE   0x30
#define DER_BIT_STRING 0x03
#define SERIAL_LEN     16
#define CN_MAX	       64 /* ub-common-name */
#define EXT_MAX	       32 /* extensions looked at before giving up */

static const struct {
	const char *oid;
	enum x509_ext bit;
} known_ext[] = {
	{"2.5.29.14", X509_EXT_SKI},	     {"2.5.29.15", X509_EXT_KEY_USAGE},
	{"2.5.29.17", X509_EXT_SAN},	     {"2.5.29.19", X509_EXT_BASIC},
	{"2.5.29.30", X509_EXT_CONSTRAINTS}, {"2.5.29.35", X509_EXT_AKI},
	{"2.5.29.37", X509_EXT_EKU},	     {X509_OID_STATIC, X509_EXT_STATIC},
	{X509_OID_ROLES, X509_EXT_ROLES},
};

/* --- DER: just enough to see where a certificate ends and what is signed
 * -------- */

struct der {
	const uint8_t *p;
	size_t len;
};

/* take one element with @tag off @in; minimal lengths only */
static bool der_take(struct der *in, uint8_t tag, struct der *body)
{
	size_t head = 2, len;

	if (in->len < 2 || in->p[0] != tag)
		return false;
	len = in->p[1];
	if (len == 0x81 && in->len >= 3 && in->p[2] >= 0x80) {
		len = in->p[2];
		head = 3;
	} else if (len == 0x82 && in->len >= 4 && in->p[2]) {
		len = (size_t)in->p[2] << 8 | in->p[3];
		head = 4;
	} else if (len >= 0x80) {
		return false;
	}
	if (in->len - head < len)
		return false;
	body->p = in->p + head;
	body->len = len;
	in->p += head + len;
	in->len -= head + len;
	return true;
}

/* Certificate ::= SEQUENCE { tbs, algorithm, signature BIT STRING } */
static bool der_certificate(const uint8_t *der, size_t len, struct der *tbs,
			    struct der *sig)
{
	struct der in = {der, len}, cert, skip;

	if (!der_take(&in, DER_SEQUENCE, &cert) || in.len)
		return false;
	tbs->p = cert.p;
	if (!der_take(&cert, DER_SEQUENCE, &skip))
		return false;
	tbs->len = (size_t)(cert.p - tbs->p);
	return der_take(&cert, DER_SEQUENCE, &skip) &&
	       der_take(&cert, DER_BIT_STRING, sig) && !cert.len;
}

int x509_signed_by(const uint8_t *der, size_t len,
		   const uint8_t pub[static NTMC_KEY_LEN])
{
	struct der tbs, sig;

	if (!der_certificate(der, len, &tbs, &sig) ||
	    sig.len != 1 + NTMC_SIG_LEN || sig.p[0] != 0)
		return -NTM_EDECODE;
	return ntmc_ed25519_verify(pub, tbs.p, tbs.len, sig.p + 1);
}

/* --- import
 * ----------------------------------------------------------------------- */

static int scan_extensions(gnutls_x509_crt_t crt, unsigned int allowed,
			   unsigned int *seen)
{
	*seen = 0;
	for (unsigned int i = 0; i < EXT_MAX; i++) {
		unsigned int critical = 0, bit = 0;
		char oid[128];
		size_t size = sizeof(oid);
		int r;

		r = gnutls_x509_crt_get_extension_info(crt, i, oid, &size,
						       &critical);
		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return 0;
		if (r < 0)
			return -NTM_EDECODE;
		for (size_t k = 0; k < sizeof(known_ext) / sizeof(known_ext[0]);
		     k++)
			if (!strcmp(oid, known_ext[k].oid))
				bit = known_ext[k].bit;
		if (!bit && critical)
			return -NTM_EDECODE;
		if (bit && ((*seen & bit) || !(allowed & bit)))
			return -NTM_EDECODE;
		*seen |= bit;
	}
	return -NTM_EDECODE;
}

static int read_key(gnutls_x509_crt_t crt, uint8_t pub[static NTMC_KEY_LEN])
{
	gnutls_datum_t x = {NULL, 0};
	gnutls_ecc_curve_t curve;
	int r = -NTM_EDECODE;

	if (gnutls_x509_crt_get_pk_ecc_raw(crt, &curve, &x, NULL) < 0)
		return -NTM_EDECODE;
	if (curve == GNUTLS_ECC_CURVE_ED25519 && x.size == NTMC_KEY_LEN &&
	    ntmc_ed25519_public_ok(x.data)) {
		memcpy(pub, x.data, NTMC_KEY_LEN);
		r = 0;
	}
	gnutls_free(x.data);
	return r;
}

static int check_import(gnutls_x509_crt_t crt, unsigned int allowed,
			unsigned int *seen, uint8_t pub[static NTMC_KEY_LEN])
{
	if (gnutls_x509_crt_get_version(crt) != 3 ||
	    gnutls_x509_crt_get_signature_algorithm(crt) !=
		    GNUTLS_SIGN_EDDSA_ED25519)
		return -NTM_EDECODE;
	if (gnutls_x509_crt_get_pk_algorithm(crt, NULL) !=
	    GNUTLS_PK_EDDSA_ED25519)
		return -NTM_EDECODE;
	if (scan_extensions(crt, allowed, seen))
		return -NTM_EDECODE;
	return read_key(crt, pub);
}

int x509_import(const uint8_t *der, size_t len, unsigned int allowed,
		gnutls_x509_crt_t *out, unsigned int *seen,
		uint8_t pub[static NTMC_KEY_LEN])
{
	gnutls_datum_t d = {.data = (uint8_t *)der, .size = (unsigned int)len};
	gnutls_x509_crt_t crt;
	struct der tbs, sig;
	int r = -NTM_EDECODE;

	if (len > NTMC_CERT_MAX || !der_certificate(der, len, &tbs, &sig))
		return -NTM_EDECODE;
	if (gnutls_x509_crt_init(&crt) < 0)
		return -NTM_ENOMEM;
	if (gnutls_x509_crt_import(crt, &d, GNUTLS_X509_FMT_DER) >= 0)
		r = check_import(crt, allowed, seen, pub);
	if (r)
		gnutls_x509_crt_deinit(crt);
	else
		*out = crt;
	return r;
}

/* --- making
 * ------------------------------------------------------------------------- */

int x509_set_key(gnutls_x509_crt_t crt, const uint8_t pub[static NTMC_KEY_LEN])
{
	gnutls_datum_t x = {.data = (uint8_t *)pub, .size = NTMC_KEY_LEN};
	gnutls_pubkey_t key;
	int r = -NTM_EINVAL;

	if (gnutls_pubkey_init(&key) < 0)
		return -NTM_ENOMEM;
	if (gnutls_pubkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_ED25519, &x,
					 NULL) >= 0 &&
	    gnutls_x509_crt_set_pubkey(crt, key) >= 0)
		r = 0;
	gnutls_pubkey_deinit(key);
	return r;
}

static int fill_begin(const struct ntmc_env *env, gnutls_x509_crt_t crt,
		      const char *name, const uint8_t pub[static NTMC_KEY_LEN],
		      int64_t not_before, int64_t not_after)
{
	uint8_t serial[SERIAL_LEN], fp[NTMC_FP_LEN];
	size_t len = strlen(name);

	ntmc_random(env, serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, of full length */
	ntmc_fingerprint(pub, fp);
	/* a person's help only; what counts is the alternative name */
	if (len > CN_MAX) {
		name = "NTMobile";
		len = strlen(name);
	}
	if (gnutls_x509_crt_set_version(crt, 3) < 0 ||
	    gnutls_x509_crt_set_serial(crt, serial, sizeof(serial)) < 0 ||
	    gnutls_x509_crt_set_activation_time(crt, (time_t)not_before) < 0 ||
	    gnutls_x509_crt_set_expiration_time(crt, (time_t)not_after) < 0 ||
	    gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0,
					  name, (unsigned int)len) < 0 ||
	    gnutls_x509_crt_set_subject_key_id(crt, fp, X509_KEY_ID_LEN) < 0)
		return -NTM_EINVAL;
	return x509_set_key(crt, pub);
}

int x509_begin(const struct ntmc_env *env, const char *name,
	       const uint8_t pub[static NTMC_KEY_LEN], int64_t not_before,
	       int64_t not_after, gnutls_x509_crt_t *out)
{
	gnutls_x509_crt_t crt;
	int r;

	if (gnutls_x509_crt_init(&crt) < 0)
		return -NTM_ENOMEM;
	r = fill_begin(env, crt, name, pub, not_before, not_after);
	if (r)
		gnutls_x509_crt_deinit(crt);
	else
		*out = crt;
	return r;
}

/* --- names
 * -------------------------------------------------------------------------- */

bool x509_name_ok(const char *name)
{
	size_t len = strnlen(name, NTMC_FQDN_MAX + 1), label = 0;

	if (!len || len > NTMC_FQDN_MAX)
		return false;
	for (size_t i = 0; i <= len; i++) {
		char c = name[i];

		if (c == '.' || c == '\0') {
			if (!label || label > 63 || name[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    !(c == '-' && label))
			return false;
		label++;
	}
	return true;
}

bool x509_name_within(const char *name, const char *domain)
{
	size_t n = strlen(name), d = strlen(domain);

	if (n < d || strcmp(name + n - d, domain))
		return false;
	return n == d || name[n - d - 1] == '.';
}
