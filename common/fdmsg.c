/* SPDX-License-Identifier: MIT */
/* fdmsg - one message with some descriptors over a Unix SEQPACKET socket */
#include "common/fdmsg.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr head;
	char space[CMSG_SPACE(FDMSG_MAX * sizeof(int))];
};

static int map_errno(int err)
{
	switch (err) {
	case EAGAIN:
		return -NTM_EAGAIN;
	case EPIPE:
	case ECONNRESET:
	case ENOTCONN:
		return -NTM_ECLOSED;
	default:
		return -NTM_ESYSTEM;
	}
}

int fdmsg_send(int sock, const void *head, size_t head_len, const void *body,
	       size_t body_len, const int *fds, size_t n_fds, int flags)
{
	struct iovec iov[2] = {
		{.iov_base = (void *)head, .iov_len = head_len},
		{.iov_base = (void *)body, .iov_len = body_len},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	union control control = {0};
	struct cmsghdr *cm;
	ssize_t n;

	if (n_fds > FDMSG_MAX)
		return -NTM_ESYSTEM;
	if (n_fds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		cm = CMSG_FIRSTHDR(&msg);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, n_fds * sizeof(int));
	}
	do
		n = sendmsg(sock, &msg, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? map_errno(errno) : 0;
}

static size_t take_fds(struct msghdr *msg, int fds[static FDMSG_MAX])
{
	struct cmsghdr *cm;
	size_t n = 0, here;

	for (cm = CMSG_FIRSTHDR(msg); cm; cm = CMSG_NXTHDR(msg, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		here = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (here > FDMSG_MAX - n)
			here = FDMSG_MAX - n;
		memcpy(fds + n, CMSG_DATA(cm), here * sizeof(int));
		n += here;
	}
	return n;
}

ssize_t fdmsg_recv(int sock, void *buf, size_t size, int fds[static FDMSG_MAX],
		   size_t *n_fds, int flags)
{
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	union control control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n;

	*n_fds = 0;
	do
		n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return map_errno(errno);
	*n_fds = take_fds(&msg, fds);
	if (n == 0 || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (*n_fds)
			close(fds[--*n_fds]);
		return n == 0 ? -NTM_ECLOSED : -NTM_ETOOBIG;
	}
	return n;
}

int fdmsg_wait(int sock, int timeout_ms)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	int n;

	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : -NTM_ETIMEOUT;
}
