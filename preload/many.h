/* SPDX-License-Identifier: MIT */
/*
 * many - sockets that join a group, or leave it (docs/groups.md, Programs)
 *
 * Context: any thread. A membership in another group costs one look at its address.
 */
#ifndef NTM_PRELOAD_MANY_H
#define NTM_PRELOAD_MANY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/** many_is() - is it an address of many? A virtual one of these is a group's. */
static inline bool many_is(const struct sockaddr *sa)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;

	if (sa->sa_family == AF_INET)
		return IN_MULTICAST(ntohl(in->sin_addr.s_addr));
	if (sa->sa_family != AF_INET6)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return IN_MULTICAST(ntohl(in6->sin6_addr.s6_addr32[3]));
	return IN6_IS_ADDR_MULTICAST(&in6->sin6_addr);
}

/** many_option() - may this socket option name a group, or a way to one? */
static inline bool many_option(int level, int name)
{
	if (level == IPPROTO_IP)
		return name == IP_MULTICAST_IF ||
		       (name >= IP_ADD_MEMBERSHIP &&
			name <= MCAST_LEAVE_SOURCE_GROUP);
	return level == IPPROTO_IPV6 &&
	       (name == IPV6_MULTICAST_IF || name == IPV6_JOIN_GROUP ||
		name == IPV6_LEAVE_GROUP ||
		(name >= MCAST_JOIN_GROUP && name <= MCAST_LEAVE_SOURCE_GROUP));
}

/** many_setsockopt() - setsockopt() of such an option */
int many_setsockopt(int fd, int level, int name, const void *value,
		    socklen_t len);

#endif
