/* SPDX-License-Identifier: MIT */
/*
 * web_together - small requests to one server go together: POST /v1/batch
 *
 * Theory of operation
 *
 * Two of them are on the way to a server at a time. What becomes ready meanwhile waits,
 * and leaves as one when the way is free: so a single one waits for nobody, and of many
 * the server sees few. One that is slow (another domain is asked) keeps its way for a
 * second, and no other waits longer.
 *
 * A batch is a call like others (@carries); its members stay what they are, and each is
 * told its own answer. What is refused as a whole, or was too much in one, is asked one
 * by one.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/post/web_impl.h"
#include "common/jsontext.h"
#include "libntmcrypto/ntmcrypto.h"

#define PATH	 "/v1/batch"
#define CALLS	 64	      /* the server's limit */
#define BODY	 (128u << 10) /* of 256 KiB; more than what is counted goes over */
#define OVERHEAD 512	      /* of one: path and header, base64 aside */
#define GOT_MAX	 (2u << 20) /* 64 small items, keys too; more: one by one */
#define WAYS	 2
#define WAY_MS	 1000
#define UNACKED_MS                                                             \
	2000	     /* a device that has left with its end of a connection */
#define LINES_MAX 16 /* of a header */

struct web_batch {
	struct web *web;
	struct web_server server;
	uint64_t left_ns;
	size_t n, bytes;
	struct web_call *calls[CALLS];
};

int web_small_new(struct web_call *c, const struct web_request *r)
{
	struct web_small *s;
	int err;

	if (r->body_len > WEB_TOGETHER_BYTES || r->read)
		return 1;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -NTM_ENOMEM;
	c->small = s;
	if (strlen(r->method) >= sizeof(s->method) ||
	    strlen(r->path) >= sizeof(s->path))
		return -NTM_EINVAL;
	if (!r->server->n_addrs && !r->server->tunnel)
		return -NTM_EUNREACHABLE;
	strcpy(s->method, r->method);
	strcpy(s->path, r->path);
	s->server = *r->server;
	s->connect_ms = r->connect_ms;
	s->stall_s = r->stall_s;
	s->json = r->json || r->text;
	err = web_call_headers(c, r);
	return err ? err : web_call_body(c, r);
}

/* By itself, after all. Return: as web_call_set() */
static int small_set(struct web_call *c)
{
	struct curl_slist *lines = c->headers, *l;
	const char *headers[LINES_MAX + 1] = {NULL};
	struct web_small *s = c->small;
	char *body = c->body;
	size_t len = c->body_len, n = 0;
	struct web_request r = {
		.server = &s->server,
		.method = s->method,
		.path = s->path,
		.headers = headers,
		.text = s->json ? body : NULL,
		.body = s->json ? NULL : (uint8_t *)body,
		.body_len = s->json ? 0 : len,
		.connect_ms = s->connect_ms,
		.stall_s = s->stall_s,
		.unacked_ms = UNACKED_MS,
	};
	int err;

	for (l = lines; l && n < LINES_MAX; l = l->next)
		headers[n++] = l->data;
	c->headers = NULL;
	c->body = NULL;
	c->body_len = 0;
	err = web_call_set(c, &r);
	curl_slist_free_all(lines);
	if (body)
		ntmc_wipe(body, len);
	free(body);
	return err;
}

void web_small_free(struct web_call *c)
{
	size_t i;

	for (i = 0; c->with && i < c->with->n; i++)
		if (c->with->calls[i] == c)
			c->with->calls[i] = NULL;
	for (i = 0; c->carries && i < c->carries->n; i++)
		if (c->carries->calls[i])
			c->carries->calls[i]->with = NULL;
	free(c->carries);
	if (!c->small)
		return;
	free(c->small);
}

/* --- answers
 * ----------------------------------------------------------------------------- */

/* Return: false: it was cancelled from within, and is gone */
static bool data_give(struct web_call *c, const char *text)
{
	size_t len = strlen(text) * 3 / 4;
	uint8_t *data = malloc(len + 1);

	if (!data || ntmc_base64url_decode(text, data, len)) {
		c->err = data ? -NTM_ECLOSED : -NTM_ENOMEM;
	} else {
		c->web->inside = true;
		c->err = c->write(c->arg, data, len);
		c->web->inside = false;
		c->moved += len;
	}
	free(data);
	if (c->dead)
		web_call_free(c);
	else
		return true;
	return false;
}

static void part_take(struct web_call *c, const json_t *part)
{
	const char *data = json_string_value(json_object_get(part, "data"));
	int64_t retry =
		json_integer_value(json_object_get(part, "retry_after"));
	struct web_answer a = {
		.status = (long)json_integer_value(
			json_object_get(part, "status")),
		.json = json_object_get(part, "json"),
		.retry_s = retry > 0 && retry < 86400 ? (unsigned int)retry : 0,
	};

	if (a.status == 413) {
		c->small->alone = c->small->ready = true;
		return;
	}
	if (a.status < 200 || (c->write && a.status == 200 && !data))
		a.err = -NTM_ECLOSED;
	else if (c->write && a.status == 200 && !data_give(c, data))
		return;
	if (c->err)
		a.err = c->err;
	web_call_end(c, &a);
}

/* @n: parts. An answer that has not one for each is none of a batch */
static bool is_refused(const struct web_answer *a, size_t n)
{
	if (a->err)
		return a->err == -NTM_ETOOBIG;
	if (a->status == 200)
		return json_array_size(json_object_get(a->json, "answers")) !=
		       n;
	return a->status >= 400 && a->status < 500 && a->status != 429;
}

static void batch_done(void *arg, const struct web_answer *a)
{
	const json_t *list = json_object_get(a->json, "answers");
	struct web_batch *b = arg;
	struct web_call *c;
	size_t i;

	/* a part's end may cancel any other */
	for (i = 0; i < b->n; i++) {
		c = b->calls[i];
		if (!c)
			continue;
		b->calls[i] = NULL;
		c->with = NULL;
		if (c->dead)
			web_call_free(c); /* by a part's write */
		else if (is_refused(a, b->n))
			c->small->alone = c->small->ready = true;
		else if (a->err || a->status != 200)
			web_call_end(c, a);
		else
			part_take(c, json_array_get(list, i));
	}
	free(b);
}

/* --- requests
 * --------------------------------------------------------------------------- */

static bool same_server(const struct web_server *a, const struct web_server *b)
{
	return a->n_addrs == b->n_addrs && a->tunnel == b->tunnel &&
	       !strcmp(a->name, b->name) && !strcmp(a->ca, b->ca) &&
	       (!a->n_addrs || addr_equal(&a->addrs[0], &b->addrs[0]));
}

static bool waits(const struct web_call *c, const struct web_server *s)
{
	return c->small && c->small->ready && !c->dead &&
	       same_server(&c->small->server, s);
}

/* How many are on the way, and have been for less than WAY_MS */
static unsigned int ways_taken(const struct web *w, const struct web_server *s)
{
	uint64_t now = loop_now(w->loop);
	const struct web_call *c;
	unsigned int n = 0;

	for (c = w->calls; c; c = c->next) {
		if (c->carries && same_server(&c->carries->server, s))
			n += now - c->carries->left_ns < LOOP_MS(WAY_MS);
		else if (c->small && c->small->left_ns &&
			 same_server(&c->small->server, s))
			n += now - c->small->left_ns < LOOP_MS(WAY_MS);
	}
	return n;
}

/* Those that wait for its server, as many as go; the oldest are at the list's end. */
static void gather(struct web *w, struct web_batch *b)
{
	size_t n = 0, size;
	struct web_call *c;

	for (c = w->calls; c; c = c->next)
		n += waits(c, &b->server) && !c->small->alone;
	for (c = w->calls; c; c = c->next) {
		if (!waits(c, &b->server) || c->small->alone)
			continue;
		size = c->body_len * 4 / 3 + OVERHEAD;
		if (n-- > CALLS || b->bytes + size > BODY)
			continue;
		b->bytes += size;
		b->calls[b->n++] = c;
	}
}

static bool is_around(const char *line)
{
	return !strncmp(line, "NTM-Version:", 12) ||
	       !strncmp(line, "NTM-Node:", 9);
}

/* --- the text of a batch: JSON, of what is JSON already ----------------------- */

/* What it has besides what stands around it: version and node are those of all */
static void headers_put(struct jsontext *t, const struct web_call *c,
			const char *token)
{
	const char *value, *comma = "";
	const struct curl_slist *l;
	char name[64];
	size_t n;

	jsontext_put(t, ",\"headers\":{");
	for (l = c->headers; l; l = l->next) {
		n = strcspn(l->data, ":");
		if (is_around(l->data) || !strcmp(l->data, token) ||
		    n >= sizeof(name) || !l->data[n])
			continue;
		memcpy(name, l->data, n);
		name[n] = '\0';
		value = l->data + n + 1;
		value += strspn(value, " ");
		jsontext_put(t, comma);
		jsontext_string(t, name);
		jsontext_put(t, ":");
		jsontext_string(t, value);
		comma = ",";
	}
	jsontext_put(t, "}");
}

static void part_put(struct jsontext *t, const struct web_call *c,
		     const char *token)
{
	const struct web_small *s = c->small;
	char data[NTMC_BASE64URL_LEN(WEB_TOGETHER_BYTES) + 4];

	jsontext_put(t, "{\"method\":");
	jsontext_string(t, s->method);
	jsontext_put(t, ",\"path\":");
	jsontext_string(t, s->path);
	headers_put(t, c, token);
	if (s->json) {
		jsontext_put(t, ",\"json\":");
		jsontext_put(t, c->body);
	} else if (c->body_len) {
		ntmc_base64url_encode((uint8_t *)c->body, c->body_len, data);
		jsontext_put(t, ",\"data\":\"");
		jsontext_put(t, data);
		jsontext_put(t, "\"");
	}
	jsontext_put(t, "}");
}

/* Return: malloc()ed; NULL: no memory */
static char *batch_text(const struct web_batch *b, const char *token)
{
	struct jsontext t = {.p = NULL};
	size_t i;

	jsontext_put(&t, "{\"requests\":[");
	for (i = 0; i < b->n; i++) {
		jsontext_put(&t, i ? "," : "");
		part_put(&t, b->calls[i], token);
	}
	jsontext_put(&t, "]}");
	return jsontext_take(&t);
}

/* Return: 0, or why it cannot be sent */
static int batch_send(struct web_batch *b)
{
	const char *headers[4] = {NULL}, *token = "";
	const struct curl_slist *l;
	struct web_request r = {.server = &b->server,
				.method = "POST",
				.path = PATH,
				.headers = headers,
				.connect_ms = b->calls[0]->small->connect_ms,
				.stall_s = b->calls[0]->small->stall_s,
				.unacked_ms = UNACKED_MS,
				.json_max = GOT_MAX,
				.done = batch_done,
				.arg = b};
	struct web_call *carrier;
	size_t i, n = 0;
	char *text;
	int err;

	for (l = b->calls[0]->headers; l && n < 3; l = l->next) {
		if (!strncmp(l->data, "Authorization:", 14))
			token = l->data;
		else if (!is_around(l->data))
			continue;
		headers[n++] = l->data;
	}
	text = batch_text(b, token);
	r.text = text;
	err = text ? web_start(b->web, &r, &carrier) : -NTM_ENOMEM;
	if (text)
		ntmc_wipe(text, strlen(text));
	free(text);
	if (err)
		return err;
	for (i = 0; i < b->n; i++) {
		b->calls[i]->with = b;
		b->calls[i]->small->ready = false;
	}
	b->left_ns = loop_now(b->web->loop);
	carrier->carries = b;
	(void)web_call_send(carrier);
	return 0;
}

/* @c leaves, with others or alone; the list of calls is another one then */
static void leave(struct web *w, struct web_call *c)
{
	struct web_answer a = {.err = 0};
	struct web_batch *b;

	if (!c->small->alone) {
		b = calloc(1, sizeof(*b));
		if (b) {
			b->web = w;
			b->server = c->small->server;
			gather(w, b);
			if (b->n > 1 && !batch_send(b))
				return;
			free(b);
		}
	}
	c->small->ready = false;
	c->small->left_ns = loop_now(w->loop);
	a.err = small_set(c);
	if (a.err)
		web_call_end(c, &a);
	else
		(void)web_call_send(c);
}

void web_together(struct web *w)
{
	struct web_call *c;
	bool left;

again:
	left = false;
	for (c = w->calls; c; c = c->next) {
		if (!c->small || !waits(c, &c->small->server))
			continue;
		if (ways_taken(w, &c->small->server) < WAYS) {
			leave(w, c);
			goto again;
		}
		left = true;
	}
	if (left && !loop_timer_armed(w->kick))
		loop_timer_arm(w->kick, LOOP_MS(WAY_MS));
}
