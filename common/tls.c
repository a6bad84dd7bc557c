/* SPDX-License-Identifier: MIT */
/*
 * tls - TLS 1.3 sessions over a non-blocking socket, by GnuTLS
 *
 * Theory of operation
 *
 * Only TLS 1.3, X25519, Ed25519 and AEAD suites; no tickets, no resumption: the
 * sessions are few and every one shows its certificate.
 *
 * GnuTLS proves that the peer holds the key of the certificate it sent. Whether
 * that certificate is to be believed is decided in verify_peer() by libntmcrypto
 * alone, called by GnuTLS during the handshake:
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
 *
 * GnuTLS collects a message of the handshake whole, up to 16 MiB, before it looks at it,
 * and its own limit is looked at later still. So nothing is read for it that is more
 * than UNSEEN_MAX bytes ahead of the last thing that came out: the end of the
 * handshake, a record of data.
 *
 * The reason of a refusal is kept for tls_error(), and told to the peer by an
 * alert, which the peer maps back: both sides can say "expired".
 */
#include "common/tls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"

#define TLS_PRIORITY                                                           \
	"NONE:+VERS-TLS1.3:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD:+SIGN-EDDSA-" \
	"ED25519:+GROUP-X25519:+CTYPE-X509:+COMP-NULL"
#define TLS_PEM_MAX   512
#define TLS_CHAIN_MAX 2 /* the certificate and its CA */
#define UNSEEN_MAX    32768

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

/* --- who the peer is ---------------------------------------------------------------- */

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

static int verify_peer(gnutls_session_t tls)
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

/* --- credentials -------------------------------------------------------------------- */

static int set_identity(struct tls_context *c, const struct ntmc_identity *id,
			const gnutls_datum_t *ders, unsigned int n)
{
	gnutls_x509_crt_t crts[TLS_CHAIN_MAX] = {NULL, NULL};
	gnutls_x509_privkey_t key = NULL;
	char pem[TLS_PEM_MAX];
	gnutls_datum_t pem_datum = {(unsigned char *)pem, 0};
	unsigned int i;
	int ret;

	ret = ntmc_identity_pem(id, pem, sizeof(pem));
	if (ret)
		return ret;
	pem_datum.size = (unsigned int)strlen(pem);
	ret = -NTM_ECERT;
	for (i = 0; i < n; i++) {
		if (gnutls_x509_crt_init(&crts[i]) < 0 ||
		    gnutls_x509_crt_import(crts[i], &ders[i],
					   GNUTLS_X509_FMT_DER) < 0)
			goto out;
	}
	if (gnutls_x509_privkey_init(&key) < 0 ||
	    gnutls_x509_privkey_import2(key, &pem_datum, GNUTLS_X509_FMT_PEM,
					NULL, 0) < 0)
		goto out;
	if (gnutls_certificate_set_x509_key(c->cred, crts, (int)n, key) >= 0)
		ret = 0;
out:
	ntmc_wipe(pem, sizeof(pem));
	if (key)
		gnutls_x509_privkey_deinit(key);
	for (i = 0; i < n; i++)
		if (crts[i])
			gnutls_x509_crt_deinit(crts[i]);
	return ret;
}

int tls_context_new(const struct ntmc_identity *id, const uint8_t *cert_der,
		    size_t cert_len, const uint8_t *ca_der, size_t ca_len,
		    const struct ntmc_trust *trust, const uint8_t *pin_fp,
		    struct tls_context **out)
{
	gnutls_datum_t ders[TLS_CHAIN_MAX] = {
		{(unsigned char *)cert_der, (unsigned int)cert_len},
		{(unsigned char *)ca_der, (unsigned int)ca_len},
	};
	struct tls_context *c = calloc(1, sizeof(*c));
	struct ntmc_cert own;
	int ret = -NTM_ENOMEM;

	if (!c)
		return -NTM_ENOMEM;
	c->trust = trust;
	if (pin_fp) {
		c->pinned = true;
		memcpy(c->pin_fp, pin_fp, NTMC_FP_LEN);
	}
	if (gnutls_certificate_allocate_credentials(&c->cred) < 0)
		goto err_context;
	if (gnutls_priority_init(&c->priority, TLS_PRIORITY, NULL) < 0)
		goto err_context;
	gnutls_certificate_set_verify_function(c->cred, verify_peer);
	if (id && cert_der) {
		/* GnuTLS 3.7 does not notice */
		if (ntmc_cert_parse(cert_der, cert_len, &own) ||
		    memcmp(own.ed_pub, id->ed_pub, sizeof(own.ed_pub))) {
			ret = -NTM_ECERT;
			goto err_context;
		}
		ret = set_identity(c, id, ders, ca_der ? 2 : 1);
		if (ret)
			goto err_context;
	}
	*out = c;
	return 0;
err_context:
	tls_context_free(c);
	return ret;
}

void tls_context_free(struct tls_context *c)
{
	if (!c)
		return;
	if (c->priority)
		gnutls_priority_deinit(c->priority);
	if (c->cred)
		gnutls_certificate_free_credentials(c->cred);
	free(c);
}

void tls_context_set_roles(struct tls_context *c, uint32_t roles)
{
	c->roles = roles;
}

void tls_context_set_grace(struct tls_context *c, unsigned int grace_s)
{
	c->grace_s = grace_s;
}

void tls_context_set_accept(struct tls_context *c, tls_accept_fn *fn, void *arg)
{
	c->accept = fn;
	c->accept_arg = arg;
	c->accept_kind = NTMC_CERT_SERVER;
}

void tls_context_set_accept_nodes(struct tls_context *c, tls_accept_fn *fn,
				  void *arg)
{
	c->accept = fn;
	c->accept_arg = arg;
	c->accept_kind = NTMC_CERT_NODE;
}

void tls_context_set_peer_key(struct tls_context *c,
			      const uint8_t ed_pub[static NTMC_KEY_LEN])
{
	c->keyed = true;
	memcpy(c->peer_key, ed_pub, sizeof(c->peer_key));
}

void tls_context_set_alpn(struct tls_context *c, const char *protocol)
{
	c->alpn = protocol;
}

void tls_context_set_env(struct tls_context *c, const struct ntmc_env *env)
{
	c->env = env;
}

/* --- sessions ------------------------------------------------------------------------ */

static int set_alpn(struct tls_session *s)
{
	const char *name = s->ctx->alpn;
	gnutls_datum_t datum = {(unsigned char *)name, 0};

	if (!name || s->server)
		return 0;
	datum.size = (unsigned int)strlen(name);
	return gnutls_alpn_set_protocols(s->tls, &datum, 1, 0);
}

static ssize_t on_pull(gnutls_transport_ptr_t ptr, void *data, size_t len)
{
	struct tls_session *s = ptr;
	ssize_t n;

	if (s->unseen > UNSEEN_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	n = recv(s->fd, data, len, 0);
	if (n > 0)
		s->unseen += (size_t)n;
	return n;
}

static int on_pull_wait(gnutls_transport_ptr_t ptr, unsigned int ms)
{
	const struct tls_session *s = ptr;

	return gnutls_system_recv_timeout((void *)(intptr_t)s->fd, ms);
}

int tls_session_new(struct tls_context *c, int fd, bool server, bool ask_cert,
		    struct tls_session **out)
{
	struct tls_session *s = calloc(1, sizeof(*s));
	unsigned int flags =
		GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS;

	if (!s)
		return -NTM_ENOMEM;
	s->ctx = c;
	s->server = server;
	flags |= server ? GNUTLS_SERVER : GNUTLS_CLIENT;
	if (gnutls_init(&s->tls, flags) < 0) {
		free(s);
		return -NTM_ENOMEM;
	}
	gnutls_session_set_ptr(s->tls, s);
	if (set_alpn(s) || gnutls_priority_set(s->tls, c->priority) < 0 ||
	    gnutls_credentials_set(s->tls, GNUTLS_CRD_CERTIFICATE, c->cred) <
		    0) {
		tls_session_free(s);
		return -NTM_ENOMEM;
	}
	if (server)
		gnutls_certificate_server_set_request(
			s->tls, c->roles   ? GNUTLS_CERT_REQUIRE
				: ask_cert ? GNUTLS_CERT_REQUEST
					   : GNUTLS_CERT_IGNORE);
	/* the caller has its own clock for this */
	gnutls_handshake_set_timeout(s->tls, 0);
	s->fd = fd;
	gnutls_transport_set_ptr2(s->tls, s, (void *)(intptr_t)fd);
	gnutls_transport_set_pull_function(s->tls, on_pull);
	gnutls_transport_set_pull_timeout_function(s->tls, on_pull_wait);
	*out = s;
	return 0;
}

void tls_session_free(struct tls_session *s)
{
	if (!s)
		return;
	gnutls_deinit(s->tls);
	free(s->ca);
	free(s);
}

static const struct {
	int error;
	gnutls_alert_description_t alert;
} refusals[] = {
	{-NTM_EEXPIRED, GNUTLS_A_CERTIFICATE_EXPIRED},
	{-NTM_EPIN, GNUTLS_A_UNKNOWN_CA},
	{-NTM_ECERT, GNUTLS_A_BAD_CERTIFICATE},
	{-NTM_ECERT, GNUTLS_A_CERTIFICATE_UNKNOWN},
	{-NTM_ECERT, GNUTLS_A_UNSUPPORTED_CERTIFICATE},
	{-NTM_ECERT, GNUTLS_A_CERTIFICATE_REQUIRED},
	{-NTM_ECERT, GNUTLS_A_DECRYPT_ERROR},
	{-NTM_EAUTH, GNUTLS_A_ACCESS_DENIED},
	{-NTM_EVERSION, GNUTLS_A_PROTOCOL_VERSION},
	{-NTM_EVERSION, GNUTLS_A_HANDSHAKE_FAILURE},
};
#define N_REFUSALS (sizeof(refusals) / sizeof(refusals[0]))

static int error_of_alert(gnutls_alert_description_t alert)
{
	size_t i;

	for (i = 0; i < N_REFUSALS; i++)
		if (refusals[i].alert == alert)
			/* what the peer calls unknown is ours to it, not a pin */
			return alert == GNUTLS_A_UNKNOWN_CA ? -NTM_ECERT
							    : refusals[i].error;
	return -NTM_EAUTH;
}

static int error_of_code(struct tls_session *s, int code)
{
	switch (code) {
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return error_of_alert(gnutls_alert_get(s->tls));
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PUSH_ERROR:
	case GNUTLS_E_PULL_ERROR:
		return -NTM_ECLOSED;
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
		return -NTM_EVERSION;
	case GNUTLS_E_NO_CERTIFICATE_FOUND:
	case GNUTLS_E_CERTIFICATE_REQUIRED:
	case GNUTLS_E_CERTIFICATE_ERROR:
	case GNUTLS_E_PK_SIG_VERIFY_FAILED:
		return -NTM_ECERT;
	case GNUTLS_E_MEMORY_ERROR:
		return -NTM_ENOMEM;
	}
	return -NTM_EAUTH;
}

/* Best effort: the session is over, whether the peer hears why or not. */
static void send_refusal(struct tls_session *s, int code)
{
	size_t i;

	for (i = 0; s->error && i < N_REFUSALS; i++) {
		if (refusals[i].error == s->error) {
			(void)gnutls_alert_send(s->tls, GNUTLS_AL_FATAL,
						refusals[i].alert);
			return;
		}
	}
	(void)gnutls_alert_send_appropriate(s->tls, code);
}

static enum tls_outcome outcome(struct tls_session *s, int code)
{
	if (code >= 0)
		return TLS_OK;
	if (code == GNUTLS_E_AGAIN)
		return gnutls_record_get_direction(s->tls) ? TLS_WANT_WRITE
							   : TLS_WANT_READ;
	if (code != GNUTLS_E_FATAL_ALERT_RECEIVED &&
	    code != GNUTLS_E_PREMATURE_TERMINATION &&
	    code != GNUTLS_E_PUSH_ERROR && code != GNUTLS_E_PULL_ERROR)
		send_refusal(s, code);
	if (!s->error)
		s->error = error_of_code(s, code);
	log_debug("tls", "%s: %s", gnutls_strerror(code), err_text(s->error));
	return TLS_FAILED;
}

enum tls_outcome tls_handshake(struct tls_session *s)
{
	int code;

	do {
		code = gnutls_handshake(s->tls);
	} while (code == GNUTLS_E_INTERRUPTED);
	if (code >= 0)
		s->unseen = 0;
	return outcome(s, code);
}

enum tls_outcome tls_read(struct tls_session *s, void *buf, size_t size,
			  size_t *got)
{
	ssize_t n;

	do {
		n = gnutls_record_recv(s->tls, buf, size);
	} while (n == GNUTLS_E_INTERRUPTED);
	if (n == 0)
		return TLS_CLOSED;
	if (n > 0) {
		*got = (size_t)n;
		s->unseen = 0;
	}
	return outcome(s, n > 0 ? 0 : (int)n);
}

enum tls_outcome tls_write(struct tls_session *s, const void *buf, size_t len,
			   size_t *put)
{
	ssize_t n;

	do {
		n = gnutls_record_send(s->tls, buf, len);
	} while (n == GNUTLS_E_INTERRUPTED);
	if (n > 0)
		*put = (size_t)n;
	return outcome(s, n > 0 ? 0 : (int)n);
}

enum tls_outcome tls_shutdown(struct tls_session *s)
{
	int code;

	do {
		code = gnutls_bye(s->tls, GNUTLS_SHUT_WR);
	} while (code == GNUTLS_E_INTERRUPTED);
	return outcome(s, code);
}

int tls_error(const struct tls_session *s)
{
	return s->error;
}

const struct ntmc_cert *tls_peer(const struct tls_session *s)
{
	return s->has_peer ? &s->peer : NULL;
}

const uint8_t *tls_peer_ca(const struct tls_session *s, size_t *len)
{
	*len = s->ca_len;
	return s->ca;
}
