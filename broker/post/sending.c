/* SPDX-License-Identifier: MIT */
/*
 * sending - one item on its way to a CS
 *
 * Theory of operation
 *
 * Each step looks at the rows and asks for what is missing: prekeys of a name
 * (sending_prekeys.c); the devices whose prekey is known, whether they take it themselves
 * (direct.c); T for those who do not, a CS (sending_server.c), then the keys, and with them
 * all of a small one. The answer to
 * the keys says how much of the blob the CS has, and sending_data.c sends the rest. As each
 * answer is in the store before the next step, a job that begins again finds its place.
 *
 * Who cannot be served now, as a server is away, is put off: the job goes on for the
 * others, and ends as one that is tried again. Those who are found then are added to the
 * item at the CS.
 */
#include "broker/post/sending.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/choice.h"

/* --- receivers ----------------------------------------------------------------------- */

int sending_count(struct sending *s, enum to_state from, enum to_state to)
{
	int64_t moment = store_moment(s->post->store);
	int err = 0, sum = 0;

	/* a step asks some times between two writes */
	if (!s->counted || s->counted_at != moment)
		err = outbox_count(s->post->store, s->id, s->counts);
	s->counted = !err;
	s->counted_at = moment;
	while (from <= to)
		sum += s->counts[from++];
	return err ? err : sum;
}

bool sending_alone(struct sending *s)
{
	return !s->late && sending_count(s, TO_FOUND, TO_TOLD) == 1;
}

/* --- temporal keys ------------------------------------------------------------------- */

/* Calls @key for each receiver in @from..@to; @names: "a, b". Return: how many */
static int receivers(struct sending *s, enum to_state from, enum to_state to,
		     char **names, json_t *list, const char *key_name,
		     int (*key)(struct sending *s, const char *name,
				const uint8_t *t, json_t **out))
{
	struct store *st = s->post->store;
	uint8_t t[NTMC_KEY_LEN];
	char name[FQDN_MAX + 1];
	char *text = calloc(OUTBOX_RECEIVERS_MAX, FQDN_MAX + 3);
	size_t len = 0;
	int n = 0, r = text ? 0 : -NTM_ENOMEM;
	json_t *j;

	store_bind_int(st, TO_LIST, 1, s->id);
	while (!r && (r = store_step(st, TO_LIST)) > 0) {
		int64_t state = store_int(st, TO_LIST, 1);

		r = 0;
		if (state < (int)from || state > (int)to ||
		    n == OUTBOX_RECEIVERS_MAX)
			continue;
		snprintf(name, sizeof(name), "%s", store_text(st, TO_LIST, 0));
		store_blob(st, TO_LIST, 2, t, sizeof(t));
		r = key(s, name, t, &j);
		if (r)
			break;
		len += (size_t)sprintf(text + len, "%s%s", n++ ? ", " : "",
				       name);
		json_array_append_new(
			list, json_pack("{s:s, s:o}", "to", name, key_name, j));
	}
	if (r)
		store_reset(st, TO_LIST);
	ntmc_wipe(t, sizeof(t));
	*names = text;
	return r ? r : n;
}

static int temporal_json(struct sending *s, const char *name, const uint8_t *t,
			 json_t **out)
{
	(void)s, (void)name;
	*out = post_binary(t, NTMC_KEY_LEN);
	return *out ? 0 : -NTM_ENOMEM;
}

int sending_receiver(struct sending *s, const char *name, enum to_state state,
		     int code)
{
	struct store *st = s->post->store;

	store_bind_int(st, TO_STATE, 1, s->id);
	store_bind_text(st, TO_STATE, 2, name);
	store_bind_int(st, TO_STATE, 3, state);
	store_bind_int(st, TO_STATE, 4, code);
	store_bind_int(st, TO_STATE, 5, post_now(s->post));
	return store_run(st, TO_STATE);
}

/* not now: the same question later may have another answer */
static bool code_again(int code)
{
	return code == NTM_EAGAIN || code == NTM_EUNREACHABLE ||
	       code == NTM_ELIMIT || code == NTM_ETIMEOUT ||
	       code == NTM_ESERVER;
}

/* Who cannot be served now is put off. Return: 0, -NTM_ESTORE */
static int results_take(struct sending *s, const json_t *results)
{
	int err = 0, code;
	const char *name;
	size_t i;
	json_t *j;

	json_array_foreach(results, i, j)
	{
		name = json_string_value(json_object_get(j, "to"));
		code = (int)json_integer_value(json_object_get(j, "code"));
		if (err || !name)
			continue;
		if (code_again(code))
			sending_put_off(s, -code, NULL, 0);
		else
			err = sending_receiver(
				s, name, code ? TO_FAILED : TO_READY, code);
	}
	/* who has to wait is not asked at once again */
	if (!err && s->late)
		s->found = sending_count(s, TO_FOUND, TO_FOUND);
	return err;
}

static void on_temporal(void *arg, const struct web_answer *a)
{
	struct sending *s = arg;
	bool again;
	int err;

	s->call = NULL;
	if (web_error(a, &again)) {
		sending_answer(s, a);
		return;
	}
	err = results_take(s, json_object_get(a->json, "results"));
	if (err)
		sending_later(s, err, NULL, 0);
	else
		sending_step(s);
}

static int ask_temporal(struct sending *s)
{
	struct web_server box;
	struct post_ask ask = {.server = &box,
			       .method = "POST",
			       .path = "/v1/temporal-keys",
			       .together = true,
			       .ids = &s->ids};
	json_t *list = json_array(), *j;
	char *names = NULL;
	int err = post_box(s->post, &box);

	if (!err)
		err = receivers(s, TO_FOUND, TO_FOUND, &names, list, "key",
				temporal_json);
	j = json_pack("{s:I, s:o}", "expires", (json_int_t)s->expires, "keys",
		      list);
	if (err > 0) {
		ask.to = names;
		ask.json = j;
		err = post_ask(s->post, &ask, on_temporal, s, &s->call);
	}
	json_decref(j);
	free(names);
	return err;
}

/* --- keys for the CS ----------------------------------------------------------------- */

static int key_json(struct sending *s, const char *name, const uint8_t *t,
		    json_t **out)
{
	uint8_t wrapped[ITEM_KEY_MAX], sealed[ITEM_SEALED_MAX];
	struct store *st = s->post->store;
	struct ntmc_key key;
	size_t len;
	int r;

	store_bind_int(st, TO_KEY, 1, s->id);
	store_bind_text(st, TO_KEY, 2, name);
	r = store_step(st, TO_KEY);
	if (r <= 0)
		return r ? r : -NTM_ESTORE;
	len = store_blob(st, TO_KEY, 0, wrapped, sizeof(wrapped));
	store_reset(st, TO_KEY);
	memcpy(key.b, t, sizeof(key.b));
	r = len > sizeof(wrapped) ? -NTM_ESTORE
				  : item_temporal_seal(&key, s->item, wrapped,
						       len, sealed, &len);
	ntmc_key_clear(&key);
	if (r)
		return r;
	*out = post_binary(sealed, len);
	return *out ? 0 : -NTM_ENOMEM;
}

static void on_keys(void *arg, const struct web_answer *a)
{
	struct sending *s = arg;
	uint64_t offset;
	bool again;
	int err;

	s->call = NULL;
	if (web_error(a, &again) && choice_leaves(s, a)) {
		if (sending_leave_server(s, a))
			sending_answer(s, a);
		return;
	}
	if (web_error(a, &again)) {
		sending_answer(s, a);
		return;
	}
	store_bind_int(s->post->store, TO_POSTED, 1, s->id);
	err = store_run(s->post->store, TO_POSTED);
	store_bind_int(s->post->store, OUT_KEPT, 1, s->id);
	store_bind_int(s->post->store, OUT_KEPT, 2,
		       json_integer_value(json_object_get(a->json, "expires")));
	if (!err)
		err = store_run(s->post->store, OUT_KEPT);
	offset = (uint64_t)json_integer_value(
		json_object_get(a->json, "offset"));
	if (err)
		sending_later(s, err, NULL, 0);
	else if (s->given && offset == s->size)
		sending_given(s);
	else
		sending_data(s, offset);
}

static int ask_keys(struct sending *s)
{
	char path[128];
	struct post_ask ask = {.server = &s->cs,
			       .method = "POST",
			       .path = path,
			       .ids = &s->ids,
			       .message = s->message,
			       .together = true};
	json_t *list = json_array(), *j;
	char *names = NULL;
	int err;

	snprintf(path, sizeof(path), "/v1/items/%s/keys", s->ids.item);
	err = receivers(s, TO_READY, TO_TOLD, &names, list, "key", key_json);
	j = json_pack("{s:I, s:I, s:o}", "expires", (json_int_t)s->expires,
		      "size", (json_int_t)s->size, "keys", list);
	if (err > 0 && j) {
		int given = sending_give(s, j);

		err = given ? given : err;
	}
	if (err > 0) {
		ask.to = names;
		ask.json = j;
		err = post_ask(s->post, &ask, on_keys, s, &s->call);
	}
	json_decref(j);
	free(names);
	return err;
}

/* --- cancelling ---------------------------------------------------------------------- */

static void on_cancelled(void *arg, const struct web_answer *a)
{
	struct sending *s = arg;
	bool again;
	int err = web_error(a, &again);

	s->call = NULL;
	if (err && again)
		sending_answer(s, a);
	else
		sending_end(s, OUT_CANCELLED, 0, NULL);
}

static int ask_cancel(struct sending *s)
{
	char path[128];
	struct post_ask ask = {.server = &s->cs,
			       .method = "DELETE",
			       .path = path,
			       .together = true,
			       .ids = &s->ids};

	snprintf(path, sizeof(path), "/v1/items/%s", s->ids.item);
	return post_ask(s->post, &ask, on_cancelled, s, &s->call);
}

/* --- steps --------------------------------------------------------------------------- */

/* Those who are not online. Return: 0, or an error */
static int ask_next(struct sending *s)
{
	int r;

	r = sending_count(s, TO_FOUND, TO_FOUND);
	if (r < 0)
		return r;
	if (r && r != s->found) {
		s->found = r;
		return ask_temporal(s);
	}
	/* a box that says nothing of any of them is not asked at once again */
	if (r && !s->late)
		sending_put_off(s, -NTM_EAGAIN, NULL, 0);
	r = sending_count(s, TO_READY, s->whole ? TO_READY : TO_TOLD);
	if (r > 0)
		return s->cs.n_addrs ? ask_keys(s) : sending_ask_servers(s);
	if (!r)
		sending_done(s, OUT_SENT_ALL);
	return r;
}

/* Before anything else: to who is online. Return: as direct_start() */
static int straight(struct sending *s)
{
	if (s->tried)
		return 0;
	s->tried = true;
	return direct_start(s);
}

/* Return: 0: all that was to be done here is begun, or the job has ended */
static int step_open(struct sending *s)
{
	int r;

	if (sending_is_over(s)) {
		sending_expired(s);
		return 0;
	}
	r = sending_name_next(s);
	if (r)
		return r < 0 ? r : sending_ask_prekeys(s);
	r = sending_count(s, TO_FOUND, TO_REFUSED);
	if (!r && !s->late)
		sending_end(s, OUT_FAILED, -NTM_ENONAME,
			    "no receiver can get it");
	if (r < 0 || (!r && !s->late))
		return r;
	r = straight(s);
	if (r)
		return r < 0 ? r : 0;
	r = sending_count(s, TO_FOUND, TO_TOLD);
	if (r < 0)
		return r;
	if (r)
		return ask_next(s);
	if (!s->late && s->cs.n_addrs && (r = sending_drop_server(s)))
		return r;
	sending_done(s, OUT_ENDED);
	return 0;
}

static int step_over(struct sending *s)
{
	int r = straight(s);

	if (r)
		return r < 0 ? r : 0;
	if (s->cs.n_addrs && post_now(s->post) < s->expires)
		return ask_cancel(s);
	sending_end(s, OUT_CANCELLED, 0, NULL);
	return 0;
}

void sending_step(struct sending *s)
{
	int r = s->state == OUT_OPEN ? step_open(s) : step_over(s);

	if (r < 0)
		sending_later(s, r, NULL, 0);
}
