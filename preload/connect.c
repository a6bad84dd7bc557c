/* SPDX-License-Identifier: MIT */
/* connect - the hooks of connect() and bind() */
#include "preload/accept.h"
#include "preload/shim.h"
#include "preload/swap.h"
#include "preload/udp.h"

int hook_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct epoll_moved moved;
	int ret;

	if (!shim_virtual(sa, len))
		return real.connect(fd, sa, len);
	swap_socket(fd, &moved);
	ret = real.connect(fd, sa, len);
	epoll_attach(fd, &moved);
	return ret;
}

static int bind_swapped(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct epoll_moved moved;
	int ret;

	swap_socket(fd, &moved);
	ret = real.bind(fd, sa, len);
	epoll_attach(fd, &moved);
	return ret;
}

int hook_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	uint16_t port;
	int ret;

	if (shim_virtual(sa, len))
		return bind_swapped(fd, sa, len);
	if (!sa || !shim_wildcard(sa, len, &port) || !port ||
	    shim.listen == SHIM_LISTEN_REAL || !shim_page_or_map())
		return real.bind(fd, sa, len);
	if (shim.listen == SHIM_LISTEN_VIRTUAL)
		return bind_swapped(fd, sa, len);
	ret = real.bind(fd, sa, len);
	if (ret == 0)
		udp_announce_bound(fd);
	return ret;
}
