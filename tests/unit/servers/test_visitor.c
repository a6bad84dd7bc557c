/* SPDX-License-Identifier: MIT */
/* test_visitor - who comes by a stream socket: answered, cut off, silent */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "servers/visitor.h"

#define ANSWER (4u << 20) /* more than a socket holds */

struct guest {
	struct visitor v; /* first */
	char in[8];
	size_t in_len;
};

static struct loop *loop;
static struct visitors all;
static char answer[ANSWER];
static unsigned int n_freed;
static uint64_t now = LOOP_S(1000);

static uint64_t mono(void *arg)
{
	(void)arg;
	return now;
}

static int64_t wall(void *arg)
{
	(void)arg;
	return 1800000000;
}

static void guest_free(struct visitor *v)
{
	n_freed++;
	free(v);
}

/* what is whole, 8 bytes, is answered at length */
static void ready(void *arg, int fd, unsigned int events)
{
	struct guest *g = arg;

	(void)fd;
	if (events & LOOP_WRITE) {
		visitor_write(&g->v, answer);
		return;
	}
	if (!visitor_read(&g->v, g->in, sizeof(g->in), &g->in_len) ||
	    g->in_len < sizeof(g->in))
		return;
	g->in_len = 0;
	g->v.out_len = ANSWER;
	visitor_wake(&g->v);
	visitor_write(&g->v, answer);
}

static struct guest *come(int *end)
{
	struct guest *g = calloc(1, sizeof(*g));
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				    0, sv),
			 0);
	*end = sv[1];
	assert_int_equal(visitor_new(&all, &g->v, sv[0], ready), 0);
	return g;
}

static void turn(void)
{
	assert_int_equal(loop_turn(loop, false), 0);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	loop_set_clock(loop, mono, wall, NULL);
	all = (struct visitors){.loop = loop, .idle_s = 10, .free = guest_free};
	n_freed = 0;
	for (size_t i = 0; i < ANSWER; i++)
		answer[i] = (char)(i * 7 + i / 1000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	while (all.first)
		visitor_end(all.first);
	assert_int_equal(all.n, 0);
	loop_free(loop);
	return 0;
}

/* A question in pieces, an answer larger than the socket, and another question. */
static void answered(void **state)
{
	static char got[ANSWER];
	size_t len;
	int end;
	struct guest *g = come(&end);

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(write(end, "1234", 4), 4);
		turn();
		assert_int_equal(g->in_len, 4);
		assert_int_equal(write(end, "5678", 4), 4);
		for (len = 0; len < ANSWER;) {
			ssize_t n;

			turn();
			assert_true(len || g->v.out_len == ANSWER);
			n = read(end, got + len, ANSWER - len);
			assert_true(n > 0);
			len += (size_t)n;
		}
		turn();
		assert_int_equal(g->v.out_len, 0);
		assert_memory_equal(got, answer, ANSWER);
	}
	assert_int_equal(n_freed, 0);
	close(end);
}

/* Whoever goes is out of the list and freed once: between two, and within an answer. */
static void gone(void **state)
{
	struct visitor *last;
	int end[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		come(&end[i]);
	assert_int_equal(all.n, 3);
	close(end[1]);
	turn();
	assert_int_equal(all.n, 2);
	assert_int_equal(n_freed, 1);
	assert_int_equal(write(end[0], "12345678", 8), 8);
	turn();
	assert_true(all.first->out_len);
	close(end[0]);
	turn();
	assert_int_equal(all.n, 1);
	last = all.first;
	visitor_end(last);
	visitor_end(last);
	assert_int_equal(all.n, 0);
	assert_int_equal(n_freed, 2);
	turn();
	assert_int_equal(n_freed, 3);
	close(end[2]);
}

/* Ten seconds of silence end it; a whole question begins them again, half a one not. */
static void silent(void **state)
{
	char c;
	int end[2];

	(void)state;
	come(&end[0]);
	come(&end[1]);
	now += LOOP_S(9);
	assert_int_equal(write(end[0], "12345678", 8), 8);
	assert_int_equal(write(end[1], "1234", 4), 4);
	turn();
	now += LOOP_S(2);
	turn();
	assert_int_equal(all.n, 1);
	assert_int_equal(n_freed, 1);
	assert_int_equal(read(end[1], &c, 1), 0);
	now += LOOP_S(9);
	turn();
	assert_int_equal(all.n, 0);
	close(end[0]);
	close(end[1]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(answered),
		TEST(gone),
		TEST(silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
