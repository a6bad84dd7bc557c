/* SPDX-License-Identifier: MIT */
/* test_keepalive - whole control planes: how long a NAT bears silence, and what then */
#include "tests/unit/broker/control/story.h"

#define HOUR_MS 3600000u

/* behind a NAT that forgets; the DC says 25 s, and @max_s at most */
static void begin(unsigned int silent_s, unsigned int life_s,
		  unsigned int max_s)
{
	node_kill(b); /* nobody else speaks */
	dc_keepalive(world.dc, 25, max_s);
	nat_set(a, "198.51.100.7", NAT_ANY, NAT_PORT);
	nat_forgets(a, silent_s, life_s);
	node_move(a, A4B, NULL);
	world_run(&world, 2000);
	assert_int_equal(session_state(a->w.session), SESSION_ONLINE);
}

static bool is_done(void *arg)
{
	struct keepalive_status s;

	keepalive_status(((struct node *)arg)->w.keepalive, &s);
	return s.state == KEEPALIVE_DONE;
}

static struct keepalive_status done_within(unsigned int s)
{
	struct keepalive_status st;

	assert_true(world_until(&world, s * 1000, is_done, a));
	keepalive_status(a->w.keepalive, &st);
	return st;
}

/* ms of an hour in which the DC would not have reached it */
static unsigned int unreachable_ms(unsigned int ms)
{
	unsigned int n = 0;

	for (unsigned int t = 0; t < ms; t += 250) {
		world_run(&world, 250);
		n += 250 * !dc_reaches(world.dc, a);
	}
	return n;
}

/* the interval found; always reachable while it is measured and after; and few
 * datagrams, once it is found */
static void bears(unsigned int silent_s, unsigned int interval_s,
		  unsigned int alive_s, unsigned int dead_s)
{
	struct keepalive_status s;
	uint64_t sent;

	begin(silent_s, 0, 120);
	assert_int_equal(unreachable_ms(600000), 0);
	s = done_within(600);
	assert_int_equal(s.interval_s, interval_s);
	assert_int_equal(s.alive_s, alive_s);
	assert_int_equal(s.dead_s, dead_s);
	assert_int_equal(s.lost, 0);
	world_run(&world, 2 * interval_s * 1000);
	assert_int_equal(dc_told(world.dc, a)->interval_s, interval_s);
	sent = a->signals;
	assert_int_equal(unreachable_ms(HOUR_MS), 0);
	assert_in_range(a->signals - sent, HOUR_MS / 1000 / interval_s - 2,
			HOUR_MS / 1000 / interval_s + 1);
	assert_true(a->signals - sent <= 185);
}

static void test_forgets_never(void **state)
{
	(void)state;
	bears(0, 120, 135, 0);
}

static void test_forgets_120(void **state)
{
	(void)state;
	bears(120, 90, 101, 135);
}

static void test_forgets_50(void **state)
{
	(void)state;
	bears(50, 40, 45, 67);
}

static void test_forgets_31(void **state)
{
	(void)state;
	bears(31, 25, 30, 45);
}

/* Shorter than the papers' 20 s, but with a cause. */
static void test_forgets_22(void **state)
{
	struct keepalive_status s;

	(void)state;
	begin(22, 0, 120);
	s = done_within(300);
	assert_in_range(s.interval_s, 15, 20);
	assert_true(s.lost || s.dead_s == 25); /* whichever sees it first */
	assert_int_equal(unreachable_ms(600000), 0);
}

/* Used or not, no mapping lives longer than 50 s: found out at the next keep-alive,
 * and these come the oftener. */
static void test_dies_in_use(void **state)
{
	unsigned int first;
	struct keepalive_status s;

	(void)state;
	begin(0, 50, 120);
	first = unreachable_ms(600000);
	keepalive_status(a->w.keepalive, &s);
	assert_int_equal(s.interval_s, 10);
	assert_true(s.lost >= 2);
	assert_int_equal(session_state(a->w.session), SESSION_ONLINE);
	assert_true(first < 600000 / 4);
	/* at most 10 s of each 50 */
	assert_true(unreachable_ms(600000) <= 600000 / 5);
}

/* The administrator's word: nothing is measured, nothing but keep-alives is sent. */
static void test_fixed(void **state)
{
	unsigned int mappings;

	(void)state;
	begin(0, 0, 25);
	mappings = dc_told(world.dc, a)->mappings;
	world_run(&world, 600000);
	assert_int_equal(dc_told(world.dc, a)->mappings, mappings);
	assert_int_equal(keepalive_interval_s(a->w.keepalive), 25);
}

/* Another network: the DC's interval again, until that one is measured. */
static void test_moves(void **state)
{
	(void)state;
	begin(0, 0, 120);
	assert_int_equal(done_within(900).interval_s, 120);
	nat_set(a, "198.51.100.8", NAT_ANY, NAT_PORT);
	nat_forgets(a, 31, 0);
	node_move(a, A4, NULL);
	world_run(&world, 2000);
	assert_int_equal(keepalive_interval_s(a->w.keepalive), 25);
	assert_int_equal(unreachable_ms(300000), 0);
	assert_int_equal(done_within(300).interval_s, 25);
}

/* Loss does not pass for a mapping that died. */
static void test_loss(void **state)
{
	(void)state;
	world.wire.loss_percent = 10;
	begin(0, 0, 120);
	world_run(&world, 900000);
	assert_in_range(keepalive_interval_s(a->w.keepalive), 25, 120);
	world.wire.loss_percent = 0;
	world_run(&world, 3600000);
	assert_int_equal(done_within(900).interval_s, 120);
	assert_int_equal(session_state(a->w.session), SESSION_ONLINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_forgets_never), T(test_forgets_120), T(test_forgets_50),
		T(test_forgets_31),    T(test_forgets_22),  T(test_dies_in_use),
		T(test_fixed),	       T(test_moves),	    T(test_loss),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	if (getenv("NTM_TEST_ONLY"))
		cmocka_set_test_filter(getenv("NTM_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
