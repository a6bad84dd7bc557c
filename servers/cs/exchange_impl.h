/* SPDX-License-Identifier: MIT */
/*
 * exchange_impl - the exchange, as its parts see it
 *
 *   exchange.c        the thread; what comes of an answer
 *   exchange_due.c    which rows go together next, and which are under way
 *   exchange_words.c  what is said to the box, and what its answer says
 *   exchange_web.c    one request, by libcurl
 *
 * Owner: exchange.h; for these files alone. Context: the exchange's thread, but for what
 *        stands under the lock.
 */
#ifndef NTM_SERVERS_CS_EXCHANGE_IMPL_H
#define NTM_SERVERS_CS_EXCHANGE_IMPL_H

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <time.h>

#include "servers/cs/exchange.h"

#define ENTRIES_MAX HTTP_BATCH_MAX
#define ROWS_MAX    128	  /* of one question: its body has room for as many */
#define ANSWER_MAX  65536 /* holds ROWS_MAX results */

/* what stands in place of a code, which is 0 or positive */
#define CODE_LATER (-1) /* this one cannot be done now */
#define CODE_NONE  (-2) /* nothing was said of it: as if it had not been asked */

/* struct entry - an exchange request: rows of one item and kind. @said: it is in the body;
 * @with: in the entry before, which is of the keys of the same item and receivers */
struct entry {
	size_t first, n;
	bool said, with;
};

/**
 * struct question - one HTTP request: several exchange requests, or a registration
 * @far: its receivers are of another domain, which may be slow; @account: of the sender
 *       then
 */
struct question {
	struct desk_job job;
	struct question *prev, *next; /* that run */
	struct exchange *x;
	CURL *easy;
	char *body;
	char got[ANSWER_MAX];
	size_t got_len;
	bool registers, far;
	char account[FQDN_MAX + 1];
	size_t n_entries, n;
	struct entry entries[ENTRIES_MAX];
	struct ask asks[ROWS_MAX];
	int codes[ROWS_MAX];
};

struct flying;

struct exchange {
	struct exchange_conf conf;
	struct items *items;
	CURLM *multi;
	struct curl_slist *headers, *connect;
	pthread_t thread;
	bool thread_runs;
	struct question *questions;
	unsigned int running[2]; /* near, far */
	bool registering;
	time_t register_at, pause_until;
	unsigned int pause_s;
	int64_t failed; /* the last row of a request that failed */
	char turn[FQDN_MAX +
		  1]; /* the account where a look ended for want of room */

	pthread_mutex_t lock;  /* below */
	bool stop, work, news; /* @news: of ourselves */
	struct flying *flying;
	struct exchange_stats stats;
};

/* --- exchange.c --- */

time_t exchange_mono_s(void);

/* --- exchange_due.c --- */

/** makes the questions that are due, and sends them */
void exchange_ask_due(struct exchange *x);
/** it runs no more: its rows may be asked again; any thread */
void question_free(struct question *q);

/* --- exchange_words.c --- */

/** where this Cache Server is; new reference */
json_t *exchange_own(const struct exchange *x);
/** q->body, and which entries it has. Return: false: there is nothing to say */
bool exchange_body(struct exchange *x, struct question *q);
/**
 * exchange_read() - q->codes, of the answer to all of it
 * Return: 0; -NTM_ESERVER: the box can do none of it now; -NTM_EUNREACHABLE: it takes
 *         nothing now
 */
NTM_MUST_CHECK int exchange_read(struct question *q);
/** may the box say something else, another time? */
bool exchange_may_pass(int code);

/* --- exchange_web.c --- */

NTM_MUST_CHECK int exchange_web_open(struct exchange *x);
void exchange_web_close(struct exchange *x);
/** q->body to @path. Return: 0: it runs; -NTM_ENOMEM */
NTM_MUST_CHECK int exchange_send(struct exchange *x, struct question *q,
				 const char *path);
/** it runs no more */
void exchange_take_off(struct exchange *x, struct question *q);

#endif
