/* SPDX-License-Identifier: MIT */
/*
 * gate - TLS for nodes whose network passes no UDP: to the relay and to the DC
 *
 * Owner:   its own process, beside the relay: it parses strangers' TLS, and holds no
 *          key but that of the server certificate. Context: loop thread.
 * Limits:  common/channel.h's for each source and in all; a node's stream keeps
 *          GATE_QUEUE bytes for it, what is more is lost as on any full link.
 */
#ifndef NTM_SERVERS_GATE_GATE_H
#define NTM_SERVERS_GATE_GATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "servers/role.h"

#define GATE_QUEUE	  (192 * 1024)
#define GATE_IDLE_S	  600 /* a node that is there sends keep-alives */
#define GATE_STREAMS_NODE 4   /* of one node; then its oldest ends */

struct gate;

/** @env: outlives it; its sockets are taken over on success */
NTM_MUST_CHECK int gate_new(const struct role_env *env, struct gate **out);
/** closes at once; memory goes at the end of the loop's turn */
void gate_free(struct gate *g);
/** "status" */
json_t *gate_admin(struct gate *g, const char *command, json_t *request);

#endif
