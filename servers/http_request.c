/* SPDX-License-Identifier: MIT */
/* http_request - one request: route, body, what was asked */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/http_impl.h"

#define BODY_FIRST 4096

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
	http_proven(q);
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

int http_number(const char *text, uint64_t *out)
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
	return http_number(http_query(q, name), out);
}

int http_header_number(const struct http_request *q, const char *name,
		       uint64_t *out)
{
	return http_number(http_header(q, name), out);
}

uint64_t http_body_length(const struct http_request *q)
{
	uint64_t n;
	int r;

	if (q->batch)
		return q->part_len;
	r = http_number(http_header(q, "Content-Length"), &n);
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

void http_proven(struct http_request *q)
{
	http_conn_proven(q->http, q->conn);
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
