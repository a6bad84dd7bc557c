/* SPDX-License-Identifier: MIT */
/*
 * tls_impl - shared by tls.c (sessions), tls_context.c (what they show and ask) and
 * tls_verify.c (whom they believe): the three files that know GnuTLS's sessions
 *
 * Owner:    see tls.h.
 */
#ifndef NTM_COMMON_TLS_IMPL_H
#define NTM_COMMON_TLS_IMPL_H

#include <gnutls/gnutls.h>

#include "common/tls.h"

#define TLS_CHAIN_MAX 2 /* the certificate and its CA */

struct tls_context {
	gnutls_certificate_credentials_t cred;
	gnutls_priority_t priority;
	const struct ntmc_trust *trust;
	bool pinned;
	uint8_t pin_fp[NTMC_FP_LEN];
	uint32_t roles;
	unsigned int grace_s;
	const char *alpn;
	tls_accept_fn *accept;
	void *accept_arg;
	enum ntmc_cert_kind accept_kind;
	bool keyed; /* the peer is known by its key */
	uint8_t peer_key[NTMC_KEY_LEN];
	const struct ntmc_env *env;
};

struct tls_session {
	gnutls_session_t tls;
	struct tls_context *ctx;
	int fd;
	size_t unseen; /* bytes read of which nothing has come out yet */
	bool server, has_peer;
	int error; /* 0 or -NTM_E... */
	struct ntmc_cert peer;
	uint8_t *ca;
	size_t ca_len;
};

/** GnuTLS's question within the handshake; the reason of a no is in the session's @error.
 *  Return: 0 or a code of GnuTLS */
int tls_verify_peer(gnutls_session_t tls);

#endif
