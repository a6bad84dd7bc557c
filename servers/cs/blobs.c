/* SPDX-License-Identifier: MIT */
/* blobs - sealed data as files: while it comes named by its item, then by its hash */
#include "servers/cs/blobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"

#define NAME_LEN (2 * NTMC_HASH_LEN)
#define PATH_LEN (3 + NAME_LEN + 1)

struct blobs {
	int up, blob; /* folders */
};

static int failed(const char *what, const char *name)
{
	log_err("cs", "%s %s: %s", what, name, strerror(errno));
	return -NTM_ESTORE;
}

static int open_folder(const char *dir, const char *name, int *out)
{
	char path[1024];
	int r;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    (int)sizeof(path))
		return -NTM_EINVAL;
	r = file_make_folder(path, 0700);
	if (r)
		return r;
	*out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *out < 0 ? failed("folder", path) : 0;
}

int blobs_open(const char *dir, struct blobs **out)
{
	struct blobs *b = malloc(sizeof(*b));
	int r;

	if (!b)
		return -NTM_ENOMEM;
	*b = (struct blobs){-1, -1};
	r = open_folder(dir, "up", &b->up);
	if (!r)
		r = open_folder(dir, "blob", &b->blob);
	for (unsigned int i = 0; !r && i < 256; i++) {
		char name[3];

		snprintf(name, sizeof(name), "%02x", i);
		if (mkdirat(b->blob, name, 0700) && errno != EEXIST)
			r = failed("folder", name);
	}
	if (!r && fsync(b->blob))
		r = failed("folder", "blob");
	if (r)
		blobs_close(b);
	else
		*out = b;
	return r;
}

void blobs_close(struct blobs *b)
{
	if (!b)
		return;
	if (b->up >= 0)
		close(b->up);
	if (b->blob >= 0)
		close(b->blob);
	free(b);
}

static void upload_path(int64_t number, char out[static PATH_LEN])
{
	snprintf(out, PATH_LEN, "%lld", (long long)number);
}

static void blob_path(const uint8_t *hash, char out[static PATH_LEN])
{
	char *p = out + snprintf(out, PATH_LEN, "%02x/", hash[0]);

	for (size_t i = 0; i < NTMC_HASH_LEN; i++)
		p += snprintf(p, 3, "%02x", hash[i]);
}

/* --- uploads -------------------------------------------------------------------- */

int blobs_upload(struct blobs *b, int64_t number, int *fd, uint64_t *size)
{
	char path[PATH_LEN];
	struct stat st;

	upload_path(number, path);
	*fd = openat(b->up, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0 && errno == ENOENT) {
		*fd = openat(b->up, path,
			     O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		/* what is acknowledged later has a name by then */
		if (*fd >= 0 && fsync(b->up)) {
			close(*fd);
			*fd = -1;
		}
	}
	if (*fd < 0)
		return failed("upload", path);
	if (fstat(*fd, &st)) {
		close(*fd);
		return failed("upload", path);
	}
	*size = (uint64_t)st.st_size;
	return 0;
}

uint64_t blobs_uploaded(struct blobs *b, int64_t number, int64_t *mtime)
{
	char path[PATH_LEN];
	struct stat st;

	upload_path(number, path);
	if (fstatat(b->up, path, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (mtime)
		*mtime = st.st_mtime;
	return (uint64_t)st.st_size;
}

int blobs_keep(struct blobs *b, int64_t number,
	       const uint8_t hash[static NTMC_HASH_LEN])
{
	char from[PATH_LEN], to[PATH_LEN];

	upload_path(number, from);
	blob_path(hash, to);
	if (!renameat(b->up, from, b->blob, to) || errno == ENOENT)
		return 0;
	return failed("blob", to);
}

void blobs_remove_upload(struct blobs *b, int64_t number)
{
	char path[PATH_LEN];

	upload_path(number, path);
	if (unlinkat(b->up, path, 0) && errno != ENOENT)
		failed("upload", path);
}

/* --- complete ones --------------------------------------------------------------- */

static int open_sized(int dir, const char *path, uint64_t size, int *out)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? -NTM_ENOTFOUND : failed("blob", path);
	if (fstat(fd, &st) || (uint64_t)st.st_size != size) {
		close(fd);
		return -NTM_ENOTFOUND;
	}
	*out = fd;
	return 0;
}

int blobs_get(struct blobs *b, int64_t number,
	      const uint8_t hash[static NTMC_HASH_LEN], uint64_t size, int *fd)
{
	char path[PATH_LEN];
	int r;

	blob_path(hash, path);
	r = open_sized(b->blob, path, size, fd);
	if (r != -NTM_ENOTFOUND)
		return r;
	upload_path(number, path);
	r = open_sized(b->up, path, size, fd);
	if (r != -NTM_ENOTFOUND)
		return r;
	blob_path(hash, path); /* it may just have moved */
	return open_sized(b->blob, path, size, fd);
}

int blobs_settle(struct blobs *b, int64_t number,
		 const uint8_t hash[static NTMC_HASH_LEN], uint64_t size)
{
	char path[PATH_LEN];
	int fd, r;

	blob_path(hash, path);
	r = open_sized(b->blob, path, size, &fd);
	if (!r) {
		close(fd);
		/* of a request that came when the item was just complete */
		blobs_remove_upload(b, number);
		return 0;
	}
	if (r != -NTM_ENOTFOUND)
		return r;
	upload_path(number, path);
	r = open_sized(b->up, path, size, &fd);
	if (r)
		return r;
	close(fd);
	return blobs_keep(b, number, hash);
}

void blobs_remove(struct blobs *b, const uint8_t hash[static NTMC_HASH_LEN])
{
	char path[PATH_LEN];

	blob_path(hash, path);
	if (unlinkat(b->blob, path, 0) && errno != ENOENT)
		failed("blob", path);
}

/* --- all -------------------------------------------------------------------------- */

static bool parse_hash(const char *name, uint8_t out[static NTMC_HASH_LEN])
{
	if (strlen(name) != NAME_LEN ||
	    strspn(name, "0123456789abcdef") != NAME_LEN)
		return false;
	for (size_t i = 0; i < NTMC_HASH_LEN; i++) {
		char two[3] = {name[2 * i], name[2 * i + 1], '\0'};

		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return true;
}

/* takes @fd */
static int each_in(int fd, bool upload,
		   void (*fn)(void *arg, const struct blobs_file *f), void *arg)
{
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return -NTM_ESTORE;
	}
	while ((e = readdir(d))) {
		struct blobs_file f = {.upload = upload};
		struct stat st;
		char *end;

		if (upload) {
			f.number = strtoll(e->d_name, &end, 10);
			if (*end || f.number <= 0)
				continue;
		} else if (!parse_hash(e->d_name, f.hash)) {
			continue;
		}
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		f.mtime = st.st_mtime;
		fn(arg, &f);
	}
	closedir(d);
	return 0;
}

#define FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

int blobs_uploads(struct blobs *b,
		  void (*fn)(void *arg, const struct blobs_file *f), void *arg)
{
	return each_in(openat(b->up, ".", FOLDER), true, fn, arg);
}

int blobs_each(struct blobs *b,
	       void (*fn)(void *arg, const struct blobs_file *f), void *arg)
{
	int r = blobs_uploads(b, fn, arg);

	for (unsigned int i = 0; !r && i < 256; i++) {
		char name[3];

		snprintf(name, sizeof(name), "%02x", i);
		r = each_in(openat(b->blob, name, FOLDER), false, fn, arg);
	}
	return r;
}

int blobs_room(struct blobs *b, uint64_t *out)
{
	struct statvfs v;

	if (fstatvfs(b->blob, &v))
		return failed("disk of", "blob");
	*out = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}
