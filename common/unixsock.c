/* SPDX-License-Identifier: MIT */
/* unixsock - sockets in a folder where processes of one user meet, and who is at the end */
#include "common/unixsock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int unixsock_path(const char *dir, const char *name, struct sockaddr_un *out)
{
	int n;

	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(out->sun_path, sizeof(out->sun_path), "%s/%s", dir, name);
	return n > 0 && (size_t)n < sizeof(out->sun_path) ? 0 : -NTM_EINVAL;
}

static int make(int type)
{
	return socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int fail(int fd, int err)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return err;
}

int unixsock_listen(const char *dir, const char *name, int type, int backlog,
		    int *fd)
{
	struct sockaddr_un un;
	int s, err = unixsock_path(dir, name, &un);

	if (err)
		return err;
	s = make(type);
	if (s < 0)
		return -NTM_ESYSTEM;
	unlink(un.sun_path);
	/* before: bind() makes the file with the socket's mode */
	if (fchmod(s, 0600) || bind(s, (struct sockaddr *)&un, sizeof(un)) ||
	    listen(s, backlog))
		return fail(s, -NTM_ESYSTEM);
	*fd = s;
	return 0;
}

int unixsock_dial(const char *dir, const char *name, int type, int *fd)
{
	struct sockaddr_un un;
	int s, err = unixsock_path(dir, name, &un);

	if (err)
		return err;
	s = make(type);
	if (s < 0)
		return -NTM_ESYSTEM;
	if (connect(s, (struct sockaddr *)&un, sizeof(un)) ||
	    !unixsock_is_ours(s))
		return fail(s, -NTM_ECLOSED);
	*fd = s;
	return 0;
}

bool unixsock_is_there(const char *dir, const char *name)
{
	struct sockaddr_un un;
	struct stat st;

	return !unixsock_path(dir, name, &un) && !lstat(un.sun_path, &st) &&
	       S_ISSOCK(st.st_mode);
}

static bool user_of(int fd, uid_t *out)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return false;
	*out = cred.uid;
	return true;
}

bool unixsock_is_ours(int fd)
{
	uid_t uid;

	return user_of(fd, &uid) && uid == geteuid();
}

bool unixsock_is_ours_or_root(int fd)
{
	uid_t uid;

	return user_of(fd, &uid) && (uid == 0 || uid == geteuid());
}
