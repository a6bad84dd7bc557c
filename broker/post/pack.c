/* SPDX-License-Identifier: MIT */
/* pack - listing what is to be sent: `manifest` and `sources`, in memory at first */
#include "broker/post/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "broker/post/pack_impl.h"

#define TOO_MANY "too many files for one item; send them as an archive"

struct listing {
	struct manifest_writer w;
	FILE *sources;
	struct pack_result *out;
	struct entry entry; /* too large for the stack of a recursion */
	char real[PATH_MAX];
};

static int refuse(struct listing *l, int err, const char *path,
		  const char *what)
{
	snprintf(l->out->why, sizeof(l->out->why), "%s: %s", path, what);
	entry_text_clean(l->out->why);
	return err;
}

static int refuse_errno(struct listing *l, const char *path)
{
	switch (errno) {
	case ENOENT:
		return refuse(l, -NTM_ENOTFOUND, path, "it does not exist");
	case EACCES:
	case EPERM:
		return refuse(l, -NTM_EPERM, path, "it may not be read");
	default:
		return refuse(l, -NTM_ESTORE, path, strerror(errno));
	}
}

static void leave_out(struct listing *l, const char *path)
{
	if (l->out->left_out++)
		return;
	snprintf(l->out->first_left_out, sizeof(l->out->first_left_out), "%s",
		 path);
	entry_text_clean(l->out->first_left_out);
}

static int source_put(struct listing *l, const struct stat *st)
{
	struct source s;

	source_from(&s, st);
	s.path_len = (uint32_t)strlen(l->real);
	if (fwrite(&s, sizeof(s), 1, l->sources) != 1 ||
	    fwrite(l->real, 1, s.path_len, l->sources) != s.path_len)
		return refuse(l, -NTM_ESTORE, l->real, "no room for a list");
	return 0;
}

/* l->entry.path is set; l->real is the file's place */
static int entry_put(struct listing *l, enum entry_kind kind,
		     const struct stat *st)
{
	struct entry *e = &l->entry;
	bool data = kind == ENTRY_FILE || kind == ENTRY_TEXT;
	int err;

	e->kind = kind;
	e->mode = st->st_mode & 0777;
	e->mtime = st->st_mtim.tv_sec;
	e->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	e->size = data ? (uint64_t)st->st_size : 0;
	if (kind != ENTRY_LINK)
		*e->target = '\0';
	err = manifest_add(&l->w, e);
	if (err == -NTM_EINVAL)
		return refuse(l, err, l->real,
			      "it has a name that cannot be sent");
	if (err == -NTM_ELIMIT)
		return refuse(l, err, l->real, TOO_MANY);
	if (err)
		return refuse(l, err, l->real, "no room for a list");
	l->out->files += data;
	l->out->folders += kind == ENTRY_FOLDER;
	return data ? source_put(l, st) : 0;
}

static int list_at(struct listing *l, int at, const char *name);

static int by_name(const void *a, const void *b)
{
	return entry_path_cmp(*(char *const *)a, *(char *const *)b);
}

static void names_free(char **names, size_t n)
{
	while (n--)
		free(names[n]);
	free(names);
}

/* All names in the folder, sorted; takes @fd */
static int names_read(int fd, char ***out, size_t *n_out)
{
	char **names = NULL, **more;
	size_t n = 0, room = 0;
	struct dirent *d;
	DIR *dir = fdopendir(fd);
	int err = 0;

	if (!dir) {
		close(fd);
		return -NTM_ENOMEM;
	}
	while (!err && (d = readdir(dir))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (n == room) {
			room = room ? 2 * room : 64;
			more = reallocarray(names, room, sizeof(*names));
			if (!more) {
				err = -NTM_ENOMEM;
				break;
			}
			names = more;
		}
		names[n] = strdup(d->d_name);
		err = !names[n]		       ? -NTM_ENOMEM
		      : ++n > MANIFEST_ENTRIES ? -NTM_ELIMIT
					       : 0;
	}
	closedir(dir);
	if (err) {
		names_free(names, n);
		return err;
	}
	if (n)
		qsort(names, n, sizeof(*names), by_name);
	*out = names;
	*n_out = n;
	return 0;
}

/* "/name" behind @path; its old length through @len. false: no room */
static bool append(char *path, size_t size, const char *name, size_t *len)
{
	*len = strlen(path);
	return (size_t)snprintf(path + *len, size - *len, "/%s", name) <
	       size - *len;
}

static int folder_list(struct listing *l, int fd)
{
	size_t n, i, entry_len, real_len;
	char **names;
	int err, keep = dup(fd);

	if (keep < 0)
		return -NTM_ENOMEM;
	err = names_read(keep, &names, &n);
	if (err)
		return refuse(l, err, l->real,
			      err == -NTM_ELIMIT
				      ? TOO_MANY
				      : "the folder cannot be listed");
	for (i = 0; !err && i < n; i++) {
		if (!append(l->real, sizeof(l->real), names[i], &real_len) ||
		    !append(l->entry.path, sizeof(l->entry.path), names[i],
			    &entry_len)) {
			err = refuse(l, -NTM_EINVAL, l->real,
				     "its path is too long");
			break;
		}
		err = list_at(l, fd, names[i]);
		l->real[real_len] = '\0';
		l->entry.path[entry_len] = '\0';
	}
	names_free(names, n);
	return err;
}

static int link_list(struct listing *l, int at, const char *name,
		     const struct stat *st)
{
	ssize_t n = readlinkat(at, name, l->entry.target,
			       sizeof(l->entry.target) - 1);

	if (n < 0)
		return refuse_errno(l, l->real);
	l->entry.target[n] = '\0';
	if (!entry_target_ok(l->entry.path, l->entry.target)) {
		*l->entry.target = '\0';
		leave_out(l, l->real);
		return 0;
	}
	return entry_put(l, ENTRY_LINK, st);
}

/* /proc and some file systems in user space say of files that they are empty, and give
 * bytes all the same: what would arrive is nothing, and be said to be received. */
static int empty_check(struct listing *l, int fd)
{
	char byte;
	ssize_t n = pread(fd, &byte, 1, 0);

	if (n < 0)
		return refuse_errno(l, l->real);
	return n ? refuse(l, -NTM_EINVAL, l->real,
			  "how long it is cannot be known before it is read; "
			  "send a copy of it")
		 : 0;
}

/* @name below @at; l->real and l->entry.path name it already */
static int list_at(struct listing *l, int at, const char *name)
{
	struct stat st;
	int fd, err;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW))
		return refuse_errno(l, l->real);
	if (S_ISLNK(st.st_mode))
		return link_list(l, at, name, &st);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		leave_out(l, l->real);
		return 0;
	}
	/* that it can be read is found out now, not when half is sent */
	fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		err = refuse_errno(l, l->real);
	} else if (S_ISDIR(st.st_mode)) {
		err = entry_put(l, ENTRY_FOLDER, &st);
		if (!err)
			err = folder_list(l, fd);
	} else {
		err = st.st_size ? 0 : empty_check(l, fd);
		if (!err)
			err = entry_put(l, ENTRY_FILE, &st);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

struct top {
	char *real, *name;
};

/* What is at @path is called at the receiver as it was called here: of a link the name
 * of what it leads to would tell what nobody wrote. Only what ends in "." or ".." has no
 * name there. */
static char *top_name(const char *path, const char *real)
{
	size_t end = strlen(path), begin;

	while (end && path[end - 1] == '/')
		end--;
	for (begin = end; begin && path[begin - 1] != '/';)
		begin--;
	path += begin;
	end -= begin;
	if (!end || (end == 1 && *path == '.') ||
	    (end == 2 && !strncmp(path, "..", 2)))
		return strdup(strrchr(real, '/') + 1);
	return strndup(path, end);
}

static int by_top(const void *a, const void *b)
{
	return entry_path_cmp(((const struct top *)a)->name,
			      ((const struct top *)b)->name);
}

static int tops_list(struct listing *l, struct top *tops, size_t n)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < n; i++) {
		if (strlen(tops[i].real) >= sizeof(l->real) ||
		    strlen(tops[i].name) > ITEM_PART_MAX)
			return refuse(l, -NTM_EINVAL, tops[i].real,
				      "its path is too long");
		if (i && !strcmp(tops[i].name, tops[i - 1].name))
			return refuse(l, -NTM_EEXISTS, tops[i].real,
				      "another one has the same name; send "
				      "them one by one");
		strcpy(l->real, tops[i].real);
		strcpy(l->entry.path, tops[i].name);
		err = list_at(l, AT_FDCWD, l->real);
	}
	return err;
}

static int paths_list(struct listing *l, const char *const *paths, size_t n)
{
	struct top *tops = calloc(n, sizeof(*tops));
	size_t i;
	int err = 0;

	if (!tops)
		return -NTM_ENOMEM;
	for (i = 0; !err && i < n; i++) {
		tops[i].real = realpath(paths[i], NULL);
		if (!tops[i].real)
			err = refuse_errno(l, paths[i]);
		else if (!(tops[i].name = top_name(paths[i], tops[i].real)))
			err = -NTM_ENOMEM;
	}
	if (!err) {
		snprintf(l->out->name, sizeof(l->out->name), "%s",
			 tops[0].name);
		qsort(tops, n, sizeof(*tops), by_top);
		err = tops_list(l, tops, n);
	}
	for (i = 0; i < n; i++) {
		free(tops[i].real);
		free(tops[i].name);
	}
	free(tops);
	return err;
}

static int text_list(struct listing *l, const char *text)
{
	struct stat st = {.st_mode = S_IFREG | 0600,
			  .st_size = (off_t)strlen(text)};

	clock_gettime(CLOCK_REALTIME, &st.st_mtim);
	strcpy(l->entry.path, "text");
	return entry_put(l, ENTRY_TEXT, &st);
}

static int listing_end(struct listing *l, int err)
{
	if (!err && fflush(l->sources))
		err = refuse(l, -NTM_ESTORE, l->real, "no room for a list");
	if (!err && !l->w.count)
		err = refuse(l, -NTM_EINVAL, l->out->first_left_out,
			     "nothing that can be sent");
	if (!err)
		l->out->payload = 4 + l->w.len + l->w.data;
	return err;
}

static FILE *memory_file(const char *name, int *fd)
{
	FILE *f;

	*fd = memfd_create(name, MFD_CLOEXEC);
	if (*fd < 0)
		return NULL;
	f = fdopen(*fd, "w+");
	if (!f)
		close(*fd);
	return f;
}

int pack_list(const char *const *paths, size_t n, const char *text,
	      struct pack_result *out, struct pack **pack)
{
	struct listing *l = calloc(1, sizeof(*l));
	int err, fd;

	memset(out, 0, sizeof(*out));
	if (!l)
		return -NTM_ENOMEM;
	l->out = out;
	l->w.fd = memfd_create("manifest", MFD_CLOEXEC);
	l->sources = memory_file("sources", &fd);
	if (l->w.fd < 0 || !l->sources)
		err = refuse(l, -NTM_ENOMEM, "", "no room for a list");
	else
		err = n ? paths_list(l, paths, n) : text_list(l, text);
	err = listing_end(l, err);
	if (!err) {
		err = pack_of(l->w.fd, l->sources, n ? NULL : text, pack);
	} else {
		if (l->sources)
			fclose(l->sources);
		if (l->w.fd >= 0)
			close(l->w.fd);
	}
	free(l);
	return err;
}
