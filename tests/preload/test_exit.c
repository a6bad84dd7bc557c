/* SPDX-License-Identifier: MIT */
/* test_exit - NTM_EXIT: which sockets ask, once, and what becomes of them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/shimproto.h"
#include "tests/preload/endpoint.h"

static uint32_t asked(void)
{
	return stats()->asked[SHIM_EXIT];
}

/* does the broker answer? */
static bool answers(void)
{
	const char *mode = getenv(FAKE_MODE);

	return !mode || strcmp(mode, "hang") != 0;
}

static struct place host(unsigned int last)
{
	char ip[32];

	snprintf(ip, sizeof(ip), "203.0.113.%u", last);
	return place(ip, 9);
}

static int connected(int type, unsigned int last, int *result)
{
	struct place p = host(last);
	/* nothing is there: it must not wait for it */
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);

	*result = connect(fd, PLACE_ARGS(p)) ? errno : 0;
	return fd;
}

static void way_of(int type)
{
	uint32_t before = asked();
	int fd, err;

	fd = connected(type, EXIT_FAR, &err);
	assert_int_equal(asked(), before + 1);
	assert_true(swapped(fd));
	close(fd);
	fd = connected(type, EXIT_NEAR, &err);
	assert_int_equal(asked(), before + 2);
	assert_false(swapped(fd));
	close(fd);
	fd = connected(type, EXIT_NONE, &err);
	assert_int_equal(asked(), before + 3);
	assert_false(swapped(fd));
	assert_int_equal(err, ENETUNREACH);
	close(fd);
}

static void test_connect(void **state)
{
	(void)state;
	need_ns();
	if (!answers())
		skip();
	way_of(SOCK_STREAM);
	way_of(SOCK_DGRAM);
}

/* a client without a port is swapped at its first send, and asks no more */
static void test_sendto(void **state)
{
	struct place far = host(EXIT_FAR), none = host(EXIT_NONE);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint32_t before = asked();

	(void)state;
	need_ns();
	if (!answers())
		skip();
	(void)!sendto(fd, "x", 1, 0, PLACE_ARGS(far));
	assert_true(swapped(fd));
	(void)!sendto(fd, "x", 1, 0, PLACE_ARGS(far));
	assert_int_equal(asked(), before + 1);
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(sendto(fd, "x", 1, 0, PLACE_ARGS(none)), -1);
	assert_int_equal(errno, ENETUNREACH);
	close(fd);
}

/* what may be a server stays, unless it connects */
static void test_bound(void **state)
{
	struct place far = host(EXIT_FAR), any = place("0.0.0.0", 0);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint32_t before = asked();

	(void)state;
	need_ns();
	if (!answers())
		skip();
	assert_int_equal(bind(fd, PLACE_ARGS(any)), 0);
	(void)!sendto(fd, "x", 1, MSG_DONTWAIT, PLACE_ARGS(far));
	assert_int_equal(asked(), before);
	assert_false(swapped(fd));
	(void)!connect(fd, PLACE_ARGS(far));
	assert_int_equal(asked(), before + 1);
	assert_true(swapped(fd));
	close(fd);
}

/* this host is no question */
static void test_loopback(void **state)
{
	int l = tcp_listener("127.0.0.1"), fd = socket(AF_INET, SOCK_STREAM, 0);
	struct place p = place("127.0.0.1", local_port(l));
	uint32_t before = asked();

	(void)state;
	assert_int_equal(connect(fd, PLACE_ARGS(p)), 0);
	assert_false(swapped(fd));
	assert_int_equal(asked(), before);
	close(fd);
	close(l);
}

/* a broker that says nothing: auto goes on as on the host, relay does not */
static void test_silence(void **state)
{
	bool relay = !strcmp(getenv("NTM_EXIT"), "relay");
	int fd, err;

	(void)state;
	if (answers())
		skip();
	fd = connected(SOCK_DGRAM, EXIT_FAR, &err);
	assert_false(swapped(fd));
	if (relay)
		assert_int_equal(err, ENETUNREACH);
	assert_int_equal(asked(), 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence),	 cmocka_unit_test(test_connect),
		cmocka_unit_test(test_sendto),	 cmocka_unit_test(test_bound),
		cmocka_unit_test(test_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
