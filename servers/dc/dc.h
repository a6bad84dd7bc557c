/* SPDX-License-Identifier: MIT */
/*
 * dc - the Direction Coordinator: leases, locations, directions, withdrawals
 *
 * Owner:   its role process. Context: loop thread; a thread of journal.c writes.
 * Sockets: UDP for nodes; TLS for the AS (aslink).
 */
#ifndef NTM_SERVERS_DC_DC_H
#define NTM_SERVERS_DC_DC_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "servers/role.h"

struct dc;

/** @env: outlives it; its sockets are taken over on success */
NTM_MUST_CHECK int dc_new(const struct role_env *env, struct dc **out);
/** closes at once; memory goes at the end of the loop's turn */
void dc_free(struct dc *dc);
void dc_reload(struct dc *dc, const struct server_conf *conf);
bool dc_wants_restart(const struct dc *dc);
/** "status" */
json_t *dc_admin(struct dc *dc, const char *command, json_t *request);

#endif
