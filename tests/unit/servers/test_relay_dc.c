/* SPDX-License-Identifier: MIT */
/* test_relay_dc - the RS and its DC: registration, keys, directions, quotas, drain */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay.h"

#define PATH_ID UINT64_C(0x1122334455667788)
#define OTHER	UINT64_C(0x99aabbccddeeff00)

static struct relay relay;
static struct ntmc_key kpunch;
static struct end mn, cn;

static void direct_and_bind(void)
{
	relay_pair(&relay, PATH_ID, &kpunch, &mn, &cn, true);
}

static void ends_free(void)
{
	end_free(&mn);
	end_free(&cn);
}

static int setup(void **state)
{
	(void)state;
	relay_new(&relay);
	relay_start(&relay);
	return 0;
}

/* a small daily amount, and a rate */
static int setup_quota(void **state)
{
	(void)state;
	relay_new(&relay);
	relay.conf.rs_account_day = 1 << 20;
	relay_start(&relay);
	return 0;
}

static int setup_rate(void **state)
{
	(void)state;
	relay_new(&relay);
	relay.conf.rs_account_rate = 1000;
	relay_start(&relay);
	return 0;
}

/* a DC of two addresses, at the first of which nobody listens */
static int setup_ways(void **state)
{
	char text[64];

	(void)state;
	relay_new(&relay);
	snprintf(text, sizeof(text), "[::1]:%s|%s",
		 strchr(relay.dc_text, ':') + 1, relay.dc_text);
	free(relay.conf.rs_dc);
	relay.conf.rs_dc = strdup(text);
	relay_start(&relay);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	relay_free(&relay);
	return 0;
}

/* --- registration ------------------------------------------------------------------ */

static void registers(void **state)
{
	const Ntm__RelayRegistration *q;
	unsigned int n = relay.n_registrations;
	struct addr a;

	(void)state;
	q = relay.registration->relay_registration;
	assert_int_equal(relay.key_code, 0);
	assert_true(addr_equal(&relay.rs_from, &relay.at4));
	assert_int_equal(q->n_addresses, 2);
	assert_int_equal(addr_from_message(q->addresses[0], &a), 0);
	assert_true(addr_equal(&a, &relay.at4));
	assert_int_equal(addr_from_message(q->addresses[1], &a), 0);
	assert_true(addr_equal(&a, &relay.at6));
	assert_int_equal(q->draining, 0);
	relay_later(&relay, 5);
	assert_true(relay.n_registrations > n);
}

static bool is_new_link(void *arg)
{
	unsigned int *n = arg;

	return relay.n_links > *n && relay.key_acked;
}

static void second_address(void **state)
{
	unsigned int n = relay.n_links;

	(void)state;
	assert_int_equal(relay_number(&relay, "links"), 1);
	assert_int_equal(relay_direct(&relay, OTHER, &kpunch, NULL, NULL), 0);
	channel_close(relay.link);
	relay_later(&relay, 5);
	assert_true(relay_wait(&relay, is_new_link, &n));
	assert_int_equal(relay_direct(&relay, OTHER, &kpunch, NULL, NULL), 0);
}

static void link_returns(void **state)
{
	unsigned int n = relay.n_links;

	(void)state;
	direct_and_bind();
	channel_close(relay.link);
	relay_later(&relay, 5);
	assert_true(relay_wait(&relay, is_new_link, &n));
	end_send(&mn, 100, 7);
	assert_true(end_gets(&cn, 100, 7));
	assert_int_equal(relay_direct(&relay, OTHER, &kpunch, NULL, NULL), 0);
	ends_free();
}

/* a withdrawal sealed under a key that is not the newest */
static void withdraw_under(uint64_t id, const struct ntmc_key *key)
{
	struct packet_header h = {
		.type = PACKET_SIGNAL, .id = id, .counter = 1000};
	Ntm__RelayWithdraw w = NTM__RELAY_WITHDRAW__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	char *names[] = {(char *)"alice"};
	uint8_t buf[PACKET_SIGNAL_MAX];
	int len;

	w.n_accounts = 1;
	w.accounts = names;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_WITHDRAW;
	msg.relay_withdraw = &w;
	len = datagram_seal(&h, NTMC_AES_256_GCM, key, &msg.base, buf);
	assert_true(len > 0);
	assert_int_equal(sendto(relay.fd, buf, (size_t)len, 0, &relay.at4.sa,
				addr_len(&relay.at4)),
			 len);
}

/* at half of its life; what comes under the one before is still heard */
static void key_renewed(void **state)
{
	struct datagram_keys old = relay.keys;
	uint64_t old_id = relay.id;
	unsigned int n = 0;

	(void)state;
	relay_share_key(&relay);
	assert_true(relay_wait(&relay, is_new_link, &n));
	assert_int_equal(relay.key_code, 0);
	ntmc_key_random(NULL, &kpunch);
	assert_int_equal(relay_direct(&relay, PATH_ID, &kpunch, NULL, NULL), 0);
	withdraw_under(old_id, &old.down);
	assert_true(relay_counts(&relay, "withdrawals", 1));
	/* the one before that is forgotten */
	relay_share_key(&relay);
	assert_true(relay_wait(&relay, is_new_link, &n));
	assert_int_equal(relay_direct(&relay, PATH_ID, &kpunch, NULL, NULL), 0);
	withdraw_under(old_id, &old.down);
	assert_true(relay_counts(&relay, "malformed", 1));
	assert_int_equal(relay_number(&relay, "paths"), 1);
}

/* shown by a new link; the paths stay */
static void certificate_renewed(void **state)
{
	char key[128], cert[128];
	struct ntmc_ca *ca;
	unsigned int n = relay.n_links;
	int64_t later = ntmc_now(NULL) + 10; /* another end */

	(void)state;
	direct_and_bind();
	snprintf(key, sizeof(key), "%s/as/ca.key", relay.dir);
	snprintf(cert, sizeof(cert), "%s/as/ca.pem", relay.dir);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ntmc_ca_load(key, cert, &ca), 0);
		assert_int_equal(servercert_renew(relay.dir, ca, "example.org",
						  later + i, true, NULL),
				 0);
		ntmc_ca_free(ca);
		relay.key_acked = false;
		n = relay.n_links;
		/* an hour, and the ends want their punches meanwhile */
		for (int k = 0; k < 3600 / 50 + 2; k++) {
			relay_later(&relay, 50);
			assert_true(end_punch(&mn, false) && mn.bound);
			assert_true(end_punch(&cn, false) && cn.bound);
		}
		assert_true(relay_wait(&relay, is_new_link, &n));
	}
	end_send(&mn, 100, 1);
	assert_true(end_gets(&cn, 100, 1));
	assert_int_equal(relay_number(&relay, "paths"), 1);
	assert_true(relay_counts(&relay, "links_up", 1));
	ends_free();
}

static bool is_second_link(void *arg)
{
	(void)arg;
	return relay.n_links >= 2;
}

static void silent_dc_is_left(void **state)
{
	(void)state;
	relay.deaf = true;
	for (int i = 0; i < 9; i++)
		relay_later(&relay, 5);
	relay.deaf = false;
	relay.offset_ns += LOOP_S(5);
	assert_true(relay_wait(&relay, is_second_link, NULL));
	relay_later(&relay, 5);
	assert_true(relay_counts(&relay, "links_up", 1));
}

static void forged_signal(void **state)
{
	struct packet_header h = {.type = PACKET_SIGNAL, .id = relay.id};
	uint8_t buf[100] = {0};

	(void)state;
	direct_and_bind();
	packet_header_put(&h, buf); /* the right id, which every node knows */
	assert_int_equal(send(mn.fd, buf, sizeof(buf), 0), sizeof(buf));
	h.id ^= 2;
	packet_header_put(&h, buf);
	assert_int_equal(send(mn.fd, buf, sizeof(buf), 0), sizeof(buf));
	assert_true(relay_counts(&relay, "malformed", 2));
	assert_int_equal(relay_direct(&relay, OTHER, &kpunch, NULL, NULL), 0);
	assert_int_equal(relay_number(&relay, "paths"), 2);
	ends_free();
}

static void bad_direction(void **state)
{
	Ntm__RelayDirection d = NTM__RELAY_DIRECTION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__RelayEnd e = NTM__RELAY_END__INIT;
	uint8_t seven[7] = {1};

	(void)state;
	ntmc_key_random(NULL, &kpunch);
	e.proven = (ProtobufCBinaryData){sizeof(seven), seven};
	d.path_id = PATH_ID;
	d.kpunch = (ProtobufCBinaryData){NTMC_KEY_LEN, kpunch.b};
	d.aead = NTMC_AES_256_GCM;
	d.mn = d.cn = &e;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_DIRECTION;
	msg.relay_direction = &d;
	assert_int_equal(relay_tell(&relay, &msg), NTM_EINVAL);
	assert_int_equal(relay_direct(&relay, 0, &kpunch, NULL, NULL),
			 NTM_EINVAL);
	assert_int_equal(relay_number(&relay, "paths"), 0);
}

static void table_full(void **state)
{
	(void)state;
	ntmc_key_random(NULL, &kpunch);
	for (uint64_t i = 1; i <= 64; i++)
		assert_int_equal(
			relay_direct(&relay, i << 8, &kpunch, NULL, NULL), 0);
	assert_int_equal(relay_direct(&relay, PATH_ID, &kpunch, NULL, NULL),
			 NTM_ELIMIT);
	assert_int_equal(relay_number(&relay, "paths"), 64);
	relay_later(&relay, 61);
	assert_int_equal(relay_number(&relay, "paths"), 0);
	assert_int_equal(relay_direct(&relay, PATH_ID, &kpunch, NULL, NULL), 0);
	assert_true(relay_number(&relay, "path_bytes") <= 1024);
}

static void left_unbound(void **state)
{
	uint64_t i;

	(void)state;
	relay_stop(&relay);
	relay.conf.rs_paths = 1000;
	relay_start(&relay);
	ntmc_key_random(NULL, &kpunch);
	for (i = 1; i <= 64; i++)
		assert_int_equal(
			relay_direct(&relay, i << 8, &kpunch, NULL, NULL), 0);
	/* no more of those that nobody comes to; what is known stays in use */
	assert_int_equal(relay_direct(&relay, i << 8, &kpunch, NULL, NULL),
			 NTM_ELIMIT);
	assert_int_equal(relay_number(&relay, "idle_refused"), 1);
	assert_int_equal(relay_direct(&relay, 1 << 8, &kpunch, NULL, NULL), 0);
	/* one that is used counts no more */
	end_new(&mn, &relay, AF_INET, 1 << 8, &kpunch);
	end_bind(&mn);
	relay_later(&relay, 5);
	assert_int_equal(relay_direct(&relay, i << 8, &kpunch, NULL, NULL), 0);
	assert_int_equal(relay_direct(&relay, ++i << 8, &kpunch, NULL, NULL),
			 NTM_ELIMIT);
	/* nor those that are over */
	relay_later(&relay, 61);
	for (i = 1; i <= 64; i++)
		assert_int_equal(
			relay_direct(&relay, i << 16, &kpunch, NULL, NULL), 0);
	end_free(&mn);
}

/* --- quotas ---------------------------------------------------------------------------- */

static void daily_amount(void **state)
{
	long long sent = 0;

	(void)state;
	direct_and_bind();
	while (sent < 1 << 20) {
		end_send(&mn, 1024, 1);
		sent += 1024;
		assert_true(end_gets(&cn, 1024, 1));
	}
	end_send(&mn, 1024, 1);
	end_gets_nothing(&cn, "over_day", 1);
	assert_true(end_punch(&mn, false));
	assert_int_equal(mn.code, NTM_ELIMIT);
	assert_false(mn.bound);
	/* the other end has an account of its own */
	assert_true(end_punch(&cn, false));
	assert_int_equal(cn.code, 0);
	/* and hears why nothing comes */
	assert_int_equal(cn.peer_code, NTM_ELIMIT);
	assert_false(cn.peer_bound);
	relay_later(&relay, 86400);
	direct_and_bind();
	end_send(&mn, 1024, 2);
	assert_true(end_gets(&cn, 1024, 2));
	ends_free();
}

static void rate(void **state)
{
	long long passed;

	(void)state;
	direct_and_bind();
	for (int i = 0; i < 200; i++)
		end_send(&mn, 1000, 1);
	assert_true(relay_counts(&relay, "over_rate", 60));
	assert_true(relay_counts(&relay, "received", 204));
	passed = relay_number(&relay, "forwarded");
	/* 128 KiB at once; 1000 bytes a second do not add much */
	assert_in_range(passed, 131, 135);
	assert_int_equal(relay_number(&relay, "over_rate"), 200 - passed);
	ends_free();
}

/* --- the rest ---------------------------------------------------------------------------- */

static bool is_draining(void *arg)
{
	bool *want = arg;

	return relay.registration->relay_registration->draining == *want;
}

static void drains(void **state)
{
	bool yes = true, no = false;

	(void)state;
	direct_and_bind();
	json_decref(rs_admin(relay.rs, "drain", NULL));
	assert_true(relay_wait(&relay, is_draining, &yes));
	assert_int_equal(relay_direct(&relay, OTHER, &kpunch, NULL, NULL),
			 NTM_EAGAIN);
	assert_int_equal(relay_direct(&relay, PATH_ID, &kpunch, "127.0.0.1",
				      "127.0.0.1"),
			 0);
	end_send(&mn, 100, 1);
	assert_true(end_gets(&cn, 100, 1));
	/* a maintenance begins with a restart, perhaps */
	relay_stop(&relay);
	relay_start(&relay);
	assert_true(relay_wait(&relay, is_draining, &yes));
	json_decref(rs_admin(relay.rs, "undrain", NULL));
	assert_true(relay_wait(&relay, is_draining, &no));
	assert_int_equal(relay_direct(&relay, OTHER, &kpunch, NULL, NULL), 0);
	assert_null(rs_admin(relay.rs, "dance", NULL));
	ends_free();
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(registers),
		T(link_returns),
		T(key_renewed),
		T(certificate_renewed),
		T(silent_dc_is_left),
		T(forged_signal),
		T(bad_direction),
		T(table_full),
		T(drains),
		T(left_unbound),
		cmocka_unit_test_setup_teardown(second_address, setup_ways,
						teardown),
		cmocka_unit_test_setup_teardown(daily_amount, setup_quota,
						teardown),
		cmocka_unit_test_setup_teardown(rate, setup_rate, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
