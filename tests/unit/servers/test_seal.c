/* SPDX-License-Identifier: MIT */
/*
 * test_seal - a sealed process opens no file and reaches nobody but by IP, on no thread;
 * one whose memory is limited goes on living, and takes no more
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "servers/isolate.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_UNDEFINED__) ||        \
	defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* isolate_seal() does nothing then, nor is data limited */
#else
#define SANITIZED 0
#endif

static bool is_refused(int fd)
{
	return fd < 0 && errno == EACCES;
}

/* Return: 0, or which of these was wrong */
static int try_all(void)
{
	int in[2] = {socket(AF_INET, SOCK_DGRAM, 0),
		     socket(AF_INET6, SOCK_STREAM, 0)};
	int pair[2];

	if (in[0] < 0 || (in[1] < 0 && errno != EAFNOSUPPORT))
		return 1;
	if (!is_refused(open("/dev/null", O_RDONLY)))
		return 2;
	if (!is_refused(socket(AF_UNIX, SOCK_STREAM, 0)) ||
	    !is_refused(socket(AF_NETLINK, SOCK_RAW, 0)) ||
	    !is_refused(socket(AF_PACKET, SOCK_RAW, 0)) ||
	    !is_refused(socket(AF_UNSPEC, SOCK_STREAM, 0)))
		return 3;
	if (!is_refused(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair)))
		return 4;
	return is_refused(unlink("/nowhere")) ? 0 : 5;
}

struct thread {
	int go[2], result;
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	char c;

	t->result = read(t->go[0], &c, 1) == 1 ? try_all() : 9;
	return NULL;
}

/* a thread that was there before is held to it, too */
static int child(void)
{
	struct thread t = {.result = 9};
	pthread_t thread;
	int r;

	if (pipe(t.go) || pthread_create(&thread, NULL, thread_main, &t) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || isolate_seal())
		return 10;
	r = try_all();
	if (write(t.go[1], "g", 1) != 1 || pthread_join(thread, NULL))
		return 11;
	return r ? r : t.result;
}

static void sealed(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (SANITIZED)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Return: 0, or which of these was wrong */
static int memory_child(void)
{
	struct rlimit core;
	char *volatile p;

	if (isolate_memory(128))
		return 1;
	if (getrlimit(RLIMIT_CORE, &core) || core.rlim_max)
		return 2;
	/* a sanitizer's own maps, too, which come with what is allocated */
	for (int i = 0; i < 16; i++) {
		p = malloc(1u << 20);
		if (!p)
			return 3;
		memset(p, 1, 1u << 20);
		free(p);
	}
	p = malloc(256u << 20);
	free(p);
	return SANITIZED || !p ? 0 : 4;
}

static void memory(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(memory_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sealed),
					   cmocka_unit_test(memory)};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
