/* SPDX-License-Identifier: MIT */
/* test_http_limits - the HTTPS framework and who holds its connections */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http_site.h"

static int raw_connect(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, &at.sa, addr_len(&at)), 0);
	return fd;
}

static bool has_ended(void *arg)
{
	char c;

	return recv(*(int *)arg, &c, 1, MSG_DONTWAIT) == 0;
}

/* Strangers that have all places of a source keep nobody of it out. */
static void too_many(void **state)
{
	struct https_ask a = {.method = "GET", .path = "/v1/echo"};
	int fds[4];
	struct http_stats st;

	(void)state;
	http_free(http);
	http_begin(4, 0);
	for (size_t i = 0; i < 4; i++)
		fds[i] = raw_connect();
	/* not one that has yet to begin, nor for ever */
	while (ask(&a) != 200) {
		a.over = false;
		a.got_len = 0;
		free(a.got);
	}
	free(a.got);
	assert_true(site_wait(&site, has_ended, &fds[0]));
	assert_false(has_ended(&fds[3]));
	http_status(http, &st);
	assert_in_range(st.evicted, 1, 3);
	assert_int_equal(st.refused_total, 0);
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
}

/* a byte now and then holds nothing */
static void loris(void **state)
{
	struct http_stats st;
	int fd;

	(void)state;
	http_free(http);
	http_begin(0, 1);
	fd = raw_connect();
	assert_true(site_wait(&site, has_ended, &fd));
	http_status(http, &st);
	assert_int_equal(st.slow, 1);
	close(fd);
}

/* When they are nearly all taken, those that say nothing go soon. */
static void crowded(void **state)
{
	uint64_t began = loop_now_exact(site.loop);
	int fds[7];

	(void)state;
	http_free(http);
	connections = 8;
	http_begin(0, 0);
	for (size_t i = 0; i < 7; i++)
		fds[i] = raw_connect();
	for (size_t i = 0; i < 7; i++)
		assert_true(site_wait(&site, has_ended, &fds[i]));
	assert_true(loop_now_exact(site.loop) - began <
		    LOOP_S(HTTP_HEADER_S - 2));
	for (size_t i = 0; i < 7; i++)
		close(fds[i]);
	connections = 0;
	http_free(http);
	http_begin(0, 0);
}

static bool nothing_held(void *arg)
{
	struct http_stats st;

	(void)arg;
	http_status(http, &st);
	return !st.held;
}

/* Long answers that nobody takes have an end, and one source's leave room for others. */
static void held(void **state)
{
	const uint8_t here[HTTP_SOURCE_LEN] = {127, 0, 0, 1, [15] = 4};
	uint8_t other[HTTP_SOURCE_LEN] = {0};
	struct https_ask a = {.method = "GET", .path = "/v1/big"}, b = a,
			 c = {.method = "GET", .path = "/v1/echo"};

	(void)state;
	assert_true(http_hold(http, here, HTTP_HELD_MAX / 4));
	assert_false(http_hold(http, here, 1));
	expect_error(&a, 429, "LIMIT");
	assert_int_equal(ask(&c), 200);
	free(c.got);
	http_let_go(http, here, HTTP_HELD_MAX / 4);
	for (other[0] = 0; other[0] < 4; other[0]++)
		assert_true(http_hold(http, other, HTTP_HELD_MAX / 4));
	assert_false(http_hold(http, here, 1));
	for (other[0] = 0; other[0] < 4; other[0]++)
		http_let_go(http, other, HTTP_HELD_MAX / 4);
	assert_int_equal(ask(&b), 200);
	free(b.got);
	assert_true(site_wait(&site, nothing_held, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held),
		cmocka_unit_test(crowded),
		cmocka_unit_test(too_many),
		cmocka_unit_test(loris),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
