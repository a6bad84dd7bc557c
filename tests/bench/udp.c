/* SPDX-License-Identifier: MIT */
/*
 * udp - load and latency over UDP, counted where it arrives
 *
 *   udp sink PORT [GROUP]              counts; prints "packets bytes seconds" at SIGTERM
 *   udp flood NAME PORT SECONDS SIZES  SIZES: comma list of payload sizes, in turn
 *   udp echo PORT                      sends everything back
 *   udp rtt NAME PORT COUNT US         one small packet each US microseconds; prints
 *                                      "p50 p99" in microseconds
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/sockets.h"

#define BATCH	  64
#define SIZES_MAX 64
#define PACKET	  2048

static volatile sig_atomic_t ended;

static void on_term(int signo)
{
	(void)signo;
	ended = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* with room for bursts */
static int bound(const char *port)
{
	int fd = socket_bound(port), big = 8 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof(big));
	return fd;
}

static int cmd_sink(char **argv)
{
	static char buf[BATCH][PACKET];
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	uint64_t packets = 0, bytes = 0, first = 0, last = 0;
	struct ip_mreq group = {.imr_multiaddr = {0}};
	int fd = bound(argv[2]), n, i;

	if (argv[3] &&
	    (inet_pton(AF_INET, argv[3], &group.imr_multiaddr) != 1 ||
	     setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group,
			sizeof(group)))) {
		perror("udp: join");
		return 1;
	}

	memset(msgs, 0, sizeof(msgs));
	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){buf[i], PACKET};
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	while (!ended) {
		n = recvmmsg(fd, msgs, BATCH, MSG_WAITFORONE, NULL);
		if (n <= 0)
			continue;
		last = now_ns();
		first = first ? first : last;
		packets += (uint64_t)n;
		for (i = 0; i < n; i++)
			bytes += msgs[i].msg_len;
	}
	printf("%llu %llu %.6f\n", (unsigned long long)packets,
	       (unsigned long long)bytes, (double)(last - first) / 1e9);
	return 0;
}

static int sizes_parse(const char *text, size_t *sizes)
{
	int n = 0;

	while (n < SIZES_MAX && *text) {
		char *end;

		sizes[n] = strtoul(text, &end, 10);
		if (end == text || sizes[n] > PACKET)
			exit(2);
		n++;
		text = *end ? end + 1 : end;
	}
	return n;
}

static int cmd_flood(char **argv)
{
	static char buf[PACKET];
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	size_t sizes[SIZES_MAX];
	int n_sizes = sizes_parse(argv[5], sizes), fd, i, turn = 0;
	uint64_t end, sent = 0;

	if (!n_sizes)
		return 2;
	fd = socket_connected(SOCK_DGRAM, argv[2], argv[3]);
	memset(msgs, 0, sizeof(msgs));
	end = now_ns() + (uint64_t)(atof(argv[4]) * 1e9);
	while (!ended && now_ns() < end) {
		int n;

		for (i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){buf, sizes[turn++ % n_sizes]};
			msgs[i].msg_hdr.msg_iov = &iov[i];
			msgs[i].msg_hdr.msg_iovlen = 1;
		}
		n = sendmmsg(fd, msgs, BATCH, 0);
		if (n > 0)
			sent += (uint64_t)n;
	}
	printf("%llu\n", (unsigned long long)sent);
	return 0;
}

static int cmd_echo(char **argv)
{
	char buf[PACKET];
	struct sockaddr_storage peer;
	int fd = bound(argv[2]);

	while (!ended) {
		socklen_t len = sizeof(peer);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0,
				     (struct sockaddr *)&peer, &len);

		if (n >= 0)
			(void)!sendto(fd, buf, (size_t)n, 0,
				      (struct sockaddr *)&peer, len);
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int cmd_rtt(char **argv)
{
	int count = atoi(argv[4]),
	    fd = socket_connected(SOCK_DGRAM, argv[2], argv[3]), i, n = 0;
	uint64_t *rtt = calloc((size_t)count + 1, sizeof(*rtt));
	struct pollfd p = {fd, POLLIN, 0};
	uint64_t got, due = now_ns();

	for (i = 0; rtt && i < count && !ended; i++) {
		uint64_t sent = now_ns();
		struct timespec wait;

		(void)!send(fd, &sent, sizeof(sent), 0);
		while (poll(&p, 1, 1000) > 0 &&
		       recv(fd, &got, sizeof(got), 0) == sizeof(got))
			if (got == sent) {
				rtt[n++] = now_ns() - sent;
				break;
			}
		/* The pace is part of what is measured: an idle CPU sleeps. */
		due += (uint64_t)atol(argv[5]) * 1000;
		wait.tv_sec = (time_t)(due / 1000000000);
		wait.tv_nsec = (long)(due % 1000000000);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wait, NULL);
	}
	if (n < count / 2 || !rtt) {
		fprintf(stderr, "udp: only %d of %d answers\n", n, count);
		return 1;
	}
	qsort(rtt, (size_t)n, sizeof(*rtt), by_value);
	printf("%.1f %.1f\n", (double)rtt[n / 2] / 1e3,
	       (double)rtt[n * 99 / 100] / 1e3);
	free(rtt);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_term};

	sigaction(SIGTERM, &sa, NULL);
	if ((argc == 3 || argc == 4) && !strcmp(argv[1], "sink"))
		return cmd_sink(argv);
	if (argc == 6 && !strcmp(argv[1], "flood"))
		return cmd_flood(argv);
	if (argc == 3 && !strcmp(argv[1], "echo"))
		return cmd_echo(argv);
	if (argc == 6 && !strcmp(argv[1], "rtt"))
		return cmd_rtt(argv);
	fputs("usage: udp sink PORT [GROUP] | flood NAME PORT SECONDS SIZES | "
	      "echo "
	      "PORT | rtt NAME PORT COUNT US\n",
	      stderr);
	return 2;
}
