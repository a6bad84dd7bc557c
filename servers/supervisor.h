/* SPDX-License-Identifier: MIT */
/*
 * supervisor - `ntm-server run`: bind, fork a process per role, start them again
 *
 * Owner:   main(). Context: its own process and loop; does nothing else, opens no
 *          store, parses nothing that comes from the network.
 */
#ifndef NTM_SERVERS_SUPERVISOR_H
#define NTM_SERVERS_SUPERVISOR_H

#include "servers/serverconf.h"

#define SUPERVISOR_BACKOFF_MIN_MS 100
#define SUPERVISOR_BACKOFF_MAX_MS 30000
#define SUPERVISOR_STABLE_S	  30 /* ran that long: back-off starts anew */
#define SUPERVISOR_STOP_S	  10 /* then SIGKILL */

/** runs until SIGTERM or SIGINT; Return: exit status */
int supervisor_run(const char *dir, struct server_conf *conf);

#endif
