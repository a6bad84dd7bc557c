/* SPDX-License-Identifier: MIT */
/*
 * tls - TLS 1.3 sessions over a non-blocking socket, by GnuTLS
 *
 * Five outcomes; the caller (channel.c) owns socket and readiness. What is behind this
 * header (tls.c, tls_context.c, tls_verify.c) and libntmcrypto know GnuTLS, and beside
 * them only servers/http.c, whose library wants its certificates so. Peers are named by
 * CA and role, not by host name: addresses are pinned, certificates come from the
 * domain's CA.
 */
#ifndef NTM_COMMON_TLS_H
#define NTM_COMMON_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "libntmcrypto/ntmcrypto.h"

enum tls_outcome {
	TLS_OK,
	TLS_WANT_READ,
	TLS_WANT_WRITE,
	TLS_CLOSED,
	TLS_FAILED
};

struct tls_context; /* credentials; shared by sessions */
struct tls_session;

/**
 * tls_context_new() - credentials
 * @id, @cert_der: own identity; NULL and 0 for a client without certificate
 * @trust:  CAs that the peer must chain to; NULL with @pin_fp for first login
 * @pin_fp: NULL, or the fingerprint (32 bytes) the chain's CA must have; the
 *          server sends its CA along, which tls_peer_ca() returns
 * @trust is borrowed and outlives the context; everything else is copied.
 * With neither @trust nor @pin_fp no peer's certificate is accepted, but for
 * tls_context_set_peer_key().
 *
 * Return: 0, -NTM_ENOMEM, -NTM_ECERT (key and certificate are no pair)
 */
NTM_MUST_CHECK int tls_context_new(const struct ntmc_identity *id,
				   const uint8_t *cert_der, size_t cert_len,
				   const uint8_t *ca_der, size_t ca_len,
				   const struct ntmc_trust *trust,
				   const uint8_t *pin_fp,
				   struct tls_context **out);
void tls_context_free(struct tls_context *c);
/**
 * tls_context_set_roles() - what the peer must be
 * @roles: bits of enum ntmc_server_role: the peer must show a server's certificate
 *         with one of them. 0 (as made): clients accept any server of the domain,
 *         servers also nodes and whoever shows none.
 * A client never accepts a node in place of a server: both chain to the one CA.
 */
void tls_context_set_roles(struct tls_context *c, uint32_t roles);
/**
 * tls_context_set_grace() - server side: nodes whose certificate has run out
 * @grace_s: accepted that many seconds after its end; 0 (as made): not at all.
 *           tls_peer() then returns a certificate whose time is over: the caller
 *           decides what it is still good for. A server's is never accepted late.
 */
void tls_context_set_grace(struct tls_context *c, unsigned int grace_s);
/**
 * tls_context_set_accept() - servers of other domains
 * @fn: a chain of two that @trust does not vouch for: may the CA in it, which is
 *      constrained as it must be and signed a DC's certificate, speak for its domain
 *      here? 0 or -NTM_EPIN, -NTM_ECONSTRAINT. NULL (as made): nobody may.
 * The owner looks at tls_peer_ca() again once the session is open.
 */
typedef int tls_accept_fn(void *arg, const struct ntmc_trust_domain *d);
void tls_context_set_accept(struct tls_context *c, tls_accept_fn *fn,
			    void *arg);
/**
 * tls_context_set_accept_nodes() - the same for nodes of other domains
 * Whoever makes a CA can name a node as he likes: of such a peer its key counts alone.
 * @fn refuses domains that overlap with those of @trust.
 */
void tls_context_set_accept_nodes(struct tls_context *c, tls_accept_fn *fn,
				  void *arg);
/**
 * tls_context_set_peer_key() - client: the server is known by its identity
 * @ed_pub: its certificate must be for this key, and show one of the roles; who signed
 *          it, and until when, does not count. Copied
 */
void tls_context_set_peer_key(struct tls_context *c,
			      const uint8_t ed_pub[static NTMC_KEY_LEN]);
/** client: the protocol it asks for (ALPN), for who serves several on one port; a
 *  server need not know of it. Borrowed */
void tls_context_set_alpn(struct tls_context *c, const char *protocol);
/** time for validity; NULL (as made): the system's. Borrowed. */
void tls_context_set_env(struct tls_context *c, const struct ntmc_env *env);

/** @ask_cert: server side: request (not require) a client certificate */
NTM_MUST_CHECK int tls_session_new(struct tls_context *c, int fd, bool server,
				   bool ask_cert, struct tls_session **out);
void tls_session_free(struct tls_session *s);
enum tls_outcome tls_handshake(struct tls_session *s);
enum tls_outcome tls_read(struct tls_session *s, void *buf, size_t size,
			  size_t *got);
enum tls_outcome tls_write(struct tls_session *s, const void *buf, size_t len,
			   size_t *put);
/** our end of it; what the peer still sends can be read */
enum tls_outcome tls_shutdown(struct tls_session *s);
/** after TLS_FAILED: why, negative (PIN, CERT, EXPIRED, CLOCK, CONSTRAINT: ours of
 *  the peer's certificate or the peer's of ours; VERSION, CLOSED, AUTH) */
int tls_error(const struct tls_session *s);
/** the verified peer certificate after the handshake; NULL when it gave none */
const struct ntmc_cert *tls_peer(const struct tls_session *s);
/** DER of the CA the peer chained to; NULL before. For the first login. */
const uint8_t *tls_peer_ca(const struct tls_session *s, size_t *len);

#endif
