/* SPDX-License-Identifier: MIT */
/*
 * connect - what connect() to a virtual address costs a program under the shim
 *
 * Usage: connect LIBNTM VIRTUAL-ADDRESS
 * One program with the shim connects in turns to a listener on the host and to one
 * inside the namespace (no doorbell: a socket that was made there). The difference
 * is the swap.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/shim_bench.h"

#define TURNS 2000

/* @arg: "host", or the virtual address to listen on */
static int serve(const char *arg)
{
	bool is_virtual = strcmp(arg, "host") != 0;
	struct sockaddr_in in = endpoint(is_virtual ? arg : "127.0.0.1", 0);
	const struct linger reset = {.l_onoff = 1};
	socklen_t len = sizeof(in);
	int fd, conn;
	char c;

	sockets_make(is_virtual, SOCK_STREAM, &fd, 1);
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    listen(fd, 512) < 0 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) < 0)
		fail("listen");
	server_ready(ntohs(in.sin_port));
	for (;;) {
		conn = accept(fd, NULL, NULL);
		if (conn < 0)
			fail("accept");
		(void)!recv(conn, &c, 1, 0);
		setsockopt(conn, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(conn);
	}
}

static double round_run(const struct sockaddr_in *to)
{
	static double us[TURNS];
	const struct timespec pause = {.tv_nsec = 100000};
	uint64_t start;
	int i, fd;

	for (i = 0; i < TURNS; i++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			fail("socket");
		start = now_ns();
		if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
			fail("connect");
		us[i] = (double)(now_ns() - start) / 1e3;
		close(fd);
		nanosleep(&pause, NULL); /* a client, not a flood */
	}
	return quantile(us, TURNS, 0.5);
}

/* Under the shim: prints the two medians. */
static int client(const char *vip, uint16_t host_port, uint16_t virtual_port)
{
	struct sockaddr_in to[2] = {endpoint("127.0.0.1", host_port),
				    endpoint(vip, virtual_port)};
	double p50[2][ROUNDS];
	double host, virtual;
	int i, k;

	for (i = 0; i < ROUNDS; i++)
		for (k = 0; k < 2; k++)
			p50[k][i] = round_run(&to[k]);
	host = quantile(p50[0] + 1, ROUNDS - 1, 0.5);
	virtual = quantile(p50[1] + 1, ROUNDS - 1, 0.5);
	note("connect p50: host %.1f us, virtual %.1f us", host, virtual);
	figure("connect.added", virtual - host, "us", false, 25);
	return 0;
}

int main(int argc, char **argv)
{
	char host[16], virtual[16];

	if (argc == 3 && !strcmp(argv[1], "server"))
		return serve(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "client"))
		return client(argv[2], (uint16_t)atoi(argv[3]),
			      (uint16_t)atoi(argv[4]));
	if (argc != 3) {
		errno = EINVAL;
		fail("usage: connect LIBNTM VIRTUAL-ADDRESS");
	}
	snprintf(host, sizeof(host), "%u", server_start(argv[0], NULL, "host"));
	snprintf(virtual, sizeof(virtual), "%u",
		 server_start(argv[0], NULL, argv[2]));
	/* the servers die with us, and we become the client */
	setenv("LD_PRELOAD", argv[1], 1);
	execl(argv[0], argv[0], "client", argv[2], host, virtual, NULL);
	fail("exec");
}
