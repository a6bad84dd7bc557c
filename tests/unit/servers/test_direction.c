/* SPDX-License-Identifier: MIT */
/* test_direction - directions: to whom, when, and why not */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "dc_site.h"

static void direction_good(void **state)
{
	const Ntm__RouteDirection *to_mn, *to_cn;
	const Ntm__Signal *s;
	uint8_t ktun[32];
	uint64_t path_id;
	uint32_t txn;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	txn = s->txn;
	to_mn = s->route_direction;
	to_cn = cn.route_wait->route_direction;
	assert_int_equal(to_mn->role, NTM__TUNNEL_ROLE__ROLE_SEND);
	assert_string_equal(to_mn->peer->fqdn, cn.fqdn);
	assert_string_equal(to_cn->peer->fqdn, mn.fqdn);
	assert_memory_equal(to_mn->peer->ed_pub.data, cn.id.ed_pub, 32);
	assert_int_equal(ntmc_static_verify(to_mn->peer->ed_pub.data,
					    to_mn->peer->x_pub.data,
					    to_mn->peer->x_sig.data),
			 0);
	assert_memory_equal(to_mn->ktun.data, to_cn->ktun.data, 32);
	assert_memory_equal(to_mn->ktmp.data, to_cn->ktmp.data, 32);
	assert_true(to_mn->path_id == to_cn->path_id);
	assert_int_equal(to_mn->path_id & 1, 0);
	assert_int_equal(to_mn->peer->n_addresses, 1);
	assert_int_equal(to_mn->lifetime_s, 60);
	/* a repeated request gets the same keys */
	memcpy(ktun, to_mn->ktun.data, 32);
	path_id = to_mn->path_id;
	mn.txn = txn - 1;
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_true(s->route_direction->path_id == path_id);
	assert_memory_equal(s->route_direction->ktun.data, ktun, 32);
	/* another one gets others; the account's name will do */
	s = peer_direction(&mn, "bob." SITE_DOMAIN);
	assert_non_null(s);
	assert_true(s->route_direction->path_id != path_id);
	assert_string_equal(s->route_direction->peer->fqdn, cn.fqdn);
	/* the other way */
	s = peer_direction(&cn, mn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
}

static void both_ways(void **state)
{
	const Ntm__Signal *s;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	assert_int_equal(s->route_direction->peer->addresses[0]->ip.len,
			 site.dc_addr.sa.sa_family == AF_INET ? 4 : 16);
}

/* CN does not know our key: its own comes, to compare, and no address */
static void assert_key_comes(const Ntm__Signal *s, int code)
{
	assert_int_equal(ack_code(s), code);
	assert_non_null(s->ack->peer);
	assert_string_equal(s->ack->peer->fqdn, cn.fqdn);
	assert_memory_equal(s->ack->peer->ed_pub.data, cn.id.ed_pub,
			    NTMC_KEY_LEN);
	assert_int_equal(s->ack->peer->n_addresses, 0);
}

static void direction_refused(void **state)
{
	const Ntm__Signal *s;
	uint64_t start;

	(void)state;
	peer_register(&mn);
	assert_int_equal(ack_code(peer_direction(&mn, cn.fqdn)), NTM_EOFFLINE);
	assert_int_equal(ack_code(peer_direction(&mn, "bob." SITE_DOMAIN)),
			 NTM_EOFFLINE);
	assert_int_equal(ack_code(peer_direction(&mn, "no.bob." SITE_DOMAIN)),
			 NTM_ENONAME);
	assert_int_equal(ack_code(peer_direction(&mn, "eve." SITE_DOMAIN)),
			 NTM_ENONAME);
	assert_int_equal(ack_code(peer_direction(&mn, mn.fqdn)), NTM_EINVAL);
	peer_register(&cn);
	cn.cn_code = NTM_EPOLICY;
	s = peer_direction(&mn, cn.fqdn);
	assert_int_equal(ack_code(s), NTM_EPOLICY);
	assert_null(s->ack->peer); /* nothing of who is closed to us */
	cn.cn_code = NTM_EPIN;
	assert_key_comes(peer_direction(&mn, cn.fqdn), NTM_EPIN);
	cn.cn_code = NTM_EUNVERIFIED;
	assert_key_comes(peer_direction(&mn, cn.fqdn), NTM_EUNVERIFIED);
	/* a CN that does not answer: four tries, then OFFLINE after a second */
	cn.silent = true;
	cn.n_got = 0;
	start = loop_now_exact(site.loop);
	assert_int_equal(ack_code(peer_direction(&mn, cn.fqdn)), NTM_EOFFLINE);
	assert_in_range(loop_now_exact(site.loop) - start, LOOP_MS(900),
			LOOP_MS(1900));
	assert_int_equal(cn.n_got, 4);
}

static bool cn_asked(void *arg)
{
	(void)arg;
	return cn.n_got >= 2; /* the second of four, after 250 ms */
}

static void direction_repeated_to_cn(void **state)
{
	Ntm__DirectionRequest q = NTM__DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	cn.silent = true;
	cn.n_got = 0;
	q.fqdn = cn.fqdn;
	q.aead = NTMC_AES_256_GCM;
	msg.txn = 500;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &q;
	peer_send(&mn, &msg);
	assert_true(site_wait(&site, cn_asked, NULL));
	cn.silent = false;
	assert_non_null(peer_call(&mn, &msg)); /* and the request itself */
	assert_int_equal(mn.got->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	assert_int_equal(site_dc_number(&site, "directions"), 1);
}

static void direction_rate(void **state)
{
	const Ntm__Signal *s;
	int limited = 0;

	(void)state;
	site.conf.dc_direction_rate = 1;
	site.conf.dc_direction_burst = 3;
	peer_register(&mn);
	for (int i = 0; i < 4; i++) {
		s = peer_direction(&mn, "eve." SITE_DOMAIN);
		if (ack_code(s) != NTM_ELIMIT)
			continue;
		limited++;
		assert_in_range(s->ack->retry_after_ms, 1, 1001);
	}
	assert_int_equal(limited, 1);
}

static void newest_device(void **state)
{
	const Ntm__Signal *s;
	struct peer second;

	(void)state;
	peer_new(&second, &site, "phone");
	assert_int_equal(peer_login(&second, "bob", SITE_PASSWORD), 0);
	peer_register(&mn);
	peer_register(&second);
	s = peer_direction(&mn, "bob." SITE_DOMAIN);
	assert_non_null(s);
	assert_string_equal(s->route_direction->peer->fqdn, second.fqdn);
	site_admin(&site, "device-revoke", second.fqdn);
	assert_true(site_wait(&site, was_withdrawn, &second));
	peer_register(&cn);
	s = peer_direction(&mn, "bob." SITE_DOMAIN);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	assert_string_equal(s->route_direction->peer->fqdn, cn.fqdn);
	peer_free(&second);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(direction_good),
		T(direction_refused),
		T(direction_repeated_to_cn),
		T(direction_rate),
		T(newest_device),
		cmocka_unit_test_setup_teardown(both_ways, setup_ipv6,
						teardown),
		cmocka_unit_test_setup_teardown(both_ways, setup_wildcard,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
