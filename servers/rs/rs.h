/* SPDX-License-Identifier: MIT */
/*
 * rs - the Relay Server: forwards sealed packets between the two ends of a path
 *
 * Owner:   its role process. Context: the loop's thread controls (links to the DCs,
 *          paths, sweeps); rs.threads threads of its own forward (thread.h).
 * Sockets: UDP for nodes and DCs: role_sockets.copies of each address, one a
 *          thread; role_sockets.other: the second port.
 */
#ifndef NTM_SERVERS_RS_RS_H
#define NTM_SERVERS_RS_RS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "servers/role.h"
#include "servers/serverconf.h"

struct rs;

/** @env: outlives it; its sockets are taken over on success */
NTM_MUST_CHECK int rs_new(const struct role_env *env, struct rs **out);
/** ends the threads, then all at once */
void rs_free(struct rs *rs);
void rs_reload(struct rs *rs, const struct server_conf *conf);
/** "status", "drain", "undrain" */
json_t *rs_admin(struct rs *rs, const char *command, json_t *request);
/** the DCs it works for, each with its addresses: rs.dc, or the one on this machine.
 *  Return: how many, or -NTM_ECONF */
NTM_MUST_CHECK int
rs_dcs(const struct server_conf *c,
       struct server_ways out[static SERVERCONF_ADDRESSES_MAX]);
/** rs.threads, or as many as there are processors */
unsigned int rs_threads(const struct server_conf *c);

#endif
