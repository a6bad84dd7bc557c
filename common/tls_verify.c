/* SPDX-License-Identifier: MIT */
/*
 * tls_verify - whether the certificate that a peer shows is to be believed
 *
 * Theory of operation
 *
 * GnuTLS proves that the peer holds the key of the certificate it sent. Whether
 * that certificate is to be believed is decided here, by libntmcrypto alone, called by
 * GnuTLS during the handshake:
 *
 *   trust   the certificate chains to a CA of the list (ntmc_trust_verify_late)
 *   pin     the chain carries a CA with the pinned fingerprint, constrained as a
 *           domain's CA must be, and the certificate chains to that one. For the
 *           first login, when all that is known is the join string.
 *   grace   a server may let nodes in whose certificate has run out (not others,
 *           and nothing else about it may be wrong), so that they can renew it
 *   accept  a chain with a CA of another domain, of which the owner says whether it
 *           may speak; of a DC alone, or of nodes alone
 *   key     a client may know the server's identity: then its certificate is a
 *           statement of its role, whoever signed it
 *   role    what kind of server the peer is to be. Nodes and servers have
 *           certificates of the same CA, so a client refuses nodes here.
 */
#include <stdlib.h>
#include <string.h>

#include "common/tls_impl.h"

/* Does @leaf chain to the CA that came along, and is that one as it must be? */
static int verify_by_chain(const struct tls_context *ctx,
			   const gnutls_datum_t *leaf, const gnutls_datum_t *ca,
			   const uint8_t *fp, struct ntmc_trust_domain *domain,
			   struct ntmc_cert *out)
{
	struct ntmc_trust *t;
	int ret;

	ret = ntmc_trust_new(&t);
	if (ret)
		return ret;
	ret = ntmc_trust_add(t, ca->data, ca->size, fp, domain);
	if (ret == 0)
		ret = ntmc_trust_verify(t, leaf->data, leaf->size,
					ntmc_now(ctx->env), out);
	ntmc_trust_free(t);
	return ret;
}

static int keep_ca(struct tls_session *s, const gnutls_datum_t *ca)
{
	uint8_t *copy = malloc(ca->size);

	if (!copy)
		return -NTM_ENOMEM;
	memcpy(copy, ca->data, ca->size);
	free(s->ca);
	s->ca = copy;
	s->ca_len = ca->size;
	return 0;
}

static int check_role(const struct tls_session *s, const struct ntmc_cert *cert)
{
	uint32_t roles = s->ctx->roles;

	if (s->server && !roles)
		return 0;
	if (cert->kind != NTMC_CERT_SERVER)
		return -NTM_ECERT;
	return !roles || (cert->roles & roles) ? 0 : -NTM_ECERT;
}

/* by the list of CAs, with the grace that a server may give nodes */
static int verify_by_trust(const struct tls_session *s,
			   const gnutls_datum_t *leaf, struct ntmc_cert *out)
{
	const struct tls_context *ctx = s->ctx;
	unsigned int late_s = s->server ? ctx->grace_s : 0;
	int64_t now = ntmc_now(ctx->env);
	int ret;

	ret = ntmc_trust_verify_late(ctx->trust, leaf->data, leaf->size, now,
				     late_s, out);
	if (!ret && out->kind != NTMC_CERT_NODE && out->not_after < now)
		ret = -NTM_EEXPIRED;
	return ret;
}

/* a DC or node of another domain, whose CA came along */
static int verify_foreign(const struct tls_context *ctx,
			  const gnutls_datum_t *chain, unsigned int n,
			  struct ntmc_cert *out)
{
	struct ntmc_trust_domain d;
	int ret;

	if (!ctx->accept || n != TLS_CHAIN_MAX)
		return -NTM_ECERT;
	ret = verify_by_chain(ctx, &chain[0], &chain[1], NULL, &d, out);
	if (!ret &&
	    (out->kind != ctx->accept_kind ||
	     (out->kind == NTMC_CERT_SERVER && !(out->roles & NTMC_ROLE_DC))))
		ret = -NTM_ECERT;
	return ret ? ret : ctx->accept(ctx->accept_arg, &d);
}

static int take_peer(struct tls_session *s, const struct ntmc_cert *cert)
{
	int ret = check_role(s, cert);

	if (ret)
		return ret;
	s->peer = *cert;
	s->has_peer = true;
	return 0;
}

/* TLS proves that the peer has the key of the certificate: that is who it is to be */
static int verify_key(struct tls_session *s, const gnutls_datum_t *leaf)
{
	struct ntmc_cert cert;
	int ret = ntmc_cert_parse(leaf->data, leaf->size, &cert);

	if (ret)
		return -NTM_ECERT;
	if (memcmp(cert.ed_pub, s->ctx->peer_key, NTMC_KEY_LEN))
		return -NTM_EPIN;
	return take_peer(s, &cert);
}

static int verify_chain(struct tls_session *s, const gnutls_datum_t *chain,
			unsigned int n)
{
	const struct tls_context *ctx = s->ctx;
	struct ntmc_cert cert;
	int ret;

	if (ctx->keyed)
		return verify_key(s, &chain[0]);
	if (!ctx->trust && !ctx->pinned)
		return -NTM_ECERT;
	if (ctx->trust) {
		ret = verify_by_trust(s, &chain[0], &cert);
		if (ret == -NTM_ECERT)
			ret = verify_foreign(ctx, chain, n, &cert);
		if (ret)
			return ret;
	}
	if (ctx->pinned && n < TLS_CHAIN_MAX)
		return -NTM_ECERT;
	if (n == TLS_CHAIN_MAX) {
		ret = verify_by_chain(ctx, &chain[0], &chain[1],
				      ctx->pinned ? ctx->pin_fp : NULL, NULL,
				      &cert);
		if (ret && ctx->pinned)
			return ret;
		if (ret == 0)
			ret = keep_ca(s, &chain[1]);
		if (ret == -NTM_ENOMEM)
			return ret;
	}
	return take_peer(s, &cert);
}

int tls_verify_peer(gnutls_session_t tls)
{
	struct tls_session *s = gnutls_session_get_ptr(tls);
	const gnutls_datum_t *chain;
	unsigned int n = 0;

	chain = gnutls_certificate_get_peers(tls, &n);
	if ((!chain || n == 0) && s->server && !s->ctx->roles)
		return 0; /* a client may come without */
	if (!chain || n == 0 || n > TLS_CHAIN_MAX)
		s->error = -NTM_ECERT;
	else
		s->error = verify_chain(s, chain, n);
	return s->error ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}
