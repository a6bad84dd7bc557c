/* SPDX-License-Identifier: MIT */
/*
 * tags - what each chunk of an item was sealed to
 *
 * Owner:    the caller: one file in the folder of each item that is sent. Context: loop
 *           thread; waits for the disk.
 * A chunk's tag tells its bytes: whoever seals a chunk again, after a break or for
 * another receiver, finds out here whether it is what it was. If not, it must not leave
 * this machine: two contents under one nonce tell what both are, to who sees both.
 */
#ifndef NTM_BROKER_POST_TAGS_H
#define NTM_BROKER_POST_TAGS_H

#include <stdint.h>

#include "common/err.h"

#define TAGS_LEN 16

/** of the item in @dir, made where it is not there. Return: a descriptor, or -1 */
int tags_open(const char *dir);
/** chunk @index was sealed to what ends in @tag, and is about to be sent.
 *  Return: 0, -NTM_ECHANGED (it was something else before), -NTM_ESTORE */
NTM_MUST_CHECK int tags_check(int fd, uint64_t index,
			      const uint8_t tag[static TAGS_LEN]);

#endif
