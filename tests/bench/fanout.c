/* SPDX-License-Identifier: MIT */
/* fanout - how fast one packet reaches 50 members, beside plain sendmmsg() */
#include "tests/bench/fanout.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define BATCH 64

static struct sink {
	struct addr at;
	int fd;
	atomic_ullong got;
} to;

void fanout_die(const char *what)
{
	perror(what);
	exit(1);
}

int fanout_socket(struct addr *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), big = 8 << 20;
	socklen_t len = sizeof(at->in4);

	if (fd < 0 || addr_parse("127.0.0.1:0", 0, at) ||
	    bind(fd, &at->sa, addr_len(at)) || getsockname(fd, &at->sa, &len))
		fanout_die("fanout: UDP");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	return fd;
}

static void *count(void *arg)
{
	static uint8_t buf[BATCH][2048];
	struct mmsghdr m[BATCH] = {0};
	struct iovec iov[BATCH];
	int n;

	(void)arg;
	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){buf[i], sizeof(buf[i])};
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;) {
		n = recvmmsg(to.fd, m, BATCH, MSG_WAITFORONE, NULL);
		if (n > 0)
			atomic_fetch_add(&to.got, (unsigned long long)n);
	}
	return NULL;
}

const struct addr *fanout_sink(void)
{
	pthread_t thread;

	to.fd = fanout_socket(&to.at);
	if (pthread_create(&thread, NULL, count, NULL))
		fanout_die("fanout: thread");
	return &to.at;
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

double fanout_rate(void (*send_some)(void), double seconds)
{
	double began = now_s(), end = began + seconds;
	unsigned long long before = atomic_load(&to.got);

	while (now_s() < end)
		send_some();
	return (double)(atomic_load(&to.got) - before) / (now_s() - began);
}

void fanout_plain(int fd, const void *data, size_t len)
{
	struct iovec iov = {(void *)data, len};
	struct mmsghdr m[FANOUT_MEMBERS] = {0};

	for (int i = 0; i < FANOUT_MEMBERS; i++)
		m[i].msg_hdr = (struct msghdr){.msg_name = &to.at,
					       .msg_namelen = addr_len(&to.at),
					       .msg_iov = &iov,
					       .msg_iovlen = 1};
	if (sendmmsg(fd, m, FANOUT_MEMBERS, 0) < 0)
		fanout_die("fanout: sendmmsg");
}
