/* SPDX-License-Identifier: MIT */
/* test_cs - a whole Cache Server beside an AS, with a played box: items from keys to
 * confirmation, restarts, quotas, what nobody may */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "https.h"
#include "servers/cs/state.h"
#include "site.h"

#define SIZE 300000
#define ONE  "one.example.net"

static struct site site;
static struct peer alice, bob;
static struct role_env env;
static struct cs *cs;
static struct addr cs_addr, box_addr;
static struct http *box;
static struct servercert box_cert;
static struct servercert_pem box_pem;
static uint8_t data[SIZE], hash[32];
static char hash_text[48];

/* --- the box ------------------------------------------------------------------------ */

static pthread_mutex_t box_lock = PTHREAD_MUTEX_INITIALIZER;
static json_t *exchanges; /* what came */
static int box_code;
static unsigned int n_registered, box_status;

static void on_exchange(struct http_request *q, void *arg)
{
	json_t *results = json_array(), *entry;
	size_t i;

	(void)arg;
	pthread_mutex_lock(&box_lock);
	json_array_append(exchanges, http_json(q));
	json_array_foreach(json_object_get(http_json(q), "to"), i, entry)
		json_array_append_new(results,
				      json_pack("{s:O, s:i}", "to",
						json_object_get(entry, "name"),
						"code", box_code));
	pthread_mutex_unlock(&box_lock);
	if (box_status != 200) {
		json_decref(results);
		http_answer_err(q, -NTM_ESERVER);
	} else {
		http_answer_json(q, 200,
				 json_pack("{s:o}", "results", results));
	}
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
	 .flags = HTTP_JSON,
	 .roles = NTMC_ROLE_CS,
	 .body_max = 100000,
	 .done = on_exchange},
	{.method = "POST",
	 .path = "/v1/servers",
	 .flags = HTTP_JSON,
	 .roles = NTMC_ROLE_CS,
	 .body_max = 1000,
	 .done = on_server},
};

static int listen_at(struct addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	    on = 1;

	if (!addr_is_set(at))
		assert_int_equal(addr_parse("127.0.0.1:0", 0, at), 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, &at->sa, addr_len(at)), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, len, at),
			 0);
	return fd;
}

static void box_begin(void)
{
	int fd = listen_at(&box_addr);
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
			      .n_routes = 2};

	box_status = 200;
	assert_int_equal(http_new(&c, &box), 0);
}

/* --- the Cache Server ------------------------------------------------------------------ */

static bool has_tokens(void *arg)
{
	(void)arg;
	return tokens_are_fed(cs->tokens);
}

static void cs_begin(void)
{
	memset(&env, 0, sizeof(env));
	env.loop = site.loop;
	env.dir = site.dir;
	env.conf = &site.conf;
	env.sockets.tcp[0] = listen_at(&cs_addr);
	env.sockets.n_tcp = 1;
	env.sockets.admin = -1;
	site.conf.cs_port = addr_port(&cs_addr);
	assert_int_equal(cs_new(&env, &cs), 0);
	assert_true(site_wait(&site, has_tokens, NULL));
}

static void cs_end(void)
{
	cs_free(cs);
	cs = NULL;
	assert_int_equal(loop_turn(site.loop, false), 0);
}

static long long number(const char *key)
{
	json_t *j = cs_admin(cs, "status", NULL);
	long long n = json_integer_value(json_object_get(j, key));

	json_decref(j);
	return n;
}

static int setup(void **state)
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
	ntmc_sha256(data, SIZE, hash);
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

static int teardown(void **state)
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

/* struct say - a request with its header lines */
struct say {
	struct https_ask a;
	char path[160], lines[8][256], body[4096];
	unsigned int n;
};

static void line(struct say *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void line(struct say *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->lines[s->n], sizeof(s->lines[0]), fmt, ap);
	va_end(ap);
	s->a.headers[s->n] = s->lines[s->n];
	s->n++;
}

static void begin(struct say *s, const struct peer *p, const char *method,
		  const uint8_t *token, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
static void begin(struct say *s, const struct peer *p, const char *method,
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

static void keys(struct say *s, const struct peer *p, const char *item,
		 const char *to, unsigned long long size)
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
static void patch(struct say *s, const struct peer *p, const char *item,
		  size_t offset, size_t len)
{
	begin(s, p, "PATCH", NULL, "/v1/items/%s/data", item);
	line(s, "NTM-Offset: %zu", offset);
	s->a.data = data + offset;
	s->a.body_len = len;
}

static void expect(struct say *s, long status)
{
	long got = ask(&s->a);

	if (got != status)
		fail_msg("%s %s: %ld instead of %ld: %s", s->a.method, s->path,
			 got, status, s->a.got);
}

/* asks; an integer of the answer */
static long long expect_number(struct say *s, long status, const char *key)
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

static void expect_text(struct say *s, long status, const char *key,
			const char *text)
{
	json_t *j;

	expect(s, status);
	j = answer_of(&s->a);
	assert_string_equal(json_string_value(json_object_get(j, key)), text);
	json_decref(j);
}

static void upload(const char *item, const char *to)
{
	struct say s;

	keys(&s, &alice, item, to, SIZE);
	assert_int_equal(expect_number(&s, 201, "offset"), 0);
	patch(&s, &alice, item, 0, SIZE);
	line(&s, "NTM-Hash: %s", hash_text);
	expect_text(&s, 200, "hash", hash_text);
}

/* --- what the box was asked, and a receiver ------------------------------------------------ */

struct search {
	const char *kind, *item, *to;
	uint8_t ticket[32];
	char hash[48];
};

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

static void wait_exchange(struct search *f, const char *kind, const char *item,
			  const char *to)
{
	*f = (struct search){.kind = kind, .item = item, .to = to};
	assert_true(site_wait(&site, find_exchange, f));
}

/* a receiver of another domain: the CS knows its ticket alone */
static struct peer stranger(const char *fqdn)
{
	struct peer p = {.fd = -1};

	strcpy(p.fqdn, fqdn);
	return p;
}

static void confirm(struct say *s, const struct peer *p, const uint8_t *ticket,
		    int code)
{
	begin(s, p, "POST", ticket, "/v1/confirmations");
	snprintf(s->body, sizeof(s->body), "{\"hash\":\"%s\",\"code\":%d}",
		 hash_text, code);
	s->a.body = s->body;
}

/* --- tests ---------------------------------------------------------------------------------- */

static void whole_way(void **state)
{
	struct peer p = stranger("phone.carol.example.net");
	struct search key, blob, status;
	struct say s;

	(void)state;
	upload("whole", p.fqdn);
	wait_exchange(&key, "key", "whole", p.fqdn);
	wait_exchange(&blob, "data", "whole", p.fqdn);
	assert_memory_equal(key.ticket, blob.ticket, 32);
	begin(&s, &p, "GET", key.ticket, "/v1/keys/%s", key.hash);
	expect_text(&s, 200, "key", "c2VhbGVk");
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", hash_text);
	expect(&s, 200);
	assert_int_equal(s.a.got_len, SIZE);
	assert_memory_equal(s.a.got, data, SIZE);
	free(s.a.got);
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", hash_text);
	line(&s, "Range: bytes=%d-", SIZE - 10);
	expect(&s, 206);
	assert_int_equal(s.a.got_len, 10);
	assert_memory_equal(s.a.got, data + SIZE - 10, 10);
	free(s.a.got);
	begin(&s, &alice, "GET", NULL, "/v1/items/whole");
	expect_text(&s, 200, "state", "complete");
	confirm(&s, &p, key.ticket, 0);
	expect(&s, 200);
	free(s.a.got);
	wait_exchange(&status, "status", "whole", alice.fqdn);
	begin(&s, &alice, "GET", NULL, "/v1/items/whole");
	expect_text(&s, 200, "state", "done");
	/* the blob is gone; the confirmation may come again */
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", hash_text);
	expect_error(&s.a, 404, "NOTFOUND");
	confirm(&s, &p, key.ticket, 0);
	expect(&s, 200);
	free(s.a.got);
	assert_int_equal(number("bytes"), 0);
	assert_true(n_registered > 0);
}

/* three receivers, one blob, until the last has it; one refuses */
static void three(void **state)
{
	struct peer to[3] = {stranger("a.b.example.net"),
			     stranger("c.d.example.net"),
			     stranger("e.f.example.net")};
	struct search f;
	struct say s;

	(void)state;
	upload("three", "a.b.example.net, c.d.example.net, e.f.example.net");
	for (size_t i = 0; i < 3; i++) {
		wait_exchange(&f, "data", "three", to[i].fqdn);
		begin(&s, &to[i], "GET", f.ticket, "/v1/data/%s", hash_text);
		expect(&s, 200);
		assert_int_equal(s.a.got_len, SIZE);
		free(s.a.got);
		begin(&s, &alice, "GET", NULL, "/v1/items/three");
		expect_text(&s, 200, "state", "complete");
		assert_int_equal(number("bytes"), SIZE);
		confirm(&s, &to[i], f.ticket, i == 1 ? NTM_EPOLICY : 0);
		expect(&s, 200);
		free(s.a.got);
	}
	assert_int_equal(number("bytes"), 0);
	begin(&s, &alice, "GET", NULL, "/v1/items/three");
	expect(&s, 200);
	assert_non_null(strstr(s.a.got, "\"state\":\"refused\""));
	assert_non_null(strstr(s.a.got, "\"error\":\"POLICY\""));
	free(s.a.got);
}

/* from any offset, over a restart; what is wrong is said with where to go on */
static void offsets(void **state)
{
	struct say s;

	(void)state;
	keys(&s, &alice, "offsets", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	patch(&s, &alice, "offsets", 0, 100000);
	assert_int_equal(expect_number(&s, 200, "offset"), 100000);
	patch(&s, &alice, "offsets", 0, 1000);
	assert_int_equal(expect_number(&s, 409, "offset"), 100000);
	patch(&s, &alice, "offsets", 100001, 1000);
	assert_int_equal(expect_number(&s, 409, "offset"), 100000);
	patch(&s, &alice, "offsets", 100000, SIZE - 100000);
	s.a.body_len++; /* more than was said */
	expect_error(&s.a, 413, "TOOBIG");
	cs_end();
	cs_begin();
	begin(&s, &alice, "GET", NULL, "/v1/items/offsets");
	assert_int_equal(expect_number(&s, 200, "offset"), 100000);
	/* the same keys once more: where to go on */
	keys(&s, &alice, "offsets", ONE, SIZE);
	assert_int_equal(expect_number(&s, 200, "offset"), 100000);
	keys(&s, &alice, "offsets", "two.example.net", SIZE);
	expect_error(&s.a, 409, "EXISTS");
	patch(&s, &alice, "offsets", 100000, 100000);
	assert_int_equal(expect_number(&s, 200, "offset"), 200000);
	begin(&s, &alice, "POST", NULL, "/v1/items/offsets/complete");
	snprintf(s.body, sizeof(s.body), "{\"hash\":\"%s\",\"size\":%d}",
		 hash_text, SIZE);
	s.a.body = s.body;
	assert_int_equal(expect_number(&s, 409, "offset"), 200000);
	patch(&s, &alice, "offsets", 200000, SIZE - 200000);
	line(&s, "NTM-Hash: %s", hash_text);
	expect_text(&s, 200, "hash", hash_text);
	/* again, as its answer may have been lost */
	begin(&s, &alice, "POST", NULL, "/v1/items/offsets/complete");
	snprintf(s.body, sizeof(s.body), "{\"hash\":\"%s\",\"size\":%d}",
		 hash_text, SIZE);
	s.a.body = s.body;
	expect_text(&s, 200, "hash", hash_text);
	begin(&s, &alice, "DELETE", NULL, "/v1/items/offsets");
	expect_text(&s, 200, "state", "cancelled");
}

static void wrong_hash(void **state)
{
	char other[48];
	struct say s;

	(void)state;
	strcpy(other, hash_text);
	other[0] = other[0] == 'A' ? 'B' : 'A';
	keys(&s, &alice, "wrong", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	patch(&s, &alice, "wrong", 0, SIZE);
	line(&s, "NTM-Hash: %s", other);
	assert_int_equal(expect_number(&s, 409, "offset"), 0);
	patch(&s, &alice, "wrong", 0, SIZE);
	line(&s, "NTM-Hash: %s", hash_text);
	expect_text(&s, 200, "hash", hash_text);
	begin(&s, &alice, "DELETE", NULL, "/v1/items/wrong");
	expect_text(&s, 200, "state", "cancelled");
	assert_int_equal(number("bytes"), 0);
}

/* other people's tokens, items, tickets and hashes */
static void not_yours(void **state)
{
	struct peer p = stranger("a.b.example.net"),
		    thief = stranger("t.t.example.net");
	struct search f, g;
	uint8_t none[32] = {0};
	struct say s;

	(void)state;
	upload("mine", p.fqdn);
	upload("other", thief.fqdn);
	wait_exchange(&f, "data", "mine", p.fqdn);
	wait_exchange(&f, "key", "mine", p.fqdn);
	wait_exchange(&g, "key", "other", thief.fqdn);
	/* a sender: no token, another's, one that was withdrawn */
	begin(&s, &alice, "GET", none, "/v1/items/mine");
	expect_error(&s.a, 401, "AUTH");
	begin(&s, &alice, "GET", bob.token, "/v1/items/mine");
	expect_error(&s.a, 401, "AUTH");
	begin(&s, &bob, "GET", NULL, "/v1/items/mine");
	expect_error(&s.a, 404, "NOTFOUND");
	begin(&s, &bob, "DELETE", NULL, "/v1/items/mine");
	expect_error(&s.a, 404, "NOTFOUND");
	/* a receiver: another's ticket, another's hash, a sender's token */
	begin(&s, &thief, "GET", f.ticket, "/v1/data/%s", hash_text);
	expect_error(&s.a, 401, "AUTH");
	begin(&s, &thief, "GET", g.ticket, "/v1/keys/%s", hash_text);
	expect_error(&s.a, 403, "PERM");
	f.hash[0] = f.hash[0] == 'A' ? 'B' : 'A';
	begin(&s, &p, "GET", f.ticket, "/v1/data/%s", f.hash);
	expect_error(&s.a, 403, "PERM");
	begin(&s, &alice, "GET", NULL, "/v1/data/%s", hash_text);
	expect_error(&s.a, 401, "AUTH");
	confirm(&s, &thief, f.ticket, 0);
	expect_error(&s.a, 401, "AUTH");
	for (size_t i = 0; i < 2; i++) {
		begin(&s, &alice, "DELETE", NULL, "/v1/items/%s",
		      i ? "mine" : "other");
		expect_text(&s, 200, "state", "cancelled");
		if (i)
			break;
		/* the same blob, of another item: still there */
		begin(&s, &p, "GET", f.ticket, "/v1/data/%s", hash_text);
		expect(&s, 200);
		free(s.a.got);
	}
	begin(&s, &p, "GET", f.ticket, "/v1/data/%s", hash_text);
	expect_error(&s.a, 404, "NOTFOUND");
}

static bool is_refused(void *arg)
{
	const struct peer *p = arg;

	return tokens_check(cs->tokens, p->fqdn, p->token, ntmc_now(NULL)) ==
	       -NTM_EAUTH;
}

static void withdrawn(void **state)
{
	struct say s;

	(void)state;
	begin(&s, &bob, "GET", NULL, "/v1/items");
	expect(&s, 200);
	free(s.a.got);
	site_admin(&site, "account-disable", "bob");
	assert_true(site_wait(&site, is_refused, &bob));
	begin(&s, &bob, "GET", NULL, "/v1/items");
	expect_error(&s.a, 401, "AUTH");
}

static void quota(void **state)
{
	struct server_conf conf = site.conf;
	struct say s;

	(void)state;
	conf.cs_quota = 2 * SIZE;
	cs_reload(cs, &conf);
	keys(&s, &alice, "q1", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	keys(&s, &alice, "q2", ONE, SIZE + 1);
	expect_error(&s.a, 507, "LIMIT");
	keys(&s, &alice, "q2", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	keys(&s, &alice, "q3", ONE, 1);
	expect_error(&s.a, 507, "LIMIT");
	begin(&s, &alice, "DELETE", NULL, "/v1/items/q1");
	expect_text(&s, 200, "state", "cancelled");
	keys(&s, &alice, "q3", ONE, 1);
	expect(&s, 201);
	free(s.a.got);
	keys(&s, &alice, "q4", ONE, UINT64_C(1) << 60); /* nor has the disk */
	expect(&s, 507);
	free(s.a.got);
	cs_reload(cs, &site.conf);
	begin(&s, &alice, "GET", NULL, "/v1/items?limit=1");
	expect(&s, 200);
	assert_non_null(strstr(s.a.got, "\"more\":true"));
	free(s.a.got);
	begin(&s, &alice, "DELETE", NULL, "/v1/items/q2");
	expect_text(&s, 200, "state", "cancelled");
	begin(&s, &alice, "DELETE", NULL, "/v1/items/q3");
	expect_text(&s, 200, "state", "cancelled");
}

static unsigned int descriptors(void)
{
	struct dirent *e;
	unsigned int n = 0;
	DIR *d = opendir("/proc/self/fd");

	while ((e = readdir(d)))
		n++;
	closedir(d);
	return n;
}

/* Items that nobody goes on with hold no descriptors, but for some. */
static void many_open(void **state)
{
	unsigned int before = descriptors();
	char item[16];
	struct say s;

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(item, sizeof(item), "m%u", i);
		keys(&s, &alice, item, ONE, 2);
		expect(&s, 201);
		free(s.a.got);
		patch(&s, &alice, item, 0, 1);
		assert_int_equal(expect_number(&s, 200, "offset"), 1);
	}
	assert_in_range(descriptors(), before, before + 80);
	/* and go on all the same */
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(item, sizeof(item), "m%u", i);
		patch(&s, &alice, item, 1, 1);
		assert_int_equal(expect_number(&s, 200, "offset"), 2);
		begin(&s, &alice, "DELETE", NULL, "/v1/items/%s", item);
		expect_text(&s, 200, "state", "cancelled");
	}
	assert_int_equal(number("bytes"), 0);
}

static bool nothing_asked(void *arg)
{
	(void)arg;
	return number("asks") == 0;
}

/* a box that is away, then refuses: nothing is forgotten, over a restart */
static void box_away(void **state)
{
	struct search f;
	struct say s;

	(void)state;
	assert_true(site_wait(&site, nothing_asked, NULL));
	http_free(box);
	box = NULL;
	upload("away", ONE);
	assert_int_equal(number("asks"), 2);
	cs_end();
	box_code = NTM_ENONAME;
	box_begin();
	cs_begin();
	wait_exchange(&f, "data", "away", ONE);
	wait_exchange(&f, "status", "away", alice.fqdn);
	assert_true(site_wait(&site, nothing_asked, NULL));
	begin(&s, &alice, "GET", NULL, "/v1/items/away");
	expect(&s, 200);
	assert_non_null(strstr(s.a.got, "\"error\":\"NONAME\""));
	free(s.a.got);
	box_code = 0;
}

/* a store from before, and files from after */
static void restored(void **state)
{
	char path[256], command[1200];
	struct stat st;
	struct say s;

	(void)state;
	upload("old", ONE);
	cs_end();
	/* the backup is of now; then the blob goes, and others come */
	snprintf(path, sizeof(path), "%s/cs/blob/%02x", site.dir, hash[0]);
	snprintf(command, sizeof(command),
		 "rm %s/*; echo orphan > %s/%02x%062d; echo x > %s/cs/up/99999;"
		 " touch -d '2 days ago' %s/* %s/cs/up/99999",
		 path, path, hash[0], 7, site.dir, path, site.dir);
	assert_int_equal(system(command), 0);
	cs_begin();
	begin(&s, &alice, "GET", NULL, "/v1/items/old");
	expect_text(&s, 200, "state", "lost");
	assert_int_equal(number("lost"), 1);
	assert_int_equal(number("bytes"), 0);
	snprintf(path + strlen(path), 80, "/%02x%062d", hash[0], 7);
	assert_int_not_equal(stat(path, &st), 0);
	snprintf(path, sizeof(path), "%s/cs/up/99999", site.dir);
	assert_int_not_equal(stat(path, &st), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_way), cmocka_unit_test(three),
		cmocka_unit_test(offsets),   cmocka_unit_test(wrong_hash),
		cmocka_unit_test(not_yours), cmocka_unit_test(quota),
		cmocka_unit_test(many_open), cmocka_unit_test(box_away),
		cmocka_unit_test(restored),  cmocka_unit_test(withdrawn),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
