/* SPDX-License-Identifier: MIT */
/*
 * fuzz_cert - any bytes as a node's certificate and as a CA's
 *
 * The seeds are signed by the CA below, so that a verifier that forgot a check
 * would accept a damaged one: then the process aborts.
 */
#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/ntmcrypto.h"
#include "tests/fuzz/crypto_keys.h"

static void must(int ok)
{
	if (!ok)
		abort();
}

/* a certificate that verifies must be one of those that we signed */
static void check_verified(const struct ntmc_cert *c)
{
	must(!strcmp(c->fqdn, "alice.example.net") ||
	     !strcmp(c->fqdn, "dc.example.net"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct ntmc_trust *trust;
	struct ntmc_trust_domain d;
	struct ntmc_trust *fresh;
	struct ntmc_cert parsed, verified;

	if (!trust) {
		uint8_t der[NTMC_CERT_MAX], prefix6[16];
		size_t der_len = sizeof(der);
		struct ntmc_ca *ca = fuzz_ca(prefix6);

		must(!ntmc_trust_new(&trust));
		must(!ntmc_ca_der(ca, der, &der_len));
		must(!ntmc_trust_add(trust, der, der_len, NULL, NULL));
		ntmc_ca_free(ca);
	}
	if (!ntmc_cert_parse(data, len, &parsed))
		must(strlen(parsed.fqdn) <= NTMC_FQDN_MAX);
	if (!ntmc_trust_verify(trust, data, len, FUZZ_NOW, &verified))
		check_verified(&verified);
	must(!ntmc_trust_new(&fresh));
	if (!ntmc_trust_add(fresh, data, len, NULL, &d))
		must(d.prefix6[0] == 0xfd && d.domain[0]);
	ntmc_trust_free(fresh);
	return 0;
}
