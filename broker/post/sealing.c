/* SPDX-License-Identifier: MIT */
/*
 * sealing - an item's blob, made while it is sent, from any offset on
 *
 * Two states of the sealer are kept in the store, one every 64 MiB: to go on, one that
 * is not beyond the offset is taken, and what lies between is sealed again without
 * being sent. It is the same, byte for byte.
 */
#include "broker/post/sealing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/post/outbox.h"
#include "broker/post/sending.h"
#include "broker/post/tags.h"

#define FORWARD_CHUNKS 512 /* sealed again in one turn of the loop */

void sealing_close(struct sealing *z)
{
	if (z->pack && z->tags >= 0)
		close(z->tags);
	pack_close(z->pack);
	if (z->small)
		ntmc_wipe(z->small, (size_t)z->of.payload);
	free(z->small);
	free(z->sealed);
	z->small = z->sealed = NULL;
	blob_free(z->blob);
	z->pack = NULL;
	z->blob = NULL;
	z->have = z->used = 0;
	z->hashed = false;
}

static int state_save(struct sealing *z)
{
	struct store *st = z->of.post->store;
	struct blob_state state;

	if (fdatasync(z->tags))
		return -NTM_ESTORE;
	blob_save(z->blob, &state);
	z->saved_at = blob_at(z->blob);
	store_bind_int(st, OUT_SEAL, 1, z->of.id);
	store_bind_blob(st, OUT_SEAL, 2, state.b, sizeof(state.b));
	return store_run(st, OUT_SEAL);
}

/* The next chunk, or the seal, into z->sealed; have is 0 behind the end */
static int seal_next(struct sealing *z)
{
	uint64_t index = blob_payload_at(z->blob) / BLOB_CHUNK;
	struct who *w = &z->of.post->who;
	size_t n = blob_next(z->blob);
	int err = 0;

	z->used = z->have = 0;
	if (z->hashed)
		return 0;
	if (!n) {
		err = blob_seal_end(z->blob, w->id, w->fqdn, z->sealed);
		if (!err)
			err = blob_hash(z->blob, z->hash);
		z->hashed = !err;
		z->have = BLOB_SEAL;
		return err;
	}
	if (z->small)
		memcpy(z->sealed, z->small + blob_payload_at(z->blob), n);
	else
		err = pack_read(z->pack, blob_payload_at(z->blob), z->sealed,
				n);
	if (!err)
		err = blob_seal_chunk(z->blob, z->sealed, n);
	/* a change that left no trace in the file's times, too */
	if (!err && !z->small)
		err = tags_check(z->tags, index, z->sealed + n);
	z->have = n + NTMC_TAG_LEN;
	if (!err && blob_at(z->blob) - z->saved_at >= SEALING_SAVE)
		err = state_save(z);
	return err;
}

long sealing_read(struct sealing *z, uint8_t *buf, size_t size)
{
	size_t n, done = 0;
	int err;

	while (done < size) {
		if (z->used == z->have) {
			err = seal_next(z);
			if (err)
				return err;
			if (!z->have)
				break;
		}
		n = z->have - z->used < size - done ? z->have - z->used
						    : size - done;
		memcpy(buf + done, z->sealed + z->used, n);
		z->used += n;
		done += n;
	}
	return (long)done;
}

bool sealing_over(const struct sealing *z)
{
	return z->hashed && z->used == z->have;
}

int sealing_forward(struct sealing *z)
{
	int err = 0, i;

	for (i = 0; i < FORWARD_CHUNKS && z->skip >= z->have - z->used; i++) {
		z->skip -= z->have - z->used;
		err = seal_next(z);
		if (err || !z->have)
			break;
	}
	if (err)
		return err;
	if (z->have && z->skip >= z->have)
		return 1;
	z->used += (size_t)z->skip;
	z->skip = 0;
	return 0;
}

/* The later of two states at or before the offset; else from the header on */
static int blob_start(struct sealing *z, uint64_t offset)
{
	struct store *st = z->of.post->store;
	struct blob_state states[2];
	size_t len[2] = {0, 0};
	int r, i;

	store_bind_int(st, OUT_GET, 1, z->of.id);
	r = store_step(st, OUT_GET);
	if (r < 0)
		return r;
	for (i = 0; r && i < 2; i++)
		len[i] = store_blob(st, OUT_GET, 9 + i, states[i].b,
				    sizeof(states[i].b));
	store_reset(st, OUT_GET);
	for (i = 0; i < 2; i++) {
		if (len[i] != sizeof(states[i].b) ||
		    blob_resume(z->of.k, z->of.item, &states[i], &z->blob))
			continue;
		if (blob_at(z->blob) <= offset &&
		    blob_payload_len(z->blob) == z->of.payload) {
			z->skip = offset - blob_at(z->blob);
			return 0;
		}
		blob_free(z->blob);
		z->blob = NULL;
	}
	r = blob_seal_new(ntmc_aead_preferred(), z->of.k, z->of.item,
			  z->of.payload, &z->blob);
	if (r)
		return r;
	blob_header(z->blob, z->sealed);
	z->have = BLOB_HEADER;
	z->skip = offset;
	return 0;
}

/* Out of the store, or its list. Return: 0, -NTM_ESTORE, as pack_open() */
static int payload_open(struct sealing *z)
{
	const struct sealing_of *of = &z->of;
	struct store *st = of->post->store;
	char folder[512];
	size_t len;
	int err;

	if (of->payload <= OUTBOX_SMALL) {
		z->small = malloc(of->payload);
		if (!z->small)
			return -NTM_ENOMEM;
		store_bind_int(st, SMALL_GET, 1, of->id);
		if (store_step(st, SMALL_GET) <= 0)
			return -NTM_ESTORE;
		len = store_blob(st, SMALL_GET, 0, z->small, of->payload);
		store_reset(st, SMALL_GET);
		return len == of->payload ? 0 : -NTM_ESTORE;
	}
	if (!outbox_folder(of->post, of->id, folder, sizeof(folder)))
		return -NTM_EINVAL;
	err = pack_open(folder, &z->pack);
	z->tags = err ? -1 : tags_open(folder);
	if (!err && (z->tags < 0 || pack_len(z->pack) != of->payload))
		err = -NTM_ESTORE;
	return err;
}

int sealing_open(struct sealing *z, const struct sealing_of *of,
		 uint64_t offset)
{
	int err;

	sealing_close(z);
	z->of = *of;
	z->sealed = malloc(blob_part_max(of->payload));
	err = z->sealed ? payload_open(z) : -NTM_ENOMEM;
	if (!err)
		err = blob_start(z, offset);
	if (!err)
		z->saved_at = blob_at(z->blob);
	return err;
}

int sealing_whole(struct sealing *z, const struct sealing_of *of, uint64_t size,
		  json_t *into)
{
	uint8_t *buf = malloc((size_t)size + 1);
	int err = buf ? sealing_open(z, of, 0) : -NTM_ENOMEM;
	long n = err ? err : sealing_read(z, buf, (size_t)size + 1);

	err = n < 0 ? (int)n : n != (long)size ? -NTM_ESTATE : 0;
	if (!err &&
	    (json_object_set_new(into, "data", post_binary(buf, (size_t)n)) ||
	     json_object_set_new(into, "hash",
				 post_binary(z->hash, NTMC_HASH_LEN))))
		err = -NTM_ENOMEM;
	free(buf);
	return err;
}
