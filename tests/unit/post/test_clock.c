/* SPDX-License-Identifier: MIT */
/*
 * test_clock - a clock that is wrong ends nothing, and wipes no key, until a server of
 * ours has said that it is right
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/inbox.h"
#include "broker/post/outbox.h"
#include "broker/post/prekeys.h"
#include "common/log.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

static void row_is(int64_t id, enum out_state state, bool has_k)
{
	struct store *st = w.mn.post.store;
	uint8_t k[32];

	store_bind_int(st, OUT_GET, 1, id);
	assert_int_equal(store_step(st, OUT_GET), 1);
	assert_int_equal(store_int(st, OUT_GET, 4), state);
	assert_int_equal(store_blob(st, OUT_GET, 5, k, sizeof(k)),
			 has_k ? sizeof(k) : 0);
	store_reset(st, OUT_GET);
}

/* begins again, with a clock that is ahead by @s */
static void start_ahead(int64_t s)
{
	post_close(&w.mn.post);
	clock_wrong(&w.mn, s);
	end_run(&w.mn);
}

static void turns(unsigned int n)
{
	uint64_t next = 0;

	while (n--)
		turn(&next);
	while (outbox_busy(w.mn.post.outbox))
		turn(&next);
}

/* A clock that is months ahead at a start ends nothing, whether servers answer or not;
 * one that is right does. */
static void test_clock_ahead(void **state)
{
	static const int64_t months[] = {40 * DAY, 70 * DAY, 400 * DAY};
	size_t i;

	(void)state;
	nobody_sends();
	send_item(json_pack("{s:s}", "text", "one"));
	outbox_is("waiting", "waiting");
	(void)fault("{\"fail\": 100000}");
	send_item(json_pack("{s:s}", "text", "two"));
	for (i = 0; i < 6; i++) {
		if (i == 3)
			(void)fault("{\"fail\": 0, \"no_prekeys\": true}");
		start_ahead(months[i % 3]);
		turns(20);
		row_is(1, OUT_SENT_ALL, true);
		row_is(2, OUT_OPEN, true);
	}
	(void)fault("{\"no_prekeys\": false}");
	start_ahead(0);
	json_decref(await(&w.mn, "outbox", "waiting"));
	clock_set(&w.mn, 31 * DAY + 600);
	outbox_tidy(w.mn.post.outbox);
	row_is(1, OUT_ENDED, false);
}

/* What is known to have had its time ends after the first answer, without waiting for
 * anything else. */
static void test_clock_known(void **state)
{
	uint64_t next = 0;
	int i;

	(void)state;
	nobody_sends();
	send_item(json_pack("{s:s}", "text", "one"));
	outbox_is("waiting", "waiting");
	(void)fault("{\"fail\": 100000}");
	(void)fault(at("{\"ahead\": %d}", 40 * DAY));
	start_ahead(40 * DAY);
	row_is(1, OUT_SENT_ALL, true);
	(void)fault("{}"); /* an answer */
	for (i = 0; i < 20; i++)
		turn(&next);
	row_is(1, OUT_ENDED, false);
	clock_wrong(&w.mn, 0);
}

/* A receiver whose clock is ahead refuses nothing for good: it takes it when the time
 * is set. */
static void test_clock_receiver(void **state)
{
	uint64_t next = 0;
	json_t *j;

	(void)state;
	nobody_sends();
	send_item(json_pack("{s:s}", "text", "one"));
	json_decref(await(&w.cn, "inbox", "held"));
	clock_wrong(&w.cn, 80 * DAY);
	json_decref(
		ask(&w.cn, json_pack("{s:s, s:i}", "cmd", "fetch", "id", 1)));
	do {
		json_t *old;

		turn(&next);
		old = j = newest(&w.cn, "inbox");
		assert_string_not_equal(text(j, "state"), "refused");
		if (!strcmp(text(j, "error"), "CLOCK"))
			break;
		json_decref(old);
	} while (true);
	json_decref(j);
	clock_wrong(&w.cn, 0);
	inbox_soon(w.cn.post.inbox);
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
}

/* A sender whose clock is ahead does not give up: it sends when the time is set. */
static void test_clock_sender(void **state)
{
	json_t *j;

	(void)state;
	clock_wrong(&w.mn, 50 * DAY);
	send_item(json_pack("{s:s}", "text", "one"));
	do {
		uint64_t next = 0;

		turn(&next);
		j = newest(&w.mn, "outbox");
		assert_string_not_equal(text(j, "state"), "failed");
		assert_string_not_equal(text(j, "state"), "done");
		if (!strcmp(text(j, "error"), "CLOCK"))
			break;
		json_decref(j);
	} while (true);
	json_decref(j);
	clock_wrong(&w.mn, 0);
	outbox_tidy(w.mn.post.outbox);
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
}

static bool prekey_is_there(struct end *e,
			    const uint8_t id[static PREKEY_ID_LEN])
{
	uint8_t pub[NTMC_KEY_LEN];
	struct ntmc_key k;
	int r = prekeys_find(e->post.prekeys, id, &k, pub);

	assert_true(!r || r == -NTM_ENOTFOUND);
	return !r;
}

static void prekey_new(struct end *e, uint8_t n, int64_t not_after)
{
	struct store *st = e->post.store;
	uint8_t b[64] = {n};

	store_bind_blob(st, PREKEY_NEW, 1, b, PREKEY_ID_LEN);
	store_bind_text(st, PREKEY_NEW, 2, e->fqdn);
	store_bind_blob(st, PREKEY_NEW, 3, b, 32);
	store_bind_blob(st, PREKEY_NEW, 4, b, 32);
	store_bind_int(st, PREKEY_NEW, 5, not_after - 35 * DAY);
	store_bind_int(st, PREKEY_NEW, 6, not_after);
	store_bind_blob(st, PREKEY_NEW, 7, b, 64);
	store_bind_blob(st, PREKEY_NEW, 8, b, 1);
	assert_int_equal(store_run(st, PREKEY_NEW), 0);
}

/* The box has taken our newest */
static void prekeys_given(struct end *e)
{
	json_int_t before = servers_count("{}", "puts");

	prekeys_session(e->post.prekeys);
	prekeys_work(e->post.prekeys);
	while (prekeys_busy(e->post.prekeys))
		assert_int_equal(loop_turn(w.loop, true), 0);
	assert_int_equal(servers_count("{}", "puts"), before + 1);
}

/* A prekey that no item can come to any more is wiped, once the box was spoken to; a
 * clock that is years ahead wipes none. */
static void test_prekeys(void **state)
{
	static const uint8_t one[PREKEY_ID_LEN] = {1}, two[PREKEY_ID_LEN] = {2};
	int64_t now = ntmc_now(NULL);

	(void)state;
	prekey_new(&w.cn, 1, now - 31 * DAY);
	prekey_new(&w.cn, 2, now - 29 * DAY);
	/* one that is given to the box by that clock */
	prekey_new(&w.cn, 3, now + 430 * DAY);
	clock_wrong(&w.cn, 400 * DAY);
	prekeys_given(&w.cn);
	assert_true(prekey_is_there(&w.cn, one));
	clock_wrong(&w.cn, 0);
	prekeys_given(&w.cn);
	assert_false(prekey_is_there(&w.cn, one));
	assert_true(prekey_is_there(&w.cn, two));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, ends_open, ends_close)
	const struct CMUnitTest tests[] = {
		TEST(test_clock_ahead),	   TEST(test_clock_known),
		TEST(test_clock_receiver), TEST(test_clock_sender),
		TEST(test_prekeys),
	};

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
