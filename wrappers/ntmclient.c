/* SPDX-License-Identifier: MIT */
/* ntmclient - items for programs, over post.sock (docs/control.md) */
#include "wrappers/ntmclient.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "wrappers/client.h"

static const char *text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static int64_t number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static void take(const json_t *j, const char *key, char *out, size_t size)
{
	snprintf(out, size, "%s", text(j, key));
}

/* @request is taken. Return: 0 and @answer, or an error with what there is of it */
static int ask(json_t *request, unsigned int limit_s, json_t **answer)
{
	int err =
		request ? client_call_to(CLIENT_POST, request, limit_s, answer)
			: -NTM_ENOMEM;

	if (!request)
		*answer = NULL;
	json_decref(request);
	return err;
}

static json_t *strings(const char *const *list)
{
	json_t *j = json_array();

	for (; list && *list; list++)
		json_array_append_new(j, json_string(*list));
	return j;
}

static void set(json_t *j, const char *key, const char *value)
{
	if (value)
		json_object_set_new(j, key, json_string(value));
}

int ntm_items_send(const struct ntm_items_order *order, int64_t *id, char *why,
		   size_t why_size)
{
	json_t *j = json_pack("{s:s, s:o}", "cmd", "send", "to",
			      strings(order->to)),
	       *answer;
	int err;

	if (order->files)
		json_object_set_new(j, "files", strings(order->files));
	set(j, "text", order->text);
	set(j, "message", order->message);
	set(j, "application", order->application);
	set(j, "service", order->service);
	set(j, "item", order->item);
	err = ask(j, CLIENT_LIMIT_S, &answer);
	if (!err)
		*id = number(answer, "id");
	else if (why)
		snprintf(why, why_size, "%s", client_text(err, answer));
	json_decref(answer);
	return err;
}

static int error_of(const json_t *j)
{
	const char *name = text(j, "error");
	int i;

	for (i = 1; *name && i < 256; i++)
		if (!strcmp(err_name(i), name))
			return -i;
	return 0;
}

static void item_take(const json_t *j, struct ntm_item *o)
{
	memset(o, 0, sizeof(*o));
	o->id = number(j, "id");
	take(j, "from", o->peer, sizeof(o->peer));
	take(j, "application", o->application, sizeof(o->application));
	take(j, "service", o->service, sizeof(o->service));
	take(j, "item", o->item, sizeof(o->item));
	take(j, "state", o->state, sizeof(o->state));
	take(j, "title", o->title, sizeof(o->title));
	take(j, "message", o->message, sizeof(o->message));
	take(j, "folder", o->folder, sizeof(o->folder));
	o->size = (uint64_t)number(j, "size");
	o->moved = (uint64_t)(number(j, "sent") + number(j, "fetched"));
	o->at = number(j, "at") + number(j, "created");
	o->expires = number(j, "expires");
	o->error = error_of(j);
}

static int list(const char *cmd, const char *application, ntm_item_fn *fn,
		void *arg)
{
	struct ntm_item item = {.id = 0};
	json_t *answer, *j;
	size_t i, n;
	int err;

	do {
		err = ask(json_pack("{s:s, s:I}", "cmd", cmd, "after",
				    (json_int_t)item.id),
			  CLIENT_LIMIT_S, &answer);
		n = err ? 0 : json_array_size(json_object_get(answer, "items"));
		json_array_foreach(json_object_get(answer, "items"), i, j)
		{
			if (err)
				break;
			item_take(j, &item);
			if (!application ||
			    !strcmp(item.application, application))
				err = fn(arg, &item);
		}
		json_decref(answer);
	} while (!err && n);
	return err;
}

int ntm_items_inbox(const char *application, ntm_item_fn *fn, void *arg)
{
	return list("inbox", application, fn, arg);
}

int ntm_items_outbox(const char *application, ntm_item_fn *fn, void *arg)
{
	return list("outbox", application, fn, arg);
}

int ntm_items_receivers(int64_t id, ntm_item_receiver_fn *fn, void *arg)
{
	struct ntm_item_receiver r;
	json_t *answer, *item, *j;
	size_t i;
	int err;

	err = ask(
		json_pack("{s:s, s:I}", "cmd", "outbox", "id", (json_int_t)id),
		CLIENT_LIMIT_S, &answer);
	item = json_array_get(json_object_get(answer, "items"), 0);
	if (!err && !item)
		err = -NTM_ENOTFOUND;
	json_array_foreach(json_object_get(item, "to"), i, j)
	{
		if (err)
			break;
		memset(&r, 0, sizeof(r));
		take(j, "name", r.name, sizeof(r.name));
		take(j, "state", r.state, sizeof(r.state));
		r.at = number(j, "at");
		r.error = error_of(j);
		err = fn(arg, &r);
	}
	json_decref(answer);
	return err;
}

static int simple(const char *cmd, int64_t id)
{
	json_t *answer;
	int err = ask(json_pack("{s:s, s:I}", "cmd", cmd, "id", (json_int_t)id),
		      CLIENT_LIMIT_S, &answer);

	json_decref(answer);
	return err;
}

int ntm_items_fetch(int64_t id)
{
	return simple("fetch", id);
}

int ntm_items_taken(int64_t id)
{
	return simple("taken", id);
}

int ntm_items_cancel(int64_t id)
{
	return simple("cancel", id);
}

int ntm_items_wait(int64_t *seen)
{
	json_t *answer;
	int err = ask(json_pack("{s:s, s:I}", "cmd", "wait", "seen",
				(json_int_t)*seen),
		      0, &answer);

	if (!err)
		*seen = number(answer, "changes");
	json_decref(answer);
	return err;
}

const char *ntm_items_error(int err)
{
	return client_text(err, NULL);
}
