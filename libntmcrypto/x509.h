/* SPDX-License-Identifier: MIT */
/*
 * x509 - what certificates of CAs, nodes and servers have in common
 *
 * Owner:    an imported gnutls_x509_crt_t is the caller's to deinit.
 * Context:  inside libntmcrypto only: cert.c, ca.c, trust.c.
 */
#ifndef NTM_LIBNTMCRYPTO_X509_H
#define NTM_LIBNTMCRYPTO_X509_H

#include <gnutls/x509.h>

#include "libntmcrypto/ntmcrypto.h"

/*
 * Private extensions. The arc is in nobody's register; the extensions mean
 * something only under a CA that NTMobile trusts by name.
 *
 *   STATIC  OCTET STRING of 96 bytes: x_pub || x_sig     (nodes; servers may)
 *   ROLES   INTEGER, one byte: bit per ntmc_server_role  (servers only)
 */
#define X509_OID_STATIC "1.3.6.1.4.1.59999.1.1"
#define X509_OID_ROLES	"1.3.6.1.4.1.59999.1.2"

/* subject and authority key id: this much of the key's fingerprint */
#define X509_KEY_ID_LEN 20

/** enum x509_ext - the extensions understood here, as bits */
enum x509_ext {
	X509_EXT_SKI = 1 << 0,
	X509_EXT_KEY_USAGE = 1 << 1,
	X509_EXT_SAN = 1 << 2,
	X509_EXT_BASIC = 1 << 3,
	X509_EXT_CONSTRAINTS = 1 << 4,
	X509_EXT_AKI = 1 << 5,
	X509_EXT_EKU = 1 << 6,
	X509_EXT_STATIC = 1 << 7,
	X509_EXT_ROLES = 1 << 8,
};

/**
 * x509_import() - DER, strictly: one X.509 v3 certificate with an Ed25519 key
 * and signature, nothing behind it, no extension twice, none of the known ones
 * outside @allowed, no unknown critical one
 * @allowed: bits of enum x509_ext
 * @seen:    which of them are there
 * @pub:     the subject's key; not of small order
 *
 * Return: 0, -NTM_EDECODE, -NTM_ENOMEM
 */
NTM_MUST_CHECK int x509_import(const uint8_t *der, size_t len,
			       unsigned int allowed, gnutls_x509_crt_t *out,
			       unsigned int *seen,
			       uint8_t pub[static NTMC_KEY_LEN]);
/**
 * x509_signed_by() - the signature alone; @der passed x509_import()
 * Return: 0, -NTM_EAUTH, -NTM_EDECODE
 */
NTM_MUST_CHECK int x509_signed_by(const uint8_t *der, size_t len,
				  const uint8_t pub[static NTMC_KEY_LEN]);

/** x509_set_key() - put an Ed25519 public key into a certificate being made */
NTM_MUST_CHECK int x509_set_key(gnutls_x509_crt_t crt,
				const uint8_t pub[static NTMC_KEY_LEN]);
/** x509_begin() - version, random serial, lifetime, subject, key, key id */
NTM_MUST_CHECK int x509_begin(const struct ntmc_env *env, const char *name,
			      const uint8_t pub[static NTMC_KEY_LEN],
			      int64_t not_before, int64_t not_after,
			      gnutls_x509_crt_t *out);

/** lower-case letters, digits and inner hyphens; labels of 1..63, 253 in all */
bool x509_name_ok(const char *name);
/** @name is @domain or below it; both already x509_name_ok() */
bool x509_name_within(const char *name, const char *domain);

/** virtual IPv6 /64 of a CA: fd6e and the first 48 bits of its fingerprint */
void x509_prefix6(const uint8_t fp[static NTMC_FP_LEN],
		  uint8_t prefix6[static 16]);
/** a slice nodes can be numbered from: /8 to /30, host bits zero, and not the
 *  unspecified, loopback, link-local or multicast ranges */
bool x509_prefix4_ok(const uint8_t prefix4[static 4], unsigned int len);

/**
 * x509_constraints() - read a CA's constraints and hold them to the rules:
 * critical; one domain, its own /64, one IPv4 slice; nothing else
 * @pub: the CA's key
 * Return: 0, -NTM_ECONSTRAINT
 */
NTM_MUST_CHECK int x509_constraints(gnutls_x509_crt_t ca,
				    const uint8_t pub[static NTMC_KEY_LEN],
				    struct ntmc_trust_domain *out);
/**
 * x509_ca_import() - a CA certificate: x509_import(), CA bits, signed by its
 * own key (without that, anyone could give a pinned key other constraints),
 * x509_constraints()
 * @pub: its key, set also with -NTM_ECONSTRAINT
 * Return: 0, -NTM_EDECODE, -NTM_ECONSTRAINT, -NTM_ENOMEM
 */
NTM_MUST_CHECK int x509_ca_import(const uint8_t *der, size_t len,
				  gnutls_x509_crt_t *out,
				  uint8_t pub[static NTMC_KEY_LEN],
				  struct ntmc_trust_domain *domain);
/** does what @cert says lie within @d? */
bool x509_within(const struct ntmc_trust_domain *d,
		 const struct ntmc_cert *cert);

#endif
