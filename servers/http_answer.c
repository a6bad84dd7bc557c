/* SPDX-License-Identifier: MIT */
/* http_answer - what is answered to one request: JSON, texts, errors, files and parts of them */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/http_impl.h"

#define BLOCK	(128 << 10) /* read of a file at once */
#define LATER_S 5

void http_answer_header(struct http_request *q, const char *name,
			const char *value)
{
	char *n = strdup(name), *v = strdup(value);

	if (!n || !v || q->n_extra == HTTP_EXTRA_MAX) {
		free(n);
		free(v);
		return;
	}
	q->extra[q->n_extra].name = n;
	q->extra[q->n_extra++].value = v;
}

/* takes @response; NULL: out of memory, the connection ends */
static void answer(struct http_request *q, unsigned int status,
		   struct MHD_Response *response)
{
	struct MHD_Connection *mhd = q->mhd;
	bool resume;

	for (size_t i = 0; response && i < q->n_extra; i++)
		(void)!MHD_add_response_header(response, q->extra[i].name,
					       q->extra[i].value);
	pthread_mutex_lock(&q->lock);
	if (q->status) {
		pthread_mutex_unlock(&q->lock);
		if (response)
			MHD_destroy_response(response);
		return;
	}
	q->status = status;
	q->response = response;
	resume = q->suspended;
	q->suspended = false;
	pthread_mutex_unlock(&q->lock);
	/* not before: @q may be over as soon as it goes on */
	if (resume)
		MHD_resume_connection(mhd);
}

/* struct text - a long answer; it may outlive its connection by a moment */
struct text {
	struct http *http;
	struct http_conn *conn;
	uint8_t source[HTTP_SOURCE_LEN];
	char *data;
	size_t len;
};

static ssize_t text_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct text *t = arg;
	size_t n = t->len - (size_t)pos < max ? t->len - (size_t)pos : max;

	memcpy(buf, t->data + pos, n);
	atomic_fetch_add_explicit(&t->conn->moved, n, memory_order_relaxed);
	return (ssize_t)n;
}

static void text_free(void *arg)
{
	struct text *t = arg;

	http_let_go(t->http, t->source, t->len);
	free(t->data);
	free(t);
}

static struct MHD_Response *text_response(struct http_request *q, char *data)
{
	size_t len = strlen(data);
	struct MHD_Response *r = NULL;
	struct text *t;

	if (len <= HTTP_WHOLE) {
		r = MHD_create_response_from_buffer(len, data,
						    MHD_RESPMEM_MUST_FREE);
		if (!r)
			free(data);
		return r;
	}
	t = malloc(sizeof(*t));
	if (t) {
		*t = (struct text){q->http, q->conn, {0}, data, len};
		memcpy(t->source, q->conn->source, HTTP_SOURCE_LEN);
		r = MHD_create_response_from_callback(len, HTTP_WHOLE,
						      text_read, t, text_free);
	}
	if (!r) {
		http_let_go(q->http, q->conn->source, len);
		free(t);
		free(data);
	}
	return r;
}

void http_answer_json(struct http_request *q, unsigned int status, json_t *body)
{
	char *text;

	if (q->batch) {
		http_batch_answer(q, body ? status : 500, "json", body);
		return;
	}
	text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	http_answer_text(q, status, text);
}

void http_answer_text(struct http_request *q, unsigned int status, char *text)
{
	size_t len = text ? strlen(text) : 0;
	struct MHD_Response *r;

	if (q->batch) {
		http_answer_json(q, status,
				 text ? json_loads(text, 0, NULL) : NULL);
		free(text);
		return;
	}
	if (len > HTTP_WHOLE && !http_hold(q->http, q->conn->source, len)) {
		free(text);
		http_answer_later(q, -NTM_ELIMIT, LATER_S,
				  "too many long answers have yet to leave");
		return;
	}
	r = text ? text_response(q, text) : NULL;
	if (r)
		(void)!MHD_add_response_header(r, "Content-Type",
					       "application/json");
	if (r && status == 401)
		(void)!MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
	answer(q, r ? status : 500, r);
}

void http_answer_error(struct http_request *q, unsigned int status, int err,
		       const char *text, json_t *more)
{
	json_t *body =
		json_pack("{s:s, s:s}", "error", err_name(err), "text", text);

	if (body && more)
		json_object_update(body, more);
	json_decref(more);
	http_answer_json(q, status, body);
}

void http_answer_err(struct http_request *q, int err)
{
	static const struct {
		int err;
		unsigned int status;
	} table[] = {
		{NTM_EINVAL, 400},    {NTM_EDECODE, 400},
		{NTM_EAUTH, 401},     {NTM_EEXPIRED, 401},
		{NTM_EPERM, 403},     {NTM_EPOLICY, 403},
		{NTM_EDISABLED, 403}, {NTM_ENONAME, 404},
		{NTM_ENOTFOUND, 404}, {NTM_EEXISTS, 409},
		{NTM_ESTATE, 409},    {NTM_ETOOBIG, 413},
		{NTM_ERATE, 429},     {NTM_ELIMIT, 429},
		{NTM_EAGAIN, 429},    {NTM_EUNREACHABLE, 503},
		{NTM_ETIMEOUT, 503},  {NTM_ECLOSED, 503},
		{NTM_EOFFLINE, 503},  {NTM_ESTORE, 507},
	};
	unsigned int status = 500;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].err == -err)
			status = table[i].status;
	if (status == 500)
		err = -NTM_ESERVER;
	if (status == 429)
		http_answer_later(q, err, LATER_S, err_text(err));
	else
		http_answer_error(q, status, err, err_text(err), NULL);
}

void http_answer_later(struct http_request *q, int err, unsigned int retry_s,
		       const char *text)
{
	char value[16];

	snprintf(value, sizeof(value), "%u", retry_s);
	http_answer_header(q, "Retry-After", value);
	http_answer_error(q, 429, err, text, NULL);
}

void http_answer_empty(struct http_request *q)
{
	if (q->batch) {
		http_batch_answer(q, 204, "json", NULL);
		return;
	}
	answer(q, 204,
	       MHD_create_response_from_buffer(0, (void *)"",
					       MHD_RESPMEM_PERSISTENT));
}

/* --- files, and what is as one --------------------------------------------------------- */

/* struct part - of a file, or of @data where there is none (@fd is -1) */
struct part {
	struct http_conn *conn;
	int fd;
	uint8_t *data;
	uint64_t from;
};

static ssize_t part_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct part *p = arg;
	ssize_t n = (ssize_t)max;

	if (p->data) /* never more than is left */
		memcpy(buf, p->data + p->from + pos, max);
	else
		n = pread(p->fd, buf, max, (off_t)(p->from + pos));
	if (n <= 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	atomic_fetch_add_explicit(&p->conn->moved, (uint64_t)n,
				  memory_order_relaxed);
	return n;
}

static void part_free(void *arg)
{
	struct part *p = arg;

	if (p->fd >= 0)
		close(p->fd);
	free(p->data);
	free(p);
}

/* "bytes=A-", "bytes=A-B", "bytes=-N". Return: false: not one that we know */
static bool parse_range(const char *text, uint64_t size, uint64_t *from,
			uint64_t *end)
{
	char first[24], last[24];
	const char *dash;
	uint64_t a = 0, b = 0;

	if (!text || strncmp(text, "bytes=", 6))
		return false;
	text += 6;
	dash = strchr(text, '-');
	if (!dash || (size_t)(dash - text) >= sizeof(first) ||
	    strlen(dash + 1) >= sizeof(last))
		return false;
	memcpy(first, text, (size_t)(dash - text));
	first[dash - text] = '\0';
	strcpy(last, dash + 1);
	if ((*first && http_number(first, &a)) ||
	    (*last && http_number(last, &b)) || (!*first && !*last) ||
	    (*first && *last && a > b))
		return false;
	if (!*first) { /* the last b bytes */
		*from = b < size ? size - b : 0;
		*end = size;
	} else {
		*from = a;
		*end = *last && b < size - 1 ? b + 1 : size;
	}
	return true;
}

/* @whole: all @size bytes of it; what it has is taken */
static void answer_part(struct http_request *q, const struct part *whole,
			uint64_t size)
{
	uint64_t from = 0, end = size;
	bool ranged =
		size && parse_range(http_header(q, "Range"), size, &from, &end);
	struct part *p = malloc(sizeof(*p));
	struct MHD_Response *r = NULL;
	char text[80];

	if (!p) {
		if (whole->fd >= 0)
			close(whole->fd);
		free(whole->data);
		http_answer_err(q, -NTM_ENOMEM);
		return;
	}
	*p = *whole;
	p->from = from;
	if (ranged && from >= size) {
		part_free(p);
		snprintf(text, sizeof(text), "bytes */%llu",
			 (unsigned long long)size);
		http_answer_header(q, "Content-Range", text);
		http_answer_error(q, 416, -NTM_EINVAL,
				  "the range begins behind the end", NULL);
		return;
	}
	r = MHD_create_response_from_callback(end - from, BLOCK, part_read, p,
					      part_free);
	if (!r) {
		part_free(p);
		http_answer_err(q, -NTM_ENOMEM);
		return;
	}
	(void)!MHD_add_response_header(r, "Accept-Ranges", "bytes");
	(void)!MHD_add_response_header(r, "Content-Type",
				       "application/octet-stream");
	if (ranged) {
		snprintf(text, sizeof(text), "bytes %llu-%llu/%llu",
			 (unsigned long long)from, (unsigned long long)end - 1,
			 (unsigned long long)size);
		(void)!MHD_add_response_header(r, "Content-Range", text);
	}
	answer(q, ranged ? 206 : 200, r);
}

void http_answer_file(struct http_request *q, int fd, uint64_t size)
{
	struct part whole = {.conn = q->conn, .fd = fd};

	if (q->batch)
		http_batch_file(q, fd, size);
	else
		answer_part(q, &whole, size);
}

void http_answer_data(struct http_request *q, uint8_t *data, size_t size)
{
	struct part whole = {.conn = q->conn, .fd = -1, .data = data};

	if (q->batch)
		http_batch_data(q, data, size);
	else
		answer_part(q, &whole, size);
}
