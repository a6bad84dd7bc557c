/* SPDX-License-Identifier: MIT */
/* sockopts - socket options carried from one socket to another */
#include "preload/sockopts.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <string.h>

#include "preload/real.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#define BUF_LOCK_SND 1
#define BUF_LOCK_RCV 2
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define OPTION_MAX                                                             \
	16 /* bytes of the largest: struct timeval, congestion name */

/* which sockets an option is for, and in which case it is copied */
enum {
	FOR_TCP = 1,
	FOR_UDP = 2,
	FOR_ALL = FOR_TCP | FOR_UDP,
	ONLY_V6 = 4,
	INHERIT = 8, /* accept() copies it from the listener */
};

/*
 * @usual is what most kernels give a fresh socket. It only saves a look at the
 * new socket; if it is wrong, both sockets are compared.
 */
static const struct option {
	short level, name, flags, size;
	int usual;
} options[] = {
	{SOL_SOCKET, SO_REUSEADDR, FOR_ALL, 4, 0},
	{SOL_SOCKET, SO_REUSEPORT, FOR_ALL, 4, 0},
	{SOL_SOCKET, SO_KEEPALIVE, FOR_TCP | INHERIT, 4, 0},
	{SOL_SOCKET, SO_LINGER, FOR_TCP | INHERIT, sizeof(struct linger), 0},
	{SOL_SOCKET, SO_OOBINLINE, FOR_TCP | INHERIT, 4, 0},
	{SOL_SOCKET, SO_RCVLOWAT, FOR_TCP | INHERIT, 4, 1},
	{SOL_SOCKET, SO_RCVTIMEO, FOR_ALL | INHERIT, sizeof(struct timeval), 0},
	{SOL_SOCKET, SO_SNDTIMEO, FOR_ALL | INHERIT, sizeof(struct timeval), 0},
	{SOL_SOCKET, SO_BROADCAST, FOR_UDP, 4, 0},
	{SOL_SOCKET, SO_TIMESTAMP, FOR_UDP, 4, 0},
	{SOL_SOCKET, SO_TIMESTAMPNS, FOR_UDP, 4, 0},
	{SOL_SOCKET, SO_RXQ_OVFL, FOR_UDP, 4, 0},
	{SOL_SOCKET, SO_ZEROCOPY, FOR_ALL | INHERIT, 4, 0},
	{IPPROTO_IP, IP_TOS, FOR_ALL | INHERIT, 4, 0},
	{IPPROTO_IP, IP_TTL, FOR_ALL | INHERIT, 4, 64},
	{IPPROTO_IP, IP_MTU_DISCOVER, FOR_ALL | INHERIT, 4, IP_PMTUDISC_WANT},
	{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, FOR_ALL, 4, 0},
	{IPPROTO_IP, IP_RECVERR, FOR_UDP, 4, 0},
	{IPPROTO_IP, IP_PKTINFO, FOR_UDP, 4, 0},
	{IPPROTO_IP, IP_RECVTOS, FOR_UDP, 4, 0},
	{IPPROTO_IP, IP_RECVTTL, FOR_UDP, 4, 0},
	{IPPROTO_IP, IP_MULTICAST_TTL, FOR_UDP, 4, 1},
	{IPPROTO_IP, IP_MULTICAST_LOOP, FOR_UDP, 4, 1},
	{IPPROTO_IPV6, IPV6_V6ONLY, FOR_ALL | ONLY_V6, 4, 0},
	{IPPROTO_IPV6, IPV6_TCLASS, FOR_ALL | ONLY_V6 | INHERIT, 4, 0},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, FOR_ALL | ONLY_V6 | INHERIT, 4, 64},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER, FOR_UDP | ONLY_V6, 4,
	 IP_PMTUDISC_WANT},
	{IPPROTO_IPV6, IPV6_RECVERR, FOR_UDP | ONLY_V6, 4, 0},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO, FOR_UDP | ONLY_V6, 4, 0},
	{IPPROTO_IPV6, IPV6_RECVTCLASS, FOR_UDP | ONLY_V6, 4, 0},
	{IPPROTO_IPV6, IPV6_RECVHOPLIMIT, FOR_UDP | ONLY_V6, 4, 0},
	{IPPROTO_IPV6, IPV6_DONTFRAG, FOR_UDP | ONLY_V6, 4, 0},
	{IPPROTO_IPV6, IPV6_MULTICAST_HOPS, FOR_UDP | ONLY_V6, 4, 1},
	{IPPROTO_IPV6, IPV6_MULTICAST_LOOP, FOR_UDP | ONLY_V6, 4, 1},
	{IPPROTO_TCP, TCP_NODELAY, FOR_TCP | INHERIT, 4, 0},
	{IPPROTO_TCP, TCP_CORK, FOR_TCP | INHERIT, 4, 0},
	{IPPROTO_TCP, TCP_MAXSEG, FOR_TCP, 4, 536},
	{IPPROTO_TCP, TCP_KEEPIDLE, FOR_TCP | INHERIT, 4, 7200},
	{IPPROTO_TCP, TCP_KEEPINTVL, FOR_TCP | INHERIT, 4, 75},
	{IPPROTO_TCP, TCP_KEEPCNT, FOR_TCP | INHERIT, 4, 9},
	{IPPROTO_TCP, TCP_SYNCNT, FOR_TCP, 4, 6},
	{IPPROTO_TCP, TCP_LINGER2, FOR_TCP | INHERIT, 4, 60},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT, FOR_TCP, 4, 0},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, FOR_TCP | INHERIT, 4, 0},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, FOR_TCP | INHERIT, 4, 0},
	{IPPROTO_TCP, TCP_FASTOPEN_CONNECT, FOR_TCP, 4, 0},
	{IPPROTO_TCP, TCP_CONGESTION, FOR_TCP | INHERIT, OPTION_MAX, -1},
	{IPPROTO_UDP, UDP_CORK, FOR_UDP, 4, 0},
	{IPPROTO_UDP, UDP_SEGMENT, FOR_UDP, 4, 0},
	{IPPROTO_UDP, UDP_GRO, FOR_UDP, 4, 0},
};

static bool option_usual(const struct option *o, const void *value,
			 socklen_t len)
{
	static const char zero[OPTION_MAX];
	int v;

	if (o->size == 4) {
		memcpy(&v, value, sizeof(v));
		return v == o->usual;
	}
	return o->usual == 0 && !memcmp(value, zero, len);
}

static void option_copy(const struct option *o, int from, int to)
{
	char old[OPTION_MAX] = {0}, new[OPTION_MAX] = {0};
	socklen_t old_len = (socklen_t)o->size, new_len = old_len;

	if (getsockopt(from, o->level, o->name, old, &old_len) < 0 ||
	    option_usual(o, old, old_len))
		return;
	if (getsockopt(to, o->level, o->name, new, &new_len) == 0 &&
	    new_len == old_len && !memcmp(old, new, old_len))
		return;
	real.setsockopt(to, o->level, o->name, old, old_len);
}

/* Buffers adapt unless the program set them, and the kernel knows whether it
 * did. It shows twice what was set. */
static void buffers_copy(int from, int to)
{
	static const struct {
		int lock, name;
	} buffers[] = {{BUF_LOCK_SND, SO_SNDBUF}, {BUF_LOCK_RCV, SO_RCVBUF}};
	socklen_t len = sizeof(int);
	int locked = 0, size;
	size_t i;

	if (getsockopt(from, SOL_SOCKET, SO_BUF_LOCK, &locked, &len) < 0)
		return;
	for (i = 0; i < 2; i++) {
		len = sizeof(size);
		if (!(locked & buffers[i].lock) ||
		    getsockopt(from, SOL_SOCKET, buffers[i].name, &size, &len) <
			    0)
			continue;
		size /= 2;
		real.setsockopt(to, SOL_SOCKET, buffers[i].name, &size,
				sizeof(size));
	}
}

void sockopts_copy(int from, int to, const struct sock_kind *kind,
		   enum sockopts_case why)
{
	int wanted = kind->type == SOCK_STREAM ? FOR_TCP : FOR_UDP;
	size_t i;

	buffers_copy(from, to);
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const struct option *o = &options[i];

		if (!(o->flags & wanted) ||
		    ((o->flags & ONLY_V6) && kind->domain != AF_INET6) ||
		    (why == SOCKOPTS_ACCEPT && !(o->flags & INHERIT)) ||
		    (o->level == IPPROTO_UDP && kind->protocol != IPPROTO_UDP))
			continue;
		option_copy(o, from, to);
	}
}

void sockopts_copy_flags(int from, int to)
{
	struct f_owner_ex owner = {0};
	int flags = fcntl(from, F_GETFL), sig;

	if (fcntl(from, F_GETOWN_EX, &owner) == 0 && owner.pid != 0) {
		fcntl(to, F_SETOWN_EX, &owner);
		sig = fcntl(from, F_GETSIG);
		if (sig > 0)
			fcntl(to, F_SETSIG, sig);
	}
	flags &= O_NONBLOCK | O_ASYNC;
	if (flags > 0)
		fcntl(to, F_SETFL, flags);
}
