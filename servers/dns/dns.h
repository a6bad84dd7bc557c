/* SPDX-License-Identifier: MIT */
/*
 * dns - the domain's name server: UDP and TCP around zone.c
 *
 * Owner:   its own process, beside the DC: it parses strangers' bytes with a large
 *          library and therefore holds no key. Context: loop thread.
 * Limits:  DNS_TCP_MAX connections, DNS_TCP_IDLE_S each; answers by UDP: rate.h.
 */
#ifndef NTM_SERVERS_DNS_DNS_H
#define NTM_SERVERS_DNS_DNS_H

#include <jansson.h>

#include "common/err.h"
#include "servers/role.h"

#define DNS_TCP_MAX    64
#define DNS_TCP_IDLE_S 10

struct dns;

/** @env: outlives it; its sockets are taken over on success */
NTM_MUST_CHECK int dns_new(const struct role_env *env, struct dns **out);
/** closes at once; memory goes at the end of the loop's turn */
void dns_free(struct dns *d);
/** "status" */
json_t *dns_admin(struct dns *d, const char *command, json_t *request);

#endif
