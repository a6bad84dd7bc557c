/* SPDX-License-Identifier: MIT */
/*
 * box - the DC's HTTPS side: prekeys, temporal keys, cache lists (docs/exchange.md)
 *
 * Owner:   its role process, beside the dc's. Context: loop thread; libmicrohttpd's
 *          threads; a thread of the clerk's, which owns the store.
 */
#ifndef NTM_SERVERS_BOX_BOX_H
#define NTM_SERVERS_BOX_BOX_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "servers/role.h"

struct box;

/** @env: outlives it; its sockets are taken over on success */
NTM_MUST_CHECK int box_new(const struct role_env *env, struct box **out);
/** answers what is under way; memory goes at the end of the loop's turn */
void box_free(struct box *b);
void box_reload(struct box *b, const struct server_conf *conf);
bool box_wants_restart(const struct box *b);
/** "status", "servers" */
json_t *box_admin(struct box *b, const char *command, json_t *request);

#endif
