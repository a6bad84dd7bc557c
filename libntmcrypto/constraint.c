/* SPDX-License-Identifier: MIT */
/*
 * constraint - what a domain's CA may vouch for, and whether a certificate
 * keeps to it
 *
 * Theory of operation
 *
 * A domain's CA is trusted for its own domain and addresses and nothing else.
 * Its certificate says so itself, in critical name constraints: one DNS
 * subtree, one IPv6 /64 and one IPv4 slice. The /64 is a hash of the CA's key,
 * so a CA cannot claim another's; a certificate whose constraints are missing,
 * wider or of another shape is refused, however it was obtained.
 *
 * GnuTLS enforces name constraints while it verifies a chain. x509_within()
 * checks the same a second time from the parsed certificate, so that the rule
 * does not hang on one library's reading of an extension.
 */
#include "libntmcrypto/x509.h"

#include <string.h>

#define CA_EXTENSIONS                                                          \
	(X509_EXT_SKI | X509_EXT_AKI | X509_EXT_KEY_USAGE | X509_EXT_BASIC |   \
	 X509_EXT_CONSTRAINTS)

void x509_prefix6(const uint8_t fp[static NTMC_FP_LEN],
		  uint8_t prefix6[static 16])
{
	memset(prefix6, 0, 16);
	prefix6[0] = 0xfd;
	prefix6[1] = 0x6e;
	memcpy(prefix6 + 2, fp, 6);
}

static uint32_t addr4(const uint8_t a[static 4])
{
	return (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 |
	       (uint32_t)a[2] << 8 | a[3];
}

static uint32_t mask4(unsigned int len)
{
	return len ? UINT32_MAX << (32 - len) : 0;
}

bool x509_prefix4_ok(const uint8_t prefix4[static 4], unsigned int len)
{
	static const struct {
		uint8_t addr[4];
		unsigned int len;
	} never[] = {
		{{0, 0, 0, 0}, 8},	    {{127, 0, 0, 0}, 8},
		{{169, 254, 0, 0}, 16},	    {{224, 0, 0, 0}, 4},
		{{255, 255, 255, 255}, 32},
	};
	uint32_t p = addr4(prefix4);

	if (len < 8 || len > 30 || (p & ~mask4(len)))
		return false;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		/* do the two overlap: equal under the shorter mask? */
		unsigned int m = len < never[i].len ? len : never[i].len;

		if (!((p ^ addr4(never[i].addr)) & mask4(m)))
			return false;
	}
	return true;
}

/* a permitted IPAddress subtree: address and mask */
static bool take_ip(const gnutls_datum_t *n, struct ntmc_trust_domain *d,
		    bool *has6, bool *has4)
{
	static const uint8_t mask64[16] = {0xff, 0xff, 0xff, 0xff,
					   0xff, 0xff, 0xff, 0xff};
	unsigned int len = 0;

	if (n->size == 32 && !*has6) {
		*has6 = true;
		memcpy(d->prefix6, n->data, 16);
		return !memcmp(n->data + 16, mask64, 16);
	}
	if (n->size != 8 || *has4)
		return false;
	*has4 = true;
	memcpy(d->prefix4, n->data, 4);
	while (len < 32 && addr4(n->data + 4) & 1u << (31 - len))
		len++;
	d->prefix4_len = len;
	return addr4(n->data + 4) == mask4(len) &&
	       x509_prefix4_ok(d->prefix4, len);
}

static bool take_domain(const gnutls_datum_t *n, struct ntmc_trust_domain *d)
{
	if (d->domain[0] || n->size > NTMC_FQDN_MAX ||
	    memchr(n->data, 0, n->size))
		return false;
	memcpy(d->domain, n->data, n->size);
	d->domain[n->size] = '\0';
	return x509_name_ok(d->domain);
}

static bool read_permitted(gnutls_x509_name_constraints_t nc,
			   struct ntmc_trust_domain *d)
{
	bool has6 = false, has4 = false;
	gnutls_datum_t name;
	unsigned int type;

	for (unsigned int i = 0; i < 4; i++) {
		if (gnutls_x509_name_constraints_get_permitted(nc, i, &type,
							       &name) < 0)
			return d->domain[0] && has6 && has4;
		if (type == GNUTLS_SAN_DNSNAME
			    ? !take_domain(&name, d)
			    : type != GNUTLS_SAN_IPADDRESS ||
				      !take_ip(&name, d, &has6, &has4))
			return false;
	}
	return false;
}

static bool read_constraints(gnutls_x509_crt_t ca,
			     gnutls_x509_name_constraints_t nc,
			     struct ntmc_trust_domain *d)
{
	unsigned int critical = 0, type;
	gnutls_datum_t name;

	if (gnutls_x509_crt_get_name_constraints(ca, nc, 0, &critical) < 0 ||
	    !critical)
		return false;
	if (gnutls_x509_name_constraints_get_excluded(nc, 0, &type, &name) !=
	    GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return false;
	return read_permitted(nc, d);
}

int x509_constraints(gnutls_x509_crt_t ca,
		     const uint8_t pub[static NTMC_KEY_LEN],
		     struct ntmc_trust_domain *out)
{
	struct ntmc_trust_domain d = {.domain = ""};
	gnutls_x509_name_constraints_t nc;
	uint8_t own6[16];
	bool ok;

	if (gnutls_x509_name_constraints_init(&nc) < 0)
		return -NTM_ENOMEM;
	ok = read_constraints(ca, nc, &d);
	gnutls_x509_name_constraints_deinit(nc);

	ntmc_fingerprint(pub, d.fp);
	x509_prefix6(d.fp, own6);
	if (!ok || memcmp(d.prefix6, own6, sizeof(own6)))
		return -NTM_ECONSTRAINT;
	*out = d;
	return 0;
}

static bool is_ca(gnutls_x509_crt_t crt)
{
	unsigned int usage = 0;

	return gnutls_x509_crt_get_basic_constraints(crt, NULL, NULL, NULL) >
		       0 &&
	       gnutls_x509_crt_get_key_usage(crt, &usage, NULL) >= 0 &&
	       (usage & GNUTLS_KEY_KEY_CERT_SIGN);
}

int x509_ca_import(const uint8_t *der, size_t len, gnutls_x509_crt_t *out,
		   uint8_t pub[static NTMC_KEY_LEN],
		   struct ntmc_trust_domain *domain)
{
	gnutls_x509_crt_t crt;
	unsigned int seen;
	int r;

	r = x509_import(der, len, CA_EXTENSIONS, &crt, &seen, pub);
	if (r)
		return r;
	if (!is_ca(crt) || x509_signed_by(der, len, pub))
		r = -NTM_EDECODE;
	else if (!(seen & X509_EXT_CONSTRAINTS))
		r = -NTM_ECONSTRAINT;
	else
		r = x509_constraints(crt, pub, domain);
	if (r)
		gnutls_x509_crt_deinit(crt);
	else
		*out = crt;
	return r;
}

bool x509_within(const struct ntmc_trust_domain *d,
		 const struct ntmc_cert *cert)
{
	static const uint8_t none[16];

	if (!x509_name_within(cert->fqdn, d->domain))
		return false;
	if (memcmp(cert->vip6, none, 16) && memcmp(cert->vip6, d->prefix6, 8))
		return false;
	if (memcmp(cert->vip4, none, 4) &&
	    ((addr4(cert->vip4) ^ addr4(d->prefix4)) & mask4(d->prefix4_len)))
		return false;
	return true;
}
