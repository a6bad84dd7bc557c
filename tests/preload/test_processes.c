/* SPDX-License-Identifier: MIT */
/* test_processes - swapped sockets across fork, exec and threads, and in odd descriptors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/shimproto.h"
#include "tests/preload/endpoint.h"

extern char **environ;

static void test_fd_zero(void **state)
{
	int keep = dup(0), l, c, s;
	struct place p;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	p = place(NODE4, local_port(l));
	close(0);
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(c, 0);
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	s = accept(l, NULL, NULL);
	exchange(c, s);
	close(s);
	dup2(keep, 0);
	close(keep);
	/* the request's own socket must not take 0 to 2 */
	keep = dup(2);
	c = socket(AF_INET, SOCK_STREAM, 0);
	close(2);
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	assert_int_equal(fcntl(2, F_GETFD), -1);
	dup2(keep, 2);
	close(keep);
	close(c);
	close(l);
}

static void connect_once(int l)
{
	struct place p = place(NODE4, local_port(l));
	int c = socket(AF_INET, SOCK_STREAM, 0), s;

	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	assert_true(swapped(c));
	s = accept(l, NULL, NULL);
	exchange(c, s);
	close(c);
	close(s);
}

/* The pool's descriptor, or -1: the only socket at or above 500. */
static int pool_fd(void)
{
	struct stat st;
	int fd;

	for (fd = 500; fd < 600; fd++)
		if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
			return fd;
	return -1;
}

static void test_pool(void **state)
{
	uint32_t asked;
	int l, i;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	for (i = 0; i < 3; i++)
		connect_once(l);
	assert_true(pool_fd() >= 500);
	assert_true(fcntl(pool_fd(), F_GETFD) & FD_CLOEXEC);
	asked = stats()->asked[SHIM_SOCKET];
	wait_readable(pool_fd());
	connect_once(l);
	wait_readable(pool_fd());
	connect_once(l);
	assert_int_equal(stats()->asked[SHIM_SOCKET], asked);
	/* the program closes what it does not know */
	close(pool_fd());
	connect_once(l);
	assert_true(stats()->asked[SHIM_SOCKET] > asked);
	connect_once(l);
	assert_true(pool_fd() >= 500);
	close(l);
}

static void test_pool_replaced(void **state)
{
	int l, fd, pair[2];
	char buf[4];

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	connect_once(l);
	connect_once(l);
	connect_once(l);
	fd = pool_fd();
	assert_true(fd >= 500);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(write(pair[1], "mine", 4), 4);
	dup2(pair[0], fd);
	connect_once(l);
	/* neither read from nor closed */
	assert_int_equal(read(fd, buf, 4), 4);
	assert_memory_equal(buf, "mine", 4);
	close(fd);
	close(pair[0]);
	close(pair[1]);
	close(l);
}

static void test_fork(void **state)
{
	int l, status = -1;
	pid_t child;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	connect_once(l);
	child = fork();
	if (child == 0) {
		struct place p = place(NODE4, local_port(l));
		int c = socket(AF_INET, SOCK_STREAM, 0);

		_exit(connect(c, PLACE_ARGS(p)) < 0 || write(c, "f", 1) != 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	connect_once(accept(l, NULL, NULL) >= 0 ? l : -1);
	close(l);
}

/* posix_spawn() is a vfork; the new program inherits the swapped socket. */
static void test_exec(void **state)
{
	char *argv[] = {"sh", "-c", "echo hello", NULL};
	posix_spawn_file_actions_t actions;
	int l, c, s, status = -1;
	char buf[8] = "";
	struct place p;
	pid_t child;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	p = place(NODE4, local_port(l));
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(c, PLACE_ARGS(p)), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, c, 1);
	assert_int_equal(
		posix_spawn(&child, "/bin/sh", &actions, NULL, argv, environ),
		0);
	posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	s = accept(l, NULL, NULL);
	wait_readable(s);
	assert_int_equal(read(s, buf, 6), 6);
	assert_string_equal(buf, "hello\n");
	connect_once(l);
	close(c);
	close(s);
	close(l);
}

static void *thread_connect(void *arg)
{
	struct place p = place(NODE4, *(uint16_t *)arg);
	intptr_t failed = 0;
	int i, c;

	for (i = 0; i < 50; i++) {
		c = socket(AF_INET, SOCK_STREAM, 0);
		failed += connect(c, PLACE_ARGS(p)) != 0;
		close(c);
	}
	return (void *)failed;
}

static void test_threads(void **state)
{
	pthread_t t[4];
	void *failed;
	uint16_t port;
	int l, i, s;

	(void)state;
	need_ns();
	l = tcp_listener(NODE4);
	port = local_port(l);
	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, thread_connect, &port);
	for (i = 0; i < 200; i++) {
		s = accept(l, NULL, NULL);
		assert_true(s >= 0);
		close(s);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(t[i], &failed);
		assert_null(failed);
	}
	close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fd_zero),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_pool_replaced),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
