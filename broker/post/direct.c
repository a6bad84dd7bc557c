/* SPDX-License-Identifier: MIT */
/*
 * direct - an item on its way straight to the receivers that are online
 *
 * Theory of operation
 *
 * Each receiver whose prekey is known is asked by its name, through the tunnel, as a
 * Cache Server would be asked: keys, data from the offset on that it names, completion.
 * Its answer to the last is the confirmation, and stands in the store before anything
 * else is done. Whether somebody is online nobody asks before: who does not answer in
 * DIRECT_CONNECT_MS is not there, and gets the item by a Cache Server.
 *
 * A connection that breaks in the middle is made again, as its other end may only have
 * been started anew: the receiver says where it goes on. After AGAIN_MAX times without
 * a byte between them the receiver is given up, here. It keeps what it has; the blob is
 * the same by every way.
 *
 * A small one goes all at once, its blob beside its key, and many such together
 * (web_together.c): one question, and one wait for the receiver's disk. Who cannot take
 * that says where it goes on, as of a large one.
 *
 * Of an item that is cancelled those who have a part of it are told.
 */
#include "broker/post/direct.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/absent.h"
#include "broker/post/door.h"
#include "broker/post/face.h"
#include "broker/post/sending.h"
#include "common/log.h"

#define AGAIN_MAX 3
#define AGAIN_MS  200
#define ELSE_MAX  8 /* offsets that the receiver named against ours */
#define ANSWER_S  5 /* without a word of who has accepted the connection */
#define PROGRESS  65536
#define WHOLE_MAX 8192 /* payload bytes that go with the key, in one request */

/* struct attempt - one receiver. @running: asked now, or about to be
 * @reached: it has answered once; @whole: all of it goes with the key; @best: the offset that it named then
 * @checks: it has, or has refused, a blob of this name before; is that ours, @word? */
struct attempt {
	struct direct *direct;
	char name[FQDN_MAX + 1];
	struct web_server door;
	struct web_call *call;
	struct loop_timer *turn;
	struct sealing *seal;
	uint64_t offset, best;
	unsigned int again, elsewhere;
	bool running, over, reached, whole, sends, checks;
	uint8_t word[NTMC_HASH_LEN];
	int word_code;
	struct attempt *next;
};

struct direct {
	struct sending *s;
	struct attempt *attempts;
	bool withdraws, alone;
};

static void attempt_ask(struct attempt *x);

/* --- ends
 * ------------------------------------------------------------------------------------ */

static void attempt_free(struct attempt *x)
{
	web_cancel(x->call);
	loop_timer_free(x->turn);
	if (x->seal) {
		sealing_close(x->seal);
		ntmc_wipe(x->seal, sizeof(*x->seal));
	}
	free(x->seal);
	free(x);
}

void direct_free(struct direct *d)
{
	struct attempt *x, *next;

	for (x = d ? d->attempts : NULL; x; x = next) {
		next = x->next;
		attempt_free(x);
	}
	free(d);
}

void direct_done(struct sending *s)
{
	direct_free(s->direct);
	s->direct = NULL;
	sending_step(s);
}

/* The next that waits; none is left: the job goes on, in another turn. */
static void attempts_run(struct direct *d)
{
	unsigned int running = 0;
	struct attempt *x;

	for (x = d->attempts; x; x = x->next)
		running += x->running;
	for (x = d->attempts; x && running < DIRECT_AT_ONCE; x = x->next) {
		if (x->running || x->over)
			continue;
		x->running = true;
		running++;
		loop_timer_arm(x->turn, 0);
	}
	if (!running)
		loop_timer_arm(d->s->turn, 0);
}

static void attempt_over(struct attempt *x)
{
	x->over = true;
	x->running = false;
	if (x->seal)
		sealing_close(x->seal);
	attempts_run(x->direct);
}

/* Another way for this one; or the same once more */
static void attempt_failed(struct attempt *x, int err)
{
	/* with all of a small one on its way nothing may have been heard yet */
	bool breaks = err == -NTM_ECLOSED ||
		      (x->reached &&
		       (err == -NTM_ETIMEOUT || err == -NTM_EUNREACHABLE ||
			err == -NTM_ENOTFOUND));

	if (breaks && (x->reached || x->whole) && !x->direct->withdraws &&
	    x->again++ < AGAIN_MAX) {
		log_debug("outbox", "item %lld, %s: %s; once more",
			  (long long)x->direct->s->id, x->name, err_text(err));
		x->sends = false;
		if (x->seal)
			sealing_close(x->seal);
		loop_timer_arm(x->turn, LOOP_MS(AGAIN_MS));
		return;
	}
	if (!x->reached && (err == -NTM_EUNREACHABLE || err == -NTM_ETIMEOUT))
		absent_put(x->direct->s->post->absent, x->name,
			   loop_now(x->direct->s->post->loop) +
				   LOOP_S(ABSENT_S));
	log_info("outbox", "item %lld does not go straight to %s: %s",
		 (long long)x->direct->s->id, x->name, err_text(err));
	attempt_over(x);
}

static int attempt_mark(struct attempt *x, int direct)
{
	struct store *st = x->direct->s->post->store;

	store_bind_int(st, TO_DIRECT, 1, x->direct->s->id);
	store_bind_text(st, TO_DIRECT, 2, x->name);
	store_bind_int(st, TO_DIRECT, 3, direct);
	return store_run(st, TO_DIRECT);
}

/* The receiver's last word. @code: it is refused for that */
static void attempt_end(struct attempt *x, int code)
{
	struct sending *s = x->direct->s;
	int err = sending_receiver(s, x->name, code ? TO_REFUSED : TO_RECEIVED,
				   code);

	if (!err)
		err = attempt_mark(x, 2);
	if (err)
		log_err("outbox", "the store cannot be written");
	else
		log_info("outbox", "item %lld: %s %s, straight from here",
			 (long long)s->id, x->name,
			 code ? err_text(code) : "has it");
	asking_changed(s->post->face);
	attempt_over(x);
}

/* --- answers
 * ------------------------------------------------------------------------------- */

static void attempt_data(struct attempt *x, uint64_t offset);

/* The file changed, or cannot be read: it is nobody's fault there. */
static bool sealing_failed(struct attempt *x, int err)
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
static bool word_taken(struct attempt *x, const struct web_answer *a)
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
	if (word_taken(x, a))
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

static void door_ask(const struct attempt *x, struct post_ask *ask, char *path,
		     size_t size, const char *rest)
{
	struct sending *s = x->direct->s;

	snprintf(path, size, "/v1/items/%s%s", s->ids.item, rest);
	ask->server = &x->door;
	ask->path = path;
	ask->bearer = ""; /* our token is for our domain's servers */
	ask->ids = &s->ids;
	ask->to = x->name;
	ask->connect_ms = DIRECT_CONNECT_MS;
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

	door_ask(x, &ask, path, sizeof(path), "/complete");
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
	if (a->err && sealing_failed(x, a->err))
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

	door_ask(x, &ask, path, sizeof(path), "/data");
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

static void attempt_forward(struct attempt *x)
{
	int err = sealing_forward(x->seal);

	if (err > 0) {
		loop_timer_arm(x->turn, 0);
		return;
	}
	if (err && sealing_failed(x, err))
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

static void attempt_data(struct attempt *x, uint64_t offset)
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
	else if (!sealing_failed(x, err))
		attempt_failed(x, err);
}

/* --- the beginning
 * ------------------------------------------------------------------------- */

static void on_keys(void *arg, const struct web_answer *a)
{
	struct attempt *x = arg;
	json_t *offset = json_object_get(a->json, "offset");
	bool again, first;
	int err = web_error(a, &again);

	x->call = NULL;
	if (!err) {
		first = !x->reached;
		x->reached = true;
		if (word_taken(x, a))
			return;
		if (first)
			err = attempt_mark(x, 1);
	}
	if (!err) {
		if (json_is_integer(offset) &&
		    json_integer_value(offset) >= 0) {
			attempt_data(x, (uint64_t)json_integer_value(offset));
			return;
		}
		/* a word that was cut off is asked for again */
		err = a->json ? -NTM_EDECODE : -NTM_ECLOSED;
	}
	attempt_failed(x, err);
}

static json_t *key_json(struct attempt *x)
{
	struct sending *s = x->direct->s;
	struct store *st = s->post->store;
	uint8_t wrapped[ITEM_KEY_MAX];
	size_t len;

	store_bind_int(st, TO_KEY, 1, s->id);
	store_bind_text(st, TO_KEY, 2, x->name);
	if (store_step(st, TO_KEY) <= 0)
		return NULL;
	len = store_blob(st, TO_KEY, 0, wrapped, sizeof(wrapped));
	store_reset(st, TO_KEY);
	if (!len || len > sizeof(wrapped))
		return NULL;
	return json_pack("{s:I, s:I, s:[{s:s, s:o}]}", "expires",
			 (json_int_t)s->expires, "size", (json_int_t)s->size,
			 "keys", "to", x->name, "key",
			 post_binary(wrapped, len));
}

/* All of it, and its hash. Return: 0, or an error of the sealing */
static int whole_put(struct attempt *x, json_t *j)
{
	struct sending *s = x->direct->s;
	uint8_t *buf = malloc((size_t)s->size + 1);
	struct sealing_of of;
	long n;
	int err;

	if (!x->seal)
		x->seal = calloc(1, sizeof(*x->seal));
	if (!x->seal || !buf) {
		free(buf);
		return -NTM_ENOMEM;
	}
	x->offset = 0;
	sending_seals(s, &of);
	err = sealing_open(x->seal, &of, 0);
	n = err ? err : sealing_read(x->seal, buf, (size_t)s->size + 1);
	err = n < 0 ? (int)n : n != (long)s->size ? -NTM_ESTATE : 0;
	if (!err &&
	    (json_object_set_new(j, "data", post_binary(buf, (size_t)n)) ||
	     json_object_set_new(j, "hash",
				 post_binary(x->seal->hash, NTMC_HASH_LEN))))
		err = -NTM_ENOMEM;
	free(buf);
	return err;
}

static int ask_keys(struct attempt *x)
{
	struct sending *s = x->direct->s;
	struct post_ask ask = {.method = "POST",
			       .stall_s = ANSWER_S,
			       .message = s->message,
			       .together = s->payload <= WHOLE_MAX};
	char path[128];
	json_t *j = key_json(x);
	int err = j ? 0 : -NTM_ESTORE;

	if (!err && ask.together) {
		ask.stall_s = DIRECT_STALL_S;
		x->whole = true;
		err = whole_put(x, j);
		if (err && sealing_failed(x, err)) {
			json_decref(j);
			return 0;
		}
	}
	door_ask(x, &ask, path, sizeof(path), "/keys");
	ask.json = j;
	if (!err)
		err = post_ask(s->post, &ask, on_keys, x, &x->call);
	json_decref(j);
	return err;
}

static void on_withdrawn(void *arg, const struct web_answer *a)
{
	struct attempt *x = arg;

	(void)a; /* one that cannot be told forgets it by itself, later */
	x->call = NULL;
	attempt_over(x);
}

static int ask_withdraw(struct attempt *x)
{
	struct post_ask ask = {
		.method = "DELETE", .stall_s = ANSWER_S, .last = true};
	char path[128];

	door_ask(x, &ask, path, sizeof(path), "");
	return post_ask(x->direct->s->post, &ask, on_withdrawn, x, &x->call);
}

static void attempt_ask(struct attempt *x)
{
	int err = x->direct->withdraws ? ask_withdraw(x) : ask_keys(x);

	if (err)
		attempt_failed(x, err);
}

static void on_turn(void *arg)
{
	struct attempt *x = arg;

	if (x->seal && x->seal->blob && x->seal->skip)
		attempt_forward(x);
	else
		attempt_ask(x);
}

/* the receiver that TO_LIST stands on */
static struct attempt *attempt_new(struct direct *d, const char *name)
{
	struct post *p = d->s->post;
	struct attempt *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->direct = d;
	snprintf(x->name, sizeof(x->name), "%s", name);
	strcpy(x->door.name, x->name);
	x->door.tunnel = DOOR_PORT;
	if (p->door_at)
		x->door.addrs[x->door.n_addrs++] = *p->door_at;
	if (loop_timer_new(p->loop, on_turn, x, &x->turn)) {
		attempt_free(x);
		return NULL;
	}
	x->next = d->attempts;
	d->attempts = x;
	return x;
}

/* Is this one to be asked? Of a CS's receivers only who waits alone, while that has not
 * all of it: one of several that is named there no more would change the others' item */
static bool is_meant(const struct direct *d, struct store *st)
{
	int64_t state = store_int(st, TO_LIST, 1);
	int64_t direct = store_int(st, TO_LIST, 5);
	bool posted = store_int(st, TO_LIST, 6);

	if (d->withdraws)
		return direct == 1 && state < TO_RECEIVED;
	return (!posted || d->alone) &&
	       (state == TO_FOUND || state == TO_READY);
}

static bool is_absent(const struct direct *d, struct store *st)
{
	const struct post *p = d->s->post;

	return !d->withdraws && absent_is(p->absent, store_text(st, TO_LIST, 0),
					  loop_now(p->loop));
}

int direct_start(struct sending *s)
{
	struct store *st = s->post->store;
	struct direct *d;
	int r = 1;

	if (!s->post->link && !s->post->door_at)
		return 0; /* no worker, no tunnel */
	d = calloc(1, sizeof(*d));
	if (!d)
		return -NTM_ENOMEM;
	d->s = s;
	d->withdraws = s->state != OUT_OPEN; /* cancelled, or failed */
	d->alone = sending_alone(s);
	store_bind_int(st, TO_LIST, 1, s->id);
	while (r > 0 && (r = store_step(st, TO_LIST)) > 0)
		if (is_meant(d, st) && !is_absent(d, st) &&
		    !attempt_new(d, store_text(st, TO_LIST, 0))) {
			store_reset(st, TO_LIST);
			r = -NTM_ENOMEM;
		}
	if (r < 0 || !d->attempts) {
		direct_free(d);
		return r;
	}
	s->direct = d;
	attempts_run(d);
	return 1;
}

uint64_t direct_sent(const struct direct *d)
{
	const struct attempt *x;
	uint64_t most = 0, at;

	for (x = d ? d->attempts : NULL; x; x = x->next) {
		at = x->offset + (x->sends && x->call ? web_moved(x->call) : 0);
		if (!x->over && at > most)
			most = at;
	}
	return most;
}
