/* SPDX-License-Identifier: MIT */
/*
 * exchange - what the Cache Server asks of its domain's box
 *
 * Theory of operation
 *
 * The store has a row for each receiver and kind (asks): one is there in the same
 * commit as what it tells of. The thread reads those that are due, makes exchange
 * requests of them, one of all rows of an item and kind, and sends many of those at once
 * (exchange_due.c). The box answers each of them, and in it for each receiver:
 *
 *   0                          the row goes; the receiver is told
 *   an error that may pass     (exchange_may_pass()) the row is due later
 *   any other                  the row goes; the receiver is refused, the sender is told
 *
 * What it writes are jobs of the desk.
 *
 * A box that does not answer, or answers what it should not, makes all wait: 1 s,
 * doubling to 30 s. When it is there again all is asked, whatever its row says of tries.
 * It is asked one thing then, each time the next one: what one item makes it do must not
 * keep the others waiting. An exchange request that it finds wrong (400, 413) is refused
 * for good; one of several that it cannot do now waits by itself.
 */
#include "servers/cs/exchange_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <utlist.h>

#include "common/log.h"

#define REGISTER_S  30
#define PAUSE_MAX_S 30
#define AGAIN_S	    5
#define AGAIN_MAX_S 600
#define POLL_MS	    1000

time_t exchange_mono_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* --- what was answered, in the store ------------------------------------------------------ */

static int64_t later(const struct ask *a)
{
	int64_t s = AGAIN_S;

	for (unsigned int i = 0; i < a->tries && s < AGAIN_MAX_S; i++)
		s *= 2;
	return ntmc_now(NULL) + (s < AGAIN_MAX_S ? s : AGAIN_MAX_S);
}

static bool is_later(int code)
{
	return code == CODE_LATER || (code > 0 && exchange_may_pass(code));
}

static int answered_run(struct desk_job *job, struct items *s)
{
	struct question *q = (struct question *)job;
	int r = 0;

	for (size_t i = 0; !r && i < q->n; i++) {
		if (q->codes[i] == CODE_NONE)
			continue;
		if (is_later(q->codes[i]))
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
		x->stats.later += is_later(q->codes[i]);
		x->stats.refused += q->codes[i] > 0 && !is_later(q->codes[i]);
	}
	pthread_mutex_unlock(&x->lock);
	question_free(q);
	exchange_wake(x);
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
		x->pause_until = exchange_mono_s() + x->pause_s;
	}
	if (was && !reached)
		log_warn("cs", "the box does not answer: %s", why);
	else if (!was && reached)
		log_info("cs", "the box answers");
}

/* what came of a registration, or of all exchange requests in one. Return: 0,
 * -NTM_ESERVER (the box cannot do this now), -NTM_EUNREACHABLE (nor anything else) */
static int outcome(struct question *q, CURLcode code, long status)
{
	if (code || status == 429 || status == 503)
		return -NTM_EUNREACHABLE;
	if (status != 200)
		return -NTM_ESERVER;
	return q->registers ? 0 : exchange_read(q);
}

static void ended(struct exchange *x, CURL *easy, CURLcode code)
{
	struct question *q = NULL;
	char why[32];
	long status = 0;
	int r;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &q);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	exchange_take_off(x, q);
	for (size_t i = 0; i < q->n; i++) /* later than others */
		q->codes[i] = CODE_LATER;
	r = outcome(q, code, status);
	snprintf(why, sizeof(why), "it says %ld", status);
	set_reached(x, !r, code ? curl_easy_strerror(code) : why);
	if (q->registers) {
		x->registering = false;
		if (r)
			x->register_at = exchange_mono_s() + x->pause_s;
		question_free(q);
		return;
	}
	if (r)
		x->failed = q->asks[q->n - 1].id;
	if (code || status == 429 || status == 503) { /* nothing is counted */
		question_free(q);
		return;
	}
	q->job = (struct desk_job){.run = answered_run, .done = answered_done};
	desk_do(x->conf.desk, &q->job);
}

/* --- that it be listed -------------------------------------------------------------------- */

static void register_self(struct exchange *x)
{
	struct exchange_load load = {.room = 0};
	struct question *q;
	json_t *j;

	if (x->registering || exchange_mono_s() < x->register_at)
		return;
	q = calloc(1, sizeof(*q));
	if (!q)
		return;
	q->x = x;
	q->registers = true;
	x->conf.load(x->conf.arg, &load);
	j = exchange_own(x);
	json_object_set_new(j, "room", json_integer((json_int_t)load.room));
	json_object_set_new(j, "items", json_integer((json_int_t)load.items));
	json_object_set_new(j, "bytes", json_integer((json_int_t)load.bytes));
	json_object_set_new(j, "draining", json_boolean(load.draining));
	q->body = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	x->register_at = exchange_mono_s() + REGISTER_S;
	if (exchange_send(x, q, "/v1/servers"))
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
	bool work, free_way = false;

	prctl(PR_SET_NAME, "cs-exchange");
	while (!is_stopped(x, &work)) {
		int running, left;
		CURLMsg *m;

		register_self(x);
		/* each second what is due again; else when there is news, or a way is free */
		if (work || free_way || looked != exchange_mono_s()) {
			looked = exchange_mono_s();
			exchange_ask_due(x);
		}
		curl_multi_perform(x->multi, &running);
		free_way = false;
		while ((m = curl_multi_info_read(x->multi, &left)))
			if (m->msg == CURLMSG_DONE) {
				ended(x, m->easy_handle, m->data.result);
				free_way = true;
			}
		if (!free_way)
			curl_multi_poll(x->multi, NULL, 0, POLL_MS, NULL);
	}
	return NULL;
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
		r = exchange_web_open(x);
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
		exchange_take_off(x, q);
		question_free(q);
	}
}

void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	exchange_stop(x);
	exchange_web_close(x);
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
	bool woken;

	if (!x)
		return;
	pthread_mutex_lock(&x->lock);
	woken = x->work;
	x->work = true;
	pthread_mutex_unlock(&x->lock);
	if (!woken)
		curl_multi_wakeup(x->multi);
}

void exchange_status(struct exchange *x, struct exchange_stats *out)
{
	pthread_mutex_lock(&x->lock);
	*out = x->stats;
	pthread_mutex_unlock(&x->lock);
}
