/* SPDX-License-Identifier: MIT */
/* box_site - two domains, each with AS, DC and box, and who asks the boxes */
#include "box_site.h"

#include <curl/curl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "libntmcrypto/item.h"
#include "servers/dc/state.h"
#include "servers/servercert.h"
#include "servers/sockets.h"

/* of docs/exchange.yaml: what an item passes on its way */
#define ITEM_PATHS "/v1/temporal-keys,/v1/exchange,/v1/cache,/v1/batch"

#define RECORD_MAX 100000 /* longer answers are not checked */

struct box_site near, far;
struct peer alice, bob, carol;

/* --- sites ------------------------------------------------------------------------ */

void box_start(struct box_site *s)
{
	char error[SOCKETS_ERROR_LEN];

	s->env.loop = s->site.loop;
	s->env.dir = s->site.dir;
	s->env.conf = &s->site.conf;
	assert_int_equal(sockets_bind(role_find("box"), &s->site.conf,
				      s->site.dir, &s->env.sockets, error),
			 0);
	close(s->env.sockets.admin);
	s->env.sockets.admin = -1;
	assert_int_equal(box_new(&s->env, &s->box), 0);
}

void box_stop(struct box_site *s)
{
	box_free(s->box);
	s->box = NULL;
	assert_int_equal(loop_turn(s->site.loop, false), 0);
}

long long box_number(struct box_site *s, const char *key)
{
	json_t *o = box_admin(s->box, "status", NULL);
	json_t *v = json_object_get(o, key);
	long long n =
		json_is_boolean(v) ? json_is_true(v) : json_integer_value(v);

	json_decref(o);
	return n;
}

static bool is_ready(void *arg)
{
	return box_number(arg, "dc_link") && box_number(arg, "as_link") &&
	       box_number(arg, "tokens");
}

void box_wait(struct box_site *s)
{
	assert_true(site_wait(&s->site, is_ready, s));
}

static void site_open(struct box_site *s)
{
	assert_int_equal(addr_parse("127.0.0.1",
				    (uint16_t)s->site.conf.box_port, &s->at),
			 0);
	box_start(s);
}

static void know(struct box_site *s, struct box_site *other, const char *name)
{
	char fp[NTMC_FP_TEXT_LEN], at[ADDR_TEXT_LEN];
	json_t *request, *answer;

	ntmc_fingerprint_text(other->site.ca_fp, fp);
	request = json_pack("{s:s, s:s, s:s}", "domain", name, "ca", fp,
			    "address", addr_format(&other->site.dc_addr, at));
	answer = dc_admin(s->site.dc, "peer-add", request);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(request);
	json_decref(answer);
}

static void person(struct box_site *s, struct peer *p, const char *account)
{
	site_add_account(&s->site, account);
	peer_new(p, &s->site, "desk");
	assert_int_equal(peer_login(p, account, SITE_PASSWORD), 0);
	assert_int_equal(p->code, 0);
}

int boxes_setup(void **state)
{
	(void)state;
	memset(&near, 0, sizeof(near));
	memset(&far, 0, sizeof(far));
	site_new(&near.site);
	site_new_beside(&far.site, &near.site, FAR_DOMAIN);
	site_open(&near);
	site_open(&far);
	know(&near, &far, FAR_DOMAIN);
	know(&far, &near, SITE_DOMAIN);
	person(&near, &alice, "alice");
	person(&near, &bob, "bob");
	person(&far, &carol, "carol");
	box_wait(&near);
	box_wait(&far);
	return 0;
}

int boxes_teardown(void **state)
{
	(void)state;
	if (near.box)
		box_stop(&near);
	if (far.box)
		box_stop(&far);
	peer_free(&alice);
	peer_free(&bob);
	peer_free(&carol);
	site_free(&far.site);
	site_free(&near.site);
	return 0;
}

/* --- requests ----------------------------------------------------------------------- */

struct asking {
	const struct web *w;
	char *body, *got;
	size_t got_len, got_room;
	long status;
	double ms, cpu_ms;
	_Atomic bool over;
};

static size_t last_len;
static double last_ms, last_cpu_ms;

static size_t on_got(char *data, size_t size, size_t n, void *arg)
{
	struct asking *a = arg;
	size_t len = size * n;

	if (a->got_len + len + 1 > a->got_room) {
		a->got_room = (a->got_len + len + 1) * 2;
		a->got = realloc(a->got, a->got_room);
	}
	memcpy(a->got + a->got_len, data, len);
	a->got_len += len;
	a->got[a->got_len] = '\0';
	return len;
}

static struct curl_slist *add(struct curl_slist *l, const char *name,
			      const char *value)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s: %s", name, value);
	return curl_slist_append(l, text);
}

static struct curl_slist *headers_of(const struct web *w)
{
	struct curl_slist *l = add(NULL, "NTM-Version", "test 1");
	char bearer[B64_32 + 16];

	l = add(l, "Expect", "");
	if (w->peer) {
		char text[B64_32 + 3];

		ntmc_base64url_encode(w->peer->token, 32, text);
		snprintf(bearer, sizeof(bearer), "Bearer %s", text);
		l = add(l, "Authorization", bearer);
		l = add(l, "NTM-Node", w->node ? w->node : w->peer->fqdn);
	}
	if (w->to) {
		l = add(l, "NTM-To", w->to);
		l = add(l, "NTM-Application", "ntm");
		l = add(l, "NTM-Service", "file");
		l = add(l, "NTM-Item", w->item ? w->item : "item1");
	}
	return l;
}

static void pem_file(char *path, size_t size, const char *dir, const char *name,
		     const char *pem)
{
	FILE *f;

	snprintf(path, size, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(pem, f);
	fclose(f);
}

static void with_certificates(CURL *e, const struct web *w)
{
	struct servercert_pem pem;
	char ca[128], cert[128], key[128];

	assert_int_equal(servercert_pem(w->site->site.dir, "cs", &pem), 0);
	pem_file(ca, sizeof(ca), w->site->site.dir, "ca.pem", pem.ca);
	curl_easy_setopt(e, CURLOPT_CAINFO, ca);
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	if (w->as_cs) {
		pem_file(cert, sizeof(cert), w->site->site.dir, "cs.pem",
			 pem.certificate);
		pem_file(key, sizeof(key), w->site->site.dir, "cs.key.pem",
			 pem.key);
		curl_easy_setopt(e, CURLOPT_SSLCERT, cert);
		curl_easy_setopt(e, CURLOPT_SSLKEY, key);
	}
	servercert_pem_clear(&pem);
}

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void *client(void *arg)
{
	struct asking *a = arg;
	const struct web *w = a->w;
	struct curl_slist *headers = headers_of(w), *where;
	unsigned int port = addr_port(&w->site->at);
	const char *domain = w->site == &near ? SITE_DOMAIN : FAR_DOMAIN;
	char url[512], resolve[128];
	CURL *e = curl_easy_init();
	double s;

	snprintf(url, sizeof(url), "https://box.%s:%u%s", domain, port,
		 w->path);
	snprintf(resolve, sizeof(resolve), "box.%s:%u:127.0.0.1", domain, port);
	where = curl_slist_append(NULL, resolve);
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_RESOLVE, where);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_TIMEOUT, 20L);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_got);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, a);
	with_certificates(e, w);
	if (a->body)
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, a->body);
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, w->method);
	a->cpu_ms = cpu_ms();
	if (!curl_easy_perform(e))
		curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &a->status);
	a->cpu_ms = cpu_ms() - a->cpu_ms;
	curl_easy_getinfo(e, CURLINFO_TOTAL_TIME, &a->ms);
	curl_easy_getinfo(e, CURLINFO_PRETRANSFER_TIME, &s);
	a->ms = (a->ms - s) * 1000;
	curl_easy_cleanup(e);
	curl_slist_free_all(headers);
	curl_slist_free_all(where);
	a->over = true;
	return NULL;
}

/* what was asked and answered, for web_check() */
static FILE *records;
static char records_path[64];

static void record(const struct web *w, json_t *body, const struct asking *a)
{
	json_t *names = json_array(), *line;
	struct curl_slist *headers = headers_of(w);

	if (!records) {
		snprintf(records_path, sizeof(records_path), "/tmp/ntm-web-%d",
			 (int)getpid());
		records = fopen(records_path, "w");
		assert_non_null(records);
	}
	for (struct curl_slist *h = headers; h; h = h->next)
		json_array_append_new(
			names, json_stringn(h->data, strcspn(h->data, ":")));
	line = json_pack("{s:s, s:s, s:o, s:O?, s:I, s:o?}", "method",
			 w->method, "path", w->path, "headers", names, "body",
			 body, "status", (json_int_t)a->status, "answer",
			 a->got ? json_loads(a->got, 0, NULL) : NULL);
	json_dumpf(line, records, JSON_COMPACT);
	fputc('\n', records);
	json_decref(line);
	curl_slist_free_all(headers);
}

void web_check(enum web_asked asked)
{
	static const char *const words[] = {"only", "but", "some"};
	char command[224];

	fclose(records);
	records = NULL;
	snprintf(command, sizeof(command),
		 "tests/unit/servers/exchange_check.py %s %s " ITEM_PATHS,
		 records_path, words[asked]);
	assert_int_equal(system(command), 0);
	unlink(records_path);
}

void web_forget(void)
{
	if (records) {
		fclose(records);
		unlink(records_path);
	}
	records = NULL;
}

static bool is_over(void *arg)
{
	return ((struct asking *)arg)->over;
}

long web(const struct web *w, json_t *body, json_t **answer)
{
	struct asking a = {.w = w};
	pthread_t thread;

	if (body)
		a.body = json_dumps(body, JSON_COMPACT);
	assert_int_equal(pthread_create(&thread, NULL, client, &a), 0);
	assert_true(site_wait(&near.site, is_over, &a));
	pthread_join(thread, NULL);
	if (a.got_len < RECORD_MAX && a.status)
		record(w, body, &a);
	json_decref(body);
	if (answer)
		*answer = a.got ? json_loads(a.got, 0, NULL) : NULL;
	last_len = a.got_len;
	last_ms = a.ms;
	last_cpu_ms = a.cpu_ms;
	free(a.body);
	free(a.got);
	return a.status;
}

size_t web_len(void)
{
	return last_len;
}

double web_ms(void)
{
	return last_ms;
}

double web_cpu_ms(void)
{
	return last_cpu_ms;
}

/* --- bodies ----------------------------------------------------------------------------- */

const char *b64(uint8_t seed, size_t n)
{
	static char texts[8][B64_32 + 3];
	static unsigned int next;
	char *text = texts[next++ % 8];
	uint8_t b[32];

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(seed + i * 7);
	ntmc_base64url_encode(b, n, text);
	return text;
}

int64_t later(int seconds)
{
	return (int64_t)time(NULL) + seconds;
}

static json_t *text_of(const void *data, size_t len)
{
	char text[NTMC_CERT_MAX * 2];

	ntmc_base64url_encode(data, len, text);
	return json_string(text);
}

static json_t *prekey_of(const struct peer *p, uint8_t number)
{
	struct prekey k = {.not_before = later(-60 - number),
			   .not_after = later(7 * 86400)};
	struct ntmc_key priv;

	strcpy(k.fqdn, p->fqdn);
	k.id[7] = number;
	ntmc_key_random(NULL, &priv);
	ntmc_x25519_public(&priv, k.pub);
	assert_int_equal(prekey_sign(&p->id, &k), 0);
	return json_pack("{s:o, s:o, s:o, s:I, s:I, s:o}", "certificate",
			 text_of(p->cert, p->cert_len), "id",
			 text_of(k.id, sizeof(k.id)), "key",
			 text_of(k.pub, sizeof(k.pub)), "not_before",
			 (json_int_t)k.not_before, "not_after",
			 (json_int_t)k.not_after, "signature",
			 text_of(k.sig, sizeof(k.sig)));
}

json_t *prekeys_of(const struct peer *p, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, prekey_of(p, (uint8_t)i));
	return json_pack("{s:o}", "prekeys", list);
}

long publish(struct box_site *s, const struct peer *p)
{
	const struct web w = {s, "PUT", "/v1/prekeys", .peer = p};

	return web(&w, prekeys_of(p, 2), NULL);
}

json_t *exchange_of(struct box_site *s, const char *kind, const char *from,
		    const char *to, const char *item)
{
	char cs[64];
	json_t *o;

	snprintf(cs, sizeof(cs), "cs.%s",
		 s == &near ? SITE_DOMAIN : FAR_DOMAIN);
	o = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:I, s:{s:s, s:[s]}, s:[{s:s}]}",
		"kind", kind ? kind : "key", "from", from, "application", "ntm",
		"service", "file", "item", item, "expires",
		(json_int_t)later(3600), "cs", "name", cs, "addresses",
		"127.0.0.1:4507", "to", "name", to);
	if (kind && !strcmp(kind, "data")) {
		json_object_set_new(o, "hash", json_string(b64(9, 32)));
		json_object_set_new(o, "size", json_integer(1234567));
	}
	if (!kind || strcmp(kind, "status")) {
		json_t *one = json_array_get(json_object_get(o, "to"), 0);

		json_object_set_new(one, "ticket", json_string(b64(3, 32)));
		json_object_set_new(one, "hash", json_string(b64(5, 32)));
	}
	return o;
}

static long long first_code(long status, json_t *answer)
{
	json_t *list = json_object_get(answer, "results");
	long long code = json_integer_value(
		json_object_get(json_array_get(list, 0), "code"));

	if (status != 200)
		fail_msg("status %ld: %s", status,
			 json_string_value(json_object_get(answer, "text")));
	json_decref(answer);
	return code;
}

json_t *exchange_bent(const char *key, json_t *v)
{
	json_t *x = exchange_of(&near, NULL, alice.fqdn, bob.fqdn, "i1");

	json_object_set_new(x, key, v);
	return x;
}

long long exchange(struct box_site *s, json_t *x)
{
	const struct web w = {s, "POST", "/v1/exchange", .as_cs = true};
	json_t *answer = NULL;
	long status = web(&w, x, &answer);

	return first_code(status, answer);
}

long long give_key(struct box_site *s, const struct peer *from, const char *to,
		   const char *item, uint8_t seed)
{
	const struct web w = {
		s,	  "POST",      "/v1/temporal-keys", .peer = from,
		.to = to, .item = item};
	json_t *answer = NULL,
	       *body = json_pack("{s:I, s:[{s:s, s:s}]}", "expires",
				 (json_int_t)later(3600), "keys", "to", to,
				 "key", b64(seed, 32));
	long status = web(&w, body, &answer);

	return first_code(status, answer);
}

json_t *list_of(struct box_site *s, const struct peer *p)
{
	const struct web w = {s, "GET", "/v1/cache", .peer = p};
	json_t *answer = NULL;

	assert_int_equal(web(&w, NULL, &answer), 200);
	return answer;
}

size_t list_len(struct box_site *s, const struct peer *p)
{
	json_t *o = list_of(s, p);
	size_t n = json_array_size(json_object_get(o, "entries"));

	json_decref(o);
	return n;
}

/* --- what is answered, and what the DC hears ------------------------------------- */

const char *field_text(json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

long long field_number(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

json_t *field_at(json_t *o, const char *key, size_t i)
{
	return json_array_get(json_object_get(o, key), i);
}

uint32_t serial_at(struct box_site *s, const struct peer *p)
{
	struct nodes *n = &s->site.dc->nodes;

	return nodes_at(n, nodes_find(n, p->fqdn))->cache_serial;
}

struct wanted {
	struct box_site *s;
	const struct peer *p;
	long long serial;
};

static bool serial_is(void *arg)
{
	const struct wanted *w = arg;

	return serial_at(w->s, w->p) == w->serial;
}

void dc_hears(struct box_site *s, const struct peer *p, long long serial)
{
	struct wanted w = {s, p, serial};

	assert_true(site_wait(&s->site, serial_is, &w));
}
