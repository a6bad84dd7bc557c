/* SPDX-License-Identifier: MIT */
/*
 * placed - which names of an item have become which paths
 *
 * A file of lines in the item's folder, appended to: "i NAME\0PATH\0" before a name is
 * moved, "d NAME\0PATH\0" after it. Who is killed in between leaves either the name in
 * the tree, or its path here: so a command that is run for the item gets all of its
 * files, and nothing is placed twice. It goes with the folder. Who has it open has it
 * locked: two that place one item would undo each other's copies.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wrappers/items.h"

struct placed {
	int fd;
	char *text;
	size_t len, read; /* read: what was there when it was opened */
};

static int record_read(struct placed *p)
{
	struct stat st;
	ssize_t n;

	if (fstat(p->fd, &st) || st.st_size > PLACED_MAX)
		return -NTM_ESTORE;
	p->text = malloc((size_t)st.st_size + 1);
	if (!p->text)
		return -NTM_ENOMEM;
	while (p->len < (size_t)st.st_size) {
		n = pread(p->fd, p->text + p->len, (size_t)st.st_size - p->len,
			  (off_t)p->len);
		if (n <= 0)
			return -NTM_ESTORE;
		p->len += (size_t)n;
	}
	/* a line that a crash cut off was never acted on */
	while (p->len && p->text[p->len - 1])
		p->len--;
	p->read = p->len;
	return ftruncate(p->fd, (off_t)p->len) ? -NTM_ESTORE : 0;
}

/* The lock ends with the descriptor, which no other program inherits. */
static int record_open(struct placed *p, const char *path)
{
	p->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
		     0600);
	if (p->fd < 0)
		return errno == ENOENT ? -NTM_ENOTFOUND : -NTM_ESTORE;
	if (flock(p->fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -NTM_EAGAIN : -NTM_ESTORE;
	return record_read(p);
}

int placed_open(const char *folder, struct placed **out)
{
	struct placed *p = calloc(1, sizeof(*p));
	char path[4096];
	int err = -NTM_ESTORE;

	if (!p)
		return -NTM_ENOMEM;
	p->fd = -1;
	if ((size_t)snprintf(path, sizeof(path), "%s/placed", folder) <
	    sizeof(path))
		err = record_open(p, path);
	if (err) {
		placed_close(p);
		return err;
	}
	*out = p;
	return 0;
}

void placed_close(struct placed *p)
{
	if (!p)
		return;
	if (p->fd >= 0)
		close(p->fd);
	free(p->text);
	free(p);
}

static int record_add(struct placed *p, char kind, const char *name,
		      const char *path)
{
	size_t len = 2 + strlen(name) + 1 + strlen(path) + 1;
	char *more = realloc(p->text, p->len + len + 1);

	if (!more)
		return -NTM_ENOMEM;
	p->text = more;
	more += p->len;
	*more++ = kind;
	*more++ = ' ';
	more = stpcpy(more, name) + 1;
	strcpy(more, path);
	if (write(p->fd, p->text + p->len, len) != (ssize_t)len)
		return -NTM_ESTORE;
	p->len += len;
	return 0;
}

int placed_intend(struct placed *p, const char *name, const char *path)
{
	return record_add(p, 'i', name, path);
}

int placed_done(struct placed *p, const char *name, const char *path)
{
	return record_add(p, 'd', name, path);
}

/* The line at @at; *@name and *@path in it. Return: where the next begins, 0: none */
static size_t line_read(const struct placed *p, size_t at, const char **name,
			const char **path)
{
	size_t n;

	if (at + 2 >= p->len)
		return 0;
	*name = p->text + at + 2;
	n = at + 2 + strlen(*name) + 1;
	if (n >= p->len)
		return 0;
	*path = p->text + n;
	return n + strlen(*path) + 1;
}

bool placed_is_done(const struct placed *p, const char *name)
{
	const char *other, *path;
	size_t at = 0, next;

	/* a name is met once in each run */
	for (; at < p->read && (next = line_read(p, at, &other, &path));
	     at = next)
		if (p->text[at] == 'd' && !strcmp(other, name))
			return true;
	return false;
}

/* Is there a line about @name at @at or behind? */
static bool named_later(const struct placed *p, size_t at, const char *name)
{
	const char *other, *path;
	size_t next;

	for (; (next = line_read(p, at, &other, &path)); at = next)
		if (!strcmp(other, name))
			return true;
	return false;
}

static int list_add(struct place_list *l, const char *path)
{
	char **more = realloc(l->path, (l->n + 1) * sizeof(*more));

	if (!more)
		return -NTM_ENOMEM;
	l->path = more;
	more[l->n] = strdup(path);
	if (!more[l->n])
		return -NTM_ENOMEM;
	l->n++;
	return 0;
}

void place_list_clear(struct place_list *l)
{
	while (l->n)
		free(l->path[--l->n]);
	free(l->path);
	l->path = NULL;
}

int placed_paths(const struct placed *p, int tree_fd, struct place_list *out)
{
	const char *name, *path;
	size_t at = 0, next;
	struct stat st;
	int err = 0;

	for (; !err && (next = line_read(p, at, &name, &path)); at = next)
		/* intended and gone: it was the last try that succeeded */
		if (p->text[at] == 'd' ||
		    (fstatat(tree_fd, name, &st, AT_SYMLINK_NOFOLLOW) &&
		     !named_later(p, next, name)))
			err = list_add(out, path);
	return err;
}
