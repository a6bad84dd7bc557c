/* SPDX-License-Identifier: MIT */
/* outbox_heard - what became of items that were sent, as their CS says */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/outbox_impl.h"
#include "common/log.h"

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

static int receiver_update(struct store *st, int64_t id, const json_t *j)
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
		store_bind_int(st, TO_HEARD, 1, id);
		store_bind_text(st, TO_HEARD, 2, name);
		store_bind_int(st, TO_HEARD, 3, words[i].state);
		store_bind_int(st, TO_HEARD, 4,
			       json_integer_value(json_object_get(j, "code")));
		store_bind_int(st, TO_HEARD, 5,
			       json_integer_value(json_object_get(j, "at")));
		return store_run(st, TO_HEARD);
	}
	return 0;
}

/* The CS has lost it: its disk was, or it was restored from a copy. Our box may have
 * been, too, and the receiver's has let T go: so all of it once more. */
static int send_anew(struct outbox *o, int64_t id)
{
	int r;

	log_info("outbox", "item %lld: the Cache Server has lost it",
		 (long long)id);
	store_bind_int(o->post->store, TO_ANEW, 1, id);
	r = store_run(o->post->store, TO_ANEW);
	return r ? r : outbox_row_end(o->post, id, OUT_OPEN, 0, NULL);
}

static int state_take(struct outbox *o, int64_t id, const json_t *answer)
{
	const char *state = json_string_value(json_object_get(answer, "state"));
	struct store *st = o->post->store;
	struct sending *s = outbox_job_find(o, id);
	int r = outbox_row_state(o, id);
	size_t i;
	json_t *j;

	/* what has ended, or is being cancelled, is so whatever the CS says */
	if (r != OUT_OPEN && r != OUT_SENT_ALL)
		return r < 0 ? r : 0;
	if (state && !strcmp(state, "lost"))
		return r == OUT_OPEN ? 0 : send_anew(o, id);
	r = 0;
	json_array_foreach(json_object_get(answer, "to"), i, j)
	{
		if (!r)
			r = receiver_update(st, id, j);
	}
	store_bind_int(st, TO_COUNT, 1, id);
	store_bind_int(st, TO_COUNT, 2, TO_FOUND);
	store_bind_int(st, TO_COUNT, 3, TO_TOLD);
	if (!r && (r = store_step(st, TO_COUNT)) > 0) {
		r = (int)store_int(st, TO_COUNT, 0);
		store_reset(st, TO_COUNT);
		if (r)
			return 0;
		if (s)
			sending_free(s); /* it did not hear the CS's answer */
		r = outbox_row_end(o->post, id, OUT_ENDED, 0, NULL);
	}
	return r;
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
		err = state_take(o, x->id, a->json);
	else if (a->status == 404 && outbox_row_state(o, x->id) == OUT_SENT_ALL)
		err = send_anew(o, x->id); /* restored from before it came */
	else if (!again)
		err = 0; /* it has forgotten the item */
	outbox_asking_free(x);
	loop_timer_arm(o->due, 0);
	done(done_arg, err);
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
	int r;

	store_bind_text(st, OUT_FIND, 1, ids->application);
	store_bind_text(st, OUT_FIND, 2, ids->service);
	store_bind_text(st, OUT_FIND, 3, ids->item);
	r = store_step(st, OUT_FIND);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	id = store_int(st, OUT_FIND, 0);
	store_reset(st, OUT_FIND);
	r = post_server(o->post, cs, &server);
	if (r)
		return r;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -NTM_ENOMEM;
	*x = (struct asking){.outbox = o,
			     .id = id,
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
