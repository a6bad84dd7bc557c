/* SPDX-License-Identifier: MIT */
/* door_begin - the header of what a device asks of us: who, which item, what, how long */
#include <stdlib.h>
#include <string.h>

#include "broker/post/arrival.h"
#include "broker/post/door_impl.h"

#define PREFIX "/v1/items/"
#define BATCH  "/v1/batch"

static const struct {
	const char *method, *rest; /* behind the item */
} routes[ASKS_BATCH] = {
	[ASKS_KEYS] = {"POST", "/keys"},
	[ASKS_DATA] = {"PATCH", "/data"},
	[ASKS_COMPLETE] = {"POST", "/complete"},
	[ASKS_DELETE] = {"DELETE", ""},
};

const char *door_request_field(const struct door_request *q, const char *name)
{
	const char *s = q->part ? door_batch_field(q, name)
				: MHD_lookup_connection_value(
					  q->mhd, MHD_HEADER_KIND, name);

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
	for (i = 0; i < ASKS_BATCH; i++) {
		if (strcmp(routes[i].method, method) ||
		    strcmp(routes[i].rest, url + len))
			continue;
		q->what = (enum door_asks)i;
		return true;
	}
	return false;
}

static void data_begin(struct door_request *q)
{
	struct fetching *f = arrival_find(q->post, q->conn->name, &q->ids);
	uint64_t offset;

	if (!f) {
		door_request_refuse(q, 404, -NTM_ENOTFOUND,
				    "its keys come first");
	} else if (number(door_request_field(q, "NTM-Offset"), &offset)) {
		door_request_refuse(q, 400, -NTM_EDECODE,
				    "NTM-Offset is where it goes on");
	} else if (offset != f->at) {
		door_request_say(q, 409,
				 json_pack("{s:s, s:s, s:I}", "error",
					   err_name(NTM_ESTATE), "text",
					   "it goes on elsewhere", "offset",
					   (json_int_t)f->at));
	} else if (q->length > f->size - f->at) {
		door_request_refuse(q, 413, -NTM_ETOOBIG, NULL);
	} else {
		/* the newer request counts: the older's connection may be dead */
		if (f->held)
			*f->held = NULL;
		f->held = &q->job;
		q->job = f;
	}
}

/* Its IDs, and the route that they stand in. Return: false: it is answered */
static bool item_named(struct door_request *q, const char *method,
		       const char *url)
{
	if (strcmp(door_request_field(q, "NTM-To"), q->post->who.fqdn))
		door_request_refuse(q, 403, -NTM_ENOTOURS, NULL);
	else if (!id_take(door_request_field(q, "NTM-Application"),
			  q->ids.application) ||
		 !id_take(door_request_field(q, "NTM-Service"),
			  q->ids.service) ||
		 !id_take(door_request_field(q, "NTM-Item"), q->ids.item))
		door_request_refuse(
			q, 400, -NTM_EINVAL,
			"NTM-Application, NTM-Service and NTM-Item are needed");
	else if (!route_find(q, method, url))
		door_request_refuse(q, 404, -NTM_ENOTFOUND,
				    "there is nothing here");
	else
		return true;
	return false;
}

/* A length is needed: bytes are counted before they come. Of a part it is known. */
static int length_take(struct door_request *q)
{
	const char *length = door_request_field(q, "Content-Length");

	if (q->part)
		return 0;
	return *door_request_field(q, "Transfer-Encoding") ||
			       (*length && number(length, &q->length))
		       ? -NTM_EDECODE
		       : 0;
}

static void body_begin(struct door_request *q)
{
	size_t max = q->what == ASKS_BATCH ? DOOR_BATCH_MAX : DOOR_BODY_MAX;

	if (q->length >= max) {
		door_request_refuse(q, 413, -NTM_ETOOBIG, NULL);
		return;
	}
	q->body = malloc((size_t)q->length + 1);
	if (!q->body)
		door_request_refuse(q, 500, -NTM_ENOMEM, NULL);
}

void door_request_begin(struct door_request *q, const char *method,
			const char *url)
{
	if (strcmp(door_request_field(q, "NTM-Node"), q->conn->name))
		door_request_refuse(q, 403, -NTM_EPERM,
				    "NTM-Node is another device's name");
	else if (!q->part && !strcmp(method, "POST") && !strcmp(url, BATCH))
		q->what = ASKS_BATCH;
	else if (!item_named(q, method, url))
		return;
	if (q->status)
		return;
	if (length_take(q))
		door_request_refuse(q, 400, -NTM_EDECODE,
				    "Content-Length is needed");
	else if (q->what == ASKS_DATA)
		data_begin(q);
	else
		body_begin(q);
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
	door_request_begin(q, method, url);
	return q;
}
