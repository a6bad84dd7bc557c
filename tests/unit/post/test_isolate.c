/* SPDX-License-Identifier: MIT */
/* test_isolate - ntm-post, confined: it writes below one folder, and runs nothing */
#include <errno.h>
#include <linux/seccomp.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/post/isolate.h"
#include "tests/unit/post/fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static char dir[64];
static bool watched;

static int setup(void **state)
{
	(void)state;
	folder_make(dir);
	mkdir(at("%s/in", dir), 0700);
	mkdir(at("%s/out", dir), 0700);
	file_put(at("%s/out/file", dir), "old", 3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	folder_remove(dir);
	return 0;
}

/* What @try returns in a confined process; 128 + N where signal N ended it */
static int confined(int (*try)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(isolate_post(at("%s/in", dir)) ? 120 : try());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

static bool landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 3;
}

/* Calls are not limited then: by a sanitizer, or by valgrind, which has no seccomp. */
static bool is_watched(void)
{
	const uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return SANITIZED ||
	       syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
}

static bool refused(int r)
{
	return r < 0 && (errno == EACCES || errno == EXDEV);
}

/* all that becomes of an item, in its folder */
static int work(void)
{
	char buf[4];
	int fd = open(at("%s/in/a", dir), O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0 || pwrite(fd, "new", 3, 0) != 3 || fdatasync(fd) ||
	    ftruncate(fd, 2) || fchmod(fd, 0644) || close(fd))
		return 1;
	if (mkdir(at("%s/in/d", dir), 0700) ||
	    rename(at("%s/in/a", dir), at("%s/in/d/b", dir)) ||
	    symlink("b", at("%s/in/d/l", dir)))
		return 2;
	if (unlink(at("%s/in/d/l", dir)) || unlink(at("%s/in/d/b", dir)) ||
	    rmdir(at("%s/in/d", dir)))
		return 3;
	/* the person's files are read, wherever they are */
	fd = open(at("%s/out/file", dir), O_RDONLY);
	if (fd < 0 || read(fd, buf, 3) != 3 || close(fd))
		return 4;
	fd = open("/dev/null", O_WRONLY);
	return fd < 0 || write(fd, "x", 1) != 1 ? 5 : 0;
}

static int outside(void)
{
	if (!refused(open(at("%s/out/new", dir), O_WRONLY | O_CREAT, 0600)))
		return 1;
	if (!refused(open(at("%s/out/file", dir), O_WRONLY)) ||
	    !refused(open(at("%s/out/file", dir), O_RDWR | O_TRUNC)))
		return 2;
	if (!refused(mkdir(at("%s/out/d", dir), 0700)) ||
	    !refused(symlink("x", at("%s/out/l", dir))) ||
	    !refused(unlink(at("%s/out/file", dir))))
		return 3;
	/* neither carried out, nor by a way that leads there */
	if (symlink("../out", at("%s/in/way", dir)) ||
	    !refused(open(at("%s/in/way/new", dir), O_WRONLY | O_CREAT, 0600)))
		return 4;
	return refused(rename(at("%s/in/way", dir), at("%s/out/way", dir))) ? 0
									    : 5;
}

static int run_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return 1;
}

static int trace(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) ? 1 : 2;
}

static int fork_one(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0 ? 1 : errno == ENOSYS ? 0 : 2;
}

static int signal_others(void)
{
	return kill(getppid(), 0) == 0 ? 1 : errno == ENOSYS ? 0 : 2;
}

static void *nothing(void *arg)
{
	return arg;
}

static int thread(void)
{
	pthread_t t;

	return pthread_create(&t, NULL, nothing, NULL) || pthread_join(t, NULL);
}

static int limits(void)
{
	struct rlimit core, data;

	if (getrlimit(RLIMIT_CORE, &core) || core.rlim_max ||
	    getrlimit(RLIMIT_DATA, &data))
		return 1;
	if (!watched && (data.rlim_max > 1u << 30 || malloc(1u << 30)))
		return 2;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 3;
}

static void test_folder(void **state)
{
	(void)state;
	assert_int_equal(confined(work), 0);
	if (!landlock())
		skip();
	assert_int_equal(confined(outside), 0);
}

static void test_calls(void **state)
{
	(void)state;
	assert_int_equal(confined(limits), 0);
	assert_int_equal(confined(thread), 0);
	if (watched)
		skip();
	assert_int_equal(confined(run_program), 128 + SIGSYS);
	assert_int_equal(confined(trace), 128 + SIGSYS);
	assert_int_equal(confined(fork_one), 0);
	assert_int_equal(confined(signal_others), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_folder), TEST(test_calls)};

	watched = is_watched();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
