/* SPDX-License-Identifier: MIT */
/*
 * pool - hands sockets of the namespace to shims, singly and in advance
 *
 * Owner:    the inside process, whose main loop it is. Context: that process.
 * Serves keeper.sock (SOCKET, POOL) and the parent's struct inside_request.
 */
#ifndef NTM_BROKER_POOL_H
#define NTM_BROKER_POOL_H

#define POOL_CLIENTS_MAX 1024 /* connections at a time */
#define POOL_SNDBUF	 8192 /* holds about 22 ready sockets */

/** until @link hangs up. Return: exit status */
int pool_run(int link);

#endif
