/* SPDX-License-Identifier: MIT */
/* test_udp - datagrams: one wildcard socket serves both networks */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/shimproto.h"
#include "tests/preload/endpoint.h"

static int server(const char *text, int v6only, bool named_port)
{
	struct place p = place(text, 0);
	int fd = socket(p.ss.ss_family, SOCK_DGRAM, 0), probe;

	if (named_port) {
		/* bind() announces only a port that the program names */
		probe = udp_bound(text);
		p = place(text, local_port(probe));
		close(probe);
	}
	if (p.ss.ss_family == AF_INET6)
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
					    &v6only, sizeof(v6only)),
				 0);
	assert_int_equal(bind(fd, PLACE_ARGS(p)), 0);
	assert_false(swapped(fd));
	return fd;
}

static void say(int fd, const char *what, struct place to)
{
	assert_int_equal(sendto(fd, what, strlen(what), 0, PLACE_ARGS(to)),
			 strlen(what));
}

/* Receive @what at @fd; returns where it came from. */
static struct place hear(int fd, const char *what)
{
	struct place from = {.len = sizeof(from.ss)};
	char buf[64] = "";

	wait_readable(fd);
	assert_int_equal(recvfrom(fd, buf, sizeof(buf) - 1, 0,
				  (struct sockaddr *)&from.ss, &from.len),
			 strlen(what));
	assert_string_equal(buf, what);
	return from;
}

static void assert_from(struct place from, const char *text, uint16_t port)
{
	struct shim_addr a;

	assert_string_equal(text_of(&from.ss, from.len), text);
	shim_addr_from((struct sockaddr *)&from.ss, from.len, &a);
	assert_int_equal(a.port, port);
}

/* A peer speaks first, the server answers what it saw. */
static void serve_case(int s, const char *at, const char *from,
		       const char *seen)
{
	int c = udp_bound(from);
	struct place p;

	assert_true(swapped(c));
	say(c, "question", place(at, local_port(s)));
	p = hear(s, "question");
	assert_from(p, seen, local_port(c));
	assert_int_equal(p.ss.ss_family, *seen == ':' || strchr(seen, ':')
						 ? AF_INET6
						 : AF_INET);
	say(s, "answer", p);
	assert_from(hear(c, "answer"), at, local_port(s));
	close(c);
	assert_false(swapped(s));
}

/* And on the host it is what it was. */
static void host_case(int s, const char *at)
{
	int c = udp_bound(at);
	struct place p;

	say(c, "host", place(at, local_port(s)));
	p = hear(s, "host");
	say(s, "back", p);
	hear(c, "back");
	close(c);
}

static void test_server_v4(void **state)
{
	int s;

	(void)state;
	need_ns();
	s = server("0.0.0.0", 0, true);
	serve_case(s, NODE4, PEER4, PEER4);
	host_case(s, "127.0.0.1");
	serve_case(s, NODE4, PEER4, PEER4);
	close(s);
}

static void test_server_dual(void **state)
{
	int s;

	(void)state;
	need_ns();
	s = server("::", 0, true);
	serve_case(s, NODE4, PEER4, "::ffff:" PEER4);
	serve_case(s, NODE6, PEER6, PEER6);
	host_case(s, "::1");
	close(s);
}

static void test_server_v6only(void **state)
{
	int s;

	(void)state;
	need_ns();
	s = server("::", 1, true);
	serve_case(s, NODE6, PEER6, PEER6);
	host_case(s, "::1");
	close(s);
}

/* bind(port 0), as Node and asyncio do: announced at the first virtual send. */
static void first_send_case(const char *any, int v6only, const char *at,
			    const char *to)
{
	uint32_t bound = stats()->asked[SHIM_UDPBIND], alias;
	int s = server(any, v6only, false), c = udp_bound(at);
	struct place p;

	assert_int_equal(stats()->asked[SHIM_UDPBIND], bound);
	say(s, "one", place(to, local_port(c)));
	assert_int_equal(stats()->asked[SHIM_UDPBIND], bound + 1);
	p = hear(c, "one");
	say(c, "two", p);
	assert_from(hear(s, "two"), to, local_port(c));
	/* a known peer costs no request */
	alias = stats()->asked[SHIM_UDPALIAS];
	say(s, "three", place(to, local_port(c)));
	hear(c, "three");
	assert_int_equal(stats()->asked[SHIM_UDPALIAS], alias);
	host_case(s, strchr(any, ':') ? "::1" : "127.0.0.1");
	close(s);
	close(c);
}

static void test_first_send(void **state)
{
	(void)state;
	need_ns();
	first_send_case("0.0.0.0", 0, PEER4, PEER4);
	first_send_case("::", 0, PEER4, "::ffff:" PEER4);
	first_send_case("::", 0, PEER6, PEER6);
	first_send_case("::", 1, PEER6, PEER6);
}

static void test_unbound_swapped(void **state)
{
	int c = socket(AF_INET, SOCK_DGRAM, 0), p;
	struct place from;

	(void)state;
	need_ns();
	p = udp_bound(PEER4);
	say(c, "hello", place(PEER4, local_port(p)));
	assert_true(swapped(c));
	from = hear(p, "hello");
	say(p, "there", from);
	assert_from(hear(c, "there"), PEER4, local_port(p));
	close(c);
	close(p);
}

static void test_msg(void **state)
{
	struct sockaddr_storage name;
	char buf[16] = "", ctl[64];
	struct iovec iov = {buf, sizeof(buf) - 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct place to;
	int s, p;

	(void)state;
	need_ns();
	s = server("0.0.0.0", 0, false);
	p = udp_bound(PEER4);
	to = place(PEER4, local_port(p));
	memcpy(buf, "msg", 3);
	iov.iov_len = 3;
	m.msg_name = &to.ss;
	m.msg_namelen = to.len;
	assert_int_equal(sendmsg(s, &m, 0), 3);
	/* the caller's structure is his */
	assert_ptr_equal(m.msg_name, &to.ss);
	assert_from(to, PEER4, local_port(p));
	say(p, "back", hear(p, "msg"));
	wait_readable(s);
	m.msg_name = &name;
	m.msg_namelen = sizeof(name);
	m.msg_control = ctl;
	m.msg_controllen = sizeof(ctl);
	iov.iov_len = sizeof(buf) - 1;
	assert_int_equal(recvmsg(s, &m, 0), 4);
	assert_string_equal(text_of(&name, m.msg_namelen), PEER4);
	assert_int_equal(m.msg_controllen, 0);
	close(s);
	close(p);
}

/* Short name buffers: cut, the full length told, nothing written beyond. */
static void test_truncation(void **state)
{
	unsigned char name[sizeof(struct sockaddr_in)];
	char buf[16];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr m = {.msg_name = name,
			   .msg_namelen = 6,
			   .msg_iov = &iov,
			   .msg_iovlen = 1};
	socklen_t len = 8;
	struct in_addr ip;
	struct place from;
	int s, p;

	(void)state;
	need_ns();
	s = server("0.0.0.0", 0, false);
	p = udp_bound(PEER4);
	say(s, "x", place(PEER4, local_port(p)));
	from = hear(p, "x");
	say(p, "1", from);
	say(p, "2", from);
	wait_readable(s);
	memset(name, 0xee, sizeof(name));
	assert_int_equal(recvfrom(s, buf, 1, 0, (struct sockaddr *)name, &len),
			 1);
	assert_int_equal(len, sizeof(struct sockaddr_in));
	memcpy(&ip, name + 4, 4);
	assert_string_equal(inet_ntoa(ip), PEER4);
	assert_int_equal(name[8], 0xee);
	wait_readable(s);
	memset(name, 0xee, sizeof(name));
	assert_int_equal(recvmsg(s, &m, 0), 1);
	assert_int_equal(m.msg_namelen, sizeof(struct sockaddr_in));
	assert_int_equal(name[2] << 8 | name[3], local_port(p));
	assert_int_equal(name[6], 0xee);
	close(s);
	close(p);
}

#define MANY 20

/* Virtual and host destinations in one call, more than one batch. */
static void mmsg_case(bool raw)
{
	int s = server("0.0.0.0", 0, false), p = udp_bound(PEER4),
	    h = udp_bound("127.0.0.1"), i, n;
	struct place to[2] = {place(PEER4, local_port(p)),
			      place("127.0.0.1", local_port(h))};
	struct sockaddr_in names[MANY];
	struct mmsghdr vec[MANY];
	struct iovec iov[MANY];
	char data[MANY][4];

	memset(vec, 0, sizeof(vec));
	for (i = 0; i < MANY; i++) {
		data[i][0] = (char)('a' + i);
		iov[i] = (struct iovec){data[i], 1 + (size_t)i % 3};
		vec[i].msg_hdr.msg_iov = &iov[i];
		vec[i].msg_hdr.msg_iovlen = 1;
		vec[i].msg_hdr.msg_name = &to[i % 2].ss;
		vec[i].msg_hdr.msg_namelen = to[i % 2].len;
	}
	n = raw ? (int)syscall(SYS_sendmmsg, s, vec, MANY, 0)
		: sendmmsg(s, vec, MANY, 0);
	assert_int_equal(n, MANY);
	for (i = 0; i < MANY; i++) {
		char buf[4];
		struct place from = {.len = sizeof(from.ss)};
		int fd = i % 2 ? h : p;

		assert_int_equal(vec[i].msg_len, 1 + i % 3);
		wait_readable(fd);
		assert_int_equal(recvfrom(fd, buf, 4, 0,
					  (struct sockaddr *)&from.ss,
					  &from.len),
				 1 + i % 3);
		assert_int_equal(buf[0], 'a' + i);
		assert_int_equal(sendto(fd, buf, 1, 0, PLACE_ARGS(from)), 1);
	}
	for (n = 0; n < MANY; n += i) {
		for (i = 0; i < MANY; i++) {
			iov[i].iov_len = 4;
			vec[i].msg_hdr.msg_name = &names[i];
			vec[i].msg_hdr.msg_namelen = sizeof(names[i]);
		}
		wait_readable(s);
		i = raw ? (int)syscall(SYS_recvmmsg, s, vec, MANY, MSG_DONTWAIT,
				       NULL)
			: recvmmsg(s, vec, MANY, MSG_DONTWAIT, NULL);
		assert_true(i > 0);
		for (int k = 0; k < i; k++)
			assert_string_equal(inet_ntoa(names[k].sin_addr),
					    (data[k][0] - 'a') % 2 ? "127.0.0.1"
								   : PEER4);
	}
	close(s);
	close(p);
	close(h);
}

static void test_mmsg(void **state)
{
	(void)state;
	need_ns();
	mmsg_case(false);
}

static void test_mmsg_syscall(void **state)
{
	(void)state;
	need_ns();
	mmsg_case(true);
}

static void test_mmsg_unbound(void **state)
{
	struct mmsghdr vec = {0};
	struct iovec iov = {(char[]){'u'}, 1};
	struct place to;
	int c = socket(AF_INET, SOCK_DGRAM, 0), p;

	(void)state;
	need_ns();
	p = udp_bound(PEER4);
	to = place(PEER4, local_port(p));
	vec.msg_hdr = (struct msghdr){.msg_name = &to.ss,
				      .msg_namelen = to.len,
				      .msg_iov = &iov,
				      .msg_iovlen = 1};
	assert_int_equal(sendmmsg(c, &vec, 1, 0), 1);
	assert_true(swapped(c));
	hear(p, "u");
	close(c);
	close(p);
}

/* From the address of alias @number, but not from the broker's port. */
static void imitate(uint32_t number, int s)
{
	struct shim_addr a = {.family = AF_INET};
	uint32_t ip = htonl(SHIM_UDPALIAS_NET + number);
	int fake = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_storage ss;
	struct place from;
	char text[32];
	socklen_t len;

	memcpy(a.addr, &ip, 4);
	len = shim_addr_to(&a, &ss);
	assert_int_equal(bind(fake, (struct sockaddr *)&ss, len), 0);
	snprintf(text, sizeof(text), "%s", text_of(&ss, len));
	say(fake, "fake", place("127.0.0.1", local_port(s)));
	from = hear(s, "fake");
	assert_from(from, text, local_port(fake));
	/* and answered as such */
	say(s, "local", from);
	hear(fake, "local");
	close(fake);
}

/* A stranger on this host is shown as what he is, be the alias live or not, of
 * this socket or of another. */
static void test_imitation(void **state)
{
	uint32_t number;
	int s, p;

	(void)state;
	need_ns();
	s = server("0.0.0.0", 0, false);
	p = udp_bound(PEER4);
	say(s, "x", place(PEER4, local_port(p)));
	hear(p, "x");
	for (number = 0; number < 64; number++)
		imitate(number, s);
	close(s);
	close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_v4),
		cmocka_unit_test(test_server_dual),
		cmocka_unit_test(test_server_v6only),
		cmocka_unit_test(test_first_send),
		cmocka_unit_test(test_unbound_swapped),
		cmocka_unit_test(test_msg),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_mmsg),
		cmocka_unit_test(test_mmsg_syscall),
		cmocka_unit_test(test_mmsg_unbound),
		cmocka_unit_test(test_imitation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
