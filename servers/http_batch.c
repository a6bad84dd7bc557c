/* SPDX-License-Identifier: MIT */
/*
 * http_batch - several small requests in one: POST /v1/batch
 *
 * Theory of operation
 *
 * Each request of the body becomes a struct http_request of its own, without a
 * connection: route, fields, start(), body(), done() are those of a request that came
 * alone, and a role does not know the difference. They are begun in their order, and
 * answered in any: http_answer_*() keeps what each is told, and who answers the last
 * one answers the request that holds them. So what waits for a disk waits for it
 * together.
 *
 * NTM-Version, NTM-Node and Authorization are those of the request around them, where
 * they have none themselves. What is long, or streams, is no matter of a batch: only
 * routes with HTTP_BATCH may stand in one.
 *
 * Life: the parts are the state of the request around them, and go with it. @left
 * counts those without an answer, and the thread that begins them.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "servers/http_impl.h"

struct http_batch {
	struct http_request *around;
	_Atomic size_t left;
	size_t n;
	struct {
		struct http_request *q;
		json_t *answer;
	} parts[];
};

static void batch_free(void *arg)
{
	struct http_batch *b = arg;

	for (size_t i = 0; i < b->n; i++) {
		http_request_free(b->parts[i].q);
		json_decref(b->parts[i].answer);
	}
	free(b);
}

/* the last one makes the answer; @b may be gone then */
static void one_less(struct http_batch *b)
{
	json_t *all;

	if (atomic_fetch_sub(&b->left, 1) > 1)
		return;
	all = json_array();
	for (size_t i = 0; i < b->n; i++)
		json_array_append(all, b->parts[i].answer);
	http_answer_json(b->around, 200,
			 json_array_size(all) == b->n
				 ? json_pack("{s:o}", "answers", all)
				 : NULL);
}

/* --- what a part is told --------------------------------------------------------- */

void http_batch_answer(struct http_request *q, unsigned int status,
		       const char *key, json_t *body)
{
	json_t *a = json_pack("{s:i}", "status", (int)status);
	bool first;

	if (body)
		json_object_set(a, key, body);
	json_decref(body);
	for (size_t i = 0; i < q->n_extra; i++)
		if (!strcmp(q->extra[i].name, "Retry-After"))
			json_object_set_new(
				a, "retry_after",
				json_integer(atoi(q->extra[i].value)));
	pthread_mutex_lock(&q->lock);
	first = !q->status;
	if (first) {
		q->status = status;
		q->batch->parts[q->batch_at].answer = a;
	}
	pthread_mutex_unlock(&q->lock);
	if (first)
		one_less(q->batch);
	else
		json_decref(a);
}

void http_batch_data(struct http_request *q, uint8_t *data, size_t size)
{
	char *text = malloc(NTMC_BASE64URL_LEN(size) + 4);

	if (text) {
		ntmc_base64url_encode(data, size, text);
		http_batch_answer(q, 200, "data", json_string(text));
	} else {
		http_answer_err(q, -NTM_ENOMEM);
	}
	free(text);
	free(data);
}

void http_batch_file(struct http_request *q, int fd, uint64_t size)
{
	uint8_t *data = size <= HTTP_BATCH_FILE ? malloc(size + 1) : NULL;
	ssize_t n = data ? pread(fd, data, size, 0) : -1;

	close(fd);
	if (size > HTTP_BATCH_FILE) {
		http_answer_error(q, 413, -NTM_ETOOBIG,
				  "too much for a batch; ask for it alone",
				  NULL);
	} else if (n != (ssize_t)size) {
		http_answer_err(q, data ? -NTM_ESERVER : -NTM_ENOMEM);
	} else {
		http_batch_data(q, data, (size_t)size);
		return;
	}
	free(data);
}

/* --- what a part asks ------------------------------------------------------------- */

const char *http_batch_header(const struct http_request *q, const char *name)
{
	static const char *const around[] = {"NTM-Version", "NTM-Node",
					     "Authorization"};
	const char *text = json_string_value(
		json_object_get(json_object_get(q->part, "headers"), name));

	for (size_t i = 0; !text && i < sizeof(around) / sizeof(around[0]); i++)
		if (!strcmp(around[i], name))
			return http_header(q->batch->around, name);
	return text;
}

/* Return: bytes of "data", decoded into @out; -1: they are none */
static long data_of(const json_t *part, uint8_t **out)
{
	const char *text = json_string_value(json_object_get(part, "data"));
	size_t len = text ? strlen(text) * 3 / 4 : 0;

	*out = NULL;
	if (!text)
		return json_object_get(part, "data") ? -1 : 0;
	*out = malloc(len + 1);
	if (*out && !ntmc_base64url_decode(text, *out, len))
		return (long)len;
	free(*out);
	*out = NULL;
	return -1;
}

static void part_run(struct http_request *q)
{
	const char *method =
		json_string_value(json_object_get(q->part, "method"));
	const char *path = json_string_value(json_object_get(q->part, "path"));
	json_t *json = json_object_get(q->part, "json");
	uint8_t *data;
	long len = data_of(q->part, &data);

	if (!method || !path || len < 0 || (json && len) ||
	    (json && !json_is_object(json))) {
		http_answer_error(q, 400, -NTM_EDECODE,
				  "a request of a batch has a method, a path, "
				  "and a body as json or data",
				  NULL);
		free(data);
		return;
	}
	q->part_len = (uint64_t)len;
	q->json = json_incref(json);
	http_request_begin(q, method, path);
	if (!q->status && len)
		(void)http_request_body(q, data, (size_t)len);
	if (!q->status)
		http_request_handle(q);
	free(data);
}

static struct http_request *part_new(struct http_batch *b, size_t at,
				     const json_t *part)
{
	struct http_request *out = b->around,
			    *q = http_request_new(out->http, out->conf,
						  out->conn, out->mhd);

	if (q) {
		q->batch = b;
		q->batch_at = at;
		q->part = part;
	}
	return q;
}

void http_batch(struct http_request *q, void *arg)
{
	const json_t *list = json_object_get(http_json(q), "requests");
	size_t n = json_array_size(list), i;
	struct http_batch *b;

	(void)arg;
	if (!n || n > HTTP_BATCH_MAX) {
		http_answer_error(q, 400, -NTM_EINVAL,
				  "requests: 1 to 64 of them", NULL);
		return;
	}
	b = calloc(1, sizeof(*b) + n * sizeof(b->parts[0]));
	if (!b) {
		http_answer_err(q, -NTM_ENOMEM);
		return;
	}
	b->around = q;
	b->n = n;
	b->left = n + 1;
	http_set_state(q, b, batch_free);
	for (i = 0; i < n; i++) {
		b->parts[i].q = part_new(b, i, json_array_get(list, i));
		if (!b->parts[i].q) {
			http_answer_err(q, -NTM_ENOMEM);
			return;
		}
	}
	if (n > 1 && q->conf->hold)
		q->conf->hold(q->conf->arg, true);
	for (i = 0; i < n; i++)
		part_run(b->parts[i].q);
	if (n > 1 && q->conf->hold)
		q->conf->hold(q->conf->arg, false);
	one_less(b);
}
