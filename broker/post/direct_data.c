/* SPDX-License-Identifier: MIT */
/* direct_data - the blob on its way straight to one receiver, and that one's last word */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/direct_impl.h"

#define ELSE_MAX 8 /* offsets that the receiver named against ours */
#define PROGRESS 65536

/* The file changed, or cannot be read: it is nobody's fault there. */
bool attempt_unsealed(struct attempt *x, int err)
{
	if (err != -NTM_ECHANGED && err != -NTM_ESTORE && err != -NTM_ENOMEM)
		return false;
	sending_broke(x->direct->s, x->seal, err);
	return true;
}

/* A last word on a blob that it had before: ours, or another one of that name? */
static void word_check(struct attempt *x)
{
	x->checks = false;
	if (memcmp(x->word, x->seal->hash, sizeof(x->word)))
		attempt_failed(x, -NTM_EEXISTS);
	else
		attempt_end(x, x->word_code);
}

/* Return: true: it is a last word, and it was taken */
bool attempt_word(struct attempt *x, const struct web_answer *a)
{
	const char *state =
		json_string_value(json_object_get(a->json, "state"));
	json_int_t code = json_integer_value(json_object_get(a->json, "code"));
	bool refused = state && !strcmp(state, "refused"), named;

	if (a->status != 200 || !state ||
	    (!refused && strcmp(state, "received")))
		return false;
	named = !post_binary_get(a->json, "hash", x->word, sizeof(x->word));
	x->word_code = !refused			  ? 0
		       : code > 0 && code < 65536 ? (int)code
						  : NTM_EAUTH;
	if (x->seal && x->seal->blob && x->seal->hashed && named) {
		word_check(x);
	} else if (x->seal && x->seal->blob) {
		/* on what we have just sent */
		attempt_end(x, x->word_code);
	} else if (!named) {
		attempt_failed(x, -NTM_EEXISTS);
	} else {
		x->checks = true;
		attempt_data(x, x->direct->s->size);
	}
	return true;
}

/* Return: true: the answer says how it goes on, and it does */
static bool place_told(struct attempt *x, const struct web_answer *a)
{
	json_t *offset = json_object_get(a->json, "offset");

	if (a->err)
		return false;
	if (attempt_word(x, a))
		return true;
	if (a->status != 409 || !json_is_integer(offset) ||
	    ++x->elsewhere > ELSE_MAX)
		return false;
	attempt_data(x, (uint64_t)json_integer_value(offset));
	return true;
}

static void on_complete(void *arg, const struct web_answer *a)
{
	struct attempt *x = arg;
	bool again;
	int err = web_error(a, &again);

	x->call = NULL;
	/* a word that was cut off is asked for again */
	if (!place_told(x, a))
		attempt_failed(x, err ? err : -NTM_ECLOSED);
}

static int ask_complete(struct attempt *x)
{
	struct sending *s = x->direct->s;
	struct post_ask ask = {
		.method = "POST", .stall_s = DIRECT_FINISH_S, .last = true};
	char path[128];
	json_t *j = json_pack("{s:o, s:I}", "hash",
			      post_binary(x->seal->hash, NTMC_HASH_LEN), "size",
			      (json_int_t)s->size);
	int err;

	attempt_request(x, &ask, path, sizeof(path), "/complete");
	ask.json = j;
	err = j ? post_ask(s->post, &ask, on_complete, x, &x->call)
		: -NTM_ENOMEM;
	json_decref(j);
	return err;
}

static void on_data(void *arg, const struct web_answer *a)
{
	struct attempt *x = arg;
	bool again;
	int err = web_error(a, &again);

	x->call = NULL;
	x->sends = false;
	if (a->err && attempt_unsealed(x, a->err))
		return;
	if ((err || !sealing_over(x->seal)) && place_told(x, a))
		return;
	if (!err)
		err = ask_complete(x);
	if (err)
		attempt_failed(x, err);
}

static long on_read(void *arg, uint8_t *buf, size_t size)
{
	struct attempt *x = arg;

	return sealing_read(x->seal, buf, size);
}

/* All of it in one piece, with the hash */
static int ask_small(struct attempt *x, struct post_ask *ask)
{
	struct sending *s = x->direct->s;
	uint8_t *buf = malloc((size_t)s->size + 1);
	char text[NTMC_BASE64URL_LEN(NTMC_HASH_LEN) + 3], hash[96];
	long n;
	int err;

	if (!buf)
		return -NTM_ENOMEM;
	n = sealing_read(x->seal, buf, (size_t)s->size + 1);
	err = n < 0 ? (int)n : n != (long)s->size ? -NTM_ESTATE : 0;
	if (!err) {
		ntmc_base64url_encode(x->seal->hash, NTMC_HASH_LEN, text);
		snprintf(hash, sizeof(hash), "NTM-Hash: %s", text);
		ask->more[1] = hash;
		ask->body = buf;
		ask->body_len = (size_t)n;
		ask->stall_s = DIRECT_FINISH_S;
		ask->last = true;
		err = post_ask(s->post, ask, on_complete, x, &x->call);
	}
	free(buf);
	return err;
}

static int ask_data(struct attempt *x)
{
	struct sending *s = x->direct->s;
	struct post_ask ask = {.method = "PATCH", .stall_s = DIRECT_STALL_S};
	char path[128], offset[48];

	attempt_request(x, &ask, path, sizeof(path), "/data");
	snprintf(offset, sizeof(offset), "NTM-Offset: %llu",
		 (unsigned long long)x->offset);
	ask.more[0] = offset;
	if (!x->offset && s->payload <= BLOB_CHUNK)
		return ask_small(x, &ask);
	ask.read = on_read;
	ask.length = s->size - x->offset;
	x->sends = true;
	return post_ask(s->post, &ask, on_data, x, &x->call);
}

void attempt_forward(struct attempt *x)
{
	int err = sealing_forward(x->seal);

	if (err > 0) {
		loop_timer_arm(x->turn, 0);
		return;
	}
	if (err && attempt_unsealed(x, err))
		return;
	if (!err && x->checks) {
		word_check(x);
		return;
	}
	if (!err)
		err = sealing_over(x->seal) ? ask_complete(x) : ask_data(x);
	if (err)
		attempt_failed(x, err);
}

void attempt_data(struct attempt *x, uint64_t offset)
{
	struct sending *s = x->direct->s;
	struct sealing_of of;
	int err;

	if (!x->seal)
		x->seal = calloc(1, sizeof(*x->seal));
	if (!x->seal || offset > s->size) {
		attempt_failed(x, x->seal ? -NTM_EDECODE : -NTM_ENOMEM);
		return;
	}
	if (offset >= x->best + PROGRESS)
		x->again = 0;
	x->best = x->offset = offset;
	sending_seals(s, &of);
	err = sealing_open(x->seal, &of, offset);
	if (!err)
		attempt_forward(x);
	else if (!attempt_unsealed(x, err))
		attempt_failed(x, err);
}
