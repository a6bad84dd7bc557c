/* SPDX-License-Identifier: MIT */
/* test_acceptor - who comes is handed on; full, or out of descriptors, it rests */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/acceptor.h"
#include "common/log.h"
#include "common/unixsock.h"

static struct loop *loop;
static struct acceptor *a;
static uint64_t now_ns;
static int came[128];
static unsigned int n_came, n_ip, room;
static char dir[64];

static uint64_t clock_ns(void *arg)
{
	(void)arg;
	return now_ns;
}

static void comes(void *arg, int fd, const struct addr *from)
{
	assert_ptr_equal(arg, dir);
	n_ip += from != NULL;
	came[n_came++] = fd;
	if (n_came == room)
		acceptor_set_full(a, true);
}

static int setup(void **state)
{
	(void)state;
	n_came = n_ip = 0;
	room = 128;
	now_ns = LOOP_S(5);
	strcpy(dir, "/tmp/ntm-acceptor-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(loop_new(&loop), 0);
	loop_set_clock(loop, clock_ns, NULL, NULL);
	return acceptor_new(loop, "test", comes, dir, &a);
}

static int teardown(void **state)
{
	struct sockaddr_un un;

	(void)state;
	acceptor_free(a);
	for (unsigned int i = 0; i < n_came; i++)
		close(came[i]);
	loop_free(loop);
	assert_int_equal(unixsock_path(dir, "a.sock", &un), 0);
	unlink(un.sun_path);
	return rmdir(dir);
}

static void turn(void)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_turn(loop, false), 0);
}

static int listener_make(void)
{
	int fd;

	assert_int_equal(unixsock_listen(dir, "a.sock", SOCK_STREAM, 64, &fd),
			 0);
	return fd;
}

static int dial(void)
{
	int fd;

	assert_int_equal(unixsock_dial(dir, "a.sock", SOCK_STREAM, &fd), 0);
	return fd;
}

static void test_both_kinds(void **state)
{
	struct addr at;
	socklen_t len = sizeof(at);
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int un = listener_make(), clients[2];

	(void)state;
	assert_int_equal(addr_parse("127.0.0.1", 0, &at), 0);
	assert_int_equal(bind(tcp, &at.sa, addr_len(&at)), 0);
	assert_int_equal(listen(tcp, 4), 0);
	assert_int_equal(getsockname(tcp, &at.sa, &len), 0);
	assert_int_equal(acceptor_add(a, tcp), 0);
	assert_int_equal(acceptor_add(a, un), 0);
	clients[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(clients[0], &at.sa, addr_len(&at)), 0);
	clients[1] = dial();
	turn();
	assert_int_equal(n_came, 2);
	assert_int_equal(n_ip, 1);
	close(clients[0]);
	close(clients[1]);
	for (int i = 2; i < ACCEPTOR_SOCKETS_MAX; i++)
		assert_int_equal(acceptor_add(a, dup(un)), 0);
	assert_int_equal(acceptor_add(a, un), -NTM_ELIMIT);
}

static void test_full(void **state)
{
	int clients[3];

	(void)state;
	room = 2;
	assert_int_equal(acceptor_add(a, listener_make()), 0);
	for (int i = 0; i < 3; i++)
		clients[i] = dial();
	turn();
	assert_int_equal(n_came, 2);
	now_ns += LOOP_S(5); /* time makes no room */
	turn();
	assert_int_equal(n_came, 2);
	acceptor_set_full(a, false);
	turn();
	assert_int_equal(n_came, 3);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
}

/* No descriptor is left: no turn after turn for nothing, and then it goes on */
static void test_starved(void **state)
{
	struct rlimit old, tight;
	int fd = listener_make(), client = dial(), probe;

	(void)state;
	assert_int_equal(acceptor_add(a, fd), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	probe = dup(fd);
	close(probe);
	tight = old;
	tight.rlim_cur = (rlim_t)probe;
	log_set_level(LOG_ERR);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	turn();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(n_came, 0);
	turn(); /* it rests, though it could go on now */
	assert_int_equal(n_came, 0);
	now_ns += LOOP_MS(ACCEPTOR_PAUSE_MS + 1);
	turn();
	assert_int_equal(n_came, 1);
	log_set_level(LOG_INFO);
	close(client);
}

/* what it could not serve stays its caller's */
static void test_forgotten(void **state)
{
	int fd = listener_make(), client;

	(void)state;
	assert_int_equal(acceptor_add(a, fd), 0);
	acceptor_forget(a);
	acceptor_free(a);
	a = NULL;
	client = dial();
	close(accept(fd, NULL, NULL));
	close(client);
	assert_int_equal(close(fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_both_kinds),
		T(test_full),
		T(test_starved),
		T(test_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
