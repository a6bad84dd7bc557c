/* SPDX-License-Identifier: MIT */
/* cs_site - a Cache Server beside an AS, with a played box, and who asks it */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cs_site.h"
#include "libntmcrypto/blobsum.h"

struct site site;
struct peer alice, bob;
static struct role_env env;
struct cs *cs;
static struct addr cs_addr, box_addr;
struct http *box;
static struct servercert box_cert;
static struct servercert_pem box_pem;
uint8_t data[SIZE + 1], hash[32];
char hash_text[48];

/* --- the box ------------------------------------------------------------------------ */

static pthread_mutex_t box_lock = PTHREAD_MUTEX_INITIALIZER;
static json_t *exchanges; /* what came */
int box_code;
unsigned int n_registered, n_batches, n_with_blob;
bool box_older;
static const char *sick_item; /* what is said of its keys ends so */
static int sick_err;
static unsigned int n_odd;
/* those of items of this name are answered when it is NULL again */
static const char *silent;
static struct http_request *held[64];
static unsigned int n_held;

static bool is_text(const struct http_request *q, const char *key,
		    const char *text)
{
	return !strcmp(json_string_value(json_object_get(http_json(q), key)),
		       text);
}

static bool is_held(struct http_request *q)
{
	const char *item =
		json_string_value(json_object_get(http_json(q), "item"));

	if (!silent || strncmp(item, silent, strlen(silent)) ||
	    n_held == sizeof(held) / sizeof(held[0]))
		return false;
	held[n_held++] = q;
	return true;
}

/* with its keys: as if it had come by itself */
static void blob_came(json_t *o)
{
	const json_t *blob = json_object_get(o, "blob");
	json_t *as_data = json_copy(o);

	json_object_update(as_data, (json_t *)blob);
	json_object_set_new(as_data, "kind", json_string("data"));
	json_array_append_new(exchanges, as_data);
	n_with_blob++;
}

static void on_exchange(struct http_request *q, void *arg)
{
	json_t *results = json_array(), *entry;
	bool whole = json_object_get(http_json(q), "blob") && !box_older;
	size_t i;

	(void)arg;
	pthread_mutex_lock(&box_lock);
	if (is_held(q)) {
		pthread_mutex_unlock(&box_lock);
		json_decref(results);
		return;
	}
	if (sick_item && is_text(q, "item", sick_item) &&
	    is_text(q, "kind", "key")) {
		pthread_mutex_unlock(&box_lock);
		json_decref(results);
		http_answer_err(q, sick_err);
		return;
	}
	json_array_append(exchanges, http_json(q));
	if (whole)
		blob_came(http_json(q));
	json_array_foreach(json_object_get(http_json(q), "to"), i, entry)
		json_array_append_new(results,
				      json_pack("{s:O, s:i}", "to",
						json_object_get(entry, "name"),
						"code", box_code));
	pthread_mutex_unlock(&box_lock);
	http_answer_json(
		q, 200,
		json_pack("{s:o, s:b}", "results", results, "blob", whole));
}

static void on_exchanges(struct http_request *q, void *arg)
{
	bool odd;

	__atomic_fetch_add(&n_batches, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&box_lock);
	odd = n_odd;
	n_odd -= odd;
	pthread_mutex_unlock(&box_lock);
	if (odd)
		http_answer_json(q, 200, json_pack("{s:[]}", "answers"));
	else
		http_batch(q, arg);
}

static void on_server(struct http_request *q, void *arg)
{
	(void)arg;
	__atomic_fetch_add(&n_registered, 1, __ATOMIC_SEQ_CST);
	http_answer_json(q, 200, json_object());
}

static const struct http_route box_routes[] = {
	{.method = "POST",
	 .path = "/v1/exchange",
	 .flags = HTTP_JSON | HTTP_BATCH,
	 .roles = NTMC_ROLE_CS,
	 .body_max = 100000,
	 .done = on_exchange},
	{.method = "POST",
	 .path = "/v1/exchanges",
	 .flags = HTTP_JSON,
	 .roles = NTMC_ROLE_CS,
	 .body_max = HTTP_BATCH_BODY,
	 .done = on_exchanges},
	{.method = "POST",
	 .path = "/v1/servers",
	 .flags = HTTP_JSON,
	 .roles = NTMC_ROLE_CS,
	 .body_max = 1000,
	 .done = on_server},
};

void set_sick(const char *item, int err)
{
	pthread_mutex_lock(&box_lock);
	sick_item = item;
	sick_err = err;
	pthread_mutex_unlock(&box_lock);
}

unsigned int set_silent(const char *items)
{
	unsigned int n;

	pthread_mutex_lock(&box_lock);
	silent = items;
	n = n_held;
	for (; !items && n_held; n_held--)
		http_answer_err(held[n_held - 1], -NTM_EAGAIN);
	pthread_mutex_unlock(&box_lock);
	return n;
}

void set_odd(unsigned int n)
{
	pthread_mutex_lock(&box_lock);
	n_odd = n;
	pthread_mutex_unlock(&box_lock);
}

void box_begin(void)
{
	int fd = site_listen(&box_addr);
	struct http_conf c = {.loop = site.loop,
			      .name = "box",
			      .fds = &fd,
			      .n_fds = 1,
			      .key = box_pem.key,
			      .certificate = box_pem.certificate,
			      .ca = box_pem.ca,
			      .trust = box_cert.trust,
			      .domain = SITE_DOMAIN,
			      .routes = box_routes,
			      .n_routes = sizeof(box_routes) /
					  sizeof(box_routes[0])};

	assert_int_equal(http_new(&c, &box), 0);
}

/* --- the Cache Server ------------------------------------------------------------------ */

static bool has_tokens(void *arg)
{
	(void)arg;
	return tokens_are_fed(cs->tokens);
}

void cs_begin(void)
{
	memset(&env, 0, sizeof(env));
	env.loop = site.loop;
	env.dir = site.dir;
	env.conf = &site.conf;
	env.sockets.tcp[0] = site_listen(&cs_addr);
	env.sockets.n_tcp = 1;
	env.sockets.admin = -1;
	site.conf.cs_port = addr_port(&cs_addr);
	assert_int_equal(cs_new(&env, &cs), 0);
	assert_true(site_wait(&site, has_tokens, NULL));
}

void cs_end(void)
{
	cs_free(cs);
	cs = NULL;
	assert_int_equal(loop_turn(site.loop, false), 0);
}

long long number(const char *key)
{
	json_t *j = cs_admin(cs, "status", NULL);
	long long n = json_integer_value(json_object_get(j, key));

	json_decref(j);
	return n;
}

int setup(void **state)
{
	static char box_text[64];
	char text[ADDR_TEXT_LEN];

	(void)state;
	site_new(&site);
	site_add_account(&site, "alice");
	site_add_account(&site, "bob");
	peer_new(&alice, &site, "laptop");
	peer_new(&bob, &site, "desk");
	assert_int_equal(peer_login(&alice, "alice", SITE_PASSWORD), 0);
	assert_int_equal(peer_login(&bob, "bob", SITE_PASSWORD), 0);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 31 + i / 700);
	blobsum_of(data, SIZE, hash);
	ntmc_base64url_encode(hash, sizeof(hash), hash_text);
	exchanges = json_array();
	assert_int_equal(servercert_load(site.dir, "box", &box_cert), 0);
	assert_int_equal(servercert_pem(site.dir, "box", &box_pem), 0);
	box_begin();
	snprintf(box_text, sizeof(box_text), "%s",
		 addr_format(&box_addr, text));
	free(site.conf.cs_listen);
	site.conf.cs_listen = strdup("127.0.0.1");
	site.conf.cs_box = strdup(box_text);
	cs_begin();
	https_open(&site, "cs", &cs_addr);
	return 0;
}

int teardown(void **state)
{
	(void)state;
	cs_end();
	http_free(box);
	servercert_clear(&box_cert);
	servercert_pem_clear(&box_pem);
	json_decref(exchanges);
	peer_free(&alice);
	peer_free(&bob);
	site_free(&site);
	return 0;
}

/* --- what a sender says ------------------------------------------------------------------ */

void line(struct say *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->lines[s->n], sizeof(s->lines[0]), fmt, ap);
	va_end(ap);
	s->a.headers[s->n] = s->lines[s->n];
	s->n++;
}

void begin(struct say *s, const struct peer *p, const char *method,
	   const uint8_t *token, const char *fmt, ...)
{
	char text[48];
	va_list ap;

	memset(s, 0, sizeof(*s));
	va_start(ap, fmt);
	vsnprintf(s->path, sizeof(s->path), fmt, ap);
	va_end(ap);
	s->a.method = method;
	s->a.path = s->path;
	ntmc_base64url_encode(token ? token : p->token, 32, text);
	line(s, "Authorization: Bearer %s", text);
	line(s, "NTM-Node: %s", p->fqdn);
	line(s, "NTM-Application: ntm");
	line(s, "NTM-Service: file");
}

void keys(struct say *s, const struct peer *p, const char *item, const char *to,
	  unsigned long long size)
{
	json_t *list = json_array(), *j;
	char names[256], *name, *next = names, *text;

	begin(s, p, "POST", NULL, "/v1/items/%s/keys", item);
	line(s, "NTM-To: %s", to);
	line(s, "NTM-Item: %s", item);
	snprintf(names, sizeof(names), "%s", to);
	while ((name = strsep(&next, ", ")))
		if (*name)
			json_array_append_new(list, json_pack("{s:s, s:s}",
							      "to", name, "key",
							      "c2VhbGVk"));
	j = json_pack("{s:o, s:I}", "keys", list, "size", (json_int_t)size);
	text = json_dumps(j, 0);
	snprintf(s->body, sizeof(s->body), "%s", text);
	s->a.body = s->body;
	free(text);
	json_decref(j);
}

/* a PATCH of @len bytes of data[] from @offset */
void patch(struct say *s, const struct peer *p, const char *item, size_t offset,
	   size_t len)
{
	begin(s, p, "PATCH", NULL, "/v1/items/%s/data", item);
	line(s, "NTM-Offset: %zu", offset);
	s->a.data = data + offset;
	s->a.body_len = len;
}

void expect(struct say *s, long status)
{
	long got = ask(&s->a);

	if (got != status)
		fail_msg("%s %s: %ld instead of %ld: %s", s->a.method, s->path,
			 got, status, s->a.got);
}

/* asks; an integer of the answer */
long long expect_number(struct say *s, long status, const char *key)
{
	long long n;
	json_t *j;

	expect(s, status);
	j = answer_of(&s->a);
	assert_non_null(json_object_get(j, key));
	n = json_integer_value(json_object_get(j, key));
	json_decref(j);
	return n;
}

void expect_text(struct say *s, long status, const char *key, const char *text)
{
	json_t *j;

	expect(s, status);
	j = answer_of(&s->a);
	assert_string_equal(json_string_value(json_object_get(j, key)), text);
	json_decref(j);
}

void upload(const char *item, const char *to)
{
	struct say s;

	keys(&s, &alice, item, to, SIZE);
	assert_int_equal(expect_number(&s, 201, "offset"), 0);
	patch(&s, &alice, item, 0, SIZE);
	line(&s, "NTM-Hash: %s", hash_text);
	expect_text(&s, 200, "hash", hash_text);
}

void cancel(const char *item)
{
	struct say s;

	begin(&s, &alice, "DELETE", NULL, "/v1/items/%s", item);
	expect_text(&s, 200, "state", "cancelled");
}

/* --- what the box was asked, and a receiver ------------------------------------------------ */

static bool find_exchange(void *arg)
{
	struct search *f = arg;
	json_t *x, *to;
	size_t i, k;
	bool found = false;

	pthread_mutex_lock(&box_lock);
	json_array_foreach(exchanges, i, x)
	{
#define TEXT(o, key) json_string_value(json_object_get(o, key))
		if (strcmp(TEXT(x, "kind"), f->kind) ||
		    strcmp(TEXT(x, "item"), f->item))
			continue;
		json_array_foreach(json_object_get(x, "to"), k, to)
		{
			if (strcmp(TEXT(to, "name"), f->to))
				continue;
			found = true;
			if (strcmp(f->kind, "status"))
				assert_int_equal(ntmc_base64url_decode(
							 TEXT(to, "ticket"),
							 f->ticket, 32),
						 0);
			if (!strcmp(f->kind, "key"))
				strcpy(f->hash, TEXT(to, "hash"));
		}
#undef TEXT
	}
	pthread_mutex_unlock(&box_lock);
	return found;
}

void wait_exchange(struct search *f, const char *kind, const char *item,
		   const char *to)
{
	*f = (struct search){.kind = kind, .item = item, .to = to};
	assert_true(site_wait(&site, find_exchange, f));
}

/* a receiver of another domain: the CS knows its ticket alone */
struct peer stranger(const char *fqdn)
{
	struct peer p = {.fd = -1};

	strcpy(p.fqdn, fqdn);
	return p;
}

void confirm(struct say *s, const struct peer *p, const uint8_t *ticket,
	     int code)
{
	begin(s, p, "POST", ticket, "/v1/confirmations");
	snprintf(s->body, sizeof(s->body), "{\"hash\":\"%s\",\"code\":%d}",
		 hash_text, code);
	s->a.body = s->body;
}
