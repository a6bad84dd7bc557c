/* SPDX-License-Identifier: MIT */
/*
 * fetching_data - the blob as it comes: opened chunk by chunk, written, verified
 *
 * Every 64 MiB what was written is synced and the state saved; a download that breaks
 * goes on there, with Range.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/fetching.h"
#include "broker/post/room.h"
#include "common/file.h"

void fetching_close(struct fetching *f)
{
	unpack_close(f->unpack);
	blob_free(f->blob);
	if (f->buf)
		ntmc_wipe(f->buf, blob_part_max(f->payload));
	free(f->buf);
	f->unpack = NULL;
	f->blob = NULL;
	f->buf = NULL;
	f->have = 0;
	f->verified = false;
}

static int at_save(struct fetching *f, const struct blob_state *state,
		   uint64_t at)
{
	struct store *st = f->post->store;

	store_bind_int(st, IN_AT, 1, f->id);
	if (state)
		store_bind_blob(st, IN_AT, 2, state->b, sizeof(state->b));
	store_bind_int(st, IN_AT, 3, (int64_t)at);
	return store_run(st, IN_AT);
}

int fetching_forget(struct fetching *f)
{
	return at_save(f, NULL, 0);
}

int fetching_save(struct fetching *f)
{
	struct blob_state state;
	int err;

	/* before the first chunk there is nothing, in the seal no state */
	if (!f->blob || !blob_next(f->blob) || blob_at(f->blob) == f->saved_at)
		return 0;
	err = unpack_sync(f->unpack);
	if (err)
		return err;
	blob_save(f->blob, &state);
	f->saved_at = blob_at(f->blob);
	return at_save(f, &state, f->saved_at);
}

/* --- what comes
 * ---------------------------------------------------------------------------- */

/* Bytes that are needed before something can be opened; 0: all is here */
static size_t want(const struct fetching *f)
{
	size_t n;

	if (f->verified)
		return 0;
	if (!f->blob)
		return BLOB_HEADER;
	n = blob_next(f->blob);
	return n ? n + NTMC_TAG_LEN : BLOB_SEAL;
}

/* f->buf has all that want() asked for */
static int piece(struct fetching *f)
{
	size_t n;
	int err;

	if (!f->blob)
		return blob_open_new(&f->k, f->item, f->buf, f->size, &f->blob);
	n = blob_next(f->blob);
	if (!n) {
		err = blob_open_end(f->blob, f->signer, f->sender, f->buf);
		f->verified = !err;
		return err;
	}
	err = blob_open_chunk(f->blob, f->buf, n + NTMC_TAG_LEN);
	if (!err)
		err = unpack_write(f->unpack, f->buf, n);
	if (!err && blob_at(f->blob) - f->saved_at >= FETCHING_SAVE)
		err = fetching_save(f);
	return err;
}

int fetching_take(struct fetching *f, const uint8_t *data, size_t len)
{
	size_t n;
	int err;

	while (len) {
		n = want(f);
		if (!n)
			return -NTM_EAUTH; /* more than the size it said */
		n -= f->have;
		if (n > len)
			n = len;
		memcpy(f->buf + f->have, data, n);
		f->have += n;
		f->at += n;
		data += n;
		len -= n;
		if (f->have == want(f)) {
			err = piece(f);
			f->have = 0;
			if (err)
				return err;
		}
	}
	return 0;
}

static int on_write(void *arg, const uint8_t *data, size_t len)
{
	return fetching_take(arg, data, len);
}

/* --- its end
 * ------------------------------------------------------------------------------- */

/* bytes of files that are to come yet */
static uint64_t to_come(const struct fetching *f)
{
	return f->payload - (f->blob ? blob_payload_at(f->blob) : 0);
}

/* Again; if the disk has no room, its receiver can make some */
static void later(struct fetching *f, int err)
{
	unsigned long long mb =
		(to_come(f) + f->entries * (uint64_t)ROOM_FILE) / 1000000 + 1;
	int full = err == -NTM_ESTORE
			   ? room_check(f->post, f, to_come(f), f->entries)
			   : 0;
	char text[640];

	if (full == -NTM_ELIMIT)
		snprintf(text, sizeof(text),
			 "the disk of %s has no room for %zu files; make room, "
			 "it is tried again",
			 f->post->who.dir, f->entries);
	else
		snprintf(text, sizeof(text),
			 "the disk of %s has no room for %llu MB; make room, "
			 "it is tried again",
			 f->post->who.dir, mb);
	fetching_later(f, err, full ? text : NULL, 0);
}

static void data_failed(struct fetching *f, int err)
{
	bool whole = f->from == 0;

	switch (-err) {
	case NTM_EAUTH:
	case NTM_EDECODE:
	case NTM_EVERSION:
		if (whole) {
			fetching_state(f, IN_REFUSED, err,
				       fetching_refusal(err));
			return;
		}
		/* what we had may be what is wrong: all of it once more */
		if (fetching_forget(f))
			err = -NTM_ESTORE;
		break;
	default:
		break;
	}
	later(f, err);
}

int fetching_whole(struct fetching *f)
{
	char text[NTMC_BASE64URL_LEN(NTMC_HASH_LEN) + 3];
	uint8_t hash[NTMC_HASH_LEN];
	int err = f->verified ? blob_hash(f->blob, hash) : -NTM_ECLOSED;

	if (err)
		return err;
	ntmc_base64url_encode(hash, sizeof(hash), text);
	if (strcmp(text, f->data_hash))
		return -NTM_EAUTH;
	return unpack_finish(f->unpack);
}

/* All bytes that there are came; or @err, ours */
static void all_came(struct fetching *f, int err)
{
	if (!err)
		err = fetching_whole(f);
	if (err) {
		data_failed(f, err);
		return;
	}
	post_files_written(f->post);
	fetching_state(f, IN_HAVE, 0, NULL);
}

static void on_data(void *arg, const struct web_answer *a)
{
	struct fetching *f = arg;
	bool again;
	int err = web_error(a, &again);

	f->call = NULL;
	if (a->err) {
		/* a connection that broke: what came counts */
		if (a->err != -NTM_EAUTH && a->err != -NTM_EDECODE &&
		    a->err != -NTM_ESTORE) {
			if (fetching_save(f))
				err = -NTM_ESTORE;
			else if (f->saved_at > f->from)
				f->tries = 0; /* what breaks next is new */
		}
		data_failed(f, err);
		return;
	}
	if (err && a->status == 404) {
		fetching_gone(f);
		return;
	}
	if (err) {
		fetching_later(f, err, web_text(a), a->retry_s);
		return;
	}
	all_came(f, 0);
}

/* --- its beginning
 * ------------------------------------------------------------------------- */

/* Where the row says we are. Return: the blob's offset, or an error */
static int resume(struct fetching *f, uint64_t *at)
{
	struct store *st = f->post->store;
	struct blob_state state;
	size_t len = 0;
	int r;

	*at = 0;
	store_bind_int(st, IN_GET, 1, f->id);
	r = store_step(st, IN_GET);
	if (r <= 0)
		return r;
	len = store_blob(st, IN_GET, 19, state.b, sizeof(state.b));
	store_reset(st, IN_GET);
	if (len != sizeof(state.b))
		return 0;
	if (blob_resume(&f->k, f->item, &state, &f->blob))
		return 0;
	if (blob_payload_len(f->blob) != f->payload) {
		blob_free(f->blob);
		f->blob = NULL;
		return 0;
	}
	*at = blob_at(f->blob);
	return 0;
}

static int on_entries(void *arg, size_t entries)
{
	struct fetching *f = arg;

	f->entries = entries;
	return room_check(f->post, f, to_come(f), entries) ? -NTM_ESTORE : 0;
}

int fetching_open(struct fetching *f)
{
	char folder[512];
	int err;

	fetching_close(f);
	if (!inbox_folder(f->post, f->id, folder, sizeof(folder)))
		return -NTM_EINVAL;
	err = blob_payload(f->size, &f->payload);
	if (!err && !(f->buf = malloc(blob_part_max(f->payload))))
		err = -NTM_ENOMEM;
	if (!err)
		err = file_make_folder(folder, 0700);
	if (!err)
		err = resume(f, &f->from);
	if (err)
		return err;
	if (room_check(f->post, f, to_come(f), 0))
		return -NTM_ESTORE;
	err = unpack_open(folder, f->payload, f->payload - to_come(f),
			  &f->unpack);
	if (err && f->from) {
		/* what lies there is not what we had: from the beginning */
		blob_free(f->blob);
		f->blob = NULL;
		f->from = 0;
		err = unpack_open(folder, f->payload, 0, &f->unpack);
	}
	if (!err)
		unpack_room(f->unpack, on_entries, f);
	f->at = f->saved_at = f->from;
	return err;
}

static void not_begun(struct fetching *f, int err)
{
	if (err == -NTM_EDECODE)
		fetching_state(f, IN_REFUSED, err, fetching_refusal(err));
	else if (err)
		later(f, err);
}

void fetching_data(struct fetching *f)
{
	char path[128], range[64];
	struct post_ask ask = {.server = &f->cs,
			       .method = "GET",
			       .path = path,
			       .bearer = f->ticket,
			       .write = on_write};
	int err = fetching_open(f);

	ask.together = !f->from && f->size <= WEB_TOGETHER_BYTES;

	snprintf(path, sizeof(path), "/v1/data/%s", f->data_hash);
	snprintf(range, sizeof(range), "Range: bytes=%llu-",
		 (unsigned long long)f->from);
	ask.length = f->size - f->from;
	if (f->from)
		ask.more[0] = range;
	if (!err)
		err = post_ask(f->post, &ask, on_data, f, &f->call);
	not_begun(f, err);
}

void fetching_given(struct fetching *f, const char *text)
{
	size_t len = strlen(text) * 3 / 4;
	uint8_t *data = len == f->size ? malloc(len + 1) : NULL;
	int err;

	/* not what the list says: it is asked for by its hash */
	if (!data || ntmc_base64url_decode(text, data, len)) {
		free(data);
		fetching_data(f);
		return;
	}
	err = fetching_open(f);
	if (err)
		not_begun(f, err);
	else
		all_came(f, fetching_take(f, data + f->from, len - f->from));
	free(data);
}
