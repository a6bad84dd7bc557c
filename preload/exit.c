/* SPDX-License-Identifier: MIT */
/*
 * exit - hosts that are no nodes, reached through the domain's exit
 *
 * Theory of operation
 *
 * Under `ntm-run --exit` a connect() or a send to an address that is not virtual asks
 * the worker once whether this host is reached through the exit. If so, the socket is
 * swapped like one that goes to a peer (swap.c): in the namespace all routes lead to the
 * worker. So the question comes before the first packet and the answer holds for the
 * life of the socket.
 *
 * What stays direct: stream sockets that listen or are connected; datagram sockets that
 * are bound to an address; those bound to the wildcard, which may be servers, unless
 * they connect() and nothing waits in them. A program that sends from one socket to
 * hosts near and far keeps the way of the first.
 */
#include "preload/exit.h"

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "preload/brokerlink.h"

/* this host, for which no question is needed */
static bool is_loopback(const struct shim_addr *a)
{
	static const uint8_t zero[15];

	if (a->family == AF_INET)
		return a->addr[0] == 127 || !a->addr[0];
	return !memcmp(a->addr, zero, 15) && a->addr[15] <= 1;
}

/* Is it one that may be replaced, as far as it itself tells? */
static bool is_client(int fd, bool connects)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	uint16_t port = 0;
	bool wild;
	int type;
	char c;

	type = shim_int_option(fd, SOL_SOCKET, SO_TYPE, -1);
	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return false;
	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    !shim_sock_host(fd))
		return false;
	wild = shim_wildcard((struct sockaddr *)&ss, len, &port);
	/* a stream's state is looked at by swap_socket() */
	if (type == SOCK_STREAM)
		return wild;
	len = sizeof(ss);
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
		return false;
	if (!port)
		return true;
	return wild && connects &&
	       real.recvfrom(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) <
		       0;
}

static enum exit_way ask(const struct shim_addr *to)
{
	struct shim_request req = {
		.op = SHIM_EXIT, .type = (uint16_t)shim.exit, .remote = *to};
	struct shim_answer ans;

	if (broker_ask(&req, &ans, NULL))
		return shim.exit == SHIM_EXIT_RELAY ? EXIT_REFUSE : EXIT_DIRECT;
	return !ans.err			 ? EXIT_SWAP
	       : ans.err == NTM_ENOTOURS ? EXIT_DIRECT
					 : EXIT_REFUSE;
}

enum exit_way exit_way(int fd, const struct sockaddr *sa, socklen_t len,
		       bool connects)
{
	enum exit_way way = EXIT_DIRECT;
	int saved = errno;
	struct shim_addr to;

	if (shim_addr_from(sa, len, &to) == 0) {
		shim_addr_unmap(&to);
		if (!is_loopback(&to) && is_client(fd, connects))
			way = ask(&to);
	}
	errno = saved;
	return way;
}
