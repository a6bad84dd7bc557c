/* SPDX-License-Identifier: MIT */
/* direct_attempt - one receiver: its key, or all of a small one; and how it ends */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/absent.h"
#include "broker/post/direct_impl.h"
#include "broker/post/door.h"
#include "broker/post/face.h"
#include "common/log.h"

#define AGAIN_MAX 3
#define AGAIN_MS  200
#define ANSWER_S  5    /* without a word of who has accepted the connection */
#define WHOLE_MAX 8192 /* payload bytes that go with the key, in one request */

void attempt_free(struct attempt *x)
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

/* Another way for this one; or the same once more */
void attempt_failed(struct attempt *x, int err)
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
void attempt_end(struct attempt *x, int code)
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

void attempt_request(const struct attempt *x, struct post_ask *ask, char *path,
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
		if (attempt_word(x, a))
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
	struct sealing_of of;

	if (!x->seal)
		x->seal = calloc(1, sizeof(*x->seal));
	if (!x->seal)
		return -NTM_ENOMEM;
	x->offset = 0;
	sending_seals(s, &of);
	return sealing_whole(x->seal, &of, s->size, j);
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
		if (err && attempt_unsealed(x, err)) {
			json_decref(j);
			return 0;
		}
	}
	attempt_request(x, &ask, path, sizeof(path), "/keys");
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

	attempt_request(x, &ask, path, sizeof(path), "");
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
struct attempt *attempt_new(struct direct *d, const char *name)
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
