/* SPDX-License-Identifier: MIT */
/*
 * room - may more come onto the disk of the state folder?
 *
 * What comes straight and what comes by Cache Servers shares one disk with the stores of
 * broker and ntm-post. So all of it is counted together: what is yet to come of every item
 * that is on its way, and ROOM_SPARED besides.
 *
 * Context: loop thread. Memory: none of its own.
 */
#ifndef NTM_BROKER_POST_ROOM_H
#define NTM_BROKER_POST_ROOM_H

#include "broker/post/post.h"

#define ROOM_SPARED	  (UINT64_C(64) << 20) /* bytes */
#define ROOM_SPARED_FILES 10000
#define ROOM_FILE	  4096 /* bytes that a file takes besides: its last block */

struct fetching;

/**
 * room_check() - is there room for so much more?
 * @but:   its own rest does not count, as it is what is asked for; NULL: there is none
 * @files: of the item, where its list is known, else 0
 * Return: 0, -NTM_ESTORE (no room, or no such disk), -NTM_ELIMIT (no more files)
 */
NTM_MUST_CHECK int room_check(struct post *p, const struct fetching *but,
			      uint64_t bytes, uint64_t files);

#endif
