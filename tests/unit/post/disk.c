/* SPDX-License-Identifier: MIT */
/* disk - in which order a test's process writes, syncs and speaks */
#include "tests/unit/post/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

struct disk disk;
static unsigned int moment;
static char watched[256];

enum place { ELSEWHERE, ITEM, LOG };

static enum place place_of(int fd)
{
	char link[64], path[512] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (!*watched || readlink(link, path, sizeof(path) - 1) <= 0 ||
	    strncmp(path, watched, strlen(watched)))
		return ELSEWHERE;
	if (strstr(path, "/in."))
		return ITEM;
	return strstr(path, ".db-wal") ? LOG : ELSEWHERE;
}

static void changed(int fd)
{
	switch (place_of(fd)) {
	case ITEM:
		disk.item = ++moment;
		disk.row = disk.said = 0;
		break;
	case LOG:
		if (disk.said)
			break; /* of what comes after that word */
		disk.log = ++moment;
		if (!disk.row)
			disk.row = moment;
		break;
	case ELSEWHERE:
		break;
	}
}

static void said(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	if (*watched && !disk.said &&
	    !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len))
		disk.said = ++moment;
}

static int synced(int fd, long call)
{
	enum place place = place_of(fd);
	unsigned int begun = ++moment;
	int r = (int)syscall(call, fd);

	if (call == SYS_syncfs) {
		disk.synced = begun;
		disk.synced_end = ++moment;
	} else if (place == LOG && !disk.said) {
		disk.log_synced = begun;
		disk.log_synced_end = ++moment;
	}
	return r;
}

/* --- in place of libc's
 * ----------------------------------------------------------------------- */

int syncfs(int fd)
{
	return synced(fd, SYS_syncfs);
}

int fsync(int fd)
{
	return synced(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return synced(fd, SYS_fdatasync);
}

ssize_t pwrite64(int fd, const void *b, size_t len, off64_t at)
{
	changed(fd);
	return syscall(SYS_pwrite64, fd, b, len, at);
}

ssize_t pwrite(int fd, const void *b, size_t len, off_t at)
{
	return pwrite64(fd, b, len, at);
}

ssize_t write(int fd, const void *b, size_t len)
{
	changed(fd);
	said(fd);
	return syscall(SYS_write, fd, b, len);
}

int futimens(int fd, const struct timespec times[2])
{
	changed(fd);
	return (int)syscall(SYS_utimensat, fd, NULL, times, 0);
}

int fchmod(int fd, mode_t mode)
{
	changed(fd);
	return (int)syscall(SYS_fchmod, fd, mode);
}

int symlinkat(const char *target, int fd, const char *name)
{
	changed(fd);
	return (int)syscall(SYS_symlinkat, target, fd, name);
}

int mkdirat(int fd, const char *name, mode_t mode)
{
	changed(fd);
	return (int)syscall(SYS_mkdirat, fd, name, mode);
}

ssize_t send(int fd, const void *b, size_t len, int flags)
{
	said(fd);
	return syscall(SYS_sendto, fd, b, len, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	said(fd);
	return syscall(SYS_sendmsg, fd, m, flags);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	said(fd);
	return syscall(SYS_writev, fd, v, n);
}

/* --- what a test says
 * ------------------------------------------------------------------------- */

void disk_watch(const char *state)
{
	memset(&disk, 0, sizeof(disk));
	snprintf(watched, sizeof(watched), "%s", state ? state : "");
}

void disk_row_first(void)
{
	assert_int_not_equal(disk.row, 0);
	assert_true(disk.log_synced > disk.log);
	assert_true(disk.said > disk.log_synced_end);
}

void disk_in_order(void)
{
	assert_int_not_equal(disk.item, 0);
	assert_true(disk.synced > disk.item);
	assert_true(disk.row > disk.synced_end);
	disk_row_first();
}
