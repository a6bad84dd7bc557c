/* SPDX-License-Identifier: MIT */
/*
 * udp_server - round trip of a datagram echoed by an unmodified wildcard UDP server
 *
 * Usage: udp_server LIBNTM VIRTUAL-ADDRESS
 * Three kinds take turns: a server without the shim; one with it, reached on the
 * host; the same, reached on its virtual address through the broker's mapping.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/shim_bench.h"

#define TURNS 3000

enum kind { PLAIN, ORDINARY, VIRTUAL, KINDS };

/* A port that is free, then given by number: one that the kernel chooses is taken
 * for a client's and not announced. */
static int bind_known(struct sockaddr_in *in)
{
	socklen_t len = sizeof(*in);
	int fd, i;

	for (i = 0; i < 2; i++) {
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		if (fd < 0 || bind(fd, (struct sockaddr *)in, len) < 0 ||
		    getsockname(fd, (struct sockaddr *)in, &len) < 0)
			fail("bind");
		if (i == 0)
			close(fd);
	}
	return fd;
}

static int serve(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET}, from;
	int fd = bind_known(&in);
	socklen_t len;
	char buf[2048];
	ssize_t n;

	server_ready(ntohs(in.sin_port));
	for (;;) {
		len = sizeof(from);
		n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from,
			     &len);
		if (n < 0)
			fail("recvfrom");
		buf[0] = (ntohl(from.sin_addr.s_addr) >> 24) == 127 ? 'l' : 'v';
		if (sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from,
			   len) != n)
			fail("sendto");
	}
}

static double round_run(enum kind kind, int fd)
{
	static double us[TURNS];
	const struct timespec pause = {.tv_nsec = 50000};
	char buf[64] = "";
	uint64_t start;
	int i;

	for (i = 0; i < TURNS; i++) {
		start = now_ns();
		if (send(fd, buf, sizeof(buf), 0) != sizeof(buf) ||
		    recv(fd, buf, sizeof(buf), 0) != sizeof(buf))
			fail("echo");
		us[i] = (double)(now_ns() - start) / 1e3;
		if (buf[0] != (kind == VIRTUAL ? 'v' : 'l')) {
			errno = EPROTO;
			fail("the server saw the wrong peer");
		}
		nanosleep(&pause,
			  NULL); /* the pace: no echo waits for one before */
	}
	return quantile(us, TURNS, 0.5);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"plain", "ordinary", "virtual"};
	const struct timeval patience = {.tv_sec = 2};
	double p50[KINDS][ROUNDS], median[KINDS];
	struct sockaddr_in to[KINDS];
	uint16_t shimmed;
	int fd[KINDS], i, kind;

	if (argc == 3 && !strcmp(argv[1], "server"))
		return serve();
	if (argc != 3) {
		errno = EINVAL;
		fail("usage: udp_server LIBNTM VIRTUAL-ADDRESS");
	}
	to[PLAIN] = endpoint("127.0.0.1", server_start(argv[0], NULL, "-"));
	shimmed = server_start(argv[0], argv[1], "-");
	to[ORDINARY] = endpoint("127.0.0.1", shimmed);
	to[VIRTUAL] = endpoint(argv[2], shimmed);
	for (kind = 0; kind < KINDS; kind++) {
		sockets_make(kind == VIRTUAL, SOCK_DGRAM, &fd[kind], 1);
		setsockopt(fd[kind], SOL_SOCKET, SO_RCVTIMEO, &patience,
			   sizeof(patience));
		if (connect(fd[kind], (struct sockaddr *)&to[kind],
			    sizeof(to[kind])) < 0)
			fail("connect");
	}
	for (i = 0; i < ROUNDS; i++)
		for (kind = 0; kind < KINDS; kind++)
			p50[kind][i] = round_run(kind, fd[kind]);
	servers_stop();
	for (kind = 0; kind < KINDS; kind++) {
		median[kind] = quantile(p50[kind] + 1, ROUNDS - 1, 0.5);
		note("udp echo %s: p50 %.1f us", names[kind], median[kind]);
	}
	figure("udp-server.added", median[VIRTUAL] - median[PLAIN], "us", false,
	       30);
	figure("udp-server.added-ordinary", median[ORDINARY] - median[PLAIN],
	       "us", false, 1);
	return 0;
}
