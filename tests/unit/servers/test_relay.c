/* SPDX-License-Identifier: MIT */
/* test_relay - the RS from outside: punching, quotas, what strangers try */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "path_site.h"
#include "servers/rs/paths.h"

static void proven_is_bound_at_once(void **state)
{
	(void)state;
	direct();
	assert_true(end_punch(&mn, false));
	assert_true(mn.bound);
	assert_true(mn.echo && mn.has_cookie);
	assert_false(mn.peer_bound);
	assert_true(addr_equal(&mn.observed, &mn.self));
	/* what is sent at once behind the punch finds the end bound */
	end_send_punch(&cn, false, false, 100);
	end_send(&cn, 300, 5);
	assert_true(end_gets(&mn, 300, 5));
	assert_true(end_take_ack(&cn));
	assert_true(cn.bound && cn.peer_bound);
	end_send(&mn, 1400, 6);
	assert_true(end_gets(&cn, 1400, 6));
	ends_free();
}

/* MN sends @kib KiB to CN. Return: datagrams of 1 KiB that came through so far */
static long long pour(int kib)
{
	long long was = relay_number(&relay, "received");
	uint8_t buf[2048];

	for (int i = 0; i < kib; i++) {
		end_send(&mn, 1024, 7);
		if (i % 32 == 31)
			assert_true(
				relay_counts(&relay, "received", was + i + 1));
	}
	assert_true(relay_counts(&relay, "received", was + kib));
	while (end_receive(&cn, buf, 20)) /* what came is in nobody's way */
		;
	return relay_number(&relay, "forwarded");
}

/* Who says it is at an address that the DC has proven gets little there before a cookie
 * came back, whatever it does; and so does who has not shown for long that it is. */
static void unsure_gets_little(void **state)
{
	const long long credit = PATHS_CREDIT / 1024;

	(void)state;
	direct();
	end_bind(&mn);
	assert_true(end_punch(&cn, false) && cn.bound && cn.echo);
	assert_int_equal(pour((int)credit + 72), credit);
	assert_int_equal(relay_number(&relay, "over_credit"), 72);
	/* neither another punch nor another port nor the same keys again help */
	assert_true(end_punch(&cn, false) && cn.bound && cn.echo);
	assert_int_equal(pour(32), credit);
	end_move(&cn);
	assert_true(end_punch(&cn, false) && cn.bound && cn.echo);
	assert_int_equal(pour(32), credit);
	assert_int_equal(relay_direct(&relay, PATH_ID, &kpunch, "127.0.0.1",
				      "127.0.0.1"),
			 0);
	assert_int_equal(pour(32), credit);
	/* the cookie does */
	assert_true(end_punch(&cn, true) && cn.bound && !cn.echo);
	assert_int_equal(pour(320), credit + 320);
	/* for as long as it is brought back */
	for (int i = 0; i < 5; i++) {
		relay_later(&relay, 20);
		assert_true(end_punch(&mn, true));
		assert_true(end_punch(&cn, true) && !cn.echo);
	}
	assert_int_equal(pour(320), credit + 640);
	for (int i = 0; i < 4; i++) {
		relay_later(&relay, 20);
		assert_true(end_punch(&mn, true));
		assert_true(end_punch(&cn, false) && cn.bound);
	}
	assert_true(cn.echo);
	assert_int_equal(pour((int)credit + 192), 2 * credit + 640);
	ends_free();
}

static void unproven_needs_the_cookie(void **state)
{
	(void)state;
	ntmc_key_random(NULL, &kpunch);
	assert_int_equal(relay_direct(&relay, PATH_ID, &kpunch, "127.0.0.1",
				      "192.0.2.1"),
			 0);
	end_new(&mn, &relay, AF_INET, PATH_ID, &kpunch);
	end_new(&cn, &relay, AF_INET, PATH_ID | 1, &kpunch);
	end_bind(&mn);
	assert_true(end_punch(&cn, false));
	assert_false(cn.bound);
	assert_true(cn.has_cookie);
	end_send(&mn, 100, 1);
	end_gets_nothing(&cn, "unbound", 1);
	end_send(&cn, 100, 1);
	end_gets_nothing(&mn, "wrong_source", 1);
	/* the cookie is of that address */
	end_move(&cn);
	assert_true(end_punch(&cn, true));
	assert_false(cn.bound);
	/* and of that time */
	relay_later(&relay, 31);
	assert_true(end_punch(&cn, true));
	assert_false(cn.bound);
	assert_true(end_punch(&cn, true));
	assert_true(cn.bound);
	end_send(&mn, 100, 2);
	assert_true(end_gets(&cn, 100, 2));
	ends_free();
}

static void no_more_out_than_in(void **state)
{
	(void)state;
	direct();
	/* a punch shorter than its answer is not answered */
	end_send_punch(&mn, false, false, 0);
	end_gets_nothing(&mn, "short_punch", 1);
	for (size_t padding = 0; padding < 100; padding++) {
		long long n = relay_number(&relay, "short_punch");
		long long answered = relay_number(&relay, "sent");

		end_send_punch(&mn, false, false, padding);
		while (relay_number(&relay, "short_punch") == n &&
		       relay_number(&relay, "sent") == answered)
			assert_int_equal(loop_turn(relay.loop, false), 0);
		if (relay_number(&relay, "short_punch") == n) {
			assert_true(end_take_ack(&mn));
			assert_true(mn.ack_len <= mn.punch_len);
		}
	}
	assert_true(end_punch(&mn, false)); /* the large ones were answered */
	ends_free();
}

static void replayed_punch(void **state)
{
	struct end other;

	(void)state;
	direct_and_bind();
	end_new(&other, &relay, AF_INET, PATH_ID, &kpunch);
	assert_int_equal(send(other.fd, mn.punch, mn.punch_len, 0),
			 mn.punch_len);
	end_gets_nothing(&other, "old_punch", 1);
	/* nor when the same keys are directed again: an answer was lost */
	assert_int_equal(relay_direct(&relay, PATH_ID, &kpunch, "127.0.0.1",
				      "127.0.0.1"),
			 0);
	assert_int_equal(send(other.fd, mn.punch, mn.punch_len, 0),
			 mn.punch_len);
	end_gets_nothing(&other, "old_punch", 2);
	/* an older one, too */
	mn.sent_ms -= 5;
	end_send_punch(&mn, false, false, 100);
	end_gets_nothing(&mn, "old_punch", 3);
	end_send(&cn, 100, 1);
	assert_true(end_gets(&mn, 100, 1));
	end_free(&other);
	ends_free();
}

static void forged_punch(void **state)
{
	struct ntmc_key wrong;
	struct end thief;

	(void)state;
	direct_and_bind();
	ntmc_key_random(NULL, &wrong);
	end_new(&thief, &relay, AF_INET, PATH_ID, &wrong);
	end_send_punch(&thief, false, false, 100);
	end_gets_nothing(&thief, "bad_punch", 1);
	end_free(&thief);
	/* CN's keys do not open MN's end */
	end_new(&thief, &relay, AF_INET, PATH_ID | 1, &kpunch);
	thief.id = PATH_ID;
	end_send_punch(&thief, false, false, 100);
	end_gets_nothing(&thief, "bad_punch", 2);
	end_free(&thief);
	/* a path that nobody directed */
	end_new(&thief, &relay, AF_INET, OTHER, &kpunch);
	end_send_punch(&thief, false, false, 100);
	end_gets_nothing(&thief, "unknown_path", 1);
	end_free(&thief);
	end_send(&cn, 100, 1);
	assert_true(end_gets(&mn, 100, 1));
	ends_free();
}

static void end_follows(void **state)
{
	(void)state;
	direct_and_bind();
	end_move(&mn);
	end_send(&mn, 100, 1);
	end_gets_nothing(&cn, "wrong_source", 1);
	assert_true(end_punch(&mn, false));
	assert_true(mn.bound && mn.peer_bound);
	end_send(&mn, 100, 2);
	assert_true(end_gets(&cn, 100, 2));
	end_send(&cn, 100, 3);
	assert_true(end_gets(&mn, 100, 3));
	ends_free();
}

static void end_leaves(void **state)
{
	(void)state;
	direct_and_bind();
	end_send_punch(&mn, false, true, 100);
	assert_true(end_take_ack(&mn));
	assert_false(mn.bound);
	assert_false(mn.has_cookie);
	end_send(&cn, 100, 1);
	end_gets_nothing(&mn, "unbound", 1);
	end_send(&mn, 100, 1);
	end_gets_nothing(&cn, "wrong_source", 1);
	ends_free();
}

static void end_forgotten(void **state)
{
	(void)state;
	direct_and_bind();
	for (int i = 0; i < 3; i++) {
		relay_later(&relay, 20);
		assert_true(end_punch(&mn, false));
		assert_true(mn.bound);
	}
	assert_false(mn.peer_bound);
	end_send(&mn, 100, 1);
	end_gets_nothing(&cn, "unbound", 1);
	assert_int_equal(relay_number(&relay, "paths"), 1);
	relay_later(&relay, 61);
	assert_int_equal(relay_number(&relay, "paths"), 0);
	end_send(&mn, 100, 1);
	end_gets_nothing(&cn, "unknown_path", 1);
	ends_free();
}

static void keys_replaced(void **state)
{
	struct ntmc_key fresh;
	struct end old;

	(void)state;
	direct_and_bind();
	ntmc_key_random(NULL, &fresh);
	assert_int_equal(
		relay_direct(&relay, PATH_ID, &fresh, "127.0.0.1", "127.0.0.1"),
		0);
	assert_int_equal(relay_number(&relay, "paths"), 1);
	end_send(&mn, 100, 1);
	assert_true(end_gets(&cn, 100, 1));
	old = mn;
	end_send_punch(&old, false, false, 100);
	end_gets_nothing(&old, "bad_punch", 1);
	assert_int_equal(datagram_punch_keys(&fresh, PATH_ID, NTMC_AES_256_GCM,
					     &mn.keys),
			 0);
	mn.sent_ms = 1; /* a clock that was put back counts from here */
	assert_true(end_punch(&mn, false));
	assert_true(mn.bound && mn.peer_bound);
	ends_free();
}

static void accounts_withdrawn(void **state)
{
	Ntm__RelayWithdraw w = NTM__RELAY_WITHDRAW__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	char *names[] = {(char *)"nobody", (char *)"bob"};

	(void)state;
	direct_and_bind();
	w.n_accounts = 1;
	w.accounts = names;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_WITHDRAW;
	msg.relay_withdraw = &w;
	assert_int_equal(relay_tell(&relay, &msg), 0);
	assert_int_equal(relay_number(&relay, "paths"), 1);
	w.n_accounts = 2;
	assert_int_equal(relay_tell(&relay, &msg), 0);
	assert_int_equal(relay_number(&relay, "paths"), 0);
	end_send(&mn, 100, 1);
	end_gets_nothing(&cn, "unknown_path", 1);
	ends_free();
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(proven_is_bound_at_once),
		T(unsure_gets_little),
		T(unproven_needs_the_cookie),
		T(no_more_out_than_in),
		T(replayed_punch),
		T(forged_punch),
		T(end_follows),
		T(end_leaves),
		T(end_forgotten),
		T(keys_replaced),
		T(accounts_withdrawn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
