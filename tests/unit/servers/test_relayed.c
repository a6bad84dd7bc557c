/* SPDX-License-Identifier: MIT */
/* test_relayed - directions through relays: when, which one, and without it */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay_site.h"
#include "servers/dc/pathid.h"
#include "servers/dc/state.h"

static const struct said natted, open_node = {.reachable = true};

static void request(struct peer *p, const char *fqdn, uint64_t path_id,
		    Ntm__DirectionRequest *q, Ntm__Signal *msg)
{
	ntm__direction_request__init(q);
	ntm__signal__init(msg);
	q->fqdn = (char *)fqdn;
	q->aead = NTMC_AES_256_GCM;
	q->path_id = path_id;
	if (path_id)
		q->reason = NTM__DIRECTION_REASON__DIRECTION_MOVE;
	msg->txn = p->asked = ++p->txn;
	msg->body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg->direction_request = q;
}

/* of mn and cn, under a key that everybody has */
static uint64_t forged(void)
{
	static struct dc nobody;
	uint8_t fp[NTMC_FP_LEN];
	uint64_t a, b;

	ntmc_fingerprint(mn.id.ed_pub, fp);
	memcpy(&a, fp, sizeof(a));
	ntmc_fingerprint(cn.id.ed_pub, fp);
	memcpy(&b, fp, sizeof(b));
	return pathid_make(&nobody, ~UINT64_C(0), a, b);
}

/* @path_id: 0, or reason MOVE */
static const Ntm__Signal *ask(struct peer *p, const char *fqdn,
			      uint64_t path_id)
{
	Ntm__DirectionRequest q;
	Ntm__Signal msg;

	request(p, fqdn, path_id, &q, &msg);
	return peer_call(p, &msg);
}

static const Ntm__RouteDirection *direct(uint64_t path_id)
{
	const Ntm__Signal *s = ask(&mn, cn.fqdn, path_id);

	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	return s->route_direction;
}

/* without waiting for the answer */
static void ask_only(void)
{
	Ntm__DirectionRequest q;
	Ntm__Signal msg;

	mn.n_got = 0;
	request(&mn, cn.fqdn, 0, &q, &msg);
	peer_send(&mn, &msg);
}

static bool mn_told(void *arg)
{
	(void)arg;
	return mn.n_got;
}

static const Ntm__RouteDirection *cn_route(void)
{
	assert_non_null(cn.route_wait);
	return cn.route_wait->route_direction;
}

static void assert_relay(const Ntm__RouteDirection *r,
			 const struct played_rs *p)
{
	struct addr a;

	assert_non_null(r->relay);
	assert_true(r->relay->id == p->now.id);
	assert_int_equal(r->relay->n_addresses, 1);
	assert_int_equal(addr_from_message(r->relay->addresses[0], &a), 0);
	assert_int_equal(addr_port(&a), p->port);
}

static void both_unreachable(void **state)
{
	static const uint8_t ip[4] = {127, 0, 0, 1};
	const Ntm__RouteDirection *r;
	struct ntmc_key ktun, kpunch;

	(void)state;
	played_start(&rs);
	both_come(&natted, &natted);
	r = direct(0);
	assert_relay(r, &rs);
	assert_relay(cn_route(), &rs);
	assert_int_equal(r->role, NTM__TUNNEL_ROLE__ROLE_SEND);
	assert_int_equal(cn_route()->role, NTM__TUNNEL_ROLE__ROLE_WAIT);
	assert_int_equal(rs.n_directions, 1);
	assert_true(rs.path_id == r->path_id);
	assert_true(cn_route()->path_id == r->path_id);
	/* what opens punches, and not what opens Tunnel Requests */
	memcpy(ktun.b, r->ktun.data, NTMC_KEY_LEN);
	assert_int_equal(datagram_punch_secret(&ktun, r->path_id, &kpunch), 0);
	assert_memory_equal(rs.kpunch, kpunch.b, NTMC_KEY_LEN);
	assert_memory_not_equal(rs.kpunch, ktun.b, NTMC_KEY_LEN);
	assert_string_equal(rs.accounts[0], "alice");
	assert_string_equal(rs.accounts[1], "bob");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rs.proven_len[i], 4);
		assert_memory_equal(rs.proven[i], ip, 4);
	}
	assert_int_equal(site_dc_number(&site, "directions_relayed"), 1);
}

/* a Path ID is believed of those alone for whom the DC drew it, over restarts too */
static void foreign_path(void **state)
{
	uint64_t own;

	(void)state;
	played_start(&rs);
	both_come(&natted, &natted);
	own = direct(0)->path_id;
	assert_true(direct(own)->path_id == own);
	assert_true(direct(own | 1)->path_id == own);
	assert_int_equal(site_dc_number(&site, "foreign_paths"), 0);
	for (int i = 1; i < 64; i++) {
		uint64_t id = own ^ UINT64_C(1) << i;

		assert_true(direct(id)->path_id != id);
		assert_true(cn_route()->path_id != id);
		assert_true(rs.path_id != id);
	}
	assert_true(direct(forged())->path_id != forged());
	assert_int_equal(site_dc_number(&site, "foreign_paths"), 64);
	site_stop_dc(&site);
	site_start_dc(&site);
	both_come(&natted, &natted);
	assert_true(direct(own)->path_id == own);
}

/* nobody who can do without a relay waits for one */
static void reachable(void **state)
{
	const Ntm__RouteDirection *r;

	(void)state;
	rs.silent = true;
	played_start(&rs);
	both_come(&open_node, &open_node);
	r = direct(0);
	assert_null(r->relay);
	assert_int_equal(r->role, NTM__TUNNEL_ROLE__ROLE_SEND);
	assert_int_equal(cn_route()->role, NTM__TUNNEL_ROLE__ROLE_WAIT);
	/* observed and its own are one address, and it is the first */
	assert_int_equal(r->peer->n_addresses, 1);
	assert_int_equal(r->peer->addresses[0]->kind,
			 NTM__ADDRESS_KIND__ADDRESS_OBSERVED);
	/* CN cannot be reached: it is CN that sends */
	come(&cn, &(struct said){.other = "192.168.1.2"});
	r = direct(0);
	assert_null(r->relay);
	assert_int_equal(r->role, NTM__TUNNEL_ROLE__ROLE_WAIT);
	assert_int_equal(cn_route()->role, NTM__TUNNEL_ROLE__ROLE_SEND);
	assert_int_equal(r->peer->n_addresses, 2);
	assert_int_equal(r->peer->addresses[1]->kind,
			 NTM__ADDRESS_KIND__ADDRESS_LOCAL);
	/* MN cannot */
	both_come(&natted, &open_node);
	r = direct(0);
	assert_null(r->relay);
	assert_int_equal(r->role, NTM__TUNNEL_ROLE__ROLE_SEND);
	assert_int_equal(cn_route()->role, NTM__TUNNEL_ROLE__ROLE_WAIT);
	assert_int_equal(rs.n_directions, 0);
}

static void waits_for_both(void **state)
{
	(void)state;
	played_start(&rs);
	both_come(&natted, &natted);
	/* the relay answers the third time */
	rs.silent = true;
	cn.n_got = 0;
	ask_only();
	assert_true(played_wait(&rs, &rs.n_directions, 2));
	assert_int_equal(mn.n_got, 0);
	rs.silent = false;
	assert_true(site_wait(&site, mn_told, NULL));
	assert_int_equal(cn.n_got, 1); /* it had answered: not asked again */
	assert_int_equal(rs.n_directions, 3);
	assert_int_equal(mn.got->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	assert_relay(mn.got->route_direction, &rs);
	/* CN answers the third time */
	cn.silent = true;
	cn.n_got = 0;
	rs.n_directions = 0;
	ask_only();
	assert_true(played_wait(&rs, &cn.n_got, 2));
	assert_int_equal(mn.n_got, 0);
	cn.silent = false;
	assert_true(site_wait(&site, mn_told, NULL));
	assert_int_equal(rs.n_directions, 1);
	assert_relay(mn.got->route_direction, &rs);
}

/* CN's refusal needs no relay's consent */
static void refused_at_once(void **state)
{
	const Ntm__Signal *s;
	uint64_t start;

	(void)state;
	rs.silent = true;
	played_start(&rs);
	both_come(&natted, &natted);
	cn.cn_code = NTM_EPOLICY;
	start = loop_now_exact(site.loop);
	s = ask(&mn, cn.fqdn, 0);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ACK);
	assert_int_equal(s->ack->code, NTM_EPOLICY);
	assert_true(loop_now_exact(site.loop) - start < LOOP_MS(250));
	cn.silent = true;
	cn.cn_code = 0;
	s = ask(&mn, cn.fqdn, 0);
	assert_non_null(s);
	assert_int_equal(s->ack->code, NTM_EOFFLINE);
}

static void silent_relay(void **state)
{
	uint64_t start;

	(void)state;
	rs.silent = true;
	played_start(&rs);
	both_come(&natted, &natted);
	start = loop_now_exact(site.loop);
	assert_null(direct(0)->relay);
	assert_in_range(loop_now_exact(site.loop) - start, LOOP_MS(900),
			LOOP_MS(1900));
	assert_int_equal(rs.n_directions, 4);
	assert_int_equal(site_dc_number(&site, "relays_silent"), 1);
	/* the next one does not wait for it again */
	start = loop_now_exact(site.loop);
	assert_null(direct(0)->relay);
	assert_true(loop_now_exact(site.loop) - start < LOOP_MS(250));
	assert_int_equal(rs.n_directions, 4);
	/* whatever it registers, for a time that doubles until it answers */
	assert_true(played_register(&rs));
	assert_null(direct(0)->relay);
	for (uint32_t s = 5; s <= 4 * 600; s *= 2) {
		assert_int_equal(relay_of(&rs)->quiet_s, s < 600 ? s : 600);
		assert_in_range(relay_of(&rs)->quiet_until,
				loop_now(site.loop) + LOOP_S(1),
				loop_now(site.loop) + LOOP_S(600));
		relay_of(&rs)->quiet_until = 0;
		relays_silent(site.dc, relay_of(&rs));
	}
	relay_of(&rs)->quiet_until = 0;
	rs.silent = false;
	assert_relay(direct(0), &rs);
	assert_int_equal(relay_of(&rs)->quiet_s, 0);
}

static void another_relay(void **state)
{
	struct played_rs *first;
	unsigned int told;

	(void)state;
	rs.silent = true;
	played_start(&rs);
	played_start(&rs2);
	both_come(&(struct said){.rtt_us = {1000, 90000}},
		  &(struct said){.rtt_us = {1000, 90000}});
	cn.n_got = 0;
	assert_relay(direct(0), &rs2);
	assert_relay(cn_route(), &rs2);
	assert_int_equal(cn.n_got, 2); /* once for each relay */
	assert_int_equal(rs.n_directions, 4);
	assert_int_equal(rs2.n_directions, 1);
	assert_true(rs.path_id == rs2.path_id);
	/* one that refuses is replaced at once */
	rs.silent = false;
	rs.code = NTM_ELIMIT;
	relay_of(&rs)->quiet_until = 0;
	told = rs.n_directions;
	assert_relay(direct(0), &rs2);
	assert_int_equal(rs.n_directions, told + 1);
	/* if both do there is none */
	rs2.code = NTM_EAGAIN;
	assert_null(direct(0)->relay);
	/* nor when the only one is forgotten meanwhile */
	rs.code = rs2.code = 0;
	rs.silent = rs2.silent = true;
	first = &rs;
	told = rs.n_directions;
	ask_only();
	assert_true(played_wait(first, &rs.n_directions, told + 1));
	memset(relay_of(&rs)->keys, 0, sizeof(relay_of(&rs)->keys));
	relay_of(&rs2)->number = 0;
	relay_of(&rs)->number = 0;
	assert_true(site_wait(&site, mn_told, NULL));
	assert_int_equal(mn.got->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	assert_null(mn.got->route_direction->relay);
}

/* an answer of another relay, or to what was asked before, is none */
static void foreign_ack(void **state)
{
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	(void)state;
	rs.silent = true;
	played_start(&rs);
	played_start(&rs2);
	both_come(&(struct said){.rtt_us = {1000, 90000}},
		  &(struct said){.rtt_us = {1000, 90000}});
	ask_only();
	assert_true(played_wait(&rs, &rs.n_directions, 1));
	msg.txn = rs.direction_txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &ack;
	played_send(&rs2, &rs2.now, &msg);
	msg.txn += 1u << 17;
	played_send(&rs, &rs.now, &msg);
	msg.txn = 0x1ffff;
	played_send(&rs, &rs.now, &msg);
	assert_true(played_wait(&rs, &rs.n_directions, 2));
	assert_int_equal(mn.n_got, 0);
	rs.silent = false;
	assert_true(site_wait(&site, mn_told, NULL));
	assert_relay(mn.got->route_direction, &rs);
}

static void draining_and_silent(void **state)
{
	(void)state;
	played_start(&rs);
	played_start(&rs2);
	both_come(&(struct said){.rtt_us = {1000, 90000}},
		  &(struct said){.rtt_us = {1000, 90000}});
	assert_relay(direct(0), &rs);
	rs.draining = true;
	assert_true(played_register(&rs));
	assert_relay(direct(0), &rs2);
	relay_of(&rs2)->heard -= LOOP_S(16);
	assert_null(direct(0)->relay);
	assert_true(played_register(&rs2));
	assert_relay(direct(0), &rs2);
	rs.draining = false;
	assert_true(played_register(&rs));
	assert_relay(direct(0), &rs);
	/* its link lost: it is taken for dead; if it is not, still for worse */
	cut_link(&rs);
	rs2.draining = true;
	assert_true(played_register(&rs2));
	assert_null(direct(0)->relay);
	assert_true(played_register(&rs));
	assert_relay(direct(0), &rs);
	rs2.draining = false;
	assert_true(played_register(&rs2));
	assert_relay(direct(0), &rs2);
}

static void nearest(void **state)
{
	(void)state;
	played_start(&rs);
	played_start(&rs2);
	both_come(&(struct said){.rtt_us = {10000, 30000}},
		  &(struct said){.rtt_us = {30000, 5000}});
	assert_relay(direct(0), &rs2); /* 35 ms, not 40 */
	rs2.load = 500;
	assert_true(played_register(&rs2));
	assert_relay(direct(0), &rs); /* half as much again: 52 */
	rs.load = 1000;
	assert_true(played_register(&rs));
	assert_relay(direct(0), &rs2);
	/* not measured is neither near nor nowhere */
	rs.load = rs2.load = 0;
	assert_true(played_register(&rs));
	assert_true(played_register(&rs2));
	come(&cn, &(struct said){.rtt_us = {0, 140000}});
	assert_relay(direct(0), &rs); /* 10 and 150, not 30 and 140 */
	come(&cn, &(struct said){.rtt_us = {0, 120000}});
	assert_relay(direct(0), &rs2);
}

static void families(void **state)
{
	struct node a = {.flags = NODE_REACHABLE, .families = REACH_IP4};
	struct node b = {.flags = NODE_REACHABLE, .families = REACH_IP6};

	(void)state;
	assert_true(reach_needs_relay(&a, &b));
	b.families |= REACH_IP4;
	assert_false(reach_needs_relay(&a, &b));
	a.flags = 0;
	assert_false(reach_needs_relay(&a, &b));
	b.flags = 0;
	assert_true(reach_needs_relay(&a, &b));
	/* what a node has, and what it is seen by */
	both_come(&open_node, &(struct said){.other = "2001:db8::1"});
	assert_int_equal(node_of(&mn)->families, REACH_IP4);
	assert_true(node_of(&mn)->flags & NODE_REACHABLE);
	assert_int_equal(node_of(&cn)->families, REACH_IP4 | REACH_IP6);
	assert_false(node_of(&cn)->flags & NODE_REACHABLE);
	/* the relay must speak with both */
	played_start(&rs);
	both_come(&open_node, &open_node);
	node_of(&cn)->families = REACH_IP6;
	assert_null(direct(0)->relay);
	relay_of(&rs)->families |= REACH_IP6;
	assert_relay(direct(0), &rs);
	assert_relay(cn_route(), &rs);
}

static void move(void **state)
{
	const Ntm__RouteDirection *r;
	const Ntm__Signal *s;
	struct said near = {.reachable = true, .rtt_us = {1000}};
	struct peer eve;
	uint64_t path;

	(void)state;
	played_start(&rs);
	both_come(&near, &near);
	r = direct(0);
	assert_null(r->relay);
	path = r->path_id;
	r = direct(path);
	assert_relay(r, &rs);
	assert_true(r->path_id == path && rs.path_id == path);
	assert_relay(direct(path), &rs); /* there is no other */
	played_start(&rs2);
	near.rtt_us[1] = 90000;
	both_come(&near, &near);
	assert_relay(direct(path), &rs2); /* far, but not the last one */
	assert_relay(cn_route(), &rs2);
	assert_relay(direct(path), &rs);
	assert_relay(direct(path), &rs2);
	assert_relay(direct(path), &rs);
	/* CN moves: the ends of the path stay what they were */
	s = ask(&cn, mn.fqdn, path | 1);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	assert_relay(s->route_direction, &rs2);
	assert_true(s->route_direction->path_id == path);
	assert_string_equal(rs2.accounts[0], "alice");
	assert_string_equal(rs2.accounts[1], "bob");
	/* others may name it: whether it is theirs,
	 * the relay knows (unit-servers-paths), and what they were told is not what
	 * its own nodes are told next */
	peer_new(&eve, &site, "eve");
	assert_int_equal(peer_login(&eve, "alice", SITE_PASSWORD), 0);
	come(&eve, &open_node);
	s = ask(&eve, cn.fqdn, path);
	assert_non_null(s);
	s = ask(&cn, mn.fqdn, path | 1);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	peer_free(&eve);
}

/* a relay that a MOVE cannot use is silent: the direct way alone, as before */
static void move_without(void **state)
{
	uint64_t path;

	(void)state;
	both_come(&open_node, &open_node);
	path = direct(0)->path_id;
	assert_null(direct(path)->relay);
	assert_true(direct(path)->path_id == path);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_unreachable), T(foreign_path),	 T(reachable),
		T(waits_for_both),   T(refused_at_once), T(silent_relay),
		T(another_relay),    T(foreign_ack),	 T(draining_and_silent),
		T(nearest),	     T(families),	 T(move),
		T(move_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
