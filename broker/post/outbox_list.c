/* SPDX-License-Identifier: MIT */
/* outbox_list - the outbox as a person or program is shown it */
#include <stdio.h>
#include <string.h>

#include "broker/post/sending.h"

#define RECEIVERS_MAX 4000 /* in one list; 64 more of the last item */

static const char *const out_words[] = {
	[OUT_OPEN] = "sending",	       [OUT_SENT_ALL] = "waiting",
	[OUT_ENDED] = "done",	       [OUT_FAILED] = "failed",
	[OUT_CANCELLED] = "cancelled", [OUT_CANCELLING] = "cancelling",
	[OUT_FAILING] = "failed",
};

static const char *const to_words[] = {
	[TO_FOUND] = "sending",	    [TO_READY] = "sending",
	[TO_WAITING] = "waiting",   [TO_TOLD] = "told",
	[TO_RECEIVED] = "received", [TO_REFUSED] = "refused",
	[TO_FAILED] = "failed",
};

/* why a receiver, or its box, does not take it: for the sender */
static const char *refusal_text(int code)
{
	switch (code) {
	case NTM_EAUTH:
		return "what came there is not what was sent; send it again";
	case NTM_EDECODE:
		return "it breaks a rule for items";
	case NTM_EEXPIRED:
		return "the receiver's key for it is gone; send it again";
	case NTM_EDECLINED:
		return "who it is for does not want it";
	default:
		return NULL;
	}
}

/* The row that TO_LIST stands on. Return: false: there is nothing to say */
static bool to_text(struct store *st, int64_t state, char *out, size_t size)
{
	int code = (int)store_int(st, TO_LIST, 3);
	bool own = store_int(st, TO_LIST, 5) == 2 || store_int(st, TO_LIST, 7);
	const char *why = state == TO_REFUSED ? refusal_text(code) : NULL;

	if (why)
		snprintf(out, size, "%s: %s",
			 own ? "the receiver refused it"
			     : "the servers say, without the receiver's "
			       "signature, that it refused it",
			 why);
	else if (code == NTM_ENONAME)
		snprintf(out, size,
			 "no such name, or no device of it takes items yet");
	else if (code == NTM_EOFFLINE)
		snprintf(out, size,
			 "it has been off for more than a month; it was sent "
			 "to the account's other devices");
	else if (code == NTM_EEXPIRED && store_int(st, TO_LIST, 6))
		snprintf(out, size,
			 "it was not fetched before the item's time was over");
	else if (code)
		snprintf(out, size, "%s", err_text(code));
	else if (store_int(st, TO_LIST, 8) && state < TO_RECEIVED)
		snprintf(out, size,
			 "its Cache Server says that it was received, without "
			 "the receiver's signature; this is not believed");
	return why || code ||
	       (store_int(st, TO_LIST, 8) && state < TO_RECEIVED);
}

/* the row that TO_LIST stands on */
static json_t *receiver_json(struct store *st)
{
	int64_t state = store_int(st, TO_LIST, 1);
	int64_t claims = store_int(st, TO_LIST, 8);
	int code = (int)store_int(st, TO_LIST, 3);
	char text[200];
	json_t *j;

	if (state < 0 || state > TO_FAILED)
		state = TO_FAILED;
	j = json_pack("{s:s, s:s, s:I}", "name", store_text(st, TO_LIST, 0),
		      "state", to_words[state], "at",
		      (json_int_t)store_int(st, TO_LIST, 4));
	if (store_int(st, TO_LIST, 5) == 2)
		json_object_set_new(j, "by", json_string("direct"));
	else if (state >= TO_WAITING && state <= TO_REFUSED)
		json_object_set_new(j, "by", json_string("server"));
	if (store_int(st, TO_LIST, 7))
		json_object_set_new(j, "signed", json_true());
	if (claims)
		json_object_set_new(j, "claims", json_integer(claims));
	if (code)
		json_object_set_new(j, "error", json_string(err_name(code)));
	if (to_text(st, state, text, sizeof(text)))
		json_object_set_new(j, "text", json_string(text));
	return j;
}

/* names as the person gave them, whose devices are not known yet */
static void names_json(struct store *st, int64_t id, json_t *list)
{
	store_bind_int(st, NAME_OPEN, 1, id);
	while (store_step(st, NAME_OPEN) > 0)
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:I}", "name",
				  store_text(st, NAME_OPEN, 0), "state",
				  "searching", "at",
				  (json_int_t)store_int(st, OUT_LIST, 11)));
}

/* of the row that OUT_LIST stands on */
static json_t *receivers_json(struct store *st)
{
	int64_t id = store_int(st, OUT_LIST, 0);
	int64_t state = store_int(st, OUT_LIST, 4);
	json_t *list = json_array();

	store_bind_int(st, TO_LIST, 1, id);
	while (store_step(st, TO_LIST) > 0)
		json_array_append_new(list, receiver_json(st));
	if (state == OUT_OPEN || state == OUT_SENT_ALL)
		names_json(st, id, list);
	return list;
}

static json_t *row_json(struct store *st, const struct sending *job)
{
	int64_t state = store_int(st, OUT_LIST, 4);
	int code = (int)store_int(st, OUT_LIST, 15);
	uint64_t sent = (uint64_t)store_int(st, OUT_LIST, 20);
	uint64_t size = (uint64_t)store_int(st, OUT_LIST, 7);
	json_t *j;

	if (job && job->call && job->seal.blob)
		sent = job->offset + web_moved(job->call);
	else if (job && job->direct && direct_sent(job->direct) > sent)
		sent = direct_sent(job->direct);
	if (sent > size) /* the request that completes it has a body, too */
		sent = size;
	j = json_pack(
		"{s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "id",
		(json_int_t)store_int(st, OUT_LIST, 0), "application",
		store_text(st, OUT_LIST, 1), "service",
		store_text(st, OUT_LIST, 2), "item",
		store_text(st, OUT_LIST, 3), "state",
		out_words[state >= 0 && state <= OUT_FAILING ? state
							     : OUT_FAILED],
		"title", store_text(st, OUT_LIST, 14), "size", (json_int_t)size,
		"sent", (json_int_t)sent, "created",
		(json_int_t)store_int(st, OUT_LIST, 11), "expires",
		(json_int_t)store_int(st, OUT_LIST, 12), "to",
		receivers_json(st));
	if (code) {
		json_object_set_new(j, "error", json_string(err_name(code)));
		json_object_set_new(j, "text",
				    json_string(store_text(st, OUT_LIST, 16)));
	}
	return j;
}

json_t *outbox_list(struct outbox *o, int64_t id, int64_t after)
{
	struct store *st = outbox_post(o)->store;
	json_t *list = json_array(), *j;
	size_t receivers = 0;

	if (!id && after == INT64_MAX)
		return list;
	store_bind_int(st, OUT_LIST, 1, id ? id : after + 1);
	store_bind_int(st, OUT_LIST, 2, id ? id : INT64_MAX);
	/* who asks goes on behind the last one: an answer has a limit */
	while (receivers < RECEIVERS_MAX && store_step(st, OUT_LIST) > 0) {
		j = row_json(st, outbox_job(o, store_int(st, OUT_LIST, 0)));
		receivers += json_array_size(json_object_get(j, "to"));
		json_array_append_new(list, j);
	}
	store_reset(st, OUT_LIST);
	return list;
}
