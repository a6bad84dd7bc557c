/* SPDX-License-Identifier: MIT */
/* test_modes - NTM_LISTEN: what becomes of wildcard sockets */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/shimproto.h"
#include "tests/preload/endpoint.h"

static bool mode_is(const char *mode)
{
	return !strcmp(getenv("NTM_LISTEN"), mode);
}

/* A port that was free a moment ago, of sockets of @type. */
static uint16_t free_port(int type)
{
	struct place p = place("127.0.0.1", 0);
	int fd = socket(AF_INET, type, 0);
	uint16_t port;

	assert_int_equal(bind(fd, PLACE_ARGS(p)), 0);
	port = local_port(fd);
	close(fd);
	return port;
}

static void check_listener(int l)
{
	struct place p = place(NODE4, local_port(l)),
		     h = place("127.0.0.1", local_port(l));
	int c = socket(AF_INET, SOCK_STREAM, 0), s;

	assert_int_equal(swapped(l), mode_is("virtual"));
	assert_int_equal(connect(c, PLACE_ARGS(p)), mode_is("real") ? -1 : 0);
	if (!mode_is("real")) {
		s = accept(l, NULL, NULL);
		assert_true(swapped(s));
		exchange(c, s);
		close(s);
	}
	close(c);
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(c, PLACE_ARGS(h)),
			 mode_is("virtual") ? -1 : 0);
	if (!mode_is("virtual")) {
		s = accept(l, NULL, NULL);
		assert_false(swapped(s));
		close(s);
	}
	close(c);
}

static void test_listener(void **state)
{
	int l = socket(AF_INET, SOCK_STREAM, 0);
	struct place p = place("0.0.0.0", free_port(SOCK_STREAM));
	uint32_t asked = stats()->asked[SHIM_LISTEN];

	(void)state;
	need_ns();
	assert_int_equal(bind(l, PLACE_ARGS(p)), 0);
	assert_int_equal(listen(l, 8), 0);
	assert_int_equal(stats()->asked[SHIM_LISTEN] - asked,
			 mode_is("both") ? 1 : 0);
	check_listener(l);
	close(l);
}

/* The port is chosen by bind(0), or by listen(). */
static void test_any_port(void **state)
{
	int l;

	(void)state;
	need_ns();
	l = tcp_listener("0.0.0.0");
	check_listener(l);
	close(l);
	l = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(listen(l, 8), 0);
	check_listener(l);
	close(l);
}

/* Only the namespace lets everybody have a low port. */
static void test_low_port(void **state)
{
	struct place p = place("0.0.0.0", 80);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	need_ns();
	if (mode_is("virtual"))
		assert_int_equal(bind(l, PLACE_ARGS(p)), 0);
	close(l);
}

static void test_datagrams(void **state)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), c;
	struct place p = place("0.0.0.0", free_port(SOCK_DGRAM));
	uint32_t asked = stats()->asked[SHIM_UDPBIND];
	char b;

	(void)state;
	need_ns();
	assert_int_equal(bind(s, PLACE_ARGS(p)), 0);
	assert_int_equal(swapped(s), mode_is("virtual"));
	assert_int_equal(stats()->asked[SHIM_UDPBIND] - asked,
			 mode_is("both") ? 1 : 0);
	if (!mode_is("real")) {
		c = udp_bound(PEER4);
		p = place(NODE4, local_port(s));
		assert_int_equal(sendto(c, "m", 1, 0, PLACE_ARGS(p)), 1);
		wait_readable(s);
		assert_int_equal(recv(s, &b, 1, 0), 1);
		close(c);
	}
	close(s);
	/* a client's socket keeps both networks in every mode */
	c = udp_bound("0.0.0.0");
	assert_false(swapped(c));
	close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listener),
		cmocka_unit_test(test_any_port),
		cmocka_unit_test(test_low_port),
		cmocka_unit_test(test_datagrams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
