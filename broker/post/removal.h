/* SPDX-License-Identifier: MIT */
/*
 * removal - folders of items that are over go, some files at a time
 *
 * Owner:    struct post. Context: loop thread.
 * A folder may have 100,000 files, and a disk may take a millisecond for each. So it is
 * renamed first, which frees its name at once, and what is in it goes in portions
 * between which everything else has its turn. What a process that ended has left of it
 * goes after the next start.
 */
#ifndef NTM_BROKER_POST_REMOVAL_H
#define NTM_BROKER_POST_REMOVAL_H

#include "broker/post/post.h"

#define REMOVAL_FILES 64 /* at a time, */
#define REMOVAL_MS    5	 /* and so long, after the first */
#define REMOVAL_LOOKS_AT                                                       \
	256 /* names at a time, for what an earlier process left */

/** begins with what is left, also of folders that no row needs any more. The store is
 *  open. Return: 0, -NTM_ENOMEM, -NTM_ESYSTEM */
NTM_MUST_CHECK int removal_open(struct post *p, struct removal **out);
/** what is left waits for the next start; NULL is fine */
void removal_close(struct removal *r);
/** @path, a folder beside the store, has another name when this returns, and goes soon.
 *  What the store says of it is on the disk already */
void removal_add(struct removal *r, const char *path);
/** is there something that has yet to go? NULL: no */
bool removal_busy(const struct removal *r);

#endif
