/* SPDX-License-Identifier: MIT */
/*
 * place - what came goes where the person wants it
 *
 * Each file or folder at the top of an item is moved as a whole, by a rename that
 * never replaces; from another file system it is copied beside its place first. So
 * nothing is ever half there, and who is killed in between goes on with the rest; a
 * record (placed.c) remembers what has gone where. Nothing that is hidden, as .profile
 * is, comes to be: it would be run at the next login.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wrappers/child.h"
#include "wrappers/items.h"

#define RENAMES_MAX   1000
#define NUMBER_MAX    6	 /* bytes of " (999)" */
#define EXTENSION_MAX 32 /* bytes; what is longer is no ".tar" */

struct placing {
	const char *folder, *dir;
	char tree[PATH_MAX], real[PATH_MAX]; /* real: @dir, absolute */
	int tree_fd, dir_fd;
	mode_t mask;
	struct placed *record;
	const struct place_way *way;
	bool left;
};

/* cp -a, as it knows sparse files, links and attributes */
static int copy(const char *from, const char *to)
{
	char *argv[] = {"cp", "-aT", "--", (char *)from, (char *)to, NULL};
	int status = child_run("cp", argv);

	return status < 0 ? status : status ? -NTM_ESTORE : 0;
}

/* what is left of it goes with the item, or at the next try */
static void remove_tree(const char *path)
{
	char *argv[] = {"rm", "-rf", "--", (char *)path, NULL};

	(void)!child_run("rm", argv);
}

/* Is @error that of a name which is in use? */
static bool taken(int error)
{
	return error == EEXIST || error == ENOTEMPTY || error == EISDIR ||
	       error == ENOTDIR;
}

static bool is_folder(int dir, const char *name)
{
	struct stat st;

	return !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       S_ISDIR(st.st_mode);
}

/* renameat(), which replaces nothing unless it is told to, and never a folder. File systems of networks and
 * in user space do not know RENAME_NOREPLACE: there the name is made first. */
static int rename_to(int from_fd, const char *name, int to_fd, const char *to,
		     bool replace)
{
	int fd;

	/* the kernel would replace one that is empty */
	if (replace && is_folder(from_fd, name)) {
		errno = EEXIST;
		return -1;
	}
	if (!renameat2(from_fd, name, to_fd, to,
		       replace ? 0 : RENAME_NOREPLACE))
		return 0;
	if (replace || errno != EINVAL)
		return -1;
	if (is_folder(from_fd, name)) {
		if (mkdirat(to_fd, to, 0700))
			return -1;
	} else {
		fd = openat(to_fd, to,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
				    O_CLOEXEC,
			    0600);
		if (fd < 0)
			return -1;
		close(fd);
	}
	return renameat(from_fd, name, to_fd, to);
}

/* --- from another file system ------------------------------------------------------------ */

/*
 * A copy is made in a folder of its own beside its place, and renamed from there. Others
 * may write where that is: they know its name, but not its number, cannot put anything
 * into it (0700), and what we do there goes by its descriptor, whatever they do with the
 * name. Of one who was killed it stays, until the item is placed by the next.
 */
struct beside {
	char name[NAME_MAX + 1], path[64]; /* path: of "part" in it */
	int fd;
};

/* Is it ours? Where owners are not known (vfat) it is if nobody can plant links there. */
static bool is_private(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return false;
	if (st.st_uid == geteuid())
		return true;
	if (!symlinkat("x", fd, "x")) {
		unlinkat(fd, "x", 0);
		return false;
	}
	return errno == EPERM;
}

static int beside_enter(const struct placing *p, struct beside *b)
{
	/* inherited: cp and rm find it by this number */
	b->fd = openat(p->dir_fd, b->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (b->fd < 0)
		return -NTM_ESTORE;
	if (!is_private(b->fd)) {
		close(b->fd);
		return -NTM_EPERM;
	}
	snprintf(b->path, sizeof(b->path), "/proc/self/fd/%d/part", b->fd);
	return 0;
}

static void beside_end(const struct placing *p, struct beside *b)
{
	remove_tree(b->path);
	close(b->fd);
	unlinkat(p->dir_fd, b->name, AT_REMOVEDIR);
}

/* Return: bytes of the prefix that all of this item's have */
static size_t beside_prefix(const struct placing *p, char *out, size_t size)
{
	const char *item = strrchr(p->folder, '/');
	int n = snprintf(out, size, ".ntm.%s.", item ? item + 1 : "item");

	return n > 0 && (size_t)n + 17 <= size ? (size_t)n : 0;
}

/* of those who were killed */
static void beside_clean(const struct placing *p)
{
	struct beside b;
	size_t n = beside_prefix(p, b.name, sizeof(b.name));
	char prefix[NAME_MAX + 1];
	DIR *d = NULL;
	struct dirent *e;
	int fd = openat(p->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (n && fd >= 0)
		d = fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	strcpy(prefix, b.name);
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, prefix, n) != 0)
			continue;
		snprintf(b.name, sizeof(b.name), "%s", e->d_name);
		if (!beside_enter(p, &b))
			beside_end(p, &b);
	}
	closedir(d);
}

static int beside_make(const struct placing *p, struct beside *b)
{
	size_t n = beside_prefix(p, b->name, sizeof(b->name));
	uint64_t r;

	if (!n || getrandom(&r, sizeof(r), 0) != sizeof(r))
		return -NTM_ESYSTEM;
	snprintf(b->name + n, sizeof(b->name) - n, "%016llx",
		 (unsigned long long)r);
	if (mkdirat(p->dir_fd, b->name, 0700))
		return errno == EACCES || errno == EPERM || errno == EROFS
			       ? -NTM_EPERM
			       : -NTM_ESTORE;
	return beside_enter(p, b);
}

static int move_across(struct placing *p, const char *name, const char *to,
		       bool replace)
{
	char from[PATH_MAX];
	struct beside b;
	int err;

	if ((size_t)snprintf(from, sizeof(from), "%s/%s", p->tree, name) >=
	    sizeof(from))
		return -NTM_EINVAL;
	beside_clean(p);
	err = beside_make(p, &b);
	if (err)
		return err;
	err = copy(from, b.path);
	/* what it was copied from goes next: the copy is on the disk before, and its name */
	if (!err && syncfs(p->dir_fd))
		err = -NTM_ESTORE;
	if (!err && rename_to(b.fd, "part", p->dir_fd, to, replace))
		err = taken(errno) ? -NTM_EEXISTS : -NTM_ESTORE;
	if (!err && fsync(p->dir_fd) && syncfs(p->dir_fd))
		err = -NTM_ESTORE;
	beside_end(p, &b);
	return err;
}

/* @name becomes @to. What a copy leaves in the tree goes when the record has it. */
static int move(struct placing *p, const char *name, const char *to,
		bool replace)
{
	char path[PATH_MAX], from[PATH_MAX];
	bool across = false;
	int err;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", p->real, to) >=
		    sizeof(path) ||
	    (size_t)snprintf(from, sizeof(from), "%s/%s", p->tree, name) >=
		    sizeof(from))
		return -NTM_EINVAL;
	err = place_mode(p->tree_fd, name, p->mask);
	if (!err)
		err = placed_intend(p->record, name, path);
	if (err)
		return err;
	if (rename_to(p->tree_fd, name, p->dir_fd, to, replace)) {
		across = errno == EXDEV;
		err = across	     ? move_across(p, name, to, replace)
		      : taken(errno) ? -NTM_EEXISTS
		      : errno == EACCES || errno == EPERM || errno == EROFS
			      ? -NTM_EPERM
			      : -NTM_ESTORE;
	}
	if (!err)
		err = placed_done(p->record, name, path);
	if (!err && across)
		remove_tree(from);
	return err;
}

static void said(struct placing *p, const char *to)
{
	char path[PATH_MAX];

	if (!p->way->placed)
		return;
	snprintf(path, sizeof(path), "%s/%s", p->dir, to);
	p->way->placed(p->way->arg, path);
}

/* "report (2).pdf" of "report.pdf", in as many bytes as a name has */
static void numbered(const char *name, int i, char to[static NAME_MAX + 1])
{
	const char *dot = strrchr(name, '.');
	int len = (int)strlen(name), stem = len, most;

	if (dot && dot != name && len - (dot - name) <= EXTENSION_MAX)
		stem = (int)(dot - name);
	most = NAME_MAX - NUMBER_MAX - (len - stem);
	dot = name + stem;
	if (stem > most)
		for (stem = most; stem && (name[stem] & 0xc0) == 0x80;)
			stem--; /* not inside a character */
	snprintf(to, NAME_MAX + 1, "%.*s (%d)%s", stem, name, i, dot);
}

static int move_renamed(struct placing *p, const char *name, const char *wanted)
{
	char to[NAME_MAX + 1];
	int err, i;

	for (i = 2; i < RENAMES_MAX; i++) {
		numbered(wanted, i, to);
		err = move(p, name, to, false);
		if (!err)
			said(p, to);
		if (err != -NTM_EEXISTS)
			return err;
	}
	return -NTM_EEXISTS;
}

/* A copy of it is in its place; we were killed right then. */
static void copied_remove(struct placing *p, const char *name)
{
	char from[PATH_MAX];

	if ((size_t)snprintf(from, sizeof(from), "%s/%s", p->tree, name) <
	    sizeof(from))
		remove_tree(from);
}

static int place_one(struct placing *p, const char *name)
{
	enum place_exists how = p->way->how;
	char to[NAME_MAX + 1];
	int err;

	if (placed_is_done(p->record, name)) {
		copied_remove(p, name);
		return 0;
	}
	snprintf(to, sizeof(to), "%s", name);
	if (*to == '.')
		*to = '_'; /* a shell or desktop would run .profile unasked */
	err = move(p, name, to, false);
	if (!err)
		said(p, to);
	if (err != -NTM_EEXISTS)
		return err;
	if (how == PLACE_ASK)
		how = p->way->ask(p->way->arg, p->dir, to);
	if (how == PLACE_RENAME)
		return move_renamed(p, name, to);
	err = how == PLACE_OVERWRITE ? move(p, name, to, true) : -NTM_EEXISTS;
	if (!err) {
		said(p, to);
	} else if (err == -NTM_EEXISTS) {
		p->left = true;
		if (p->way->left)
			p->way->left(p->way->arg, p->dir, to, how);
		err = 0;
	}
	return err;
}

static int names(const struct dirent *d)
{
	return strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
}

/* In order of names, so that a command gets them in an order that can be known */
static int tree_place(struct placing *p, struct place_list *placed)
{
	struct dirent **list = NULL;
	int n = scandirat(p->tree_fd, ".", &list, names, alphasort), i;
	int err = n < 0 ? -NTM_ENOMEM : 0;

	for (i = 0; i < n; i++) {
		if (!err)
			err = place_one(p, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	if (!err && fsync(p->dir_fd))
		err = -NTM_ESTORE;
	return err ? err : placed_paths(p->record, p->tree_fd, placed);
}

int place_tree(const char *folder, struct placed *record, const char *dir,
	       const struct place_way *way, struct place_list *placed)
{
	struct placing p = {
		.folder = folder, .record = record, .dir = dir, .way = way};
	int err = 0;

	p.mask = place_umask();
	if ((size_t)snprintf(p.tree, sizeof(p.tree), "%s/tree", folder) >=
	    sizeof(p.tree))
		return -NTM_EINVAL;
	p.tree_fd = -1;
	p.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p.dir_fd < 0 || !realpath(dir, p.real))
		err = errno == EACCES ? -NTM_EPERM : -NTM_ENOTFOUND;
	if (!err) {
		p.tree_fd = open(p.tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = p.tree_fd < 0 ? -NTM_ENOTFOUND : 0;
	}
	if (!err)
		err = tree_place(&p, placed);
	if (p.tree_fd >= 0)
		close(p.tree_fd);
	if (p.dir_fd >= 0)
		close(p.dir_fd);
	return err ? err : p.left;
}
