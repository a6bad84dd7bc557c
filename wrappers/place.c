/* SPDX-License-Identifier: MIT */
/*
 * place - what came goes where the person wants it
 *
 * Each file or folder at the top of an item is moved as a whole, by a rename that
 * never replaces; from another file system it is copied beside its place first. So
 * nothing is ever half there, and who is killed in between goes on with the rest.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wrappers/items.h"

#define RENAMES_MAX 1000

extern char **environ;

struct placing {
	const char *tree, *dir;
	int tree_fd, dir_fd;
	enum place_exists how;
	place_fn *fn;
	void *arg;
	bool left;
};

/* cp -a, as it knows sparse files, links and attributes */
static int copy(const char *from, const char *to)
{
	char *argv[] = {"cp", "-aT", "--", (char *)from, (char *)to, NULL};
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ))
		return -NTM_ESYSTEM;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -NTM_ESYSTEM;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -NTM_ESTORE;
}

static void remove_tree(const char *path)
{
	char *argv[] = {"rm", "-rf", "--", (char *)path, NULL};
	pid_t pid;

	if (!posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ))
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
}

/* From another file system: copied to NAME.part, then renamed. */
static int move_across(struct placing *p, const char *name, const char *to,
		       unsigned int flags)
{
	char from[PATH_MAX], part[PATH_MAX], part_name[NAME_MAX + 1];
	int err;

	if ((size_t)snprintf(from, sizeof(from), "%s/%s", p->tree, name) >=
		    sizeof(from) ||
	    (size_t)snprintf(part_name, sizeof(part_name), ".ntm.%d.part",
			     getpid()) >= sizeof(part_name) ||
	    (size_t)snprintf(part, sizeof(part), "%s/%s", p->dir, part_name) >=
		    sizeof(part))
		return -NTM_EINVAL;
	err = copy(from, part);
	if (!err && renameat2(p->dir_fd, part_name, p->dir_fd, to, flags))
		err = errno == EEXIST ? -NTM_EEXISTS : -NTM_ESTORE;
	remove_tree(err ? part : from);
	return err;
}

static int move(struct placing *p, const char *name, const char *to,
		bool replace)
{
	unsigned int flags = replace ? 0 : RENAME_NOREPLACE;

	if (!renameat2(p->tree_fd, name, p->dir_fd, to, flags))
		return 0;
	if (errno == EEXIST || errno == ENOTEMPTY || errno == EISDIR ||
	    errno == ENOTDIR)
		return -NTM_EEXISTS;
	if (errno == EXDEV)
		return move_across(p, name, to, flags);
	return errno == EACCES || errno == EPERM || errno == EROFS
		       ? -NTM_EPERM
		       : -NTM_ESTORE;
}

static void said(struct placing *p, const char *to)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", p->dir, to);
	p->fn(p->arg, path);
}

/* "report (2).pdf" */
static int move_renamed(struct placing *p, const char *name)
{
	const char *dot = strrchr(name, '.');
	char to[NAME_MAX + 16];
	int err, i, stem;

	stem = dot && dot != name ? (int)(dot - name) : (int)strlen(name);
	for (i = 2; i < RENAMES_MAX; i++) {
		snprintf(to, sizeof(to), "%.*s (%d)%s", stem, name, i,
			 name + stem);
		err = move(p, name, to, false);
		if (!err)
			said(p, to);
		if (err != -NTM_EEXISTS)
			return err;
	}
	return -NTM_EEXISTS;
}

static enum place_exists question(struct placing *p, const char *name)
{
	char line[32] = "";

	fprintf(stderr, "%s/%s exists: [o]verwrite, [r]ename, [s]kip? ", p->dir,
		name);
	if (!fgets(line, sizeof(line), stdin))
		return PLACE_REFUSE;
	return *line == 'o'   ? PLACE_OVERWRITE
	       : *line == 'r' ? PLACE_RENAME
			      : PLACE_REFUSE;
}

static int place_one(struct placing *p, const char *name)
{
	enum place_exists how = p->how;
	int err = move(p, name, name, false);

	if (!err)
		said(p, name);
	if (err != -NTM_EEXISTS)
		return err;
	if (how == PLACE_ASK)
		how = question(p, name);
	if (how == PLACE_RENAME)
		return move_renamed(p, name);
	err = how == PLACE_OVERWRITE ? move(p, name, name, true) : -NTM_EEXISTS;
	if (!err) {
		said(p, name);
	} else if (err == -NTM_EEXISTS) {
		fprintf(stderr, "ntm: %s/%s exists; it was left as it is%s\n",
			p->dir, name,
			how == PLACE_OVERWRITE ? " (folders are not replaced)"
					       : "");
		p->left = true;
		err = 0;
	}
	return err;
}

int place_tree(const char *tree, const char *dir, enum place_exists how,
	       place_fn *fn, void *arg)
{
	struct placing p = {
		.tree = tree, .dir = dir, .how = how, .fn = fn, .arg = arg};
	struct dirent *d;
	int err = 0;
	DIR *list;

	p.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p.dir_fd < 0)
		return errno == EACCES ? -NTM_EPERM : -NTM_ENOTFOUND;
	list = opendir(tree);
	if (!list) {
		close(p.dir_fd);
		return -NTM_ENOTFOUND;
	}
	p.tree_fd = dirfd(list);
	while (!err && (d = readdir(list)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			err = place_one(&p, d->d_name);
	if (!err && fsync(p.dir_fd))
		err = -NTM_ESTORE;
	closedir(list);
	close(p.dir_fd);
	return err ? err : p.left;
}
