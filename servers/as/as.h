/* SPDX-License-Identifier: MIT */
/*
 * as - the Account Server: passwords, the CA, devices; nodes log in here
 *
 * Owner:   its role process. Context: loop thread (and hasher's threads).
 * Sockets: TLS for nodes (certificate asked, not required); a TLS channel to the
 *          DC (dclink).
 */
#ifndef NTM_SERVERS_AS_AS_H
#define NTM_SERVERS_AS_AS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "servers/as/accounts.h"
#include "servers/role.h"

struct as;

/** @env: outlives it; its sockets are taken over on success */
NTM_MUST_CHECK int as_new(const struct role_env *env, struct as **out);
/** closes at once; memory goes at the end of the loop's turn */
void as_free(struct as *as);
void as_reload(struct as *as, const struct server_conf *conf);
/** after loop_run() ended: start me again at once (new certificates) */
bool as_wants_restart(const struct as *as);
/** requests of the admin socket: see as/admin.h, and "status" */
json_t *as_admin(struct as *as, const char *command, json_t *request);

#endif
