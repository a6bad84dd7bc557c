/* SPDX-License-Identifier: MIT */
/*
 * swap - a host socket replaced by one of the namespace, under the same number
 *
 * Theory of operation
 *
 * The order matters (each other one loses something):
 *	look      is it a host socket, fresh, TCP or datagram?
 *	fetch     a namespace socket of the same kind, from the pool or by request
 *	copy      options, flags, signal owner, the port it is bound to
 *	detach    DEL the old file from every epoll set
 *	replace   dup3() with the old close-on-exec flag
 *	...       the real connect, bind or send, by the caller
 *	attach    ADD to the epoll sets, events and data as before
 * All signals are blocked from fetch to replace, so that no handler meets a
 * half-made socket. Another thread may close the descriptor between two steps:
 * the inode is compared just before dup3(). That leaves a window of some 100 ns,
 * since dup3() has no compare-and-swap.
 *
 * Not mendable: duplicates taken before the swap keep the host socket, and a
 * thread blocked on the old file stays there.
 */
#include "preload/swap.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "preload/brokerlink.h"
#include "preload/shim.h"
#include "preload/sys.h"

#define TCP_STATE_CLOSE 7 /* TCP_CLOSE of the kernel */

int sock_kind_read(int fd, struct sock_kind *kind)
{
	kind->domain = shim_int_option(fd, SOL_SOCKET, SO_DOMAIN, -1);
	if (kind->domain != AF_INET && kind->domain != AF_INET6)
		return -EAFNOSUPPORT;
	kind->type = shim_int_option(fd, SOL_SOCKET, SO_TYPE, -1);
	kind->protocol = shim_int_option(fd, SOL_SOCKET, SO_PROTOCOL, -1);
	return kind->type < 0 || kind->protocol < 0 ? -ENOTSOCK : 0;
}

static bool swap_sensible(int fd, struct sock_kind *kind)
{
	uint8_t state = TCP_STATE_CLOSE;
	socklen_t len = sizeof(state);

	if (!shim_sock_host(fd) || sock_kind_read(fd, kind) < 0)
		return false;
	if (kind->type == SOCK_DGRAM)
		return true;
	if (kind->type != SOCK_STREAM)
		return false;
	/* the first byte of struct tcp_info is the state */
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len) < 0 ||
	       state == TCP_STATE_CLOSE;
}

static int swap_fetch(int fd, const struct sock_kind *kind)
{
	struct shim_request req = {.op = SHIM_SOCKET,
				   .domain = (uint16_t)kind->domain,
				   .type = (uint16_t)kind->type,
				   .protocol = (uint16_t)kind->protocol};
	struct shim_answer ans;
	struct sock_kind got;
	int new = pool_take(kind);

	if (new < 0) {
		if (kind->domain == AF_INET6)
			req.v6only = shim_int_option(fd, IPPROTO_IPV6,
						     IPV6_V6ONLY, 0) == 1;
		if (broker_ask(&req, &ans, &new) < 0)
			return -1;
		pool_miss(kind);
	}
	/* a wrong answer must not put a stranger under the program's number */
	if (new >= 0 && (sock_kind_read(new, &got) < 0 ||
			 memcmp(&got, kind, sizeof(got)))) {
		sys_close(new);
		new = -1;
	}
	return new;
}

static int swap_bind(int new, const struct sock_kind *kind, uint16_t port)
{
	struct shim_addr any = {.family = (uint16_t)kind->domain, .port = port};
	struct sockaddr_storage ss;
	socklen_t len = shim_addr_to(&any, &ss);

	return real.bind(new, (struct sockaddr *)&ss, len);
}

/*
 * The port the program bound, on the wildcard: its address is one of the host's.
 * The broker may hold the port of a UDP socket, with SO_REUSEADDR, to deliver to
 * the socket that is being replaced. A port that is taken here was most often
 * ephemeral there, so another one will do.
 */
static void swap_port(int fd, int new, const struct sock_kind *kind)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct shim_addr local;
	int on = 1, was;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    shim_addr_from((struct sockaddr *)&ss, len, &local) < 0 ||
	    !local.port)
		return;
	was = shim_int_option(new, SOL_SOCKET, SO_REUSEADDR, 0);
	if (kind->type == SOCK_DGRAM && !was)
		real.setsockopt(new, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (swap_bind(new, kind, local.port) < 0)
		swap_bind(new, kind, 0);
	if (kind->type == SOCK_DGRAM && !was)
		real.setsockopt(new, SOL_SOCKET, SO_REUSEADDR, &was,
				sizeof(was));
}

int swap_over(int fd, int new, ino_t inode)
{
	int cloexec = fcntl(fd, F_GETFD), ret = 0;
	struct stat st;

	if (cloexec < 0 || fstat(fd, &st) < 0 || st.st_ino != inode)
		ret = -EBADF;
	else if (dup3(new, fd, cloexec & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
		ret = -errno;
	sys_close(new);
	return ret;
}

static bool swap_do(int fd, struct epoll_moved *moved)
{
	struct sock_kind kind;
	struct stat st;
	int new;

	if (!swap_sensible(fd, &kind) || fstat(fd, &st) < 0)
		return false;
	new = swap_fetch(fd, &kind);
	if (new < 0) {
		shim_page_refresh();
		return false;
	}
	sockopts_copy(fd, new, &kind, SOCKOPTS_SWAP);
	sockopts_copy_flags(fd, new);
	swap_port(fd, new, &kind);
	epoll_detach(fd, moved);
	return swap_over(fd, new, st.st_ino) == 0;
}

bool swap_socket(int fd, struct epoll_moved *moved)
{
	int saved = errno;
	uint64_t mask;
	bool done;

	moved->count = 0;
	mask = sys_signals_block();
	done = swap_do(fd, moved);
	sys_signals_restore(mask);
	errno = saved;
	return done;
}
