/* SPDX-License-Identifier: MIT */
/*
 * manifest - the list of what an item holds, written and read entry by entry
 *
 * Owner:    the caller. Context: ntm-post, and commands that place what came;
 *           waits for the disk. Memory is one entry, whatever the list's length.
 * What manifest_next() returns obeys every rule of item.proto: a path of it can be
 * used below a folder with openat() and O_NOFOLLOW for each part, and each folder
 * that it names stood in the list before.
 */
#ifndef NTM_BROKER_POST_MANIFEST_H
#define NTM_BROKER_POST_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define MANIFEST_MAX	 (16u << 20) /* bytes */
#define MANIFEST_ENTRIES 100000
#define ITEM_PATH_MAX	 4096
#define ITEM_PART_MAX	 255
#define ITEM_DEPTH_MAX	 64
#define ITEM_TEXT_MAX	 65536 /* bytes of a text that is shown */

enum entry_kind { ENTRY_FILE = 1, ENTRY_FOLDER, ENTRY_LINK, ENTRY_TEXT };
#define ENTRY_KINDS (ENTRY_TEXT + 1)

struct entry {
	enum entry_kind kind;
	char path[ITEM_PATH_MAX + 1];
	char target[ITEM_PATH_MAX + 1];
	unsigned int mode;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t size;
};

/** no empty part, no "." or "..", no control character, UTF-8, within the limits */
bool entry_path_ok(const char *path);
/** does the link at @path stay inside the folder at the top of its path? ".." only in
 *  front, fewer than there are folders above it; not absolute */
bool entry_target_ok(const char *path, const char *target);
/** bytes that are no UTF-8 become '?', in place: what a person or JSON is told of a
 *  name that cannot be sent */
void entry_text_clean(char *text);
/** the order of a manifest: as strcmp(), '/' before every other byte */
int entry_path_cmp(const char *a, const char *b);

/** struct manifest_writer - zero it; @fd at its end is the caller's */
struct manifest_writer {
	int fd;
	uint64_t len;
	size_t count;
	uint64_t data; /* bytes of the files so far */
	char last[ITEM_PATH_MAX + 1];
};
/** Return: 0, -NTM_EINVAL (a rule is broken), -NTM_ELIMIT (too many or too long),
 *  -NTM_ESTORE */
NTM_MUST_CHECK int manifest_add(struct manifest_writer *w,
				const struct entry *e);

#define MANIFEST_BUFFER 16384
struct manifest_reader {
	int fd; /* the caller's */
	uint64_t at, len, data;
	size_t count;
	char last[ITEM_PATH_MAX + 1];
	enum entry_kind last_kind;
	size_t have, used;
	uint8_t buf[MANIFEST_BUFFER];
};
/** @len bytes from @offset of @fd on */
void manifest_read(struct manifest_reader *r, int fd, uint64_t offset,
		   uint64_t len);
/** Return: 1 and @e, 0 at the end, -NTM_EDECODE (a rule is broken), -NTM_ELIMIT,
 *  -NTM_ESTORE */
NTM_MUST_CHECK int manifest_next(struct manifest_reader *r, struct entry *e);

#endif
