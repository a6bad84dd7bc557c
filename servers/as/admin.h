/* SPDX-License-Identifier: MIT */
/*
 * admin - what `ntm-server account` and `device` do, on the AS's store
 *
 * Context: the AS process (asked over the admin socket), or the command itself
 *          while no AS runs: one code, so both behave alike.
 * Request: {"command": "account-add", "name": ..., "hash": ...}
 * Answer:  {"ok": true, ...} or {"ok": false, "error": "EXISTS", "text": "..."}
 */
#ifndef NTM_SERVERS_AS_ADMIN_H
#define NTM_SERVERS_AS_ADMIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "servers/as/accounts.h"

/**
 * admin_do() - one request
 * @now:      seconds since 1970
 * @withdraw: set true when withdrawals were queued
 *
 * Commands: account-add (name, hash), account-passwd (name, hash), account-list,
 * account-disable, account-enable, account-delete (name), device-list (account or
 * nothing), device-revoke, device-delete (fqdn).
 * Return: new reference; NULL: no such command, or out of memory
 */
json_t *admin_do(struct accounts *a, const char *command, json_t *request,
		 int64_t now, bool *withdraw);

#endif
