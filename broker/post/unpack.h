/* SPDX-License-Identifier: MIT */
/*
 * unpack - a payload as it comes, written below one folder and nowhere else
 *
 * Owner:    the caller: one folder of the state folder for each item that comes.
 * Context:  ntm-post; waits for the disk. Memory: one entry, one open file.
 * In @dir: `payload.head`, the manifest with its length in front; `tree`, the files,
 * and none but those of the manifest.
 * Nothing in it is for anybody before unpack_finish(): the sender's seal is the
 * last thing to come.
 */
#ifndef NTM_BROKER_POST_UNPACK_H
#define NTM_BROKER_POST_UNPACK_H

#include "broker/post/manifest.h"

#define UNPACK_TREE "tree"
#define UNPACK_HEAD "payload.head"

struct unpack;

/**
 * unpack_open() - begin, or go on
 * @dir:     exists, and belongs to this item alone
 * @payload: bytes of all of it
 * @at:      0, or what unpack_at() was at an unpack_sync() that succeeded
 * Return: 0, -NTM_ESTORE, -NTM_EDECODE (the manifest there is none), -NTM_ENOMEM
 */
NTM_MUST_CHECK int unpack_open(const char *dir, uint64_t payload, uint64_t at,
			       struct unpack **out);
void unpack_close(struct unpack *u); /* NULL is fine */
uint64_t unpack_at(const struct unpack *u);
/** @fn(@arg, entries) when the manifest is complete and valid, before anything of it is
 *  made. Not 0: that is what unpack_write() returns */
void unpack_room(struct unpack *u, int (*fn)(void *arg, size_t entries),
		 void *arg);
/** entries that are yet to be made; 0 before the manifest is known */
size_t unpack_files(const struct unpack *u);
/**
 * unpack_write() - the next @len bytes of the payload
 * Return: 0, -NTM_EDECODE (the manifest breaks a rule: the item is refused, nothing
 *         of it was written), -NTM_ESTORE (disk)
 */
NTM_MUST_CHECK int unpack_write(struct unpack *u, const void *data, size_t len);
/** what was written is on the disk. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int unpack_sync(struct unpack *u);
/** all of it came and is the sender's: links, permissions, times. The caller syncs.
 *  Return: 0, -NTM_ESTATE (something is missing), -NTM_ESTORE */
NTM_MUST_CHECK int unpack_finish(struct unpack *u);

/** the manifest of an item that came: @r reads it, close @fd afterwards.
 *  Return: 0, -NTM_ESTORE, -NTM_EDECODE */
NTM_MUST_CHECK int unpack_manifest(const char *dir, struct manifest_reader *r,
				   int *fd);

#endif
