/* SPDX-License-Identifier: MIT */
/* drainfile - that a server drains, over restarts */
#include "servers/drainfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

static int drainfile_open(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

bool drainfile_read(const char *path)
{
	int fd = drainfile_open(path, O_RDONLY);
	char c = '0';
	bool draining;

	if (fd < 0)
		return false;
	draining = read(fd, &c, 1) == 1 && c == '1';
	close(fd);
	return draining;
}

void drainfile_write(const char *path, const char *who, bool draining)
{
	int fd = drainfile_open(path, O_WRONLY | O_CREAT);

	if (fd < 0 || pwrite(fd, draining ? "1\n" : "0\n", 2, 0) != 2)
		log_warn(who, "%s could not be written: %s", path,
			 strerror(errno));
	if (fd >= 0)
		close(fd);
}
