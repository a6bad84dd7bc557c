/* SPDX-License-Identifier: MIT */
/*
 * test_many - a folder with tens of thousands of files: it comes whole, and the memory of
 * sender and receiver together stays bounded
 *
 * Its list of files is some megabytes; neither end has it in memory as a whole.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

#define FOLDERS	   20
#define FILES	   1000 /* in each */
#define NAME_PAD   "a-name-as-long-as-those-of-photographs-and-their-copies"
#define GROWTH_MAX 1024 /* KiB; that list has 1.8 MB */

/* KiB that the process has had at most, of its own */
static long peak(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[200];
	long kb = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmHWM: %ld", &kb);
	fclose(f);
	assert_true(kb > 0);
	return kb;
}

static void peak_again(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");

	assert_non_null(f);
	assert_true(fputs("5", f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static unsigned int count(const char *folder)
{
	DIR *d = opendir(folder);
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void folders_fill(void)
{
	int i, k;

	mkdir(at("%s/many", w.dir), 0700);
	for (i = 0; i < FOLDERS; i++) {
		mkdir(at("%s/many/%d", w.dir, i), 0700);
		for (k = 0; k < FILES; k++)
			file_put(at("%s/many/%d/" NAME_PAD "-%d", w.dir, i, k),
				 "x", k % 2);
	}
}

static void test_memory(void **state)
{
	long before;
	json_t *j;
	int i;

	(void)state;
	/* what one item takes, whatever its size, is there already */
	send_big(300000);
	big_here();
	folders_fill();
	peak_again();
	before = peak();
	send_item(json_pack("{s:[s]}", "files", at("%s/many", w.dir)));
	j = await(&w.cn, "inbox", "here");
	printf("[   INFO   ] %d files: %ld KiB more than %ld\n",
	       FOLDERS * FILES, peak() - before, before);
	assert_true(peak() - before < GROWTH_MAX);
	for (i = 0; i < FOLDERS; i++)
		assert_int_equal(
			count(at("%s/tree/many/%d", text(j, "folder"), i)),
			FILES);
	file_get(at("%s/tree/many/7/" NAME_PAD "-11", text(j, "folder")), "x");
	json_decref(j);
	outbox_is("done", "received");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_memory, ends_open,
						ends_close),
	};

	setenv("TMPDIR", "/dev/shm", 1); /* no disk is waited for */
	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
