/* SPDX-License-Identifier: MIT */
/*
 * unpack - a payload as it comes, written below one folder and nowhere else
 *
 * Theory of operation
 *
 * Three stages follow the payload: the length, the manifest, the data. The
 * manifest is collected in a file and read through once, every entry, before
 * anything of it is made: an item with one bad path makes no file at all. Then
 * entries are taken one by one, as their bytes come.
 *
 * Each part of a path is opened below its folder with O_NOFOLLOW, from `tree` on.
 * Links are made last, by unpack_finish(), when nothing is opened through them any
 * more. `tree` is emptied when a manifest is complete, so that nothing lies in it but
 * what this one names: what came before may have been a blob that others, who have
 * the key as well, made with files of their own, and that broke off before its seal.
 *
 * Each WINDOW of a file the kernel is told to begin with writing, so that the disk works
 * while more comes, and a sync finds little left to wait for.
 *
 * Going on: payload.head has the manifest, and reading it again finds the entry
 * that holds the offset. Files before it are done, that one is cut to what was on
 * the disk for certain.
 */
#include "broker/post/unpack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_LEN 4
#define WINDOW	 (UINT64_C(4) << 20)

/**
 * enum unpack_stage
 * @UNPACK_FRONT: length and manifest come.         Leaves by: all of it is valid
 * @UNPACK_DATA:  entries' data come, in their order. Leaves by: unpack_finish()
 * @UNPACK_DONE:  all is made and durable
 * @UNPACK_BAD:   refused; only unpack_close()
 */
enum unpack_stage { UNPACK_FRONT, UNPACK_DATA, UNPACK_DONE, UNPACK_BAD };

struct unpack {
	enum unpack_stage stage;
	int head, tree;	  /* payload.head; the folder of all files */
	int parent, file; /* folder and file of @now; -1: none */
	char parent_path[ITEM_PATH_MAX + 1];
	uint64_t payload, at;
	uint8_t length[HEAD_LEN];
	uint64_t manifest_len;
	bool fresh;		 /* the tree is new, and empty */
	bool kinds[ENTRY_KINDS]; /* that the manifest has */
	struct manifest_reader list;
	struct entry now;
	uint64_t begin;	      /* offset in the payload of @now's data */
	uint64_t started;     /* of @file: writing back began up to here */
	bool has_now, closed; /* a file was closed since the last sync */
	size_t entries;
	int (*room)(void *arg, size_t entries);
	void *room_arg;
};

/* --- below `tree`
 * ------------------------------------------------------------------- */

/* The folder of @path; @name: its last part. Return: descriptor, kept open */
static int parent_open(struct unpack *u, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/'), *part;
	size_t len = slash ? (size_t)(slash - path) : 0;
	char folder[ITEM_PATH_MAX + 1];
	int fd, next;
	char *end;

	*name = slash ? slash + 1 : path;
	if (!len)
		return u->tree;
	memcpy(folder, path, len);
	folder[len] = '\0';
	if (u->parent >= 0 && !strcmp(u->parent_path, folder))
		return u->parent;
	if (u->parent >= 0)
		close(u->parent);
	u->parent = -1;
	strcpy(u->parent_path, folder);
	fd = u->tree;
	for (part = folder; part; part = end ? end + 1 : NULL) {
		end = strchr(part, '/');
		if (end)
			*end = '\0';
		next = openat(fd, part,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd != u->tree)
			close(fd);
		if (next < 0)
			return -1;
		fd = next;
	}
	u->parent = fd;
	return fd;
}

static int folder_make(struct unpack *u)
{
	const char *name;
	struct stat st;
	int at = parent_open(u, u->now.path, &name);

	if (at < 0)
		return -NTM_ESTORE;
	if (!mkdirat(at, name, 0700))
		return 0;
	if (errno == EEXIST && !fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) &&
	    S_ISDIR(st.st_mode))
		return 0;
	return -NTM_ESTORE;
}

/* @keep: bytes of it that stay */
static int file_open(struct unpack *u, uint64_t keep)
{
	const char *name;
	struct stat st;
	int at = parent_open(u, u->now.path, &name);

	if (at < 0)
		return -NTM_ESTORE;
	u->file = openat(
		at, name,
		O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (u->file < 0 || fstat(u->file, &st) || !S_ISREG(st.st_mode) ||
	    st.st_nlink != 1 || (uint64_t)st.st_size < keep ||
	    ((uint64_t)st.st_size > keep && ftruncate(u->file, (off_t)keep)) ||
	    (keep && lseek(u->file, (off_t)keep, SEEK_SET) < 0))
		return -NTM_ESTORE;
	u->started = keep;
	return 0;
}

/* Permissions without set-id bits; the owner can always read and write, and nobody
 * else can write what a stranger sent, whatever the stranger says. */
static int attributes_set(int fd, const struct entry *e, unsigned int least)
{
	const struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = (time_t)e->mtime, .tv_nsec = (long)e->mtime_ns}};

	return fchmod(fd, (e->mode & 0755) | least) || futimens(fd, times)
		       ? -NTM_ESTORE
		       : 0;
}

static int file_close(struct unpack *u)
{
	int err = attributes_set(u->file, &u->now, 0600);

	if (close(u->file))
		err = -NTM_ESTORE;
	u->file = -1;
	u->closed = true;
	return err;
}

/* --- entries
 * ------------------------------------------------------------------------ */

/* The next entry is made and becomes u->now. Return: 1, 0 at the end, an error */
static int entry_next(struct unpack *u)
{
	int r;

	if (u->has_now)
		u->begin += u->now.size;
	u->has_now = false;
	r = manifest_next(&u->list, &u->now);
	if (r <= 0)
		return r;
	u->has_now = true;
	if (u->now.kind == ENTRY_FOLDER)
		r = folder_make(u);
	else if (u->now.kind == ENTRY_LINK)
		r = 0;
	else
		r = file_open(u, 0);
	return r ? r : 1;
}

/* Entries up to the one that takes the byte at u->at; those of no bytes on the way */
static int entries_reach(struct unpack *u)
{
	int r;

	while (!u->has_now || u->at >= u->begin + u->now.size) {
		if (u->file >= 0) {
			r = file_close(u);
			if (r)
				return r;
		}
		r = entry_next(u);
		if (r <= 0)
			return r;
	}
	return 0;
}

/* After a restart: is @now what the process before this one was busy with? What
 * takes no bytes, and the last file that was full, may lack something still. */
static int entry_again(struct unpack *u)
{
	uint64_t end = u->begin + u->now.size;

	if (u->now.kind == ENTRY_LINK || u->at > end)
		return 0;
	if (u->now.kind == ENTRY_FOLDER)
		return folder_make(u);
	return file_open(u, u->at - u->begin);
}

/* Up to the entry that takes the byte at u->at; all before it exist already. */
static int entries_skip(struct unpack *u)
{
	int r;

	while ((r = manifest_next(&u->list, &u->now)) > 0) {
		u->has_now = true;
		r = entry_again(u);
		if (r || u->at < u->begin + u->now.size)
			return r;
		if (u->file >= 0 && (r = file_close(u)))
			return r;
		u->begin += u->now.size;
		u->has_now = false;
	}
	return r;
}

/* --- the front
 * ----------------------------------------------------------------------- */

/* Depth is that of items before: no more descriptors than it has levels. */
static int empty(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *d;
	int sub, err = 0;

	if (!dir) {
		close(fd);
		return -NTM_ESTORE;
	}
	while (!err && (d = readdir(dir))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (!unlinkat(dirfd(dir), d->d_name, 0))
			continue;
		sub = openat(dirfd(dir), d->d_name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		err = sub < 0 ? -NTM_ESTORE : empty(sub);
		if (!err && unlinkat(dirfd(dir), d->d_name, AT_REMOVEDIR))
			err = -NTM_ESTORE;
	}
	closedir(dir);
	return err;
}

static int tree_empty(struct unpack *u)
{
	/* of its own: a copy would share its place in the list */
	int fd = openat(u->tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -NTM_ESTORE : empty(fd);
}

/* All of the manifest is there: every entry, and that sizes add up. */
static int manifest_check(struct unpack *u)
{
	int r;

	manifest_read(&u->list, u->head, HEAD_LEN, u->manifest_len);
	while ((r = manifest_next(&u->list, &u->now)) > 0)
		u->kinds[u->now.kind] = true;
	if (r)
		return r == -NTM_ESTORE ? r : -NTM_EDECODE;
	if (!u->list.count ||
	    u->list.data != u->payload - HEAD_LEN - u->manifest_len)
		return -NTM_EDECODE;
	u->entries = u->list.count;
	manifest_read(&u->list, u->head, HEAD_LEN, u->manifest_len);
	u->begin = HEAD_LEN + u->manifest_len;
	u->has_now = false;
	u->stage = UNPACK_DATA;
	return 0;
}

static int length_check(struct unpack *u)
{
	u->manifest_len = (uint64_t)u->length[0] << 24 |
			  (uint64_t)u->length[1] << 16 |
			  (uint64_t)u->length[2] << 8 | u->length[3];
	return !u->manifest_len || u->manifest_len > MANIFEST_MAX ||
			       u->manifest_len > u->payload - HEAD_LEN
		       ? -NTM_EDECODE
		       : 0;
}

static int head_write(struct unpack *u, const uint8_t *p, size_t len)
{
	if (pwrite(u->head, p, len, (off_t)u->at) != (ssize_t)len)
		return -NTM_ESTORE;
	u->at += len;
	return 0;
}

/* Return: bytes taken, or an error */
static ssize_t front_write(struct unpack *u, const uint8_t *p, size_t len)
{
	uint64_t want;
	int err;

	if (u->at < HEAD_LEN) {
		want = HEAD_LEN - u->at;
		if (len > want)
			len = (size_t)want;
		memcpy(u->length + u->at, p, len);
		err = head_write(u, p, len);
		if (!err && u->at == HEAD_LEN)
			err = length_check(u);
		return err ? err : (ssize_t)len;
	}
	want = HEAD_LEN + u->manifest_len - u->at;
	if (len > want)
		len = (size_t)want;
	err = head_write(u, p, len);
	if (!err && u->at == HEAD_LEN + u->manifest_len) {
		err = manifest_check(u);
		if (!err && !u->fresh)
			err = tree_empty(u);
		if (!err && u->room)
			err = u->room(u->room_arg, u->entries);
	}
	return err ? err : (ssize_t)len;
}

/* --- public
 * ------------------------------------------------------------------------- */

/* What a process before this one had: the length, and the manifest if complete. */
static int front_resume(struct unpack *u)
{
	uint64_t at = u->at;
	int err;

	if (at < HEAD_LEN)
		return pread(u->head, u->length, (size_t)at, 0) == (ssize_t)at
			       ? 0
			       : -NTM_ESTORE;
	if (pread(u->head, u->length, HEAD_LEN, 0) != HEAD_LEN)
		return -NTM_ESTORE;
	err = length_check(u);
	if (err || at < HEAD_LEN + u->manifest_len)
		return err;
	err = manifest_check(u);
	if (err)
		return err;
	return entries_skip(u);
}

int unpack_open(const char *dir, uint64_t payload, uint64_t at,
		struct unpack **out)
{
	struct unpack *u = calloc(1, sizeof(*u));
	int fd, err = -NTM_ESTORE;

	if (!u)
		return -NTM_ENOMEM;
	u->head = u->tree = u->parent = u->file = -1;
	u->payload = payload;
	u->at = at;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	u->fresh = fd >= 0 && !mkdirat(fd, UNPACK_TREE, 0700);
	if (u->fresh || (fd >= 0 && errno == EEXIST)) {
		u->tree =
			openat(fd, UNPACK_TREE,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		u->head =
			openat(fd, UNPACK_HEAD,
			       O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	if (fd >= 0)
		close(fd);
	if (u->tree >= 0 && u->head >= 0 && payload > HEAD_LEN && at <= payload)
		err = at ? front_resume(u) : 0;
	if (err) {
		unpack_close(u);
		return err;
	}
	*out = u;
	return 0;
}

void unpack_close(struct unpack *u)
{
	int *fds[4], i;

	if (!u)
		return;
	fds[0] = &u->file;
	fds[1] = &u->parent;
	fds[2] = &u->tree;
	fds[3] = &u->head;
	for (i = 0; i < 4; i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	free(u);
}

uint64_t unpack_at(const struct unpack *u)
{
	return u->at;
}

void unpack_room(struct unpack *u, int (*fn)(void *arg, size_t entries),
		 void *arg)
{
	u->room = fn;
	u->room_arg = arg;
}

size_t unpack_files(const struct unpack *u)
{
	return u->entries > u->list.count ? u->entries - u->list.count : 0;
}

/* @have: bytes that the file has. A hint: what it does not begin, the sync does */
static void write_back(struct unpack *u, uint64_t have)
{
	if (have - u->started < WINDOW)
		return;
	(void)!sync_file_range(u->file, (off_t)u->started,
			       (off_t)(have - u->started),
			       SYNC_FILE_RANGE_WRITE);
	u->started = have;
}

/* Return: bytes taken, or an error */
static ssize_t data_write(struct unpack *u, const uint8_t *p, size_t len)
{
	uint64_t left;
	ssize_t n;
	int err = entries_reach(u);

	if (err)
		return err;
	if (!u->has_now || u->file < 0)
		return -NTM_EDECODE; /* more bytes than the list has */
	left = u->begin + u->now.size - u->at;
	n = write(u->file, p, len < left ? len : (size_t)left);
	if (n <= 0)
		return -NTM_ESTORE;
	u->at += (uint64_t)n;
	write_back(u, u->at - u->begin);
	return n;
}

int unpack_write(struct unpack *u, const void *data, size_t len)
{
	const uint8_t *p = data;
	ssize_t n;

	if (u->stage > UNPACK_DATA)
		return -NTM_ESTATE;
	if (len > u->payload - u->at)
		return -NTM_EDECODE;
	while (len) {
		n = u->stage == UNPACK_FRONT ? front_write(u, p, len)
					     : data_write(u, p, len);
		if (n < 0) {
			u->stage = n == -NTM_EDECODE ? UNPACK_BAD : u->stage;
			return (int)n;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* One file that grows is synced alone; where some were closed, all of the disk is. */
int unpack_sync(struct unpack *u)
{
	int r;

	if (u->closed || u->stage == UNPACK_FRONT || u->file < 0)
		r = syncfs(u->tree);
	else
		r = fdatasync(u->file);
	if (r)
		return -NTM_ESTORE;
	u->closed = false;
	return 0;
}

static int link_make(struct unpack *u)
{
	const char *name;
	int at = parent_open(u, u->now.path, &name);

	if (at < 0)
		return -NTM_ESTORE;
	if (!symlinkat(u->now.target, at, name))
		return 0;
	/* of a finish that was interrupted */
	if (errno != EEXIST || unlinkat(at, name, 0) ||
	    symlinkat(u->now.target, at, name))
		return -NTM_ESTORE;
	return 0;
}

static int folder_finish(struct unpack *u)
{
	const char *name;
	int at = parent_open(u, u->now.path, &name), fd, err;

	fd = at < 0 ? -1
		    : openat(at, name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -NTM_ESTORE;
	err = attributes_set(fd, &u->now, 0700);
	close(fd);
	return err;
}

/* All entries again: links, then what making them has touched. */
static int pass(struct unpack *u, enum entry_kind kind,
		int (*fn)(struct unpack *u))
{
	int r;

	if (!u->kinds[kind])
		return 0;
	manifest_read(&u->list, u->head, HEAD_LEN, u->manifest_len);
	while ((r = manifest_next(&u->list, &u->now)) > 0)
		if (u->now.kind == kind && (r = fn(u)))
			break;
	return r;
}

int unpack_finish(struct unpack *u)
{
	int err;

	if (u->stage != UNPACK_DATA || u->at != u->payload)
		return -NTM_ESTATE;
	err = entries_reach(u);
	if (!err)
		err = pass(u, ENTRY_LINK, link_make);
	if (!err)
		err = pass(u, ENTRY_FOLDER, folder_finish);
	if (!err)
		u->stage = UNPACK_DONE;
	return err;
}

int unpack_manifest(const char *dir, struct manifest_reader *r, int *fd)
{
	char path[PATH_MAX];
	uint8_t len[HEAD_LEN];
	uint64_t n;

	if (snprintf(path, sizeof(path), "%s/" UNPACK_HEAD, dir) >=
	    (int)sizeof(path))
		return -NTM_ESTORE;
	*fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0)
		return -NTM_ESTORE;
	if (pread(*fd, len, sizeof(len), 0) != sizeof(len)) {
		close(*fd);
		return -NTM_EDECODE;
	}
	n = (uint64_t)len[0] << 24 | (uint64_t)len[1] << 16 |
	    (uint64_t)len[2] << 8 | len[3];
	manifest_read(r, *fd, HEAD_LEN, n);
	return 0;
}
