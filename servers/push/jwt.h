/* SPDX-License-Identifier: MIT */
/*
 * jwt - signed JSON Web Tokens (RFC 7519), for push services
 *
 * Owner: none. Context: any thread.
 */
#ifndef NTM_SERVERS_PUSH_JWT_H
#define NTM_SERVERS_PUSH_JWT_H

#include <jansson.h>

#include "libntmcrypto/ntmcrypto.h"

#define JWT_MAX 2048

/** @header, @claims: references are taken. Return: 0, -NTM_ECERT (not such a key),
 *  -NTM_ETOOBIG */
NTM_MUST_CHECK int jwt_sign(json_t *header, json_t *claims, const char *pem,
			    enum ntmc_pem_alg alg, char out[static JWT_MAX]);

#endif
