/* SPDX-License-Identifier: MIT */
/* http_site - a role that speaks HTTPS, with routes of every kind */
#include "http_site.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/file.h"
#include "servers/servercert.h"

struct site site;
struct http *http;
static struct servercert cert;
static struct servercert_pem pem;
struct addr at;
static char file_path[128];
struct http_request *waiting;
uint64_t streamed;
_Atomic unsigned int ended;
unsigned int connections;
bool is_removed;

static void echo_done(struct http_request *q, void *arg)
{
	const struct http_fields *f = http_fields(q);

	(void)arg;
	http_answer_json(q, 200,
			 json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s}",
				   "version", f->version, "node", f->node,
				   "application", f->application, "service",
				   f->service, "item", f->item, "message",
				   f->message, "to", (int)f->n_to, "last",
				   f->n_to ? f->to[f->n_to - 1] : ""));
}

static void json_done(struct http_request *q, void *arg)
{
	(void)arg;
	http_answer_json(q, 201, json_incref(http_json(q)));
}

static void param_done(struct http_request *q, void *arg)
{
	uint8_t id[16];

	(void)arg;
	if (http_param_bytes(q, 0, id, sizeof(id)))
		http_answer_err(q, -NTM_EDECODE);
	else
		http_answer_json(q, 200,
				 json_pack("{s:s, s:i}", "second",
					   http_param(q, 1), "first", id[0]));
}

static void stream_end(void *state)
{
	assert_ptr_equal(state, &streamed);
	ended++;
}

static bool streams_ended(void *arg)
{
	return ended == *(unsigned int *)arg;
}

/* an answer leaves before what it was made of is cleaned up */
void streams_end(unsigned int n)
{
	assert_true(site_wait(&site, streams_ended, &n));
}

static void stream_start(struct http_request *q, void *arg)
{
	(void)arg;
	streamed = 0;
	http_set_state(q, &streamed, stream_end);
	if (http_query(q, "refuse"))
		http_answer_error(q, 409, -NTM_ESTATE, "no", NULL);
}

static bool stream_body(struct http_request *q, void *arg, const uint8_t *data,
			size_t len)
{
	(void)arg;
	(void)data;
	streamed += len;
	if (!http_query(q, "fail") || streamed < 100000)
		return true;
	http_answer_err(q, -NTM_ESTORE);
	return false;
}

static void stream_done(struct http_request *q, void *arg)
{
	(void)arg;
	http_answer_json(q, 200,
			 json_pack("{s:I}", "came", (json_int_t)streamed));
}

static void later_done(struct http_request *q, void *arg)
{
	(void)arg;
	__atomic_store_n(&waiting, q, __ATOMIC_SEQ_CST);
}

static void file_done(struct http_request *q, void *arg)
{
	(void)arg;
	http_answer_file(q, open(file_path, O_RDONLY | O_CLOEXEC), FILE_LEN);
}

static void small_done(struct http_request *q, void *arg)
{
	(void)arg;
	http_answer_file(q, open(file_path, O_RDONLY | O_CLOEXEC), 3);
}

static void peer_done(struct http_request *q, void *arg)
{
	(void)arg;
	http_answer_json(q, 200,
			 json_pack("{s:s}", "peer", http_peer(q)->fqdn));
}

static void big_done(struct http_request *q, void *arg)
{
	char *text = malloc(HTTPS_GOT_MAX / 2);

	(void)arg;
	memset(text, 'x', HTTPS_GOT_MAX / 2);
	http_answer_json(q, 200,
			 json_pack("{s:s#}", "text", text, HTTPS_GOT_MAX / 2));
	free(text);
}

static bool refuses(void *arg, const struct ntmc_cert *peer)
{
	(void)arg;
	(void)peer;
	return is_removed;
}

static const struct http_route routes[] = {
	{.method = "GET",
	 .path = "/v1/echo",
	 .flags = HTTP_BATCH,
	 .done = echo_done},
	{.method = "GET", .path = "/v1/big", .done = big_done},
	{.method = "POST",
	 .path = "/v1/echo",
	 .flags = HTTP_NODE | HTTP_ITEM | HTTP_JSON | HTTP_BATCH,
	 .body_max = 1000,
	 .done = json_done},
	{.method = "POST",
	 .path = "/v1/batch",
	 .flags = HTTP_NODE | HTTP_JSON,
	 .body_max = HTTP_BATCH_BODY,
	 .done = http_batch},
	{.method = "GET",
	 .path = "/v1/small",
	 .flags = HTTP_BATCH,
	 .done = small_done},
	{.method = "GET", .path = "/v1/two/{}/of/{}", .done = param_done},
	{.method = "PATCH",
	 .path = "/v1/stream",
	 .flags = HTTP_BATCH,
	 .body_max = BIG,
	 .start = stream_start,
	 .body = stream_body,
	 .done = stream_done},
	{.method = "GET",
	 .path = "/v1/later",
	 .flags = HTTP_BATCH,
	 .done = later_done},
	{.method = "GET",
	 .path = "/v1/file",
	 .flags = HTTP_BATCH,
	 .done = file_done},
	{.method = "GET",
	 .path = "/v1/peer",
	 .roles = NTMC_ROLE_CS,
	 .done = peer_done},
};

void http_begin(unsigned int per_source, unsigned int header_s)
{
	int fd;
	struct http_conf c = {.loop = site.loop,
			      .name = "test",
			      .fds = &fd,
			      .n_fds = 1,
			      .key = pem.key,
			      .certificate = pem.certificate,
			      .ca = pem.ca,
			      .trust = cert.trust,
			      .domain = SITE_DOMAIN,
			      .refuses = refuses,
			      .connections = connections,
			      .routes = routes,
			      .n_routes = sizeof(routes) / sizeof(routes[0]),
			      .per_source = per_source,
			      .header_s = header_s,
			      .idle_s = header_s,
			      .stall_s = header_s};

	memset(&at, 0, sizeof(at));
	fd = site_listen(&at);
	assert_int_equal(http_new(&c, &http), 0);
}

int setup(void **state)
{
	char *data = malloc(FILE_LEN);

	(void)state;
	site_new(&site);
	assert_int_equal(servercert_load(site.dir, "box", &cert), 0);
	assert_int_equal(servercert_pem(site.dir, "box", &pem), 0);
	https_open(&site, "box", &at);
	for (size_t i = 0; i < FILE_LEN; i++)
		data[i] = (char)(i * 7 + i / 1000);
	snprintf(file_path, sizeof(file_path), "%s/file", site.dir);
	assert_int_equal(file_write(file_path, data, FILE_LEN, 0600), 0);
	free(data);
	http_begin(0, 0);
	return 0;
}

int teardown(void **state)
{
	(void)state;
	http_free(http);
	servercert_clear(&cert);
	servercert_pem_clear(&pem);
	site_free(&site);
	return 0;
}

bool is_waiting(void *arg)
{
	(void)arg;
	return __atomic_load_n(&waiting, __ATOMIC_SEQ_CST);
}
