/* SPDX-License-Identifier: MIT */
/* test_exit_isolate - what a net process that somebody has taken over can still reach */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "servers/exit/isolate.h"

static bool is_denied(long r)
{
	return r < 0 && errno == EPERM;
}

static bool is_open(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* in a process of its own. Return: number of the first claim that fails, 0: none */
static int claims(void)
{
	pid_t parent = getppid();
	struct ifaddrs *list;
	int udp, bytes;

	if (exit_isolate_net())
		return 1;
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (udp < 0 || ioctl(udp, FIONREAD, &bytes))
		return 2;
	if (!is_open(AF_INET6, SOCK_STREAM) || getifaddrs(&list))
		return 3;
	freeifaddrs(list);
	if (!is_denied(socket(AF_UNIX, SOCK_STREAM, 0)) ||
	    !is_denied(socket(AF_VSOCK, SOCK_STREAM, 0)) ||
	    !is_denied(socket(AF_PACKET, SOCK_RAW, 0)))
		return 4;
	if (!is_denied(ioctl(udp, FIOASYNC, &bytes)))
		return 5;
	if (!is_denied(syscall(SYS_tgkill, parent, parent, 0)) ||
	    !is_denied(kill(parent, 0)))
		return 6;
	if (syscall(SYS_tgkill, getpid(), getpid(), 0))
		return 7;
	if (!is_denied(open("/etc/passwd", O_RDONLY | O_CLOEXEC)) ||
	    !is_denied(syscall(SYS_execve, "/bin/true", NULL, NULL)) ||
	    !is_denied(fork()))
		return 8;
	return 0;
}

static void test_claims(void **state)
{
	int status;
	pid_t pid;

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip(); /* they make calls of their own */
#endif
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(claims());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
