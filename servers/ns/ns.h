/* SPDX-License-Identifier: MIT */
/*
 * ns - the Notification Server: holds nodes' TCP connections, and tells them to come
 *
 * Owner:   its role process. Context: loop thread.
 * Sockets: TCP for nodes; TLS to the DCs it works for.
 */
#ifndef NTM_SERVERS_NS_NS_H
#define NTM_SERVERS_NS_NS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "servers/role.h"

struct ns;

/** @env: outlives it; its sockets are taken over on success */
NTM_MUST_CHECK int ns_new(const struct role_env *env, struct ns **out);
void ns_free(struct ns *ns);
void ns_reload(struct ns *ns, const struct server_conf *conf);
/** "status" */
json_t *ns_admin(struct ns *ns, const char *command, json_t *request);

#endif
