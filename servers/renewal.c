/* SPDX-License-Identifier: MIT */
/* renewal - a server away from the AS has its certificate renewed before it ends */
#include "servers/renewal.h"

#include <string.h>

#include "common/log.h"

#define HALF_S ((int64_t)SERVERCERT_DAYS * 86400 / 2)

int renewal_ask(const char *dir, const char *role,
		const struct server_conf *conf, const struct servercert *cert,
		int64_t now, renewal_send_fn *send, void *arg)
{
	Ntm__CertificateRequest body = NTM__CERTIFICATE_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	uint8_t der[NTMC_CERT_MAX];
	size_t len;
	int r;

	/* beside the AS it is the AS that renews */
	if (cert->not_after - now > HALF_S ||
	    serverconf_has_role(conf->roles, "as"))
		return 0;
	r = servercert_der(dir, role, der, &len);
	if (r)
		return r;
	body.certificate = (ProtobufCBinaryData){len, der};
	msg.body_case = NTM__ENVELOPE__BODY_CERTIFICATE_REQUEST;
	msg.certificate_request = &body;
	return send(arg, &msg);
}

int renewal_answer(const Ntm__Envelope *q, renewal_issue_fn *issue,
		   void *issue_arg, renewal_send_fn *send, void *arg)
{
	Ntm__CertificateResponse body = NTM__CERTIFICATE_RESPONSE__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	uint8_t der[NTMC_CERT_MAX];
	size_t len = sizeof(der);
	int r = issue(issue_arg, q->certificate_request, der, &len);

	body.code = (uint32_t)-r;
	if (!r)
		body.certificate = (ProtobufCBinaryData){len, der};
	msg.txn = q->txn;
	msg.body_case = NTM__ENVELOPE__BODY_CERTIFICATE_RESPONSE;
	msg.certificate_response = &body;
	return send(arg, &msg);
}

static int check(const char *dir, const char *role,
		 const struct servercert *cert, int64_t now,
		 const Ntm__CertificateResponse *m)
{
	uint8_t der[NTMC_CERT_MAX];
	struct ntmc_cert ours, fresh;
	size_t len;
	int r = servercert_der(dir, role, der, &len);

	if (!r)
		r = ntmc_cert_parse(der, len, &ours);
	if (!r)
		r = ntmc_trust_verify(cert->trust, m->certificate.data,
				      m->certificate.len, now, &fresh);
	if (r)
		return r;
	return fresh.kind == NTMC_CERT_SERVER && fresh.roles == ours.roles &&
			       !memcmp(fresh.ed_pub, ours.ed_pub,
				       NTMC_KEY_LEN) &&
			       !memcmp(fresh.x_pub, ours.x_pub, NTMC_KEY_LEN) &&
			       fresh.not_after > ours.not_after
		       ? 0
		       : -NTM_ECERT;
}

int renewal_take(const char *dir, const char *role,
		 const struct servercert *cert, int64_t now,
		 const Ntm__CertificateResponse *m)
{
	int r = m->code ? -(int)m->code : check(dir, role, cert, now, m);

	if (!r)
		r = servercert_put(dir, role, m->certificate.data,
				   m->certificate.len);
	if (r)
		log_warn(role, "the certificate was not renewed: %s",
			 err_text(r));
	return r;
}
