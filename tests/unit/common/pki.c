/* SPDX-License-Identifier: MIT */
/* pki - a domain's CA and certificates of it, for tests */
#include "tests/unit/common/pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct pki *pki_new(const char *domain)
{
	static const uint8_t slice[4] = {198, 18, 0, 0};
	struct pki *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	assert_int_equal(
		ntmc_ca_new(NULL, domain, slice, 15, 3650, &p->ca, p->prefix6),
		0);
	p->ca_len = sizeof(p->ca_der);
	assert_int_equal(ntmc_ca_der(p->ca, p->ca_der, &p->ca_len), 0);
	assert_int_equal(ntmc_trust_new(&p->trust), 0);
	assert_int_equal(ntmc_trust_add(p->trust, p->ca_der, p->ca_len, NULL,
					&p->domain),
			 0);
	memcpy(p->ca_fp, p->domain.fp, sizeof(p->ca_fp));
	return p;
}

void pki_free(struct pki *p)
{
	ntmc_trust_free(p->trust);
	ntmc_ca_free(p->ca);
	free(p);
}

void pki_issue(struct pki *p, enum ntmc_cert_kind kind, const char *fqdn,
	       uint32_t roles, int64_t from_s, int64_t to_s, struct pki_id *out)
{
	static const uint8_t vip4[4] = {198, 18, 0, 1};
	int64_t now = ntmc_now(NULL);
	struct ntmc_cert cert;

	memset(&cert, 0, sizeof(cert));
	memset(out, 0, sizeof(*out));
	ntmc_identity_new(NULL, &out->id);
	cert.kind = kind;
	strncpy(cert.fqdn, fqdn, sizeof(cert.fqdn) - 1);
	memcpy(cert.ed_pub, out->id.ed_pub, sizeof(cert.ed_pub));
	if (kind == NTMC_CERT_NODE) {
		memcpy(cert.x_pub, out->id.x_pub, sizeof(cert.x_pub));
		ntmc_static_sign(&out->id, cert.x_sig);
		memcpy(cert.vip6, p->prefix6, 16);
		cert.vip6[15] = 1;
		memcpy(cert.vip4, vip4, 4);
	}
	cert.roles = roles;
	out->len = sizeof(out->der);
	assert_int_equal(ntmc_ca_issue(NULL, p->ca, &cert, now + from_s,
				       now + to_s, out->der, &out->len),
			 0);
}
