/* SPDX-License-Identifier: MIT */
/*
 * cert - reading and filling the certificate of a node or server
 *
 *   subject               CN for people only
 *   subjectAltName        one dNSName; nodes: also iPAddress vip6, vip4
 *   keyUsage              digitalSignature, critical
 *   extendedKeyUsage      client and server: a node may be either
 *   X509_OID_STATIC       the X25519 key and the device's signature of it
 *   X509_OID_ROLES        servers only; it is what makes one a server
 */
#include "libntmcrypto/cert.h"

#include <string.h>

#define STATIC_EXT_LEN (2 + NTMC_KEY_LEN + NTMC_SIG_LEN)
#define ROLES_EXT_LEN  3
#define ALL_ROLES                                                              \
	(NTMC_ROLE_AS | NTMC_ROLE_DC | NTMC_ROLE_RS | NTMC_ROLE_NS |           \
	 NTMC_ROLE_CS | NTMC_ROLE_GMS | NTMC_ROLE_BOX)

#define LEAF_EXTENSIONS                                                        \
	(X509_EXT_SKI | X509_EXT_AKI | X509_EXT_KEY_USAGE | X509_EXT_SAN |     \
	 X509_EXT_BASIC | X509_EXT_EKU | X509_EXT_STATIC | X509_EXT_ROLES)

static bool is_zero(const uint8_t *p, size_t len)
{
	uint8_t any = 0;

	while (len--)
		any |= *p++;
	return !any;
}

/* --- reading
 * ------------------------------------------------------------------------ */

/* one alternative name into the field it belongs to, which must be empty */
static int take_name(struct ntmc_cert *c, int type, const uint8_t *v,
		     size_t len)
{
	if (type == GNUTLS_SAN_DNSNAME && !c->fqdn[0] && len &&
	    len <= NTMC_FQDN_MAX && !memchr(v, 0, len)) {
		memcpy(c->fqdn, v, len);
		c->fqdn[len] = '\0';
		return x509_name_ok(c->fqdn) ? 0 : -NTM_EDECODE;
	}
	if (type != GNUTLS_SAN_IPADDRESS || is_zero(v, len))
		return -NTM_EDECODE;
	if (len == sizeof(c->vip6) && is_zero(c->vip6, sizeof(c->vip6)))
		memcpy(c->vip6, v, len);
	else if (len == sizeof(c->vip4) && is_zero(c->vip4, sizeof(c->vip4)))
		memcpy(c->vip4, v, len);
	else
		return -NTM_EDECODE;
	return 0;
}

static int read_names(gnutls_x509_crt_t crt, struct ntmc_cert *c)
{
	for (unsigned int i = 0; i < 4; i++) {
		uint8_t v[NTMC_FQDN_MAX + 3];
		size_t len = sizeof(v);
		int r;

		r = gnutls_x509_crt_get_subject_alt_name(crt, i, v, &len, NULL);
		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return c->fqdn[0] ? 0 : -NTM_EDECODE;
		if (r < 0 || take_name(c, r, v, len))
			return -NTM_EDECODE;
	}
	return -NTM_EDECODE;
}

/* the raw content of a private extension, of exactly @len bytes */
static int read_extension(gnutls_x509_crt_t crt, const char *oid, uint8_t *out,
			  size_t len)
{
	gnutls_datum_t d = {NULL, 0};
	int r = -NTM_EDECODE;

	if (gnutls_x509_crt_get_extension_by_oid2(crt, oid, 0, &d, NULL) < 0)
		return -NTM_EDECODE;
	if (d.size == len) {
		memcpy(out, d.data, len);
		r = 0;
	}
	gnutls_free(d.data);
	return r;
}

static int read_static(gnutls_x509_crt_t crt, struct ntmc_cert *c)
{
	uint8_t v[STATIC_EXT_LEN];

	if (read_extension(crt, X509_OID_STATIC, v, sizeof(v)) ||
	    v[0] != 0x04 || v[1] != sizeof(v) - 2)
		return -NTM_EDECODE;
	memcpy(c->x_pub, v + 2, sizeof(c->x_pub));
	memcpy(c->x_sig, v + 2 + sizeof(c->x_pub), sizeof(c->x_sig));
	return ntmc_static_verify(c->ed_pub, c->x_pub, c->x_sig) ? -NTM_EDECODE
								 : 0;
}

static int read_roles(gnutls_x509_crt_t crt, struct ntmc_cert *c)
{
	uint8_t v[ROLES_EXT_LEN];

	if (read_extension(crt, X509_OID_ROLES, v, sizeof(v)) || v[0] != 0x02 ||
	    v[1] != 1 || !v[2] || (v[2] & ~ALL_ROLES))
		return -NTM_EDECODE;
	c->roles = v[2];
	return 0;
}

/* digitalSignature, no CA, and the shape of its kind */
static int check_shape(gnutls_x509_crt_t crt, unsigned int seen,
		       const struct ntmc_cert *c)
{
	unsigned int usage = 0;

	if (gnutls_x509_crt_get_key_usage(crt, &usage, NULL) < 0 ||
	    usage != GNUTLS_KEY_DIGITAL_SIGNATURE)
		return -NTM_EDECODE;
	if ((seen & X509_EXT_BASIC) &&
	    gnutls_x509_crt_get_basic_constraints(crt, NULL, NULL, NULL) != 0)
		return -NTM_EDECODE;
	if (c->not_before < 0 || c->not_after < c->not_before)
		return -NTM_EDECODE;
	if (c->kind == NTMC_CERT_NODE)
		return seen & X509_EXT_STATIC ? 0 : -NTM_EDECODE;
	return is_zero(c->vip6, sizeof(c->vip6)) &&
			       is_zero(c->vip4, sizeof(c->vip4))
		       ? 0
		       : -NTM_EDECODE;
}

static int read_cert(gnutls_x509_crt_t crt, unsigned int seen,
		     struct ntmc_cert *c)
{
	c->kind = seen & X509_EXT_ROLES ? NTMC_CERT_SERVER : NTMC_CERT_NODE;
	c->not_before = gnutls_x509_crt_get_activation_time(crt);
	c->not_after = gnutls_x509_crt_get_expiration_time(crt);
	if (read_names(crt, c))
		return -NTM_EDECODE;
	if ((seen & X509_EXT_ROLES) && read_roles(crt, c))
		return -NTM_EDECODE;
	if ((seen & X509_EXT_STATIC) && read_static(crt, c))
		return -NTM_EDECODE;
	return check_shape(crt, seen, c);
}

int cert_import(const uint8_t *der, size_t len, gnutls_x509_crt_t *out,
		struct ntmc_cert *cert)
{
	struct ntmc_cert c = {.fqdn = ""};
	gnutls_x509_crt_t crt;
	unsigned int seen;
	int r;

	r = x509_import(der, len, LEAF_EXTENSIONS, &crt, &seen, c.ed_pub);
	if (r)
		return r;
	r = read_cert(crt, seen, &c);
	if (r) {
		gnutls_x509_crt_deinit(crt);
		return r;
	}
	*out = crt;
	*cert = c;
	return 0;
}

int ntmc_cert_parse(const uint8_t *der, size_t len, struct ntmc_cert *out)
{
	gnutls_x509_crt_t crt;
	int r;

	r = cert_import(der, len, &crt, out);
	if (!r)
		gnutls_x509_crt_deinit(crt);
	return r;
}

int ntmc_cert_pem(const uint8_t *der, size_t len, char *out, size_t size)
{
	gnutls_datum_t d = {(uint8_t *)der, (unsigned int)len}, pem;
	int r = -NTM_EINVAL;

	if (gnutls_pem_base64_encode2("CERTIFICATE", &d, &pem) < 0)
		return -NTM_ENOMEM;
	if (pem.size < size) {
		memcpy(out, pem.data, pem.size);
		out[pem.size] = '\0';
		r = 0;
	}
	gnutls_free(pem.data);
	return r;
}

/* --- filling
 * ------------------------------------------------------------------------- */

int cert_check(const struct ntmc_cert *c)
{
	bool has_static = !is_zero(c->x_pub, sizeof(c->x_pub));

	if (!memchr(c->fqdn, 0, sizeof(c->fqdn)) || !x509_name_ok(c->fqdn))
		return -NTM_EINVAL;
	if (!ntmc_ed25519_public_ok(c->ed_pub))
		return -NTM_EINVAL;
	if (c->kind == NTMC_CERT_NODE) {
		if (c->roles || !has_static)
			return -NTM_EINVAL;
	} else if (c->kind == NTMC_CERT_SERVER) {
		if (!c->roles || (c->roles & ~ALL_ROLES) ||
		    !is_zero(c->vip6, sizeof(c->vip6)) ||
		    !is_zero(c->vip4, sizeof(c->vip4)))
			return -NTM_EINVAL;
	} else {
		return -NTM_EINVAL;
	}
	return has_static ? ntmc_static_verify(c->ed_pub, c->x_pub, c->x_sig)
			  : 0;
}

static int fill_names(gnutls_x509_crt_t crt, const struct ntmc_cert *c)
{
	if (gnutls_x509_crt_set_subject_alt_name(
		    crt, GNUTLS_SAN_DNSNAME, c->fqdn,
		    (unsigned int)strlen(c->fqdn), GNUTLS_FSAN_SET) < 0)
		return -NTM_EINVAL;
	if (!is_zero(c->vip6, sizeof(c->vip6)) &&
	    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS,
						 c->vip6, sizeof(c->vip6),
						 GNUTLS_FSAN_APPEND) < 0)
		return -NTM_EINVAL;
	if (!is_zero(c->vip4, sizeof(c->vip4)) &&
	    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS,
						 c->vip4, sizeof(c->vip4),
						 GNUTLS_FSAN_APPEND) < 0)
		return -NTM_EINVAL;
	return 0;
}

static int fill_private(gnutls_x509_crt_t crt, const struct ntmc_cert *c)
{
	uint8_t st[STATIC_EXT_LEN] = {0x04, sizeof(st) - 2};
	uint8_t roles[ROLES_EXT_LEN] = {0x02, 1, (uint8_t)c->roles};

	memcpy(st + 2, c->x_pub, sizeof(c->x_pub));
	memcpy(st + 2 + sizeof(c->x_pub), c->x_sig, sizeof(c->x_sig));
	if (!is_zero(c->x_pub, sizeof(c->x_pub)) &&
	    gnutls_x509_crt_set_extension_by_oid(crt, X509_OID_STATIC, st,
						 sizeof(st), 0) < 0)
		return -NTM_EINVAL;
	if (c->roles &&
	    gnutls_x509_crt_set_extension_by_oid(crt, X509_OID_ROLES, roles,
						 sizeof(roles), 0) < 0)
		return -NTM_EINVAL;
	return 0;
}

int cert_fill(gnutls_x509_crt_t crt, const struct ntmc_cert *c)
{
	int r;

	r = fill_names(crt, c);
	if (!r)
		r = fill_private(crt, c);
	if (r)
		return r;
	if (gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE) <
		    0 ||
	    gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT,
						0) < 0 ||
	    gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER,
						0) < 0)
		return -NTM_EINVAL;
	return 0;
}
