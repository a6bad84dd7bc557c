/* SPDX-License-Identifier: MIT */
/*
 * udp - datagrams to and from virtual peers
 *
 * Theory of operation
 *
 * A socket without a port that sends to a virtual address is a client: it is
 * swapped. One bound to the wildcard may be a server and stays on the host, so
 * that it serves both networks: the broker stands between, one loopback address
 * (an alias) for each peer. Sends to a virtual address go to the peer's alias;
 * what comes from an alias is shown as coming from the peer. The table of aliases
 * is in the shared page: a known peer costs no request.
 *
 * The source of a datagram is translated only if address and port are exactly
 * those of a live alias of this socket's port; the port is held by the broker, so
 * nobody else can send from there.
 */
#include "preload/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "preload/exit.h"
#include "preload/many.h"
#include "preload/shim.h"
#include "preload/swap.h"
#include "preload/udp_sock.h"

#define BATCH	 8    /* messages translated at a time, on the stack */
#define VLEN_MAX 1024 /* UIO_MAXIOV: the kernel looks at no more */

void udp_announce_bound(int fd)
{
	struct udp_sock s = {0};
	int saved = errno;

	if (shim_int_option(fd, SOL_SOCKET, SO_TYPE, -1) == SOCK_DGRAM &&
	    udp_sock_route(fd, 0, &s) == UDP_MAP)
		udp_sock_announce(fd, &s);
	errno = saved;
}

/*
 * A server may look at a peer's first datagram (MSG_PEEK), then connect to where it
 * came from. What waits in its socket would be lost with a swap, so it is connected
 * to the alias instead; only getpeername() tells the difference.
 */
bool udp_connect_alias(int fd, const struct sockaddr *sa, socklen_t len,
		       struct sockaddr_storage *to, socklen_t *to_len)
{
	struct udp_sock s = {0};
	int saved = errno;
	bool use;
	char c;

	if (many_is(sa))
		return false; /* no alias stands for many */
	use = shim_int_option(fd, SOL_SOCKET, SO_TYPE, -1) == SOCK_DGRAM &&
	      udp_sock_route(fd, 0, &s) == UDP_MAP &&
	      real.recvfrom(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) >=
		      0 &&
	      udp_sock_alias(fd, &s, sa, len, to, to_len) == 0;
	errno = saved;
	return use;
}

/* --- sending ------------------------------------------------------------------------ */

/**
 * struct passage - where a send goes in place of a virtual address
 * @len: 0: to the address as it is (swapped, or no broker)
 */
struct passage {
	struct sockaddr_storage to;
	socklen_t len;
	struct epoll_moved moved;
};

/* 0, or -errno to be shown to the program. Keeps errno. */
static int passage_find(int fd, int flags, const struct sockaddr *sa,
			socklen_t len, struct passage *p)
{
	int saved = errno, ret = 0;
	struct udp_sock s = {0};

	p->len = 0;
	p->moved.count = 0;
	switch (udp_sock_route(fd, flags, &s)) {
	case UDP_REAL:
		break;
	case UDP_SWAP:
		swap_socket(fd, &p->moved);
		break;
	case UDP_MAP:
		if (many_is(sa)) {
			swap_socket(fd, &p->moved);
			break;
		}
		ret = udp_sock_alias(fd, &s, sa, len, &p->to, &p->len);
		if (ret == -ENOENT)
			ret = 0;
		break;
	}
	errno = saved;
	return ret;
}

SHIM_SLOW static ssize_t sendto_virtual(int fd, const void *buf, size_t n,
					int flags, const struct sockaddr *sa,
					socklen_t len)
{
	struct passage p;
	ssize_t ret;
	int err;

	err = passage_find(fd, flags, sa, len, &p);
	if (err) {
		errno = -err;
		return -1;
	}
	if (p.len) {
		sa = (struct sockaddr *)&p.to;
		len = p.len;
	}
	ret = real.sendto(fd, buf, n, flags, sa, len);
	epoll_attach(fd, &p.moved);
	return ret;
}

/* Under --exit, before a send to a general host. false: with errno, not at all */
SHIM_SLOW static bool general_prepare(int fd, const struct sockaddr *sa,
				      socklen_t len, struct epoll_moved *moved)
{
	moved->count = 0;
	switch (exit_way(fd, sa, len, false)) {
	case EXIT_DIRECT:
		return true;
	case EXIT_SWAP:
		if (swap_socket(fd, moved) || shim.exit != SHIM_EXIT_RELAY)
			return true;
		break;
	case EXIT_REFUSE:
		break;
	}
	errno = ENETUNREACH;
	return false;
}

SHIM_SLOW static ssize_t sendto_general(int fd, const void *buf, size_t n,
					int flags, const struct sockaddr *sa,
					socklen_t len)
{
	struct epoll_moved moved;
	ssize_t ret;

	if (!general_prepare(fd, sa, len, &moved))
		return -1;
	ret = real.sendto(fd, buf, n, flags, sa, len);
	epoll_attach(fd, &moved);
	return ret;
}

ssize_t hook_sendto(int fd, const void *buf, size_t n, int flags,
		    const struct sockaddr *sa, socklen_t len)
{
	if (shim_virtual(sa, len))
		return sendto_virtual(fd, buf, n, flags, sa, len);
	if (exit_wanted(sa))
		return sendto_general(fd, buf, n, flags, sa, len);
	return real.sendto(fd, buf, n, flags, sa, len);
}

SHIM_SLOW static ssize_t sendmsg_virtual(int fd, const struct msghdr *msg,
					 int flags)
{
	struct passage p;
	struct msghdr m;
	ssize_t ret;
	int err;

	err = passage_find(fd, flags, msg->msg_name, msg->msg_namelen, &p);
	if (err) {
		errno = -err;
		return -1;
	}
	m = *msg;
	if (p.len) {
		m.msg_name = &p.to;
		m.msg_namelen = p.len;
	}
	ret = real.sendmsg(fd, &m, flags);
	epoll_attach(fd, &p.moved);
	return ret;
}

SHIM_SLOW static ssize_t sendmsg_general(int fd, const struct msghdr *msg,
					 int flags)
{
	struct epoll_moved moved;
	ssize_t ret;

	if (!general_prepare(fd, msg->msg_name, msg->msg_namelen, &moved))
		return -1;
	ret = real.sendmsg(fd, msg, flags);
	epoll_attach(fd, &moved);
	return ret;
}

ssize_t hook_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (msg && shim_virtual(msg->msg_name, msg->msg_namelen))
		return sendmsg_virtual(fd, msg, flags);
	if (msg && exit_wanted(msg->msg_name))
		return sendmsg_general(fd, msg, flags);
	return real.sendmsg(fd, msg, flags);
}

/* Copies of up to BATCH messages with aliases for virtual names. Returns how
 * many, or -errno if the very first cannot go. */
static int batch_fill(int fd, const struct udp_sock *s,
		      const struct mmsghdr *vec, unsigned int n,
		      struct mmsghdr out[BATCH],
		      struct sockaddr_storage to[BATCH])
{
	const struct sockaddr *sa;
	unsigned int i;
	socklen_t len;
	int ret;

	for (i = 0; i < n && i < BATCH; i++) {
		out[i] = vec[i];
		sa = vec[i].msg_hdr.msg_name;
		len = vec[i].msg_hdr.msg_namelen;
		if (!shim_virtual(sa, len))
			continue;
		ret = udp_sock_alias(fd, s, sa, len, &to[i], &len);
		if (ret == -ENOENT)
			continue;
		if (ret < 0)
			return i ? (int)i : ret;
		out[i].msg_hdr.msg_name = &to[i];
		out[i].msg_hdr.msg_namelen = len;
	}
	return (int)i;
}

static int batches_send(int fd, const struct udp_sock *s, struct mmsghdr *vec,
			unsigned int n, int flags)
{
	struct sockaddr_storage to[BATCH];
	struct mmsghdr copy[BATCH];
	unsigned int done = 0;
	int saved = errno, count, sent, i;

	while (done < n) {
		count = batch_fill(fd, s, vec + done, n - done, copy, to);
		errno = saved;
		if (count < 0) {
			if (done)
				break;
			errno = -count;
			return -1;
		}
		sent = real.sendmmsg(fd, copy, (unsigned int)count, flags);
		if (sent < 0 && !done)
			return -1;
		for (i = 0; i < sent; i++)
			vec[done + (unsigned int)i].msg_len = copy[i].msg_len;
		if (sent > 0)
			done += (unsigned int)sent;
		if (sent < count)
			break;
	}
	errno = saved;
	return (int)done;
}

/* is one of them to a group? */
static bool batch_is_many(const struct mmsghdr *vec, unsigned int n)
{
	const struct msghdr *m;

	for (unsigned int i = 0; i < n && i < VLEN_MAX; i++) {
		m = &vec[i].msg_hdr;
		if (shim_virtual(m->msg_name, m->msg_namelen) &&
		    many_is(m->msg_name))
			return true;
	}
	return false;
}

SHIM_SLOW static int sendmmsg_virtual(int fd, struct mmsghdr *vec,
				      unsigned int n, int flags)
{
	struct udp_sock s = {0};
	struct epoll_moved moved;
	int saved = errno, ret;
	enum udp_route route;

	route = udp_sock_route(fd, flags, &s);
	errno = saved;
	if (route == UDP_MAP && batch_is_many(vec, n))
		route = UDP_SWAP;
	if (route == UDP_MAP)
		return batches_send(fd, &s, vec, n, flags);
	moved.count = 0;
	if (route == UDP_SWAP)
		swap_socket(fd, &moved);
	ret = real.sendmmsg(fd, vec, n, flags);
	epoll_attach(fd, &moved);
	return ret;
}

/* the first one decides for all */
SHIM_SLOW static int sendmmsg_general(int fd, struct mmsghdr *vec,
				      unsigned int n, int flags)
{
	const struct msghdr *m = &vec[0].msg_hdr;
	struct epoll_moved moved;
	int ret;

	if (!general_prepare(fd, m->msg_name, m->msg_namelen, &moved))
		return -1;
	ret = real.sendmmsg(fd, vec, n, flags);
	epoll_attach(fd, &moved);
	return ret;
}

int hook_sendmmsg(int fd, struct mmsghdr *vec, unsigned int n, int flags)
{
	unsigned int i;

	if (!vec)
		return real.sendmmsg(fd, vec, n, flags);
	for (i = 0; i < n && i < VLEN_MAX; i++)
		if (shim_virtual(vec[i].msg_hdr.msg_name,
				 vec[i].msg_hdr.msg_namelen))
			return sendmmsg_virtual(fd, vec, n, flags);
	if (n && exit_wanted(vec[0].msg_hdr.msg_name))
		return sendmmsg_general(fd, vec, n, flags);
	return real.sendmmsg(fd, vec, n, flags);
}

/* --- receiving ------------------------------------------------------------------------ */

/* May @sa be an alias? The few bytes that decide it, without decoding. */
static bool source_suspect(const struct sockaddr *sa, socklen_t len)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;
	uint32_t ip;

	if (len < sizeof(*in))
		return false;
	if (sa->sa_family == AF_INET) {
		ip = ntohl(in->sin_addr.s_addr);
	} else if (sa->sa_family == AF_INET6 && len >= sizeof(*in6)) {
		if (IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr))
			return ntohs(in6->sin6_port) >= SHIM_UDPALIAS6_PORT;
		if (!IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			return false;
		ip = ntohl(in6->sin6_addr.s6_addr32[3]);
	} else {
		return false;
	}
	return (ip & SHIM_UDPALIAS_MASK) == SHIM_UDPALIAS_NET;
}

static ssize_t recvfrom_own(int fd, void *buf, size_t n, int flags,
			    struct sockaddr *sa, socklen_t *len)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = sizeof(ss);
	ssize_t ret;

	ret = real.recvfrom(fd, buf, n, flags, (struct sockaddr *)&ss, &ss_len);
	if (ret < 0)
		return ret;
	if (source_suspect((struct sockaddr *)&ss, ss_len))
		udp_sock_unalias(fd, (struct sockaddr *)&ss, &ss_len);
	memcpy(sa, &ss, *len < ss_len ? *len : ss_len);
	*len = ss_len;
	return ret;
}

ssize_t hook_recvfrom(int fd, void *buf, size_t n, int flags,
		      struct sockaddr *sa, socklen_t *len)
{
	ssize_t ret;

	if (!sa || !len || (int)*len < 0 || !shim_page())
		return real.recvfrom(fd, buf, n, flags, sa, len);
	if (*len < sizeof(struct sockaddr_in6))
		return recvfrom_own(fd, buf, n, flags, sa, len);
	ret = real.recvfrom(fd, buf, n, flags, sa, len);
	if (ret >= 0 && source_suspect(sa, *len))
		udp_sock_unalias(fd, sa, len);
	return ret;
}

ssize_t hook___recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags,
			    struct sockaddr *sa, socklen_t *len)
{
	/* libc's own check ends the program; that is its business */
	if (n > size)
		return real.__recvfrom_chk(fd, buf, n, size, flags, sa, len);
	return hook_recvfrom(fd, buf, n, flags, sa, len);
}

static ssize_t recvmsg_own(int fd, struct msghdr *msg, int flags)
{
	struct msghdr m = *msg;
	struct sockaddr_storage ss;
	socklen_t len;
	ssize_t ret;

	m.msg_name = &ss;
	m.msg_namelen = sizeof(ss);
	ret = real.recvmsg(fd, &m, flags);
	if (ret < 0)
		return ret;
	len = m.msg_namelen;
	if (source_suspect((struct sockaddr *)&ss, len))
		udp_sock_unalias(fd, (struct sockaddr *)&ss, &len);
	memcpy(msg->msg_name, &ss,
	       msg->msg_namelen < len ? msg->msg_namelen : len);
	msg->msg_namelen = len;
	msg->msg_controllen = m.msg_controllen;
	msg->msg_flags = m.msg_flags;
	return ret;
}

ssize_t hook_recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t ret;

	if (!msg || !msg->msg_name || (int)msg->msg_namelen < 0 || !shim_page())
		return real.recvmsg(fd, msg, flags);
	if (msg->msg_namelen < sizeof(struct sockaddr_in6))
		return recvmsg_own(fd, msg, flags);
	ret = real.recvmsg(fd, msg, flags);
	if (ret >= 0 && source_suspect(msg->msg_name, msg->msg_namelen))
		udp_sock_unalias(fd, msg->msg_name, &msg->msg_namelen);
	return ret;
}

/* The kernel overwrites the sizes of the name buffers, so they are noted first.
 * A buffer too small for its family's sockaddr is left as received. */
int hook_recvmmsg(int fd, struct mmsghdr *vec, unsigned int n, int flags,
		  struct timespec *timeout)
{
	unsigned char room[VLEN_MAX];
	struct msghdr *m;
	unsigned int i;
	int ret;

	if (!vec || !shim_page())
		return real.recvmmsg(fd, vec, n, flags, timeout);
	if (n > VLEN_MAX)
		n = VLEN_MAX;
	for (i = 0; i < n; i++) {
		m = &vec[i].msg_hdr;
		room[i] = !m->msg_name ? 0
			  : m->msg_namelen > 255
				  ? 255
				  : (unsigned char)m->msg_namelen;
	}
	ret = real.recvmmsg(fd, vec, n, flags, timeout);
	for (i = 0; ret > 0 && i < (unsigned int)ret; i++) {
		m = &vec[i].msg_hdr;
		if (room[i] >= m->msg_namelen &&
		    room[i] >= sizeof(struct sockaddr_in) &&
		    source_suspect(m->msg_name, m->msg_namelen))
			udp_sock_unalias(fd, m->msg_name, &m->msg_namelen);
	}
	return ret;
}

/* --- syscall() ------------------------------------------------------------------------- */

/*
 * libuv before 1.45 sends and receives datagrams this way. Everything else is
 * handed on with six arguments, read or not, as libc's own does: a tail call, so
 * that even a system call that returns on another stack finds its way.
 */
long hook_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	if (nr == SYS_sendmmsg)
		return hook_sendmmsg((int)a, (struct mmsghdr *)b,
				     (unsigned int)c, (int)d);
	if (nr == SYS_recvmmsg)
		return hook_recvmmsg((int)a, (struct mmsghdr *)b,
				     (unsigned int)c, (int)d,
				     (struct timespec *)e);
	return real.syscall(nr, a, b, c, d, e, f);
}
