/* SPDX-License-Identifier: MIT */
/* test_world - whole control planes: contact, rekey, moves, restarts, refusals */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/timers.h"
#include "common/log.h"
#include "tests/unit/broker/control/world.h"

#define A4  "10.0.1.2"
#define A6  "2001:db8:1::2"
#define B4  "10.0.2.2"
#define B6  "2001:db8:2::2"
#define A4B "10.0.3.9"
#define A6B "2001:db8:3::9"
#define B4B "10.0.4.9"

static struct world world;
static struct node *const a = &world.nodes[0], *const b = &world.nodes[1];

static bool both_online(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < world.n_nodes; i++)
		if (session_state(world.nodes[i].w.session) != SESSION_ONLINE)
			return false;
	return true;
}

static void log_in(struct node *n, const char *v4, const char *v6,
		   const char *fqdn)
{
	node_move(n, v4, v6);
	node_start(n);
	node_login(n, fqdn);
}

static int setup(void **state)
{
	(void)state;
	world_up(&world, 1, 2);
	log_in(a, A4, A6, "laptop.alice." WORLD_DOMAIN);
	log_in(b, B4, B6, "desk.alice." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_down(&world);
	return 0;
}

/* --- look-ups ---------------------------------------------------------------------------- */

struct lookup {
	bool done;
	int err;
	char fqdn[FQDN_MAX + 1];
};

static void resolved(void *arg, int err, struct peer *p)
{
	struct lookup *l = arg;

	l->done = true;
	l->err = err;
	if (p)
		strcpy(l->fqdn, p->fqdn);
}

static bool lookup_done(void *arg)
{
	return ((struct lookup *)arg)->done;
}

/* Return: the error; *ms: how long it took */
static int look_up(struct node *n, const char *name, uint64_t *ms)
{
	struct lookup l = { 0 };
	struct resolve_wait *wait;
	uint64_t start = world.now_ns;

	resolve_name(n->w.resolve, name, resolved, &l, &wait);
	assert_true(world_until(&world, 10000, lookup_done, &l));
	*ms = (world.now_ns - start) / 1000000;
	return l.err;
}

static void connect_both(void)
{
	uint64_t ms;

	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	world_run(&world, 100);
}

/* @n packets each way, one every @every_ms; what arrived is counted */
static void exchange(unsigned int n, unsigned int every_ms)
{
	while (n--) {
		if (a->running)
			node_send(a, b);
		if (b->running)
			node_send(b, a);
		world_run(&world, every_ms);
	}
}

/* everything that is sent now arrives */
static void assert_flows(void)
{
	uint64_t at_a, at_b;

	world_run(&world, 50); /* what is under way */
	at_a = a->got[1];
	at_b = b->got[0];
	exchange(10, 10);
	world_run(&world, 50);
	assert_int_equal(a->got[1] - at_a, 10);
	assert_int_equal(b->got[0] - at_b, 10);
}

/* how long until a packet of each side arrives at the other, sending every ms */
static unsigned int outage_ms(unsigned int limit)
{
	uint64_t at_a = a->got[1], at_b = b->got[0];
	unsigned int ms = 0;

	while ((a->got[1] == at_a || b->got[0] == at_b) && ms < limit) {
		node_send(a, b);
		node_send(b, a);
		world_run(&world, 1);
		ms++;
	}
	return ms;
}

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
	b->path_mtu = 600; /* registrations pass, requests with certificates not */
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_EUNREACHABLE);
	assert_in_range(ms, 1000, 5000);
}

static void test_coalesced(void **state)
{
	struct lookup l[3] = { { 0 } };
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
	struct lookup l[2] = { { 0 } };
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
	assert_int_equal(node_peer(a, b)->path_id ^ 1, node_peer(b, a)->path_id);
}

static void test_remembered_address(void **state)
{
	uint64_t before;

	(void)state;
	connect_both();
	node_kill(a);
	/* no blob of the keeper either: only the file remembers */
	while (a->keeper.blobs)
		assert_int_equal(keeper_blob_del(&a->keeper,
						 a->keeper.blobs->key),
				 0);
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
	struct node stranger = { .vip6 = { 0xfd, 0x6e, 1 } };

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
	exchange(6000, 100); /* ten minutes */
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
		assert_int_equal(keeper_blob_del(&b->keeper,
						 b->keeper.blobs->key),
				 0);
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
	assert_int_equal(node_peer(a, b)->path_id ^ 1, node_peer(b, a)->path_id);
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

/* --- who may ----------------------------------------------------------------------------------------- */

static void stranger_up(void)
{
	world_down(&world);
	world_up(&world, 2, 2);
	log_in(a, A4, A6, "laptop.alice." WORLD_DOMAIN);
	log_in(b, B4, B6, "desk.bob." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
}

static void allow(struct node *n, const char *subject)
{
	struct policy_rule r = { .n_ports = 0 };

	strcpy(r.subject, subject);
	assert_int_equal(policy_allow(n->w.policy, &r), 0);
}

static void apply(void *arg, struct peer *p)
{
	(void)arg;
	peer_apply_policy(p);
}

static void test_policy(void **state)
{
	uint64_t ms, at_a;

	(void)state;
	stranger_up();
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_EPOLICY);
	allow(b, "alice." WORLD_DOMAIN);
	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	/* a has not allowed b: answers come in, nothing new does (no port) */
	at_a = a->got[1];
	exchange(5, 10);
	world_run(&world, 30);
	assert_int_equal(a->got[1], at_a);
	assert_int_equal(b->got[0], 5);
	/* taken back: the tunnel ends at once, and a is told */
	assert_int_equal(policy_remove(b->w.policy, "alice." WORLD_DOMAIN), 0);
	peers_each(b->w.peers, apply, NULL);
	world_run(&world, 20);
	assert_int_equal(node_peer(a, b)->state, PEER_DOWN);
	assert_int_equal(node_peer(a, b)->why, NTM_EPOLICY);
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_EPOLICY);
}

/* b gets another identity: as if somebody else logged in under its name */
static void other_identity(void)
{
	char path[128];

	node_kill(b);
	snprintf(path, sizeof(path), "%s/identity.key", b->state);
	assert_int_equal(remove(path), 0);
	snprintf(path, sizeof(path), "%s/session", b->state);
	assert_int_equal(remove(path), 0);
}

static void test_changed_identity(void **state)
{
	uint64_t ms;
	const struct pin *pin;

	(void)state;
	connect_both();
	other_identity();
	world_down(&world);
	world_up(&world, 3, 2);
	(void)pin;
	(void)ms;
	log_in(a, A4, A6, "laptop.alice." WORLD_DOMAIN);
	log_in(b, B4, B6, "desk.alice." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	/* a knows desk under another key */
	{
		uint8_t fp[NTMC_FP_LEN] = { 1, 2, 3 };

		assert_int_equal(pins_learn(a->w.pins, b->fqdn, fp, b->vip6,
					    b->vip4),
				 0);
	}
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_EPIN);
	/* refused as CN, too: in the acknowledgement of the direction */
	assert_int_equal(look_up(b, a->fqdn, &ms), NTM_EPIN);
	pin = pins_find(a->w.pins, b->fqdn);
	assert_memory_equal(pin->offered, b->w.account->fp, NTMC_FP_LEN);
	/* the person compares the code */
	assert_int_equal(pins_verify(a->w.pins, b->fqdn, b->w.account->fp), 0);
	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	assert_flows();
}

static void test_unverified_device(void **state)
{
	uint8_t fp[NTMC_FP_LEN] = { 9 };
	uint64_t ms;

	(void)state;
	stranger_up();
	allow(b, "alice." WORLD_DOMAIN);
	assert_int_equal(pins_verify(a->w.pins, "phone.bob." WORLD_DOMAIN, fp),
			 0);
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_EUNVERIFIED);
	assert_int_equal(pins_verify(a->w.pins, b->fqdn, b->w.account->fp), 0);
	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
}

static void test_withdrawn(void **state)
{
	(void)state;
	connect_both();
	dc_withdraw(world.dc, b->w.account->fp, a);
	world_run(&world, 15);
	assert_int_equal(node_peer(a, b)->state, PEER_DOWN);
	assert_false(node_peer(a, b)->has_secret);
	assert_null(node_peer(a, b)->tunnel);
	/* ourselves */
	dc_withdraw(world.dc, b->w.account->fp, b);
	world_run(&world, 15);
	assert_false(b->w.account->logged_in);
	assert_int_equal(b->w.account->ended, NTM_EDISABLED);
}

static void test_expired_certificate(void **state)
{
	uint64_t ms;

	(void)state;
	world.skew_s = 90000; /* a day and an hour later, and no renewal */
	world_run(&world, 100);
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_EEXPIRED);
}

/* --- foreign datagrams ---------------------------------------------------------------------------------- */

static void test_flood(void **state)
{
	struct addr from;
	uint8_t buf[600];
	uint64_t sent;

	(void)state;
	connect_both();
	assert_int_equal(addr_parse("10.9.9.9:7000", 0, &from), 0);
	sent = b->datagrams;
	for (int i = 0; i < 10000; i++) {
		struct packet_header h = {
			.type = (uint8_t)(1 + i % 4),
			.flags = (uint8_t)(i % 3 ? PACKET_RESUME : 0),
			.id = i % 2 ? node_peer(b, a)->path_id :
				      (uint64_t)i << 20,
			.counter = (uint64_t)i,
		};

		ntmc_random(&world.crypto, buf, sizeof(buf));
		packet_header_put(&h, buf);
		world_send(&world, buf, PACKET_OVERHEAD + (size_t)i % 500,
			   &from, &b->addrs[0]);
		addr_set_port(&world.packets->to, WORLD_PORT);
		if (i % 100 == 0)
			world_run(&world, 1);
	}
	world_run(&world, 100);
	/* unknown keys under a known Path ID: at most one resumption a second */
	assert_in_range(b->datagrams - sent, 0, 40);
	assert_flows();
}

/* A peer that has gone wild: it knows the secret and asks ten thousand times. */
static void test_handshakes_are_rationed(void **state)
{
	const struct account *acc = a->w.account;
	const struct handshake_self self = {
		&world.crypto, &acc->secrets->id, acc->fp,
		acc->cert_der, acc->cert_len,	  acc->trust,
	};
	struct handshake_spec spec = { .peer_bit = 1, .resume = true };
	struct peer *p;
	struct handshake *h;
	uint8_t buf[PACKET_SIGNAL_MAX];
	uint64_t answers;
	size_t len;

	(void)state;
	connect_both();
	p = node_peer(a, b);
	spec.path_id = p->path_id;
	spec.peer_bit = (unsigned int)(p->path_id & 1) ^ 1;
	spec.aead = p->aead;
	spec.request = spec.psk_secret = p->secret;
	strcpy(spec.fqdn, b->fqdn);
	memcpy(spec.fp, p->fp, NTMC_FP_LEN);
	memcpy(spec.x_pub, p->x_pub, NTMC_KEY_LEN);
	answers = b->signals;
	for (int i = 0; i < 10000; i++) {
		if (i % 100 == 0) /* making one costs more than refusing it */
			assert_int_equal(
				handshake_new(&self, &spec,
					      account_sent_ms(a->w.account),
					      NULL, 0, &h, buf, &len),
				0);
		else
			buf[len - 1] ^= (uint8_t)i; /* not even that */
		world_send(&world, buf, len, &a->addrs[0], &b->addrs[0]);
		addr_set_port(&world.packets->to, WORLD_PORT);
		if (i % 100 == 0)
			handshake_free(h);
		if (i % 1000 == 0)
			world_run(&world, 1);
	}
	world_run(&world, 20);
	assert_in_range(b->signals - answers, 1, SHAKE_RATE_PEER);
	/* nobody uses those keys: in a second all is as before */
	world_run(&world, 1000);
	exchange(20, 20);
	assert_flows();
}

/* What was recorded says nothing new, whenever it is said again. */
static void test_replayed_request(void **state)
{
	struct packet *copy, *p;
	struct answered *before;
	uint64_t seen;

	(void)state;
	connect_both();
	/* a resumption request, kept as it passes by */
	assert_int_equal(shake_start(node_peer(a, b), SHAKE_RESUME, NULL), 0);
	for (p = world.packets; p && p->buf[0] != PACKET_TUNNEL_REQUEST;)
		p = p->next;
	assert_non_null(p);
	copy = malloc(sizeof(*copy) + p->len);
	assert_non_null(copy);
	memcpy(copy, p, sizeof(*copy) + p->len);
	world_run(&world, 1000);
	seen = node_peer(b, a)->seen_ms;
	before = node_peer(b, a)->answered;
	shake_forget(node_peer(b, a)); /* so that it is no mere repetition */
	(void)before;
	world_send(&world, copy->buf, copy->len, &copy->from, &copy->to);
	free(copy);
	world_run(&world, 100);
	assert_int_equal(node_peer(b, a)->seen_ms, seen);
	assert_null(node_peer(b, a)->answered);
	assert_flows();
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_first_contact),
		T(test_names),
		T(test_account_name),
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
		T(test_policy),
		T(test_changed_identity),
		T(test_unverified_device),
		T(test_withdrawn),
		T(test_expired_certificate),
		T(test_flood),
		T(test_handshakes_are_rationed),
		T(test_replayed_request),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	if (getenv("NTM_TEST_ONLY"))
		cmocka_set_test_filter(getenv("NTM_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
