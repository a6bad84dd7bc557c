/* SPDX-License-Identifier: MIT */
/*
 * exchange - what the Cache Server asks of its domain's box
 *
 * Theory of operation
 *
 * The store has a row for each receiver and kind (asks): one is there in the same
 * commit as what it tells of. The thread reads those that are due, makes one request of
 * all rows of an item and kind, and lets up to EXCHANGE_RUNNING of them go at once. The
 * box answers for each receiver:
 *
 *   0                        the row goes; the receiver is told
 *   an error that may pass   (may_pass()) the row is due later
 *   any other                the row goes; the receiver is refused, the sender is told
 *
 * What it writes are jobs of the desk. Rows of requests that run, or whose jobs do, are
 * in a table, so that none is asked twice at once.
 *
 * A box that does not answer, or answers what it should not, makes all wait: 1 s,
 * doubling to 30 s. When it is there again all is asked, whatever its row says of tries.
 * It is asked one thing then, each time the next one: what one item makes it do must not
 * keep the others waiting. A request that it finds wrong (400, 413) is refused for good.
 */
#include "servers/cs/exchange.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <uthash.h>
#include <utlist.h>

#include "common/log.h"

#define RECEIVERS_MAX 64
#define DUE_MAX	      2048
#define ANSWER_MAX    65536
#define TIMEOUT_S     20L
#define REGISTER_S    30
#define PAUSE_MAX_S   30
#define AGAIN_S	      5
#define AGAIN_MAX_S   600
#define POLL_MS	      1000
#define CONNECTIONS   4L

struct exchange;

/* struct question - one request; of a registration @n is 0 */
struct question {
	struct desk_job job;
	struct question *prev, *next; /* that run */
	struct exchange *x;
	CURL *easy;
	char *body;
	char got[ANSWER_MAX];
	size_t got_len;
	size_t n;
	struct ask asks[RECEIVERS_MAX];
	int codes[RECEIVERS_MAX]; /* positive; -1: no answer */
};

/* a row that somebody is at */
struct flying {
	UT_hash_handle hh;
	int64_t id;
};

struct exchange {
	struct exchange_conf conf;
	struct items *items;
	CURLM *multi;
	struct curl_slist *headers, *connect;
	pthread_t thread;
	bool thread_runs;
	struct question *questions;
	unsigned int running;
	bool registering;
	time_t register_at, pause_until;
	unsigned int pause_s;
	int64_t failed; /* the last row of a request that failed */

	pthread_mutex_t lock;  /* below */
	bool stop, work, news; /* @news: of ourselves */
	struct flying *flying;
	struct exchange_stats stats;
};

static time_t mono_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* --- rows that fly: under the lock ---------------------------------------------------- */

static bool is_flying(struct exchange *x, int64_t id)
{
	struct flying *f;

	HASH_FIND(hh, x->flying, &id, sizeof(id), f);
	return f;
}

static bool fly(struct exchange *x, int64_t id)
{
	struct flying *f = calloc(1, sizeof(*f));

	if (!f)
		return false;
	f->id = id;
	HASH_ADD(hh, x->flying, id, sizeof(f->id), f);
	return true;
}

static void land(struct exchange *x, int64_t id)
{
	struct flying *f;

	HASH_FIND(hh, x->flying, &id, sizeof(id), f);
	if (!f)
		return;
	HASH_DEL(x->flying, f);
	free(f);
}

/* --- one request ---------------------------------------------------------------------- */

static void question_free(struct question *q)
{
	pthread_mutex_lock(&q->x->lock);
	for (size_t i = 0; i < q->n; i++)
		land(q->x, q->asks[i].id);
	pthread_mutex_unlock(&q->x->lock);
	if (q->easy)
		curl_easy_cleanup(q->easy);
	if (q->body)
		ntmc_wipe(q->body, strlen(q->body));
	free(q->body);
	free(q);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct question *q = arg;

	if (size * n > ANSWER_MAX - 1 - q->got_len)
		return 0;
	memcpy(q->got + q->got_len, data, size * n);
	q->got_len += size * n;
	q->got[q->got_len] = '\0';
	return size * n;
}

static int send_off(struct exchange *x, struct question *q, const char *path)
{
	CURL *e = curl_easy_init();
	char url[FQDN_MAX + 64];

	q->easy = e;
	if (!e || !q->body)
		return -NTM_ENOMEM;
	snprintf(url, sizeof(url), "https://box.%s:%u%s", x->conf.domain,
		 addr_port(&x->conf.box.a[0]), path);
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(e, CURLOPT_RESOLVE, x->connect);
	curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(e, CURLOPT_CAINFO, x->conf.ca);
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(e, CURLOPT_SSLCERT, x->conf.certificate);
	curl_easy_setopt(e, CURLOPT_SSLKEY, x->conf.key);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, x->headers);
	curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, q);
	curl_easy_setopt(e, CURLOPT_PRIVATE, q);
	if (curl_multi_add_handle(x->multi, e))
		return -NTM_ENOMEM;
	DL_APPEND(x->questions, q);
	x->running++;
	return 0;
}

/* --- what is said ----------------------------------------------------------------------- */

static json_t *base64(const uint8_t *data, size_t len)
{
	char text[NTMC_BASE64URL_LEN(NTMC_HASH_LEN) + 4];

	ntmc_base64url_encode(data, len, text);
	return json_string(text);
}

static json_t *own_json(struct exchange *x)
{
	json_t *list = json_array();
	char text[ADDR_TEXT_LEN];

	for (size_t i = 0; i < x->conf.n_own; i++)
		json_array_append_new(
			list, json_string(addr_format(&x->conf.own[i], text)));
	return json_pack("{s:s, s:o}", "name", x->conf.name, "addresses", list);
}

static json_t *to_json(struct exchange *x, const struct question *q,
		       const struct item *item)
{
	json_t *to = json_array(), *entry;
	struct receiver r;

	if (q->asks[0].kind == ASK_STATUS) {
		json_array_append_new(to,
				      json_pack("{s:s}", "name", item->sender));
		return to;
	}
	for (size_t i = 0; i < q->n; i++) {
		/* forgotten, or answered, a moment ago: so is its row */
		if (items_receiver(x->items, item->number, q->asks[i].name,
				   &r) ||
		    !r.has_ticket)
			continue;
		entry = json_pack("{s:s, s:o}", "name", r.name, "ticket",
				  base64(r.ticket, ITEMS_TICKET_LEN));
		if (q->asks[0].kind == ASK_KEY)
			json_object_set_new(entry, "hash",
					    base64(r.key_hash, NTMC_HASH_LEN));
		json_array_append_new(to, entry);
		ntmc_wipe(&r, sizeof(r));
	}
	return to;
}

static char *ask_body(struct exchange *x, const struct question *q)
{
	static const char *const kinds[] = {[ASK_KEY] = "key",
					    [ASK_DATA] = "data",
					    [ASK_STATUS] = "status"};
	enum ask_kind kind = q->asks[0].kind;
	struct item item;
	char *text = NULL;
	json_t *j, *to;

	if (items_get(x->items, q->asks[0].number, &item))
		return NULL;
	to = to_json(x, q, &item);
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o}",
		      "kind", kinds[kind], "from",
		      kind == ASK_STATUS ? q->asks[0].name : item.sender,
		      "application", item.application, "service", item.service,
		      "item", item.item, "message", item.message, "expires",
		      (json_int_t)item.expires, "since",
		      (json_int_t)item.created, "cs", own_json(x), "to", to);
	if (kind == ASK_DATA) {
		json_object_set_new(j, "hash",
				    base64(item.hash, NTMC_HASH_LEN));
		json_object_set_new(j, "size",
				    json_integer((json_int_t)item.size));
	}
	if (json_array_size(to))
		text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	return text;
}

/* --- what is answered -------------------------------------------------------------------- */

static bool may_pass(int code)
{
	switch (code) {
	case NTM_ENONAME:
	case NTM_ENOTOURS:
	case NTM_EPERM:
	case NTM_EPOLICY:
	case NTM_EINVAL:
	case NTM_ETOOBIG:
	case NTM_EDISABLED:
		return false;
	default:
		return true;
	}
}

static int64_t later(const struct ask *a)
{
	int64_t s = AGAIN_S;

	for (unsigned int i = 0; i < a->tries && s < AGAIN_MAX_S; i++)
		s *= 2;
	return ntmc_now(NULL) + (s < AGAIN_MAX_S ? s : AGAIN_MAX_S);
}

static int answered_run(struct desk_job *job, struct items *s)
{
	struct question *q = (struct question *)job;
	int r = 0;

	for (size_t i = 0; !r && i < q->n; i++) {
		if (q->codes[i] < 0 || (q->codes[i] && may_pass(q->codes[i])))
			r = items_ask_later(s, q->asks[i].id,
					    later(&q->asks[i]));
		else
			r = items_asked(s, &q->asks[i], q->codes[i],
					ntmc_now(NULL));
	}
	return r;
}

static void answered_done(struct desk_job *job, int err)
{
	struct question *q = (struct question *)job;
	struct exchange *x = q->x;

	if (err) /* asked again, which does no harm */
		log_warn("cs", "what the box answered is not stored: %s",
			 err_text(err));
	pthread_mutex_lock(&x->lock);
	for (size_t i = 0; !err && i < q->n; i++) {
		x->stats.asked += !q->codes[i];
		x->stats.later += q->codes[i] && may_pass(q->codes[i]);
		x->stats.refused += q->codes[i] && !may_pass(q->codes[i]);
	}
	pthread_mutex_unlock(&x->lock);
	question_free(q);
	exchange_wake(x);
}

/* the code for each that was asked for */
static bool read_results(struct question *q)
{
	json_t *j = json_loadb(q->got, q->got_len, 0, NULL), *entry;
	const json_t *results = json_object_get(j, "results");
	bool ok = json_is_array(results);
	size_t k;

	for (size_t i = 0; i < q->n; i++)
		q->codes[i] = -1;
	json_array_foreach(results, k, entry)
	{
		const char *to =
			json_string_value(json_object_get(entry, "to"));
		json_t *code = json_object_get(entry, "code");

		for (size_t i = 0; to && json_is_integer(code) && i < q->n; i++)
			if (q->asks[0].kind == ASK_STATUS ||
			    !strcmp(q->asks[i].name, to))
				q->codes[i] = (int)json_integer_value(code);
	}
	json_decref(j);
	return ok;
}

static void set_reached(struct exchange *x, bool reached, const char *why)
{
	bool was;

	pthread_mutex_lock(&x->lock);
	was = x->stats.reached;
	x->stats.reached = reached;
	pthread_mutex_unlock(&x->lock);
	if (reached) {
		x->pause_s = 0;
		x->pause_until = 0;
	} else {
		x->pause_s = x->pause_s ? 2 * x->pause_s : 1;
		if (x->pause_s > PAUSE_MAX_S)
			x->pause_s = PAUSE_MAX_S;
		x->pause_until = mono_s() + x->pause_s;
	}
	if (was && !reached)
		log_warn("cs", "the box does not answer: %s", why);
	else if (!was && reached)
		log_info("cs", "the box answers");
}

/* what came of a request. Return: 0, -NTM_EINVAL, -NTM_ETOOBIG (it is wrong, and will
 * be), -NTM_ESERVER (the box cannot do this one now), -NTM_EUNREACHABLE (nor others) */
static int outcome(struct question *q, CURLcode code, long status)
{
	if (code || status == 429 || status == 503)
		return -NTM_EUNREACHABLE;
	if (status == 200)
		return !q->n || read_results(q) ? 0 : -NTM_ESERVER;
	if (q->n && status == 400)
		return -NTM_EINVAL;
	if (q->n && status == 413)
		return -NTM_ETOOBIG;
	return -NTM_ESERVER;
}

static void set_codes(struct question *q, int code)
{
	for (size_t i = 0; i < q->n; i++)
		q->codes[i] = code;
}

static void ended(struct exchange *x, CURL *easy, CURLcode code)
{
	struct question *q = NULL;
	char why[32];
	long status = 0;
	int r;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &q);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(x->multi, easy);
	DL_DELETE(x->questions, q);
	x->running--;
	r = outcome(q, code, status);
	snprintf(why, sizeof(why), "it says %ld", status);
	if (r == -NTM_EINVAL || r == -NTM_ETOOBIG) {
		log_warn("cs",
			 "the box refuses what it is told of item %lld: %s",
			 (long long)q->asks[0].number, why);
		set_codes(q, -r);
		r = 0;
	}
	set_reached(x, !r, code ? curl_easy_strerror(code) : why);
	if (!q->n) {
		x->registering = false;
		if (r)
			x->register_at = mono_s() + x->pause_s;
		question_free(q);
		return;
	}
	if (r)
		x->failed = q->asks[q->n - 1].id;
	if (r == -NTM_EUNREACHABLE) {
		question_free(q);
		return;
	}
	if (r)
		set_codes(q, -1); /* later than others */
	q->job = (struct desk_job){.run = answered_run, .done = answered_done};
	desk_do(x->conf.desk, &q->job);
}

/* --- what is due ------------------------------------------------------------------------- */

struct due {
	struct exchange *x;
	struct question *q; /* being filled */
	struct question *ready[EXCHANGE_RUNNING];
	size_t n_ready, room;
};

static void close_question(struct due *d)
{
	if (d->q)
		d->ready[d->n_ready++] = d->q;
	d->q = NULL;
}

static void take(void *arg, const struct ask *a)
{
	struct due *d = arg;
	struct question *q = d->q;

	pthread_mutex_lock(&d->x->lock);
	if (is_flying(d->x, a->id))
		goto out;
	if (q &&
	    (q->asks[0].number != a->number || q->asks[0].kind != a->kind ||
	     a->kind == ASK_STATUS || q->n == RECEIVERS_MAX)) {
		close_question(d);
		q = NULL;
	}
	if (!q && d->n_ready < d->room) {
		q = calloc(1, sizeof(*q));
		if (q)
			q->x = d->x;
		d->q = q;
	}
	if (q && fly(d->x, a->id))
		q->asks[q->n++] = *a;
out:
	pthread_mutex_unlock(&d->x->lock);
}

/* what waits, to @d; behind the row @after. Return: is there anything? */
static bool find_due(struct exchange *x, struct due *d, int64_t after)
{
	if (items_asks_due(x->items, ntmc_now(NULL), after, DUE_MAX, take, d))
		log_err("cs", "the store cannot be read");
	if (d->q && d->n_ready < d->room)
		close_question(d);
	else if (d->q)
		question_free(d->q);
	d->q = NULL;
	return d->n_ready;
}

static void ask_due(struct exchange *x)
{
	struct due d = {.x = x, .room = EXCHANGE_RUNNING - x->running};

	if (x->running >= EXCHANGE_RUNNING || mono_s() < x->pause_until)
		return;
	/* a box that was away is asked one thing first */
	if (x->pause_s)
		d.room = x->running ? 0 : 1;
	if (!d.room)
		return;
	if (!x->pause_s || !find_due(x, &d, x->failed))
		(void)find_due(x, &d, 0);
	for (size_t i = 0; i < d.n_ready; i++) {
		struct question *q = d.ready[i];

		if (q->n)
			q->body = ask_body(x, q);
		if (!q->n || send_off(x, q, "/v1/exchange"))
			question_free(q);
	}
}

static void register_self(struct exchange *x)
{
	struct exchange_load load = {.room = 0};
	struct question *q;
	json_t *j;

	if (x->registering || mono_s() < x->register_at)
		return;
	q = calloc(1, sizeof(*q));
	if (!q)
		return;
	q->x = x;
	x->conf.load(x->conf.arg, &load);
	j = own_json(x);
	json_object_set_new(j, "room", json_integer((json_int_t)load.room));
	json_object_set_new(j, "items", json_integer((json_int_t)load.items));
	json_object_set_new(j, "bytes", json_integer((json_int_t)load.bytes));
	json_object_set_new(j, "draining", json_boolean(load.draining));
	q->body = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	x->register_at = mono_s() + REGISTER_S;
	if (send_off(x, q, "/v1/servers"))
		question_free(q);
	else
		x->registering = true;
}

/* --- the thread ------------------------------------------------------------------------- */

static bool is_stopped(struct exchange *x, bool *work)
{
	bool stop;

	pthread_mutex_lock(&x->lock);
	stop = x->stop;
	if (x->news)
		x->register_at = 0;
	x->news = false;
	*work = x->work;
	x->work = false;
	pthread_mutex_unlock(&x->lock);
	return stop;
}

static void *run(void *arg)
{
	struct exchange *x = arg;
	time_t looked = 0;
	bool work, full = false;

	prctl(PR_SET_NAME, "cs-exchange");
	while (!is_stopped(x, &work)) {
		int running, left;
		CURLMsg *m;

		register_self(x);
		/* each second what is due again; else when there is news */
		if (work || full || looked != mono_s()) {
			looked = mono_s();
			ask_due(x);
		}
		curl_multi_perform(x->multi, &running);
		full = x->running >= EXCHANGE_RUNNING;
		while ((m = curl_multi_info_read(x->multi, &left)))
			if (m->msg == CURLMSG_DONE)
				ended(x, m->easy_handle, m->data.result);
		full = full && x->running < EXCHANGE_RUNNING;
		if (!full)
			curl_multi_poll(x->multi, NULL, 0, POLL_MS, NULL);
	}
	return NULL;
}

static int prepare(struct exchange *x)
{
	const struct server_ways *box = &x->conf.box;
	char line[SERVERCONF_WAYS_MAX * ADDR_TEXT_LEN + FQDN_MAX + 16],
		text[ADDR_TEXT_LEN];
	struct curl_slist *more;
	size_t used;

	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return -NTM_ENOMEM;
	x->multi = curl_multi_init();
	curl_multi_setopt(x->multi, CURLMOPT_MAX_HOST_CONNECTIONS, CONNECTIONS);
	x->headers =
		curl_slist_append(NULL, "NTM-Version: ntm-server/" NTM_VERSION);
	more = x->headers ? curl_slist_append(x->headers,
					      "Content-Type: application/json")
			  : NULL;
	if (more)
		more = curl_slist_append(more, "Expect:");
	/* all of its addresses, under its name */
	used = (size_t)snprintf(line, sizeof(line),
				"+box.%s:%u:", x->conf.domain,
				addr_port(&box->a[0]));
	for (size_t i = 0; i < box->n; i++)
		used += (size_t)snprintf(line + used, sizeof(line) - used,
					 "%s%s", i ? "," : "",
					 addr_format_ip(&box->a[i], text));
	x->connect = curl_slist_append(NULL, line);
	return x->multi && more && x->connect ? 0 : -NTM_ENOMEM;
}

int exchange_new(const struct exchange_conf *conf, struct exchange **out)
{
	struct exchange *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -NTM_ENOMEM;
	x->conf = *conf;
	pthread_mutex_init(&x->lock, NULL);
	r = items_open(conf->db, &x->items);
	if (!r)
		r = prepare(x);
	if (!r && pthread_create(&x->thread, NULL, run, x))
		r = -NTM_ESYSTEM;
	x->thread_runs = !r;
	if (r)
		exchange_free(x);
	else
		*out = x;
	return r;
}

void exchange_stop(struct exchange *x)
{
	struct question *q, *tmp;

	if (!x || !x->thread_runs)
		return;
	pthread_mutex_lock(&x->lock);
	x->stop = true;
	pthread_mutex_unlock(&x->lock);
	curl_multi_wakeup(x->multi);
	pthread_join(x->thread, NULL);
	x->thread_runs = false;
	/* asked again after the next start */
	DL_FOREACH_SAFE (x->questions, q, tmp) {
		curl_multi_remove_handle(x->multi, q->easy);
		DL_DELETE(x->questions, q);
		question_free(q);
	}
}

void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	exchange_stop(x);
	if (x->multi)
		curl_multi_cleanup(x->multi);
	curl_slist_free_all(x->headers);
	curl_slist_free_all(x->connect);
	items_close(x->items);
	pthread_mutex_destroy(&x->lock);
	free(x);
}

void exchange_register(struct exchange *x)
{
	pthread_mutex_lock(&x->lock);
	x->news = true;
	pthread_mutex_unlock(&x->lock);
	curl_multi_wakeup(x->multi);
}

void exchange_wake(struct exchange *x)
{
	if (!x)
		return;
	pthread_mutex_lock(&x->lock);
	x->work = true;
	pthread_mutex_unlock(&x->lock);
	curl_multi_wakeup(x->multi);
}

void exchange_status(struct exchange *x, struct exchange_stats *out)
{
	pthread_mutex_lock(&x->lock);
	*out = x->stats;
	pthread_mutex_unlock(&x->lock);
}
