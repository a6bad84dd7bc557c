/* SPDX-License-Identifier: MIT */
/*
 * sockets - what the programs that make traffic send and receive on
 *
 * Owner: the caller closes what it gets. What fails is said, and ends the program.
 * They run under ntm-run: plain calls of libc, as an application makes them.
 */
#ifndef NTM_TESTS_BENCH_SOCKETS_H
#define NTM_TESTS_BENCH_SOCKETS_H

/** @type SOCK_STREAM or SOCK_DGRAM, connected to the first address of @name. Return: fd */
int socket_connected(int type, const char *name, const char *port);
/** UDP at @port of every address, of both families. Return: fd */
int socket_bound(const char *port);

#endif
