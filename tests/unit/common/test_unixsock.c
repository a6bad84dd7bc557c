/* SPDX-License-Identifier: MIT */
/* test_unixsock - sockets in a folder: who can reach them, and who is at the end */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/unixsock.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/ntm-unixsock-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	struct sockaddr_un un;

	(void)state;
	assert_int_equal(unixsock_path(dir, "a.sock", &un), 0);
	unlink(un.sun_path);
	return rmdir(dir);
}

static void test_both_ends(void **state)
{
	struct sockaddr_un un;
	struct stat st;
	int fd, old, client, conn;

	(void)state;
	assert_false(unixsock_is_there(dir, "a.sock"));
	assert_int_equal(unixsock_dial(dir, "a.sock", SOCK_STREAM, &client),
			 -NTM_ECLOSED);
	assert_int_equal(unixsock_listen(dir, "a.sock", SOCK_STREAM, 4, &old),
			 0);
	/* the next one takes the place of what is left over */
	assert_int_equal(unixsock_listen(dir, "a.sock", SOCK_STREAM, 4, &fd),
			 0);
	assert_true(unixsock_is_there(dir, "a.sock"));
	assert_int_equal(unixsock_path(dir, "a.sock", &un), 0);
	assert_int_equal(stat(un.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(unixsock_dial(dir, "a.sock", SOCK_STREAM, &client), 0);
	assert_true(accept(old, NULL, NULL) < 0);
	conn = accept(fd, NULL, NULL);
	assert_true(conn >= 0);
	assert_true(unixsock_is_ours(conn));
	assert_true(unixsock_is_ours_or_root(conn));
	/* of another kind, nobody listens there */
	close(client);
	assert_int_equal(unixsock_dial(dir, "a.sock", SOCK_SEQPACKET, &client),
			 -NTM_ECLOSED);
	close(conn);
	close(fd);
	close(old);
	assert_false(unixsock_is_ours(-1));
}

/* Only root can become another user, so only root can try it. */
static void test_other_user(void **state)
{
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	if (geteuid()) {
		close(sv[0]);
		close(sv[1]);
		skip();
	}
	assert_int_equal(seteuid(12345), 0);
	/* who made the pair was root */
	assert_false(unixsock_is_ours(sv[0]));
	assert_true(unixsock_is_ours_or_root(sv[0]));
	assert_int_equal(seteuid(0), 0);
	close(sv[0]);
	close(sv[1]);
}

static void test_too_long(void **state)
{
	char name[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct sockaddr_un un;
	int fd;

	(void)state;
	memset(name, 'x', sizeof(name));
	/* with the folder and its / exactly full, then one less */
	name[sizeof(name) - strlen(dir) - 1] = '\0';
	assert_int_equal(unixsock_path(dir, name, &un), -NTM_EINVAL);
	assert_int_equal(unixsock_listen(dir, name, SOCK_STREAM, 1, &fd),
			 -NTM_EINVAL);
	assert_int_equal(unixsock_dial(dir, name, SOCK_STREAM, &fd),
			 -NTM_EINVAL);
	assert_false(unixsock_is_there(dir, name));
	name[strlen(name) - 1] = '\0';
	assert_int_equal(unixsock_path(dir, name, &un), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_both_ends),
		T(test_other_user),
		T(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
