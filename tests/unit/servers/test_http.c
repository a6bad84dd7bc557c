/* SPDX-License-Identifier: MIT */
/* test_http - the HTTPS framework: trust, fields, bodies, answers later, limits */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "servers/http_impl.h"
#include "servers/servercert.h"
#include "https.h"
#include "peer.h"

#define TOKEN	 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define BIG	 (24u << 20)
#define FILE_LEN 300000

static struct site site;
static struct http *http;
static struct servercert cert;
static struct servercert_pem pem;
static struct addr at;
static char file_path[128];
static struct http_request *waiting;
static uint64_t streamed;
static _Atomic unsigned int ended;
static unsigned int connections;
static bool is_removed;

/* --- the role under test ---------------------------------------------------------- */

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
static void streams_end(unsigned int n)
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

static void http_begin(unsigned int per_source, unsigned int header_s)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
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

	assert_int_equal(addr_parse("127.0.0.1:0", 0, &at), 0);
	assert_int_equal(bind(fd, &at.sa, addr_len(&at)), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, len, &at),
			 0);
	assert_int_equal(http_new(&c, &http), 0);
}

static int setup(void **state)
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

static int teardown(void **state)
{
	(void)state;
	http_free(http);
	servercert_clear(&cert);
	servercert_pem_clear(&pem);
	site_free(&site);
	return 0;
}

/* --- tests ------------------------------------------------------------------------------ */

/* the domain's CA is all that the client trusts; the name must be right */
static void trusted(void **state)
{
	struct https_ask a = {.method = "GET", .path = "/v1/echo"},
			 b = {.method = "GET",
			      .path = "/v1/echo",
			      .name = "cs." SITE_DOMAIN};
	json_t *j;

	(void)state;
	assert_int_equal(ask(&a), 200);
	j = answer_of(&a);
	assert_string_equal(json_string_value(json_object_get(j, "version")),
			    "test 1");
	json_decref(j);
	assert_int_equal(ask(&b), -CURLE_PEER_FAILED_VERIFICATION);
	free(b.got);
}

static void fields(void **state)
{
	struct https_ask a = {.method = "GET",
			      .path = "/v1/echo",
			      .headers = {"NTM-Node: Laptop.alice.example.org",
					  "NTM-To: desk.bob.example.org, "
					  "phone.carol.example.net",
					  "NTM-Application: ntm",
					  "NTM-Service: file",
					  "NTM-Item: a.b_c-1",
					  "NTM-Message: gr%C3%BC%c3%9fe"}};
	json_t *j;

	(void)state;
	assert_int_equal(ask(&a), 200);
	j = answer_of(&a);
#define IS(key, text)                                                          \
	assert_string_equal(json_string_value(json_object_get(j, key)), text)
	IS("node", "laptop.alice.example.org");
	IS("application", "ntm");
	IS("service", "file");
	IS("item", "a.b_c-1");
	IS("message", "gr\xc3\xbc\xc3\x9f"
		      "e");
	IS("last", "phone.carol.example.net");
#undef IS
	assert_int_equal(json_integer_value(json_object_get(j, "to")), 2);
	json_decref(j);
}

static void bad_fields(void **state)
{
	static const struct {
		const char *header;
		long status;
		const char *error;
	} rows[] = {
		{"NTM-Node: a..b", 400, "INVAL"},
		{"NTM-Item: a/b", 400, "INVAL"},
		{"NTM-Application: "
		 "1234567890123456789012345678901234567890123456789012345678901"
		 "2"
		 "345",
		 400, "INVAL"},
		{"NTM-Message: %ff", 400, "INVAL"},
		{"NTM-Message: %0", 400, "INVAL"},
		{"NTM-Message: a%0Ab", 400, "INVAL"},
		{"NTM-Message: %00", 400, "INVAL"},
		{"NTM-To: a.b.example.org,", 400, "INVAL"},
		{"NTM-To: a.b.example.org, a.b.example.org", 400, "INVAL"},
		{"NTM-To: a.b.example.org b.c.example.org", 400, "INVAL"},
		{"Authorization: Basic abc", 401, "AUTH"},
		{"Authorization: Bearer " TOKEN "A", 401, "AUTH"},
		{"Authorization: Bearer "
		 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
		 401, "AUTH"},
	};
	struct https_ask none = {
		.method = "GET", .path = "/v1/echo", .no_version = true};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct https_ask a = {.method = "GET",
				      .path = "/v1/echo",
				      .headers = {rows[i].header}};

		expect_error(&a, rows[i].status, rows[i].error);
	}
	expect_error(&none, 400, "INVAL");
}

static void needs(void **state)
{
	struct https_ask anonymous = {
		.method = "POST", .path = "/v1/echo", .body = "{}"};
	struct https_ask no_item = {
		.method = "POST",
		.path = "/v1/echo",
		.headers = {"Authorization: Bearer " TOKEN,
			    "NTM-Node: laptop.alice.example.org"},
		.body = "{}"};
	struct https_ask whole = no_item, list = no_item, big = no_item,
			 none = {.method = "GET", .path = "/v1/nothing"},
			 other = {.method = "DELETE", .path = "/v1/echo"},
			 one = {.method = "GET",
				.path = "/v1/two/AAECAwQFBgcICQoLDA0ODw/of/x"},
			 short_id = {
				 .method = "GET",
				 .path = "/v1/two/AAECAwQFBgcICQoLDA0OD/of/x"};
	char text[1200];
	json_t *j;

	(void)state;
	whole.headers[2] = "NTM-To: desk.bob.example.org";
	whole.headers[3] = "NTM-Application: ntm";
	whole.headers[4] = "NTM-Service: file";
	whole.headers[5] = "NTM-Item: x";
	list = big = whole;
	list.body = "[1]";
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	big.body = text;
	expect_error(&anonymous, 401, "AUTH");
	expect_error(&no_item, 400, "INVAL");
	whole.body = "{\"a\": 1}";
	assert_int_equal(ask(&whole), 201);
	j = answer_of(&whole);
	assert_int_equal(json_integer_value(json_object_get(j, "a")), 1);
	json_decref(j);
	expect_error(&list, 400, "DECODE");
	expect_error(&big, 413, "TOOBIG");
	expect_error(&none, 404, "NOTFOUND");
	expect_error(&other, 405, "INVAL");
	assert_int_equal(ask(&one), 200);
	j = answer_of(&one);
	assert_string_equal(json_string_value(json_object_get(j, "second")),
			    "x");
	json_decref(j);
	expect_error(&short_id, 400, "DECODE");
}

static void peer_is_server(void **state)
{
	struct https_ask with = {.method = "GET",
				 .path = "/v1/peer",
				 .with_cert = true},
			 without = {.method = "GET", .path = "/v1/peer"};
	json_t *j;

	(void)state;
	assert_int_equal(ask(&with), 200);
	j = answer_of(&with);
	assert_string_equal(json_string_value(json_object_get(j, "peer")),
			    "cs." SITE_DOMAIN);
	json_decref(j);
	expect_error(&without, 403, "PERM");
	/* one that the administrator removed */
	is_removed = true;
	with = (struct https_ask){
		.method = "GET", .path = "/v1/peer", .with_cert = true};
	expect_error(&with, 403, "PERM");
	is_removed = false;
}

static void streams(void **state)
{
	struct https_ask a = {.method = "PATCH",
			      .path = "/v1/stream",
			      .body_len = BIG},
			 over = {.method = "PATCH",
				 .path = "/v1/stream",
				 .body_len = BIG + 1,
				 .expect = true},
			 refused = {.method = "PATCH",
				    .path = "/v1/stream?refuse=1",
				    .body_len = 100000},
			 failed = {.method = "PATCH",
				   .path = "/v1/stream?fail=1",
				   .body_len = 1000000};
	unsigned int before = ended;
	json_t *j;

	(void)state;
	assert_int_equal(ask(&a), 200);
	j = answer_of(&a);
	assert_int_equal(json_integer_value(json_object_get(j, "came")), BIG);
	json_decref(j);
	expect_error(&over, 413, "TOOBIG");
	expect_error(&refused, 409, "STATE");
	expect_error(&failed, 507, "STORE");
	streams_end(before + 3);
}

static bool is_waiting(void *arg)
{
	(void)arg;
	return __atomic_load_n(&waiting, __ATOMIC_SEQ_CST);
}

static void later(void **state)
{
	struct https_ask a = {.method = "GET", .path = "/v1/later"};
	pthread_t thread = begin_ask(&a);

	(void)state;
	assert_true(site_wait(&site, is_waiting, NULL));
	assert_false(a.over);
	http_answer_later(waiting, -NTM_ERATE, 7, "slowly");
	waiting = NULL;
	end_ask(&a, thread);
	assert_int_equal(a.status, 429);
	free(a.got);
}

/* --- several in one ----------------------------------------------------------------- */

#define BATCH(requests)                                                        \
	{                                                                      \
		.method = "POST", .path = "/v1/batch",                         \
		.headers = {"Authorization: Bearer " TOKEN,                    \
			    "NTM-Node: laptop.alice.example.org"},             \
		.body = "{\"requests\": [" requests "]}"                       \
	}

static json_t *part(json_t *j, size_t i, int status)
{
	json_t *a = json_array_get(json_object_get(j, "answers"), i);

	if (json_integer_value(json_object_get(a, "status")) != status)
		fail_msg("answer %zu is %s", i, json_dumps(a, 0));
	return a;
}

static void part_is(json_t *j, size_t i, int status, const char *key,
		    const char *text)
{
	json_t *body = json_object_get(part(j, i, status), "json");

	assert_string_equal(json_string_value(json_object_get(body, key)),
			    text);
}

/* Each as if it came alone; the fields are its own, or those around it. */
static void batch(void **state)
{
	struct https_ask a = BATCH(
		"{\"method\": \"GET\", \"path\": \"/v1/echo\"},"
		"{\"method\": \"GET\", \"path\": \"/v1/echo\", \"headers\":"
		" {\"NTM-Node\": \"desk.bob.example.org\"}},"
		"{\"method\": \"POST\", \"path\": \"/v1/echo\", \"json\":"
		" {\"a\": \"b\"}, \"headers\": {\"NTM-Item\": \"x\","
		" \"NTM-To\": \"desk.bob.example.org\","
		" \"NTM-Application\": \"ntm\", \"NTM-Service\": \"file\"}},"
		"{\"method\": \"POST\", \"path\": \"/v1/echo\", \"json\": {}},"
		"{\"method\": \"PATCH\", \"path\": \"/v1/stream\","
		" \"data\": \"AAECAw\"},"
		"{\"method\": \"GET\", \"path\": \"/v1/small\"}");
	json_t *j;
	unsigned int before = ended;

	(void)state;
	assert_int_equal(ask(&a), 200);
	j = answer_of(&a);
	part_is(j, 0, 200, "node", "laptop.alice.example.org");
	part_is(j, 1, 200, "node", "desk.bob.example.org");
	part_is(j, 2, 201, "a", "b");
	part_is(j, 3, 400, "error", "INVAL");
	assert_int_equal(
		json_integer_value(json_object_get(
			json_object_get(part(j, 4, 200), "json"), "came")),
		4);
	/* bytes 0, 7, 14 */
	assert_string_equal(
		json_string_value(json_object_get(part(j, 5, 200), "data")),
		"AAcO");
	assert_int_equal(json_array_size(json_object_get(j, "answers")), 6);
	json_decref(j);
	streams_end(before + 1);
}

/* What is no request, what is not for a batch, and what is too much */
static void batch_refused(void **state)
{
	struct https_ask
		a = BATCH("{\"method\": \"GET\", \"path\": \"/v1/big\"}, 7, {},"
			  "{\"method\": \"GET\", \"path\": \"/v1/file\"},"
			  "{\"method\": \"GET\", \"path\": \"/v1/none\"},"
			  "{\"method\": \"POST\", \"path\": \"/v1/batch\","
			  " \"json\": {\"requests\": []}},"
			  "{\"method\": \"PATCH\", \"path\": \"/v1/stream\","
			  " \"data\": \"A*\"}"),
		none = BATCH("");
	char many[65 * 2 + 32] = "{\"requests\": [1";
	struct https_ask over = none;
	json_t *j;

	(void)state;
	assert_int_equal(ask(&a), 200);
	j = answer_of(&a);
	part_is(j, 0, 400, "error", "INVAL");
	part_is(j, 1, 400, "error", "DECODE");
	part_is(j, 2, 400, "error", "DECODE");
	part_is(j, 3, 413, "error", "TOOBIG");
	part_is(j, 4, 404, "error", "NOTFOUND");
	part_is(j, 5, 400, "error", "INVAL");
	part_is(j, 6, 400, "error", "DECODE");
	json_decref(j);
	expect_error(&none, 400, "INVAL");
	for (size_t i = 0; i < HTTP_BATCH_MAX; i++)
		strcat(many, ",1");
	strcat(many, "]}");
	over.body = many;
	expect_error(&over, 400, "INVAL");
}

/* One is answered later, by another thread: the others wait for it. */
static void batch_later(void **state)
{
	struct https_ask a =
		BATCH("{\"method\": \"GET\", \"path\": \"/v1/later\"},"
		      "{\"method\": \"GET\", \"path\": \"/v1/echo\"}");
	pthread_t thread = begin_ask(&a);
	json_t *j;

	(void)state;
	assert_true(site_wait(&site, is_waiting, NULL));
	assert_false(a.over);
	http_answer_later(waiting, -NTM_ERATE, 7, "slowly");
	waiting = NULL;
	end_ask(&a, thread);
	assert_int_equal(a.status, 200);
	j = answer_of(&a);
	part_is(j, 0, 429, "error", "RATE");
	assert_int_equal(json_integer_value(json_object_get(part(j, 0, 429),
							    "retry_after")),
			 7);
	part_is(j, 1, 200, "node", "laptop.alice.example.org");
	json_decref(j);
}

static void expect_file(const char *range, long status, size_t from, size_t len)
{
	struct https_ask a = {.method = "GET", .path = "/v1/file"};
	char line[64];

	snprintf(line, sizeof(line), "Range: %s", range ? range : "");
	if (range)
		a.headers[0] = line;
	assert_int_equal(ask(&a), status);
	assert_int_equal(a.got_len, len);
	for (size_t i = 0; i < len; i++)
		if (a.got[i] != (char)((from + i) * 7 + (from + i) / 1000))
			fail_msg("byte %zu of %s", i, line);
	free(a.got);
}

static void files(void **state)
{
	struct https_ask head = {.method = "HEAD", .path = "/v1/file"},
			 behind = {.method = "GET",
				   .path = "/v1/file",
				   .headers = {"Range: bytes=300000-"}},
			 big = {.method = "GET", .path = "/v1/big"};

	(void)state;
	expect_file(NULL, 200, 0, FILE_LEN);
	expect_file("bytes=0-0", 206, 0, 1);
	expect_file("bytes=299999-", 206, FILE_LEN - 1, 1);
	expect_file("bytes=1000-200999", 206, 1000, 200000);
	expect_file("bytes=1000-9000000", 206, 1000, FILE_LEN - 1000);
	expect_file("bytes=-10", 206, FILE_LEN - 10, 10);
	expect_file("bytes=5-4", 200, 0, FILE_LEN);
	expect_file("bytes=0-1,4-5", 200, 0, FILE_LEN);
	expect_error(&behind, 416, "INVAL");
	assert_int_equal(ask(&head), 200);
	assert_int_equal(head.got_len, 0);
	free(head.got);
	assert_int_equal(ask(&big), 200);
	assert_int_equal(big.got_len, HTTPS_GOT_MAX / 2 + 11);
	free(big.got);
}

/* --- limits ---------------------------------------------------------------------------------- */

static int raw_connect(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, &at.sa, addr_len(&at)), 0);
	return fd;
}

static bool has_ended(void *arg)
{
	char c;

	return recv(*(int *)arg, &c, 1, MSG_DONTWAIT) == 0;
}

/* Strangers that have all places of a source keep nobody of it out. */
static void too_many(void **state)
{
	struct https_ask a = {.method = "GET", .path = "/v1/echo"};
	int fds[4];
	struct http_stats st;

	(void)state;
	http_free(http);
	http_begin(4, 0);
	for (size_t i = 0; i < 4; i++)
		fds[i] = raw_connect();
	/* not one that has yet to begin, nor for ever */
	while (ask(&a) != 200) {
		a.over = false;
		a.got_len = 0;
		free(a.got);
	}
	free(a.got);
	assert_true(site_wait(&site, has_ended, &fds[0]));
	assert_false(has_ended(&fds[3]));
	http_status(http, &st);
	assert_in_range(st.evicted, 1, 3);
	assert_int_equal(st.refused_total, 0);
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
}

/* a byte now and then holds nothing */
static void loris(void **state)
{
	struct http_stats st;
	int fd;

	(void)state;
	http_free(http);
	http_begin(0, 1);
	fd = raw_connect();
	assert_true(site_wait(&site, has_ended, &fd));
	http_status(http, &st);
	assert_int_equal(st.slow, 1);
	close(fd);
}

/* When they are nearly all taken, those that say nothing go soon. */
static void crowded(void **state)
{
	uint64_t began = loop_now_exact(site.loop);
	int fds[7];

	(void)state;
	http_free(http);
	connections = 8;
	http_begin(0, 0);
	for (size_t i = 0; i < 7; i++)
		fds[i] = raw_connect();
	for (size_t i = 0; i < 7; i++)
		assert_true(site_wait(&site, has_ended, &fds[i]));
	assert_true(loop_now_exact(site.loop) - began <
		    LOOP_S(HTTP_HEADER_S - 2));
	for (size_t i = 0; i < 7; i++)
		close(fds[i]);
	connections = 0;
	http_free(http);
	http_begin(0, 0);
}

static bool nothing_held(void *arg)
{
	struct http_stats st;

	(void)arg;
	http_status(http, &st);
	return !st.held;
}

/* Long answers that nobody takes have an end, and one source's leave room for others. */
static void held(void **state)
{
	const uint8_t here[HTTP_SOURCE_LEN] = {127, 0, 0, 1, [15] = 4};
	uint8_t other[HTTP_SOURCE_LEN] = {0};
	struct https_ask a = {.method = "GET", .path = "/v1/big"}, b = a,
			 c = {.method = "GET", .path = "/v1/echo"};

	(void)state;
	assert_true(http_hold(http, here, HTTP_HELD_MAX / 4));
	assert_false(http_hold(http, here, 1));
	expect_error(&a, 429, "LIMIT");
	assert_int_equal(ask(&c), 200);
	free(c.got);
	http_let_go(http, here, HTTP_HELD_MAX / 4);
	for (other[0] = 0; other[0] < 4; other[0]++)
		assert_true(http_hold(http, other, HTTP_HELD_MAX / 4));
	assert_false(http_hold(http, here, 1));
	for (other[0] = 0; other[0] < 4; other[0]++)
		http_let_go(http, other, HTTP_HELD_MAX / 4);
	assert_int_equal(ask(&b), 200);
	free(b.got);
	assert_true(site_wait(&site, nothing_held, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trusted),
		cmocka_unit_test(fields),
		cmocka_unit_test(bad_fields),
		cmocka_unit_test(needs),
		cmocka_unit_test(peer_is_server),
		cmocka_unit_test(streams),
		cmocka_unit_test(later),
		cmocka_unit_test(files),
		cmocka_unit_test(batch),
		cmocka_unit_test(batch_refused),
		cmocka_unit_test(batch_later),
		cmocka_unit_test(held),
		cmocka_unit_test(crowded),
		cmocka_unit_test(too_many),
		cmocka_unit_test(loris),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
