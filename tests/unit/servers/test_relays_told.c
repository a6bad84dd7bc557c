/* SPDX-License-Identifier: MIT */
/* test_relays_told - what nodes are told of relays, and relays of withdrawals */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay_site.h"

static const struct said natted;

static void relays_named(void **state)
{
	const Ntm__RegistrationResponse *r;

	(void)state;
	assert_int_equal(come(&mn, &natted)->n_relays, 0);
	played_start(&rs);
	r = come(&mn, &natted);
	assert_int_equal(r->n_relays, 1);
	assert_true(r->relays[0]->id == rs.now.id);
	assert_int_equal(r->relays[0]->n_addresses, 1);
	played_start(&rs2);
	assert_int_equal(come(&mn, &natted)->n_relays, 2);
	assert_int_equal(node_of(&mn)->mapping,
			 NTM__NAT_MAPPING__MAPPING_DEPENDENT);
	assert_int_equal(site_dc_number(&site, "mapping_dependent"), 1);
	rs.draining = true;
	assert_true(played_register(&rs));
	r = come(&mn, &natted);
	assert_int_equal(r->n_relays, 1);
	assert_true(r->relays[0]->id == rs2.now.id);
	relay_of(&rs2)->heard -= LOOP_S(16);
	assert_int_equal(come(&mn, &natted)->n_relays, 0);
}

/* as many as there may be, as long as they may be: it fits into a datagram */
static void all_relays_fit(void **state)
{
	const Ntm__RegistrationResponse *r;

	(void)state;
	played_start(&rs);
	for (int i = 1; i < RELAYS_MAX; i++) {
		struct relay *x = &site.dc->relays->list[i];

		*x = *relay_of(&rs);
		x->number = (uint16_t)(100 + i);
		x->channel = NULL;
		x->keys[x->key].id = UINT64_MAX - (uint64_t)i;
	}
	for (int i = 0; i < RELAYS_MAX; i++) {
		struct relay *x = &site.dc->relays->list[i];

		for (int k = 0; k < RELAY_ADDRESSES_MAX; k++)
			assert_int_equal(addr_parse("[2001:db8:ffff:ffff:ffff:"
						    "ffff:ffff:ffff]:65535",
						    0, &x->addrs[k]),
					 0);
		x->n_addrs = RELAY_ADDRESSES_MAX;
		x->families = REACH_IP4 | REACH_IP6;
	}
	r = come(&mn, &natted);
	assert_int_equal(r->n_relays, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(r->relays[i]->n_addresses, 4);
		for (size_t k = 0; k < i; k++)
			assert_true(r->relays[i]->id != r->relays[k]->id);
	}
	memset(&site.dc->relays->list[1], 0,
	       (RELAYS_MAX - 1) * sizeof(struct relay));
}

/* who registered before the relay came is made to ask, once */
static void nudge(void **state)
{
	const Ntm__Signal *s;

	(void)state;
	come(&mn, &natted);
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
	played_start(&rs);
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	assert_int_equal(s->registration_response->challenge.len, 16);
	assert_int_equal(s->registration_response->n_relays, 0);
	assert_int_equal(come(&mn, &natted)->n_relays, 1);
	assert_true(played_register(&rs)); /* no news */
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
	/* not all nodes at once */
	played_start(&rs2);
	site.dc->relays->nudged_s = dc_now_s(site.dc);
	site.dc->relays->nudges = RELAY_NUDGES_S;
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	if (site.dc->relays->nudged_s == dc_now_s(site.dc) &&
	    site.dc->relays->nudges > RELAY_NUDGES_S)
		assert_int_equal(s->body_case,
				 NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
}

/* Own and observed alike: over IPv4 that is enough, over IPv6 a firewall looks so, too. */
static void firewall6(void **state)
{
	Ntm__RegistrationRequest q = NTM__REGISTRATION_REQUEST__INIT;
	struct node n;
	struct addr at;
	size_t len;

	(void)state;
	for (int i = 0; i < 4; i++) {
		memset(&n, 0, sizeof(n));
		assert_int_equal(
			addr_parse(i < 2 ? "[2001:db8::5]:7" : "192.0.2.5:7", 0,
				   &at),
			0);
		if (i < 2) {
			memcpy(n.at.ip, addr_ip(&at, &len), 16);
		} else {
			n.at.ip[10] = n.at.ip[11] = 0xff;
			memcpy(n.at.ip + 12, addr_ip(&at, &len), 4);
		}
		n.at.port = 7;
		memcpy(n.addrs[0].ip, n.at.ip, 16);
		n.addrs[0].port = 7;
		n.n_addrs = 1;
		q.unasked = i % 2;
		reach_note(site.dc, &n, &q);
		assert_int_equal(n.flags & NODE_REACHABLE,
				 i ? NODE_REACHABLE : 0);
	}
}

/* A relay that changes its addresses all the time does not keep every node busy. */
static void restless(void **state)
{
	uint8_t was;

	(void)state;
	played_start(&rs);
	was = site.dc->relays_change;
	for (int i = 0; i < 10; i++) {
		rs.address = i % 2 ? "192.0.2.77" : "192.0.2.78";
		assert_true(played_register(&rs));
	}
	assert_int_equal(site.dc->relays_change, was);
	/* a minute later they hear of it, once */
	relays_sweep(site.dc, loop_now(site.loop) + LOOP_S(RELAY_TELL_S));
	assert_int_equal(site.dc->relays_change, was + 1);
	relays_sweep(site.dc, loop_now(site.loop) + LOOP_S(RELAY_TELL_S));
	assert_int_equal(site.dc->relays_change, was + 1);
}

/* --- withdrawals ------------------------------------------------------------------------- */

static bool both_told(void *arg)
{
	(void)arg;
	return rs.n_withdrawn && rs2.n_withdrawn;
}

static bool all_acked(void *arg)
{
	(void)arg;
	return !relay_of(&rs)->telling && !relay_of(&rs2)->telling;
}

static void withdraw(void **state)
{
	struct peer second;
	char name[16];

	(void)state;
	played_start(&rs);
	played_start(&rs2);
	peer_new(&second, &site, "phone");
	assert_int_equal(peer_login(&second, "bob", SITE_PASSWORD), 0);
	both_come(&natted, &natted);
	come(&second, &natted);
	site_admin(&site, "account-disable", "bob");
	assert_true(site_wait(&site, both_told, NULL));
	assert_int_equal(rs.n_withdrawn, 1); /* once for both devices */
	assert_string_equal(rs.withdrawn[0], "bob");
	assert_string_equal(rs2.withdrawn[0], "bob");
	peer_free(&second);
	/* again until it is acknowledged, and the others behind it */
	rs.deaf = true;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		relays_withdraw(site.dc, name);
	}
	assert_true(played_wait(&rs2, &rs2.n_withdrawn, 21));
	assert_int_equal(rs.n_withdrawn, 9);
	rs.deaf = false;
	assert_true(played_wait(&rs, &rs.n_withdrawn, 21));
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		assert_string_equal(rs.withdrawn[i + 1], name);
	}
	assert_true(site_wait(&site, all_acked, NULL));
}

/* one that was away hears of it when it is back, and one that was not here */
static void withdraw_later(void **state)
{
	(void)state;
	played_start(&rs);
	relay_of(&rs)->heard -= LOOP_S(16);
	relays_withdraw(site.dc, "bob");
	played_start(&rs2);
	assert_int_equal(loop_turn(site.loop, false), 0);
	assert_int_equal(rs.n_withdrawn, 0);
	assert_true(played_register(&rs));
	assert_true(played_wait(&rs, &rs.n_withdrawn, 1));
	assert_string_equal(rs.withdrawn[0], "bob");
	assert_true(played_wait(&rs2, &rs2.n_withdrawn, 1));
	assert_string_equal(rs2.withdrawn[0], "bob");
	/* more than there is room for: the newest are kept */
	relay_of(&rs)->heard -= LOOP_S(16);
	for (int i = 0; i < RELAY_WITHDRAWN_MAX + 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "a%d", i);
		relays_withdraw(site.dc, name);
	}
	assert_true(played_register(&rs));
	assert_true(played_wait(&rs, &rs.n_withdrawn, 2));
	assert_string_equal(rs.withdrawn[1], "a10");
}

static bool disabled(void *arg)
{
	(void)arg;
	return cn.n_withdraw;
}

/* what the last process did not tell */
static void withdraw_restarted(void **state)
{
	(void)state;
	come(&cn, &natted);
	site_admin(&site, "account-disable", "bob");
	assert_true(site_wait(&site, disabled, NULL));
	site_stop_dc(&site);
	site_start_dc(&site);
	played_start(&rs);
	assert_true(played_wait(&rs, &rs.n_withdrawn, 1));
	assert_string_equal(rs.withdrawn[0], "bob");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(relays_named),   T(all_relays_fit),	  T(nudge),
		T(restless),	   T(firewall6),	  T(withdraw),
		T(withdraw_later), T(withdraw_restarted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
