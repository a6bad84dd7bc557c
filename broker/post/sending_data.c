/* SPDX-License-Identifier: MIT */
/* sending_data - the blob on its way to a CS, from the offset on that it has */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/sending.h"

#define OFFSETS_MAX 8	  /* that a CS names, of one try */
#define GIVEN_MAX   16384 /* bytes of a blob with its keys: what a CS takes so */

void sending_seals(struct sending *s, struct sealing_of *of)
{
	*of = (struct sealing_of){.post = s->post,
				  .id = s->id,
				  .k = &s->k,
				  .item = s->item,
				  .payload = s->payload};
}

void sending_broke(struct sending *s, const struct sealing *z, int err)
{
	char text[ITEM_PATH_MAX + 64];

	if (err == -NTM_ECHANGED) {
		snprintf(text, sizeof(text),
			 "%s changed while it was being sent; send it again",
			 *pack_changed(z->pack) ? pack_changed(z->pack)
						: "one of the files");
		sending_end(s, OUT_FAILED, err, text);
	} else {
		sending_later(s, err, NULL, 0);
	}
}

static long on_read(void *arg, uint8_t *buf, size_t size)
{
	struct sending *s = arg;

	return sealing_read(&s->seal, buf, size);
}

/* --- requests
 * ----------------------------------------------------------------------------- */

static int all_there(struct sending *s)
{
	struct store *st = s->post->store;
	int err;

	store_bind_int(st, OUT_DONE, 1, s->id);
	store_bind_blob(st, OUT_DONE, 2, s->seal.hash, sizeof(s->seal.hash));
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

void sending_given(struct sending *s)
{
	int err = all_there(s);

	if (err)
		sending_later(s, err, NULL, 0);
	else
		sending_done(s, OUT_SENT_ALL);
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
	sending_given(s);
}

/* Before the CS can have all of it: a receipt is of this blob. Return: 0, -NTM_ESTORE */
static int hash_keep(struct sending *s)
{
	struct store *st = s->post->store;

	store_bind_int(st, OUT_HASH, 1, s->id);
	store_bind_blob(st, OUT_HASH, 2, s->seal.hash, sizeof(s->seal.hash));
	return store_run(st, OUT_HASH);
}

int sending_give(struct sending *s, json_t *j)
{
	struct sealing_of of;
	int err;

	/* of one that is whole only receivers are new */
	s->given = !s->whole && s->size <= GIVEN_MAX;
	if (!s->given)
		return 0;
	sending_seals(s, &of);
	err = sealing_whole(&s->seal, &of, s->size, j);
	return err ? err : hash_keep(s);
}

static int ask_complete(struct sending *s)
{
	char path[128];
	struct post_ask ask = {.server = &s->cs,
			       .method = "POST",
			       .path = path,
			       .together = true,
			       .ids = &s->ids};
	json_t *j = json_pack("{s:o, s:I}", "hash",
			      post_binary(s->seal.hash, sizeof(s->seal.hash)),
			      "size", (json_int_t)s->size);
	int err = j ? hash_keep(s) : -NTM_ENOMEM;

	snprintf(path, sizeof(path), "/v1/items/%s/complete", s->ids.item);
	ask.json = j;
	if (!err)
		err = post_ask(s->post, &ask, on_complete, s, &s->call);
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
		sending_broke(s, &s->seal, a->err);
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
	if (hash_keep(s))
		return -NTM_ESTORE;
	ntmc_base64url_encode(s->seal.hash, sizeof(s->seal.hash), text);
	snprintf(hash, sizeof(hash), "NTM-Hash: %s", text);
	snprintf(offset, sizeof(offset), "NTM-Offset: %llu",
		 (unsigned long long)s->offset);
	ask->more[0] = offset;
	ask->more[1] = hash;
	ask->body = buf;
	ask->body_len = (size_t)n;
	ask->together = true;
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
	sending_look_soon(s);
	return post_ask(s->post, &ask, on_data, s, &s->call);
}

/* --- finding the place
 * -------------------------------------------------------------------- */

/* Seal again what the CS has, some of it a turn; then send. */
void sending_forward(struct sending *s)
{
	int err = sealing_forward(&s->seal);

	if (err > 0) {
		loop_timer_arm(s->turn, 0);
		return;
	}
	/* nothing is left to send: only to be said */
	if (!err)
		err = sealing_over(&s->seal) ? ask_complete(s) : ask_data(s);
	if (err)
		sending_broke(s, &s->seal, err);
}

void sending_data(struct sending *s, uint64_t offset)
{
	struct sealing_of of;
	int err;

	sealing_close(&s->seal);
	s->offset = offset;
	if (offset > s->size) {
		sending_later(s, -NTM_EDECODE, NULL, 0);
		return;
	}
	/* only receivers are new: what it was is known, though the files may be gone */
	if (s->whole && offset == s->size) {
		memcpy(s->seal.hash, s->hash, sizeof(s->hash));
		err = ask_complete(s);
		if (err)
			sending_later(s, err, NULL, 0);
		return;
	}
	sending_seals(s, &of);
	err = sealing_open(&s->seal, &of, offset);
	if (err) {
		sending_broke(s, &s->seal, err);
		return;
	}
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
