/* SPDX-License-Identifier: MIT */
/*
 * test_room - what comes by a Cache Server leaves room on the disk: bytes, also for many
 * small files, and inodes
 */
#include <signal.h>
#include <stdlib.h>

#include "broker/post/room.h"
#include "common/log.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"
#include "tests/unit/post/small_disk.h"

static void test_bytes(void **state)
{
	(void)state;
	small_disk_is(ROOM_SPARED + 4 * MIB, 0);
	send_big(5 * MIB);
	small_disk_held_back("has no room for 6 MB; make room");
}

/* It comes where it fits, and not a file more */
static void test_enough(void **state)
{
	(void)state;
	small_disk_is(ROOM_SPARED + 6 * MIB, ROOM_SPARED_FILES + 1);
	send_big(5 * MIB);
	big_here();
}

/* Files of no bytes take some all the same. */
static void test_small_files(void **state)
{
	(void)state;
	small_disk_is(ROOM_SPARED + MIB, 0);
	small_disk_send_many();
	small_disk_held_back("has no room for 2 MB; make room");
}

static void test_inodes(void **state)
{
	(void)state;
	small_disk_is(0, ROOM_SPARED_FILES + FILES);
	small_disk_send_many(); /* they, and their folder */
	small_disk_held_back("has no room for 301 files; make room");
}

/* What another item is yet to bring is taken, whichever way it comes. */
static void test_together(void **state)
{
	struct post *p = &w.cn.post;
	uint64_t next = 0;

	(void)state;
	small_disk_is(ROOM_SPARED + 8 * MIB, 0);
	assert_int_equal(room_check(p, NULL, 5 * MIB, 0), 0);
	(void)fault(at("{\"cut\": %d}", (int)(2 * MIB)));
	send_big(5 * MIB);
	while (room_check(p, NULL, 5 * MIB, 0) == 0)
		turn(&next);
	assert_int_equal(room_check(p, NULL, 2 * MIB, 0), 0);
	big_here();
	assert_int_equal(room_check(p, NULL, 5 * MIB, 0), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, ends_open, ends_close)
	const struct CMUnitTest tests[] = {
		TEST(test_bytes),  TEST(test_enough),	TEST(test_small_files),
		TEST(test_inodes), TEST(test_together),
	};

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
