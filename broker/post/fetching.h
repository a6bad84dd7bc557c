/* SPDX-License-Identifier: MIT */
/*
 * fetching - one item on its way here: what is asked next, until the box lists it no more
 *
 * Owner:    inbox.c. Context: loop thread.
 */
#ifndef NTM_BROKER_POST_FETCHING_H
#define NTM_BROKER_POST_FETCHING_H

#include "broker/post/inbox.h"
#include "broker/post/unpack.h"
#include "libntmcrypto/blob.h"
#include "libntmcrypto/receipt.h"

#define FETCHING_SAVE (64u << 20) /* bytes between two saved states */

/**
 * struct fetching - a row that is worked on
 * @text fields: as the list gave them
 * @direct: it comes straight from its sender (arrival.c): no @call, no server
 * @buf: as long as a chunk of this one, while @unpack is open; @have: bytes of the next
 *        chunk in it; @from: where this download began; @at: the
 *        bytes before it are here
 * @held: where somebody keeps a pointer to this; cleared at the end. Or NULL
 * @receipt: our word on it, of a row that is HAVE, REFUSED or TAKEN and could make one
 * @entries: of its manifest, when that came in this run
 * @verified: the seal was the sender's; @failure: what ended the download
 */
struct fetching {
	struct inbox *inbox;
	struct post *post;
	int64_t id, entry;
	enum in_state state;
	int code; /* of a refusal */
	bool has_receipt;
	uint8_t receipt[RECEIPT_LEN];
	unsigned int tries;
	char sender[FQDN_MAX + 1];
	struct post_ids ids;
	uint8_t item[ITEM_ID_LEN];
	char key_hash[64], data_hash[64], ticket[64], temporal[64];
	uint64_t size;
	struct web_server cs;
	struct ntmc_key k, t;
	bool has_key;
	uint8_t signer[NTMC_KEY_LEN];
	struct web_call *call;

	struct blob *blob;
	struct unpack *unpack;
	size_t entries;
	uint64_t payload, from, at, saved_at;
	uint8_t *buf;
	size_t have;
	bool verified, direct;
	struct fetching **held;
	uint64_t moved_ns;
	struct fetching *next;
};

void fetching_step(struct fetching *f);
/** off the box's list, without a word to the CS */
void fetching_unlist(struct fetching *f);
void fetching_free(struct fetching *f);
/** why an item is refused for @err, in a sentence for its receiver */
const char *fetching_refusal(int err);
/** K is known: the blob, from where we have it (fetching_data.c) */
void fetching_data(struct fetching *f);
/** K is known, and its answer had all of the blob, as base64url */
void fetching_given(struct fetching *f, const char *text);

/* --- the blob, however it comes (fetching_data.c) --- */

/** what came stays, but for the piece of a chunk */
void fetching_close(struct fetching *f);
/** where the row says we are: f->from. Return: 0, -NTM_EDECODE (a size that no blob
 *  has), -NTM_ESTORE (disk, or no room on it), -NTM_ENOMEM */
NTM_MUST_CHECK int fetching_open(struct fetching *f);
/** the next bytes. Return: 0, -NTM_EAUTH, -NTM_EDECODE, -NTM_EVERSION, -NTM_ESTORE */
NTM_MUST_CHECK int fetching_take(struct fetching *f, const uint8_t *data,
				 size_t len);
/** what came is on the disk, and the row says so. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int fetching_save(struct fetching *f);
/** nothing of it counts: all of it once more. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int fetching_forget(struct fetching *f);
/** all came, is the sender's and f->data_hash's, and is on the disk.
 *  Return: 0, -NTM_ECLOSED (not all), -NTM_EAUTH, -NTM_ESTORE */
NTM_MUST_CHECK int fetching_whole(struct fetching *f);
/** K out of its seal to our prekey, and who made that. Return: 0, -NTM_EEXPIRED (the
 *  prekey is none of ours any more), as item_key_unwrap() and post_pin() */
NTM_MUST_CHECK int fetching_key(struct fetching *f, const uint8_t *wrapped,
				size_t len);
/** the row has it. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int fetching_key_keep(struct fetching *f);

/* --- ends: the job is freed, the inbox looks for the next --- */

void fetching_later(struct fetching *f, int err, const char *text,
		    unsigned int retry_s);
/** the row's next state; HAVE and REFUSED are confirmed then */
void fetching_state(struct fetching *f, enum in_state state, int err,
		    const char *text);
/** the box lists it no more */
void fetching_done(struct fetching *f);
/** neither server has it: forget it */
void fetching_gone(struct fetching *f);

struct post *inbox_post(struct inbox *b);
/** a job for row @id, whose fields are the caller's to fill. NULL: no memory */
struct fetching *inbox_job_new(struct inbox *b, int64_t id, bool direct);
/** each job that is direct; @fn may free it */
void inbox_each_direct(struct inbox *b,
		       void (*fn)(void *arg, struct fetching *f), void *arg);
/** the job of item @id; NULL: none */
struct fetching *inbox_job(struct inbox *b, int64_t id);
/** entry @entry off the box's list (inbox_sync.c). Return: as post_ask() */
NTM_MUST_CHECK int inbox_off_list(struct post *p, int64_t entry, web_fn *done,
				  void *arg, struct web_call **out);
/** the folder of an item */
bool inbox_folder(const struct post *p, int64_t id, char *path, size_t size);

#endif
