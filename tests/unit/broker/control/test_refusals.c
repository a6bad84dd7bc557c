/* SPDX-License-Identifier: MIT */
/* test_refusals - whole control planes: who may not, withdrawals, foreign datagrams */
#include "tests/unit/broker/control/story.h"

static void stranger_up(void)
{
	story_again(2, "desk.bob." WORLD_DOMAIN);
}

static void allow(struct node *n, const char *subject)
{
	struct policy_rule r = {.n_ports = 0};

	strcpy(r.subject, subject);
	assert_int_equal(policy_allow(n->w.policy, &r, NULL, NULL), 0);
	writer_finish(n->w.writer);
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
	assert_int_equal(
		policy_remove(b->w.policy, "alice." WORLD_DOMAIN, NULL, NULL),
		0);
	writer_finish(b->w.writer);
	peers_each(b->w.peers, apply, NULL);
	world_run(&world, 20);
	assert_int_equal(node_peer(a, b)->state, PEER_DOWN);
	assert_int_equal(node_peer(a, b)->why, NTM_EPOLICY);
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_EPOLICY);
}

struct refused {
	bool done;
	int err;
	uint8_t fp[NTMC_FP_LEN];
};

static void on_refused(void *arg, int err, const struct route *r)
{
	struct refused *q = arg;

	q->done = true;
	q->err = err;
	if (r)
		memcpy(q->fp, r->peer.fp, NTMC_FP_LEN);
}

static bool refused_done(void *arg)
{
	return ((struct refused *)arg)->done;
}

/* @asked refuses the key of @asker for @err; its own comes along, to be compared */
static void assert_key_comes(struct node *asker, struct node *asked, int err)
{
	struct refused q = {0};
	uint32_t id;

	assert_int_equal(direction_request(&asker->w, asked->fqdn, false, 0,
					   on_refused, &q, &id),
			 0);
	assert_true(world_until(&world, 2000, refused_done, &q));
	assert_int_equal(q.err, -err);
	assert_memory_equal(q.fp, asked->w.account->fp, NTMC_FP_LEN);
}

static void test_changed_identity(void **state)
{
	uint8_t fp[NTMC_FP_LEN] = {1, 2, 3};
	const struct pin *pin;
	uint64_t ms;

	(void)state;
	/* a knows desk under another key */
	assert_int_equal(pins_learn(a->w.pins, b->fqdn, fp, b->vip6, b->vip4),
			 0);
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_EPIN);
	/* refused as CN, too: in the acknowledgement of the direction */
	assert_int_equal(look_up(b, a->fqdn, &ms), NTM_EPIN);
	assert_key_comes(b, a, NTM_EPIN);
	pin = pins_find(a->w.pins, b->fqdn);
	assert_memory_equal(pin->offered, b->w.account->fp, NTMC_FP_LEN);
	/* the person compares the code */
	assert_int_equal(
		pins_verify(a->w.pins, b->fqdn, b->w.account->fp, NULL, NULL),
		0);
	assert_int_equal(look_up(a, b->fqdn, &ms), 0);
	assert_flows();
}

static void test_unverified_device(void **state)
{
	uint8_t fp[NTMC_FP_LEN] = {9};
	uint64_t ms;

	(void)state;
	stranger_up();
	allow(b, "alice." WORLD_DOMAIN);
	assert_int_equal(pins_verify(a->w.pins, "phone.bob." WORLD_DOMAIN, fp,
				     NULL, NULL),
			 0);
	assert_int_equal(look_up(a, b->fqdn, &ms), NTM_EUNVERIFIED);
	assert_key_comes(b, a, NTM_EUNVERIFIED);
	assert_int_equal(
		pins_verify(a->w.pins, b->fqdn, b->w.account->fp, NULL, NULL),
		0);
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

/* There is no AS in this world: what shows that it was asked is why it failed. */
static bool renewal_tried(void *arg)
{
	return login_trouble(((struct node *)arg)->w.login) != NULL;
}

/* A machine that slept for days renews when it wakes, not half a day of its timers'
 * clock later: with the next address, or at the next look. */
static void test_renewal_after_sleep(void **state)
{
	(void)state;
	world_run(&world, 2000);
	assert_false(renewal_tried(a));
	world.skew_s = 3 * 86400;
	node_move(a, "10.0.9.9", NULL);
	assert_true(world_until(&world, 40000, renewal_tried, a));
	assert_false(renewal_tried(b));
	assert_true(world_until(&world, (RENEW_LOOK_S + 40) * 1000,
				renewal_tried, b));
	/* the clock was wrong: set right, there is nothing to say */
	world.skew_s = 0;
	world_run(&world, 2 * RENEW_RETRY_S * 1000);
	assert_false(renewal_tried(b));
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
			.id = i % 2 ? node_peer(b, a)->path_id
				    : (uint64_t)i << 20,
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
	struct handshake_spec spec = {.peer_bit = 1, .resume = true};
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
	const struct CMUnitTest tests[] = {
		T(test_policy),
		T(test_changed_identity),
		T(test_unverified_device),
		T(test_withdrawn),
		T(test_expired_certificate),
		T(test_renewal_after_sleep),
		T(test_flood),
		T(test_handshakes_are_rationed),
		T(test_replayed_request),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	if (getenv("NTM_TEST_ONLY"))
		cmocka_set_test_filter(getenv("NTM_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
