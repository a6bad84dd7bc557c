/* SPDX-License-Identifier: MIT */
/*
 * domains - other domains that the person has allowed: their CAs, names, addresses
 *
 * Owner:    the worker. Context: loop thread. A CA comes from our own DC, is held
 *           against its constraints, and pinned with the servers (pins.h): a changed
 *           one is refused until `ntm forget DOMAIN`.
 * A name is another domain's when the policy names it, or a domain above it, and it
 * is not under our own. Nothing else makes a domain: not DNS, and no DC.
 */
#ifndef NTM_BROKER_DOMAINS_H
#define NTM_BROKER_DOMAINS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/worker.h"
#include "broker/writer.h"
#include "common/fqdn.h"

struct peer;
struct pin;

#define DOMAINS_ASKED_MAX 32 /* not known yet, or failed, that we remember */
#define DOMAINS_HINTS_MAX 4
#define DOMAINS_AGAIN_S	  10 /* after a failure */

NTM_MUST_CHECK int domains_new(struct worker *w, struct domains **out);
void domains_free(struct domains *ds);

/** may @fqdn be a node of another domain that the person has allowed? */
bool domains_allowed(const struct worker *w, const char *fqdn);
/**
 * domains_find() - the domain that @fqdn is a node or an account of, ours too
 * NULL: its CA is not known. Borrowed until the next login
 */
const struct ntmc_trust_domain *domains_find(const struct worker *w,
					     const char *fqdn);
/** fqdn_split() with the domain that it is in; -NTM_ENOTOURS when that is not known */
NTM_MUST_CHECK int domains_split(const struct worker *w, const char *fqdn,
				 struct fqdn_parts *out);
/**
 * domains_need() - its CA is needed: asks the DC where it is not known
 * Return: 0 known; -NTM_EAGAIN: resolve_domain_changed() tells of the answer; or why
 *         there is none
 */
int domains_need(struct worker *w, const char *fqdn);
/** ask for the CAs of all that the policy names: online, or the policy has changed */
void domains_look(struct worker *w);
/** there is another account->trust: the pinned CAs into it */
void domains_trust(struct worker *w);
/** a changed CA is taken when it comes again. Return: as pins_forget() */
NTM_MUST_CHECK int domains_forget(struct worker *w, const char *domain,
				  writer_fn *fn, void *arg);
/** what is wrong with the domain that @fqdn is in: one sentence; NULL: nothing */
const char *domains_why(const struct worker *w, const char *fqdn);

/** the IPv4 address at which programs here see a peer of another domain (@vip4 its
 *  own); @vip4 itself for one of ours */
void domains_shown4(const struct worker *w, const uint8_t vip6[static 16],
		    const uint8_t vip4[static 4], uint8_t out[static 4]);
/** sets @p->shown4: of another domain the next such address that is nobody's, by a
 *  tunnel or a pin */
void domains_show(struct peer *p);
/** the pinned peer at that address; NULL: none. Borrowed until pins change */
const struct pin *domains_alias_owner(const struct worker *w,
				      const uint8_t ip4[static 4]);
/** is it in the range of those addresses? */
bool domains_is_alias(const struct worker *w, const uint8_t ip4[static 4]);
/** that range, /16 */
void domains_alias_range(const struct worker *w, uint8_t out[static 4]);

/** a shim says that @domain runs NTMobile and is not allowed: for people to read, at
 *  most DOMAINS_HINTS_MAX of them */
void domains_hint(struct worker *w, const char *domain);
/** the @i-th of them, newest first; NULL: no more */
const char *domains_hinted(const struct worker *w, size_t i);
/** new reference: an array for `ntm status` */
json_t *domains_json(const struct worker *w);

#endif
