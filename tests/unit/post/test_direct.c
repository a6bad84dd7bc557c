/* SPDX-License-Identifier: MIT */
/* test_direct - items straight from one ntm-post to another, whose worker the test plays */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/post/absent.h"
#include "broker/post/arrival.h"
#include "broker/post/outbox.h"
#include "common/log.h"
#include "tests/unit/post/direct_site.h"
#include "tests/unit/post/disk.h"
#include "tests/unit/post/fixture.h"

static void test_straight(void **state)
{
	json_int_t before = fault("{}");
	json_t *j;

	(void)state;
	send_big(3000000);
	big_here();
	went("direct");
	send_item(json_pack("{s:s, s:s}", "text", "hello", "message",
			    "gr\xc3\xbc\xc3\x9f 100%"));
	j = await(&w.cn, "inbox", "here");
	assert_string_equal(text(j, "message"), "gr\xc3\xbc\xc3\x9f 100%");
	taken(j);
	outbox_is("done", "received");
	went("direct");
	assert_int_equal(fault("{}"), before);
	assert_in_range(r.up, 3000000, 3000000 + 20000);
}

/* "I have it" is said when it is on the disk; see test_order. */
static void test_order(void **state)
{
	json_t *j = NULL;

	(void)state;
	disk_watch(w.cn.state);
	send_big(300000);
	do { /* nobody asks servers meanwhile */
		assert_int_equal(loop_turn(w.loop, true), 0);
		json_decref(j);
		j = newest(&w.cn, "inbox");
	} while (strcmp(text(j, "state"), "here") || !disk.said);
	json_decref(j);
	disk_in_order();
	disk_watch(NULL);
	big_here();
	went("direct");
}

/* The connection breaks, anywhere: it goes on at the very byte. */
static void test_cut(void **state)
{
	static const uint64_t cuts[] = {100000, 100500, 700001, 1999999};
	size_t i;

	(void)state;
	send_big(2000000);
	for (i = 0; i < ARRAY_LEN(cuts); i++) {
		uint64_t next = 0;

		r.cut_up = cuts[i];
		while (r.cut_up != NEVER)
			turn(&next);
	}
	big_here();
	went("direct");
	assert_int_equal(fault("{}"), 0);
	/* four times a header and the keys; of the blob not a byte */
	assert_in_range(r.up, 2000000, 2000000 + 20000);
}

/* What it said last is lost: it says so again, and nothing is sent again. */
static void test_word_lost(void **state)
{
	uint64_t next = 0;
	json_t *j;

	(void)state;
	send_big(2000000);
	while (r.up < 1000000)
		turn(&next);
	r.cut_down = r.down + 250; /* within the answer to the completion */
	j = await(&w.cn, "inbox", "here");
	outbox_is("done", "received");
	went("direct");
	taken(j);
	assert_true(r.cut_down == NEVER);
	assert_in_range(r.up, 2000000, 2000000 + 20000);
}

/* Who could not be reached is not looked for again at once. */
static void test_absent(void **state)
{
	uint64_t next = 0;

	(void)state;
	relay_end();
	send_item(json_pack("{s:s}", "text", "one"));
	while (!absent_is(w.mn.post.absent, CN, loop_now(w.loop)))
		turn(&next);
	outbox_is("done", "received");
	went("server");
	relay_again();
	absent_put(w.mn.post.absent, CN, loop_now(w.loop) + LOOP_S(ABSENT_S));
	send_item(json_pack("{s:s}", "text", "two"));
	outbox_is("done", "received");
	went("server");
	assert_int_equal(r.n_legs, 0);
	while (absent_is(w.mn.post.absent, CN, loop_now(w.loop)))
		turn(&next);
	send_item(json_pack("{s:s}", "text", "three"));
	outbox_is("done", "received");
	went("direct");
}

/* Both ends end in the middle, without a word, and begin again. */
static void test_restart(void **state)
{
	uint64_t next = 0;
	int i, k;

	(void)state;
	send_big(4000000);
	for (i = 0; i < 12; i++) {
		for (k = 0; k < 3 + 4 * i; k++)
			turn(&next);
		post_close(&w.mn.post);
		post_close(&w.cn.post);
		door_end();
		end_run(&w.cn);
		door_make();
		end_run(&w.mn);
	}
	big_here();
	went("direct");
	assert_int_equal(fault("{}"), 0);
}

static void test_not_allowed(void **state)
{
	json_t *j;

	(void)state;
	file_put(at("%s/policy", w.cn.state), "# nobody\n", 9);
	who_load_policy(&w.cn.post.who);
	send_big(1000);
	j = await(&w.cn, "inbox", "held");
	assert_string_equal(text(j, "error"), "POLICY");
	json_decref(j);
	outbox_is("waiting", NULL);
	went("server");
	assert_in_range(r.down, 0, 0); /* not a word */
}

/* Whose address it is nobody knows, or another one's: not read, or not believed. */
static void test_nobody_knows(void **state)
{
	(void)state;
	played.name = NULL;
	send_big(1000);
	big_here();
	went("server");
	assert_int_not_equal(played.asked, 0);
	assert_in_range(r.down, 0, 0);
	played.name = "tablet.mn.example.org"; /* allowed, as its account is */
	send_big(2000);
	big_here();
	went("server");
}

/* A name that is given to another item: what was said of the old one is not believed. */
static void test_name_again(void **state)
{
	json_t *j;

	(void)state;
	send_item(json_pack("{s:s, s:s}", "text", "one", "item", "x"));
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
	went("direct");
	post_close(&w.mn.post);
	unlink(at("%s/post/post.db", w.mn.state));
	unlink(at("%s/post/post.db-wal", w.mn.state));
	unlink(at("%s/post/post.db-shm", w.mn.state));
	end_run(&w.mn);
	send_item(json_pack("{s:s, s:s}", "text", "two", "item", "x"));
	j = await(&w.cn, "inbox", "here");
	file_get(at("%s/tree/text", text(j, "folder")), "two");
	taken(j);
	outbox_is("done", "received");
	went("server");
}

static void test_cancel(void **state)
{
	uint64_t next = 0;
	struct stat st;
	json_t *j;

	(void)state;
	send_big(2000000);
	r.stop_up = 500000;
	while (r.up < r.stop_up)
		turn(&next);
	assert_int_equal(stat(at("%s/post/in.1", w.cn.state), &st), 0);
	j = ask(&w.mn, json_pack("{s:s, s:i}", "cmd", "cancel", "id", 1));
	assert_true(json_is_true(json_object_get(j, "ok")));
	json_decref(j);
	r.stop_up = NEVER;
	outbox_is("cancelled", NULL);
	assert_null(newest(&w.cn, "inbox"));
	assert_int_not_equal(stat(at("%s/post/in.1", w.cn.state), &st), 0);
}

/* how many of MN's items have gone straight */
static size_t straight(void)
{
	json_t *answer = ask(&w.mn, json_pack("{s:s}", "cmd", "outbox")), *j;
	size_t n = 0, i;

	json_array_foreach(json_object_get(answer, "items"), i, j) n +=
		!strcmp(text(j, "state"), "done") &&
		!strcmp(text(json_array_get(json_object_get(j, "to"), 0), "by"),
			"direct");
	json_decref(answer);
	return n;
}

static size_t here(void)
{
	json_t *answer = ask(&w.cn, json_pack("{s:s}", "cmd", "inbox"));
	size_t n = json_array_size(json_object_get(answer, "items"));

	json_decref(answer);
	return n;
}

/* Of many small ones each is a part of a request, on connections that stay; an answer
 * that is lost is asked for again, and nothing is here twice. */
static void test_together(void **state)
{
	uint64_t next = 0;
	char words[32];
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		snprintf(words, sizeof(words), "text %d", i);
		send_item(json_pack("{s:s}", "text", words));
		if (i == 50)
			r.cut_down = r.down + 100;
	}
	while (straight() < 100)
		turn(&next);
	assert_true(r.cut_down == NEVER);
	assert_int_equal(here(), 100);
	assert_int_equal(fault("{}"), 0);
	assert_in_range(r.n_legs, 2, 8);
}

/* so many items from MN, which nobody has taken */
static void rows_fill(int n)
{
	struct store *st = w.cn.post.store;
	char item[16];

	assert_int_equal(store_begin(st), 0);
	while (n--) {
		snprintf(item, sizeof(item), "row-%d", n);
		store_bind_text(st, IN_DIRECT_NEW, 1, MN);
		store_bind_text(st, IN_DIRECT_NEW, 2, "ntm");
		store_bind_text(st, IN_DIRECT_NEW, 3, "text");
		store_bind_text(st, IN_DIRECT_NEW, 4, item);
		store_bind_text(st, IN_DIRECT_NEW, 5, "");
		store_bind_int(st, IN_DIRECT_NEW, 6, 1);
		store_bind_int(st, IN_DIRECT_NEW, 7, post_now(&w.cn.post));
		store_bind_int(st, IN_DIRECT_NEW, 8, INT64_MAX);
		assert_int_equal(store_run(st, IN_DIRECT_NEW), 0);
	}
	assert_int_equal(store_commit(st), 0);
}

static void row_taken(int64_t id)
{
	struct store *st = w.cn.post.store;

	store_bind_int(st, IN_STATE, 1, id);
	store_bind_int(st, IN_STATE, 2, IN_TAKEN);
	store_bind_int(st, IN_STATE, 3, 0);
	store_bind_text(st, IN_STATE, 4, "");
	assert_int_equal(store_run(st, IN_STATE), 0);
}

/* Of one device so many may wait, and no more; what is taken makes room. */
static void test_waiting(void **state)
{
	int i;

	(void)state;
	rows_fill(ARRIVAL_WAITING_MAX - 1);
	send_item(json_pack("{s:s}", "text", "the last one"));
	outbox_is("done", "received");
	went("direct");
	send_item(json_pack("{s:s}", "text", "one too many"));
	outbox_is("done", "received");
	went("server");
	for (i = 1; i <= 10; i++)
		row_taken(i);
	for (i = 0; i < 9; i++) {
		send_item(json_pack("{s:s}", "text", "there is room"));
		outbox_is("done", "received");
		went("direct");
	}
	send_item(json_pack("{s:s}", "text", "and none again"));
	outbox_is("done", "received");
	went("server");
}

/* What is no text is no message here, as it is none at a Cache Server. */
static void test_message(void **state)
{
	const char *to = CN;
	struct outbox_order o = {.ids = {"ntm", "text", "x1"}, .to = &to};
	struct pack_result what;
	int64_t id;

	(void)state;
	o.n_to = 1;
	o.text = "one";
	o.message = "gr\xfc";
	assert_int_equal(outbox_send(w.mn.post.outbox, &o, &id, &what), 0);
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", NULL);
	went("server");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, direct_open, direct_close)
	const struct CMUnitTest tests[] = {
		TEST(test_straight),	 TEST(test_order),
		TEST(test_cut),		 TEST(test_word_lost),
		TEST(test_restart),	 TEST(test_not_allowed),
		TEST(test_nobody_knows), TEST(test_name_again),
		TEST(test_cancel),	 TEST(test_absent),
		TEST(test_together),	 TEST(test_waiting),
		TEST(test_message),
	};

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
