/* SPDX-License-Identifier: MIT */
/* datadir - the folder that holds a server's keys, stores and configuration */
#include "servers/datadir.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"

static const char *const names[] = {
	[DATADIR_CONF] = "ntm-server.conf",
	[DATADIR_CA_KEY] = "as/ca.key",
	[DATADIR_CA_CERT] = "as/ca.pem",
	[DATADIR_AS_KEY] = "as/server.key",
	[DATADIR_AS_CERT] = "as/server.der",
	[DATADIR_AS_DB] = "as/as.db",
	[DATADIR_DC_CA] = "dc/ca.der",
	[DATADIR_DC_KEY] = "dc/server.key",
	[DATADIR_DC_CERT] = "dc/server.der",
	[DATADIR_DC_DB] = "dc/dc.db",
	[DATADIR_RS_KEY] = "rs/server.key",
	[DATADIR_RS_CERT] = "rs/server.der",
	[DATADIR_NS_KEY] = "ns/server.key",
	[DATADIR_NS_CERT] = "ns/server.der",
	[DATADIR_DC_PEERS] = "dc/peers",
	[DATADIR_REMOVED] = "removed",
	[DATADIR_CS_KEY] = "cs/server.key",
	[DATADIR_CS_CERT] = "cs/server.der",
	[DATADIR_BOX_KEY] = "box/server.key",
	[DATADIR_BOX_CERT] = "box/server.der",
	[DATADIR_BOX_DB] = "box/box.db",
	[DATADIR_CS_DB] = "cs/cs.db",
	[DATADIR_GMS_KEY] = "gms/server.key",
	[DATADIR_GMS_CERT] = "gms/server.der",
	[DATADIR_GMS_DB] = "gms/gms.db",
};
static_assert(sizeof(names) / sizeof(names[0]) == DATADIR_NFILES, "names");

static const char *const folders[] = {"as", "dc", "rs",	 "exit",
				      "ns", "cs", "box", "gms"};

const char *datadir_name(enum datadir_file f)
{
	return names[f];
}

int datadir_path(const char *dir, const char *name,
		 char out[static DATADIR_PATH_MAX])
{
	int n = snprintf(out, DATADIR_PATH_MAX, "%s/%s", dir, name);

	return n < 0 || n >= DATADIR_PATH_MAX ? -NTM_EINVAL : 0;
}

int datadir_file(const char *dir, enum datadir_file f,
		 char out[static DATADIR_PATH_MAX])
{
	return datadir_path(dir, names[f], out);
}

int datadir_default(char out[static DATADIR_PATH_MAX])
{
	const char *base = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");
	int n;

	if (geteuid() == 0)
		n = snprintf(out, DATADIR_PATH_MAX, "/var/lib/ntm");
	else if (base && *base == '/')
		n = snprintf(out, DATADIR_PATH_MAX, "%s/ntm-server", base);
	else if (home && *home == '/')
		n = snprintf(out, DATADIR_PATH_MAX,
			     "%s/.local/share/ntm-server", home);
	else
		return -NTM_ENOTFOUND;
	return n < 0 || n >= DATADIR_PATH_MAX ? -NTM_ENOTFOUND : 0;
}

static bool is_empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool empty = true;

	if (!d)
		return false;
	while (empty && (e = readdir(d)))
		empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
	closedir(d);
	return empty;
}

static int find_user(const char *user, uid_t *uid, gid_t *gid)
{
	struct passwd *p = getpwnam(user ? user : "ntm");

	if (!p && !user)
		p = getpwnam("nobody");
	if (!p)
		return -NTM_ENONAME;
	*uid = p->pw_uid;
	*gid = p->pw_gid;
	return 0;
}

int datadir_make(const char *dir, const char *user, bool force)
{
	char path[DATADIR_PATH_MAX];
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (uid == 0) {
		r = find_user(user, &uid, &gid);
		if (r)
			return r;
	}
	r = file_make_folder(dir, 0700);
	if (r)
		return r;
	if (access(dir, R_OK | W_OK | X_OK))
		return -NTM_EPERM; /* not "something is in it" */
	if (!force && !is_empty(dir))
		return -NTM_EEXISTS;
	if (chmod(dir, 0700))
		return -NTM_EPERM;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		r = datadir_path(dir, folders[i], path);
		if (r)
			return r;
		if (mkdir(path, 0700) && errno != EEXIST)
			return -NTM_ESTORE;
		if (geteuid() == 0 && chown(path, uid, gid))
			return -NTM_EPERM;
	}
	if (geteuid() == 0 && chown(dir, uid, gid))
		return -NTM_EPERM;
	return 0;
}

int datadir_owner(const char *dir, unsigned int *uid, unsigned int *gid)
{
	struct stat st;

	if (stat(dir, &st))
		return errno == EACCES ? -NTM_EPERM : -NTM_ENOTFOUND;
	if (!S_ISDIR(st.st_mode))
		return -NTM_ENOTFOUND;
	*uid = st.st_uid;
	*gid = st.st_gid;
	return 0;
}

int datadir_enter(const char *dir)
{
	unsigned int uid, gid;
	int r = datadir_owner(dir, &uid, &gid);

	if (r)
		return r;
	if (uid == geteuid())
		return 0;
	if (geteuid() != 0)
		return -NTM_EPERM;
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) ||
	    setresuid(uid, uid, uid))
		return -NTM_EPERM;
	return 0;
}

bool datadir_is_running(const char *dir)
{
	char path[DATADIR_PATH_MAX];
	bool held;
	int fd;

	if (datadir_path(dir, DATADIR_LOCK, path))
		return false;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	held = flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
	close(fd);
	return held;
}
