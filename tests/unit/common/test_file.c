/* SPDX-License-Identifier: MIT */
/* test_file - whole files: limits, permissions, atomic replacement, full disk */
#include "common/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char folder[64], path[80];

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/ntm-test-file.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/f", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder); /* fails when a temporary file stayed */
}

static void expect(const char *text)
{
	uint8_t *data;
	size_t len;

	assert_int_equal(file_read(path, 100000, &data, &len), 0);
	assert_int_equal(len, strlen(text));
	assert_string_equal((char *)data, text);
	file_free(data, len);
}

static void test_write_and_read(void **state)
{
	struct stat st;
	mode_t old = umask(0777);

	(void)state;
	assert_int_equal(file_write(path, "one", 3, 0600), 0);
	umask(old);
	expect("one");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(file_write(path, "two", 3, 0644), 0);
	expect("two");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(file_write(path, "", 0, 0644), 0);
	expect("");
}

static void test_limit(void **state)
{
	static uint8_t big[20000];
	uint8_t *data;
	size_t len, i;

	(void)state;
	for (i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7);
	assert_int_equal(file_write(path, big, sizeof(big), 0600), 0);
	assert_int_equal(file_read(path, sizeof(big), &data, &len), 0);
	assert_int_equal(len, sizeof(big));
	assert_memory_equal(data, big, len);
	file_free(data, len);
	assert_int_equal(file_read(path, sizeof(big) - 1, &data, &len),
			 -NTM_ETOOBIG);
	assert_int_equal(file_read(path, 0, &data, &len), -NTM_ETOOBIG);
}

static void test_refused(void **state)
{
	uint8_t *data;
	size_t len;

	(void)state;
	assert_int_equal(file_read(path, 10, &data, &len), -NTM_ENOTFOUND);
	assert_int_equal(file_read(folder, 10, &data, &len), -NTM_EINVAL);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(file_read(path, 10, &data, &len), -NTM_EINVAL);
	unlink(path);
	assert_int_equal(file_write("/nonexistent/x", "", 0, 0600),
			 -NTM_ENOTFOUND);
	assert_int_equal(file_write("/proc/x", "", 0, 0600), -NTM_ENOTFOUND);
}

static void test_private(void **state)
{
	uint8_t *data;
	size_t len;

	(void)state;
	assert_int_equal(file_write(path, "key", 3, 0600), 0);
	assert_int_equal(file_read_private(path, 10, &data, &len), 0);
	file_free(data, len);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(file_read_private(path, 10, &data, &len), -NTM_EPERM);
	assert_int_equal(chmod(path, 0602), 0);
	assert_int_equal(file_read_private(path, 10, &data, &len), -NTM_EPERM);
	assert_int_equal(file_read(path, 10, &data, &len), 0);
	file_free(data, len);
}

/* No room: the old content stands and no temporary file stays behind. */
static void test_full(void **state)
{
	static uint8_t big[20000];
	struct rlimit old, tight;

	(void)state;
	assert_int_equal(file_write(path, "old", 3, 0600), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = 8192;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	assert_int_equal(file_write(path, big, sizeof(big), 0600), -NTM_ESTORE);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	expect("old");
	assert_int_equal(file_write(path, "new", 3, 0600), 0);
	expect("new");
}

static void test_make_folder(void **state)
{
	char deep[160];
	struct stat st;

	(void)state;
	snprintf(deep, sizeof(deep), "%s/a/b//c/", folder);
	assert_int_equal(file_make_folder(deep, 0700), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(file_make_folder(deep, 0700), 0);
	assert_int_equal(file_write(path, "", 0, 0600), 0);
	snprintf(deep, sizeof(deep), "%s/x", path);
	assert_int_equal(file_make_folder(deep, 0700), -NTM_EINVAL);
	assert_int_equal(file_make_folder(path, 0700), -NTM_EINVAL);
	assert_int_equal(file_make_folder("", 0700), -NTM_EINVAL);
	snprintf(deep, sizeof(deep), "%s/a/b/c", folder);
	rmdir(deep);
	snprintf(deep, sizeof(deep), "%s/a/b", folder);
	rmdir(deep);
	snprintf(deep, sizeof(deep), "%s/a", folder);
	rmdir(deep);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_write_and_read), test(test_limit),
		test(test_refused),	   test(test_private),
		test(test_full),	   test(test_make_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
