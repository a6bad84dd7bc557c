/* SPDX-License-Identifier: MIT */
/* transfers - an item's data: in from any offset, finished, and out again */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/cs/state.h"

#define ROOM_MIN (UINT64_C(1) << 20) /* of the disk; below it nothing begins */

/* struct transfer - a PATCH of data; the request's state until it is over */
struct transfer {
	struct cs *cs;
	struct upload *up;
	unsigned int turn;
	struct item item;
	bool finishes; /* with @hash */
	uint8_t hash[NTMC_HASH_LEN];
};

/* --- finishing --------------------------------------------------------------------- */

/* struct finish - sync, hash, store, answer */
struct finish {
	struct desk_errand errand;
	struct desk_job job;
	struct cs *cs;
	struct http_request *q;
	struct upload *up;
	struct item item;
	bool whole; /* the item is complete, not only its bytes here */
	uint8_t hash[NTMC_HASH_LEN];
};

static void finish_end(struct finish *f)
{
	upload_put(f->cs->uploads, f->up);
	free(f);
}

static int complete_run(struct desk_job *job, struct items *s)
{
	struct finish *f =
		(struct finish *)((char *)job - offsetof(struct finish, job));

	return items_complete(s, f->item.number, f->hash);
}

static void answer_complete(struct http_request *q, const struct item *item,
			    const uint8_t *hash)
{
	http_answer_json(q, 200,
			 json_pack("{s:I, s:I, s:o}", "size",
				   (json_int_t)item->size, "offset",
				   (json_int_t)item->size, "hash",
				   cs_base64(hash, NTMC_HASH_LEN)));
}

static void complete_done(struct desk_job *job, int err)
{
	struct finish *f =
		(struct finish *)((char *)job - offsetof(struct finish, job));
	struct cs *cs = f->cs;

	if (err) {
		upload_reopen(f->up);
		cs_answer(cs, f->q, err);
	} else {
		uploads_end(cs->uploads, f->item.number);
		/* where it lies is no matter: see blobs_get() */
		if (blobs_keep(cs->blobs, f->item.number, f->hash))
			log_warn("cs", "a blob stays where it came in");
		atomic_fetch_add(&cs->stats.complete, 1);
		answer_complete(f->q, &f->item, f->hash);
		exchange_wake(cs->exchange);
	}
	finish_end(f);
}

static void whole_run(struct finish *f)
{
	uint64_t have;
	int r = upload_finish(f->up, f->hash, &have);

	if (!r) {
		desk_do(f->cs->desk, &f->job);
		return;
	}
	if (r == -NTM_ESTATE)
		cs_answer_offset(f->q, r, "not all of it is here", have);
	else if (r == -NTM_EAUTH)
		cs_answer_offset(f->q, r,
				 "the data has another hash and was dropped; "
				 "send it again",
				 have);
	else if (r == -NTM_EAGAIN)
		http_answer_later(f->q, r, 1, "it is being finished");
	else
		cs_answer(f->cs, f->q, r);
	finish_end(f);
}

static void finish_run(struct desk_errand *e)
{
	struct finish *f = (struct finish *)e;
	uint64_t have;
	int r;

	if (f->whole) {
		whole_run(f);
		return;
	}
	r = upload_sync(f->up, &have);
	if (r)
		cs_answer(f->cs, f->q, r);
	else
		http_answer_json(
			f->q, 200,
			json_pack("{s:I}", "offset", (json_int_t)have));
	finish_end(f);
}

/* @hash: NULL: only what came is put on the disk */
static void finish(struct cs *cs, struct http_request *q,
		   const struct item *item, const uint8_t *hash)
{
	struct finish *f = calloc(1, sizeof(*f));
	int r = f ? uploads_get(cs->uploads, item, &f->up) : -NTM_ENOMEM;

	if (r) {
		free(f);
		cs_answer(cs, q, r);
		return;
	}
	f->errand.run = finish_run;
	f->job = (struct desk_job){.run = complete_run, .done = complete_done};
	f->cs = cs;
	f->q = q;
	f->item = *item;
	f->whole = hash;
	if (hash)
		memcpy(f->hash, hash, NTMC_HASH_LEN);
	desk_send(cs->desk, &f->errand);
}

/* --- in ------------------------------------------------------------------------------ */

static void transfer_end(void *state)
{
	struct transfer *t = state;

	upload_put(t->cs->uploads, t->up);
	free(t);
}

/* an item that is not open any more; true: answered */
static bool is_over(struct http_request *q, const struct item *item,
		    const uint8_t *hash)
{
	if (item->state == ITEM_OPEN)
		return false;
	if (hash && item->has_hash &&
	    !memcmp(hash, item->hash, NTMC_HASH_LEN) &&
	    (item->state == ITEM_COMPLETE || item->state == ITEM_DONE))
		answer_complete(q, item, hash);
	else
		cs_answer_offset(q, -NTM_ESTATE,
				 "the item is not open any more",
				 item->has_hash ? item->size : 0);
	return true;
}

/* Return: false: answered */
static bool read_head(struct http_request *q, struct transfer *t,
		      uint64_t *offset)
{
	const char *hash = http_header(q, "NTM-Hash");
	uint64_t len = http_body_length(q);

	t->finishes = hash;
	if (http_header_number(q, "NTM-Offset", offset) ||
	    (hash && ntmc_base64url_decode(hash, t->hash, NTMC_HASH_LEN))) {
		http_answer_error(q, 400, -NTM_EINVAL,
				  "NTM-Offset is a number, NTM-Hash 32 bytes "
				  "in base64url",
				  NULL);
		return false;
	}
	if (!cs_sender_ok(t->cs, q) || !cs_find_item(t->cs, q, &t->item) ||
	    is_over(q, &t->item, hash ? t->hash : NULL))
		return false;
	if (*offset > t->item.size ||
	    (len != UINT64_MAX && len > t->item.size - *offset)) {
		http_answer_error(q, 413, -NTM_ETOOBIG,
				  "the item was said to be smaller", NULL);
		return false;
	}
	return true;
}

static void answer_begin(struct cs *cs, struct http_request *q, int err,
			 uint64_t have)
{
	if (err == -NTM_ESTATE)
		cs_answer_offset(q, err, "go on at offset", have);
	else if (err == -NTM_EAGAIN)
		http_answer_later(q, err, 1, "it is being finished");
	else
		cs_answer(cs, q, err);
}

/* Its end may have come since it was looked up, and found no upload to tell of it.
 * Return: false: answered */
static bool is_still_open(struct transfer *t, struct http_request *q,
			  uint64_t have)
{
	struct cs *cs = t->cs;
	struct item item;
	int r;

	pthread_mutex_lock(&cs->lock);
	r = items_get(cs->reader, t->item.number, &item);
	pthread_mutex_unlock(&cs->lock);
	if (!r && item.state == ITEM_OPEN)
		return true;
	uploads_end(cs->uploads, t->item.number);
	upload_put(cs->uploads, t->up);
	if (!have) /* of our making; else on its way to its place */
		blobs_remove_upload(cs->blobs, t->item.number);
	cs_answer_offset(q, -NTM_ESTATE, "the item is not open any more",
			 !r && item.has_hash ? item.size : 0);
	return false;
}

void cs_data_start(struct http_request *q, void *arg)
{
	struct transfer *t = calloc(1, sizeof(*t));
	uint64_t offset, have = 0;
	int r;

	if (!t) {
		http_answer_err(q, -NTM_ENOMEM);
		return;
	}
	t->cs = arg;
	if (!read_head(q, t, &offset)) {
		free(t);
		return;
	}
	/* a long body cannot be answered in the middle: its sender hears it here */
	if (blobs_room(t->cs->blobs, &have) || have < ROOM_MIN) {
		cs_answer(t->cs, q, -NTM_ESTORE);
		free(t);
		return;
	}
	r = uploads_begin(t->cs->uploads, &t->item, offset, &t->up, &t->turn,
			  &have);
	if (r) {
		answer_begin(t->cs, q, r, have);
		free(t);
		return;
	}
	if (!is_still_open(t, q, have)) {
		free(t);
		return;
	}
	http_set_state(q, t, transfer_end);
}

bool cs_data_body(struct http_request *q, void *arg, const uint8_t *data,
		  size_t len)
{
	struct transfer *t = http_state(q);
	struct cs *cs = arg;
	int r = upload_write(t->up, t->turn, data, len);

	if (!r) {
		atomic_fetch_add_explicit(&cs->stats.bytes_in, len,
					  memory_order_relaxed);
		return true;
	}
	if (r == -NTM_ESTATE)
		http_answer_error(q, 409, r,
				  "another upload of it goes on, or it was "
				  "cancelled",
				  NULL);
	else if (r == -NTM_ETOOBIG)
		http_answer_error(q, 413, r, "the item was said to be smaller",
				  NULL);
	else
		cs_answer(cs, q, r);
	return false;
}

void cs_data_done(struct http_request *q, void *arg)
{
	struct transfer *t = http_state(q);

	finish(arg, q, &t->item, t->finishes ? t->hash : NULL);
}

void cs_complete(struct http_request *q, void *arg)
{
	const json_t *size = json_object_get(http_json(q), "size");
	struct cs *cs = arg;
	uint8_t hash[NTMC_HASH_LEN];
	struct item item;

	if (!cs_bytes(http_json(q), "hash", hash, sizeof(hash)) ||
	    !json_is_integer(size)) {
		http_answer_error(
			q, 400, -NTM_EINVAL,
			"hash is 32 bytes in base64url, size a number", NULL);
		return;
	}
	if (!cs_find_item(cs, q, &item) || is_over(q, &item, hash))
		return;
	if ((uint64_t)json_integer_value(size) != item.size)
		cs_answer_offset(q, -NTM_ESTATE,
				 "the item was said to have another size",
				 uploads_offset(cs->uploads, item.number));
	else
		finish(cs, q, &item, hash);
}

/* --- what is not here any more --------------------------------------------------------- */

/* struct loss - a complete item whose blob was asked for in vain */
struct loss {
	struct desk_job job;
	struct cs *cs;
	int64_t number;
};

static int loss_run(struct desk_job *job, struct items *s)
{
	struct loss *l = (struct loss *)job;
	int r = items_lose(s, l->number);

	return r == -NTM_ENOTFOUND ? 0 : r;
}

static void loss_done(struct desk_job *job, int err)
{
	struct loss *l = (struct loss *)job;

	if (!err) {
		atomic_fetch_add(&l->cs->stats.lost, 1);
		exchange_wake(l->cs->exchange);
	}
	free(l);
}

/* The disk has lost it, or somebody has cut it: its sender sends it again. */
static void lose(struct cs *cs, const struct item *item)
{
	struct loss *l = calloc(1, sizeof(*l));

	if (!l)
		return; /* who asks next finds it */
	log_err("cs", "the data of item %lld is not here, or not all of it",
		(long long)item->number);
	l->job = (struct desk_job){.run = loss_run, .done = loss_done};
	l->cs = cs;
	l->number = item->number;
	desk_do(cs->desk, &l->job);
}

/* --- out ------------------------------------------------------------------------------- */

void cs_get_data(struct http_request *q, void *arg)
{
	struct cs *cs = arg;
	uint8_t hash[NTMC_HASH_LEN];
	struct receiver r;
	struct item item;
	uint8_t *small = NULL;
	int fd = -1, err;

	if (!cs_ticket(cs, q, &item, &r))
		return;
	if (http_param_bytes(q, 0, hash, sizeof(hash)) ||
	    (item.has_hash && memcmp(hash, item.hash, sizeof(hash)))) {
		http_answer_error(q, 403, -NTM_EPERM,
				  "the ticket is not for this data", NULL);
		return;
	}
	if (item.state != ITEM_COMPLETE)
		err = -NTM_ENOTFOUND;
	else if (item.small)
		err = cs_small(cs, &item, &small);
	else
		err = blobs_get(cs->blobs, item.number, item.hash, item.size,
				&fd);
	/* a small one that is not here was confirmed, or cancelled, a moment ago */
	if (err == -NTM_ENOTFOUND && item.state == ITEM_COMPLETE && !item.small)
		lose(cs, &item);
	if (err)
		http_answer_err(q, err);
	else if (small)
		http_answer_data(q, small, item.size);
	else
		http_answer_file(q, fd, item.size);
}
