/* SPDX-License-Identifier: MIT */
/*
 * door_request - what a device that is online asks of us: an item's keys, data, end
 *
 * The same as it would ask of a Cache Server (docs/exchange.md), but for the token,
 * which is nobody's business here, and the answers: where it stands with the item.
 * Who asks was known before a byte was read; the header fields must say the same.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/post/arrival.h"
#include "broker/post/door_impl.h"

#define SWALLOW_MAX (1u << 20) /* read after an error, to be able to say it */

/* --- answers
 * ------------------------------------------------------------------------------- */

void door_request_say(struct door_request *q, unsigned int status, json_t *j)
{
	if (q->status) {
		json_decref(j);
		return;
	}
	q->status = status;
	q->answer = j;
}

void door_request_refuse(struct door_request *q, unsigned int status, int err,
			 const char *text)
{
	door_request_say(q, status,
			 json_pack("{s:s, s:s}", "error", err_name(err), "text",
				   text ? text : err_text(err)));
}

static void refuse_err(struct door_request *q, int err)
{
	switch (-err) {
	case NTM_EPOLICY:
	case NTM_EPIN:
	case NTM_EUNVERIFIED:
	case NTM_ECERT:
	case NTM_ECONSTRAINT:
	case NTM_EEXPIRED:
	case NTM_ECLOCK:
		door_request_refuse(q, 403, err, NULL);
		break;
	case NTM_EDECODE:
	case NTM_EINVAL:
	case NTM_EVERSION:
		door_request_refuse(q, 400, err, NULL);
		break;
	case NTM_EAUTH:
	case NTM_ESTATE:
	case NTM_EEXISTS:
		door_request_refuse(q, 409, err, NULL);
		break;
	case NTM_ENOTFOUND:
		door_request_refuse(q, 404, err, NULL);
		break;
	case NTM_EAGAIN:
	case NTM_ELIMIT:
		door_request_refuse(q, 429, err, NULL);
		break;
	case NTM_ESTORE:
		door_request_refuse(q, 507, err,
				    "there is no room for it here");
		break;
	default:
		door_request_refuse(q, 500, -NTM_ESERVER, NULL);
	}
}

/* {"state"}: "open" with the offset, "received", "refused" with the code */
static void answer_place(struct door_request *q, const struct arrival_place *at)
{
	if (at->job)
		door_request_say(q, 200,
				 json_pack("{s:s, s:I}", "state", "open",
					   "offset", (json_int_t)at->job->at));
	else if (at->code)
		door_request_say(q, 200,
				 json_pack("{s:s, s:i, s:s}", "state",
					   "refused", "code", at->code, "hash",
					   at->hash));
	else
		door_request_say(q, 200,
				 json_pack("{s:s, s:s}", "state", "received",
					   "hash", at->hash));
}

bool door_request_early(const struct door_request *q)
{
	/* who sends much waits for a word first; what comes in after an answer would
	 * make the kernel forget that */
	return q->status &&
	       (q->length > SWALLOW_MAX || !q->length ||
		MHD_lookup_connection_value(q->mhd, MHD_HEADER_KIND, "Expect"));
}

enum MHD_Result door_request_answer(struct door_request *q)
{
	struct MHD_Response *r = NULL;
	enum MHD_Result ok;
	char *text;

	/* what it says is on the disk before it leaves */
	if (post_flush_due(q->post) && post_flush_now(q->post)) {
		json_decref(q->answer);
		q->answer = NULL;
		q->status = 0;
		refuse_err(q, -NTM_ESTORE);
	}
	text = q->answer ? json_dumps(q->answer, JSON_COMPACT) : NULL;
	if (text)
		r = MHD_create_response_from_buffer(strlen(text), text,
						    MHD_RESPMEM_MUST_FREE);
	if (!r) {
		free(text);
		return MHD_NO;
	}
	(void)!MHD_add_response_header(r, "Content-Type", "application/json");
	ok = MHD_queue_response(q->mhd, q->status, r);
	MHD_destroy_response(r);
	return ok;
}

void door_request_free(struct door_request *q)
{
	struct fetching *f = q ? q->job : NULL;

	if (!q)
		return;
	if (f) {
		/* it broke off: what came counts */
		f->held = NULL;
		arrival_pause(f);
	}
	json_decref(q->answer);
	if (q->body)
		ntmc_wipe(q->body, (size_t)q->length);
	free(q->body);
	ntmc_wipe(q, sizeof(*q));
	free(q);
}

/* --- bodies
 * -------------------------------------------------------------------------------- */

static bool data_take(struct door_request *q, const uint8_t *data, size_t len)
{
	struct arrival_place place = {.job = NULL};
	int err;

	if (!q->job) {
		door_request_refuse(q, 409, -NTM_ESTATE,
				    "another connection goes on with it");
		return true;
	}
	err = arrival_data(q->job, data, len, &place.code);
	if (err && place.code)
		answer_place(q, &place);
	else if (err)
		refuse_err(q, err);
	return true;
}

bool door_request_body(struct door_request *q, const uint8_t *data, size_t len)
{
	q->conn->moved += len;
	q->came += len;
	if (q->status) /* said when it has come; not when that would take long */
		return q->came <= SWALLOW_MAX;
	if (q->what == ASKS_DATA)
		return data_take(q, data, len);
	if (q->came > q->length) {
		door_request_refuse(q, 413, -NTM_ETOOBIG, NULL);
		return true;
	}
	memcpy(q->body + q->came - len, data, len);
	return true;
}

/* --- all is here
 * ---------------------------------------------------------------------------- */

/* The message, %XX undone. Return: false: it is none: as at a CS, UTF-8 of at most 256
 * bytes, without control characters; a person and programs read it */
static bool message_read(const char *text, char out[static 257])
{
	size_t n = 0;
	json_t *utf8;
	char c;

	while (*text && n < 256) {
		c = *text++;
		if (c == '%') {
			char hex[3] = {text[0], text[0] ? text[1] : '\0', '\0'};

			if (strspn(hex, "0123456789abcdefABCDEF") != 2)
				return false;
			c = (char)strtol(hex, NULL, 16);
			text += 2;
		}
		if ((unsigned char)c < ' ' || c == 0x7f)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	utf8 = *text ? NULL : json_string(out);
	json_decref(utf8);
	return utf8;
}

/* the hash of what is complete now; the request is over with its job */
static void complete(struct door_request *q, struct fetching *f,
		     const char *hash)
{
	struct arrival_place place;
	uint8_t bytes[NTMC_HASH_LEN];
	int err;

	if (!f) {
		door_request_refuse(q, 404, -NTM_ENOTFOUND,
				    "its keys come first");
		return;
	}
	if (!hash || ntmc_base64url_decode(hash, bytes, sizeof(bytes))) {
		door_request_refuse(q, 400, -NTM_EDECODE,
				    "the hash of the blob is needed");
		return;
	}
	err = arrival_complete(f, hash, &place);
	if (err == -NTM_ECLOSED)
		door_request_say(q, 409,
				 json_pack("{s:s, s:s, s:I}", "error",
					   err_name(NTM_ESTATE), "text",
					   "bytes are missing", "offset",
					   (json_int_t)f->at));
	else if (err)
		refuse_err(q, err);
	else
		answer_place(q, &place);
}

/* A small one: all of it came with its key */
static void whole_take(struct door_request *q, struct fetching *f,
		       const json_t *j)
{
	const char *text = json_string_value(json_object_get(j, "data"));
	const char *hash = json_string_value(json_object_get(j, "hash"));
	struct arrival_place place = {.job = NULL};
	size_t len = text ? strlen(text) * 3 / 4 : 0;
	uint8_t *data = malloc(len + 1);
	int err;

	if (!data) {
		door_request_refuse(q, 500, -NTM_ENOMEM, NULL);
	} else if (!len || len != f->size ||
		   ntmc_base64url_decode(text, data, len)) {
		door_request_refuse(q, 400, -NTM_EDECODE,
				    "data is not the item's");
	} else {
		err = arrival_data(f, data, len, &place.code);
		if (err && place.code)
			answer_place(q, &place);
		else if (err)
			refuse_err(q, err);
		else
			complete(q, f, hash);
	}
	free(data);
}

static void keys_done(struct door_request *q, const json_t *j)
{
	const json_t *key = json_array_get(json_object_get(j, "keys"), 0);
	const char *to = json_string_value(json_object_get(key, "to"));
	uint8_t wrapped[ITEM_KEY_MAX];
	struct arrival_place place;
	char message[257];
	struct arrival_of of = {
		.sender = q->conn->name,
		.ids = &q->ids,
		.message = message,
		.size = (uint64_t)json_integer_value(
			json_object_get(j, "size")),
		.expires = json_integer_value(json_object_get(j, "expires")),
		.wrapped = wrapped,
	};
	long len = post_binary_any(key, "key", wrapped, sizeof(wrapped));
	int err;

	if (!message_read(door_request_field(q, "NTM-Message"), message)) {
		door_request_refuse(q, 400, -NTM_EINVAL,
				    "the message is UTF-8 of at most 256 "
				    "bytes, without control characters");
		return;
	}
	if (len < 0 || !to || strcmp(to, q->post->who.fqdn) ||
	    json_integer_value(json_object_get(j, "size")) < 1 ||
	    of.expires <= post_now(q->post)) {
		door_request_refuse(
			q, 400, -NTM_EINVAL,
			"size, expires and one key, ours, are needed");
		return;
	}
	of.wrapped_len = (size_t)len;
	err = arrival_begin(q->post, &of, &place);
	if (err)
		refuse_err(q, err);
	else if (place.job && !place.job->at && json_object_get(j, "data"))
		whole_take(q, place.job, j);
	else
		answer_place(q, &place);
}

static void data_done(struct door_request *q)
{
	const char *hash = door_request_field(q, "NTM-Hash");
	struct arrival_place place = {.job = q->job};

	if (!q->job)
		door_request_refuse(q, 409, -NTM_ESTATE,
				    "another connection goes on with it");
	else if (*hash)
		complete(q, q->job, hash);
	else
		answer_place(q, &place);
}

/* Return: a new reference; NULL: the body is none, and that is said */
static json_t *body_json(struct door_request *q)
{
	json_t *j = q->part ? json_incref(json_object_get(q->part, "json"))
			    : json_loadb(q->body, (size_t)q->came, 0, NULL);

	if (json_is_object(j))
		return j;
	json_decref(j);
	door_request_refuse(q, 400, -NTM_EDECODE,
			    "the body is not one JSON object");
	return NULL;
}

void door_request_done(struct door_request *q)
{
	json_t *j = NULL;
	int err;

	if (q->status)
		return;
	if (q->what != ASKS_DATA && q->what != ASKS_DELETE) {
		j = body_json(q);
		if (!j)
			return;
	}
	switch (q->what) {
	case ASKS_KEYS:
		keys_done(q, j);
		break;
	case ASKS_DATA:
		data_done(q);
		break;
	case ASKS_COMPLETE:
		complete(q, arrival_find(q->post, q->conn->name, &q->ids),
			 json_string_value(json_object_get(j, "hash")));
		break;
	case ASKS_DELETE:
		err = arrival_withdraw(q->post, q->conn->name, &q->ids);
		if (err)
			refuse_err(q, err);
		else
			door_request_say(q, 200, json_object());
		break;
	case ASKS_BATCH:
		door_batch(q, j);
		break;
	case N_ASKS:
		break;
	}
	json_decref(j);
}
