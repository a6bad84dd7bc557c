/* SPDX-License-Identifier: MIT */
/*
 * test_room - what comes leaves room on the disk: bytes, also for many small files, and
 * inodes; by a Cache Server and straight alike
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "broker/post/arrival.h"
#include "broker/post/inbox.h"
#include "broker/post/room.h"
#include "common/log.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

#define FILES 300
#define MIB   (UINT64_C(1) << 20)

/* the disk, as we say; 0: as it is */
static uint64_t bytes_left, files_left;

int statvfs(const char *path, struct statvfs *v)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = fstatvfs(fd, v);
	close(fd);
	if (bytes_left)
		v->f_bavail = bytes_left / v->f_frsize;
	if (files_left) {
		v->f_files = 1000000;
		v->f_favail = files_left;
	}
	return r;
}

static void disk_is(uint64_t bytes, uint64_t files)
{
	bytes_left = bytes;
	files_left = files;
}

static void send_many(void)
{
	int i;

	mkdir(at("%s/many", w.dir), 0700);
	for (i = 0; i < FILES; i++)
		file_put(at("%s/many/%d", w.dir, i), "", 0);
	send_item(json_pack("{s:[s]}", "files", at("%s/many", w.dir)));
}

/* It waits, and says why; with room, it comes */
static void held_back(const char *why)
{
	uint64_t next = 0;
	bool said;
	json_t *j;

	do {
		turn(&next);
		j = newest(&w.cn, "inbox");
		assert_string_not_equal(text(j, "state"), "here");
		said = strstr(text(j, "text"), why);
		json_decref(j);
	} while (!said);
	disk_is(0, 0);
	inbox_soon(w.cn.post.inbox);
	json_decref(await(&w.cn, "inbox", "here"));
}

static void test_bytes(void **state)
{
	(void)state;
	disk_is(ROOM_SPARED + 4 * MIB, 0);
	send_big(5 * MIB);
	held_back("has no room for 6 MB; make room");
}

/* It comes where it fits, and not a file more */
static void test_enough(void **state)
{
	(void)state;
	disk_is(ROOM_SPARED + 6 * MIB, ROOM_SPARED_FILES + 1);
	send_big(5 * MIB);
	big_here();
}

/* Files of no bytes take some all the same. */
static void test_small_files(void **state)
{
	(void)state;
	disk_is(ROOM_SPARED + MIB, 0);
	send_many();
	held_back("has no room for 2 MB; make room");
}

static void test_inodes(void **state)
{
	(void)state;
	disk_is(0, ROOM_SPARED_FILES + FILES);
	send_many(); /* they, and their folder */
	held_back("has no room for 301 files; make room");
}

/* What another item is yet to bring is taken, whichever way it comes. */
static void test_together(void **state)
{
	struct post *p = &w.cn.post;
	uint64_t next = 0;

	(void)state;
	disk_is(ROOM_SPARED + 8 * MIB, 0);
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
