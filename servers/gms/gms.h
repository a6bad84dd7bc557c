/* SPDX-License-Identifier: MIT */
/*
 * gms - the Group Management Server: orders logs, makes RN2, tells members
 *
 * Owner:   its process; see role.h. Context: loop thread.
 */
#ifndef NTM_SERVERS_GMS_GMS_H
#define NTM_SERVERS_GMS_GMS_H

#include "servers/role.h"

struct gms;

/** takes over the sockets of @env on success */
NTM_MUST_CHECK int gms_new(const struct role_env *env, struct gms **out);
void gms_free(struct gms *gms);
json_t *gms_admin(struct gms *gms, const char *command, json_t *request);

#endif
