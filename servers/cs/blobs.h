/* SPDX-License-Identifier: MIT */
/*
 * blobs - sealed data as files: while it comes named by its item, then by its hash
 *         (libntmcrypto/blobsum.h)
 *
 * Owner:   the Cache Server. Context: any thread; the folder's files are its only state.
 *
 *   DIR/up/NUMBER      of an open item, as far as it came
 *   DIR/blob/HH/HEX    of complete ones; HH: the first byte of the hash
 *
 * blobs_keep() only moves: an item that the store calls complete may still lie in up/
 * after a crash, and is found there.
 *
 * A file in up/ is worth something only with its item: a restored store may give the
 * number to another one.
 */
#ifndef NTM_SERVERS_CS_BLOBS_H
#define NTM_SERVERS_CS_BLOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "libntmcrypto/ntmcrypto.h"

struct blobs;

/** makes what folders are missing. Return: 0, -NTM_ESTORE, -NTM_EPERM, -NTM_ENOMEM */
NTM_MUST_CHECK int blobs_open(const char *dir, struct blobs **out);
void blobs_close(struct blobs *b);

/** the file of an open item, to read and write; its name is on the disk.
 *  @size: what is there. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int blobs_upload(struct blobs *b, int64_t number, int *fd,
				uint64_t *size);
/** bytes that came of an open item; 0: none */
uint64_t blobs_uploaded(struct blobs *b, int64_t number, int64_t *mtime);
/** the item is complete: by its hash from now on. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int blobs_keep(struct blobs *b, int64_t number,
			      const uint8_t hash[static NTMC_HASH_LEN]);
/** before anybody uploads: the blob of a complete item to its place, where it is whole.
 *  Return: 0, -NTM_ENOTFOUND (it is nowhere), -NTM_ESTORE */
NTM_MUST_CHECK int blobs_settle(struct blobs *b, int64_t number,
				const uint8_t hash[static NTMC_HASH_LEN],
				uint64_t size);
/** to read, also while it is still in up/. Return: 0, -NTM_ENOTFOUND (or another
 *  size), -NTM_ESTORE */
NTM_MUST_CHECK int blobs_get(struct blobs *b, int64_t number,
			     const uint8_t hash[static NTMC_HASH_LEN],
			     uint64_t size, int *fd);
void blobs_remove_upload(struct blobs *b, int64_t number);
void blobs_remove(struct blobs *b, const uint8_t hash[static NTMC_HASH_LEN]);

/** struct blobs_file - one that is there. @hash: of those in blob/; else @number */
struct blobs_file {
	bool upload;
	int64_t number, mtime;
	uint8_t hash[NTMC_HASH_LEN];
};
/** all of them; @fn may remove what it is called for */
NTM_MUST_CHECK int blobs_each(struct blobs *b,
			      void (*fn)(void *arg, const struct blobs_file *f),
			      void *arg);
/** those in up/ alone */
NTM_MUST_CHECK int
blobs_uploads(struct blobs *b,
	      void (*fn)(void *arg, const struct blobs_file *f), void *arg);
/** bytes that the disk has for us. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int blobs_room(struct blobs *b, uint64_t *out);

#endif
