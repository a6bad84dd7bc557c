/* SPDX-License-Identifier: MIT */
/* tags - what each chunk of an item was sealed to */
#include "broker/post/tags.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int tags_open(const char *dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/tags", dir) >= (int)sizeof(path))
		return -1;
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int tags_check(int fd, uint64_t index, const uint8_t tag[static TAGS_LEN])
{
	static const uint8_t none[TAGS_LEN];
	uint8_t was[TAGS_LEN] = {0};
	off_t at = (off_t)(index * TAGS_LEN);

	if (pread(fd, was, sizeof(was), at) < 0)
		return -NTM_ESTORE;
	/* zeros: a place that the disk has lost, or one that was never written */
	if (memcmp(was, none, sizeof(was)))
		return memcmp(was, tag, TAGS_LEN) ? -NTM_ECHANGED : 0;
	return pwrite(fd, tag, TAGS_LEN, at) == TAGS_LEN ? 0 : -NTM_ESTORE;
}
