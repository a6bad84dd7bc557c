/* SPDX-License-Identifier: MIT */
/*
 * adminsock - how commands speak with a running role: one JSON line each way
 *
 * DIR/ROLE.sock, 0600; the server also asks SO_PEERCRED: root or its own user.
 * Owner:   the role's process (server), a command (client, which may block).
 * Limits:  ADMINSOCK_LINE_MAX bytes a request, ADMINSOCK_CLIENTS_MAX clients,
 *          ADMINSOCK_IDLE_S each.
 */
#ifndef NTM_SERVERS_ADMINSOCK_H
#define NTM_SERVERS_ADMINSOCK_H

#include <jansson.h>

#include "common/err.h"
#include "common/loop.h"

#define ADMINSOCK_LINE_MAX    8192
#define ADMINSOCK_CLIENTS_MAX 16
#define ADMINSOCK_IDLE_S      30

struct adminsock;
/** new reference, or NULL: unknown command */
typedef json_t *adminsock_fn(void *arg, const char *command, json_t *request);

/** bind and listen; a socket left over is replaced. Return: 0, -NTM_EINVAL (path
 *  too long for a socket), -NTM_ESYSTEM */
NTM_MUST_CHECK int adminsock_bind(const char *dir, const char *role, int *fd);
/** @fd: taken over on success */
NTM_MUST_CHECK int adminsock_new(struct loop *l, int fd, adminsock_fn *fn,
				 void *arg, struct adminsock **out);
void adminsock_free(struct adminsock *a);

/**
 * adminsock_ask() - a command's side; waits up to ADMINSOCK_IDLE_S
 * @request: must hold "command"
 * @out: new reference
 * Return: 0, -NTM_ENOTFOUND (nobody listens), -NTM_EPERM, -NTM_ETIMEOUT,
 *         -NTM_EDECODE
 */
NTM_MUST_CHECK int adminsock_ask(const char *dir, const char *role,
				 json_t *request, json_t **out);

#endif
