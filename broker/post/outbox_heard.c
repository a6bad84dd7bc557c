/* SPDX-License-Identifier: MIT */
/*
 * outbox_heard - what became of items that were sent
 *
 * Theory of operation
 *
 * A CS is asked, and says of each receiver what it knows. It is believed that the item
 * waits, and that it will not be fetched: nothing is lost by that but what it can lose
 * anyway. That a receiver has it is believed by the receiver's own receipt alone, which
 * the CS hands on. Only one that the item went to is asked, whoever names another. One
 * that claims it without that is counted, and changes nothing: the
 * item waits on.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/outbox_impl.h"
#include "common/log.h"
#include "libntmcrypto/receipt.h"

#define CLOCKS_S 600 /* its clock may be ahead of ours */

void outbox_asking_free(struct asking *a)
{
	struct asking **at = &a->outbox->askings;

	while (*at && *at != a)
		at = &(*at)->next;
	if (*at)
		*at = a->next;
	web_cancel(a->call);
	free(a);
}

/* struct sent - what a receipt has to be of; @known: there is all of it */
struct sent {
	int64_t id;
	bool known;
	struct ntmc_key k;
	uint8_t item[ITEM_ID_LEN], blob[NTMC_HASH_LEN];
	char sender[FQDN_MAX + 1];
};

static int sent_read(struct store *st, int64_t id, struct sent *s)
{
	struct post_ids ids;
	int r;

	memset(s, 0, sizeof(*s));
	s->id = id;
	store_bind_int(st, OUT_GET, 1, id);
	r = store_step(st, OUT_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	snprintf(ids.application, sizeof(ids.application), "%s",
		 store_text(st, OUT_GET, 1));
	snprintf(ids.service, sizeof(ids.service), "%s",
		 store_text(st, OUT_GET, 2));
	snprintf(ids.item, sizeof(ids.item), "%s", store_text(st, OUT_GET, 3));
	post_item_id(&ids, s->item);
	s->known = store_blob(st, OUT_GET, 5, s->k.b, sizeof(s->k.b)) ==
			   sizeof(s->k.b) &&
		   store_blob(st, OUT_GET, 8, s->blob, sizeof(s->blob)) ==
			   sizeof(s->blob);
	snprintf(s->sender, sizeof(s->sender), "%s",
		 store_text(st, OUT_GET, 21));
	store_reset(st, OUT_GET);
	return 0;
}

/* Who signed the prekey that K was sealed to. Return: 1, 0: @name is no receiver, or the
 * last word on it is said; -NTM_ESTORE */
static int signer_read(struct store *st, const struct sent *s, const char *name,
		       uint8_t signer[static NTMC_KEY_LEN], int64_t *claims)
{
	int r;

	memset(signer, 0, NTMC_KEY_LEN); /* of which nothing verifies */
	store_bind_int(st, TO_SIGNER, 1, s->id);
	store_bind_text(st, TO_SIGNER, 2, name);
	r = store_step(st, TO_SIGNER);
	if (r <= 0)
		return r;
	(void)store_blob(st, TO_SIGNER, 0, signer, NTMC_KEY_LEN);
	*claims = store_int(st, TO_SIGNER, 1);
	store_reset(st, TO_SIGNER);
	return 1;
}

/* A CS says that it was received, and cannot show it */
static int claim(struct store *st, const struct sent *s, const char *name,
		 int64_t before)
{
	if (!before)
		log_warn("outbox",
			 "item %lld: its Cache Server says that %s has "
			 "received it, without the signature of that device; "
			 "this is not believed",
			 (long long)s->id, name);
	store_bind_int(st, TO_CLAIM, 1, s->id);
	store_bind_text(st, TO_CLAIM, 2, name);
	return store_run(st, TO_CLAIM);
}

static int receiver_state(struct store *st, const struct sent *s,
			  enum to_state state, bool proven, const json_t *j)
{
	store_bind_int(st, TO_HEARD, 1, s->id);
	store_bind_text(st, TO_HEARD, 2,
			json_string_value(json_object_get(j, "name")));
	store_bind_int(st, TO_HEARD, 3, state);
	store_bind_int(st, TO_HEARD, 4,
		       json_integer_value(json_object_get(j, "code")));
	store_bind_int(st, TO_HEARD, 5,
		       json_integer_value(json_object_get(j, "at")));
	store_bind_int(st, TO_HEARD, 6, proven);
	return store_run(st, TO_HEARD);
}

/* The last word on a receiver. That it has the item only its receipt says; that it
 * does not get it a server may say as well. */
static int receiver_end(struct store *st, const struct sent *s,
			enum to_state state, const char *name, const json_t *j)
{
	json_int_t code = json_integer_value(json_object_get(j, "code"));
	uint8_t signer[NTMC_KEY_LEN], msg[RECEIPT_LEN];
	struct receipt r = {{s->item, s->sender, name},
			    s->blob,
			    .code = state == TO_RECEIVED ? 0
				    : code > 0 && code < 65536
					    ? (unsigned int)code
					    : UINT_MAX};
	int64_t claims;
	bool proven;
	int err = signer_read(st, s, name, signer, &claims);

	if (err <= 0)
		return err;
	proven = s->known && !post_binary_get(j, "receipt", msg, sizeof(msg)) &&
		 !receipt_verify(signer, &s->k, &r, msg, sizeof(msg));
	if (state == TO_RECEIVED && !proven)
		return claim(st, s, name, claims);
	return receiver_state(st, s, state, proven, j);
}

static int receiver_update(struct store *st, const struct sent *s,
			   const json_t *j)
{
	static const struct {
		const char *word;
		enum to_state state;
	} words[] = {{"waiting", TO_WAITING},
		     {"told", TO_TOLD},
		     {"received", TO_RECEIVED},
		     {"refused", TO_REFUSED}};
	const char *name = json_string_value(json_object_get(j, "name"));
	const char *word = json_string_value(json_object_get(j, "state"));
	size_t i;

	for (i = 0; name && word && i < 4; i++) {
		if (strcmp(word, words[i].word))
			continue;
		return words[i].state < TO_RECEIVED
			       ? receiver_state(st, s, words[i].state, false, j)
			       : receiver_end(st, s, words[i].state, name, j);
	}
	return 0;
}

/* Return: 0, -NTM_ESTORE */
static int receivers_update(struct store *st, int64_t id, const json_t *list)
{
	struct sent s;
	int r = sent_read(st, id, &s);
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		if (!r)
			r = receiver_update(st, &s, j);
	}
	ntmc_wipe(&s, sizeof(s));
	return r;
}

/* The CS has lost it: its disk was, or it was restored from a copy. Our box may have
 * been, too, and the receiver's has let T go: so all of it once more. */
static int send_anew(struct outbox *o, int64_t id)
{
	struct sending *s = outbox_job_find(o, id);
	int r;

	if (s)
		sending_free(s);
	log_info("outbox", "item %lld: the Cache Server has lost it",
		 (long long)id);
	store_bind_int(o->post->store, TO_ANEW, 1, id);
	r = store_run(o->post->store, TO_ANEW);
	return r ? r : outbox_row_end(o->post, id, OUT_OPEN, 0, NULL);
}

/* the CS had all of it, and some receivers are yet to be found */
static bool is_whole(struct store *st, int64_t id)
{
	bool whole;

	store_bind_int(st, OUT_GET, 1, id);
	whole = store_step(st, OUT_GET) > 0 && store_int(st, OUT_GET, 22);
	store_reset(st, OUT_GET);
	return whole;
}

static bool names_left(struct store *st, int64_t id)
{
	bool left;

	store_bind_int(st, NAME_NEXT, 1, id);
	store_bind_text(st, NAME_NEXT, 2, "");
	left = store_step(st, NAME_NEXT) > 0;
	store_reset(st, NAME_NEXT);
	return left;
}

static int state_take(struct outbox *o, int64_t id, bool left,
		      const json_t *answer)
{
	const char *state = json_string_value(json_object_get(answer, "state"));
	struct store *st = o->post->store;
	struct sending *s = outbox_job_find(o, id);
	int n[TO_STATES], r = outbox_row_state(o, id);

	/* what has ended, or is being cancelled, is so whatever the CS says */
	if (r != OUT_OPEN && r != OUT_SENT_ALL)
		return r < 0 ? r : 0;
	if (state && !strcmp(state, "lost"))
		return left || (r == OUT_OPEN && !is_whole(st, id))
			       ? 0
			       : send_anew(o, id);
	r = receivers_update(st, id, json_object_get(answer, "to"));
	if (!r)
		r = outbox_count(st, id, n);
	if (r || n[TO_FOUND] + n[TO_READY] + n[TO_WAITING] + n[TO_TOLD] ||
	    names_left(st, id))
		return r;
	if (s)
		sending_free(s); /* it did not hear the CS's answer */
	return outbox_row_end(o->post, id, OUT_ENDED, 0, NULL);
}

/* Has the CS kept it for as long as it said, or as it was asked to? */
static bool is_over(struct outbox *o, int64_t id)
{
	struct store *st = o->post->store;
	int64_t end, kept;

	store_bind_int(st, OUT_GET, 1, id);
	if (store_step(st, OUT_GET) <= 0)
		return false;
	end = store_int(st, OUT_GET, 12);
	kept = store_int(st, OUT_GET, 23);
	store_reset(st, OUT_GET);
	if (kept > 0 && kept < end)
		end = kept;
	return post_now(o->post) + CLOCKS_S >= end;
}

static void on_asked(void *arg, const struct web_answer *a)
{
	struct asking *x = arg;
	void (*done)(void *arg, int err) = x->done;
	struct outbox *o = x->outbox;
	void *done_arg = x->arg;
	bool again;
	int err = web_error(a, &again);

	x->call = NULL;
	if (!err)
		err = state_take(o, x->id, x->left, a->json);
	else if (!x->left && a->status == 404 &&
		 outbox_row_state(o, x->id) == OUT_SENT_ALL)
		err = is_over(o, x->id) ? outbox_row_late(o->post, x->id)
					/* restored from before it came */
					: send_anew(o, x->id);
	else if (!again)
		err = 0; /* it has forgotten the item */
	outbox_asking_free(x);
	due_wake(&o->due);
	done(done_arg, err);
}

static bool is_named(const json_t *cs, const char *name)
{
	const char *has = json_string_value(json_object_get(cs, "name"));

	return has && name && !strcmp(has, name);
}

/* Has @cs had item @id from us? Any other one knows nothing of it, whoever names it.
 * Return: 0 and *@left; -NTM_ENOTFOUND, -NTM_ESTORE */
static int cs_had(struct store *st, int64_t id, const json_t *cs, bool *left)
{
	const char *name = json_string_value(json_object_get(cs, "name"));
	json_t *row, *one;
	bool had = false;
	size_t i;
	int r;

	store_bind_int(st, OUT_GET, 1, id);
	r = store_step(st, OUT_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	row = json_loads(store_text(st, OUT_GET, 19), 0, NULL);
	store_reset(st, OUT_GET);
	*left = !is_named(row, name);
	json_array_foreach(json_object_get(row, "left"), i, one) had =
		had || is_named(one, name);
	json_decref(row);
	return had || !*left ? 0 : -NTM_ENOTFOUND;
}

int outbox_ask(struct outbox *o, const struct post_ids *ids, const json_t *cs,
	       void (*done)(void *arg, int err), void *arg)
{
	struct store *st = o->post->store;
	struct web_server server;
	char path[128];
	struct post_ask ask = {.server = &server,
			       .method = "GET",
			       .path = path,
			       .ids = ids,
			       .together = true};
	struct asking *x;
	int64_t id;
	bool left;
	int r;

	store_bind_text(st, OUT_FIND, 1, ids->application);
	store_bind_text(st, OUT_FIND, 2, ids->service);
	store_bind_text(st, OUT_FIND, 3, ids->item);
	r = store_step(st, OUT_FIND);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	id = store_int(st, OUT_FIND, 0);
	store_reset(st, OUT_FIND);
	r = cs_had(st, id, cs, &left);
	if (!r)
		r = post_server(o->post, cs, &server);
	if (r)
		return r;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -NTM_ENOMEM;
	*x = (struct asking){.outbox = o,
			     .id = id,
			     .left = left,
			     .done = done,
			     .arg = arg,
			     .next = o->askings};
	o->askings = x;
	snprintf(path, sizeof(path), "/v1/items/%s", ids->item);
	r = post_ask(o->post, &ask, on_asked, x, &x->call);
	if (r)
		outbox_asking_free(x);
	return r;
}

static void on_checked(void *arg, int err)
{
	struct outbox *o = arg;

	(void)err; /* then the next time */
	post_check_idle(o->post);
}

int outbox_still_there(struct outbox *o, int64_t id)
{
	struct store *st = o->post->store;
	struct post_ids ids;
	json_t *cs;
	int r;

	store_bind_int(st, OUT_GET, 1, id);
	r = store_step(st, OUT_GET);
	if (r <= 0)
		return r;
	snprintf(ids.application, sizeof(ids.application), "%s",
		 store_text(st, OUT_GET, 1));
	snprintf(ids.service, sizeof(ids.service), "%s",
		 store_text(st, OUT_GET, 2));
	snprintf(ids.item, sizeof(ids.item), "%s", store_text(st, OUT_GET, 3));
	cs = json_loads(store_text(st, OUT_GET, 19), 0, NULL);
	store_reset(st, OUT_GET);
	store_bind_int(st, OUT_PUT_OFF, 1, id);
	store_bind_int(st, OUT_PUT_OFF, 2, post_now(o->post) + OUTBOX_CHECK_S);
	store_bind_int(st, OUT_PUT_OFF, 3, 0);
	r = store_run(st, OUT_PUT_OFF);
	if (!r)
		r = outbox_ask(o, &ids, cs, on_checked, o);
	json_decref(cs);
	return r;
}
