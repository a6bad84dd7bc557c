/* SPDX-License-Identifier: MIT */
/* test_swap - connect and bind to virtual addresses: the socket is replaced, and
 * nothing that the program did to it before is lost */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/preload/endpoint.h"

/* Connect a fresh socket of @domain to @to and have it accepted. */
static void connect_case(int domain, const char *listen_at, const char *to)
{
	int l = tcp_listener(listen_at), c, s;
	struct place p = place(to, local_port(l));

	assert_true(swapped(l));
	c = socket(domain, SOCK_STREAM, 0);
	assert_false(swapped(c));
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	assert_true(swapped(c));
	s = accept(l, NULL, NULL);
	assert_true(s >= 0);
	exchange(c, s);
	assert_string_equal(peer_text(c), to);
	close(c);
	close(s);
	close(l);
}

static void test_connect_v4(void **state)
{
	(void)state;
	need_ns();
	connect_case(AF_INET, NODE4, NODE4);
}

static void test_connect_v6(void **state)
{
	(void)state;
	need_ns();
	connect_case(AF_INET6, NODE6, NODE6);
}

static void test_connect_mapped(void **state)
{
	(void)state;
	need_ns();
	connect_case(AF_INET6, NODE4, "::ffff:" NODE4);
}

static void test_connect_refused(void **state)
{
	struct place p = place(NODE4, 9);
	int c = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	need_ns();
	errno = 0;
	assert_int_equal(connect(c, PLACE_ARGS(p)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(c);
}

static void test_connect_nonblocking(void **state)
{
	struct pollfd pfd = {.events = POLLOUT};
	int l, c, s, err = -1;
	socklen_t len = sizeof(err);
	struct place p;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	p = place(NODE4, local_port(l));
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connect(c, PLACE_ARGS(p)) < 0)
		assert_int_equal(errno, EINPROGRESS);
	assert_true(fcntl(c, F_GETFL) & O_NONBLOCK);
	pfd.fd = c;
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(getsockopt(c, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	assert_int_equal(err, 0);
	/* some programs ask by a second connect() */
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	s = accept(l, NULL, NULL);
	exchange(c, s);
	close(c);
	close(s);
	close(l);
}

static void test_errno_kept(void **state)
{
	int l, c;
	struct place p;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	p = place(NODE4, local_port(l));
	c = socket(AF_INET, SOCK_STREAM, 0);
	errno = 4711;
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	assert_int_equal(errno, 4711);
	close(c);
	close(l);
}

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

static void test_options_carried(void **state)
{
	struct linger linger = {1, 7};
	struct timeval tv = {3, 500000};
	socklen_t len;
	struct place p = place(NODE6, 9);
	int c = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), buf;
	char cc[16] = "";

	(void)state;
	need_ns();
	set_int(c, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(c, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(c, IPPROTO_TCP, TCP_KEEPIDLE, 33);
	set_int(c, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(c, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	set_int(c, IPPROTO_IPV6, IPV6_TCLASS, 0x20);
	set_int(c, SOL_SOCKET, SO_RCVBUF, 100000);
	set_int(c, IPPROTO_TCP, TCP_USER_TIMEOUT, 12345);
	buf = get_int(c, SOL_SOCKET, SO_RCVBUF);
	setsockopt(c, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(c, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	assert_int_equal(connect(c, PLACE_ARGS(p)), -1);
	assert_true(swapped(c));
	assert_int_equal(get_int(c, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(get_int(c, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(get_int(c, IPPROTO_TCP, TCP_KEEPIDLE), 33);
	assert_int_equal(get_int(c, SOL_SOCKET, SO_REUSEADDR), 1);
	assert_int_equal(get_int(c, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	assert_int_equal(get_int(c, IPPROTO_IPV6, IPV6_TCLASS), 0x20);
	assert_int_equal(get_int(c, IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
	assert_int_equal(get_int(c, SOL_SOCKET, SO_RCVBUF), buf);
	memset(&linger, 0, sizeof(linger));
	len = sizeof(linger);
	getsockopt(c, SOL_SOCKET, SO_LINGER, &linger, &len);
	assert_int_equal(linger.l_linger, 7);
	memset(&tv, 0, sizeof(tv));
	len = sizeof(tv);
	getsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &tv, &len);
	assert_int_equal(tv.tv_sec, 3);
	len = sizeof(cc);
	getsockopt(c, IPPROTO_TCP, TCP_CONGESTION, cc, &len);
	assert_string_equal(cc, "reno");
	assert_int_equal(fcntl(c, F_GETFD), FD_CLOEXEC);
	close(c);
}

static void test_flags_carried(void **state)
{
	struct place p = place(NODE4, 9);
	struct f_owner_ex owner = {F_OWNER_PID, getpid()};
	int c = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	need_ns();
	fcntl(c, F_SETOWN_EX, &owner);
	fcntl(c, F_SETSIG, SIGUSR1);
	fcntl(c, F_SETFL, O_NONBLOCK | O_ASYNC);
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	assert_true(swapped(c));
	assert_int_equal(fcntl(c, F_GETFL) & (O_NONBLOCK | O_ASYNC),
			 O_NONBLOCK | O_ASYNC);
	assert_int_equal(fcntl(c, F_GETSIG), SIGUSR1);
	assert_int_equal(fcntl(c, F_GETOWN), getpid());
	assert_int_equal(fcntl(c, F_GETFD), 0);
	close(c);
}

static void test_port_carried(void **state)
{
	int c = udp_bound("0.0.0.0");
	struct place p = place(NODE4, 9);
	uint16_t port = local_port(c);

	(void)state;
	need_ns();
	assert_false(swapped(c));
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	assert_true(swapped(c));
	assert_int_equal(local_port(c), port);
	assert_int_equal(get_int(c, SOL_SOCKET, SO_REUSEADDR), 0);
	close(c);
}

static void test_bind_virtual(void **state)
{
	int a, b;
	struct place p;
	char c;

	(void)state;
	need_ns();
	a = udp_bound(NODE4);
	b = udp_bound(PEER4);
	assert_true(swapped(a) && swapped(b));
	p = place(PEER4, local_port(b));
	assert_int_equal(sendto(a, "m", 1, 0, PLACE_ARGS(p)), 1);
	wait_readable(b);
	assert_int_equal(recv(b, &c, 1, 0), 1);
	assert_int_equal(c, 'm');
	close(a);
	close(b);
}

/* What bind() said must be what getsockname() shows. */
static void test_bind_taken(void **state)
{
	struct place p;
	int a, b;

	(void)state;
	need_ns();
	a = tcp_listener(NODE4);
	p = place(NODE4, local_port(a));
	b = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(b, PLACE_ARGS(p)), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(a);
	close(b);
}

static void test_fastopen(void **state)
{
	int l, c, s;
	struct place p;
	char b;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	p = place(NODE4, local_port(l));
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(sendto(c, "t", 1, MSG_FASTOPEN, PLACE_ARGS(p)), 1);
	assert_true(swapped(c));
	s = accept(l, NULL, NULL);
	wait_readable(s);
	assert_int_equal(read(s, &b, 1), 1);
	assert_int_equal(b, 't');
	close(c);
	close(s);
	close(l);
}

/* A socket that is in use on the host stays there. */
static void test_in_use_untouched(void **state)
{
	int l = tcp_listener("127.0.0.1"), c;
	struct place host = place("127.0.0.1", local_port(l)),
		     p = place(NODE4, 9);

	(void)state;
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(c, PLACE_ARGS(host)), 0);
	assert_false(swapped(c));
	assert_int_equal(connect(c, PLACE_ARGS(p)), -1);
	assert_int_equal(errno, EISCONN);
	assert_int_equal(connect(l, PLACE_ARGS(p)), -1);
	assert_false(swapped(c) || swapped(l));
	close(c);
	close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect_v4),
		cmocka_unit_test(test_connect_v6),
		cmocka_unit_test(test_connect_mapped),
		cmocka_unit_test(test_connect_refused),
		cmocka_unit_test(test_connect_nonblocking),
		cmocka_unit_test(test_errno_kept),
		cmocka_unit_test(test_options_carried),
		cmocka_unit_test(test_flags_carried),
		cmocka_unit_test(test_port_carried),
		cmocka_unit_test(test_bind_virtual),
		cmocka_unit_test(test_bind_taken),
		cmocka_unit_test(test_fastopen),
		cmocka_unit_test(test_in_use_untouched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
