/* SPDX-License-Identifier: MIT */
/* test_loop - order of a turn, timers by two clocks, signals, deferred work */
#include "common/loop.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/** struct probe - writes a letter into a shared text when called */
struct trace {
	char text[64];
	size_t len;
};

struct probe {
	struct trace *trace;
	char letter;
	struct loop *loop;
	struct loop_io *io, *victim;
	struct loop_timer *timer;
	uint64_t again_ns;
	bool drain, defer, stop;
};

static void mark(struct probe *p)
{
	if (p->trace->len + 1 < sizeof(p->trace->text))
		p->trace->text[p->trace->len++] = p->letter;
	p->trace->text[p->trace->len] = '\0';
	if (p->stop)
		loop_stop(p->loop);
}

static void on_call(void *arg)
{
	struct probe *p = arg;

	mark(p);
	if (p->timer && p->again_ns != UINT64_MAX)
		loop_timer_arm(p->timer, p->again_ns);
}

static void on_io(void *arg, int fd, unsigned int events)
{
	struct probe *p = arg;
	char c;

	(void)events;
	mark(p);
	if (p->drain)
		assert_int_equal(read(fd, &c, 1), 1);
	if (p->victim) {
		loop_io_del(p->victim);
		p->victim = NULL;
	}
	if (p->defer)
		assert_int_equal(loop_defer(p->loop, on_call, p), 0);
}

static uint64_t fake_now(void *arg)
{
	return *(uint64_t *)arg;
}

static int64_t fake_wall(void *arg)
{
	return (int64_t) * (uint64_t *)arg + 5;
}

static void ready_pair(int fd[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
}

/* high descriptor, timer, other descriptor, deferred; whatever was added first */
static void test_order_of_a_turn(void **state)
{
	struct trace trace = {"", 0};
	struct probe normal = {.trace = &trace, .letter = 'n', .drain = true};
	struct probe high = {.trace = &trace, .letter = 'h', .drain = true};
	struct probe timer = {
		.trace = &trace, .letter = 't', .again_ns = UINT64_MAX};
	struct probe task = {.trace = &trace, .letter = 'd'};
	uint64_t now = 100;
	struct loop *l;
	int a[2], b[2];

	(void)state;
	assert_int_equal(loop_new(&l), 0);
	loop_set_clock(l, fake_now, fake_wall, &now);
	assert_int_equal(loop_wall(l), 105);
	ready_pair(a);
	ready_pair(b);
	assert_int_equal(loop_io_add(l, a[0], LOOP_READ, false, on_io, &normal,
				     &normal.io),
			 0);
	assert_int_equal(
		loop_io_add(l, b[0], LOOP_READ, true, on_io, &high, &high.io),
		0);
	assert_int_equal(loop_timer_new(l, on_call, &timer, &timer.timer), 0);
	loop_timer_arm(timer.timer, 10);
	now += 10;
	assert_int_equal(loop_defer(l, on_call, &task), 0);
	assert_int_equal(loop_turn(l, true), 0);
	assert_string_equal(trace.text, "htnd");
	assert_int_equal(loop_turn(l, false), 0);
	assert_string_equal(trace.text, "htnd");
	loop_io_del(normal.io);
	loop_io_del(high.io);
	loop_timer_free(timer.timer);
	loop_free(l);
	close(a[0]), close(a[1]), close(b[0]), close(b[1]);
}

/* A high descriptor that is always ready does not starve the rest. */
static void test_no_starvation(void **state)
{
	struct trace trace = {"", 0};
	struct probe normal = {.trace = &trace, .letter = 'n'};
	struct probe high = {.trace = &trace, .letter = 'h'};
	struct probe timer = {.trace = &trace, .letter = 't'};
	uint64_t now = 1;
	struct loop *l;
	int a[2], i;

	(void)state;
	assert_int_equal(loop_new(&l), 0);
	loop_set_clock(l, fake_now, NULL, &now);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	assert_int_equal(
		loop_io_add(l, a[0], LOOP_WRITE, true, on_io, &high, &high.io),
		0);
	assert_int_equal(loop_io_add(l, a[1], LOOP_WRITE, false, on_io, &normal,
				     &normal.io),
			 0);
	/* armed again for at once, by itself: once a turn all the same */
	assert_int_equal(loop_timer_new(l, on_call, &timer, &timer.timer), 0);
	loop_timer_arm(timer.timer, 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(loop_turn(l, false), 0);
	assert_string_equal(trace.text, "htnhtnhtn");
	loop_io_del(normal.io);
	loop_io_del(high.io);
	loop_timer_free(timer.timer);
	loop_free(l);
	close(a[0]), close(a[1]);
}

/* Deleted or paused while it waits for its turn: not called. */
static void test_delete_while_ready(void **state)
{
	struct trace trace = {"", 0};
	struct probe one = {.trace = &trace, .letter = '1', .drain = true};
	struct probe two = {.trace = &trace, .letter = '2'};
	struct loop *l;
	int a[2], b[2];

	(void)state;
	assert_int_equal(loop_new(&l), 0);
	ready_pair(a);
	ready_pair(b);
	assert_int_equal(
		loop_io_add(l, b[0], LOOP_READ, false, on_io, &two, &two.io),
		0);
	assert_int_equal(
		loop_io_add(l, a[0], LOOP_READ, true, on_io, &one, &one.io), 0);
	one.victim = two.io;
	assert_int_equal(loop_turn(l, true), 0);
	assert_string_equal(trace.text, "1");
	one.victim = one.io; /* a handler may delete its own */
	assert_int_equal(write(a[1], "y", 1), 1);
	assert_int_equal(loop_turn(l, true), 0);
	assert_string_equal(trace.text, "11");
	assert_int_equal(loop_turn(l, false), 0);
	assert_string_equal(trace.text, "11");
	loop_free(l);
	close(a[0]), close(a[1]), close(b[0]), close(b[1]);
}

static void test_pause(void **state)
{
	struct trace trace = {"", 0};
	struct probe p = {.trace = &trace, .letter = 'p'};
	struct loop *l;
	int a[2];

	(void)state;
	assert_int_equal(loop_new(&l), 0);
	ready_pair(a);
	assert_int_equal(
		loop_io_add(l, a[0], LOOP_READ, false, on_io, &p, &p.io), 0);
	loop_io_set(p.io, 0);
	assert_int_equal(loop_turn(l, false), 0);
	assert_string_equal(trace.text, "");
	loop_io_set(p.io, LOOP_READ | LOOP_WRITE);
	assert_int_equal(loop_turn(l, false), 0);
	assert_string_equal(trace.text, "p"); /* both ready: one call */
	loop_io_set(p.io, LOOP_WRITE);
	assert_int_equal(loop_turn(l, false), 0);
	assert_string_equal(trace.text, "pp");
	loop_io_del(p.io);
	loop_free(l);
	close(a[0]), close(a[1]);
}

static void test_bad_descriptor(void **state)
{
	struct loop_io *io;
	struct loop *l;

	(void)state;
	assert_int_equal(loop_new(&l), 0);
	assert_int_equal(
		loop_io_add(l, 999, LOOP_READ, false, on_io, NULL, &io),
		-NTM_ESYSTEM);
	loop_free(l);
}

/* Real time: the timers of 5 and 2 ms end the loop in order, not early. */
static void test_real_timers(void **state)
{
	struct trace trace = {"", 0};
	struct probe late = {.trace = &trace,
			     .letter = 'b',
			     .again_ns = UINT64_MAX,
			     .stop = true};
	struct probe soon = {
		.trace = &trace, .letter = 'a', .again_ns = UINT64_MAX};
	struct probe never = {.trace = &trace, .letter = 'x'};
	uint64_t start;
	struct loop *l;

	(void)state;
	assert_int_equal(loop_new(&l), 0);
	late.loop = l;
	assert_int_equal(loop_timer_new(l, on_call, &late, &late.timer), 0);
	assert_int_equal(loop_timer_new(l, on_call, &soon, &soon.timer), 0);
	assert_int_equal(loop_timer_new(l, on_call, &never, &never.timer), 0);
	start = loop_now_exact(l);
	loop_timer_arm(late.timer, LOOP_MS(5));
	loop_timer_arm(soon.timer, LOOP_S(50));
	loop_timer_arm(soon.timer, LOOP_MS(2)); /* moved */
	loop_timer_arm(never.timer, LOOP_MS(3));
	loop_timer_disarm(never.timer);
	assert_false(loop_timer_armed(never.timer));
	assert_true(loop_timer_armed(soon.timer));
	assert_int_equal(loop_run(l), 0);
	assert_true(loop_now_exact(l) - start >= LOOP_MS(5));
	assert_string_equal(trace.text, "ab");
	/* and once more, after the timer descriptor fired */
	loop_timer_arm(late.timer, LOOP_MS(1));
	assert_int_equal(loop_run(l), 0);
	assert_string_equal(trace.text, "abb");
	loop_timer_arm(late.timer, UINT64_MAX); /* as good as never */
	assert_int_equal(loop_turn(l, false), 0);
	loop_timer_free(late.timer);
	loop_timer_free(soon.timer);
	loop_timer_free(never.timer);
	loop_free(l);
}

static void test_signal(void **state)
{
	struct trace trace = {"", 0};
	struct probe p = {.trace = &trace, .letter = 's', .stop = true};
	struct loop_signal *s;
	struct loop *l;

	(void)state;
	assert_int_equal(loop_new(&l), 0);
	p.loop = l;
	assert_int_equal(loop_signal_add(l, SIGUSR1, on_call, &p, &s), 0);
	raise(SIGUSR1);
	assert_int_equal(loop_run(l), 0);
	assert_string_equal(trace.text, "s");
	loop_signal_del(s);
	loop_free(l);
}

/* In order; what deferred work defers still runs in the same turn. */
static void test_deferred(void **state)
{
	struct trace trace = {"", 0};
	struct probe a = {.trace = &trace, .letter = 'a'};
	struct probe b = {.trace = &trace, .letter = 'b'};
	struct probe io = {.trace = &trace, .letter = 'i', .defer = true};
	struct loop_task t = {.fn = on_call, .arg = &a};
	struct loop *l;
	int fd[2];

	(void)state;
	assert_int_equal(loop_new(&l), 0);
	io.loop = l;
	ready_pair(fd);
	assert_int_equal(
		loop_io_add(l, fd[0], LOOP_READ, false, on_io, &io, &io.io), 0);
	loop_defer_task(l, &t);
	assert_int_equal(loop_defer(l, on_call, &b), 0);
	loop_defer_task(l, &t); /* queued already */
	assert_int_equal(loop_turn(l, true), 0);
	assert_string_equal(trace.text, "iabi");
	loop_io_del(io.io);
	loop_defer_task(l, &t);
	loop_free(l); /* runs it */
	assert_string_equal(trace.text, "iabia");
	close(fd[0]), close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_of_a_turn),
		cmocka_unit_test(test_no_starvation),
		cmocka_unit_test(test_delete_while_ready),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_bad_descriptor),
		cmocka_unit_test(test_real_timers),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_deferred),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
