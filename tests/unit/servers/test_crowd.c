/* SPDX-License-Identifier: MIT */
/* test_crowd - connections of an HTTP server: who must go when there are too many */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "servers/http_crowd.h"

#define MOST	  8
#define OF_ONE	  4
#define CONNS_MAX 2000

/* @fd: ours, as accept gave it; @far: the client's */
struct pair {
	int fd, far;
	struct http_conn *c;
};

static const struct http_conf conf = {.connections = MOST,
				      .per_source = OF_ONE,
				      .header_s = 10,
				      .idle_s = 60,
				      .stall_s = 30};
static struct http_crowd *crowd;
static struct pair pairs[CONNS_MAX];
static unsigned int n_pairs;

static int setup(void **state)
{
	struct rlimit l;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max < 8192 ? l.rlim_max : 8192;
	setrlimit(RLIMIT_NOFILE, &l);
	crowd = http_crowd_new(&conf);
	return !crowd;
}

static int teardown(void **state)
{
	(void)state;
	http_crowd_free(crowd);
	while (n_pairs) {
		n_pairs--;
		close(pairs[n_pairs].fd);
		close(pairs[n_pairs].far);
	}
	return 0;
}

/* A connection of that source comes. Return: what becomes of it */
static int comes(uint8_t source)
{
	const uint8_t ip[HTTP_SOURCE_LEN] = {10, 0, 0, source, [15] = 4};
	struct pair *p = &pairs[n_pairs++];
	int sv[2], r;

	assert_true(n_pairs <= CONNS_MAX);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
			 0);
	*p = (struct pair){.fd = sv[0], .far = sv[1]};
	r = http_crowd_add(crowd, p->fd, ip);
	if (!r)
		p->c = http_crowd_begun(crowd, p->fd);
	assert_true(r || p->c);
	return r;
}

static bool was_ended(unsigned int i)
{
	char c;

	return recv(pairs[i].far, &c, 1, MSG_DONTWAIT) == 0;
}

static struct http_stats stats(void)
{
	struct http_stats st;

	http_crowd_status(crowd, &st);
	return st;
}

/* libmicrohttpd closes what was ended */
static void closes(unsigned int i)
{
	http_crowd_remove(crowd, pairs[i].c);
	pairs[i].c = NULL;
}

/* A source has all that it may: its oldest stranger goes for each that comes. */
static void of_a_source(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < OF_ONE; i++)
		assert_int_equal(comes(1), 0);
	http_crowd_prove(crowd, pairs[1].c);
	http_crowd_prove(crowd, pairs[1].c);
	assert_int_equal(comes(2), 0);
	assert_false(was_ended(0));
	assert_int_equal(comes(1), 0);
	assert_true(was_ended(0));
	assert_int_equal(comes(1), 0);
	assert_false(was_ended(1));
	assert_true(was_ended(2));
	closes(0);
	closes(2);
	/* those that are known go for nobody */
	http_crowd_prove(crowd, pairs[3].c);
	http_crowd_prove(crowd, pairs[5].c);
	http_crowd_prove(crowd, pairs[6].c);
	assert_int_equal(comes(1), -NTM_ELIMIT);
	assert_int_equal(stats().evicted, 2);
	assert_int_equal(stats().connections, OF_ONE + 1);
	/* until one of them has ended */
	closes(5);
	assert_int_equal(comes(1), 0);
	assert_false(was_ended(4));
}

static void waits(unsigned int i, uint32_t s)
{
	http_phase_set(pairs[i].c, HTTP_WAITING);
	atomic_store(&pairs[i].c->since, http_now_s() - s);
}

/* Those that are known and ask nothing keep nobody out either; who shows a wrong token
 * goes before them. */
static void known_idle(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < OF_ONE; i++) {
		assert_int_equal(comes(1), 0);
		http_crowd_prove(crowd, pairs[i].c);
		waits(i, 5);
	}
	waits(2, 20);
	http_phase_set(pairs[0].c, HTTP_MOVING);
	assert_int_equal(comes(1), 0);
	assert_true(was_ended(2));
	http_crowd_prove(crowd, pairs[4].c);
	http_crowd_doubt(crowd, pairs[3].c);
	http_crowd_doubt(crowd, pairs[3].c);
	assert_int_equal(comes(1), 0);
	assert_true(was_ended(3));
	assert_false(was_ended(0) || was_ended(1) || was_ended(4));
	/* of all */
	for (i = 6; i < 6 + MOST - OF_ONE; i++) {
		assert_int_equal(comes(2), 0);
		http_crowd_prove(crowd, pairs[i].c);
	}
	http_crowd_prove(crowd, pairs[5].c);
	assert_int_equal(comes(3), 0);
	assert_true(was_ended(1));
	http_crowd_prove(crowd, pairs[i].c);
	assert_int_equal(comes(4), -NTM_EAGAIN);
}

/* The same of all; what is not begun, or is worked at, is left alone. */
static void of_all(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < MOST; i++)
		assert_int_equal(comes((uint8_t)i), 0);
	http_phase_set(pairs[0].c, HTTP_NEW);
	http_phase_set(pairs[1].c, HTTP_WORKING);
	http_phase_set(pairs[2].c, HTTP_MOVING);
	http_phase_set(pairs[3].c, HTTP_WAITING);
	assert_int_equal(comes(20), 0);
	assert_true(was_ended(2));
	assert_int_equal(comes(21), 0);
	assert_true(was_ended(3));
	for (unsigned int i = 4; i < 10; i++)
		http_crowd_prove(crowd, pairs[i].c);
	assert_int_equal(comes(22), -NTM_EAGAIN);
	http_phase_set(pairs[0].c, HTTP_FIRST);
	assert_int_equal(comes(23), 0);
	assert_true(was_ended(0));
	assert_false(was_ended(1));
}

/* Those that have yet to be closed are not without end. */
static void going(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < MOST + HTTP_GOING_MAX; i++)
		assert_int_equal(comes((uint8_t)(i % 8)), 0);
	assert_int_equal(comes(9), -NTM_EAGAIN);
	assert_int_equal(stats().connections, MOST + HTTP_GOING_MAX);
	for (i = 0; i < HTTP_GOING_MAX; i++) {
		assert_true(was_ended(i));
		closes(i);
	}
	assert_false(was_ended(i));
	assert_int_equal(comes(9), 0);
	assert_true(was_ended(i));
	/* a descriptor that comes again was closed before it was begun */
	http_crowd_forget(crowd, pairs[i + 1].fd);
	assert_int_equal(stats().connections, MOST);
}

/* In a crowd those that ask nothing go soon, known or not, the others when it is time. */
static void slow(void **state)
{
	uint32_t now = http_now_s();
	unsigned int i;

	(void)state;
	for (i = 0; i < 5; i++)
		assert_int_equal(comes((uint8_t)i), 0);
	for (i = 0; i < 2; i++) {
		http_crowd_prove(crowd, pairs[i].c);
		http_phase_set(pairs[i].c, HTTP_WAITING);
	}
	http_phase_set(pairs[4].c, HTTP_MOVING);
	http_crowd_tick(crowd, now + 9);
	assert_int_equal(stats().slow, 0);
	for (i = 5; i < 8; i++)
		assert_int_equal(comes((uint8_t)i), 0);
	http_crowd_tick(crowd, now + HTTP_CROWDED_S + 1);
	for (i = 0; i < 8; i++)
		assert_int_equal(was_ended(i), i != 4);
	assert_int_equal(stats().slow, 7);
	http_crowd_tick(crowd, now + HTTP_CROWDED_S + 1);
	assert_int_equal(stats().slow, 7);
	atomic_store(&pairs[4].c->moved, HTTP_STALL_BYTES);
	http_crowd_tick(crowd, now + 32);
	assert_false(was_ended(4));
	http_crowd_tick(crowd, now + 63);
	assert_true(was_ended(4));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(of_a_source), TEST(known_idle), TEST(of_all),
		TEST(going),	   TEST(slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
