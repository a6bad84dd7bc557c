/* SPDX-License-Identifier: MIT */
/*
 * push - tells nodes to come through push services: FCM, APNs, UnifiedPush
 *
 * Owner:   its role process, which holds the services' credentials and no key of a
 *          node. Context: loop thread; a thread of its own speaks HTTPS.
 * Asked by the DC on its admin socket: {"command":"send", "node", "kind", "token"};
 * the answer names tokens that the services have refused for good since the last one.
 */
#ifndef NTM_SERVERS_PUSH_PUSH_H
#define NTM_SERVERS_PUSH_PUSH_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "common/ntm.pb-c.h"
#include "servers/role.h"

#define PUSH_TOKEN_MAX 512

struct push;

/** can a push of this kind be sent with this configuration? */
bool push_offers(const struct server_conf *c, Ntm__PushKind kind);
bool push_wanted(const struct server_conf *c);
NTM_MUST_CHECK int push_new(const struct role_env *env, struct push **out);
void push_free(struct push *p);
/** "send", "status" */
json_t *push_admin(struct push *p, const char *command, json_t *request);

#endif
