/* SPDX-License-Identifier: MIT */
/* rundir - the folder where broker, shim and tools of one user meet */
#include "common/rundir.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int dir_check(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode) || st.st_uid != getuid() || (st.st_mode & 077))
		return -EPERM;
	return 0;
}

/* The n-th candidate; false where there is none. */
static bool dir_candidate(int n, const char *xdg, char *buf, size_t size)
{
	struct stat st;
	char user[40];
	int len;

	switch (n) {
	case 0:
		if (!xdg || xdg[0] != '/')
			return false;
		len = snprintf(buf, size, "%s/ntm", xdg);
		break;
	case 1:
		snprintf(user, sizeof(user), "/run/user/%u", getuid());
		if (lstat(user, &st) < 0 || !S_ISDIR(st.st_mode) ||
		    st.st_uid != getuid())
			return false;
		len = snprintf(buf, size, "%s/ntm", user);
		break;
	default:
		len = snprintf(buf, size, "/tmp/ntm-%u", getuid());
		break;
	}
	return len > 0 && (size_t)len < size && len < RUNDIR_MAX;
}

static int rundir_find(const char *xdg, char *buf, size_t size, bool make)
{
	int n;

	for (n = 0; n < 3; n++) {
		if (!dir_candidate(n, xdg, buf, size))
			continue;
		if (make && mkdir(buf, 0700) < 0 && errno != EEXIST)
			return -errno;
		return dir_check(buf);
	}
	return -ENOENT;
}

const char *rundir_xdg(void)
{
	return secure_getenv("XDG_RUNTIME_DIR");
}

int rundir_path(char *buf, size_t size)
{
	return rundir_find(rundir_xdg(), buf, size, false);
}

int rundir_make(char *buf, size_t size)
{
	return rundir_find(rundir_xdg(), buf, size, true);
}

int rundir_file(const char *name, char *buf, size_t size)
{
	return rundir_file_in(rundir_xdg(), name, buf, size);
}

int rundir_file_in(const char *xdg, const char *name, char *buf, size_t size)
{
	char dir[RUNDIR_MAX];
	int err = rundir_find(xdg, dir, sizeof(dir), false);
	int len;

	if (err)
		return err;
	len = snprintf(buf, size, "%s/%s", dir, name);
	return len > 0 && (size_t)len < size ? 0 : -ENAMETOOLONG;
}
