/* SPDX-License-Identifier: MIT */
/*
 * servercert - the keys and certificates by which a domain's servers know each other
 *
 * Owner:   files of the data folder. Made by init; renewed by the AS, which holds
 *          the CA, at half of SERVERCERT_DAYS; elsewhere by renewal.c. A role whose certificate on disk is
 *          newer than the one it uses asks the supervisor to start it again.
 * Context: init; the AS at start and daily; every TLS role at start.
 */
#ifndef NTM_SERVERS_SERVERCERT_H
#define NTM_SERVERS_SERVERCERT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/tls.h"
#include "libntmcrypto/ntmcrypto.h"

#define SERVERCERT_DAYS	   365
#define SERVERCERT_CA_DAYS 7300

/**
 * servercert_renew() - keys (if there are none) and certificates of all roles
 * @force: also when more than half of the life is left
 * @renewed: set when a file changed; may be NULL
 *
 * Return: 0, -NTM_ESTORE, -NTM_EINVAL (outside the CA's constraints)
 */
NTM_MUST_CHECK int servercert_renew(const char *dir, struct ntmc_ca *ca,
				    const char *domain, int64_t now, bool force,
				    bool *renewed);

/**
 * servercert_issue() - a server's certificate for SERVERCERT_DAYS
 * @name:  the domain; of a cs or box, cs.DOMAIN or box.DOMAIN
 * @roles: bits of enum ntmc_server_role; @der, @len: as in ntmc_ca_issue()
 */
NTM_MUST_CHECK int servercert_issue(struct ntmc_ca *ca, const char *name,
				    uint32_t roles,
				    const struct ntmc_identity *id, int64_t now,
				    uint8_t *der, size_t *len);

/** struct servercert - what a role loaded */
struct servercert {
	struct ntmc_trust *trust;
	struct tls_context *tls;
	struct ntmc_trust_domain domain; /* what the CA is constrained to */
	int64_t not_after;
};
/** @role: "as", "dc", "rs", "ns", "cs", "box" or "gms". Return: 0, -NTM_ENOTFOUND, -NTM_ECERT, -NTM_EDECODE ... */
NTM_MUST_CHECK int servercert_load(const char *dir, const char *role,
				   struct servercert *out);
void servercert_clear(struct servercert *c);

/** struct servercert_pem - the same for libraries that want PEM
 * @certificate: the CA's stands behind it
 */
struct servercert_pem {
	char key[128], certificate[2 * NTMC_PEM_MAX], ca[NTMC_PEM_MAX];
};
/** Return: as servercert_load() */
NTM_MUST_CHECK int servercert_pem(const char *dir, const char *role,
				  struct servercert_pem *out);
void servercert_pem_clear(struct servercert_pem *p);
/** the certificate on disk. Return: 0, -NTM_ENOTFOUND, -NTM_EDECODE ... */
NTM_MUST_CHECK int servercert_der(const char *dir, const char *role,
				  uint8_t der[static NTMC_CERT_MAX],
				  size_t *len);
/** another one in its place, for the same key. Return: file_write()'s */
NTM_MUST_CHECK int servercert_put(const char *dir, const char *role,
				  const uint8_t *der, size_t len);
/** is there a newer certificate on disk than the one loaded? */
bool servercert_is_stale(const char *dir, const char *role,
			 const struct servercert *c);

#endif
