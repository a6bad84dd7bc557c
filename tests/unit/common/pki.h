/* SPDX-License-Identifier: MIT */
/*
 * pki - a domain's CA and certificates of it, for tests
 *
 * Owner:    pki_new() .. pki_free(). Everything is made anew, by real time.
 */
#ifndef NTM_TESTS_COMMON_PKI_H
#define NTM_TESTS_COMMON_PKI_H

#include "common/tls.h"
#include "libntmcrypto/ntmcrypto.h"

struct pki {
	struct ntmc_ca *ca;
	uint8_t ca_der[NTMC_CERT_MAX], ca_fp[NTMC_FP_LEN];
	size_t ca_len;
	uint8_t prefix6[16];
	struct ntmc_trust *trust;
	struct ntmc_trust_domain domain;
};

/** struct pki_id - keys and a certificate */
struct pki_id {
	struct ntmc_identity id;
	uint8_t der[NTMC_CERT_MAX];
	size_t len;
};

struct pki *pki_new(const char *domain);
void pki_free(struct pki *p);
/** valid from @from_s to @to_s seconds from now */
void pki_issue(struct pki *p, enum ntmc_cert_kind kind, const char *fqdn,
	       uint32_t roles, int64_t from_s, int64_t to_s,
	       struct pki_id *out);

#endif
