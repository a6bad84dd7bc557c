/* SPDX-License-Identifier: MIT */
/* test_session - whole control planes: the session with a DC that is hard to reach */
#include "tests/unit/broker/control/story.h"

/* --- a NAT that gives each datagram another port -------------------------------------------- */

static unsigned int last_port;

/* what is on its way between a and the DC, as behind the NAT */
static void translate(void)
{
	for (struct packet *p = world.packets; p; p = p->next) {
		if (dc_owns(&p->to) && addr_port(&p->from) == WORLD_PORT)
			addr_set_port(&p->from,
				      (uint16_t)(10000 + last_port++ % 50000));
		else if (dc_owns(&p->from))
			addr_set_port(&p->to, WORLD_PORT);
	}
}

static void run_translated(unsigned int ms)
{
	uint64_t end = world.now_ns + LOOP_MS(ms);

	while (world.now_ns < end) {
		translate();
		world_run(&world, 1);
	}
}

static void test_nat_by_datagram(void **state)
{
	uint64_t sent;

	(void)state;
	node_kill(b); /* whose datagrams would be translated, too */
	node_move(a, A4B, NULL);
	run_translated(1000);
	assert_int_equal(session_state(a->w.session), SESSION_REGISTERING);
	sent = a->signals;
	run_translated(60000);
	assert_in_range(a->signals - sent, 5, 15);
	/* it keeps an address at last: challenged, and proven the time after */
	world_run(&world, 2 * REGISTER_CHALLENGED_S * 1000);
	assert_int_equal(session_state(a->w.session), SESSION_ONLINE);
}

/* --- a Keep Alive from where we are not proven ----------------------------------------------- */

static bool is_registering(void *arg)
{
	return session_state(((struct node *)arg)->w.session) ==
	       SESSION_REGISTERING;
}

/* The DC cannot challenge so small a datagram: it says only that it would. */
static void test_keepalive_unproven(void **state)
{
	uint64_t sent;

	(void)state;
	assert_int_equal(session_state(a->w.session), SESSION_ONLINE);
	dc_restart(world.dc);
	sent = a->signals;
	assert_true(world_until(&world, 25000, is_registering, a));
	assert_in_range(a->signals - sent, 2, 3); /* no Keep Alive repeated */
	world_run(&world, 500);
	assert_int_equal(session_state(a->w.session), SESSION_ONLINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_nat_by_datagram),
		T(test_keepalive_unproven),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	if (getenv("NTM_TEST_ONLY"))
		cmocka_set_test_filter(getenv("NTM_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
