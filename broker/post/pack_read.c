/* SPDX-License-Identifier: MIT */
/* pack_read - the payload as if it were one file */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/post/pack_impl.h"

/*
 * @at: offset of the source that is read; @fd: of it, -1: not open. Reading on is
 * the usual case; going back starts with the first source again.
 */
struct pack {
	int manifest, fd;
	FILE *sources;
	uint64_t manifest_len, len, at;
	struct source now;
	char path[PATH_MAX];
	const char *text; /* what the one source holds; NULL: files do */
	bool changed;
};

int pack_file(const char *dir, const char *name, int flags)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    (int)sizeof(path))
		return -1;
	return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void source_from(struct source *s, const struct stat *st)
{
	memset(s, 0, sizeof(*s));
	s->size = (uint64_t)st->st_size;
	s->ino = st->st_ino;
	s->dev = st->st_dev;
	s->mtime = st->st_mtim.tv_sec;
	s->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	s->ctime = st->st_ctim.tv_sec;
	s->ctime_ns = (uint32_t)st->st_ctim.tv_nsec;
}

bool source_same(const struct source *s, const struct stat *st)
{
	struct source t;

	source_from(&t, st);
	return S_ISREG(st->st_mode) && t.size == s->size && t.ino == s->ino &&
	       t.dev == s->dev && t.mtime == s->mtime && t.ctime == s->ctime &&
	       t.mtime_ns == s->mtime_ns && t.ctime_ns == s->ctime_ns;
}

static void source_close(struct pack *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

/* Return: 1, 0 at the end, -NTM_ESTORE */
static int source_next(struct pack *p)
{
	source_close(p);
	p->at += p->now.size;
	p->now.size = 0;
	if (fread(&p->now, sizeof(p->now), 1, p->sources) != 1)
		return feof(p->sources) ? 0 : -NTM_ESTORE;
	if (p->now.path_len >= sizeof(p->path) ||
	    fread(p->path, 1, p->now.path_len, p->sources) != p->now.path_len)
		return -NTM_ESTORE;
	p->path[p->now.path_len] = '\0';
	return 1;
}

static void sources_rewind(struct pack *p)
{
	source_close(p);
	rewind(p->sources);
	memset(&p->now, 0, sizeof(p->now));
	p->at = 4 + p->manifest_len;
}

int pack_of(int manifest, FILE *sources, const char *text, struct pack **out)
{
	struct pack *p = calloc(1, sizeof(*p));
	struct stat st;
	int r = -NTM_ESTORE;

	if (!p) {
		if (sources)
			fclose(sources);
		if (manifest >= 0)
			close(manifest);
		return -NTM_ENOMEM;
	}
	p->fd = -1;
	p->manifest = manifest;
	p->sources = sources;
	p->text = text;
	if (p->manifest < 0 || !p->sources || fstat(p->manifest, &st) ||
	    st.st_size > MANIFEST_MAX)
		goto err;
	p->manifest_len = (uint64_t)st.st_size;
	sources_rewind(p);
	while ((r = source_next(p)) > 0)
		;
	if (r)
		goto err;
	p->len = p->at;
	sources_rewind(p);
	*out = p;
	return 0;
err:
	pack_close(p);
	return r;
}

int pack_open(const char *dir, struct pack **out)
{
	int manifest = pack_file(dir, "manifest", O_RDONLY);
	int fd = pack_file(dir, "sources", O_RDONLY);

	return pack_of(manifest, fd < 0 ? NULL : fdopen(fd, "r"), NULL, out);
}

static int copy_to(int from, const char *dir, const char *name)
{
	int to = pack_file(dir, name, O_WRONLY | O_CREAT | O_TRUNC);
	uint8_t buf[16384];
	off_t at = 0;
	ssize_t n = to < 0 ? -1 : 1;

	while (n > 0 && (n = pread(from, buf, sizeof(buf), at)) > 0) {
		if (write(to, buf, (size_t)n) != n)
			n = -1;
		at += n;
	}
	if (to >= 0 && close(to))
		n = -1;
	return n < 0 ? -NTM_ESTORE : 0;
}

int pack_save(struct pack *p, const char *dir)
{
	int err = copy_to(p->manifest, dir, "manifest");

	return err ? err : copy_to(fileno(p->sources), dir, "sources");
}

void pack_close(struct pack *p)
{
	if (!p)
		return;
	source_close(p);
	if (p->sources)
		fclose(p->sources);
	if (p->manifest >= 0)
		close(p->manifest);
	free(p);
}

uint64_t pack_len(const struct pack *p)
{
	return p->len;
}

const char *pack_changed(const struct pack *p)
{
	return p->changed ? p->path : "";
}

static bool source_open(struct pack *p)
{
	if (p->fd < 0)
		p->fd = open(p->path,
			     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return p->fd >= 0;
}

/*
 * At most @len bytes of the current source. The file is looked at after the bytes
 * were read and before anybody seals them: what was written meanwhile shows.
 */
static int source_read(struct pack *p, uint64_t offset, uint8_t *buf,
		       size_t len)
{
	struct stat st;
	ssize_t n;

	if (p->text) {
		memcpy(buf, p->text + offset, len);
		return 0;
	}
	p->changed = true;
	if (!source_open(p))
		return -NTM_ECHANGED;
	while (len) {
		n = pread(p->fd, buf, len, (off_t)offset);
		if (n <= 0)
			return -NTM_ECHANGED;
		buf += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	if (fstat(p->fd, &st) || !source_same(&p->now, &st))
		return -NTM_ECHANGED;
	p->changed = false;
	return 0;
}

/* The length of the manifest and the manifest. Return: bytes, or an error */
static ssize_t front_read(struct pack *p, uint64_t offset, uint8_t *buf,
			  size_t len)
{
	uint64_t left;

	if (offset < 4) {
		*buf = (uint8_t)(p->manifest_len >> 8 * (3 - offset));
		return 1;
	}
	left = 4 + p->manifest_len - offset;
	if (len > left)
		len = (size_t)left;
	if (pread(p->manifest, buf, len, (off_t)offset - 4) != (ssize_t)len)
		return -NTM_ESTORE;
	return (ssize_t)len;
}

int pack_read(struct pack *p, uint64_t offset, void *buf, size_t len)
{
	uint8_t *out = buf;
	ssize_t n;
	size_t part;
	int r;

	if (offset > p->len || len > p->len - offset)
		return -NTM_EINVAL;
	while (len && offset < 4 + p->manifest_len) {
		n = front_read(p, offset, out, len);
		if (n < 0)
			return (int)n;
		out += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	if (len && offset < p->at)
		sources_rewind(p);
	while (len) {
		while (offset >= p->at + p->now.size) {
			r = source_next(p);
			if (r <= 0)
				return r ? r : -NTM_ESTORE;
		}
		part = p->at + p->now.size - offset < len
			       ? (size_t)(p->at + p->now.size - offset)
			       : len;
		r = source_read(p, offset - p->at, out, part);
		if (r)
			return r;
		out += part;
		offset += part;
		len -= part;
	}
	return 0;
}
