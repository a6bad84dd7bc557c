/* SPDX-License-Identifier: MIT */
/*
 * tls - TLS 1.3 sessions over a non-blocking socket, by GnuTLS
 *
 * Theory of operation
 *
 * Only TLS 1.3, X25519, Ed25519 and AEAD suites; no tickets, no resumption: the
 * sessions are few and every one shows its certificate, which tls_verify.c looks at.
 *
 * GnuTLS collects a message of the handshake whole, up to 16 MiB, before it looks at it,
 * and its own limit is looked at later still. So nothing is read for it that is more
 * than UNSEEN_MAX bytes ahead of the last thing that came out: the end of the
 * handshake, a record of data.
 *
 * The reason of a refusal is kept for tls_error(), and told to the peer by an
 * alert, which the peer maps back: both sides can say "expired".
 */
#include "common/tls_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"

#define UNSEEN_MAX 32768

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
