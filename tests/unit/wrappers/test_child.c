/* SPDX-License-Identifier: MIT */
/* test_child - a program is run to its end, whatever the process does with its children */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wrappers/child.h"

static volatile sig_atomic_t reaped;

/* as many programs have it */
static void on_child(int sig)
{
	(void)sig;
	reaped++;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static int sh(const char *script)
{
	char *argv[] = {"sh", "-c", (char *)script, NULL};

	return child_run("sh", argv);
}

static void test_status(void **state)
{
	char *argv[] = {"none", NULL};

	(void)state;
	assert_int_equal(sh("exit 0"), 0);
	assert_int_equal(sh("exit 7"), 7);
	assert_int_equal(sh("kill -TERM $$"), 128 + SIGTERM);
	assert_int_equal(child_run("no-such-program-anywhere", argv),
			 CHILD_NOT_RUN);
	assert_int_equal(waitpid(-1, NULL, __WCLONE | WNOHANG), -1);
	assert_int_equal(errno, ECHILD); /* nobody is left */
}

/* The kernel keeps no status of children there. */
static void test_ignored(void **state)
{
	(void)state;
	signal(SIGCHLD, SIG_IGN);
	assert_int_equal(sh("true"), 0);
	assert_int_equal(sh("exit 3"), 3);
	/* what is run may have children of its own */
	assert_int_equal(sh("(exit 4) & wait $!"), 4);
	assert_ptr_equal(signal(SIGCHLD, SIG_DFL), SIG_IGN);
}

/* The host's handler neither runs, nor takes the status away. */
static void test_reaped(void **state)
{
	(void)state;
	reaped = 0;
	signal(SIGCHLD, on_child);
	assert_int_equal(sh("exit 5"), 5);
	assert_int_equal(reaped, 0);
	assert_ptr_equal(signal(SIGCHLD, SIG_DFL), on_child);
}

/* begun: the program says that it runs; go: it may end; own: of the host's child */
static int begun[2], go[2], own[2];
static pid_t own_pid;

/* While the program runs the host closes what its own child waits for, and waits for
 * whatever ends. */
static void *host(void *arg)
{
	int *status = arg;
	pid_t pid;
	char byte;

	if (read(begun[0], &byte, 1) != 1)
		return NULL;
	close(own[1]);
	do { /* who runs the tests may have left us children of its own */
		pid = waitpid(-1, status, 0);
	} while (pid > 0 && pid != own_pid);
	return pid < 0 || write(go[1], "\n", 1) != 1 ? NULL : status;
}

/* Another thread gets its own child, and no other; what it closes is closed. */
static void test_threads(void **state)
{
	char script[64], byte;
	int status = -1;
	pthread_t thread;
	void *got = NULL;

	(void)state;
	assert_int_equal(pipe(begun) | pipe(go) | pipe2(own, O_CLOEXEC), 0);
	own_pid = fork();
	assert_true(own_pid >= 0);
	if (!own_pid) {
		close(own[1]);
		/* as long as anybody has the other end */
		_exit(read(own[0], &byte, 1) ? 1 : 9);
	}
	assert_int_equal(pthread_create(&thread, NULL, host, &status), 0);
	snprintf(script, sizeof(script), "echo >&%d; read x <&%d; exit 6",
		 begun[1], go[0]);
	assert_int_equal(sh(script), 6);
	assert_int_equal(pthread_join(thread, &got), 0);
	assert_non_null(got);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
	close(own[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_reaped),
		cmocka_unit_test(test_threads),
	};

	alarm(30);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
