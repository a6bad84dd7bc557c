/* SPDX-License-Identifier: MIT */
/*
 * accept - connections a second that a wildcard TCP server accepts, one client
 *
 * Usage: accept LIBNTM VIRTUAL-ADDRESS
 * Three kinds take turns: a server without the shim (plain); one with it, reached
 * on the host (ordinary); the same, reached on its virtual address through the
 * doorbell (virtual). A turn is a connect, one byte from the server, both close. The
 * client's sockets are made beforehand: only the server's side differs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/shim_bench.h"

#define TURNS 3000 /* a round */

enum kind { PLAIN, ORDINARY, VIRTUAL, KINDS };

static int serve(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET}, peer;
	const struct linger reset = {.l_onoff = 1};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0), conn;

	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    listen(fd, 512) < 0 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) < 0)
		fail("listen");
	server_ready(ntohs(in.sin_port));
	for (;;) {
		len = sizeof(peer);
		conn = accept(fd, (struct sockaddr *)&peer, &len);
		if (conn < 0)
			fail("accept");
		/* the very first bytes of the virtual net, 198.18 and up, show that
		 * the exchange took place: never a loopback address */
		if (send(conn,
			 (ntohl(peer.sin_addr.s_addr) >> 24) == 127 ? "l" : "v",
			 1, MSG_NOSIGNAL) != 1)
			fail("send");
		/* the client closes first; nothing lingers */
		(void)!recv(conn, &peer, 1, 0);
		setsockopt(conn, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(conn);
	}
}

static double round_run(enum kind kind, const struct sockaddr_in *to,
			double *us)
{
	static int fd[TURNS];
	uint64_t start, begin;
	char c;
	int i;

	sockets_make(kind == VIRTUAL, SOCK_STREAM, fd, TURNS);
	begin = now_ns();
	for (i = 0; i < TURNS; i++) {
		start = now_ns();
		if (connect(fd[i], (const struct sockaddr *)to, sizeof(*to)) <
			    0 ||
		    recv(fd[i], &c, 1, 0) != 1)
			fail("connect");
		if (c != (kind == VIRTUAL ? 'v' : 'l')) {
			errno = EPROTO;
			fail("the server saw the wrong peer");
		}
		close(fd[i]);
		us[i] = (double)(now_ns() - start) / 1e3;
	}
	return TURNS / ((double)(now_ns() - begin) / 1e9);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"plain", "ordinary", "virtual"};
	double rate[KINDS][ROUNDS], p50[KINDS][ROUNDS], p99[KINDS][ROUNDS];
	static double us[TURNS];
	struct sockaddr_in to[KINDS];
	uint16_t shimmed;
	int i, kind;

	if (argc == 3 && !strcmp(argv[1], "server"))
		return serve();
	if (argc != 3) {
		errno = EINVAL;
		fail("usage: accept LIBNTM VIRTUAL-ADDRESS");
	}
	to[PLAIN] = endpoint("127.0.0.1", server_start(argv[0], NULL, "-"));
	shimmed = server_start(argv[0], argv[1], "-");
	to[ORDINARY] = endpoint("127.0.0.1", shimmed);
	to[VIRTUAL] = endpoint(argv[2], shimmed);
	for (i = 0; i < ROUNDS; i++)
		for (kind = 0; kind < KINDS; kind++) {
			rate[kind][i] = round_run(kind, &to[kind], us);
			p50[kind][i] = quantile(us, TURNS, 0.5);
			p99[kind][i] = quantile(us, TURNS, 0.99);
		}
	servers_stop();
	for (kind = 0; kind < KINDS; kind++)
		note("accept %s: %.0f/s, p50 %.1f us, p99 %.1f us", names[kind],
		     quantile(rate[kind] + 1, ROUNDS - 1, 0.5),
		     quantile(p50[kind] + 1, ROUNDS - 1, 0.5),
		     quantile(p99[kind] + 1, ROUNDS - 1, 0.5));
	figure("accept.virtual", rate[VIRTUAL][3], "1/s", true, 8000);
	figure("accept.ordinary-of-plain",
	       100 * rate[ORDINARY][3] / rate[PLAIN][3], "%", true, 95);
	return 0;
}
