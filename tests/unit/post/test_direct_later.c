/* SPDX-License-Identifier: MIT */
/*
 * test_direct_later - an item goes on by the Cache Server where the straight way ends, and
 * straight where its receiver comes online meanwhile
 */
#include <signal.h>
#include <stdlib.h>

#include "broker/post/outbox_impl.h"
#include "common/log.h"
#include "tests/unit/post/direct_site.h"
#include "tests/unit/post/fixture.h"

/* Nobody gets through any more: by the Cache Server, and from there the rest alone. */
static void test_fall_back(void **state)
{
	uint64_t next = 0;

	(void)state;
	send_big(2000000);
	r.cut_up = 1200000;
	while (r.cut_up != NEVER)
		turn(&next);
	r.closed = true;
	big_here();
	went("server");
	assert_in_range(fault("{}"), 2000000, 2000000 + 800000 + 65552 + 4096);
}

/* The Cache Server hears that it may forget its part. */
static void forgotten(void)
{
	uint64_t next = 0, end = loop_now_exact(w.loop) + LOOP_S(10);

	while (servers_count("{}", "cancelled") != 1) {
		assert_true(loop_now_exact(w.loop) < end);
		turn(&next);
	}
}

/* until it has @bytes of the blob */
static void server_gets(json_int_t bytes)
{
	uint64_t next = 0;

	while (fault("{}") < bytes)
		turn(&next);
}

/* The Cache Server has its key and some of it, and is gone: who is online by the next try
 * gets it straight, and that server is told to forget its part. */
static void test_back(void **state)
{
	(void)state;
	r.closed = true;
	fault("{\"cut\": 500000}");
	send_big(2000000);
	server_gets(500000);
	r.closed = false;
	big_here();
	went("direct");
	assert_int_equal(fault("{}"), 500000);
	forgotten();
}

/* Of several who have a key there all get it there, and it stays one item. */
static void test_several(void **state)
{
	(void)state;
	r.closed = true;
	fault("{\"cut\": 500000}");
	file_fill(at("%s/big", w.dir), 2000000, 9);
	send_item(json_pack("{s:[s], s:[s, s]}", "files", at("%s/big", w.dir),
			    "to", CN, MN));
	server_gets(500000);
	r.closed = false;
	json_decref(await(&w.cn, "inbox", "here"));
	went("server");
	assert_int_equal(servers_count("{}", "cancelled"), 0);
}

static void look(struct sending *s)
{
	uint64_t next = 0;

	assert_non_null(s->look);
	loop_timer_arm(s->look, 0);
	do {
		turn(&next);
	} while (!loop_timer_armed(s->look) || s->looking);
}

/* The Cache Server is getting a large one when its receiver comes online. */
static void test_look(void **state)
{
	struct sending *s;
	unsigned int looks;

	(void)state;
	r.closed = true;
	fault("{\"hold\": 1000000}");
	send_big(24000000);
	server_gets(1000000);
	s = outbox_job_find(w.mn.post.outbox, 1);
	assert_non_null(s);
	looks = s->looks;
	look(s); /* nobody: it goes on as it was */
	assert_int_equal(s->looks, looks + 1);
	assert_non_null(s->call);
	r.closed = false;
	loop_timer_arm(s->look, 0);
	big_here();
	went("direct");
	assert_in_range(fault("{}"), 1000000, 1000000 + 65536);
	forgotten();
}

/* ... and goes again before it has all: the rest by the server, from there on. */
static void test_look_in_vain(void **state)
{
	uint64_t next = 0, up;

	(void)state;
	r.closed = true;
	fault("{\"hold\": 1000000}");
	send_big(24000000);
	server_gets(1000000);
	r.closed = false;
	r.cut_up = up = r.up + 3000000;
	loop_timer_arm(outbox_job_find(w.mn.post.outbox, 1)->look, 0);
	while (r.cut_up != NEVER)
		turn(&next);
	r.closed = true;
	fault("{\"hold\": null}");
	big_here();
	went("server");
	/* all of it went up there, and of that the receiver has fetched the rest */
	assert_in_range(fault("{}"), 2 * 24000000 - 3000000 - 70000,
			2 * 24000000 - 3000000 + 200000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, direct_open, direct_close)
	const struct CMUnitTest tests[] = {
		TEST(test_fall_back),	 TEST(test_back),
		TEST(test_several),	 TEST(test_look),
		TEST(test_look_in_vain),
	};

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
