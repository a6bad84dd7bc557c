/* SPDX-License-Identifier: MIT */
/*
 * cs - the Cache Server: keeps sealed items until their receivers have fetched them
 *
 * Owner:   its role process. Context: the loop's thread; HTTP, desk and exchange have
 *          their own.
 * Sockets: TCP, HTTPS for nodes; TLS to the AS; HTTPS to the box.
 */
#ifndef NTM_SERVERS_CS_CS_H
#define NTM_SERVERS_CS_CS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "servers/role.h"

struct cs;

/** @env: outlives it; its sockets are taken over on success */
NTM_MUST_CHECK int cs_new(const struct role_env *env, struct cs **out);
void cs_free(struct cs *cs);
void cs_reload(struct cs *cs, const struct server_conf *conf);
/** a newer certificate is on the disk */
bool cs_wants_restart(const struct cs *cs);
/** "status", "drain", "undrain" */
json_t *cs_admin(struct cs *cs, const char *command, json_t *request);

#endif
