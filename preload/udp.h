/* SPDX-License-Identifier: MIT */
/*
 * udp - datagrams to and from virtual peers
 *
 * Context: any thread. A foreign destination or source costs one look at it.
 */
#ifndef NTM_PRELOAD_UDP_H
#define NTM_PRELOAD_UDP_H

#include <stdbool.h>
#include <sys/socket.h>

/** udp_announce_bound() - tell the broker that @fd was bound to the wildcard, if
 *  it is a UDP socket of the host. Keeps errno. */
void udp_announce_bound(int fd);

/** udp_connect_alias() - must @fd be connected to the alias of the peer @sa, lest
 *  it lose what waits in it? Then @to, *@to_len bytes, is that. Keeps errno. */
bool udp_connect_alias(int fd, const struct sockaddr *sa, socklen_t len,
		       struct sockaddr_storage *to, socklen_t *to_len);

#endif
