/* SPDX-License-Identifier: MIT */
/*
 * echo - ICMP echo of nodes, by ping sockets (no privilege; net.ipv4.ping_group_range)
 *
 * Owner:    net.c. Context: the net process's one thread.
 * A socket for each node, destination and identifier, connected: what comes back is
 * from there. They are a fixed table; the one that was longest idle goes first.
 */
#ifndef NTM_SERVERS_EXIT_ECHO_H
#define NTM_SERVERS_EXIT_ECHO_H

#include "servers/exit/stack.h"

#define ECHO_MAX    256 /* of all nodes */
#define ECHO_NODE   16	/* of one */
#define ECHO_IDLE_S 30

struct echo;

/** @env: deliver() and the clock are used */
NTM_MUST_CHECK int echo_new(struct stack_env *env, struct echo **out);
void echo_free(struct echo *e);
/**
 * echo_input() - an echo request of a node, filtered
 * Return: 0, -NTM_EINVAL (not an echo request), -NTM_EPERM (this machine allows no
 *         ping sockets), -NTM_EUNREACHABLE
 */
NTM_MUST_CHECK int echo_input(struct echo *e, const uint8_t *pkt,
			      const struct inner *in);
void echo_fill(struct echo *e, struct polled *p);
void echo_poll(struct echo *e, const struct polled *p);
/** a node has gone */
void echo_forget(struct echo *e, const uint8_t *vip, size_t len);

#endif
