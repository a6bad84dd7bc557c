/* SPDX-License-Identifier: MIT */
/* test_many - sockets that join groups and send to them, with a host's interface named */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/preload/endpoint.h"

#define LAN4 "239.192.77.77" /* organisation-local, and no group's */

/* bound on the wildcard with a port that the program names */
static int listener(int family)
{
	int probe = udp_bound(family == AF_INET ? "127.0.0.1" : "::1"), on = 1;
	struct place p =
		place(family == AF_INET ? "0.0.0.0" : "::", local_port(probe));
	int fd = socket(family, SOCK_DGRAM, 0);

	close(probe);
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, PLACE_ARGS(p)), 0);
	assert_false(swapped(fd));
	return fd;
}

static void hear(int fd, const char *what)
{
	char buf[64] = "";

	wait_readable(fd);
	assert_int_equal(recv(fd, buf, sizeof(buf) - 1, 0), strlen(what));
	assert_string_equal(buf, what);
}

static bool hears_nothing(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void say(const char *group, uint16_t port, const char *what)
{
	struct place to = place(group, port);
	int fd = socket(to.ss.ss_family, SOCK_DGRAM, 0);

	assert_int_equal(sendto(fd, what, strlen(what), 0, PLACE_ARGS(to)),
			 strlen(what));
	assert_true(swapped(fd));
	close(fd);
}

/* Joined: it hears; left: it does not. To many no IPv6 leads over lo, which is all that
 * this namespace has: there the kernel's word that it is a member must do. */
static void joined(int fd, const char *group, uint16_t port, int level,
		   int leave, const void *value, socklen_t len)
{
	assert_true(swapped(fd));
	assert_int_equal(local_port(fd), port);
	if (level == IPPROTO_IP) {
		say(group, port, "all");
		hear(fd, "all");
	}
	assert_int_equal(setsockopt(fd, level, leave, value, len), 0);
	if (level == IPPROTO_IP) {
		say(group, port, "gone");
		assert_true(hears_nothing(fd));
	}
	/* it was one */
	assert_int_equal(setsockopt(fd, level, leave, value, len), -1);
	assert_int_equal(errno, EADDRNOTAVAIL);
	close(fd);
}

static void test_join4(void **state)
{
	struct ip_mreqn n = {.imr_ifindex = (int)if_nametoindex("lo")};
	struct ip_mreq m = {0};
	struct ip_mreq_source s = {0};
	int fd = listener(AF_INET), off = 0;
	uint16_t port = local_port(fd);

	(void)state;
	need_ns();
	inet_pton(AF_INET, GROUP4, &m.imr_multiaddr);
	m.imr_interface.s_addr = htonl(INADDR_LOOPBACK); /* the host's */
	assert_int_equal(
		setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)),
		0);
	setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof(off));
	joined(fd, GROUP4, port, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof(m));

	fd = listener(AF_INET);
	port = local_port(fd);
	n.imr_multiaddr = m.imr_multiaddr;
	n.imr_ifindex = 4711;
	assert_int_equal(
		setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &n, sizeof(n)),
		0);
	setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof(off));
	joined(fd, GROUP4, port, IPPROTO_IP, IP_DROP_MEMBERSHIP, &n, sizeof(n));

	fd = listener(AF_INET);
	port = local_port(fd);
	s.imr_multiaddr = m.imr_multiaddr;
	s.imr_interface = m.imr_interface;
	inet_pton(AF_INET, NODE4, &s.imr_sourceaddr);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP,
				    &s, sizeof(s)),
			 0);
	assert_true(swapped(fd));
	assert_int_equal(local_port(fd), port);
	close(fd);
}

static void test_join6(void **state)
{
	struct ipv6_mreq m = {.ipv6mr_interface = 4711};
	int fd = listener(AF_INET6);
	uint16_t port = local_port(fd);

	(void)state;
	need_ns();
	inet_pton(AF_INET6, GROUP6, &m.ipv6mr_multiaddr);
	assert_int_equal(
		setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof(m)),
		0);
	joined(fd, GROUP6, port, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &m, sizeof(m));
}

static void test_join_any(void **state)
{
	static const char *const groups[] = {GROUP4, GROUP6};

	(void)state;
	need_ns();
	for (int i = 0; i < 2; i++) {
		struct place p = place(groups[i], 0);
		int level = i ? IPPROTO_IPV6 : IPPROTO_IP, off = 0;
		int fd = listener(p.ss.ss_family);
		struct group_req r = {.gr_interface = 4711, .gr_group = p.ss};
		uint16_t port = local_port(fd);

		assert_int_equal(
			setsockopt(fd, level, MCAST_JOIN_GROUP, &r, sizeof(r)),
			0);
		if (!i)
			setsockopt(fd, level, IP_MULTICAST_ALL, &off,
				   sizeof(off));
		joined(fd, groups[i], port, level, MCAST_LEAVE_GROUP, &r,
		       sizeof(r));
	}
}

/* the way out is the namespace's, whatever the program says */
static void test_interface(void **state)
{
	struct in_addr host = {htonl(INADDR_LOOPBACK)};
	struct ip_mreqn n = {.imr_ifindex = 4711};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), index = 4711;
	struct place to = place(GROUP4, 9);

	(void)state;
	need_ns();
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &host,
				    sizeof(host)),
			 0);
	assert_false(swapped(fd)); /* it may be for the host's network */
	assert_int_equal(sendto(fd, "a", 1, 0, PLACE_ARGS(to)), 1);
	assert_true(swapped(fd));
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &host,
				    sizeof(host)),
			 0);
	assert_int_equal(
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &n, sizeof(n)), 0);
	assert_int_equal(sendto(fd, "b", 1, 0, PLACE_ARGS(to)), 1);
	close(fd);
	fd = socket(AF_INET6, SOCK_DGRAM, 0);
	to = place(GROUP6, 9);
	assert_int_equal(sendto(fd, "a", 1, 0, PLACE_ARGS(to)), 1);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index,
				    sizeof(index)),
			 0);
	assert_int_equal(sendto(fd, "b", 1, 0, PLACE_ARGS(to)), 1);
	close(fd);
}

/* a server on the wildcard has an alias for each peer, but none for a group */
static void test_wildcard_sends(void **state)
{
	int fd = listener(AF_INET), c = udp_bound(NODE4),
	    rx = listener(AF_INET);
	struct ip_mreq m = {0};
	uint16_t port = local_port(fd);
	struct place to;

	(void)state;
	need_ns();
	inet_pton(AF_INET, GROUP4, &m.imr_multiaddr);
	assert_int_equal(
		setsockopt(rx, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)),
		0);
	to = place(GROUP4, local_port(rx));
	assert_int_equal(sendto(fd, "one", 3, 0, PLACE_ARGS(to)), 3);
	assert_true(swapped(fd));
	assert_int_equal(local_port(fd), port);
	hear(rx, "one");
	close(fd);
	fd = listener(AF_INET);
	assert_int_equal(connect(fd, PLACE_ARGS(to)), 0);
	assert_true(swapped(fd));
	assert_int_equal(send(fd, "two", 3, 0), 3);
	hear(rx, "two");
	close(fd);
	close(c);
	close(rx);
}

/* registered with epoll before: it is told of what comes */
static void test_epoll(void **state)
{
	int fd = listener(AF_INET), ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = 77}, got;
	uint16_t port = local_port(fd);
	struct ip_mreq m = {0};

	(void)state;
	need_ns();
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	inet_pton(AF_INET, GROUP4, &m.imr_multiaddr);
	assert_int_equal(
		setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)),
		0);
	say(GROUP4, port, "x");
	assert_int_equal(epoll_wait(ep, &got, 1, 5000), 1);
	assert_int_equal(got.data.u32, 77);
	close(ep);
	close(fd);
}

/* what is no group's stays with the host, errors too */
static void test_foreign(void **state)
{
	struct ip_mreqn n = {.imr_ifindex = 4711};
	struct ip_mreq m = {0};
	int fd = listener(AF_INET);

	(void)state;
	inet_pton(AF_INET, LAN4, &m.imr_multiaddr);
	m.imr_interface.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(
		setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)),
		0);
	assert_false(swapped(fd));
	n.imr_multiaddr = m.imr_multiaddr;
	assert_int_equal(
		setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &n, sizeof(n)),
		-1);
	assert_int_equal(errno, ENODEV);
	inet_pton(AF_INET, GROUP4, &m.imr_multiaddr);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, 3),
			 -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(
		setsockopt(-1, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)),
		-1);
	assert_int_equal(errno, EBADF);
	assert_false(swapped(fd));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join4),
		cmocka_unit_test(test_join6),
		cmocka_unit_test(test_join_any),
		cmocka_unit_test(test_interface),
		cmocka_unit_test(test_wildcard_sends),
		cmocka_unit_test(test_epoll),
		cmocka_unit_test(test_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
