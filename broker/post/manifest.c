/* SPDX-License-Identifier: MIT */
/* manifest - the list of what an item holds, written and read entry by entry */
#include "broker/post/manifest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/post/item.pb-c.h"

#define FIELD_ENTRIES 0x0a /* field 1, length-delimited */
#define ENTRY_MAX     (2 * ITEM_PATH_MAX + 64)

static_assert((int)ENTRY_FILE == (int)NTM__ITEM__KIND__KIND_FILE &&
		      (int)ENTRY_TEXT == (int)NTM__ITEM__KIND__KIND_TEXT,
	      "kinds are those of item.proto");

/* --- the rules
 * ------------------------------------------------------------------- */

/* Bytes of the UTF-8 character at @s; 0: none, or a control character. */
static size_t character(const unsigned char *s)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c;
	size_t n, i;

	if (*s < 0x80)
		return *s >= 0x20 && *s != 0x7f;
	n = *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;
	if (*s < 0xc2 || *s > 0xf4)
		return 0;
	c = *s & (0x7f >> n);
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ||
	    c < 0xa0)
		return 0;
	return n;
}

static bool text_ok(const char *s)
{
	size_t n;

	for (; *s; s += n) {
		n = character((const unsigned char *)s);
		if (!n)
			return false;
	}
	return true;
}

void entry_text_clean(char *text)
{
	size_t n;

	for (; *text; text += n) {
		n = character((const unsigned char *)text);
		if (n)
			continue;
		*text = '?';
		n = 1;
	}
}

static bool part_ok(const char *p, size_t len)
{
	if (!len || len > ITEM_PART_MAX)
		return false;
	return !(p[0] == '.' && (len == 1 || (len == 2 && p[1] == '.')));
}

/* Every part is a name; @depth: parts */
static bool parts_ok(const char *path, size_t *depth)
{
	size_t len;

	for (*depth = 0;; path += len + 1) {
		len = strcspn(path, "/");
		if (!part_ok(path, len) || ++*depth > ITEM_DEPTH_MAX)
			return false;
		if (!path[len])
			return true;
	}
}

bool entry_path_ok(const char *path)
{
	size_t depth;

	return strlen(path) <= ITEM_PATH_MAX && text_ok(path) &&
	       parts_ok(path, &depth);
}

/*
 * Below the folder where the link lies (whose parts are real folders) only names
 * follow the "..": each may be a link itself, and that one stays inside as well. Inside
 * is the folder at the top of the item: that is placed as a whole, and what lies beside
 * it then is the person's own.
 */
bool entry_target_ok(const char *path, const char *target)
{
	size_t depth, rest, up = 0;

	if (!parts_ok(path, &depth) || strlen(target) > ITEM_PATH_MAX ||
	    !text_ok(target))
		return false;
	while (!strncmp(target, "../", 3)) {
		target += 3;
		up++;
	}
	if (!strcmp(target, ".."))
		return up + 2 < depth;
	return up + 1 < depth && parts_ok(target, &rest);
}

int entry_path_cmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	/* '/' as if it were the first byte after NUL */
	return (*a == '/' ? 1 : (unsigned char)*a) -
	       (*b == '/' ? 1 : (unsigned char)*b);
}

static bool entry_ok(const struct entry *e)
{
	bool link = e->kind == ENTRY_LINK, size = e->size != 0;

	if (e->kind < ENTRY_FILE || e->kind > ENTRY_TEXT ||
	    !entry_path_ok(e->path) || e->mode > 0777 ||
	    e->mtime_ns >= 1000000000u || link != (*e->target != '\0'))
		return false;
	if (e->kind == ENTRY_TEXT && e->size > ITEM_TEXT_MAX)
		return false;
	if ((link || e->kind == ENTRY_FOLDER) && size)
		return false;
	return !link || entry_target_ok(e->path, e->target);
}

/* --- writing
 * --------------------------------------------------------------------- */

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			return -NTM_ESTORE;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int manifest_add(struct manifest_writer *w, const struct entry *e)
{
	uint8_t buf[ENTRY_MAX + 4];
	Ntm__Item__Entry m = NTM__ITEM__ENTRY__INIT;
	size_t len, head = 1;
	int err;

	if (!entry_ok(e) || entry_path_cmp(w->last, e->path) >= 0)
		return -NTM_EINVAL;
	m.path = (char *)e->path;
	m.target = (char *)e->target;
	m.kind = (Ntm__Item__Kind)e->kind;
	m.mode = e->mode;
	m.mtime = e->mtime;
	m.mtime_ns = e->mtime_ns;
	m.size = e->size;
	len = ntm__item__entry__get_packed_size(&m);
	if (w->count == MANIFEST_ENTRIES || w->len + len + 4 > MANIFEST_MAX)
		return -NTM_ELIMIT;
	buf[0] = FIELD_ENTRIES;
	if (len >= 128)
		buf[head++] = (uint8_t)(len | 0x80);
	buf[head++] = (uint8_t)(len >= 128 ? len >> 7 : len);
	ntm__item__entry__pack(&m, buf + head);
	err = write_all(w->fd, buf, head + len);
	if (err)
		return err;
	w->len += head + len;
	w->count++;
	w->data += e->size;
	strcpy(w->last, e->path);
	return 0;
}

/* --- reading
 * --------------------------------------------------------------------- */

void manifest_read(struct manifest_reader *r, int fd, uint64_t offset,
		   uint64_t len)
{
	memset(r, 0, sizeof(*r));
	r->fd = fd;
	r->at = offset;
	r->len = len;
}

/* At least @want bytes in the buffer, where so many are left. */
static int fill(struct manifest_reader *r, size_t want)
{
	size_t room;
	ssize_t n;

	if (r->have - r->used >= want)
		return 0;
	memmove(r->buf, r->buf + r->used, r->have - r->used);
	r->have -= r->used;
	r->used = 0;
	while (r->len && r->have < want) {
		room = sizeof(r->buf) - r->have;
		if (room > r->len)
			room = (size_t)r->len;
		n = pread(r->fd, r->buf + r->have, room, (off_t)r->at);
		if (n <= 0)
			return -NTM_ESTORE;
		r->have += (size_t)n;
		r->at += (uint64_t)n;
		r->len -= (uint64_t)n;
	}
	return 0;
}

/* The next entry's length, at most ENTRY_MAX: two bytes hold it. */
static int head_get(struct manifest_reader *r, size_t *len)
{
	size_t left = r->have - r->used;
	const uint8_t *p = r->buf + r->used;

	if (left < 2 || p[0] != FIELD_ENTRIES)
		return -NTM_EDECODE;
	r->used += 2;
	*len = p[1] & 0x7f;
	if (p[1] & 0x80) {
		if (left < 3 || p[2] & 0x80 || !p[2])
			return -NTM_EDECODE;
		*len |= (size_t)p[2] << 7;
		r->used++;
	}
	return *len && *len <= ENTRY_MAX ? 0 : -NTM_EDECODE;
}

static int entry_from(const Ntm__Item__Entry *m, struct entry *e)
{
	if (strlen(m->path) > ITEM_PATH_MAX ||
	    strlen(m->target) > ITEM_PATH_MAX)
		return -NTM_EDECODE;
	e->kind = (enum entry_kind)m->kind;
	strcpy(e->path, m->path);
	strcpy(e->target, m->target);
	e->mode = m->mode;
	e->mtime = m->mtime;
	e->mtime_ns = m->mtime_ns;
	e->size = m->size;
	return entry_ok(e) ? 0 : -NTM_EDECODE;
}

/* Is the folder of @path one that was listed? All above the last entry were. */
static bool parent_known(const struct manifest_reader *r, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (!slash)
		return true;
	if (strncmp(r->last, path, len))
		return false;
	return r->last[len] == '/' ||
	       (!r->last[len] && r->last_kind == ENTRY_FOLDER);
}

int manifest_next(struct manifest_reader *r, struct entry *e)
{
	Ntm__Item__Entry *m;
	size_t len;
	int err = fill(r, ENTRY_MAX + 3);

	if (err)
		return err;
	if (r->have == r->used)
		return 0;
	if (++r->count > MANIFEST_ENTRIES)
		return -NTM_ELIMIT;
	err = head_get(r, &len);
	if (err)
		return err;
	if (len > r->have - r->used)
		return -NTM_EDECODE;
	m = ntm__item__entry__unpack(NULL, len, r->buf + r->used);
	if (!m)
		return -NTM_EDECODE;
	r->used += len;
	err = entry_from(m, e);
	ntm__item__entry__free_unpacked(m, NULL);
	if (err)
		return err;
	if (entry_path_cmp(r->last, e->path) >= 0 ||
	    !parent_known(r, e->path) || e->size > UINT64_MAX / 2 - r->data)
		return -NTM_EDECODE;
	strcpy(r->last, e->path);
	r->last_kind = e->kind;
	r->data += e->size;
	return 1;
}
