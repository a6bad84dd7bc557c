/* SPDX-License-Identifier: MIT */
/*
 * enrol - how a machine that has no CA becomes a relay, an NS or a CS of a domain
 *
 * The machine of the AS writes a file: the domain, whom the server speaks with, the
 * CA's certificate, and a fresh key and certificate of role RS, NS or CS. The other
 * machine makes its data folder of it. Whoever holds the file can be that server: it
 * goes by a safe way and is deleted then. Text, one newline after each line and nothing
 * behind:
 *
 *   ntm-relay 1                    or ntm-notifier 1, ntm-cache 1
 *   domain example.org
 *   dc 192.0.2.1:4502              1 to 4 lines: its addresses
 *   as 192.0.2.1:4501              the same. Of a relay or an NS dc alone; of a CS
 *   box 192.0.2.1:4508             as and box, in this order
 *   ca HEX                         DER, as the next
 *   certificate HEX
 *   ed25519 HEX                    private keys, 32 bytes
 *   x25519 HEX
 *
 * Context: commands; may block.
 */
#ifndef NTM_SERVERS_ENROL_H
#define NTM_SERVERS_ENROL_H

#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/err.h"
#include "common/fqdn.h"
#include "common/ntm.pb-c.h"
#include "libntmcrypto/ntmcrypto.h"
#include "servers/serverconf.h"

#define ENROL_TEXT_MAX 8192

enum enrol_kind { ENROL_RELAY, ENROL_NOTIFIER, ENROL_CACHE };
enum enrol_to { ENROL_TO_DC, ENROL_TO_AS, ENROL_TO_BOX, ENROL_TOS };

/** struct enrol - what such a file says; wiped by enrol_clear() */
struct enrol {
	enum enrol_kind kind;
	char domain[FQDN_MAX + 1];
	struct server_ways to[ENROL_TOS]; /* n 0: not this kind */
	uint8_t ca[NTMC_CERT_MAX], cert[NTMC_CERT_MAX];
	size_t ca_len, cert_len;
	struct ntmc_identity id;
};

void enrol_clear(struct enrol *e);
/** a fresh key and certificate, from the CA of @dir. A CS's name is cs-, the first 16
 *  digits of its fingerprint, and the domain: there may be many.
 *  Return: 0, -NTM_ENOTFOUND (no CA here), -NTM_ECONF ... */
NTM_MUST_CHECK int enrol_new(const char *dir, const struct server_conf *conf,
			     enum enrol_kind kind, int64_t now,
			     struct enrol *out);
/**
 * enrol_renew() - the CA's answer to renewal_ask(): the same keys and roles, from now on
 * @ca, @trust: of the CA; @dir: whose `removed` counts
 * @old: a certificate of it for a relay, an NS or a CS, not run out
 * @der, @len: as in ntmc_ca_issue()
 *
 * Return: 0, -NTM_EDISABLED (removed), -NTM_EEXISTS (more than half of its life is
 * left), -NTM_EPERM (no such server), ntmc_trust_verify()'s, ntmc_ca_issue()'s
 */
NTM_MUST_CHECK int enrol_renew(const char *dir, struct ntmc_ca *ca,
			       const struct ntmc_trust *trust,
			       const ProtobufCBinaryData *old, int64_t now,
			       uint8_t *der, size_t *len);
/** @out: wiped by the caller. Return: bytes, or -NTM_ETOOBIG */
NTM_MUST_CHECK int enrol_format(const struct enrol *e,
				char out[static ENROL_TEXT_MAX]);
/** the certificate is of that CA, key, domain and kind.
 *  Return: 0, -NTM_EDECODE, -NTM_ECERT, -NTM_EEXPIRED ... */
NTM_MUST_CHECK int enrol_parse(const char *text, size_t len, struct enrol *out);
/** CA, key and certificate into the data folder @dir */
NTM_MUST_CHECK int enrol_store(const struct enrol *e, const char *dir);

#endif
