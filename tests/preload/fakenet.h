/* SPDX-License-Identifier: MIT */
/*
 * fakenet - the namespace, doorbells and UDP mapping of the fake broker
 *
 * A small process in the namespace makes sockets; all else is done from outside
 * with the sockets it sends.
 */
#ifndef NTM_TESTS_PRELOAD_FAKENET_H
#define NTM_TESTS_PRELOAD_FAKENET_H

#include <poll.h>

#include "preload/shimproto.h"

/** net_start() - make the namespace; 0, or -1 where that is not allowed */
int net_start(void);

/** net_page() - use and fill the shared page */
void net_page(struct shim_page *page);

/** net_socket() - a namespace socket as a SOCKET request wants it, or -1 */
int net_socket(const struct shim_request *req);

/** net_listener() - the namespace's listener for a LISTEN request, or -1 */
int net_listener(const struct shim_request *req);

/** net_ring() - accept on it and ring the program's; 0 or -1 */
int net_ring(int listener, const struct shim_request *req);

/** net_claim() - the connection of a doorbell, or -1 */
int net_claim(const struct shim_request *req);

/** net_udp_bind() - sockets for a UDPBIND request; 0 or enum ntm_err */
int net_udp_bind(const struct shim_request *req);

/** net_udp_alias() - the alias for a UDPALIAS request; 0 or enum ntm_err */
int net_udp_alias(const struct shim_request *req, struct shim_addr *alias);

/** net_udp_poll() - fill in what is to be polled for reading (up to 64)
 *  net_udp_ready() - relay one datagram of the i-th of them */
int net_udp_poll(struct pollfd *p);
void net_udp_ready(int i);

#endif
