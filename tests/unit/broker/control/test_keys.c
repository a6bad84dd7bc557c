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

static bool asks(void *arg)
{
	(void)arg;
	for (struct packet *p = world.packets; p; p = p->next)
		if (p->buf[0] == PACKET_TUNNEL_REQUEST)
			return true;
	return false;
}

/* Ours was put aside and is refused: the peer's own, which we have answered, stands. */
static void test_refused_aside(void **state)
{
	struct node *low, *high;
	struct peer *p, *q;
	uint64_t before;

	(void)state;
	connect_both();
	dc_set_down(world.dc, true);
	low = peer_we_are_lower(node_peer(a, b)) ? a : b;
	high = low == a ? b : a;
	p = node_peer(low, high);
	q = node_peer(high, low);
	before = q->keyed_ns;
	assert_int_equal(shake_start(p, SHAKE_RESUME, NULL), 0);
	run_without_handshakes(SHAKE_TIE_MS - 10);
	q->seen_ms = low->w.account->sent_ms + 1;
	assert_true(world_until(&world, 20, asks, NULL)); /* a repetition */
	assert_int_equal(shake_start(q, SHAKE_RESUME, NULL), 0);
	world_run(&world, 12); /* answered, as ours is older than the tie */
	assert_true(p->has_pending);
	assert_non_null(p->shake);
	world_run(&world, 100);
	assert_int_equal(p->state, PEER_UP);
	assert_true(q->keyed_ns > before);
	assert_flows();
}

/* --- clocks that are set back ------------------------------------------------------------------ */

static bool both_up(void *arg)
{
	struct peer *p = node_peer(a, b), *q = node_peer(b, a);

	(void)arg;
	return p && q && p->state == PEER_UP && q->state == PEER_UP;
}

/* a's clock was an hour ahead when it asked last */
static void ask_ahead(void)
{
	uint64_t before = node_peer(b, a)->seen_ms;

	world.skew_s = 3600;
	assert_int_equal(shake_start(node_peer(a, b), SHAKE_RESUME, NULL), 0);
	world_run(&world, 100);
	assert_true(node_peer(b, a)->seen_ms > before + 3500 * 1000);
	world.skew_s = 0;
}

static void test_set_back_worker_killed(void **state)
{
	uint64_t before;

	(void)state;
	connect_both();
	dc_set_down(world.dc, true);
	ask_ahead();
	before = node_peer(b, a)->keyed_ns;
	node_kill(a);
	node_start(a);
	assert_true(world_until(&world, 1000, both_up, NULL));
	assert_true(node_peer(b, a)->keyed_ns > before);
	assert_flows();
}

static void blobs_lose(struct node *n)
{
	struct blob *k;

	while ((k = n->keeper.blobs)) {
		n->keeper.blobs = k->next;
		free(k);
	}
}

/* The machine was restarted: there is the disk alone. */
static void test_set_back_restart(void **state)
{
	uint64_t ms;

	(void)state;
	connect_both();
	ask_ahead();
	node_kill(a);
	blobs_lose(a);
	node_start(a);
	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	assert_flows();
}

/* What was kept is lost: whoever asks hears why it gets no answer. */
static void test_earlier_is_refused(void **state)
{
	(void)state;
	connect_both();
	dc_set_down(world.dc, true);
	ask_ahead();
	a->w.account->sent_ms = 0;
	assert_int_equal(shake_start(node_peer(a, b), SHAKE_RESUME, NULL), 0);
	world_run(&world, 50);
	assert_int_equal(node_peer(a, b)->state, PEER_DOWN);
	assert_int_equal(node_peer(a, b)->why, NTM_EREPLAY);
}

/* --- the end of keys ----------------------------------------------------------------------- */

static size_t data_on_its_way(void)
{
	size_t n = 0;

	for (struct packet *p = world.packets; p; p = p->next)
		n += p->buf[0] == PACKET_DATA;
	return n;
}

/* Since @keyed_ns all handshakes were lost: old keys carry nothing at all. */
static void test_old_keys_carry_nothing(void **state)
{
	uint64_t end, keyed;

	(void)state;
	connect_both();
	keyed = node_peer(b, a)->keyed_ns;
	assert_true(node_peer(a, b)->keyed_ns <= keyed);
	end = keyed + LOOP_S(REKEY_STOP_S) + LOOP_MS(1);
	while (world.now_ns < end) {
		node_send(a, b);
		run_without_handshakes(end - world.now_ns > LOOP_MS(500) ? 500
									 : 1);
	}
	run_without_handshakes(15); /* what is under way still */
	for (unsigned int i = 0; i < 6000; i++) {
		node_send(a, b);
		node_send(b, a);
		run_without_handshakes(5);
		assert_int_equal(data_on_its_way(), 0);
	}
	world_run(&world, 10000);
	assert_flows();
}

static bool a_has_answered(void *arg)
{
	(void)arg;
	return node_peer(a, b)->has_pending;
}

/* The old keys end between an answer and the first packet under its keys: those
 * open it. */
static void test_newer_keys_stay(void **state)
{
	uint64_t keyed;

	(void)state;
	connect_both();
	dc_set_down(world.dc, true);
	keyed = node_peer(a, b)->keyed_ns;
	while (world.now_ns < keyed + LOOP_S(REKEY_STOP_S) - LOOP_MS(15)) {
		node_send(a, b);
		run_without_handshakes(5);
	}
	shake_stop(node_peer(a, b));
	shake_stop(node_peer(b, a));
	assert_int_equal(shake_start(node_peer(b, a), SHAKE_RESUME, NULL), 0);
	assert_true(world_until(&world, 12, a_has_answered, NULL));
	/* the end of a's keys; then b's first packet under the new ones */
	world_run(&world, 25);
	assert_true(node_peer(a, b)->keyed_ns > keyed + LOOP_S(REKEY_STOP_S));
	assert_false(node_peer(a, b)->has_pending);
	assert_int_equal(node_peer(a, b)->state, PEER_UP);
	assert_flows();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_crossing_late),		T(test_refused_aside),
		T(test_set_back_worker_killed), T(test_set_back_restart),
		T(test_earlier_is_refused),	T(test_old_keys_carry_nothing),
		T(test_newer_keys_stay),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	if (getenv("NTM_TEST_ONLY"))
		cmocka_set_test_filter(getenv("NTM_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
