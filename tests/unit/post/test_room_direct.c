/* SPDX-License-Identifier: MIT */
/*
 * test_room_direct - what comes straight leaves room on the disk, as what comes by a Cache
 * Server does (test_room): its sender is told that there is none, goes by the Cache Server,
 * and the item waits there until there is some
 */
#include <signal.h>
#include <stdlib.h>

#include "broker/post/poststore.h"
#include "broker/post/room.h"
#include "common/log.h"
#include "tests/unit/post/direct_site.h"
#include "tests/unit/post/fixture.h"
#include "tests/unit/post/small_disk.h"

#define WORDS 20000 /* headers and keys, more than once */

/* the first item at CN is known by the Cache Server's list alone */
static bool came_by_list(void)
{
	struct store *st = w.cn.post.store;
	bool direct;

	store_bind_int(st, IN_GET, 1, 1);
	assert_int_equal(store_step(st, IN_GET), 1);
	direct = store_int(st, IN_GET, 26);
	store_reset(st, IN_GET);
	return !direct;
}

/* It is refused before a byte of it is taken, and leaves nothing here. */
static void test_bytes(void **state)
{
	(void)state;
	small_disk_is(ROOM_SPARED + 4 * MIB, 0);
	send_big(5 * MIB);
	small_disk_held_back("has no room for 6 MB; make room");
	assert_in_range(r.up, 1, WORDS);
	assert_true(came_by_list());
	big_here();
	went("server");
}

/* It comes where it fits, and not a file more */
static void test_enough(void **state)
{
	(void)state;
	small_disk_is(ROOM_SPARED + 6 * MIB, ROOM_SPARED_FILES + 1);
	send_big(5 * MIB);
	big_here();
	went("direct");
}

/* How many files there are its list says, when that has come. */
static void test_small_files(void **state)
{
	(void)state;
	small_disk_is(ROOM_SPARED + MIB, 0);
	small_disk_send_many();
	small_disk_held_back("has no room for 2 MB; make room");
	went("server");
}

static void test_inodes(void **state)
{
	(void)state;
	small_disk_is(0, ROOM_SPARED_FILES + FILES);
	small_disk_send_many();
	small_disk_held_back("has no room for 301 files; make room");
	went("server");
}

/* One that broke off begins again where it was, if there is room for its rest. */
static void test_rest(void **state)
{
	uint64_t next = 0;

	(void)state;
	send_big(5 * MIB);
	r.cut_up = 3 * MIB;
	while (r.cut_up != NEVER)
		turn(&next);
	small_disk_is(ROOM_SPARED + 3 * MIB, 0);
	big_here();
	went("direct");
}

/* What an item is yet to bring straight is taken. */
static void test_together(void **state)
{
	struct post *p = &w.cn.post;
	uint64_t next = 0;

	(void)state;
	small_disk_is(ROOM_SPARED + 8 * MIB, 0);
	send_big(5 * MIB);
	while (r.up < MIB)
		turn(&next);
	assert_int_equal(room_check(p, NULL, 5 * MIB, 0), -NTM_ESTORE);
	assert_int_equal(room_check(p, NULL, 2 * MIB, 0), 0);
	big_here();
	assert_int_equal(room_check(p, NULL, 5 * MIB, 0), 0);
}

/* Somebody else fills the disk while it comes. */
static void test_filled(void **state)
{
	uint64_t next = 0;

	(void)state;
	send_big(5 * MIB);
	while (r.up < MIB)
		turn(&next);
	small_disk_fill();
	small_disk_held_back("has no room for 6 MB; make room");
	assert_true(small_disk_failed());
	big_here();
	went("server");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, direct_open, direct_close)
	const struct CMUnitTest tests[] = {
		TEST(test_bytes),  TEST(test_enough), TEST(test_small_files),
		TEST(test_inodes), TEST(test_rest),   TEST(test_together),
		TEST(test_filled),
	};

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
