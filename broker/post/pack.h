/* SPDX-License-Identifier: MIT */
/*
 * pack - files, folders or a text as one payload that can be read from any offset
 *
 * Owner:    the caller: one folder of the state folder for each item that is sent.
 * Context:  ntm-post; waits for the disk. Memory: one entry and one open file,
 *           whatever the item's size.
 * pack_list() lists what is to be sent; pack_save() keeps the list, and pack_open()
 * reads it after a restart. The files stay where they are: one that has changed since it was listed
 * ends the item, as the same place of a blob is never sealed with other bytes
 * (libntmcrypto/blob.c).
 */
#ifndef NTM_BROKER_POST_PACK_H
#define NTM_BROKER_POST_PACK_H

#include <limits.h>

#include "broker/post/manifest.h"

/**
 * struct pack_result - what was listed
 * @payload: bytes; @files, @folders: counts; @left_out: links that lead outside,
 *           sockets and the like; @first_left_out: the first of them, or empty
 * @name:    what the first path is called at the receiver; empty of a text
 * @why:     on error: one sentence that names the file
 */
struct pack_result {
	uint64_t payload;
	size_t files, folders, left_out;
	char first_left_out[ITEM_PATH_MAX + 1], name[NAME_MAX + 1];
	char why[ITEM_PATH_MAX + 128];
};

struct pack;

/**
 * pack_list() - list @n absolute @paths, or @text (@n 0), in memory
 * Links among @paths themselves are followed, and keep their name. No two may end in one
 * name.
 * Return: 0, -NTM_ENOTFOUND, -NTM_EPERM, -NTM_EEXISTS (one name twice),
 *         -NTM_EINVAL (a name that cannot be sent, or a file that says it is empty, and
 *         is not), -NTM_ELIMIT (too many entries),
 *         -NTM_ESTORE, -NTM_ENOMEM
 */
NTM_MUST_CHECK int pack_list(const char *const *paths, size_t n,
			     const char *text, struct pack_result *out,
			     struct pack **pack);
/** the list of paths in the folder @dir, for pack_open(). The caller syncs.
 *  Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int pack_save(struct pack *p, const char *dir);
NTM_MUST_CHECK int pack_open(const char *dir, struct pack **out);
void pack_close(struct pack *p); /* NULL is fine */
uint64_t pack_len(const struct pack *p);
/**
 * pack_read() - exactly @len bytes of the payload from @offset on
 * Return: 0, -NTM_ECHANGED (a file is not what was listed, or gone), -NTM_EINVAL
 *         (beyond the end), -NTM_ESTORE (ours could not be read)
 */
NTM_MUST_CHECK int pack_read(struct pack *p, uint64_t offset, void *buf,
			     size_t len);
/** the file that pack_read() found changed; "" before */
const char *pack_changed(const struct pack *p);

#endif
