/* SPDX-License-Identifier: MIT */
/* connect - the hooks of connect() and bind() */
#include <errno.h>

#include "preload/accept.h"
#include "preload/exit.h"
#include "preload/shim.h"
#include "preload/swap.h"
#include "preload/udp.h"

SHIM_SLOW static int connect_virtual(int fd, const struct sockaddr *sa,
				     socklen_t len)
{
	struct sockaddr_storage alias;
	struct epoll_moved moved;
	socklen_t alias_len;
	int ret;

	if (udp_connect_alias(fd, sa, len, &alias, &alias_len))
		return real.connect(fd, (struct sockaddr *)&alias, alias_len);
	swap_socket(fd, &moved);
	ret = real.connect(fd, sa, len);
	epoll_attach(fd, &moved);
	return ret;
}

SHIM_SLOW static int connect_general(int fd, const struct sockaddr *sa,
				     socklen_t len)
{
	struct epoll_moved moved = {.count = 0};
	enum exit_way way = exit_way(fd, sa, len, true);
	int ret;

	if (way == EXIT_REFUSE ||
	    (way == EXIT_SWAP && !swap_socket(fd, &moved) &&
	     shim.exit == SHIM_EXIT_RELAY)) {
		errno = ENETUNREACH;
		return -1;
	}
	ret = real.connect(fd, sa, len);
	epoll_attach(fd, &moved);
	return ret;
}

int hook_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	if (shim_virtual(sa, len))
		return connect_virtual(fd, sa, len);
	if (exit_wanted(sa))
		return connect_general(fd, sa, len);
	return real.connect(fd, sa, len);
}

SHIM_SLOW static int bind_virtual(int fd, const struct sockaddr *sa,
				  socklen_t len)
{
	struct epoll_moved moved;
	int ret;

	swap_socket(fd, &moved);
	ret = real.bind(fd, sa, len);
	epoll_attach(fd, &moved);
	return ret;
}

SHIM_SLOW static int bind_wildcard(int fd, const struct sockaddr *sa,
				   socklen_t len)
{
	uint16_t port;
	int ret;

	if (!shim_wildcard(sa, len, &port) || !port ||
	    shim.listen == SHIM_LISTEN_REAL || !shim_page_or_map())
		return real.bind(fd, sa, len);
	if (shim.listen == SHIM_LISTEN_VIRTUAL)
		return bind_virtual(fd, sa, len);
	ret = real.bind(fd, sa, len);
	if (ret == 0)
		udp_announce_bound(fd);
	return ret;
}

int hook_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	if (shim_virtual(sa, len))
		return bind_virtual(fd, sa, len);
	if (shim_maybe_wildcard(sa, len))
		return bind_wildcard(fd, sa, len);
	return real.bind(fd, sa, len);
}
