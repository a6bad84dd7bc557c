/* SPDX-License-Identifier: MIT */
/*
 * udp - datagrams to and from virtual peers
 *
 * Context: any thread. A foreign destination or source costs one look at it.
 */
#ifndef NTM_PRELOAD_UDP_H
#define NTM_PRELOAD_UDP_H

/** udp_announce_bound() - tell the broker that @fd was bound to the wildcard, if
 *  it is a UDP socket of the host. Keeps errno. */
void udp_announce_bound(int fd);

#endif
