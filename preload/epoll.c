/* SPDX-License-Identifier: MIT */
/* epoll - registrations moved along with a swapped socket */
#include "preload/epoll.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/shim.h"
#include "preload/sys.h"

#define KNOWN_MAX	64
#define SAME_NUMBER_MAX 4 /* registrations of older files under one number */

/* Slot 0 is empty, else the descriptor + 1. */
static struct {
	_Atomic(int) slot[KNOWN_MAX];
	_Atomic(bool) scanned;
	_Atomic(bool) overflow; /* more than fit: scan every time */
} known;

static void epoll_note(int epfd)
{
	int i, empty;

	for (i = 0; i < KNOWN_MAX; i++)
		if (atomic_load_explicit(&known.slot[i],
					 memory_order_relaxed) == epfd + 1)
			return;
	for (i = 0; i < KNOWN_MAX; i++) {
		empty = 0;
		if (atomic_compare_exchange_strong(&known.slot[i], &empty,
						   epfd + 1))
			return;
	}
	atomic_store(&known.overflow, true);
}

int hook_epoll_create(int size)
{
	int epfd = real.epoll_create(size);

	if (epfd >= 0)
		epoll_note(epfd);
	return epfd;
}

int hook_epoll_create1(int flags)
{
	int epfd = real.epoll_create1(flags);

	if (epfd >= 0)
		epoll_note(epfd);
	return epfd;
}

/* --- finding epoll descriptors made before us ------------------------------------ */

struct dirent64 {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

static void epoll_scan_entry(int dir, const char *name)
{
	static const char wanted[] = "anon_inode:[eventpoll]";
	char link[sizeof(wanted)];
	long n;

	if (name[0] < '0' || name[0] > '9')
		return;
	n = SYS(SYS_readlinkat, dir, name, link, sizeof(link));
	if (n == sizeof(wanted) - 1 && !memcmp(link, wanted, (size_t)n))
		epoll_note(atoi(name));
}

static void epoll_scan(void)
{
	_Alignas(struct dirent64) char buf[1024];
	const struct dirent64 *d;
	long dir, n, at;

	dir = SYS(SYS_openat, AT_FDCWD, "/proc/self/fd",
		  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return;
	while ((n = SYS(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		for (at = 0; at < n; at += d->reclen) {
			d = (const void *)(buf + at);
			epoll_scan_entry((int)dir, d->name);
		}
	}
	sys_close((int)dir);
}

/* --- one registration --------------------------------------------------------------- */

/* Is the file behind @fd registered under that number? 1 yes, 0 no, -1 @epfd is
 * no epoll descriptor, -2 the kernel does not tell. */
static int epoll_holds(int epfd, int fd)
{
	struct kcmp_epoll_slot slot = {.efd = (uint32_t)epfd,
				       .tfd = (uint32_t)fd};
	long pid = SYS(SYS_getpid), ret = -ENOENT;

	for (slot.toff = 0; slot.toff < SAME_NUMBER_MAX; slot.toff++) {
		ret = SYS(SYS_kcmp, pid, pid, KCMP_EPOLL_TFD, fd, &slot);
		if (ret <= 0)
			break;
	}
	if (ret == 0)
		return 1;
	if (ret == -EBADF || ret == -EINVAL)
		return -1;
	return ret > 0 || ret == -ENOENT ? 0 : -2;
}

/* "tfd:  7 events:  1d data:  7  pos:0 ino:2c sdev:8" */
static bool epoll_parse(const char *line, int fd, uint64_t inode,
			struct epoll_event *ev)
{
	unsigned int events;
	unsigned long long data, ino;
	long long pos;
	int tfd;

	if (sscanf(line, "tfd: %d events: %x data: %llx pos:%lli ino:%llx",
		   &tfd, &events, &data, &pos, &ino) != 5 ||
	    tfd != fd || ino != inode)
		return false;
	ev->events = events;
	ev->data.u64 = data;
	return true;
}

/* The events and data of @fd from /proc/self/fdinfo/EPFD, read in pieces: there
 * may be thousands of lines. */
static bool epoll_read(int epfd, int fd, uint64_t inode, struct epoll_event *ev)
{
	size_t have = 0, used;
	bool found = false;
	char buf[1025], *line, *end;
	long file, n;

	snprintf(buf, sizeof(buf), "/proc/self/fdinfo/%d", epfd);
	file = SYS(SYS_openat, AT_FDCWD, buf, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	while (!found && have < sizeof(buf) - 1 &&
	       (n = SYS(SYS_read, file, buf + have, sizeof(buf) - 1 - have)) >
		       0) {
		have += (size_t)n;
		buf[have] = '\0';
		for (line = buf; !found && (end = strchr(line, '\n'));
		     line = end + 1) {
			*end = '\0';
			found = epoll_parse(line, fd, inode, ev);
		}
		used = (size_t)(line - buf);
		have -= used;
		memmove(buf, line, have);
	}
	sys_close((int)file);
	return found;
}

static void epoll_detach_one(int epfd, int fd, uint64_t inode,
			     struct epoll_moved *moved)
{
	struct epoll_event *ev = &moved->event[moved->count];
	struct epoll_event none = {0};

	if (!epoll_read(epfd, fd, inode, ev) ||
	    epoll_ctl(epfd, EPOLL_CTL_DEL, fd, &none) < 0)
		return;
	moved->epfd[moved->count++] = epfd;
}

void epoll_detach(int fd, struct epoll_moved *moved)
{
	struct stat st;
	int i, value;

	moved->count = 0;
	if (!atomic_exchange(&known.scanned, true) ||
	    atomic_load(&known.overflow))
		epoll_scan();
	if (fstat(fd, &st) < 0)
		return;
	for (i = 0; i < KNOWN_MAX && moved->count < EPOLL_MOVED_MAX; i++) {
		value = atomic_load(&known.slot[i]);
		if (!value)
			continue;
		switch (epoll_holds(value - 1, fd)) {
		case -1: /* closed since */
			atomic_compare_exchange_strong(&known.slot[i], &value,
						       0);
			break;
		case 0:
			break;
		default:
			epoll_detach_one(value - 1, fd, st.st_ino, moved);
		}
	}
}

void epoll_attach(int fd, const struct epoll_moved *moved)
{
	struct epoll_event ev;
	int i, saved = errno;

	for (i = 0; i < moved->count; i++) {
		ev = moved->event[i];
		epoll_ctl(moved->epfd[i], EPOLL_CTL_ADD, fd, &ev);
	}
	errno = saved;
}
