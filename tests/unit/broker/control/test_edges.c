/* SPDX-License-Identifier: MIT */
/* test_edges - whole control planes: what goes wrong between two steps */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/timers.h"
#include "common/log.h"
#include "tests/unit/broker/control/world.h"

#define A4 "10.0.1.2"
#define A6 "2001:db8:1::2"
#define B4 "10.0.2.2"
#define B6 "2001:db8:2::2"

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

static bool both_up(void *arg)
{
	struct peer *p = node_peer(a, b), *q = node_peer(b, a);

	(void)arg;
	return p && q && p->state == PEER_UP && q->state == PEER_UP;
}

static void resolved(void *arg, int err, struct peer *p)
{
	(void)arg, (void)err, (void)p;
}

static void connect_both(void)
{
	struct resolve_wait *wait;

	resolve_name(a->w.resolve, b->fqdn, resolved, NULL, &wait);
	assert_true(world_until(&world, 2000, both_up, NULL));
	world_run(&world, 100);
}

/* everything that is sent now arrives */
static void assert_flows(void)
{
	uint64_t at_a, at_b;

	world_run(&world, 50); /* what is under way */
	at_a = a->got[1];
	at_b = b->got[0];
	for (int i = 0; i < 10; i++) {
		node_send(a, b);
		node_send(b, a);
		world_run(&world, 10);
	}
	world_run(&world, 50);
	assert_int_equal(a->got[1] - at_a, 10);
	assert_int_equal(b->got[0] - at_b, 10);
}

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

/* @ms without packets of these types */
static void run_without(uint8_t first, uint8_t last, unsigned int ms)
{
	uint64_t end = world.now_ns + LOOP_MS(ms);

	while (world.now_ns < end) {
		world_run(&world, 1);
		lose(first, last);
	}
}

/* --- look-ups ------------------------------------------------------------------------- */

/* Between the end of a session and the next a look-up fails inside the call. */
static void test_shim_answered_at_once(void **state)
{
	struct shim_names names;
	char name[64];

	(void)state;
	worker_shim_names(&a->w, &names);
	session_stop(a->w.session);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "x%d.alice." WORLD_DOMAIN, i);
		names.resolve(names.arg, name, NULL);
		names.resolve(names.arg, "bob." WORLD_DOMAIN, NULL);
	}
	assert_null(a->w.held);
	world_run(&world, 6000);
}

/* --- keys ------------------------------------------------------------------------------ */

/* A peer that answers everything but requests for new keys: old ones carry nothing
 * of programs after REKEY_STOP_S, and neither side wears itself out over it. */
static void test_no_new_keys(void **state)
{
	uint64_t at_b, datagrams;

	(void)state;
	connect_both();
	for (unsigned int s = 0; s < REKEY_STOP_S + 20; s++) {
		node_send(a, b);
		run_without(PACKET_TUNNEL_REQUEST, PACKET_TUNNEL_RESPONSE,
			    1000);
	}
	at_b = b->got[0];
	datagrams = a->datagrams + b->datagrams;
	for (unsigned int s = 0; s < 30; s++) {
		node_send(a, b);
		run_without(PACKET_TUNNEL_REQUEST, PACKET_TUNNEL_RESPONSE,
			    1000);
	}
	assert_int_equal(b->got[0], at_b);
	assert_in_range(a->datagrams + b->datagrams - datagrams, 0, 600);
	world_run(&world, 10000);
	assert_flows();
}

static bool a_has_answered(void *arg)
{
	(void)arg;
	return node_peer(a, b)->has_pending;
}

/* Killed after answering: the peer has the new secret alone, we had the old. */
static void test_killed_after_answer(void **state)
{
	(void)state;
	connect_both();
	dc_set_down(world.dc, true);
	assert_int_equal(shake_start(node_peer(b, a), SHAKE_RESUME, NULL), 0);
	assert_true(world_until(&world, 100, a_has_answered, NULL));
	node_kill(a);
	world_run(&world, 60);
	node_start(a);
	assert_true(world_until(&world, 1000, both_up, NULL));
	assert_flows();
	/* killed before the answer arrived: the peer has the old one alone */
	assert_int_equal(shake_start(node_peer(b, a), SHAKE_RESUME, NULL), 0);
	assert_true(world_until(&world, 100, a_has_answered, NULL));
	node_kill(a);
	lose(PACKET_TUNNEL_RESPONSE, PACKET_TUNNEL_RESPONSE);
	node_start(a);
	assert_true(world_until(&world, 1000, both_up, NULL));
	assert_flows();
}

/* An answer to a request of before, under the same secret, says nothing: the right
 * one that comes after it does. */
static void test_late_answer(void **state)
{
	struct packet **at, *late;
	uint64_t before;

	(void)state;
	connect_both();
	before = node_peer(b, a)->keyed_ns;
	assert_int_equal(shake_start(node_peer(b, a), SHAKE_RESUME, NULL), 0);
	assert_true(world_until(&world, 100, a_has_answered, NULL));
	for (at = &world.packets; (*at)->buf[0] != PACKET_TUNNEL_RESPONSE;)
		at = &(*at)->next;
	late = *at;
	*at = late->next;
	shake_stop(node_peer(b, a));
	assert_int_equal(shake_start(node_peer(b, a), SHAKE_RESUME, NULL), 0);
	world_run(&world, 5);
	late->due_ns = world.now_ns;
	late->next = world.packets;
	world.packets = late;
	world_run(&world, 60);
	assert_true(node_peer(b, a)->keyed_ns > before);
	assert_flows();
}

/* The old keys' time is over while a handshake is answered and not yet confirmed. */
static void test_old_keys_end_meanwhile(void **state)
{
	uint64_t before;

	(void)state;
	connect_both();
	dc_set_down(world.dc, true);
	world_run(&world, OLD_KEYS_S * 1000 - 100 - 20 - 20);
	before = node_peer(a, b)->keyed_ns;
	/* the request arrives, the answer is lost, repetitions bring it again */
	assert_int_equal(shake_start(node_peer(b, a), SHAKE_RESUME, NULL), 0);
	assert_true(world_until(&world, 100, a_has_answered, NULL));
	run_without(PACKET_TUNNEL_RESPONSE, PACKET_TUNNEL_RESPONSE, 400);
	world_run(&world, 2000);
	assert_true(node_peer(a, b)->keyed_ns > before);
	assert_flows();
}

/* Asked for keys by who then vanishes: what is sent there later must not wait for
 * ever in the tunnel made for the answer. */
static void test_vanished_after_request(void **state)
{
	uint64_t at_b;

	(void)state;
	connect_both();
	world_run(&world, (IDLE_CLOSE_S + REKEY_HIGH_S + 10) * 1000);
	assert_int_equal(node_peer(a, b)->state, PEER_IDLE);
	peer_connect(node_peer(b, a));
	assert_true(world_until(&world, 100, a_has_answered, NULL));
	node_kill(b);
	world_run(&world, 50);
	node_start(b);
	world_run(&world, 6000);
	at_b = b->got[0];
	node_send(a, b);
	world_run(&world, 2000);
	assert_int_equal(b->got[0] - at_b, 1);
}

/* One side makes the tunnel anew by the DC, the other by the secret, both under the
 * same Path ID and at once: one of them must give way, not both. */
static void test_direct_crosses_resume(void **state)
{
	struct node *const pair[] = {a, b};

	(void)state;
	connect_both();
	dc_set_down(world.dc, true);
	for (int i = 0; i < 2; i++) {
		struct node *n = pair[i], *o = pair[!i];
		struct peer *p = node_peer(n, o), *q = node_peer(o, n);
		uint64_t before = p->keyed_ns;
		struct route r = {.path_id = p->path_id & ~1ull,
				  .bit = p->path_id & 1,
				  .move = true,
				  .aead = p->aead,
				  .expires_ns = world.now_ns + LOOP_S(60)};

		ntmc_random(&world.crypto, &r.ktun, sizeof(r.ktun));
		ntmc_random(&world.crypto, &r.ktmp, sizeof(r.ktmp));
		snprintf(r.peer.fqdn, sizeof(r.peer.fqdn), "%s", n->fqdn);
		memcpy(r.peer.ed_pub, q->ed_pub, NTMC_KEY_LEN);
		memcpy(r.peer.x_pub, q->x_pub, NTMC_KEY_LEN);
		memcpy(r.peer.fp, q->fp, NTMC_FP_LEN);
		assert_int_equal(peer_expect(q, &r), 0);
		assert_int_equal(shake_start(p, SHAKE_DIRECT, &r), 0);
		assert_int_equal(shake_start(q, SHAKE_RESUME, NULL), 0);
		world_run(&world, 100);
		assert_true(p->keyed_ns > before);
		assert_flows();
	}
}

/* --- paths ------------------------------------------------------------------------------ */

static void lose_family(int family)
{
	struct packet **at = &world.packets, *p;

	while ((p = *at)) {
		if (p->to.sa.sa_family != family) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		free(p);
	}
}

/* The path dies while it is being asked for another reason (an idle probe), whose
 * repetitions are slower. */
static void test_dies_while_asked(void **state)
{
	unsigned int ms = 0;
	uint64_t at_b;
	int family;

	(void)state;
	world.wire.delay_ms = 60;
	connect_both();
	world_run(&world, 1000);
	family = path_current(node_peer(a, b))->addr.sa.sa_family;
	path_probe(node_peer(a, b), false);
	path_probe(node_peer(b, a), false);
	lose_family(family);
	at_b = b->got[0];
	while (b->got[0] == at_b && ms < 8000) {
		node_send(a, b);
		world_run(&world, 1);
		lose_family(family);
		ms++;
	}
	assert_in_range(ms, 1, 2000);
}

/* --- the session ------------------------------------------------------------------------ */

struct asked {
	struct session *s;
	uint32_t id, other;
	int answers;
};

static void cancel_other(void *arg, int err, const Ntm__Signal *msg)
{
	struct asked *q = arg;

	(void)msg;
	assert_int_equal(err, -NTM_ENOLOGIN);
	q->answers++;
	session_cancel(q->s, q->other);
}

static uint64_t first_counter(void)
{
	struct packet_header h;

	lose(PACKET_DATA, PACKET_TUNNEL_RESPONSE);
	node_start(a);
	assert_non_null(world.packets);
	assert_int_equal(
		packet_header_get(world.packets->buf, world.packets->len, &h),
		0);
	assert_int_equal(h.type, PACKET_SIGNAL);
	node_kill(a);
	return h.counter;
}

/* The machine is put back to an earlier state: the boot number comes again under
 * the same Kntmdc, the counters must not. */
static void test_restored_state(void **state)
{
	char path[128], kept[256];
	uint64_t counter;
	size_t len;
	FILE *f;

	(void)state;
	node_kill(a);
	snprintf(path, sizeof(path), "%s/boot", a->state);
	f = fopen(path, "r");
	assert_non_null(f);
	len = fread(kept, 1, sizeof(kept), f);
	fclose(f);
	counter = first_counter();
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(kept, 1, len, f), len);
	fclose(f);
	assert_int_not_equal(first_counter(), counter);
}

/* The domain's first withdrawal, while we were away. */
static void test_first_revocation_missed(void **state)
{
	(void)state;
	connect_both();
	node_kill(a);
	dc_revoke(world.dc, b->w.account->fp);
	node_start(a);
	world_run(&world, 1000);
	assert_false(node_peer(a, b)->has_secret);
	assert_int_equal(pins_serial(a->w.pins), 1);
}

/* The first answer of a session's end makes the second unwanted. */
static void test_end_cancels(void **state)
{
	struct asked q[2] = {{.s = a->w.session}, {.s = a->w.session}};

	(void)state;
	for (int i = 0; i < 2; i++) {
		Ntm__Signal msg = NTM__SIGNAL__INIT;
		Ntm__DirectionRequest r = NTM__DIRECTION_REQUEST__INIT;

		r.fqdn = b->fqdn;
		msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
		msg.direction_request = &r;
		assert_int_equal(session_request(a->w.session, &msg, 1000,
						 cancel_other, &q[i], &q[i].id),
				 0);
	}
	q[0].other = q[1].id;
	q[1].other = q[0].id;
	session_stop(a->w.session);
	assert_int_equal(q[0].answers + q[1].answers, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_shim_answered_at_once),
		T(test_no_new_keys),
		T(test_killed_after_answer),
		T(test_late_answer),
		T(test_old_keys_end_meanwhile),
		T(test_vanished_after_request),
		T(test_direct_crosses_resume),
		T(test_dies_while_asked),
		T(test_restored_state),
		T(test_first_revocation_missed),
		T(test_end_cancels),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	if (getenv("NTM_TEST_ONLY"))
		cmocka_set_test_filter(getenv("NTM_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
