/* SPDX-License-Identifier: MIT */
/*
 * sending_data - the blob, sealed while it is sent, from the offset on that the CS has
 *
 * Two states of the sealer are kept in the store, one every 64 MiB: to go on, the
 * later one that is not beyond the offset is taken, and what lies between is sealed
 * again without being sent. It is the same, byte for byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/post/sending.h"
#include "broker/post/tags.h"

#define OFFSETS_MAX    8   /* that a CS names, of one try */
#define FORWARD_CHUNKS 512 /* sealed again in one turn of the loop */

static void data_clear(struct sending *s)
{
	pack_close(s->pack);
	blob_free(s->blob);
	if (s->tags >= 0)
		close(s->tags);
	s->tags = -1;
	free(s->small);
	s->small = NULL;
	s->pack = NULL;
	s->blob = NULL;
	s->have = s->used = 0;
	s->hashed = false;
}

static void data_failed(struct sending *s, int err)
{
	char text[ITEM_PATH_MAX + 64];

	if (err == -NTM_ECHANGED) {
		snprintf(text, sizeof(text),
			 "%s changed while it was being sent; send it again",
			 *pack_changed(s->pack) ? pack_changed(s->pack)
						: "one of the files");
		sending_end(s, OUT_FAILED, err, text);
	} else {
		sending_later(s, err, NULL, 0);
	}
}

/* --- sealing
 * ------------------------------------------------------------------------------- */

static int state_save(struct sending *s)
{
	struct store *st = s->post->store;
	struct blob_state state;

	if (fdatasync(s->tags))
		return -NTM_ESTORE;
	blob_save(s->blob, &state);
	s->saved_at = blob_at(s->blob);
	store_bind_int(st, OUT_SEAL, 1, s->id);
	store_bind_blob(st, OUT_SEAL, 2, state.b, sizeof(state.b));
	return store_run(st, OUT_SEAL);
}

/* The next chunk, or the seal, into s->sealed; have is 0 behind the end */
static int seal_next(struct sending *s)
{
	uint64_t index = blob_payload_at(s->blob) / BLOB_CHUNK;
	size_t n = blob_next(s->blob);
	int err = 0;

	s->used = s->have = 0;
	if (s->hashed)
		return 0;
	if (!n) {
		err = blob_seal_end(s->blob, s->post->who.id, s->post->who.fqdn,
				    s->sealed);
		if (!err)
			err = blob_hash(s->blob, s->hash);
		s->hashed = !err;
		s->have = BLOB_SEAL;
		return err;
	}
	if (s->small)
		memcpy(s->sealed, s->small + blob_payload_at(s->blob), n);
	else
		err = pack_read(s->pack, blob_payload_at(s->blob), s->sealed,
				n);
	if (!err)
		err = blob_seal_chunk(s->blob, s->sealed, n);
	/* a change that left no trace in the file's times, too */
	if (!err && !s->small)
		err = tags_check(s->tags, index, s->sealed + n);
	s->have = n + NTMC_TAG_LEN;
	if (!err && blob_at(s->blob) - s->saved_at >= SENDING_SAVE)
		err = state_save(s);
	return err;
}

static long on_read(void *arg, uint8_t *buf, size_t size)
{
	struct sending *s = arg;
	size_t n, done = 0;
	int err;

	while (done < size) {
		if (s->used == s->have) {
			err = seal_next(s);
			if (err)
				return err;
			if (!s->have)
				break;
		}
		n = s->have - s->used < size - done ? s->have - s->used
						    : size - done;
		memcpy(buf + done, s->sealed + s->used, n);
		s->used += n;
		done += n;
	}
	return (long)done;
}

/* --- requests
 * ----------------------------------------------------------------------------- */

static int all_there(struct sending *s)
{
	struct store *st = s->post->store;
	int err;

	store_bind_int(st, OUT_DONE, 1, s->id);
	store_bind_blob(st, OUT_DONE, 2, s->hash, sizeof(s->hash));
	err = store_run(st, OUT_DONE);
	if (err)
		return err;
	store_bind_int(st, TO_WAIT, 1, s->id);
	store_bind_int(st, TO_WAIT, 2, post_now(s->post));
	return store_run(st, TO_WAIT);
}

/* The CS has another offset than we think: from there, then. */
static bool offset_told(struct sending *s, const struct web_answer *a)
{
	json_t *offset = json_object_get(a->json, "offset");

	if (a->err || a->status != 409 || !json_is_integer(offset) ||
	    ++s->told > OFFSETS_MAX)
		return false;
	sending_data(s, (uint64_t)json_integer_value(offset));
	return true;
}

static void on_complete(void *arg, const struct web_answer *a)
{
	struct sending *s = arg;
	bool again;
	int err = web_error(a, &again);

	s->call = NULL;
	if (err && offset_told(s, a))
		return;
	if (err) {
		sending_answer(s, a);
		return;
	}
	err = all_there(s);
	if (err)
		sending_later(s, err, NULL, 0);
	else
		sending_end(s, OUT_SENT_ALL, 0, NULL);
}

static int ask_complete(struct sending *s)
{
	char path[128];
	struct post_ask ask = {.server = &s->cs,
			       .method = "POST",
			       .path = path,
			       .ids = &s->ids};
	json_t *j = json_pack("{s:o, s:I}", "hash",
			      post_binary(s->hash, sizeof(s->hash)), "size",
			      (json_int_t)s->size);
	int err;

	snprintf(path, sizeof(path), "/v1/items/%s/complete", s->ids.item);
	ask.json = j;
	err = j ? post_ask(s->post, &ask, on_complete, s, &s->call)
		: -NTM_ENOMEM;
	json_decref(j);
	return err;
}

static void on_data(void *arg, const struct web_answer *a)
{
	struct sending *s = arg;
	bool again;
	int err = web_error(a, &again);

	s->call = NULL;
	if (a->err && (a->err == -NTM_ECHANGED || a->err == -NTM_ESTORE)) {
		data_failed(s, a->err);
		return;
	}
	if (err && offset_told(s, a))
		return;
	if (err) {
		sending_answer(s, a);
		return;
	}
	s->offset = s->size;
	err = ask_complete(s);
	if (err)
		sending_later(s, err, NULL, 0);
}

/* All that is left in one piece, with the hash: no further question. */
static int ask_small(struct sending *s, struct post_ask *ask)
{
	static uint8_t buf[BLOB_HEADER + BLOB_SEALED + BLOB_SEAL];
	char offset[48], hash[NTMC_BASE64URL_LEN(NTMC_HASH_LEN) + 64];
	char text[NTMC_BASE64URL_LEN(NTMC_HASH_LEN) + 3];
	long n = on_read(s, buf, (size_t)(s->size - s->offset));
	long more = n < 0 ? n : on_read(s, buf, 1);

	if (n < 0 || more)
		return n < 0 ? (int)n : -NTM_ESTATE;
	ntmc_base64url_encode(s->hash, sizeof(s->hash), text);
	snprintf(hash, sizeof(hash), "NTM-Hash: %s", text);
	snprintf(offset, sizeof(offset), "NTM-Offset: %llu",
		 (unsigned long long)s->offset);
	ask->more[0] = offset;
	ask->more[1] = hash;
	ask->body = buf;
	ask->body_len = (size_t)n;
	return post_ask(s->post, ask, on_complete, s, &s->call);
}

static int ask_data(struct sending *s)
{
	char path[128], offset[48];
	struct post_ask ask = {.server = &s->cs,
			       .method = "PATCH",
			       .path = path,
			       .ids = &s->ids};

	snprintf(path, sizeof(path), "/v1/items/%s/data", s->ids.item);
	if (s->offset == 0 && s->payload <= BLOB_CHUNK)
		return ask_small(s, &ask);
	snprintf(offset, sizeof(offset), "NTM-Offset: %llu",
		 (unsigned long long)s->offset);
	ask.more[0] = offset;
	ask.read = on_read;
	ask.length = s->size - s->offset;
	return post_ask(s->post, &ask, on_data, s, &s->call);
}

/* --- finding the place
 * -------------------------------------------------------------------- */

/* Seal again what the CS has, some of it a turn; then send. */
void sending_forward(struct sending *s)
{
	int err = 0, i;

	for (i = 0; i < FORWARD_CHUNKS && s->skip >= s->have - s->used; i++) {
		s->skip -= s->have - s->used;
		err = seal_next(s);
		if (err || !s->have)
			break;
	}
	if (!err && s->have && s->skip >= s->have) {
		loop_timer_arm(s->turn, 0);
		return;
	}
	if (!err) {
		s->used += (size_t)s->skip;
		s->skip = 0;
		/* nothing is left to send: only to be said */
		err = s->hashed && s->used == s->have ? ask_complete(s)
						      : ask_data(s);
	}
	if (err)
		data_failed(s, err);
}

/* The later of two states at or before the offset; else from the header on */
static int blob_start(struct sending *s)
{
	struct store *st = s->post->store;
	struct blob_state states[2];
	size_t len[2] = {0, 0};
	int r, i;

	store_bind_int(st, OUT_GET, 1, s->id);
	r = store_step(st, OUT_GET);
	if (r < 0)
		return r;
	for (i = 0; r && i < 2; i++)
		len[i] = store_blob(st, OUT_GET, 9 + i, states[i].b,
				    sizeof(states[i].b));
	store_reset(st, OUT_GET);
	for (i = 0; i < 2; i++) {
		if (len[i] != sizeof(states[i].b) ||
		    blob_resume(&s->k, s->item, &states[i], &s->blob))
			continue;
		if (blob_at(s->blob) <= s->offset &&
		    blob_payload_len(s->blob) == s->payload) {
			s->skip = s->offset - blob_at(s->blob);
			return 0;
		}
		blob_free(s->blob);
		s->blob = NULL;
	}
	r = blob_seal_new(ntmc_aead_preferred(), &s->k, s->item, s->payload,
			  &s->blob);
	if (r)
		return r;
	blob_header(s->blob, s->sealed);
	s->have = BLOB_HEADER;
	s->skip = s->offset;
	return 0;
}

/* The payload: out of the store, or its list. Return: 0, -NTM_ESTORE */
static int payload_open(struct sending *s)
{
	struct store *st = s->post->store;
	char folder[512];
	size_t len;
	int err;

	if (s->payload <= OUTBOX_SMALL) {
		s->small = malloc(s->payload);
		if (!s->small)
			return -NTM_ENOMEM;
		store_bind_int(st, SMALL_GET, 1, s->id);
		err = store_step(st, SMALL_GET);
		if (err <= 0)
			return -NTM_ESTORE;
		len = store_blob(st, SMALL_GET, 0, s->small, s->payload);
		store_reset(st, SMALL_GET);
		return len == s->payload ? 0 : -NTM_ESTORE;
	}
	if (!outbox_folder(s->post, s->id, folder, sizeof(folder)))
		return -NTM_EDECODE;
	err = pack_open(folder, &s->pack);
	s->tags = err ? -1 : tags_open(folder);
	if (!err && (s->tags < 0 || pack_len(s->pack) != s->payload))
		err = -NTM_ESTORE;
	return err;
}

void sending_data(struct sending *s, uint64_t offset)
{
	int err;

	data_clear(s);
	s->offset = offset;
	if (offset > s->size) {
		sending_later(s, -NTM_EDECODE, NULL, 0);
		return;
	}
	err = payload_open(s);
	if (!err)
		err = blob_start(s);
	if (err) {
		data_failed(s, err);
		return;
	}
	s->saved_at = blob_at(s->blob);
	/* something came over: what breaks next is no failure of the same try */
	if (offset > s->known) {
		s->known = offset;
		s->tries = 0;
	}
	store_bind_int(s->post->store, OUT_SENT, 1, s->id);
	store_bind_int(s->post->store, OUT_SENT, 2, (int64_t)offset);
	err = store_run(s->post->store, OUT_SENT);
	if (err)
		sending_later(s, err, NULL, 0);
	else
		sending_forward(s);
}
