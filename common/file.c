/* SPDX-License-Identifier: MIT */
/* file - small files whole: read with a limit, replaced atomically */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int file_error(int other)
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		return -NTM_ENOTFOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return -NTM_EPERM;
	case ENAMETOOLONG:
		return -NTM_EINVAL;
	}
	return other;
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* The rename is durable only once the folder is. */
static int sync_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd, ret;

	if (!slash)
		snprintf(folder, sizeof(folder), ".");
	else
		snprintf(folder, sizeof(folder), "%.*s",
			 slash == path ? 1 : (int)(slash - path), path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -NTM_ESTORE;
	ret = fsync(fd) < 0 ? -NTM_ESTORE : 0;
	close(fd);
	return ret;
}

int file_write(const char *path, const void *data, size_t len, mode_t mode)
{
	char tmp[PATH_MAX];
	int fd, ret, n;

	n = snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path);
	if (n < 0 || (size_t)n >= sizeof(tmp))
		return -NTM_EINVAL;
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return file_error(-NTM_ESTORE);
	if (fchmod(fd, mode) < 0 || !write_all(fd, data, len) ||
	    fsync(fd) < 0) {
		ret = file_error(-NTM_ESTORE);
		close(fd);
		goto err_tmp;
	}
	if (close(fd) < 0 || rename(tmp, path) < 0) {
		ret = file_error(-NTM_ESTORE);
		goto err_tmp;
	}
	return sync_folder(path);
err_tmp:
	unlink(tmp);
	return ret;
}

/* One byte more than @max is asked for, so that growth is seen, not cut. */
static int read_all(int fd, size_t max, uint8_t **data, size_t *len)
{
	size_t got = 0, size = 0;
	uint8_t *buf = NULL, *more;
	ssize_t n;

	for (;;) {
		if (got == size) {
			size = size ? size * 2 : 4096;
			if (size > max + 1)
				size = max + 1;
			more = malloc(size + 1);
			if (!more) {
				file_free(buf, got);
				return -NTM_ENOMEM;
			}
			if (got)
				memcpy(more, buf, got);
			file_free(buf, got);
			buf = more;
		}
		n = read(fd, buf + got, size - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
		if (got > max)
			break;
	}
	if (n < 0 || got > max) {
		file_free(buf, got);
		return n < 0 ? -NTM_ESYSTEM : -NTM_ETOOBIG;
	}
	buf[got] = '\0';
	*data = buf;
	*len = got;
	return 0;
}

static int read_checked(const char *path, size_t max, bool private,
			uint8_t **data, size_t *len)
{
	struct stat st;
	int fd, ret;

	/* non-blocking: a FIFO of that name must not hold us */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return file_error(-NTM_ESYSTEM);
	if (fstat(fd, &st) < 0)
		ret = -NTM_ESYSTEM;
	else if (!S_ISREG(st.st_mode))
		ret = -NTM_EINVAL;
	else if (private && ((st.st_mode & 077) || st.st_uid != geteuid()))
		ret = -NTM_EPERM;
	else
		ret = read_all(fd, max, data, len);
	close(fd);
	return ret;
}

int file_read(const char *path, size_t max, uint8_t **data, size_t *len)
{
	return read_checked(path, max, false, data, len);
}

int file_read_private(const char *path, size_t max, uint8_t **data, size_t *len)
{
	return read_checked(path, max, true, data, len);
}

void file_free(uint8_t *data, size_t len)
{
	if (data)
		explicit_bzero(data, len);
	free(data);
}

static int make_one(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno == EEXIST || errno == EISDIR)
		return stat(path, &st) == 0 && S_ISDIR(st.st_mode)
			       ? 0
			       : -NTM_EINVAL;
	return file_error(-NTM_ESTORE);
}

int file_make_folder(const char *path, mode_t mode)
{
	size_t len = strlen(path);
	char buf[PATH_MAX], *slash;
	int ret;

	if (len == 0 || len >= sizeof(buf))
		return -NTM_EINVAL;
	/* mostly its parents are there */
	if (mkdir(path, mode) == 0)
		return 0;
	memcpy(buf, path, len + 1);
	for (slash = strchr(buf + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		ret = make_one(buf, mode);
		*slash = '/';
		if (ret)
			return ret;
	}
	return make_one(buf, mode);
}
