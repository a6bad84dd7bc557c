/* SPDX-License-Identifier: MIT */
/* test_accept - wildcard listeners serve the host and the virtual network */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/shimproto.h"
#include "tests/preload/endpoint.h"

static void set_int(int fd, int level, int name, int value)
{
	assert_int_equal(setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

static int get_int(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* A connected virtual client of the server at @port, coming from @from. */
static int client(const char *from, const char *to, uint16_t port)
{
	struct place f = place(from, 0), p = place(to, port);
	int c = socket(p.ss.ss_family, SOCK_STREAM, 0);

	assert_int_equal(bind(c, PLACE_ARGS(f)), 0);
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	assert_true(swapped(c));
	return c;
}

static int host_client(const char *to, uint16_t port)
{
	struct place p = place(to, port);
	int c = socket(p.ss.ss_family, SOCK_STREAM, 0);

	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	assert_false(swapped(c));
	return c;
}

static int listener6(int v6only)
{
	struct place p = place("::", 0);
	int l = socket(AF_INET6, SOCK_STREAM, 0);

	set_int(l, IPPROTO_IPV6, IPV6_V6ONLY, v6only);
	assert_int_equal(bind(l, PLACE_ARGS(p)), 0);
	assert_int_equal(listen(l, 16), 0);
	return l;
}

static void accept_case(int l, const char *from, const char *to,
			const char *seen)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int c, s;

	assert_false(swapped(l));
	c = client(from, to, local_port(l));
	errno = 4711;
	s = accept(l, (struct sockaddr *)&ss, &len);
	assert_true(s >= 0);
	assert_int_equal(errno, 4711);
	assert_true(swapped(s));
	assert_string_equal(text_of(&ss, len), seen);
	assert_string_equal(peer_text(s), seen);
	exchange(c, s);
	assert_int_equal(get_int(s, SOL_SOCKET, SO_DOMAIN),
			 get_int(l, SOL_SOCKET, SO_DOMAIN));
	close(c);
	close(s);
}

static void test_v4(void **state)
{
	struct stat st;
	int l, c, s;

	(void)state;
	need_ns();
	l = tcp_listener("0.0.0.0");
	fstat(l, &st);
	assert_int_equal(stats()->inode, st.st_ino);
	assert_int_equal(stats()->port, local_port(l));
	assert_int_equal(stats()->backlog, 64);
	accept_case(l, PEER4, NODE4, PEER4);
	/* and where it was before */
	c = host_client("127.0.0.1", local_port(l));
	s = accept(l, NULL, NULL);
	assert_false(swapped(s));
	exchange(c, s);
	close(c);
	close(s);
	close(l);
}

static void test_dual(void **state)
{
	int l;

	(void)state;
	need_ns();
	l = listener6(0);
	accept_case(l, PEER4, NODE4, "::ffff:" PEER4);
	accept_case(l, PEER6, NODE6, PEER6);
	close(l);
}

static void test_v6only(void **state)
{
	int l, c, s;

	(void)state;
	need_ns();
	l = listener6(1);
	assert_int_equal(stats()->v6only, 1);
	accept_case(l, PEER6, NODE6, PEER6);
	c = host_client("::1", local_port(l));
	s = accept(l, NULL, NULL);
	assert_false(swapped(s));
	exchange(c, s);
	close(c);
	close(s);
	close(l);
}

/* listen() without bind(): the port is known only after it. */
static void test_unbound(void **state)
{
	int l = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	need_ns();
	assert_int_equal(listen(l, 5), 0);
	accept_case(l, PEER4, NODE4, PEER4);
	close(l);
}

static void test_flags(void **state)
{
	int l, c, s;

	(void)state;
	need_ns();
	l = tcp_listener("0.0.0.0");
	c = client(PEER4, NODE4, local_port(l));
	s = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(swapped(s));
	assert_true(fcntl(s, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fcntl(s, F_GETFD), FD_CLOEXEC);
	close(c);
	close(s);
	c = client(PEER4, NODE4, local_port(l));
	s = accept4(l, NULL, NULL, 0);
	assert_false(fcntl(s, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fcntl(s, F_GETFD), 0);
	close(c);
	close(s);
	fcntl(l, F_SETFL, O_NONBLOCK);
	assert_int_equal(accept(l, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	close(l);
}

static void test_options_inherited(void **state)
{
	int l = socket(AF_INET, SOCK_STREAM, 0), c, s;
	struct place p = place("0.0.0.0", 0);

	(void)state;
	need_ns();
	set_int(l, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(l, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(l, IPPROTO_TCP, TCP_KEEPINTVL, 17);
	set_int(l, SOL_SOCKET, SO_SNDBUF, 60000);
	assert_int_equal(bind(l, PLACE_ARGS(p)), 0);
	assert_int_equal(listen(l, 16), 0);
	c = client(PEER4, NODE4, local_port(l));
	s = accept(l, NULL, NULL);
	assert_true(swapped(s));
	assert_int_equal(get_int(s, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(get_int(s, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(get_int(s, IPPROTO_TCP, TCP_KEEPINTVL), 17);
	assert_int_equal(get_int(s, SOL_SOCKET, SO_SNDBUF), 120000);
	assert_int_equal(get_int(s, SOL_SOCKET, SO_LINGER), 0);
	close(c);
	close(s);
	close(l);
}

/* The address is cut to the buffer and its full length told, as by the kernel. */
static void test_truncation(void **state)
{
	struct sockaddr_in in;
	unsigned char buf[sizeof(in)];
	socklen_t len = 6;
	int l, c, s;

	(void)state;
	need_ns();
	l = tcp_listener("0.0.0.0");
	c = client(PEER4, NODE4, local_port(l));
	memset(buf, 0xee, sizeof(buf));
	s = accept(l, (struct sockaddr *)buf, &len);
	assert_true(swapped(s));
	assert_int_equal(len, sizeof(in));
	memcpy(&in, buf, sizeof(in));
	assert_int_equal(in.sin_family, AF_INET);
	assert_int_equal(ntohs(in.sin_port), local_port(c));
	assert_int_equal(buf[6], 0xee);
	close(c);
	close(s);
	c = host_client("127.0.0.1", local_port(l));
	len = 0;
	s = accept(l, (struct sockaddr *)buf, &len);
	assert_true(s >= 0);
	assert_int_equal(len, sizeof(in));
	close(c);
	close(s);
	c = host_client("127.0.0.1", local_port(l));
	len = (socklen_t)-1;
	assert_int_equal(accept(l, (struct sockaddr *)buf, &len), -1);
	assert_int_equal(errno, EINVAL);
	close(c);
	close(l);
}

static void test_defer(void **state)
{
	int l, c, s;

	(void)state;
	need_ns();
	l = tcp_listener("0.0.0.0");
	assert_int_equal(stats()->defer, 0);
	/* after listen(), as nginx does */
	set_int(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
	assert_int_equal(stats()->defer, 1);
	c = client(PEER4, NODE4, local_port(l));
	wait_readable(l);
	s = accept(l, NULL, NULL);
	assert_true(swapped(s));
	exchange(c, s);
	close(c);
	close(s);
	close(l);
}

/* Anybody on this host may come from a doorbell's address. */
static void test_imitation(void **state)
{
	struct place from = place("127.77.1.1", 0), to;
	uint32_t asked;
	int l, c, s;

	(void)state;
	need_ns();
	l = tcp_listener("0.0.0.0");
	to = place("127.0.0.1", local_port(l));
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(c, PLACE_ARGS(from)), 0);
	assert_int_equal(connect(c, PLACE_ARGS(to)), 0);
	asked = stats()->asked[SHIM_CLAIM];
	s = accept(l, NULL, NULL);
	assert_int_equal(stats()->asked[SHIM_CLAIM], asked + 1);
	assert_false(swapped(s));
	assert_string_equal(peer_text(s), "127.77.1.1");
	exchange(c, s);
	close(c);
	close(s);
	/* while an ordinary one costs no request */
	c = host_client("127.0.0.1", local_port(l));
	s = accept(l, NULL, NULL);
	assert_int_equal(stats()->asked[SHIM_CLAIM], asked + 1);
	close(c);
	close(s);
	close(l);
}

static void test_peer_gone(void **state)
{
	struct linger reset = {1, 0};
	int l, c, s;
	char b;

	(void)state;
	need_ns();
	l = tcp_listener("0.0.0.0");
	c = client(PEER4, NODE4, local_port(l));
	wait_readable(l);
	setsockopt(c, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(c);
	s = accept(l, NULL, NULL);
	assert_true(s >= 0);
	assert_int_equal(read(s, &b, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(s);
	close(l);
}

static void test_epoll_server(void **state)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	int ep = epoll_create1(0), l, c[8], s, i, got = 0;

	(void)state;
	need_ns();
	l = tcp_listener("0.0.0.0");
	fcntl(l, F_SETFL, O_NONBLOCK);
	epoll_ctl(ep, EPOLL_CTL_ADD, l, &ev);
	for (i = 0; i < 8; i++)
		c[i] = i % 2 ? client(PEER4, NODE4, local_port(l))
			     : host_client("127.0.0.1", local_port(l));
	while (got < 8) {
		assert_int_equal(epoll_wait(ep, &ev, 1, 5000), 1);
		while ((s = accept(l, NULL, NULL)) >= 0) {
			got++;
			close(s);
		}
	}
	for (i = 0; i < 8; i++)
		close(c[i]);
	close(ep);
	close(l);
}

/* A listener on one address, or on a Unix socket, is nobody's business. */
static void test_not_announced(void **state)
{
	uint32_t asked;
	int l;

	(void)state;
	asked = stats()->asked[SHIM_LISTEN];
	l = tcp_listener("127.0.0.1");
	assert_int_equal(stats()->asked[SHIM_LISTEN], asked);
	close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4),
		cmocka_unit_test(test_dual),
		cmocka_unit_test(test_v6only),
		cmocka_unit_test(test_unbound),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_options_inherited),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_defer),
		cmocka_unit_test(test_imitation),
		cmocka_unit_test(test_peer_gone),
		cmocka_unit_test(test_epoll_server),
		cmocka_unit_test(test_not_announced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
