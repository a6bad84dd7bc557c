/* SPDX-License-Identifier: MIT */
/*
 * many - sockets that join a group, or leave it
 *
 * Theory of operation
 *
 * A group's packets come to the namespace, so a socket that joins one is swapped, and
 * keeps its port. The interface that a program names, by address or number, is one of
 * the host: in its place stands none, and the namespace has but one that leads
 * anywhere. The same holds for IP_MULTICAST_IF and IPV6_MULTICAST_IF of a socket that
 * was swapped; what was set before is not carried over.
 */
#include "preload/many.h"

#include <stddef.h>
#include <string.h>

#include "preload/shim.h"
#include "preload/swap.h"

/** union membership - what these options hold, a copy */
union membership {
	struct ip_mreq four;
	struct ip_mreqn four_n;
	struct ip_mreq_source four_source;
	struct ipv6_mreq six;
	struct group_req any;
	struct group_source_req any_source;
};

/* The least that an option must hold, to name a group; 0: it names none */
static size_t least(int level, int name)
{
	switch (name) {
	case MCAST_JOIN_GROUP:
	case MCAST_LEAVE_GROUP:
		return sizeof(struct group_req);
	case MCAST_JOIN_SOURCE_GROUP:
	case MCAST_LEAVE_SOURCE_GROUP:
	case MCAST_BLOCK_SOURCE:
	case MCAST_UNBLOCK_SOURCE:
		return sizeof(struct group_source_req);
	default:
		break;
	}
	if (level == IPPROTO_IPV6)
		return name == IPV6_MULTICAST_IF ? 0 : sizeof(struct ipv6_mreq);
	switch (name) {
	case IP_ADD_MEMBERSHIP:
	case IP_DROP_MEMBERSHIP:
		return sizeof(struct ip_mreq);
	case IP_ADD_SOURCE_MEMBERSHIP:
	case IP_DROP_SOURCE_MEMBERSHIP:
	case IP_BLOCK_SOURCE:
	case IP_UNBLOCK_SOURCE:
		return sizeof(struct ip_mreq_source);
	default:
		return 0;
	}
}

/* Take the interface out of @m, and say which group it is. */
static void group_of(int level, int name, size_t size, union membership *m,
		     struct sockaddr_storage *group)
{
	struct sockaddr_in6 *in6 = (void *)group;
	struct sockaddr_in *in = (void *)group;

	memset(group, 0, sizeof(*group));
	if (size >= sizeof(m->any)) {
		m->any.gr_interface = 0;
		*group = m->any.gr_group;
	} else if (level == IPPROTO_IPV6) {
		m->six.ipv6mr_interface = 0;
		in6->sin6_family = AF_INET6;
		in6->sin6_addr = m->six.ipv6mr_multiaddr;
	} else {
		in->sin_family = AF_INET;
		in->sin_addr = m->four.imr_multiaddr;
		m->four.imr_interface.s_addr = 0;
		if (name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP)
			m->four_n.imr_ifindex = 0;
	}
}

/* The way of a swapped socket: none of the host's */
static int way_set(int fd, int level, int name, const void *value,
		   socklen_t len)
{
	static const struct ip_mreqn none;
	int saved = errno;
	bool host = !shim_page() || shim_sock_host(fd);

	errno = saved;
	if (host || len > sizeof(none))
		return real.setsockopt(fd, level, name, value, len);
	return real.setsockopt(fd, level, name, &none, len);
}

int many_setsockopt(int fd, int level, int name, const void *value,
		    socklen_t len)
{
	size_t size = least(level, name);
	struct sockaddr_storage group;
	struct epoll_moved moved;
	union membership m;
	int saved = errno, ret;

	if (!size)
		return way_set(fd, level, name, value, len);
	if (!value || len < size)
		return real.setsockopt(fd, level, name, value, len);
	memset(&m, 0, sizeof(m));
	memcpy(&m, value, len < sizeof(m) ? len : sizeof(m));
	group_of(level, name, size, &m, &group);
	if (!shim_virtual((struct sockaddr *)&group,
			  group.ss_family == AF_INET
				  ? sizeof(struct sockaddr_in)
				  : sizeof(struct sockaddr_in6)))
		return real.setsockopt(fd, level, name, value, len);
	swap_socket(fd, &moved);
	/* no broker: as on the host */
	if (!shim_sock_host(fd)) {
		value = &m;
		len = len < sizeof(m) ? len : sizeof(m);
	}
	errno = saved;
	ret = real.setsockopt(fd, level, name, value, len);
	epoll_attach(fd, &moved);
	return ret;
}
