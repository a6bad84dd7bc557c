/* SPDX-License-Identifier: MIT */
/*
 * resolver - asks DNS where the DCs of other domains are, and which CA speaks for them
 *
 * Owner:   its role process, beside the DC, which asks it (answer.h). It holds no key,
 *          and once it runs it can open no file and reach no process of this machine
 *          (isolate_seal()). Context: loop thread; libunbound resolves in a thread of
 *          its own and wakes the loop.
 * Asked are TXT of _ntm.DOMAIN (only where nobody added the domain: then DNSSEC must
 * have validated it), SRV of _dc._ntm.DOMAIN, and A and AAAA of its target. Bogus
 * answers are errors, whoever added what. libunbound's cache keeps them by their TTL.
 */
#ifndef NTM_SERVERS_RESOLVER_RESOLVER_H
#define NTM_SERVERS_RESOLVER_RESOLVER_H

#include <jansson.h>

#include "common/err.h"
#include "servers/role.h"

#define RESOLVER_MAX	  64 /* domains looked for at one time */
#define RESOLVER_FIND_S	  12 /* the DC has given up by then */
#define RESOLVER_DATA_MIB 256

struct resolver;

/** @env: dc.resolver, dc.hints, dc.anchor. Return: 0, -NTM_ENOMEM, -NTM_ESYSTEM */
NTM_MUST_CHECK int resolver_new(const struct role_env *env,
				struct resolver **out);
void resolver_free(struct resolver *r);
/** "status" */
json_t *resolver_admin(struct resolver *r, const char *command,
		       json_t *request);

#endif
