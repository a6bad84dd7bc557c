/* SPDX-License-Identifier: MIT */
/* test_passthrough - what is not ours goes to libc and the kernel unchanged */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/preload/endpoint.h"

/* The sixth argument of mmap is an offset: it decides what is read. */
static void test_syscall_six(void **state)
{
	char path[] = "/tmp/ntm-six-XXXXXX";
	int fd = mkstemp(path);
	char *at;

	(void)state;
	unlink(path);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(pwrite(fd, "sixth", 5, 4096), 5);
	at = (char *)syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, fd,
			     4096);
	assert_ptr_not_equal(at, MAP_FAILED);
	assert_memory_equal(at, "sixth", 5);
	assert_int_equal(syscall(SYS_munmap, at, 4096), 0);
	close(fd);
}

static void test_syscall_errno(void **state)
{
	uint32_t word = 1;

	(void)state;
	errno = 0;
	assert_int_equal(syscall(SYS_close, -1), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(
		syscall(SYS_futex, &word, FUTEX_WAIT, 2, NULL, NULL, 0), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(syscall(SYS_getpid), getpid());
	assert_int_equal(syscall(100000), -1);
	assert_int_equal(errno, ENOSYS);
}

/* A child on a stack of its own returns from syscall() there: only a tail call
 * leaves nothing of ours on the old one. */
static void test_syscall_fork(void **state)
{
	int status = -1;
	long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	(void)state;
	if (pid == 0)
		syscall(SYS_exit_group, 7);
	assert_true(pid > 0);
	assert_int_equal(waitpid((pid_t)pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void test_errors(void **state)
{
	struct place p = place("127.0.0.1", 1), v = place(NODE4, 1),
		     v6 = place(NODE6, 1);
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/none"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct mmsghdr none;

	(void)state;
	assert_int_equal(connect(-1, PLACE_ARGS(p)), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(connect(0x7fff, PLACE_ARGS(v)), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(connect(fd, NULL, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(connect(fd, NULL, 16), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(sendmsg(fd, NULL, 0), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(recvmsg(fd, NULL, 0), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(sendmmsg(fd, NULL, 1, 0), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(sendmmsg(-1, &none, 0, 0), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(accept(fd, NULL, NULL), -1);
	assert_int_equal(errno, EINVAL);
	/* a virtual address for the wrong kind of socket */
	assert_int_equal(connect(fd, PLACE_ARGS(v)), -1);
	assert_int_equal(errno, EINVAL);
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(connect(fd, PLACE_ARGS(v6)), -1);
	assert_int_equal(errno, EAFNOSUPPORT);
	close(fd);
}

/* Lengths too short for the family are the kernel's to refuse. */
static void test_short_address(void **state)
{
	struct place p = place(NODE4, 9), p6 = place(NODE6, 9);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	assert_int_equal(connect(fd, (struct sockaddr *)&p.ss, 4), -1);
	assert_int_equal(errno, EINVAL);
	assert_false(swapped(fd));
	close(fd);
	fd = socket(AF_INET6, SOCK_DGRAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&p6.ss, 16), -1);
	assert_int_equal(errno, EINVAL);
	assert_false(swapped(fd));
	close(fd);
}

static void test_unix_datagram(void **state)
{
	struct sockaddr_un from;
	char buf[8], ctl[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr m = {.msg_name = &from,
			   .msg_namelen = sizeof(from),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = ctl,
			   .msg_controllen = sizeof(ctl)};
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	assert_int_equal(send(pair[0], "unix", 4, 0), 4);
	assert_int_equal(recvmsg(pair[1], &m, 0), 4);
	assert_memory_equal(buf, "unix", 4);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syscall_six),
		cmocka_unit_test(test_syscall_errno),
		cmocka_unit_test(test_syscall_fork),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_short_address),
		cmocka_unit_test(test_unix_datagram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
