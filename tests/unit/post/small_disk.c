/* SPDX-License-Identifier: MIT */
/* small_disk - the disk under the ends' state folders is as small as a test says */
#include "tests/unit/post/small_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/post/inbox.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

/* the disk, as we say; 0: as it is */
static uint64_t bytes_left, files_left;
static bool is_full, failed;

int statvfs(const char *path, struct statvfs *v)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = fstatvfs(fd, v);
	close(fd);
	if (bytes_left)
		v->f_bavail = bytes_left / v->f_frsize;
	if (files_left) {
		v->f_files = 1000000;
		v->f_favail = files_left;
	}
	return r;
}

ssize_t write(int fd, const void *b, size_t len)
{
	char path[512] = "", link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (is_full && readlink(link, path, sizeof(path) - 1) > 0 &&
	    strstr(path, "/post/in.")) {
		failed = true;
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_write, fd, b, len);
}

void small_disk_is(uint64_t bytes, uint64_t files)
{
	bytes_left = bytes;
	files_left = files;
}

void small_disk_fill(void)
{
	small_disk_is(1, 0);
	is_full = true;
	failed = false;
}

bool small_disk_failed(void)
{
	return failed;
}

void small_disk_send_many(void)
{
	int i;

	mkdir(at("%s/many", w.dir), 0700);
	for (i = 0; i < FILES; i++)
		file_put(at("%s/many/%d", w.dir, i), "", 0);
	send_item(json_pack("{s:[s]}", "files", at("%s/many", w.dir)));
}

void small_disk_held_back(const char *why)
{
	uint64_t next = 0;
	bool said;
	json_t *j;

	do {
		turn(&next);
		j = newest(&w.cn, "inbox");
		assert_string_not_equal(text(j, "state"), "here");
		said = strstr(text(j, "text"), why);
		json_decref(j);
	} while (!said);
	small_disk_is(0, 0);
	is_full = false;
	inbox_soon(w.cn.post.inbox);
	json_decref(await(&w.cn, "inbox", "here"));
}
