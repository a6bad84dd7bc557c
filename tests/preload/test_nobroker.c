/* SPDX-License-Identifier: MIT */
/*
 * test_nobroker - no broker, a hung one, one that answers nonsense
 *
 * The same expectations in every mode of the fake broker but "good": a program
 * behaves as on the host, in bounded time, and keeps its descriptors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "preload/shimproto.h"
#include "tests/preload/endpoint.h"

static bool mode_is(const char *mode)
{
	return !strcmp(getenv(FAKE_MODE), mode);
}

static int open_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

/* No route to 198.18.0.0/15 is assumed: a host may have a default route, so the
 * connect is not awaited. What counts is that the socket stays what it was. */
static void test_connect(void **state)
{
	struct place p = place(NODE4, 9);
	int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), before, i;
	struct epoll_event ev = {.events = EPOLLIN};
	int ep = epoll_create1(0);
	ino_t was = inode(c);
	double start;

	(void)state;
	epoll_ctl(ep, EPOLL_CTL_ADD, c, &ev);
	before = open_count();
	start = now();
	assert_int_equal(connect(c, PLACE_ARGS(p)), -1);
	assert_true(now() - start < 1.5);
	assert_false(swapped(c));
	assert_int_equal(inode(c), was);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_MOD, c, &ev), 0);
	close(c);
	for (i = 0; i < (mode_is("hang") ? 1 : 20); i++) {
		c = socket(AF_INET6, SOCK_DGRAM, 0);
		p = place(NODE6, 9);
		errno = 0;
		connect(c, PLACE_ARGS(p));
		assert_false(swapped(c));
		close(c);
	}
	assert_int_equal(open_count(), before - 1);
	/* it was asked, wherever there was somebody to ask */
	if (!mode_is("none") && !mode_is("dead"))
		assert_true(stats()->asked[SHIM_SOCKET] > 0);
	close(ep);
}

static void test_server(void **state)
{
	int l = tcp_listener("0.0.0.0"), c, s;
	struct place p = place("127.0.0.1", local_port(l)),
		     bell = place(FAKE_DOORBELL, 0);
	double start = now();

	(void)state;
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	s = accept(l, NULL, NULL);
	exchange(c, s);
	assert_false(swapped(c) || swapped(s) || swapped(l));
	close(c);
	close(s);
	/* one that comes from a doorbell's address is a local connection */
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(c, PLACE_ARGS(bell)), 0);
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	s = accept(l, NULL, NULL);
	assert_true(s >= 0 && !swapped(s));
	exchange(c, s);
	close(c);
	close(s);
	close(l);
	assert_true(now() - start < 2.5);
}

static void test_datagrams(void **state)
{
	int s = udp_bound("0.0.0.0"), c = udp_bound("127.0.0.1");
	struct place p = place("127.0.0.1", local_port(s)), v = place(NODE4, 9);
	char b;

	(void)state;
	assert_int_equal(sendto(c, "d", 1, 0, PLACE_ARGS(p)), 1);
	assert_int_equal(
		recvfrom(s, &b, 1, 0, (struct sockaddr *)&p.ss, &p.len), 1);
	assert_string_equal(text_of(&p.ss, p.len), "127.0.0.1");
	/* the result is the host's; it must not hang or swap */
	sendto(s, "v", 1, MSG_DONTWAIT, PLACE_ARGS(v));
	assert_false(swapped(s));
	assert_int_equal(sendto(s, "e", 1, 0, PLACE_ARGS(p)), 1);
	assert_int_equal(recv(c, &b, 1, 0), 1);
	assert_int_equal(b, 'e');
	close(s);
	close(c);
}

/* Behind the shim, fakeresolv.c says EAI_NONAME to this. */
static void test_names(void **state)
{
	struct addrinfo *res = NULL;
	int ret;

	(void)state;
	/* the limit of a look-up is long; one hung test is enough (test_hung) */
	if (mode_is("hang"))
		return;
	ret = getaddrinfo("peer.me.test", "80", NULL, &res);
	if (mode_is("error"))
		assert_int_equal(ret, EAI_FAIL);
	else if (!mode_is("flip"))
		assert_int_equal(ret, EAI_NONAME);
	else if (ret == 0)
		freeaddrinfo(res);
	assert_int_equal(getaddrinfo("localhost", "80", NULL, &res), 0);
	freeaddrinfo(res);
}

static void test_hung(void **state)
{
	struct addrinfo *res = NULL;
	double start = now();

	(void)state;
	if (!mode_is("hang"))
		return;
	assert_int_equal(getaddrinfo("peer.me.test", "80", NULL, &res),
			 EAI_AGAIN);
	assert_true(now() - start >= 14 && now() - start < 17);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect),	  cmocka_unit_test(test_server),
		cmocka_unit_test(test_datagrams), cmocka_unit_test(test_names),
		cmocka_unit_test(test_hung),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
