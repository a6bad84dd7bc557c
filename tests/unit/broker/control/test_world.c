/* SPDX-License-Identifier: MIT */
/* test_world - whole control planes: contact, rekey, moves, restarts, sizes */
#include "tests/unit/broker/control/story.h"

static void test_first_contact(void **state)
{
	uint64_t ms;

	(void)state;
	assert_int_equal(look_up(a, "DESK.alice." WORLD_DOMAIN ".", &ms), 0);
	assert_in_range(ms, 55, 66); /* three round trips of 20 ms */
	assert_flows();
	/* the second look-up needs nobody */
	dc_set_down(world.dc, true);
	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	assert_int_equal(ms, 0);
	assert_int_equal(look_up(b, a->fqdn, &ms), 0);
	assert_int_equal(ms, 0);
}

static void test_names(void **state)
{
	uint64_t ms;

	(void)state;
	assert_int_equal(look_up(a, "nobody.alice." WORLD_DOMAIN, &ms),
			 NTM_ENONAME);
	assert_in_range(ms, 0, 30);
	assert_int_equal(look_up(a, "www.example.org", &ms), NTM_ENOTOURS);
	assert_int_equal(look_up(a, "dc." WORLD_DOMAIN, &ms), NTM_ENOTOURS);
	assert_int_equal(look_up(a, WORLD_DOMAIN, &ms), NTM_ENOTOURS);
	assert_int_equal(look_up(a, "a.b.c." WORLD_DOMAIN, &ms), NTM_ENONAME);
	assert_int_equal(look_up(a, "not a name." WORLD_DOMAIN, &ms),
			 NTM_ENOTOURS);
}

/* @text is @first, and @second when nobody is called that; NULL: no more */
static void assert_typed(const char *text, const char *first,
			 const char *second)
{
	const char *const want[] = {first, second, NULL};
	char name[FQDN_MAX + 1];

	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(resolve_typed(&a->w, text, i, name),
				 want[i] != NULL);
		if (!want[i])
			return;
		assert_string_equal(name, want[i]);
	}
}

/* What people type need not have the domain. */
static void test_typed(void **state)
{
	uint64_t ms;

	(void)state;
	assert_typed(b->fqdn, b->fqdn, NULL);
	assert_typed("Desk.Alice", b->fqdn, NULL);
	assert_typed("desk", b->fqdn, "desk." WORLD_DOMAIN);
	assert_typed("alice", "alice.alice." WORLD_DOMAIN,
		     "alice." WORLD_DOMAIN);
	assert_typed("www.example.org", NULL, NULL);
	assert_typed("dc." WORLD_DOMAIN, NULL, NULL);
	assert_typed(WORLD_DOMAIN, NULL, NULL);
	assert_typed("not a name", NULL, NULL);
	/* an account that was met comes before a device that was not */
	assert_int_equal(look_up(a, "alice." WORLD_DOMAIN, &ms), 0);
	assert_typed("alice", "alice." WORLD_DOMAIN,
		     "alice.alice." WORLD_DOMAIN);
	assert_string_equal(resolve_device(a->w.resolve, "alice." WORLD_DOMAIN),
			    b->fqdn);
	session_stop(a->w.session);
	account_forget(a->w.account, 0);
	assert_typed("desk", NULL, NULL);
}

static void test_account_name(void **state)
{
	uint64_t ms;

	(void)state;
	/* desk registered last; the DC of this test names the last one online */
	assert_int_equal(look_up(a, "alice." WORLD_DOMAIN, &ms), 0);
	assert_flows();
	dc_set_down(world.dc, true);
	assert_int_equal(look_up(a, "alice." WORLD_DOMAIN, &ms), 0);
	assert_int_equal(ms, 0);
}

static void test_offline(void **state)
{
	uint64_t ms;

	(void)state;
	node_kill(b);
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_EOFFLINE);
	assert_in_range(ms, 500, 5000);
	/* and back again */
	node_start(b);
	world_run(&world, 300);
	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	assert_flows();
}

static void test_dc_silent(void **state)
{
	uint64_t ms;

	(void)state;
	dc_set_down(world.dc, true);
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_ETIMEOUT);
	assert_in_range(ms, 1000, 5000);
}

static void test_unreachable_peer(void **state)
{
	uint64_t ms;

	(void)state;
	/* the DC still believes in addresses that no packet reaches */
	b->path_mtu =
		600; /* registrations pass, requests with certificates not */
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_EUNREACHABLE);
	assert_in_range(ms, 1000, 5000);
}

static void test_coalesced(void **state)
{
	struct lookup l[3] = {{0}};
	struct resolve_wait *wait[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		resolve_name(a->w.resolve, b->fqdn, resolved, &l[i], &wait[i]);
	resolve_cancel(wait[1]);
	assert_true(world_until(&world, 1000, lookup_done, &l[0]));
	assert_true(l[2].done);
	assert_false(l[1].done);
}

static void test_both_ask_at_once(void **state)
{
	struct lookup l[2] = {{0}};
	struct resolve_wait *wait[2];

	(void)state;
	resolve_name(a->w.resolve, b->fqdn, resolved, &l[0], &wait[0]);
	resolve_name(b->w.resolve, a->fqdn, resolved, &l[1], &wait[1]);
	assert_true(world_until(&world, 2000, lookup_done, &l[0]));
	assert_true(world_until(&world, 2000, lookup_done, &l[1]));
	assert_int_equal(l[0].err, 0);
	assert_int_equal(l[1].err, 0);
	world_run(&world, 1000);
	assert_flows();
	assert_int_equal(node_peer(a, b)->path_id ^ 1,
			 node_peer(b, a)->path_id);
}

static void test_remembered_address(void **state)
{
	uint64_t before;

	(void)state;
	connect_both();
	node_kill(a);
	/* no blob of the keeper either: only the file remembers */
	while (a->keeper.blobs)
		assert_int_equal(
			keeper_blob_del(&a->keeper, a->keeper.blobs->key), 0);
	node_start(a);
	world_run(&world, 300);
	before = b->got[0];
	node_send(a, b);
	world_run(&world, 200);
	assert_int_equal(b->got[0] - before, 1);
	assert_int_equal(a->rejected, 0);
	assert_flows();
}

static void test_unknown_address(void **state)
{
	struct node stranger = {.vip6 = {0xfd, 0x6e, 1}};

	(void)state;
	node_send(a, &stranger);
	assert_int_equal(a->rejected, 1);
}

/* --- keys ---------------------------------------------------------------------------------- */

static void test_rekey(void **state)
{
	uint64_t at_a, at_b, first;

	(void)state;
	connect_both();
	first = node_peer(a, b)->keyed_ns;
	at_a = a->got[1];
	at_b = b->got[0];
	dc_set_down(world.dc, true); /* none of the DC's business */
	exchange(6000, 100);	     /* ten minutes */
	world_run(&world, 50);
	assert_int_equal(a->got[1] - at_a, 6000);
	assert_int_equal(b->got[0] - at_b, 6000);
	assert_true(node_peer(a, b)->keyed_ns - first > LOOP_S(400));
	assert_true(world.now_ns - node_peer(a, b)->keyed_ns < LOOP_S(141));
	assert_true(world.now_ns - node_peer(b, a)->keyed_ns < LOOP_S(141));
}

static void test_rekey_with_loss(void **state)
{
	(void)state;
	connect_both();
	world.wire.loss_percent = 20;
	world.wire.jitter_ms = 15;
	world.wire.dup_percent = 5;
	exchange(3000, 200);
	world.wire.loss_percent = 0;
	world_run(&world, 500);
	assert_true(a->got[1] > 2000);
	assert_true(b->got[0] > 2000);
	world.wire.jitter_ms = 0;
	world.wire.dup_percent = 0;
	world_run(&world, 50);
	assert_flows();
}

static void test_sleep_and_wake(void **state)
{
	(void)state;
	connect_both();
	world_run(&world, (IDLE_CLOSE_S + REKEY_HIGH_S + 10) * 1000);
	assert_int_equal(node_peer(a, b)->state, PEER_IDLE);
	assert_int_equal(node_peer(b, a)->state, PEER_IDLE);
	dc_set_down(world.dc, true);
	node_send(a, b);
	world_run(&world, 60);
	assert_int_equal(node_peer(a, b)->state, PEER_UP);
	assert_flows();
}

/* --- restarts --------------------------------------------------------------------------------- */

static void test_worker_restart(void **state)
{
	unsigned int ms;

	(void)state;
	connect_both();
	assert_flows();
	dc_set_down(world.dc, true);
	for (int i = 0; i < 20; i++) {
		node_kill(i % 2 ? a : b);
		world_run(&world, 3);
		node_start(i % 2 ? a : b);
		ms = outage_ms(1000);
		/* request, answer, first packet, and the peer's own */
		assert_in_range(ms, 1, 45);
		assert_flows();
	}
}

static void test_both_workers_restart(void **state)
{
	(void)state;
	connect_both();
	dc_set_down(world.dc, true);
	for (int i = 0; i < 10; i++) {
		node_kill(a);
		node_kill(b);
		node_start(a);
		node_start(b);
		assert_in_range(outage_ms(2000), 1, 400);
		assert_flows();
	}
}

static void test_keeper_restart(void **state)
{
	(void)state;
	connect_both();
	node_kill(b);
	while (b->keeper.blobs)
		assert_int_equal(
			keeper_blob_del(&b->keeper, b->keeper.blobs->key), 0);
	node_start(b);
	world_run(&world, 100);
	/* b knows nothing of the tunnel; a finds out by silence and asks the DC */
	assert_in_range(outage_ms(10000), 1, 4000);
	assert_flows();
}

static void test_dc_restart(void **state)
{
	uint64_t ms;

	(void)state;
	connect_both();
	dc_restart(world.dc);
	world_run(&world, 30000);
	assert_true(both_online(NULL));
	assert_flows();
	assert_int_equal(look_up(a, "nobody.alice." WORLD_DOMAIN, &ms),
			 NTM_ENONAME);
}

/* --- moves ------------------------------------------------------------------------------------- */

static void test_move(void **state)
{
	(void)state;
	connect_both();
	dc_set_down(world.dc, true); /* not needed */
	for (int i = 0; i < 20; i++) {
		char v4[32], v6[48];

		snprintf(v4, sizeof(v4), "10.0.%d.7", 10 + i);
		snprintf(v6, sizeof(v6), "2001:db8:%x::7", 16 + i);
		node_move(i % 3 ? a : b, NULL, NULL);
		world_run(&world, 200);
		node_move(i % 3 ? a : b, v4, v6);
		assert_in_range(outage_ms(1000), 1, 25);
		world_run(&world, 100);
		assert_flows();
	}
}

static void test_queue_leaves_after_move(void **state)
{
	uint64_t at_b;

	(void)state;
	connect_both();
	assert_flows();
	at_b = b->got[0];
	node_move(a, NULL, NULL);
	for (int i = 0; i < 30; i++)
		node_send(a, b);
	world_run(&world, 500);
	assert_int_equal(b->got[0], at_b);
	node_move(a, A4B, A6B);
	world_run(&world, 15);
	assert_int_equal(b->got[0] - at_b, 30);
}

static void test_move_to_other_family(void **state)
{
	(void)state;
	connect_both();
	dc_set_down(world.dc, true);
	node_move(a, NULL, A6B);
	assert_in_range(outage_ms(1000), 1, 45);
	assert_flows();
	node_move(a, A4B, NULL);
	assert_in_range(outage_ms(1000), 1, 45);
	assert_flows();
}

static void test_both_move(void **state)
{
	(void)state;
	connect_both();
	/* neither hears the other any more: the DC brings them together */
	node_move(a, A4B, NULL);
	node_move(b, B4B, NULL);
	assert_in_range(outage_ms(5000), 1, 800);
	world_run(&world, 1000);
	assert_flows();
	assert_int_equal(node_peer(a, b)->path_id ^ 1,
			 node_peer(b, a)->path_id);
}

/* The address still stands and nothing comes through: nobody tells us. */
static void test_silent_path(void **state)
{
	unsigned int ms;

	(void)state;
	connect_both();
	assert_flows();
	dc_set_down(world.dc, true);
	/* b's IPv4 (or whichever is in use) is gone, and b does not know */
	b->n_addrs = 0;
	if (path_current(node_peer(a, b))->addr.sa.sa_family == AF_INET)
		assert_int_equal(addr_parse(B6, 0, &b->addrs[b->n_addrs++]), 0);
	else
		assert_int_equal(addr_parse(B4, 0, &b->addrs[b->n_addrs++]), 0);
	ms = outage_ms(5000);
	assert_in_range(ms, 1, 2000);
	world_run(&world, 200);
	assert_flows();
}

static void test_peer_gone_is_offline(void **state)
{
	uint64_t ms;

	(void)state;
	connect_both();
	node_kill(b);
	for (int i = 0; i < 200; i++) {
		node_send(a, b);
		world_run(&world, 100);
	}
	assert_int_equal(node_peer(a, b)->state == PEER_UP, 0);
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_EOFFLINE);
	assert_in_range(ms, 0, 5000);
	node_start(b);
	assert_in_range(outage_ms(5000), 1, 1500);
}

static void test_goodbye(void **state)
{
	(void)state;
	connect_both();
	worker_say_goodbye(&b->w);
	world_run(&world, 20);
	assert_int_equal(node_peer(a, b)->state, PEER_DOWN);
	assert_int_equal(node_peer(a, b)->why, NTM_EOFFLINE);
	assert_false(node_peer(a, b)->has_secret);
}

/* --- size ----------------------------------------------------------------------------------------- */

static void test_path_mtu(void **state)
{
	(void)state;
	a->path_mtu = 1400;
	connect_both();
	world_run(&world, 3000);
	/* 1352 over IPv4 (28), 1352 over IPv6 (48): the table's sizes below 1400 */
	assert_in_range(node_peer(a, b)->pmtu.size, 1300, 1372);
	/* a black hole opens: found by data-sized probes of the silent path */
	a->path_mtu = 1290;
	world_run(&world, 100);
	path_probe(node_peer(a, b), false);
	pmtu_check(node_peer(a, b));
	world_run(&world, 2000);
	assert_in_range(node_peer(a, b)->pmtu.size, PMTU_BASE, 1262);
	/* and the path recovers */
	a->path_mtu = 0;
	world_run(&world, (PMTU_RAISE_S + 60) * 1000 / 2);
	node_send(a, b); /* not asleep */
	world_run(&world, (PMTU_RAISE_S + 60) * 1000 / 2);
	assert_in_range(node_peer(a, b)->pmtu.size, 1452, 1472);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_first_contact),
		T(test_names),
		T(test_account_name),
		T(test_typed),
		T(test_offline),
		T(test_dc_silent),
		T(test_unreachable_peer),
		T(test_coalesced),
		T(test_both_ask_at_once),
		T(test_remembered_address),
		T(test_unknown_address),
		T(test_rekey),
		T(test_rekey_with_loss),
		T(test_sleep_and_wake),
		T(test_worker_restart),
		T(test_both_workers_restart),
		T(test_keeper_restart),
		T(test_dc_restart),
		T(test_move),
		T(test_queue_leaves_after_move),
		T(test_move_to_other_family),
		T(test_both_move),
		T(test_silent_path),
		T(test_peer_gone_is_offline),
		T(test_goodbye),
		T(test_path_mtu),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	if (getenv("NTM_TEST_ONLY"))
		cmocka_set_test_filter(getenv("NTM_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
