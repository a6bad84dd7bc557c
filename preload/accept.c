/* SPDX-License-Identifier: MIT */
/*
 * accept - wildcard TCP listeners: announced, and their doorbells exchanged
 *
 * Theory of operation
 *
 * A listener on the wildcard stays on the host; listen() tells the broker, which
 * listens on the same port in the namespace, accepts there and then connects to
 * the program's listener from a reserved loopback address: the doorbell. The
 * program's accept() returns the doorbell; we exchange it for the accepted
 * connection. A peer's address in the reserved range proves nothing, anybody on
 * this host may use it: only the broker's answer to the exact four addresses
 * counts, and an imitation stays the ordinary local connection that it is.
 */
#include "preload/accept.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "preload/brokerlink.h"
#include "preload/many.h"
#include "preload/shim.h"
#include "preload/swap.h"
#include "preload/sys.h"

/* --- announcing ------------------------------------------------------------------ */

static void listen_announce(int fd, int backlog)
{
	struct shim_request req = {.op = SHIM_LISTEN};
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct shim_answer ans;
	struct sock_kind kind;
	struct stat st;
	uint16_t port;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    !shim_wildcard((struct sockaddr *)&ss, len, &port) || !port ||
	    sock_kind_read(fd, &kind) < 0 || kind.type != SOCK_STREAM ||
	    !shim_sock_host(fd) || fstat(fd, &st) < 0)
		return;
	req.domain = (uint16_t)kind.domain;
	req.type = (uint16_t)kind.type;
	req.protocol = (uint16_t)kind.protocol;
	req.backlog = backlog < 0 ? 0 : (uint32_t)backlog;
	req.inode = st.st_ino;
	if (kind.domain == AF_INET6)
		req.v6only =
			shim_int_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) == 1;
	req.defer = shim_int_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0) > 0;
	shim_addr_from((struct sockaddr *)&ss, len, &req.local);
	/* without a broker, or if it refuses: reachable on the host alone */
	broker_ask(&req, &ans, NULL);
}

/* NTM_LISTEN=virtual, and the port is still to be chosen: bind() did not know
 * whether the program would listen. */
static void listen_move(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct epoll_moved moved;
	uint16_t port;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    !shim_wildcard((struct sockaddr *)&ss, len, &port))
		return;
	swap_socket(fd, &moved);
	epoll_attach(fd, &moved);
}

int hook_listen(int fd, int backlog)
{
	int saved = errno, ret;

	if (shim.listen == SHIM_LISTEN_REAL || !shim_page_or_map())
		return real.listen(fd, backlog);
	if (shim.listen == SHIM_LISTEN_VIRTUAL) {
		listen_move(fd);
		errno = saved;
		return real.listen(fd, backlog);
	}
	ret = real.listen(fd, backlog);
	if (ret == 0) {
		listen_announce(fd, backlog);
		errno = saved;
	}
	return ret;
}

/* nginx and Apache ask for deferred accepts after listen(); a doorbell without
 * a byte would then not be heard. */
int hook_setsockopt(int fd, int level, int name, const void *value,
		    socklen_t len)
{
	int ret, saved;

	if (many_option(level, name))
		return many_setsockopt(fd, level, name, value, len);
	ret = real.setsockopt(fd, level, name, value, len);
	saved = errno;
	if (level != IPPROTO_TCP || name != TCP_DEFER_ACCEPT || ret < 0 ||
	    shim.listen != SHIM_LISTEN_BOTH || !shim_page())
		return ret;
	if (shim_int_option(fd, SOL_SOCKET, SO_ACCEPTCONN, 0) == 1)
		listen_announce(fd, SOMAXCONN);
	errno = saved;
	return ret;
}

/* --- exchanging -------------------------------------------------------------------- */

bool accept_doorbell(const struct sockaddr *sa, socklen_t len)
{
	static const uint8_t one[16] = {[15] = 1};
	struct shim_addr a;
	uint32_t ip;

	if (len < sizeof(struct sockaddr_in) ||
	    (sa->sa_family != AF_INET && sa->sa_family != AF_INET6) ||
	    shim_addr_from(sa, len, &a) < 0)
		return false;
	if (a.family == AF_INET6 && !memcmp(a.addr, one, sizeof(one)))
		return a.port >= SHIM_DOORBELL6_PORT;
	shim_addr_unmap(&a);
	memcpy(&ip, a.addr, 4);
	return a.family == AF_INET &&
	       (ntohl(ip) & SHIM_DOORBELL_MASK) == SHIM_DOORBELL_NET;
}

/* Ask for the connection behind doorbell @fd; -1: it is none. */
static int claim(int fd, const struct sockaddr_storage *peer, socklen_t len,
		 struct shim_answer *ans)
{
	struct shim_request req = {.op = SHIM_CLAIM};
	struct sockaddr_storage local;
	socklen_t local_len = sizeof(local);
	int got;

	if (getsockname(fd, (struct sockaddr *)&local, &local_len) < 0 ||
	    shim_addr_from((struct sockaddr *)&local, local_len, &req.local) <
		    0 ||
	    shim_addr_from((const struct sockaddr *)peer, len, &req.remote) < 0)
		return -1;
	/* a dual-stack listener sees the doorbell mapped; the broker does not */
	shim_addr_unmap(&req.local);
	shim_addr_unmap(&req.remote);
	return broker_ask(&req, ans, &got) < 0 ? -1 : got;
}

/* The connection's peer, or what the broker says it was. */
static void claim_peer(int fd, const struct shim_answer *ans,
		       struct sockaddr_storage *peer, socklen_t *len)
{
	*len = sizeof(*peer);
	if (getpeername(fd, (struct sockaddr *)peer, len) < 0)
		*len = shim_addr_to(&ans->addr, peer);
}

static void exchange(int fd, struct sockaddr_storage *peer, socklen_t *len)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct sock_kind kind, got;
	struct shim_answer ans;
	struct stat st;
	int new;

	if (sock_kind_read(fd, &kind) < 0 || fstat(fd, &st) < 0)
		return;
	new = claim(fd, peer, *len, &ans);
	if (new < 0)
		return;
	if (sock_kind_read(new, &got) < 0 || memcmp(&got, &kind, sizeof(got))) {
		sys_close(new);
		return;
	}
	sockopts_copy(fd, new, &kind, SOCKOPTS_ACCEPT);
	sockopts_copy_flags(fd, new);
	/* neither side keeps a TIME_WAIT for a doorbell */
	real.setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (swap_over(fd, new, st.st_ino) == 0)
		claim_peer(fd, &ans, peer, len);
}

/* Give the caller the address as the kernel would: cut to its buffer, with the
 * full length. */
static int accept_finish(int fd, struct sockaddr_storage *peer,
			 socklen_t peer_len, struct sockaddr *sa,
			 socklen_t *len)
{
	int saved = errno;
	uint64_t mask;

	if (accept_doorbell((struct sockaddr *)peer, peer_len)) {
		mask = sys_signals_block();
		exchange(fd, peer, &peer_len);
		sys_signals_restore(mask);
		errno = saved;
	}
	if (sa) {
		memcpy(sa, peer, *len < peer_len ? *len : peer_len);
		*len = peer_len;
	}
	return fd;
}

/* Where the kernel would complain of the arguments, let it. */
static bool accept_plain(const struct sockaddr *sa, const socklen_t *len)
{
	return !shim_page() || (sa && (!len || (int)*len < 0));
}

int hook_accept(int fd, struct sockaddr *sa, socklen_t *len)
{
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	int ret;

	if (accept_plain(sa, len))
		return real.accept(fd, sa, len);
	ret = real.accept(fd, (struct sockaddr *)&peer, &peer_len);
	return ret < 0 ? ret : accept_finish(ret, &peer, peer_len, sa, len);
}

int hook_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	int ret;

	if (accept_plain(sa, len))
		return real.accept4(fd, sa, len, flags);
	ret = real.accept4(fd, (struct sockaddr *)&peer, &peer_len, flags);
	return ret < 0 ? ret : accept_finish(ret, &peer, peer_len, sa, len);
}
