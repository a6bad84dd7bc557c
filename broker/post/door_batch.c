/* SPDX-License-Identifier: MIT */
/*
 * door_batch - several small requests in one: POST /v1/batch at our door
 *
 * The same as at a Cache Server (docs/exchange.md): each part is a struct door_request
 * of its own, without a connection, begun and answered as if it came alone. All of them
 * are answered at once, so what they write shares one sync.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/post/door_impl.h"

/* what a part has not itself is said around it */
const char *door_batch_field(const struct door_request *q, const char *name)
{
	const char *text = json_string_value(
		json_object_get(json_object_get(q->part, "headers"), name));

	return text || strcmp(name, "NTM-Node")
		       ? text
		       : door_request_field(q->around, name);
}

static void data_take(struct door_request *q, const char *text)
{
	size_t len = strlen(text) * 3 / 4;
	uint8_t *data = malloc(len + 1);

	if (!data)
		door_request_refuse(q, 500, -NTM_ENOMEM, NULL);
	else if (ntmc_base64url_decode(text, data, len))
		door_request_refuse(q, 400, -NTM_EDECODE, NULL);
	else if (len)
		(void)door_request_body(q, data, len);
	free(data);
}

static void part_run(struct door_request *q)
{
	const char *method =
		json_string_value(json_object_get(q->part, "method"));
	const char *path = json_string_value(json_object_get(q->part, "path"));
	const char *data = json_string_value(json_object_get(q->part, "data"));

	if (!method || !path) {
		door_request_refuse(q, 400, -NTM_EDECODE,
				    "a request of a batch has a method and a "
				    "path");
		return;
	}
	if (data)
		q->length = strlen(data) * 3 / 4;
	door_request_begin(q, method, path);
	if (!q->status && data)
		data_take(q, data);
	if (!q->status)
		door_request_done(q);
}

/* Return: its answer; NULL: no memory */
static json_t *part_answer(struct door_request *around, const json_t *part)
{
	struct door_request *q = calloc(1, sizeof(*q));
	json_t *answer;

	if (!q)
		return NULL;
	q->post = around->post;
	q->conn = around->conn;
	q->around = around;
	q->part = part;
	part_run(q);
	answer = json_pack("{s:i, s:O?}", "status", (int)q->status, "json",
			   q->answer);
	door_request_free(q);
	return answer;
}

void door_batch(struct door_request *q, const json_t *j)
{
	const json_t *list = json_object_get(j, "requests"), *part;
	json_t *all = json_array();
	size_t n = json_array_size(list), i;

	if (!n || n > DOOR_BATCH) {
		json_decref(all);
		door_request_refuse(q, 400, -NTM_EINVAL,
				    "requests: 1 to 64 of them");
		return;
	}
	json_array_foreach(list, i, part)
		json_array_append_new(all, part_answer(q, part));
	door_request_say(q, 200, json_pack("{s:o}", "answers", all));
}
