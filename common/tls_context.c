/* SPDX-License-Identifier: MIT */
/* tls_context - what sessions show, and what they ask of their peers */
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "common/tls_impl.h"

#define TLS_PRIORITY                                                           \
	"NONE:+VERS-TLS1.3:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD:+SIGN-EDDSA-" \
	"ED25519:+GROUP-X25519:+CTYPE-X509:+COMP-NULL"
#define TLS_PEM_MAX 512

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
	gnutls_certificate_set_verify_function(c->cred, tls_verify_peer);
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
