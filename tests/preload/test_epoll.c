/* SPDX-License-Identifier: MIT */
/* test_epoll - registrations made before connect() survive the swap */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/preload/endpoint.h"

static int epoll_wait1(int ep, struct epoll_event *ev)
{
	return epoll_wait(ep, ev, 1, 5000);
}

static void epoll_case(uint32_t events, bool dup_epfd, bool scan)
{
	struct epoll_event ev = {.events = events, .data.u64 = 0x1234567890ab};
	int ep = scan ? (int)syscall(SYS_epoll_create1, 0) : epoll_create1(0);
	int l = tcp_listener(NODE4), c, s, ep2 = -1;
	struct place p = place(NODE4, local_port(l));

	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, c, &ev), 0);
	if (dup_epfd) {
		ep2 = epoll_create(1);
		assert_int_equal(epoll_ctl(ep2, EPOLL_CTL_ADD, c, &ev), 0);
	}
	connect(c, PLACE_ARGS(p));
	assert_true(swapped(c));
	s = accept(l, NULL, NULL);
	assert_int_equal(write(s, "e", 1), 1);
	memset(&ev, 0, sizeof(ev));
	assert_int_equal(epoll_wait1(ep, &ev), 1);
	assert_int_equal(ev.data.u64, 0x1234567890ab);
	assert_true(ev.events & EPOLLIN);
	assert_false(ev.events & EPOLLHUP);
	if (dup_epfd) {
		assert_int_equal(epoll_wait1(ep2, &ev), 1);
		close(ep2);
	}
	/* the program's own calls still find it */
	ev.events = EPOLLIN;
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_MOD, c, &ev), 0);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_DEL, c, &ev), 0);
	close(c);
	close(s);
	close(l);
	close(ep);
}

static void test_epoll_before_connect(void **state)
{
	(void)state;
	need_ns();
	epoll_case(EPOLLIN, false, false);
}

/* Made where no hook sees it, before the first swap; hence the first test. */
static void test_epoll_scan(void **state)
{
	(void)state;
	need_ns();
	epoll_case(EPOLLIN, false, true);
}

static void test_epoll_edge(void **state)
{
	(void)state;
	need_ns();
	epoll_case(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, false, false);
}

static void test_epoll_two_sets(void **state)
{
	(void)state;
	need_ns();
	epoll_case(EPOLLIN, true, false);
}

/* The number of a noted epoll descriptor is something else by now. */
static void test_epoll_stale_slot(void **state)
{
	int ep;

	(void)state;
	need_ns();
	ep = epoll_create1(0);
	close(ep);
	ep = open("/dev/null", O_RDONLY);
	epoll_case(EPOLLIN, false, false);
	close(ep);
}

static void test_epoll_many(void **state)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int ep = epoll_create1(0), fds[300], i, c, l, s;
	struct place p;

	(void)state;
	need_ns();
	for (i = 0; i < 300; i++) {
		fds[i] = socket(AF_INET, SOCK_DGRAM, 0);
		ev.data.fd = fds[i];
		epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev);
	}
	c = socket(AF_INET, SOCK_STREAM, 0);
	ev.data.fd = c;
	epoll_ctl(ep, EPOLL_CTL_ADD, c, &ev);
	l = tcp_listener(NODE4);
	p = place(NODE4, local_port(l));
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	s = accept(l, NULL, NULL);
	assert_int_equal(write(s, "e", 1), 1);
	assert_int_equal(epoll_wait1(ep, &ev), 1);
	assert_int_equal(ev.data.fd, c);
	for (i = 0; i < 300; i++)
		close(fds[i]);
	close(c);
	close(s);
	close(l);
	close(ep);
}

/* A duplicate keeps the old file alive: a registration left on it could never be
 * removed again, and would tell of a socket that nobody uses. */
static void test_epoll_dup(void **state)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLHUP};
	int ep = epoll_create1(0), l, c, d, s;
	struct place p;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	p = place(NODE4, local_port(l));
	c = socket(AF_INET, SOCK_STREAM, 0);
	d = dup(c);
	ev.data.fd = c;
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, c, &ev), 0);
	/* unconnected: level-triggered hang-up */
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 1);
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	assert_true(swapped(c));
	assert_false(swapped(d));
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);
	s = accept(l, NULL, NULL);
	assert_int_equal(write(s, "e", 1), 1);
	assert_int_equal(epoll_wait1(ep, &ev), 1);
	assert_int_equal(ev.data.fd, c);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_DEL, c, &ev), 0);
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);
	close(c);
	close(d);
	close(s);
	close(l);
	close(ep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epoll_scan),
		cmocka_unit_test(test_epoll_before_connect),
		cmocka_unit_test(test_epoll_edge),
		cmocka_unit_test(test_epoll_two_sets),
		cmocka_unit_test(test_epoll_stale_slot),
		cmocka_unit_test(test_epoll_many),
		cmocka_unit_test(test_epoll_dup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
