/* SPDX-License-Identifier: MIT */
/* test_rundir - which folder is trusted */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/rundir.h"

static char base[64], path[80];

static int setup(void **state)
{
	(void)state;
	strcpy(base, "/tmp/ntm-rundir-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(path, sizeof(path), "%s/ntm", base);
	return setenv("XDG_RUNTIME_DIR", base, 1);
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	rmdir(path);
	return rmdir(base);
}

static void test_make(void **state)
{
	char buf[RUNDIR_MAX];
	struct stat st;

	(void)state;
	assert_int_equal(rundir_path(buf, sizeof(buf)), -ENOENT);
	assert_int_equal(rundir_make(buf, sizeof(buf)), 0);
	assert_string_equal(buf, path);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(rundir_make(buf, sizeof(buf)), 0);
	assert_int_equal(rundir_path(buf, sizeof(buf)), 0);
}

static void test_open_to_others(void **state)
{
	char buf[RUNDIR_MAX];

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0710), 0);
	assert_int_equal(rundir_path(buf, sizeof(buf)), -EPERM);
	assert_int_equal(rundir_make(buf, sizeof(buf)), -EPERM);
}

/* A link could lead into a folder that somebody else can rename. */
static void test_link(void **state)
{
	char buf[RUNDIR_MAX], to[80];

	(void)state;
	snprintf(to, sizeof(to), "%s/real", base);
	assert_int_equal(mkdir(to, 0700), 0);
	assert_int_equal(symlink(to, path), 0);
	assert_int_equal(rundir_path(buf, sizeof(buf)), -EPERM);
	rmdir(to);
}

static void test_file(void **state)
{
	char buf[RUNDIR_MAX + 20], tiny[10];
	char want[128];

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(rundir_file("page", buf, sizeof(buf)), 0);
	snprintf(want, sizeof(want), "%s/page", path);
	assert_string_equal(buf, want);
	assert_int_equal(rundir_file("page", tiny, sizeof(tiny)),
			 -ENAMETOOLONG);
}

static void test_relative_ignored(void **state)
{
	char buf[RUNDIR_MAX] = "";

	(void)state;
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	rundir_path(buf, sizeof(buf));
	assert_int_equal(buf[0], '/');
	setenv("XDG_RUNTIME_DIR", base, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_make), TEST(test_open_to_others),   TEST(test_link),
		TEST(test_file), TEST(test_relative_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
