/* SPDX-License-Identifier: MIT */
/* test_portmap - when a router is asked for a port, and what is believed of it */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/portmap.h"
#include "tests/unit/broker/control/story.h"

#define OUTSIDE "203.0.113.1"

/* ntm-portmap is this test: its end of the pair, and what it was asked */
static int link_fd = -1;
static unsigned int starts;

static int start(int *fd)
{
	int sv[2];

	if (link_fd >= 0)
		close(link_fd);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	*fd = sv[0];
	link_fd = sv[1];
	starts++;
	return 0;
}

static struct portmap_status now(void)
{
	struct portmap_status s;

	portmap_status(a->w.portmap, &s);
	return s;
}

static void begin(const char *outside)
{
	world_up(&world, 5, 1);
	world.in_order = true;
	rs_add(&world);
	if (outside)
		nat_set(a, outside, NAT_ANY, NAT_PORT);
	starts = 0;
	a->keeper.portmap = start;
	log_in(a, A4, NULL, "laptop.alice." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	world_run(&world, 200);
}

static int end(void **state)
{
	(void)state;
	world_down(&world);
	if (link_fd >= 0)
		close(link_fd);
	link_fd = -1;
	return 0;
}

static struct portmap_ask asked(void)
{
	struct portmap_ask q = {0};

	assert_int_equal(recv(link_fd, &q, sizeof(q), MSG_DONTWAIT), sizeof(q));
	assert_int_equal(q.version, PORTMAP_PROTO_VERSION);
	return q;
}

static void answer(const char *ip, uint16_t port, uint32_t life_s)
{
	struct portmap_say say = {.version = PORTMAP_PROTO_VERSION,
				  .protocol = PORTMAP_NATPMP,
				  .life_s = life_s,
				  .routed = 1,
				  .outer_port = port};

	assert_int_equal(inet_pton(AF_INET, ip, say.outer), 1);
	assert_int_equal(send(link_fd, &say, sizeof(say), 0), sizeof(say));
	world_run(&world, 10);
}

static void test_mapped(void **state)
{
	unsigned int requests;
	struct portmap_ask q, again;
	struct addr at;
	char text[ADDR_TEXT_LEN];

	(void)state;
	begin(OUTSIDE);
	q = asked();
	assert_int_equal(q.life_s, PORTMAP_LIFE_S);
	assert_int_equal(q.inner_port, a->w.udp_port);
	assert_int_equal(q.first, PORTMAP_NO_PROTOCOL);
	assert_int_equal(now().state, PORTMAP_ASKING);
	requests = dc_told(world.dc, a)->requests;
	answer(OUTSIDE, 20000, 3600);
	assert_int_equal(now().state, PORTMAP_MAPPED);
	assert_true(portmap_mapped(a->w.portmap, &at));
	assert_string_equal(addr_format(&at, text), OUTSIDE ":20000");
	world_run(&world, 100);
	/* the DC hears of it at once, and once */
	assert_int_equal(dc_told(world.dc, a)->requests, requests + 1);
	world_run(&world, 1799 * 1000);
	assert_int_equal(starts, 1);
	world_run(&world, 2 * 1000);
	assert_int_equal(starts, 2);
	again = asked();
	assert_memory_equal(again.nonce, q.nonce, sizeof(q.nonce));
	assert_int_equal(again.first, PORTMAP_NATPMP);
	assert_int_equal(again.outer_port, 20000);
	/* renewed: nothing new to tell */
	requests = dc_told(world.dc, a)->requests;
	answer(OUTSIDE, 20000, 3600);
	world_run(&world, 100);
	assert_int_equal(dc_told(world.dc, a)->requests, requests);
	portmap_end(a->w.portmap);
	assert_int_equal(starts, 3);
	again = asked();
	assert_int_equal(again.life_s, 0);
	assert_int_equal(again.outer_port, 20000);
	assert_int_equal(again.first, PORTMAP_NATPMP);
	assert_false(portmap_mapped(a->w.portmap, &at));
}

static void test_lies(void **state)
{
	static const struct {
		const char *ip;
		uint16_t port;
		uint32_t life_s;
		enum portmap_lie lie;
	} lies[] = {
		{OUTSIDE, 0, 3600, PORTMAP_LIE_PORT},
		{"0.0.0.0", 20000, 3600, PORTMAP_LIE_ADDRESS},
		{"10.0.0.1", 20000, 3600, PORTMAP_LIE_ADDRESS},
		{"172.31.255.255", 20000, 3600, PORTMAP_LIE_ADDRESS},
		{"192.168.1.1", 20000, 3600, PORTMAP_LIE_ADDRESS},
		{"100.64.0.1", 20000, 3600, PORTMAP_LIE_ADDRESS},
		{"169.254.0.1", 20000, 3600, PORTMAP_LIE_ADDRESS},
		{"127.0.0.1", 20000, 3600, PORTMAP_LIE_ADDRESS},
		{"224.0.0.251", 20000, 3600, PORTMAP_LIE_ADDRESS},
		{"240.0.0.1", 20000, 3600, PORTMAP_LIE_ADDRESS},
		{"255.255.255.255", 20000, 3600, PORTMAP_LIE_ADDRESS},
		{"198.51.100.7", 20000, 3600, PORTMAP_LIE_OTHER},
		{OUTSIDE, 20000, 0, PORTMAP_LIE_LIFE},
		{OUTSIDE, 20000, PORTMAP_LIFE_MIN_S - 1, PORTMAP_LIE_LIFE},
	};
	struct addr at;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		begin(OUTSIDE);
		answer(lies[i].ip, lies[i].port, lies[i].life_s);
		assert_int_equal(now().state, PORTMAP_REFUSED);
		assert_int_equal(now().lie, lies[i].lie);
		assert_int_equal(now().lies, 1);
		assert_false(portmap_mapped(a->w.portmap, &at));
		end(state);
	}
	/* for ever is a day */
	begin(OUTSIDE);
	answer(OUTSIDE, 20000, UINT32_MAX);
	assert_in_range(now().left_s, PORTMAP_LIFE_MAX_S - 1,
			PORTMAP_LIFE_MAX_S);
}

/* It dies, says nonsense, hangs: asked again, seldom. */
static void test_helper_ill(void **state)
{
	(void)state;
	begin(OUTSIDE);
	close(link_fd);
	link_fd = -1;
	world_run(&world, 10);
	assert_int_equal(now().state, PORTMAP_REFUSED);
	world_run(&world, (PORTMAP_RETRY_S - 1) * 1000);
	assert_int_equal(starts, 1);
	world_run(&world, 2000);
	assert_int_equal(starts, 2);
	assert_int_equal(send(link_fd, "nonsense", 8, 0), 8);
	world_run(&world, 10);
	assert_int_equal(now().state, PORTMAP_REFUSED);
	world_run(&world, (2 * PORTMAP_RETRY_S + 1) * 1000);
	assert_int_equal(starts, 3);
	world_run(&world, (PORTMAP_ANSWER_S + 1) * 1000); /* not a word */
	assert_int_equal(now().state, PORTMAP_REFUSED);
	world_run(&world, 100 * 1000);
	assert_int_equal(starts, 3);
}

/* Renewals fail: it holds to its end, not longer. */
static void test_runs_out(void **state)
{
	struct addr at;

	(void)state;
	begin(OUTSIDE);
	answer(OUTSIDE, 20000, 3600);
	a->keeper.portmap = NULL;
	world_run(&world, 3590 * 1000);
	assert_true(portmap_mapped(a->w.portmap, &at));
	world_run(&world, 20 * 1000);
	assert_false(portmap_mapped(a->w.portmap, &at));
	assert_in_range(now().asked, 2, 8);
}

static void test_move(void **state)
{
	struct portmap_ask first;
	struct portmap_ask second;
	struct addr at;

	(void)state;
	begin(OUTSIDE);
	first = asked();
	answer(OUTSIDE, 20000, 3600);
	worker_moved(&a->w); /* nothing of ours */
	world_run(&world, 1000);
	assert_int_equal(starts, 1);
	nat_set(a, "203.0.113.77", NAT_ANY, NAT_PORT);
	node_move(a, A4B, NULL);
	world_run(&world, 1000);
	assert_false(portmap_mapped(a->w.portmap, &at));
	assert_true(starts >= 2);
	second = asked();
	assert_memory_not_equal(first.source, second.source, 4);
	assert_memory_not_equal(first.nonce, second.nonce, PCP_NONCE_LEN);
	answer("203.0.113.77", 20001, 3600);
	assert_true(portmap_mapped(a->w.portmap, &at));
	/* out of the NAT: none is needed */
	nat_set(a, NULL, NAT_ANY, NAT_ANY);
	node_move(a, A4, NULL);
	world_run(&world, 1000);
	assert_int_equal(now().state, PORTMAP_NONE);
}

/* The next worker asks with the same nonce, or the router would refuse it. */
static void test_worker_killed(void **state)
{
	struct portmap_ask first, second;

	(void)state;
	begin(OUTSIDE);
	first = asked();
	answer(OUTSIDE, 20000, 3600);
	node_kill(a);
	node_start(a);
	world_run(&world, 1000);
	assert_int_equal(starts, 2);
	second = asked();
	assert_memory_equal(first.nonce, second.nonce, PCP_NONCE_LEN);
	assert_int_equal(second.life_s, PORTMAP_LIFE_S);
}

static void test_not_asked(void **state)
{
	(void)state;
	begin(NULL); /* no NAT */
	world_run(&world, 3600 * 1000);
	assert_int_equal(starts, 0);
	assert_int_equal(now().state, PORTMAP_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_mapped, end),
		cmocka_unit_test_teardown(test_lies, end),
		cmocka_unit_test_teardown(test_helper_ill, end),
		cmocka_unit_test_teardown(test_runs_out, end),
		cmocka_unit_test_teardown(test_move, end),
		cmocka_unit_test_teardown(test_worker_killed, end),
		cmocka_unit_test_teardown(test_not_asked, end),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
