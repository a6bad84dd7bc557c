/* SPDX-License-Identifier: MIT */
/*
 * pins - which key belongs to which name: peers' identities, servers' CAs
 *
 * Owner:    the worker. Context: loop thread. File: known, in the state folder,
 * written by the writer: what a person changed is on the disk when @fn is called,
 * what a handshake taught is given to it within PINS_FLUSH_MS. Memory is ahead.
 * A peer is pinned at its first handshake; `ntm verify` makes the pin verified,
 * `ntm forget` removes it. Names are canonical (device.account.domain).
 * Files:    pins.c (peers), pins_server.c (CAs), pins_file.c.
 */
#ifndef NTM_BROKER_PINS_H
#define NTM_BROKER_PINS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/writer.h"
#include "common/addr.h"
#include "common/err.h"
#include "common/fqdn.h"
#include "common/loop.h"
#include "libntmcrypto/ntmcrypto.h"

#define PINS_MAX 16384 /* peers remembered; the longest unseen goes first */

struct pins;

/**
 * struct pin - one peer met
 * @pinned:   @fp is what a handshake must show; false: only @offered is known
 * @offered:  another key seen since (all zero: none): refused until forgotten or
 *            verified
 * @vip6, @vip4: its virtual addresses, all zero where unknown
 */
struct pin {
	char fqdn[FQDN_MAX + 1];
	bool pinned, verified;
	uint8_t fp[NTMC_FP_LEN], offered[NTMC_FP_LEN];
	uint8_t vip6[16], vip4[4];
	int64_t first_seen, last_seen;
};

/** Return: 0, or the error of the file; @env's clock stamps entries */
NTM_MUST_CHECK int pins_open(struct loop *l, struct writer *writer,
			     const char *state_dir, const struct ntmc_env *env,
			     struct pins **out);
/** what is not written yet goes to the writer; after writer_finish(), or it may call */
void pins_free(struct pins *p);

/** borrowed until the next change; NULL: unknown */
const struct pin *pins_find(const struct pins *p, const char *fqdn);
const struct pin *pins_find_vip(const struct pins *p, const struct addr *vip);
void pins_each(const struct pins *p,
	       void (*fn)(void *arg, const struct pin *pin), void *arg);

/**
 * pins_check() - may this key speak for this name?
 * A refused key is remembered as offered, for `ntm verify`.
 * Return: 0; -NTM_EPIN (pinned to another); -NTM_EUNVERIFIED (new, and its account
 *         has a verified device)
 */
NTM_MUST_CHECK int pins_check(struct pins *p, const char *fqdn,
			      const uint8_t fp[static NTMC_FP_LEN]);
/** after a handshake: pin if new, remember the addresses. Return: 0, -NTM_ENOMEM,
 *  -NTM_EPIN */
NTM_MUST_CHECK int pins_learn(struct pins *p, const char *fqdn,
			      const uint8_t fp[static NTMC_FP_LEN],
			      const uint8_t vip6[static 16],
			      const uint8_t vip4[static 4]);
/** a key the DC named, for a name not pinned yet; kept as offered */
void pins_offer(struct pins *p, const char *fqdn,
		const uint8_t fp[static NTMC_FP_LEN]);
/** the person compared the code: @fp is right for @fqdn from now on.
 *  Return: 0 and @fn (NULL: nobody) hears when it is durable; or an error */
NTM_MUST_CHECK int pins_verify(struct pins *p, const char *fqdn,
			       const uint8_t fp[static NTMC_FP_LEN],
			       writer_fn *fn, void *arg);
/** Return: as pins_verify(), -NTM_ENOTFOUND */
NTM_MUST_CHECK int pins_forget(struct pins *p, const char *fqdn, writer_fn *fn,
			       void *arg);

/** Return: 0 (the same, or unknown), -NTM_EPIN */
NTM_MUST_CHECK int pins_server_check(const struct pins *p, const char *domain,
				     const uint8_t fp[static NTMC_FP_LEN]);
/** durable when it returns: part of a login, which waits for the disk anyway */
NTM_MUST_CHECK int pins_server_learn(struct pins *p, const char *domain,
				     const uint8_t fp[static NTMC_FP_LEN]);

/** the CA of another domain, with its certificate; written later.
 *  Return: 0, -NTM_ENOMEM, -NTM_EPIN (another one is pinned) */
NTM_MUST_CHECK int pins_server_keep(struct pins *p, const char *domain,
				    const uint8_t fp[static NTMC_FP_LEN],
				    const uint8_t *ca, size_t len);
/** its certificate, borrowed; NULL: none kept. @len may be NULL */
const uint8_t *pins_server_ca(const struct pins *p, const char *domain,
			      size_t *len);
void pins_servers_each(const struct pins *p,
		       void (*fn)(void *arg, const char *domain,
				  const uint8_t *ca, size_t len),
		       void *arg);
/** of another domain. Return: as pins_forget() */
NTM_MUST_CHECK int pins_server_forget(struct pins *p, const char *domain,
				      writer_fn *fn, void *arg);
/** only addresses of our own domain are found by IPv4: others may be the same */
void pins_set_home(struct pins *p, const uint8_t prefix6[static 8]);

/** newest withdrawal acted upon */
uint64_t pins_serial(const struct pins *p);
/** Return: 0: it will be written; one that was lost is asked for again */
NTM_MUST_CHECK int pins_set_serial(struct pins *p, uint64_t serial);

#endif
