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
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/shimproto.h"
#include "tests/preload/endpoint.h"

extern char **environ;

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

/* --- processes, threads, odd descriptors ------------------------------------------------ */

static void test_fd_zero(void **state)
{
	int keep = dup(0), l, c, s;
	struct place p;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	p = place(NODE4, local_port(l));
	close(0);
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(c, 0);
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	s = accept(l, NULL, NULL);
	exchange(c, s);
	close(s);
	dup2(keep, 0);
	close(keep);
	/* the request's own socket must not take 0 to 2 */
	keep = dup(2);
	c = socket(AF_INET, SOCK_STREAM, 0);
	close(2);
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	assert_int_equal(fcntl(2, F_GETFD), -1);
	dup2(keep, 2);
	close(keep);
	close(c);
	close(l);
}

static void connect_once(int l)
{
	struct place p = place(NODE4, local_port(l));
	int c = socket(AF_INET, SOCK_STREAM, 0), s;

	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	assert_true(swapped(c));
	s = accept(l, NULL, NULL);
	exchange(c, s);
	close(c);
	close(s);
}

/* The pool's descriptor, or -1: the only socket at or above 500. */
static int pool_fd(void)
{
	struct stat st;
	int fd;

	for (fd = 500; fd < 600; fd++)
		if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
			return fd;
	return -1;
}

static void test_pool(void **state)
{
	uint32_t asked;
	int l, i;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	for (i = 0; i < 3; i++)
		connect_once(l);
	assert_true(pool_fd() >= 500);
	assert_true(fcntl(pool_fd(), F_GETFD) & FD_CLOEXEC);
	asked = stats()->asked[SHIM_SOCKET];
	wait_readable(pool_fd());
	connect_once(l);
	wait_readable(pool_fd());
	connect_once(l);
	assert_int_equal(stats()->asked[SHIM_SOCKET], asked);
	/* the program closes what it does not know */
	close(pool_fd());
	connect_once(l);
	assert_true(stats()->asked[SHIM_SOCKET] > asked);
	connect_once(l);
	assert_true(pool_fd() >= 500);
	close(l);
}

static void test_pool_replaced(void **state)
{
	int l, fd, pair[2];
	char buf[4];

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	connect_once(l);
	connect_once(l);
	connect_once(l);
	fd = pool_fd();
	assert_true(fd >= 500);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(write(pair[1], "mine", 4), 4);
	dup2(pair[0], fd);
	connect_once(l);
	/* neither read from nor closed */
	assert_int_equal(read(fd, buf, 4), 4);
	assert_memory_equal(buf, "mine", 4);
	close(fd);
	close(pair[0]);
	close(pair[1]);
	close(l);
}

static void test_fork(void **state)
{
	int l, status = -1;
	pid_t child;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	connect_once(l);
	child = fork();
	if (child == 0) {
		struct place p = place(NODE4, local_port(l));
		int c = socket(AF_INET, SOCK_STREAM, 0);

		_exit(connect(c, PLACE_ARGS(p)) < 0 || write(c, "f", 1) != 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	connect_once(accept(l, NULL, NULL) >= 0 ? l : -1);
	close(l);
}

/* posix_spawn() is a vfork; the new program inherits the swapped socket. */
static void test_exec(void **state)
{
	char *argv[] = {"sh", "-c", "echo hello", NULL};
	posix_spawn_file_actions_t actions;
	int l, c, s, status = -1;
	char buf[8] = "";
	struct place p;
	pid_t child;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	p = place(NODE4, local_port(l));
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, c, 1);
	assert_int_equal(
		posix_spawn(&child, "/bin/sh", &actions, NULL, argv, environ),
		0);
	posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	s = accept(l, NULL, NULL);
	wait_readable(s);
	assert_int_equal(read(s, buf, 6), 6);
	assert_string_equal(buf, "hello\n");
	connect_once(l);
	close(c);
	close(s);
	close(l);
}

static void *thread_connect(void *arg)
{
	struct place p = place(NODE4, *(uint16_t *)arg);
	intptr_t failed = 0;
	int i, c;

	for (i = 0; i < 50; i++) {
		c = socket(AF_INET, SOCK_STREAM, 0);
		failed += connect(c, PLACE_ARGS(p)) != 0;
		close(c);
	}
	return (void *)failed;
}

static void test_threads(void **state)
{
	pthread_t t[4];
	void *failed;
	uint16_t port;
	int l, i, s;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	port = local_port(l);
	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, thread_connect, &port);
	for (i = 0; i < 200; i++) {
		s = accept(l, NULL, NULL);
		assert_true(s >= 0);
		close(s);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(t[i], &failed);
		assert_null(failed);
	}
	close(l);
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

/* --- the shared page ---------------------------------------------------------- */

static struct shim_page *page_open(void)
{
	char path[256];
	void *at;
	int fd;

	snprintf(path, sizeof(path), "%s/ntm/%s", getenv("XDG_RUNTIME_DIR"),
		 SHIM_PAGE_FILE);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	at = mmap(NULL, sizeof(struct shim_page), PROT_READ | PROT_WRITE,
		  MAP_SHARED, fd, 0);
	assert_true(at != MAP_FAILED);
	close(fd);
	return at;
}

static bool connect_swaps(const char *to)
{
	struct place p = place(to, 9);
	int c = socket(p.ss.ss_family, SOCK_DGRAM, 0);
	bool yes;

	connect(c, PLACE_ARGS(p));
	yes = swapped(c);
	close(c);
	return yes;
}

/* A domain is added while the program runs, and taken away again. */
static void test_ranges_change(void **state)
{
	struct shim_page *page = page_open();
	struct shim_range *r = &page->ranges[2];

	(void)state;
	need_ns();
	assert_false(connect_swaps("203.0.113.1"));
	assert_true(connect_swaps(NODE4));
	page->seq++;
	r->prefix_len = 24;
	memcpy(r->addr, (uint8_t[]){203, 0, 113}, 3);
	r->family = AF_INET;
	page->seq++;
	assert_true(connect_swaps("203.0.113.1"));
	assert_true(connect_swaps("::ffff:203.0.113.1"));
	assert_false(connect_swaps("203.0.114.1"));
	assert_true(connect_swaps(NODE4));
	page->seq++;
	r->family = 0;
	page->seq++;
	assert_false(connect_swaps("203.0.113.1"));
	munmap(page, sizeof(*page));
}

/* Another broker, with a page of its own: seen at the next look-up. */
static void test_page_replaced(void **state)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	struct shim_page *old = page_open(), *new;
	char path[256], aside[256];
	struct addrinfo *res;
	int fd;

	(void)state;
	need_ns();
	snprintf(path, sizeof(path), "%s/ntm/" SHIM_PAGE_FILE, dir);
	snprintf(aside, sizeof(aside), "%s/ntm/aside", dir);
	assert_int_equal(rename(path, aside), 0);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_int_equal(write(fd, old, sizeof(*old)), sizeof(*old));
	close(fd);
	new = page_open();
	new->ranges[1].addr[0] = 203;
	assert_false(connect_swaps("203.18.0.1"));
	assert_int_equal(getaddrinfo("peer.me.test", "80", NULL, &res), 0);
	freeaddrinfo(res);
	assert_true(connect_swaps("203.18.0.1"));
	assert_false(connect_swaps(NODE4));
	assert_int_equal(rename(aside, path), 0);
	assert_int_equal(getaddrinfo("peer.me.test", "80", NULL, &res), 0);
	freeaddrinfo(res);
	assert_true(connect_swaps(NODE4));
	munmap(old, sizeof(*old));
	munmap(new, sizeof(*new));
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
		cmocka_unit_test(test_fd_zero),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_pool_replaced),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_fastopen),
		cmocka_unit_test(test_in_use_untouched),
		cmocka_unit_test(test_ranges_change),
		cmocka_unit_test(test_page_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
