/* SPDX-License-Identifier: MIT */
/* brokerlink - requests to the broker */
#include "preload/brokerlink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/rundir.h"
#include "preload/shim.h"
#include "preload/sys.h"

#define NS_PER_MS INT64_C(1000000)

/* the two servers named in requests.def */
#define KEEPER SHIM_KEEPER_SOCKET
#define BROKER SHIM_BROKER_SOCKET

static const struct {
	const char *socket;
	int limit_ms;
} requests[] = {
#define REQ(name, number, server, limit_ms) [number] = {server, limit_ms},
#include "preload/requests.def"
#undef REQ
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* A socket above the standard three: a program that closed stderr must not
 * write its messages into our request. */
static int link_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int high;

	if (fd < 0 || fd > 2)
		return fd < 0 ? -errno : fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (high < 0)
		high = -errno;
	sys_close(fd);
	return high;
}

/* A blocking connect() on a full backlog is bounded by SO_SNDTIMEO; there is
 * nothing to poll for. */
static int link_connect(int fd, const char *socket_name, int64_t deadline)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct timeval left;
	int64_t ns;
	int ret;

	ret = rundir_file_in(shim.xdg, socket_name, un.sun_path,
			     sizeof(un.sun_path));
	if (ret < 0)
		return ret;
	do {
		ns = deadline - now_ns();
		if (ns < NS_PER_MS)
			return -ETIMEDOUT;
		left.tv_sec = ns / 1000000000;
		left.tv_usec = ns % 1000000000 / 1000;
		real.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left,
				sizeof(left));
		ret = sys_connect(fd, &un, sizeof(un));
	} while (ret == -EINTR);
	return ret == -EAGAIN ? -ETIMEDOUT : ret;
}

static int link_check_peer(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	return peer.uid == getuid() ? 0 : -EPERM;
}

static int link_await(int fd, int64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t left;
	int ret;

	do {
		left = deadline - now_ns();
		if (left <= 0)
			return -ETIMEDOUT;
		ret = sys_poll(&p, left);
	} while (ret == -EINTR);
	return ret < 0 ? ret : ret == 0 ? -ETIMEDOUT : 0;
}

static int link_exchange(int sock, const struct shim_request *req,
			 struct shim_answer *ans, int *fd, int64_t deadline)
{
	uint8_t buf[SHIM_MSG_MAX];
	ssize_t n;
	int ret;

	ret = shim_request_put(req, buf);
	if (ret < 0)
		return ret;
	ret = shim_msg_send(sock, buf, (size_t)ret, -1);
	if (ret < 0)
		return ret == -EAGAIN ? -ETIMEDOUT : ret;
	do {
		ret = link_await(sock, deadline);
		if (ret < 0)
			return ret;
		n = shim_msg_recv(sock, buf, sizeof(buf), fd, MSG_DONTWAIT);
	} while (n == -EINTR || n == -EAGAIN);
	if (n <= 0)
		return n < 0 ? (int)n : -ECONNRESET;
	ret = shim_answer_get(buf, (size_t)n, ans);
	if (!ret && ans->op != req->op)
		ret = -EBADMSG;
	/* an error brings nothing that could be used */
	if (ret || ans->err) {
		sys_close(*fd);
		*fd = -1;
	}
	return ret;
}

int broker_open(const struct shim_request *req, struct shim_answer *ans,
		int *fd, int *sock)
{
	int64_t deadline = now_ns() + requests[req->op].limit_ms * NS_PER_MS;
	int unwanted = -1, *got = fd ? fd : &unwanted;
	int saved = errno, ret, s;

	*got = -1;
	*sock = -1;
	s = link_socket();
	if (s < 0) {
		ret = s;
		goto out;
	}
	ret = link_connect(s, requests[req->op].socket, deadline);
	if (!ret)
		ret = link_check_peer(s);
	if (!ret)
		ret = link_exchange(s, req, ans, got, deadline);
	sys_close(unwanted);
	if (ret)
		sys_close(s);
	else
		*sock = s;
out:
	errno = saved;
	return ret;
}

int broker_ask(const struct shim_request *req, struct shim_answer *ans, int *fd)
{
	int sock, ret;

	ret = broker_open(req, ans, fd, &sock);
	sys_close(sock);
	return ret;
}
