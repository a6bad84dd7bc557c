/* SPDX-License-Identifier: MIT */
/*
 * sending_server - which Cache Server an item goes to, and when another one is sought
 *
 * The box names those of the domain, choice.c prefers one, and the row keeps it. Another CS
 * may have room, or answer: then the item moves there. Where there is none, why this one
 * was left is what a person is told.
 */
#include "broker/post/sending.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/choice.h"
#include "broker/post/outbox_impl.h"
#include "broker/post/recent.h"
#include "common/log.h"

#define SERVERS "/v1/servers"

static int cs_keep(struct sending *s, json_t *cs)
{
	char *text = cs ? json_dumps(cs, JSON_COMPACT) : NULL;
	char was[sizeof(s->cs.name)];
	int err;

	strcpy(was, s->cs.name);
	err = cs ? post_server(s->post, cs, &s->cs) : -NTM_ENOMEM;

	if (!err && !text)
		err = -NTM_ENOMEM;
	if (!err) {
		store_bind_int(s->post->store, OUT_CS, 1, s->id);
		store_bind_text(s->post->store, OUT_CS, 2, text);
		err = store_run(s->post->store, OUT_CS);
	}
	if (!err) {
		s->whole = s->whole && !strcmp(was, s->cs.name);
		json_decref(s->cs_json);
		s->cs_json = json_incref(cs);
	}
	free(text);
	return err;
}

int sending_drop_server(struct sending *s)
{
	json_t *none = json_object(), *row = choice_row(s, none);
	char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;
	int err = text ? 0 : -NTM_ENOMEM;

	if (!err) {
		store_bind_int(s->post->store, OUT_CS, 1, s->id);
		store_bind_text(s->post->store, OUT_CS, 2, text);
		err = store_run(s->post->store, OUT_CS);
	}
	if (!err)
		left_new(s->outbox->left, s->id);
	free(text);
	json_decref(row);
	json_decref(none);
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

int sending_ask_servers(struct sending *s)
{
	struct post_ask ask = {.method = "GET", .path = SERVERS};
	const json_t *known =
		recent_get(s->post->recent, SERVERS, post_now(s->post));

	if (known) {
		servers_take(s, known);
		return 0;
	}
	return post_ask(s->post, &ask, on_servers, s, &s->call);
}

int sending_leave_server(struct sending *s, const struct web_answer *a)
{
	bool again;

	s->left = true;
	s->left_err = web_error(a, &again);
	s->left_retry_s = a->retry_s;
	snprintf(s->left_text, sizeof(s->left_text), "%s", web_text(a));
	return sending_ask_servers(s);
}
