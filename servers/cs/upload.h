/* SPDX-License-Identifier: MIT */
/*
 * upload - data on its way in: where it goes on, its hash so far
 *
 * Owner:   the Cache Server; struct upload is counted, one for each item that data
 *          comes for. Context: any thread.
 * Whoever begins later has the item: the connection of the one before may be dead
 * without anybody having noticed.
 */
#ifndef NTM_SERVERS_CS_UPLOAD_H
#define NTM_SERVERS_CS_UPLOAD_H

#include "common/err.h"
#include "servers/cs/blobs.h"
#include "servers/cs/desk.h"
#include "servers/cs/items.h"

struct uploads;
struct upload;

/** @d: its errands hash what comes; outlived by this, but not used after its end */
NTM_MUST_CHECK int uploads_new(struct blobs *b, struct desk *d,
			       struct uploads **out);
/** nobody holds one any more */
void uploads_free(struct uploads *u);
/** closes what nobody has written to for a minute */
void uploads_sweep(struct uploads *u, uint32_t now_s);

/**
 * uploads_begin() - data of @item from @offset on
 * @turn: to be shown with each write
 * @have: bytes that are here
 * Return: 0 (upload_put() ends it), -NTM_ESTATE (go on at @have), -NTM_EAGAIN (it is
 *         being finished), -NTM_ESTORE, -NTM_ENOMEM
 */
NTM_MUST_CHECK int uploads_begin(struct uploads *u, const struct item *item,
				 uint64_t offset, struct upload **out,
				 unsigned int *turn, uint64_t *have);
/** the same, to finish it: wherever it is */
NTM_MUST_CHECK int uploads_get(struct uploads *u, const struct item *item,
			       struct upload **out);
void upload_put(struct uploads *u, struct upload *up);
/** Return: 0, -NTM_ESTATE (another one has it now, or it was cancelled),
 *  -NTM_ETOOBIG (more than the item has), -NTM_ESTORE */
NTM_MUST_CHECK int upload_write(struct upload *up, unsigned int turn,
				const uint8_t *data, size_t len);
/** all that was written is on the disk; @have: bytes. Waits. 0, -NTM_ESTORE */
NTM_MUST_CHECK int upload_sync(struct upload *up, uint64_t *have);
/**
 * upload_finish() - is it whole, and is @hash its hash? Waits.
 * Return: 0 (on the disk; nothing is written to it any more until
 *         upload_reopen()), -NTM_ESTATE (@have bytes are here), -NTM_EAUTH (another
 *         hash: all of it was dropped), -NTM_EAGAIN, -NTM_ESTORE
 */
NTM_MUST_CHECK int upload_finish(struct upload *up,
				 const uint8_t hash[static NTMC_HASH_LEN],
				 uint64_t *have);
/** the store did not take it */
void upload_reopen(struct upload *up);
/** the item is complete or cancelled: what still writes is refused */
void uploads_end(struct uploads *u, int64_t number);
/** bytes of an open item that are here, on the disk or on their way there */
uint64_t uploads_offset(struct uploads *u, int64_t number);

#endif
