/* SPDX-License-Identifier: MIT */
/*
 * fuzz_door - any bytes as requests of an allowed device to our port 4507, up to four at
 * a time: header fields, bodies in pieces, one that takes over from another, ends at any
 * moment
 *
 * An input is records: a byte (bits 0 and 1 what, 2 and 3 which connection), length (2),
 * so many bytes. What: 0 a header ("METHOD PATH" and "Name: value" lines), 1 a piece of
 * the body, 2 its end, 3 the connection breaks. libmicrohttpd is played, and so is what
 * keeps items: one, whose bytes are counted. What gets there is held to what it relies on.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/post/arrival.h"
#include "broker/post/door_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define US	   "desk.bob.example.org"
#define THEY	   "pc.alice.example.org"
#define CONNS	   4
#define FIELDS_MAX 32
#define NOW	   1800000000

static void want(bool holds)
{
	if (!holds)
		abort();
}

/* --- libmicrohttpd ------------------------------------------------------------------ */

struct MHD_Connection {
	char *text;
	struct {
		char *name, *value;
	} field[FIELDS_MAX];
	size_t n;
	uint64_t left; /* of the body */
	unsigned int status;
};

struct MHD_Response {
	void *data;
};

const char *MHD_lookup_connection_value(struct MHD_Connection *c,
					enum MHD_ValueKind kind,
					const char *key)
{
	want(kind == MHD_HEADER_KIND);
	for (size_t i = 0; i < c->n; i++)
		if (!strcasecmp(c->field[i].name, key))
			return c->field[i].value;
	return NULL;
}

struct MHD_Response *
MHD_create_response_from_buffer(size_t size, void *buffer,
				enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = malloc(sizeof(*r));
	json_t *j = json_loadb(buffer, size, 0, NULL);

	want(r && mode == MHD_RESPMEM_MUST_FREE && json_is_object(j));
	json_decref(j);
	r->data = buffer;
	return r;
}

enum MHD_Result MHD_add_response_header(struct MHD_Response *r,
					const char *name, const char *value)
{
	(void)r, (void)name, (void)value;
	return MHD_YES;
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *c,
				   unsigned int status, struct MHD_Response *r)
{
	(void)r;
	want(!c->status && status >= 200 && status < 600);
	c->status = status;
	return MHD_YES;
}

void MHD_destroy_response(struct MHD_Response *r)
{
	free(r->data);
	free(r);
}

/* --- the rest of ntm-post -------------------------------------------------------------- */

static struct post post = {.who.fqdn = US};
static struct fetching *job;
static uint8_t mood; /* what fails next */

int64_t post_now(const struct post *p)
{
	(void)p;
	return NOW;
}

bool post_flush_due(const struct post *p)
{
	(void)p;
	return mood & 1;
}

int post_flush_now(struct post *p)
{
	(void)p;
	return mood & 2 ? -NTM_ESTORE : 0;
}

/* as fetching_free(): who held it sees that */
static void job_free(void)
{
	if (job && job->held)
		*job->held = NULL;
	free(job);
	job = NULL;
}

static void ids_are_good(const struct post_ids *ids)
{
	want(post_id_ok(ids->application) && post_id_ok(ids->service) &&
	     post_id_ok(ids->item));
}

int arrival_begin(struct post *p, const struct arrival_of *of,
		  struct arrival_place *out)
{
	memset(out, 0, sizeof(*out));
	want(p == &post && !strcmp(of->sender, THEY));
	ids_are_good(of->ids);
	want(of->size && of->size <= INT64_MAX && of->expires > NOW);
	want(of->wrapped_len && of->wrapped_len <= ITEM_KEY_MAX);
	want(strlen(of->message) <= 256);
	mood = of->wrapped[0];
	if (mood >= 200)
		return -(mood - 199); /* every code that there is, and others */
	if (mood >= 190) {
		out->code = mood - 190;
		return 0;
	}
	if (job && job->size != of->size)
		job_free();
	if (!job) {
		job = calloc(1, sizeof(*job));
		want(job);
		job->ids = *of->ids;
		job->size = of->size;
	}
	out->job = job;
	return 0;
}

struct fetching *arrival_find(struct post *p, const char *sender,
			      const struct post_ids *ids)
{
	(void)p;
	want(!strcmp(sender, THEY));
	ids_are_good(ids);
	return job && !strcmp(job->ids.item, ids->item) ? job : NULL;
}

int arrival_data(struct fetching *f, const uint8_t *data, size_t len, int *code)
{
	want(f == job && len && len <= f->size - f->at);
	*code = 0;
	f->at += len;
	if (data[0] != '!')
		return 0;
	*code = len > 1 ? data[1] : 0;
	job_free();
	return *code ? -NTM_EDECODE : -NTM_ESTORE;
}

void arrival_pause(struct fetching *f)
{
	want(f == job && !f->held);
	if (mood & 4)
		job_free();
}

int arrival_complete(struct fetching *f, const char *hash,
		     struct arrival_place *out)
{
	memset(out, 0, sizeof(*out));
	want(f == job && strlen(hash) == 43);
	if (f->at < f->size)
		return -NTM_ECLOSED;
	strcpy(out->hash, hash);
	job_free();
	return mood & 8 ? -NTM_EAUTH : 0;
}

int arrival_withdraw(struct post *p, const char *sender,
		     const struct post_ids *ids)
{
	if (!arrival_find(p, sender, ids))
		return -NTM_ENOTFOUND;
	job_free();
	return 0;
}

/* --- connections ------------------------------------------------------------------------ */

static struct one {
	struct door_conn conn;
	struct MHD_Connection mhd;
	struct door_request *q;
} ones[CONNS];

static void over(struct one *o)
{
	door_request_free(o->q);
	o->q = NULL;
	free(o->mhd.text);
	memset(&o->mhd, 0, sizeof(o->mhd));
}

static char *next_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');

	if (end)
		*end++ = '\0';
	*at = end ? end : line + strlen(line);
	return line;
}

static const char *field(struct one *o, const char *name)
{
	return MHD_lookup_connection_value(&o->mhd, MHD_HEADER_KIND, name);
}

static void header(struct one *o, const uint8_t *data, size_t len)
{
	char *text, *first, *url, *line;

	over(o);
	text = o->mhd.text = strndup((const char *)data, len);
	want(text);
	first = next_line(&text);
	url = strchr(first, ' ');
	if (!url)
		return;
	*url++ = '\0';
	while (*(line = next_line(&text)) && o->mhd.n < FIELDS_MAX) {
		char *value = strstr(line, ": ");

		if (!value)
			continue;
		*value = '\0';
		o->mhd.field[o->mhd.n].name = line;
		o->mhd.field[o->mhd.n++].value = value + 2;
	}
	/* no more of a body is handed out than was announced */
	o->mhd.left = UINT64_MAX;
	if (!field(o, "Transfer-Encoding"))
		o->mhd.left =
			field(o, "Content-Length")
				? strtoull(field(o, "Content-Length"), NULL, 10)
				: 0;
	strcpy(o->conn.name, THEY);
	o->q = door_request_new(&post, &o->conn, &o->mhd, first, url);
	want(o->q);
	if (!door_request_early(o->q))
		return;
	want(door_request_answer(o->q) == MHD_YES);
	over(o);
}

static void one_record(uint8_t what, const uint8_t *data, size_t len)
{
	struct one *o = &ones[what >> 2 & 3];
	uint8_t *copy;

	if (!(what & 3)) {
		header(o, data, len);
	} else if ((what & 3) == 1 && o->q && len && len <= o->mhd.left) {
		o->mhd.left -= len;
		copy = malloc(len); /* its end is its end */
		want(copy);
		memcpy(copy, data, len);
		if (!door_request_body(o->q, copy, len))
			over(o);
		free(copy);
	} else if ((what & 3) == 2 && o->q) {
		door_request_done(o->q);
		want(door_request_answer(o->q) == MHD_YES && o->mhd.status);
		over(o);
	} else if ((what & 3) == 3) {
		over(o);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mood = 0;
	while (size >= 3) {
		size_t len = (size_t)(data[1] << 8 | data[2]);

		len = len > size - 3 ? size - 3 : len;
		one_record(data[0], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	for (size_t i = 0; i < CONNS; i++)
		over(&ones[i]);
	job_free();
	return 0;
}
