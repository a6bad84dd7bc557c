/* SPDX-License-Identifier: MIT */
/*
 * sending - one item on its way to a CS
 *
 * Theory of operation
 *
 * Each step looks at the rows and asks for what is missing: prekeys of a name; the
 * devices whose prekey is known, whether they take it themselves (direct.c); T for
 * those who do not, a CS, then the keys. The answer to the keys says how
 * much of the blob the CS has, and sending_data.c sends the rest. As each answer is
 * in the store before the next step, a job that begins again finds its place.
 *
 * K is sealed to a prekey once, when that is verified, and the result is kept: the
 * same request made again is the same request.
 */
#include "broker/post/sending.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/post/choice.h"
#include "broker/post/recent.h"
#include "common/log.h"

#define SERVERS "/v1/servers"

/* --- receivers
 * ------------------------------------------------------------------------ */

/* Return: how many receivers are in these states, or an error */
static int count(struct sending *s, enum to_state from, enum to_state to)
{
	struct store *st = s->post->store;
	int r;

	store_bind_int(st, TO_COUNT, 1, s->id);
	store_bind_int(st, TO_COUNT, 2, from);
	store_bind_int(st, TO_COUNT, 3, to);
	r = store_step(st, TO_COUNT);
	if (r <= 0)
		return r;
	r = (int)store_int(st, TO_COUNT, 0);
	store_reset(st, TO_COUNT);
	return r;
}

/* One more receiver; without @wrapped it gets nothing, because of @err */
static int receiver_put(struct sending *s, const char *name,
			const struct ntmc_key *t, const uint8_t *wrapped,
			size_t len, int err)
{
	struct store *st = s->post->store;

	store_bind_int(st, TO_NEW, 1, s->id);
	store_bind_text(st, TO_NEW, 2, name);
	store_bind_int(st, TO_NEW, 3, wrapped ? TO_FOUND : TO_FAILED);
	if (wrapped) {
		store_bind_blob(st, TO_NEW, 4, t->b, sizeof(t->b));
		store_bind_blob(st, TO_NEW, 5, wrapped, len);
	}
	store_bind_int(st, TO_NEW, 6, -err);
	store_bind_int(st, TO_NEW, 7, post_now(s->post));
	return store_run(st, TO_NEW);
}

static int name_done(struct sending *s)
{
	store_bind_int(s->post->store, NAME_DONE, 1, s->id);
	store_bind_text(s->post->store, NAME_DONE, 2, s->asked);
	return store_run(s->post->store, NAME_DONE);
}

int prekey_parse(const json_t *j, struct prekey *p, uint8_t *cert,
		 long *cert_len)
{
	const char *name = json_string_value(json_object_get(j, "name"));

	memset(p, 0, sizeof(*p));
	if (!name || strlen(name) > FQDN_MAX || !fqdn_is_valid(name) ||
	    post_binary_get(j, "id", p->id, sizeof(p->id)) ||
	    post_binary_get(j, "key", p->pub, sizeof(p->pub)) ||
	    post_binary_get(j, "signature", p->sig, sizeof(p->sig)))
		return -NTM_EDECODE;
	strcpy(p->fqdn, name);
	p->not_before = json_integer_value(json_object_get(j, "not_before"));
	p->not_after = json_integer_value(json_object_get(j, "not_after"));
	*cert_len = post_binary_any(j, "certificate", cert, NTMC_CERT_MAX);
	return *cert_len < 0 ? -NTM_EDECODE : 0;
}

/* A device's prekey: verified, pinned, K sealed to it. Return: 0, -NTM_ESTORE,
 * -NTM_ECERT (a domain whose CA is not known) */
static int prekey_take(struct sending *s, const json_t *j)
{
	uint8_t cert[NTMC_CERT_MAX], wrapped[ITEM_KEY_MAX];
	struct post *p = s->post;
	struct item_names names = {s->item, p->who.fqdn, NULL};
	struct prekey pk;
	struct ntmc_cert c;
	struct ntmc_key t;
	const char *account;
	long cert_len;
	size_t len = 0;
	int err = prekey_parse(j, &pk, cert, &cert_len);

	if (err || !fqdn_is_within(pk.fqdn, s->asked)) {
		log_warn("outbox", "%s: a prekey that is none", s->asked);
		return 0;
	}
	if (!strcmp(pk.fqdn, p->who.fqdn) && strcmp(s->asked, pk.fqdn))
		return 0; /* the account's other devices are meant */
	account = account_of(pk.fqdn);
	if (!account || !who_server_domain(&p->who, account))
		return -NTM_ECERT; /* not yet: the person may allow it */
	/* more than one request to a CS can name */
	err = count(s, TO_FOUND, TO_TOLD);
	if (err < 0 || err >= OUTBOX_RECEIVERS_MAX)
		return err < 0 ? err
			       : receiver_put(s, pk.fqdn, NULL, NULL, 0,
					      -NTM_ELIMIT);
	err = prekey_verify(&pk, p->who.trust, cert, (size_t)cert_len,
			    post_now(p), &c);
	if (!err)
		err = post_pin(p, pk.fqdn, c.ed_pub);
	names.receiver = pk.fqdn;
	if (!err)
		err = item_key_wrap(p->env, p->who.id, p->who.cert_der,
				    p->who.cert_len, &names, &pk, &s->k,
				    wrapped, &len);
	if (err)
		return receiver_put(s, pk.fqdn, NULL, NULL, 0, err);
	ntmc_key_random(p->env, &t);
	err = receiver_put(s, pk.fqdn, &t, wrapped, len, 0);
	ntmc_key_clear(&t);
	return err;
}

static int prekeys_take(struct sending *s, const json_t *list)
{
	size_t i;
	json_t *j;
	int err = store_begin(s->post->store);

	if (err)
		return err;
	if (!json_array_size(list))
		err = receiver_put(s, s->asked, NULL, NULL, 0, -NTM_ENONAME);
	json_array_foreach(list, i, j)
	{
		if (!err && i < OUTBOX_RECEIVERS_MAX)
			err = prekey_take(s, j);
	}
	if (!err)
		err = name_done(s);
	if (!err)
		return store_commit(s->post->store);
	store_rollback(s->post->store);
	return err;
}

static void prekeys_taken(struct sending *s, int err)
{
	if (err)
		sending_later(s, err,
			      err == -NTM_ECERT
				      ? "the receiver's domain is not known "
					"here; `ntm allow` with its name lets "
					"it in"
				      : NULL,
			      0);
	else
		sending_step(s);
}

static void on_prekeys(void *arg, const struct web_answer *a)
{
	struct sending *s = arg;
	char why[FQDN_MAX + 100];
	bool again;
	int err = web_error(a, &again);

	s->call = NULL;
	if (err == -NTM_EUNREACHABLE && again) {
		snprintf(why, sizeof(why),
			 "the servers of %s's domain do not answer; is the "
			 "name right?",
			 s->asked);
		sending_later(s, err, why, 0);
		return;
	}
	if (err && again) {
		sending_answer(s, a);
		return;
	}
	if (err) {
		err = receiver_put(s, s->asked, NULL, NULL, 0, err);
		if (!err)
			err = name_done(s);
	} else {
		recent_put(s->post->recent, s->asked, a->json,
			   post_now(s->post));
		err = prekeys_take(s, json_object_get(a->json, "prekeys"));
	}
	prekeys_taken(s, err);
}

static int ask_prekeys(struct sending *s)
{
	struct web_server box;
	char path[300];
	struct post_ask ask = {.server = &box, .method = "GET", .path = path};
	const json_t *known =
		recent_get(s->post->recent, s->asked, post_now(s->post));
	int err = post_box(s->post, &box);

	if (known) {
		prekeys_taken(
			s, prekeys_take(s, json_object_get(known, "prekeys")));
		return 0;
	}
	snprintf(path, sizeof(path), "/v1/prekeys/%s", s->asked);
	return err ? err : post_ask(s->post, &ask, on_prekeys, s, &s->call);
}

/* --- temporal keys
 * ----------------------------------------------------------------------- */

/* Calls @fn for each receiver in @from..@to; @names: "a, b". Return: how many */
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

/* Return: the last code that asks for patience, 0, or an error */
static int results_take(struct sending *s, const json_t *results)
{
	int err = 0, wait = 0, code;
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
			wait = code;
		else
			err = sending_receiver(
				s, name, code ? TO_FAILED : TO_READY, code);
	}
	return err ? err : -wait;
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

/* --- a CS
 * -------------------------------------------------------------------------------- */

static int cs_keep(struct sending *s, json_t *cs)
{
	char *text = cs ? json_dumps(cs, JSON_COMPACT) : NULL;
	int err = cs ? post_server(s->post, cs, &s->cs) : -NTM_ENOMEM;

	if (!err && !text)
		err = -NTM_ENOMEM;
	if (!err) {
		store_bind_int(s->post->store, OUT_CS, 1, s->id);
		store_bind_text(s->post->store, OUT_CS, 2, text);
		err = store_run(s->post->store, OUT_CS);
	}
	if (!err) {
		json_decref(s->cs_json);
		s->cs_json = json_incref(cs);
	}
	free(text);
	return err;
}

static void servers_take(struct sending *s, const json_t *answer)
{
	const char *old = s->left ? s->cs.name : NULL;
	const json_t *cs =
		choice_of(json_object_get(answer, "servers"), old, s->size);
	json_t *row = cs ? choice_row(s, cs) : NULL;
	int err;

	if (!cs || (old && !json_object_get(row, "left"))) {
		json_decref(row);
		if (old)
			sending_later(s, s->left_err, s->left_text,
				      s->left_retry_s);
		else
			sending_later(s, -NTM_EUNREACHABLE,
				      "no Cache Server of the domain runs", 0);
		return;
	}
	err = cs_keep(s, row);
	json_decref(row);
	if (!err && old)
		log_info("outbox", "item %lld goes to another Cache Server, %s",
			 (long long)s->id, s->cs.name);
	if (err)
		sending_later(s, err, NULL, 0);
	else
		sending_step(s);
}

static void on_servers(void *arg, const struct web_answer *a)
{
	struct sending *s = arg;
	bool again;

	s->call = NULL;
	if (web_error(a, &again)) {
		sending_answer(s, a);
		return;
	}
	recent_put(s->post->recent, SERVERS, a->json, post_now(s->post));
	servers_take(s, a->json);
}

static int ask_servers(struct sending *s)
{
	struct web_server box;
	struct post_ask ask = {
		.server = &box, .method = "GET", .path = SERVERS};
	const json_t *known =
		recent_get(s->post->recent, SERVERS, post_now(s->post));
	int err = post_box(s->post, &box);

	if (known) {
		servers_take(s, known);
		return 0;
	}
	return err ? err : post_ask(s->post, &ask, on_servers, s, &s->call);
}

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

/* Another CS may have room, or answer. Where there is none, why this one was left is
 * what a person is told. */
static int leave_server(struct sending *s, const struct web_answer *a)
{
	bool again;

	s->left = true;
	s->left_err = web_error(a, &again);
	s->left_retry_s = a->retry_s;
	snprintf(s->left_text, sizeof(s->left_text), "%s", web_text(a));
	return ask_servers(s);
}

static void on_keys(void *arg, const struct web_answer *a)
{
	struct sending *s = arg;
	bool again;
	int err;

	s->call = NULL;
	if (web_error(a, &again) && choice_leaves(s, a)) {
		if (leave_server(s, a))
			sending_answer(s, a);
		return;
	}
	if (web_error(a, &again)) {
		sending_answer(s, a);
		return;
	}
	store_bind_int(s->post->store, TO_POSTED, 1, s->id);
	err = store_run(s->post->store, TO_POSTED);
	if (err)
		sending_later(s, err, NULL, 0);
	else
		sending_data(s, (uint64_t)json_integer_value(
					json_object_get(a->json, "offset")));
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
	if (err > 0) {
		ask.to = names;
		ask.json = j;
		err = post_ask(s->post, &ask, on_keys, s, &s->call);
	}
	json_decref(j);
	free(names);
	return err;
}

/* --- cancelling
 * ------------------------------------------------------------------------ */

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

/* --- steps
 * ----------------------------------------------------------------------------- */

/* Return: 1 and s->asked, 0 all names are done, or an error */
static int name_next(struct sending *s)
{
	struct store *st = s->post->store;
	int r;

	store_bind_int(st, NAME_NEXT, 1, s->id);
	r = store_step(st, NAME_NEXT);
	if (r > 0) {
		snprintf(s->asked, sizeof(s->asked), "%s",
			 store_text(st, NAME_NEXT, 0));
		store_reset(st, NAME_NEXT);
	}
	return r;
}

static int ask_next(struct sending *s)
{
	int r;

	if (s->state != OUT_OPEN)
		return ask_cancel(s);
	r = name_next(s);
	if (r)
		return r < 0 ? r : ask_prekeys(s);
	r = count(s, TO_FOUND, TO_FOUND);
	if (r < 0)
		return r;
	/* a box that says nothing of any of them is not asked at once again */
	if (r && r == s->found)
		return -NTM_EAGAIN;
	s->found = r;
	if (r)
		return ask_temporal(s);
	return s->cs.n_addrs ? ask_keys(s) : ask_servers(s);
}

/* Before anything else: to who is online. Return: as direct_start() */
static int straight(struct sending *s)
{
	if (s->tried)
		return 0;
	s->tried = true;
	return direct_start(s);
}

void sending_step(struct sending *s)
{
	int r = 0;

	if (s->state != OUT_OPEN && (r = straight(s)))
		goto out;
	if (s->state != OUT_OPEN &&
	    (!s->cs.n_addrs || post_now(s->post) >= s->expires)) {
		sending_end(s, OUT_CANCELLED, 0, NULL);
		return;
	}
	if (s->state == OUT_OPEN && post_now(s->post) >= s->expires) {
		sending_end(s, OUT_FAILED, -NTM_EEXPIRED,
			    "it could not be sent before its time was over");
		return;
	}
	if (s->state == OUT_OPEN && !name_next(s)) {
		r = count(s, TO_FOUND, TO_REFUSED);
		if (!r) {
			sending_end(s, OUT_FAILED, -NTM_ENONAME,
				    "no receiver can get it");
			return;
		}
		r = r < 0 ? r : straight(s);
		if (r)
			goto out;
		r = count(s, TO_FOUND, TO_TOLD);
		if (!r) {
			sending_end(s, OUT_ENDED, 0, NULL);
			return;
		}
	}
	if (r >= 0)
		r = ask_next(s);
out:
	if (r < 0)
		sending_later(s, r, NULL, 0);
}
