/* SPDX-License-Identifier: MIT */
/* http_request - one request: route, body, answer */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/http_impl.h"

#define BODY_FIRST 4096
#define BLOCK	   (128 << 10) /* read of a file at once */
#define LATER_S	   5

/* --- life ------------------------------------------------------------------------ */

struct http_request *http_request_new(struct http *h,
				      const struct http_conf *conf,
				      struct http_conn *c,
				      struct MHD_Connection *mhd)
{
	struct http_request *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->http = h;
	q->conf = conf;
	q->conn = c;
	q->mhd = mhd;
	pthread_mutex_init(&q->lock, NULL);
	return q;
}

void http_request_free(struct http_request *q)
{
	if (!q)
		return;
	if (q->end)
		q->end(q->state);
	if (q->response)
		MHD_destroy_response(q->response);
	for (size_t i = 0; i < q->n_extra; i++) {
		free(q->extra[i].name);
		free(q->extra[i].value);
	}
	pthread_mutex_destroy(&q->lock);
	http_fields_clear(&q->fields);
	json_decref(q->json);
	free(q->body);
	free(q->path);
	free(q);
}

/* --- route ------------------------------------------------------------------------- */

/* Does @path, whose parts are cut in place by NULs, go with @pattern? */
static bool path_matches(const char *pattern, char *path, const char **params)
{
	size_t n = 0;

	for (;;) {
		size_t want, len;

		if (*pattern != '/' || *path != '/')
			return !*pattern && !*path;
		want = strcspn(pattern + 1, "/");
		len = strcspn(path + 1, "/");
		if (want == 2 && !memcmp(pattern + 1, "{}", 2)) {
			if (!len || n == HTTP_PARAMS_MAX)
				return false;
			params[n++] = path + 1;
		} else if (want != len || memcmp(pattern + 1, path + 1, len)) {
			return false;
		}
		pattern += 1 + want;
		path += 1 + len;
	}
}

static void cut_params(struct http_request *q)
{
	for (size_t i = 0; i < HTTP_PARAMS_MAX && q->params[i]; i++) {
		char *p = q->path + (q->params[i] - q->path);

		p[strcspn(p, "/")] = '\0';
	}
}

/* Return: 0, 404, 405 */
static unsigned int find_route(struct http_request *q, const char *method)
{
	unsigned int status = 404;

	if (!strcmp(method, "HEAD"))
		method = "GET";
	for (size_t i = 0; i < q->conf->n_routes; i++) {
		const struct http_route *r = &q->conf->routes[i];
		const char *params[HTTP_PARAMS_MAX] = {NULL};

		if (!path_matches(r->path, q->path, params))
			continue;
		status = 405;
		if (strcmp(r->method, method))
			continue;
		memcpy(q->params, params, sizeof(params));
		cut_params(q);
		q->route = r;
		return 0;
	}
	return status;
}

/* a connection may last longer than a certificate, or than what it stands for */
static bool is_known(struct http_conn *c)
{
	if (c->peer && http_now_s() - c->peer_at >= HTTP_PEER_S) {
		free(c->peer);
		c->peer = NULL;
	}
	return c->peer;
}

/* the server that is at the other end */
static int find_peer(struct http_request *q)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		q->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	const gnutls_datum_t *chain;
	struct ntmc_cert *c;
	unsigned int n = 0;
	int r;

	if (is_known(q->conn))
		return 0;
	if (!info || !info->tls_session || !q->conf->trust)
		return -NTM_EPERM;
	chain = gnutls_certificate_get_peers(info->tls_session, &n);
	if (!chain || !n)
		return -NTM_EPERM;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -NTM_ENOMEM;
	r = ntmc_trust_verify(q->conf->trust, chain[0].data, chain[0].size,
			      ntmc_now(NULL), c);
	if (!r && (c->kind != NTMC_CERT_SERVER ||
		   !fqdn_is_within(c->fqdn, q->conf->domain) ||
		   (q->conf->refuses && q->conf->refuses(q->conf->arg, c))))
		r = -NTM_EPERM;
	if (r) {
		free(c);
		return r;
	}
	q->conn->peer = c;
	q->conn->peer_at = http_now_s();
	return 0;
}

/* Return: false: answered */
static bool check_needs(struct http_request *q)
{
	const struct http_route *r = q->route;
	const struct http_fields *f = &q->fields;
	uint64_t length = http_body_length(q);

	if (q->batch && !(r->flags & HTTP_BATCH)) {
		http_answer_error(q, 400, -NTM_EINVAL,
				  "this is asked alone, not in a batch", NULL);
		return false;
	}
	if (r->roles && (find_peer(q) || !(q->conn->peer->roles & r->roles))) {
		http_answer_error(q, 403, -NTM_EPERM,
				  "only a server of the domain may ask this",
				  NULL);
		return false;
	}
	if ((r->flags & HTTP_NODE) && (!f->has_token || !f->node[0])) {
		http_answer_error(q, 401, -NTM_EAUTH,
				  "Authorization and NTM-Node are needed here",
				  NULL);
		return false;
	}
	if ((r->flags & HTTP_ITEM) &&
	    (!f->n_to || !f->application[0] || !f->service[0] || !f->item[0])) {
		http_answer_error(q, 400, -NTM_EINVAL,
				  "NTM-To, NTM-Application, NTM-Service and "
				  "NTM-Item are needed here",
				  NULL);
		return false;
	}
	if (length != UINT64_MAX && length > r->body_max) {
		http_answer_err(q, -NTM_ETOOBIG);
		return false;
	}
	return true;
}

void http_request_begin(struct http_request *q, const char *method,
			const char *url)
{
	const char *what;
	unsigned int status;
	int r;

	q->path = strdup(url);
	status = q->path ? find_route(q, method) : 500;
	if (status) {
		http_answer_error(q, status,
				  status == 405 ? -NTM_EINVAL : -NTM_ENOTFOUND,
				  status == 405 ? "not by this method"
						: "there is nothing here",
				  NULL);
		return;
	}
	r = http_fields_read(q, &q->fields, &what);
	if (r) {
		http_answer_error(q, r == -NTM_EAUTH ? 401 : 400, r, what,
				  NULL);
		return;
	}
	if (check_needs(q) && q->route->start)
		q->route->start(q, q->conf->arg);
}

/* --- body ---------------------------------------------------------------------------- */

static int collect(struct http_request *q, const uint8_t *data, size_t len)
{
	if (q->body_len + len + 1 > q->body_room) {
		size_t room = q->body_room ? 2 * q->body_room : BODY_FIRST;
		uint8_t *more;

		while (room < q->body_len + len + 1)
			room *= 2;
		more = realloc(q->body, room);
		if (!more)
			return -NTM_ENOMEM;
		q->body = more;
		q->body_room = room;
	}
	memcpy(q->body + q->body_len, data, len);
	q->body_len += len;
	q->body[q->body_len] = '\0';
	return 0;
}

bool http_request_body(struct http_request *q, const uint8_t *data, size_t len)
{
	int r;

	atomic_fetch_add_explicit(&q->conn->moved, len, memory_order_relaxed);
	if (q->status) {
		/* said when it has come; not when it would take too long */
		q->swallowed += len;
		return q->swallowed <= HTTP_SWALLOW_MAX;
	}
	q->came += len;
	if (q->came > q->route->body_max) {
		http_answer_err(q, -NTM_ETOOBIG);
		return true;
	}
	if (q->route->body) {
		if (!q->route->body(q, q->conf->arg, data, len) && !q->status)
			http_answer_err(q, -NTM_ESERVER);
		return true;
	}
	r = collect(q, data, len);
	if (r)
		http_answer_err(q, r);
	return true;
}

void http_request_handle(struct http_request *q)
{
	q->handled = true;
	if (q->status)
		return;
	if (q->route->flags & HTTP_JSON) {
		if (!q->batch)
			q->json = json_loadb((char *)q->body, q->body_len,
					     JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(q->json)) {
			http_answer_error(q, 400, -NTM_EDECODE,
					  "the body is not one JSON object",
					  NULL);
			return;
		}
	}
	http_phase_set(q->conn, HTTP_WORKING);
	q->route->done(q, q->conf->arg);
}

/* --- what was asked ------------------------------------------------------------------- */

const struct http_fields *http_fields(const struct http_request *q)
{
	return &q->fields;
}

const char *http_param(const struct http_request *q, size_t i)
{
	return q->params[i];
}

int http_param_bytes(const struct http_request *q, size_t i, uint8_t *out,
		     size_t len)
{
	return ntmc_base64url_decode(q->params[i], out, len);
}

const char *http_query(const struct http_request *q, const char *name)
{
	if (q->batch)
		return NULL;
	return MHD_lookup_connection_value(q->mhd, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(const struct http_request *q, const char *name)
{
	if (q->batch)
		return http_batch_header(q, name);
	return MHD_lookup_connection_value(q->mhd, MHD_HEADER_KIND, name);
}

static int number(const char *text, uint64_t *out)
{
	char *end;

	if (!text)
		return -NTM_ENOTFOUND;
	if (!*text || strspn(text, "0123456789") != strlen(text))
		return -NTM_EDECODE;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno || *out > INT64_MAX ? -NTM_EDECODE : 0;
}

int http_query_number(const struct http_request *q, const char *name,
		      uint64_t *out)
{
	return number(http_query(q, name), out);
}

int http_header_number(const struct http_request *q, const char *name,
		       uint64_t *out)
{
	return number(http_header(q, name), out);
}

uint64_t http_body_length(const struct http_request *q)
{
	uint64_t n;
	int r;

	if (q->batch)
		return q->part_len;
	r = number(http_header(q, "Content-Length"), &n);
	if (!r)
		return n;
	return http_header(q, "Transfer-Encoding") ? UINT64_MAX : 0;
}

json_t *http_json(const struct http_request *q)
{
	return q->json;
}

const uint8_t *http_body(const struct http_request *q, size_t *len)
{
	*len = q->body_len;
	return q->body;
}

const struct ntmc_cert *http_peer(const struct http_request *q)
{
	return q->route && q->route->roles ? q->conn->peer : NULL;
}

const uint8_t *http_source(const struct http_request *q)
{
	return q->conn->source;
}

void http_set_state(struct http_request *q, void *state, void (*end)(void *))
{
	q->state = state;
	q->end = end;
}

void *http_state(const struct http_request *q)
{
	return q->state;
}

/* --- what is answered ------------------------------------------------------------------ */

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

/* --- files ------------------------------------------------------------------------------- */

struct part {
	struct http_conn *conn;
	int fd;
	uint64_t from;
};

static ssize_t part_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct part *p = arg;
	ssize_t n = pread(p->fd, buf, max, (off_t)(p->from + pos));

	if (n <= 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	atomic_fetch_add_explicit(&p->conn->moved, (uint64_t)n,
				  memory_order_relaxed);
	return n;
}

static void part_free(void *arg)
{
	struct part *p = arg;

	close(p->fd);
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
	if ((*first && number(first, &a)) || (*last && number(last, &b)) ||
	    (!*first && !*last) || (*first && *last && a > b))
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

void http_answer_file(struct http_request *q, int fd, uint64_t size)
{
	uint64_t from = 0, end = size;
	bool ranged =
		size && parse_range(http_header(q, "Range"), size, &from, &end);
	struct MHD_Response *r = NULL;
	struct part *p;
	char text[80];

	if (q->batch) {
		http_batch_file(q, fd, size);
		return;
	}
	if (ranged && from >= size) {
		close(fd);
		snprintf(text, sizeof(text), "bytes */%llu",
			 (unsigned long long)size);
		http_answer_header(q, "Content-Range", text);
		http_answer_error(q, 416, -NTM_EINVAL,
				  "the range begins behind the end", NULL);
		return;
	}
	p = malloc(sizeof(*p));
	if (p) {
		*p = (struct part){q->conn, fd, from};
		r = MHD_create_response_from_callback(end - from, BLOCK,
						      part_read, p, part_free);
	}
	if (!r) {
		free(p);
		close(fd);
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
