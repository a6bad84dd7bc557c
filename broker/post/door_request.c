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

#define PREFIX	    "/v1/items/"
#define SWALLOW_MAX (1u << 20) /* read after an error, to be able to say it */

enum what { ASKS_KEYS, ASKS_DATA, ASKS_COMPLETE, ASKS_DELETE, N_ASKS };

static const struct {
	const char *method, *rest; /* behind the item */
} routes[N_ASKS] = {
	[ASKS_KEYS] = {"POST", "/keys"},
	[ASKS_DATA] = {"PATCH", "/data"},
	[ASKS_COMPLETE] = {"POST", "/complete"},
	[ASKS_DELETE] = {"DELETE", ""},
};

/** struct door_request - @job: of ASKS_DATA; NULL once it is over
 *  @status: 0: not answered yet */
struct door_request {
	struct post *post;
	struct door_conn *conn;
	struct MHD_Connection *mhd;
	enum what what;
	struct post_ids ids;
	struct fetching *job;
	uint64_t length, came;
	char body[DOOR_BODY_MAX];
	unsigned int status;
	json_t *answer;
};

/* --- answers
 * ------------------------------------------------------------------------------- */

static void answer(struct door_request *q, unsigned int status, json_t *j)
{
	if (q->status) {
		json_decref(j);
		return;
	}
	q->status = status;
	q->answer = j;
}

static void refuse(struct door_request *q, unsigned int status, int err,
		   const char *text)
{
	answer(q, status,
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
		refuse(q, 403, err, NULL);
		break;
	case NTM_EDECODE:
	case NTM_EINVAL:
	case NTM_EVERSION:
		refuse(q, 400, err, NULL);
		break;
	case NTM_EAUTH:
	case NTM_ESTATE:
	case NTM_EEXISTS:
		refuse(q, 409, err, NULL);
		break;
	case NTM_ENOTFOUND:
		refuse(q, 404, err, NULL);
		break;
	case NTM_EAGAIN:
	case NTM_ELIMIT:
		refuse(q, 429, err, NULL);
		break;
	case NTM_ESTORE:
		refuse(q, 507, err, "there is no room for it here");
		break;
	default:
		refuse(q, 500, -NTM_ESERVER, NULL);
	}
}

/* {"state"}: "open" with the offset, "received", "refused" with the code */
static void answer_place(struct door_request *q, const struct arrival_place *at)
{
	if (at->job)
		answer(q, 200,
		       json_pack("{s:s, s:I}", "state", "open", "offset",
				 (json_int_t)at->job->at));
	else if (at->code)
		answer(q, 200,
		       json_pack("{s:s, s:i, s:s}", "state", "refused", "code",
				 at->code, "hash", at->hash));
	else
		answer(q, 200,
		       json_pack("{s:s, s:s}", "state", "received", "hash",
				 at->hash));
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

/* --- what is asked
 * ------------------------------------------------------------------------- */

static const char *field(const struct door_request *q, const char *name)
{
	const char *s =
		MHD_lookup_connection_value(q->mhd, MHD_HEADER_KIND, name);

	return s ? s : "";
}

static int number(const char *text, uint64_t *out)
{
	size_t len = strlen(text);

	if (!len || len > 18 || strspn(text, "0123456789") != len)
		return -NTM_EDECODE;
	*out = strtoull(text, NULL, 10);
	return 0;
}

static bool id_take(const char *text, char out[static 65])
{
	if (!post_id_ok(text))
		return false;
	strcpy(out, text);
	return true;
}

/* Return: false: no such thing can be asked */
static bool route_find(struct door_request *q, const char *method,
		       const char *url)
{
	size_t len = strlen(q->ids.item);
	int i;

	if (strncmp(url, PREFIX, strlen(PREFIX)))
		return false;
	url += strlen(PREFIX);
	if (strncmp(url, q->ids.item, len))
		return false;
	for (i = 0; i < N_ASKS; i++) {
		if (strcmp(routes[i].method, method) ||
		    strcmp(routes[i].rest, url + len))
			continue;
		q->what = (enum what)i;
		return true;
	}
	return false;
}

static void data_begin(struct door_request *q)
{
	struct fetching *f = arrival_find(q->post, q->conn->name, &q->ids);
	uint64_t offset;

	if (!f) {
		refuse(q, 404, -NTM_ENOTFOUND, "its keys come first");
	} else if (number(field(q, "NTM-Offset"), &offset)) {
		refuse(q, 400, -NTM_EDECODE, "NTM-Offset is where it goes on");
	} else if (offset != f->at) {
		answer(q, 409,
		       json_pack("{s:s, s:s, s:I}", "error",
				 err_name(NTM_ESTATE), "text",
				 "it goes on elsewhere", "offset",
				 (json_int_t)f->at));
	} else if (q->length > f->size - f->at) {
		refuse(q, 413, -NTM_ETOOBIG, NULL);
	} else {
		/* the newer request counts: the older's connection may be dead */
		if (f->held)
			*f->held = NULL;
		f->held = &q->job;
		q->job = f;
	}
}

/* a length is needed: bytes are counted before they come */
static void begin(struct door_request *q, const char *method, const char *url)
{
	const char *length = field(q, "Content-Length");

	if (strcmp(field(q, "NTM-Node"), q->conn->name))
		refuse(q, 403, -NTM_EPERM, "NTM-Node is another device's name");
	else if (strcmp(field(q, "NTM-To"), q->post->who.fqdn))
		refuse(q, 403, -NTM_ENOTOURS, NULL);
	else if (!id_take(field(q, "NTM-Application"), q->ids.application) ||
		 !id_take(field(q, "NTM-Service"), q->ids.service) ||
		 !id_take(field(q, "NTM-Item"), q->ids.item))
		refuse(q, 400, -NTM_EINVAL,
		       "NTM-Application, NTM-Service and NTM-Item are needed");
	else if (!route_find(q, method, url))
		refuse(q, 404, -NTM_ENOTFOUND, "there is nothing here");
	else if (*field(q, "Transfer-Encoding") ||
		 (*length && number(length, &q->length)))
		refuse(q, 400, -NTM_EDECODE, "Content-Length is needed");
	else if (q->what != ASKS_DATA && q->length >= DOOR_BODY_MAX)
		refuse(q, 413, -NTM_ETOOBIG, NULL);
	else if (q->what == ASKS_DATA)
		data_begin(q);
}

struct door_request *door_request_new(struct post *p, struct door_conn *c,
				      struct MHD_Connection *mhd,
				      const char *method, const char *url)
{
	struct door_request *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->post = p;
	q->conn = c;
	q->mhd = mhd;
	begin(q, method, url);
	return q;
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
		refuse(q, 409, -NTM_ESTATE,
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
	if (q->came >= DOOR_BODY_MAX) {
		refuse(q, 413, -NTM_ETOOBIG, NULL);
		return true;
	}
	memcpy(q->body + q->came - len, data, len);
	return true;
}

/* --- all is here
 * ---------------------------------------------------------------------------- */

/* the message, %XX undone as far as it is that */
static void message_read(const char *text, char out[static 257])
{
	size_t n = 0;
	unsigned int c;

	while (*text && n < 256) {
		if (*text == '%' && sscanf(text + 1, "%2x", &c) == 1 &&
		    c >= ' ' && text[1] && text[2]) {
			out[n++] = (char)c;
			text += 3;
		} else {
			out[n++] = *text++;
		}
	}
	out[n] = '\0';
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

	message_read(field(q, "NTM-Message"), message);
	if (len < 0 || !to || strcmp(to, q->post->who.fqdn) ||
	    json_integer_value(json_object_get(j, "size")) < 1 ||
	    of.expires <= post_now(q->post)) {
		refuse(q, 400, -NTM_EINVAL,
		       "size, expires and one key, ours, are needed");
		return;
	}
	of.wrapped_len = (size_t)len;
	err = arrival_begin(q->post, &of, &place);
	if (err)
		refuse_err(q, err);
	else
		answer_place(q, &place);
}

/* the hash of what is complete now; the request is over with its job */
static void complete(struct door_request *q, struct fetching *f,
		     const char *hash)
{
	struct arrival_place place;
	uint8_t bytes[NTMC_HASH_LEN];
	int err;

	if (!f) {
		refuse(q, 404, -NTM_ENOTFOUND, "its keys come first");
		return;
	}
	if (!hash || ntmc_base64url_decode(hash, bytes, sizeof(bytes))) {
		refuse(q, 400, -NTM_EDECODE, "the hash of the blob is needed");
		return;
	}
	err = arrival_complete(f, hash, &place);
	if (err == -NTM_ECLOSED)
		answer(q, 409,
		       json_pack("{s:s, s:s, s:I}", "error",
				 err_name(NTM_ESTATE), "text",
				 "bytes are missing", "offset",
				 (json_int_t)f->at));
	else if (err)
		refuse_err(q, err);
	else
		answer_place(q, &place);
}

static void data_done(struct door_request *q)
{
	const char *hash = field(q, "NTM-Hash");
	struct arrival_place place = {.job = q->job};

	if (!q->job)
		refuse(q, 409, -NTM_ESTATE,
		       "another connection goes on with it");
	else if (*hash)
		complete(q, q->job, hash);
	else
		answer_place(q, &place);
}

void door_request_done(struct door_request *q)
{
	json_t *j = NULL;
	int err;

	if (q->status)
		return;
	if (q->what == ASKS_KEYS || q->what == ASKS_COMPLETE) {
		j = json_loadb(q->body, (size_t)q->came, 0, NULL);
		if (!json_is_object(j)) {
			refuse(q, 400, -NTM_EDECODE,
			       "the body is not one JSON object");
			json_decref(j);
			return;
		}
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
			answer(q, 200, json_object());
		break;
	case N_ASKS:
		break;
	}
	json_decref(j);
}
