/* SPDX-License-Identifier: MIT */
/*
 * udp_sock - how one socket reaches virtual peers, and the aliases it does it by
 *
 * Context: any thread; asks the kernel, keeps nothing.
 */
#ifndef NTM_PRELOAD_UDP_SOCK_H
#define NTM_PRELOAD_UDP_SOCK_H

#include "preload/shimproto.h"

/**
 * enum udp_route - what a send to a virtual address needs
 * @UDP_REAL: nothing: swapped already, or not ours to touch
 * @UDP_SWAP: the socket has no port yet, or one on a single address: swap it
 * @UDP_MAP:  bound to the wildcard, it serves both networks: use the alias
 */
enum udp_route { UDP_REAL, UDP_SWAP, UDP_MAP };

/** struct udp_sock - @domain AF_INET or AF_INET6; @port bound; @v6only */
struct udp_sock {
	int domain;
	uint16_t port;
	bool v6only;
};

/** udp_sock_route() - look at @fd; @flags of the send. @s is filled for UDP_MAP.
 *  Changes errno. */
enum udp_route udp_sock_route(int fd, int flags, struct udp_sock *s);

/**
 * udp_sock_alias() - the address that stands for a virtual peer
 * @out: sockaddr of the socket's own family, *@out_len bytes
 *
 * Return: 0; -ENOENT when there is no broker (send as on the host);
 *         -EHOSTUNREACH when it knows no way. Changes errno.
 */
int udp_sock_alias(int fd, const struct udp_sock *s,
		   const struct sockaddr *peer, socklen_t peer_len,
		   struct sockaddr_storage *out, socklen_t *out_len);

/** udp_sock_announce() - UDPBIND for the socket; 0 or -errno. Changes errno. */
int udp_sock_announce(int fd, const struct udp_sock *s);

/**
 * udp_sock_unalias() - replace an alias by the peer it stands for
 * @sa:  source as received, *@len bytes valid; room for the family's sockaddr
 *
 * Only what the shared page confirms, address and port, is replaced. Keeps errno.
 */
void udp_sock_unalias(int fd, struct sockaddr *sa, socklen_t *len);

#endif
