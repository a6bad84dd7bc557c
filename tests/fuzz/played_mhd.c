/* SPDX-License-Identifier: MIT */
/* played_mhd - libmicrohttpd as servers see it, made of a text */
#include "tests/fuzz/played_mhd.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIELDS_MAX 64

void want(bool holds)
{
	if (!holds)
		abort();
}

struct MHD_Connection {
	struct {
		enum MHD_ValueKind kind;
		char *name, *value;
	} field[FIELDS_MAX];
	size_t n;
};

struct MHD_Response {
	void *data;
	MHD_ContentReaderCallback read;
	MHD_ContentReaderFreeCallback end;
	uint64_t size;
};

const char *MHD_lookup_connection_value(struct MHD_Connection *c,
					enum MHD_ValueKind kind,
					const char *key)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->field[i].kind == kind &&
		    !strcasecmp(c->field[i].name, key))
			return c->field[i].value;
	return NULL;
}

const union MHD_ConnectionInfo *
MHD_get_connection_info(struct MHD_Connection *c,
			enum MHD_ConnectionInfoType type, ...)
{
	(void)c, (void)type;
	return NULL;
}

static struct MHD_Response *response(struct MHD_Response from)
{
	struct MHD_Response *r = malloc(sizeof(*r));

	if (!r)
		abort();
	*r = from;
	return r;
}

struct MHD_Response *
MHD_create_response_from_buffer(size_t size, void *buffer,
				enum MHD_ResponseMemoryMode mode)
{
	return response((struct MHD_Response){
		.data = mode == MHD_RESPMEM_MUST_FREE ? buffer : NULL,
		.end = mode == MHD_RESPMEM_MUST_FREE ? free : NULL,
		.size = size});
}

struct MHD_Response *
MHD_create_response_from_callback(uint64_t size, size_t block,
				  MHD_ContentReaderCallback read, void *arg,
				  MHD_ContentReaderFreeCallback end)
{
	(void)block;
	return response((struct MHD_Response){arg, read, end, size});
}

void MHD_destroy_response(struct MHD_Response *r)
{
	char buf[256];

	for (uint64_t at = 0; r->read && at < r->size;) {
		ssize_t n = r->read(r->data, at, buf, sizeof(buf));

		if (n <= 0)
			abort(); /* all that was promised is there */
		at += (uint64_t)n;
	}
	if (r->end)
		r->end(r->data);
	free(r);
}

enum MHD_Result MHD_add_response_header(struct MHD_Response *r,
					const char *name, const char *value)
{
	(void)r, (void)name;
	return strpbrk(value, "\r\n") ? (abort(), MHD_NO) : MHD_YES;
}

void MHD_resume_connection(struct MHD_Connection *c)
{
	(void)c;
	abort(); /* nothing waits here */
}

uint32_t http_now_s(void)
{
	return 1; /* as of peer_at: it is known */
}

bool http_hold(struct http *h, const uint8_t *source, size_t len)
{
	(void)h, (void)source;
	return len < 1 << 20;
}

void http_let_go(struct http *h, const uint8_t *source, size_t len)
{
	(void)h, (void)source, (void)len;
}

void http_conn_proven(struct http *h, struct http_conn *c)
{
	(void)h;
	c->proven = true;
}

void http_phase_set(struct http_conn *c, enum http_phase phase)
{
	(void)c, (void)phase;
}

static char *next_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');

	if (end)
		*end++ = '\0';
	*at = end ? end : line + strlen(line);
	return line;
}

static void add(struct MHD_Connection *c, enum MHD_ValueKind kind, char *name,
		char *value)
{
	if (c->n == FIELDS_MAX)
		return;
	c->field[c->n].kind = kind;
	c->field[c->n].name = name;
	c->field[c->n++].value = value;
}

static void query(struct MHD_Connection *c, char *text)
{
	char *one, *save = NULL;

	for (one = strtok_r(text, "&", &save); one;
	     one = strtok_r(NULL, "&", &save)) {
		char *value = strchr(one, '=');

		if (value)
			*value++ = '\0';
		add(c, MHD_GET_ARGUMENT_KIND, one, value);
	}
}

void played_ask(const struct http_conf *conf, const struct ntmc_cert *peer,
		char *text, const char *end)
{
	struct http_conn conn = {.peer = (struct ntmc_cert *)peer};
	struct MHD_Connection mhd = {.n = 0};
	char *first = next_line(&text), *url = strchr(first, ' '), *line;
	struct http_request *q;

	if (!url)
		return;
	*url++ = '\0';
	line = strchr(url, '?');
	if (line) {
		*line++ = '\0';
		query(&mhd, line);
	}
	while (*(line = next_line(&text))) {
		char *value = strstr(line, ": ");

		if (!value)
			continue;
		*value = '\0';
		add(&mhd, MHD_HEADER_KIND, line, value + 2);
	}
	q = http_request_new(NULL, conf, &conn, &mhd);
	want(q);
	http_request_begin(q, first, url);
	if (text < end)
		(void)http_request_body(q, (uint8_t *)text,
					(size_t)(end - text));
	http_request_handle(q);
	want(q->status);
	http_request_free(q);
}
