/* SPDX-License-Identifier: MIT */
/*
 * place_mode - what came is open to whom the umask says, as all that a person makes
 *
 * Files come with the sender's mode, which nobody but the owner may write; who else may
 * read them is not the sender's to say.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wrappers/items.h"

/* As the kernel shows it: umask() would set another one for a moment, for all threads. */
mode_t place_umask(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned int mask = 077; /* where nobody can tell */
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Umask: %o", &mask) == 1)
			break;
	if (f)
		fclose(f);
	return mask & 077;
}

static int below(int fd, mode_t mask)
{
	DIR *dir = fdopendir(fd);
	struct dirent *d;
	int err = 0;

	if (!dir) {
		close(fd);
		return -NTM_ESTORE;
	}
	while (!err && (d = readdir(dir)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			err = place_mode(dirfd(dir), d->d_name, mask);
	closedir(dir);
	return err;
}

/* An item is 64 folders deep at most: so are the descriptors. */
int place_mode(int at, const char *name, mode_t mask)
{
	struct stat st;
	int fd;

	/* what has come has at most 0755 */
	if (!(mask & 0755))
		return 0;
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW))
		return -NTM_ESTORE;
	if (S_ISLNK(st.st_mode))
		return 0;
	if ((st.st_mode & mask) &&
	    fchmodat(at, name, st.st_mode & 0777 & ~mask, 0))
		return -NTM_ESTORE;
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -NTM_ESTORE : below(fd, mask);
}
