/* SPDX-License-Identifier: MIT */
/*
 * cert - reading and filling the certificate of a node or server
 *
 * Owner:    the certificates are the caller's.
 * Context:  inside libntmcrypto only: cert.c, ca.c, trust.c, item.c.
 */
#ifndef NTM_LIBNTMCRYPTO_CERT_H
#define NTM_LIBNTMCRYPTO_CERT_H

#include "libntmcrypto/x509.h"

/** cert_import() - ntmc_cert_parse(), keeping the certificate for a verifier */
NTM_MUST_CHECK int cert_import(const uint8_t *der, size_t len,
			       gnutls_x509_crt_t *crt, struct ntmc_cert *out);
/** cert_check() - may this be issued? 0, -NTM_EINVAL, -NTM_EAUTH (x_sig) */
NTM_MUST_CHECK int cert_check(const struct ntmc_cert *cert);
/** cert_fill() - everything of @cert but the key and the lifetime into @crt */
NTM_MUST_CHECK int cert_fill(gnutls_x509_crt_t crt,
			     const struct ntmc_cert *cert);
/** trust_signed() - ntmc_ed25519_verify(), of what is met again and again: one that
 *  passed is known by its hash while @t stays as it is (trust.c) */
NTM_MUST_CHECK int trust_signed(const struct ntmc_trust *t,
				const uint8_t pub[static NTMC_KEY_LEN],
				const uint8_t *msg, size_t len,
				const uint8_t sig[static NTMC_SIG_LEN]);

#endif
