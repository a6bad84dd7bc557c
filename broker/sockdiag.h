/* SPDX-License-Identifier: MIT */
/*
 * sockdiag - asks the kernel whose socket would receive what we are about to send
 *
 * Owner:    listener.c and udpmap.c, one each. Context: worker's loop thread; about
 *           5 us a question, answered at once. Host namespace.
 */
#ifndef NTM_BROKER_SOCKDIAG_H
#define NTM_BROKER_SOCKDIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "common/err.h"

struct sockdiag;

/** struct sockdiag_info - of one socket
 *  @inode: 0: a connection nobody has accepted yet, or TIME_WAIT
 *  @state: TCP_ESTABLISHED ... (netinet/tcp.h); UDP: TCP_CLOSE when unconnected */
struct sockdiag_info {
	uint64_t inode;
	uid_t uid;
	uint8_t state;
	uint8_t family;
	uint16_t port;
	bool wildcard; /* bound to no address */
};

NTM_MUST_CHECK int sockdiag_new(struct sockdiag **out);
void sockdiag_free(struct sockdiag *d);

/**
 * sockdiag_tcp() - the connection between @local and @remote, else the listener
 * that would get a connection from @remote
 * Return: 0, -NTM_ENOTFOUND, -NTM_ESYSTEM
 */
NTM_MUST_CHECK int sockdiag_tcp(struct sockdiag *d,
				const struct sockaddr *local,
				const struct sockaddr *remote,
				struct sockdiag_info *out);
/** the socket that would receive a datagram sent from @remote to @local */
NTM_MUST_CHECK int sockdiag_udp(struct sockdiag *d,
				const struct sockaddr *local,
				const struct sockaddr *remote,
				struct sockdiag_info *out);
/**
 * sockdiag_each() - all sockets of a kind, of all users of this namespace
 * @protocol: IPPROTO_TCP (listeners only) or IPPROTO_UDP; @family: AF_INET, AF_INET6
 */
NTM_MUST_CHECK int sockdiag_each(struct sockdiag *d, int family, int protocol,
				 void (*fn)(void *arg,
					    const struct sockdiag_info *info),
				 void *arg);

#endif
