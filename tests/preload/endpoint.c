/* SPDX-License-Identifier: MIT */
/* endpoint - sockets and questions that the tests of the shim share */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/preload/endpoint.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload/shimproto.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

struct place place(const char *text, uint16_t port)
{
	struct shim_addr a = {.family = AF_INET, .port = port};
	struct place p;

	if (strchr(text, ':'))
		a.family = AF_INET6;
	assert_int_equal(inet_pton(a.family, text, a.addr), 1);
	p.len = shim_addr_to(&a, &p.ss);
	return p;
}

void need_ns(void)
{
	const char *have = getenv(FAKE_NS);

	if (have && *have == '1')
		return;
	print_message("# no namespace here\n");
	skip();
}

static uint64_t cookie(int fd)
{
	uint64_t c = 0;
	socklen_t len = sizeof(c);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &c, &len),
			 0);
	return c;
}

bool swapped(int fd)
{
	int host = socket(AF_UNIX, SOCK_DGRAM, 0);
	bool differs = cookie(host) != cookie(fd);

	close(host);
	return differs;
}

uint16_t local_port(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct shim_addr a;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(shim_addr_from((struct sockaddr *)&ss, len, &a), 0);
	return a.port;
}

const char *text_of(const void *sa, socklen_t len)
{
	static char text[INET6_ADDRSTRLEN];
	struct shim_addr a;

	assert_int_equal(shim_addr_from(sa, len, &a), 0);
	inet_ntop(a.family, a.addr, text, sizeof(text));
	return text;
}

const char *peer_text(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	assert_int_equal(getpeername(fd, (struct sockaddr *)&ss, &len), 0);
	return text_of(&ss, len);
}

const char *local_text(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	return text_of(&ss, len);
}

static int bound(const char *text, int type)
{
	struct place p = place(text, 0);
	int fd = socket(p.ss.ss_family, type, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, PLACE_ARGS(p)), 0);
	return fd;
}

int tcp_listener(const char *text)
{
	int fd = bound(text, SOCK_STREAM);

	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

int udp_bound(const char *text)
{
	return bound(text, SOCK_DGRAM);
}

void wait_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, 5000), 1);
}

void exchange(int a, int b)
{
	char c = 0;

	assert_int_equal(write(a, "x", 1), 1);
	wait_readable(b);
	assert_int_equal(read(b, &c, 1), 1);
	assert_int_equal(c, 'x');
	assert_int_equal(write(b, "y", 1), 1);
	wait_readable(a);
	assert_int_equal(read(a, &c, 1), 1);
	assert_int_equal(c, 'y');
}

struct fake_stats *stats(void)
{
	static struct fake_stats *at;
	char path[256];
	int fd;

	if (at)
		return at;
	snprintf(path, sizeof(path), "%s/stats", getenv("XDG_RUNTIME_DIR"));
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	at = mmap(NULL, sizeof(*at), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(at != MAP_FAILED);
	close(fd);
	return at;
}
