/* SPDX-License-Identifier: MIT */
/* test_keys - whole control planes: requests that cross, clocks set back, keys' end */
#include "tests/unit/broker/control/story.h"

/* lose what is on its way now, of types @first to @last */
static void lose(uint8_t first, uint8_t last)
{
	struct packet **at = &world.packets, *p;

	while ((p = *at)) {
		if (p->buf[0] < first || p->buf[0] > last) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		free(p);
	}
}

/* @ms without handshakes */
static void run_without_handshakes(unsigned int ms)
{
	uint64_t end = world.now_ns + LOOP_MS(ms);

	while (world.now_ns < end) {
		world_run(&world, 1);
		lose(PACKET_TUNNEL_REQUEST, PACKET_TUNNEL_RESPONSE);
	}
}

/* --- requests that cross ------------------------------------------------------------------ */

/* Both ask; nothing arrives until each has waited long enough to answer the other
 * all the same; then the repetitions cross. */
static void cross(unsigned int lost_ms, unsigned int apart_ms)
{
	uint64_t at_a = node_peer(a, b)->keyed_ns;
	uint64_t at_b = node_peer(b, a)->keyed_ns;

	assert_int_equal(shake_start(node_peer(a, b), SHAKE_RESUME, NULL), 0);
	run_without_handshakes(apart_ms);
	assert_int_equal(shake_start(node_peer(b, a), SHAKE_RESUME, NULL), 0);
	run_without_handshakes(lost_ms - apart_ms);
	world_run(&world, 200);
	assert_true(node_peer(a, b)->keyed_ns > at_a);
	assert_true(node_peer(b, a)->keyed_ns > at_b);
	assert_flows();
	/* and both know one secret for the next time */
	assert_memory_equal(&node_peer(a, b)->secret, &node_peer(b, a)->secret,
			    sizeof(struct ntmc_key));
	assert_null(node_peer(a, b)->shake);
	assert_null(node_peer(b, a)->shake);
}

static void test_crossing_late(void **state)
{
	(void)state;
	connect_both();
	dc_set_down(world.dc, true);
	cross(650, 0);
	cross(650, 5);
	cross(1450, 9);
	cross(50, 0); /* within the time of the tie */
	cross(250, 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_crossing_late),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	if (getenv("NTM_TEST_ONLY"))
		cmocka_set_test_filter(getenv("NTM_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
