/* SPDX-License-Identifier: MIT */
/*
 * inbox_sync - the box's list, and what it says of items that we sent
 *
 * Theory of operation
 *
 * The list is read page by page into rows. What is new in it has a higher number than
 * all before, so the next time it is read from there (`cursor`). All of it is read at
 * first, after a login, when we are online again, when something went wrong, and each
 * hour: rows that it does not have any more then, and that are not here, are forgotten.
 *
 * News of what we sent stand in the same list: each is a question to a CS (outbox.c),
 * some at once, and is taken off the list when the answer is in the store. The cursor
 * waits for them: one that failed is listed again. A box can say what it likes: a list
 * without an end is read no further, and of news no more are kept than NEWS_MAX; the
 * others stay listed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/arrival.h"
#include "broker/post/face.h"
#include "broker/post/inbox_impl.h"
#include "broker/post/outbox.h"
#include "common/log.h"

#define PAGE_TEXT "250"
#define PAGE_MAX                                                               \
	(1u << 20) /* bytes: 250 entries of 4 KiB, as large as they may be */
#define NEWS_MAX    500
#define WORDS_MAX   16
#define WHOLE_S	    3600
#define ENTRIES_MAX 50000 /* a box keeps 20,000 of a receiver */
/* what a row's end may be, whatever the box says */
#define EXPIRES_MAX_S (ITEM_RETENTION_S + 86400)

/* --- news of what we sent
 * -------------------------------------------------------------------- */

static void news_next(struct inbox *b);

static void word_free(struct word *w)
{
	struct news *n = &w->inbox->news;
	struct word **at = &n->words;

	while (*at && *at != w)
		at = &(*at)->next;
	if (*at) {
		*at = w->next;
		n->n_words--;
	}
	web_cancel(w->call);
	free(w);
}

/* @failed: it stays listed, and is asked about again */
static void word_over(struct word *w, bool failed)
{
	struct inbox *b = w->inbox;

	b->news.failed += failed;
	b->news.done += !failed;
	word_free(w);
	news_next(b);
}

int inbox_off_list(struct post *p, int64_t entry, web_fn *done, void *arg,
		   struct web_call **out)
{
	char path[64];
	struct post_ask ask = {
		.method = "DELETE", .path = path, .together = true};

	snprintf(path, sizeof(path), "/v1/cache/%lld", (long long)entry);
	return post_ask(p, &ask, done, arg, out);
}

static void on_news_off(void *arg, const struct web_answer *a)
{
	struct word *w = arg;
	bool again;

	w->call = NULL;
	word_over(w, web_error(a, &again) && again);
}

static void on_news(void *arg, int err)
{
	struct word *w = arg;
	struct post *p = w->inbox->post;

	asking_changed(p->face);
	if ((err && err != -NTM_ENOTFOUND) ||
	    inbox_off_list(p, w->entry, on_news_off, w, &w->call))
		word_over(w, true);
}

static bool ids_take(const json_t *e, struct post_ids *ids)
{
	const char *a = json_string_value(json_object_get(e, "application"));
	const char *s = json_string_value(json_object_get(e, "service"));
	const char *i = json_string_value(json_object_get(e, "item"));

	if (!post_id_ok(a) || !post_id_ok(s) || !post_id_ok(i))
		return false;
	strcpy(ids->application, a);
	strcpy(ids->service, s);
	strcpy(ids->item, i);
	return true;
}

/* All were asked about. A Cache Server that did not answer is asked again. */
static void news_end(struct inbox *b)
{
	struct news *n = &b->news;

	json_decref(n->list);
	n->list = NULL;
	n->at = 0;
	if (!n->more && !n->failed)
		b->cursor = b->after;
	inbox_work(b);
	if (b->again || (n->more && n->done)) {
		inbox_sync(b);
	} else if (n->more || n->failed) {
		loop_timer_arm(b->retry, LOOP_S(post_retry_s(n->tries++)));
		post_check_idle(b->post);
	} else {
		n->tries = 0;
	}
}

static void word_start(struct inbox *b, const json_t *e)
{
	struct word *w = calloc(1, sizeof(*w));
	struct post_ids ids;
	int err;

	if (!w) {
		b->news.failed++;
		return;
	}
	w->inbox = b;
	w->entry = json_integer_value(json_object_get(e, "id"));
	w->next = b->news.words;
	b->news.words = w;
	b->news.n_words++;
	err = !ids_take(e, &ids)
		      ? -NTM_ENOTFOUND
		      : outbox_ask(b->post->outbox, &ids,
				   json_object_get(e, "cs"), on_news, w);
	if (err)
		on_news(w, err);
}

/* a word that fails at once comes back here from within: each is taken once */
static void news_next(struct inbox *b)
{
	struct news *n = &b->news;

	while (n->at < json_array_size(n->list) && n->n_words < WORDS_MAX)
		word_start(b, json_array_get(n->list, n->at++));
	if (n->list && !b->listing && !n->n_words)
		news_end(b);
}

/* --- the list
 * ------------------------------------------------------------------------------ */

static const char *text_of(const json_t *e, const char *key)
{
	const char *s = json_string_value(json_object_get(e, key));

	return s ? s : "";
}

/* 32 bytes in base64url, as they go into paths and header fields; or NULL */
static void bind_hash(struct store *st, enum post_statement which, int column,
		      const json_t *e, const char *key)
{
	uint8_t hash[NTMC_HASH_LEN];

	if (!post_binary_get(e, key, hash, sizeof(hash)))
		store_bind_text(st, which, column, text_of(e, key));
}

/* struct listed - an entry that makes sense */
struct listed {
	const json_t *e;
	char sender[FQDN_MAX + 1];
	struct post_ids ids;
	int64_t expires;
	char *cs;
};

static int entry_write(struct inbox *b, enum post_statement which,
		       const struct listed *l)
{
	struct store *st = b->post->store;

	store_bind_text(st, which, 1, l->sender);
	store_bind_text(st, which, 2, l->ids.application);
	store_bind_text(st, which, 3, l->ids.service);
	store_bind_text(st, which, 4, l->ids.item);
	store_bind_text(st, which, 5, text_of(l->e, "message"));
	store_bind_int(st, which, 6,
		       json_integer_value(json_object_get(l->e, "id")));
	bind_hash(st, which, 7, l->e, "key_hash");
	bind_hash(st, which, 8, l->e, "data_hash");
	store_bind_int(st, which, 9,
		       json_integer_value(json_object_get(l->e, "size")));
	store_bind_text(st, which, 10, l->cs ? l->cs : "");
	bind_hash(st, which, 11, l->e, "ticket");
	bind_hash(st, which, 12, l->e, "temporal_hash");
	store_bind_int(st, which, 13,
		       json_integer_value(json_object_get(l->e, "at")));
	store_bind_int(st, which, 14, l->expires);
	return store_run(st, which);
}

/* Return: the row's number, 0: there is none, or an error */
static int64_t row_find(struct inbox *b, const struct listed *l)
{
	struct store *st = b->post->store;
	int64_t id = 0;
	int r;

	store_bind_text(st, IN_FIND, 1, l->ids.application);
	store_bind_text(st, IN_FIND, 2, l->ids.service);
	store_bind_text(st, IN_FIND, 3, l->ids.item);
	store_bind_text(st, IN_FIND, 4, l->sender);
	r = store_step(st, IN_FIND);
	if (r > 0) {
		id = store_int(st, IN_FIND, 0);
		store_reset(st, IN_FIND);
	}
	return r < 0 ? r : id;
}

/* What the list has anew of an item that is done with, or again of one we had */
int inbox_known_again(struct inbox *b, int64_t id)
{
	struct store *st = b->post->store;
	int r;

	store_bind_int(st, IN_UNWANTED, 1, id);
	r = store_run(st, IN_UNWANTED);
	if (r)
		return r;
	store_bind_int(st, IN_ANEW, 1, id);
	r = store_run(st, IN_ANEW);
	if (!r && store_changes(st))
		arrival_count_anew(b->post);
	store_bind_int(st, IN_KNOWN, 1, id);
	return r ? r : store_run(st, IN_KNOWN);
}

static int entry_take(struct inbox *b, const json_t *e)
{
	int64_t latest = post_now(b->post) + EXPIRES_MAX_S, id;
	struct listed l = {.e = e};
	int err;

	if (!ids_take(e, &l.ids) ||
	    fqdn_normalize(text_of(e, "from"), l.sender)) {
		log_warn("inbox", "the box lists what is no item");
		return 0;
	}
	arrival_entry(b->post, l.sender, &l.ids);
	l.expires = json_integer_value(json_object_get(e, "expires"));
	if (l.expires > latest)
		l.expires = latest;
	l.cs = json_dumps(json_object_get(e, "cs"), JSON_COMPACT);
	id = row_find(b, &l);
	err = id < 0 ? (int)id : entry_write(b, id ? IN_ENTRY : IN_NEW, &l);
	free(l.cs);
	if (!err && !id) {
		id = row_find(b, &l);
		arrival_count_anew(b->post);
	}
	return err ? err : id < 0 ? (int)id : inbox_known_again(b, id);
}

static int page_take(struct inbox *b, const json_t *entries)
{
	int err = store_begin(b->post->store);
	int64_t number;
	size_t i;
	json_t *e;

	if (err)
		return err;
	b->entries += json_array_size(entries);
	json_array_foreach(entries, i, e)
	{
		number = json_integer_value(json_object_get(e, "number"));
		if (number > b->after)
			b->after = number;
		if (strcmp(text_of(e, "kind"), "status"))
			err = err ? err : entry_take(b, e);
		else if (json_array_size(b->news.list) < NEWS_MAX)
			json_array_append(b->news.list, e);
		else
			b->news.more = true;
	}
	if (!err)
		return store_commit(b->post->store);
	store_rollback(b->post->store);
	return err;
}

static void gone_one(struct inbox *b, int64_t id)
{
	struct store *st = b->post->store;
	enum in_state state = IN_HAVE;
	int64_t entry = 0;
	int err;

	if (inbox_job(b, id))
		return;
	store_bind_int(st, IN_GET, 1, id);
	if (store_step(st, IN_GET) > 0) {
		state = (enum in_state)store_int(st, IN_GET, 6);
		entry = store_int(st, IN_GET, 8);
		store_reset(st, IN_GET);
	}
	if (state == IN_LISTED || state == IN_HELD)
		err = inbox_row_delete(b->post, id);
	else
		err = inbox_row_seen(b->post, id, entry);
	if (err)
		log_err("inbox", "the store cannot be written");
}

/* What no list has any more: withdrawn, or expired. What is here stays. */
static void gone_forget(struct inbox *b)
{
	struct store *st = b->post->store;
	int64_t ids[256], last = 0;
	size_t n, i;

	do {
		store_bind_int(st, IN_GONE, 1, last);
		for (n = 0; n < 256 && store_step(st, IN_GONE) > 0; n++)
			ids[n] = store_int(st, IN_GONE, 0);
		store_reset(st, IN_GONE);
		for (i = 0; i < n; i++)
			gone_one(b, ids[i]);
		last = n ? ids[n - 1] : 0;
	} while (n == 256);
}

static void page_ask(struct inbox *b);

static void old_forget(struct inbox *b)
{
	struct store *st = b->post->store;
	int r;

	store_bind_int(st, IN_OLD, 1, post_now(b->post));
	r = store_run(st, IN_OLD);
	store_bind_int(st, HAD_OLD, 1, post_now(b->post));
	if (r || store_run(st, HAD_OLD))
		log_err("inbox", "the store cannot be written");
}

static void listed(struct inbox *b)
{
	if (b->whole)
		gone_forget(b);
	if (b->whole && post_clock_agrees(b->post)) {
		old_forget(b);
		arrival_forget_stale(b->post);
	}
	b->tries = 0;
	asking_changed(b->post->face);
	news_next(b);
}

static void listing_failed(struct inbox *b, const char *why)
{
	unsigned int s = post_retry_s(b->tries++);

	log_info("inbox", "the box's list: %s; again in %u s", why, s);
	inbox_whole(b);
	loop_timer_arm(b->retry, LOOP_S(s));
	json_decref(b->news.list);
	b->news.list = NULL;
	post_check_idle(b->post);
}

static void on_page(void *arg, const struct web_answer *a)
{
	struct inbox *b = arg;
	int64_t after = b->after;
	bool again;
	int err = web_error(a, &again);

	b->listing = NULL;
	if (err) {
		listing_failed(b, web_text(a));
		return;
	}
	err = page_take(b, json_object_get(a->json, "entries"));
	if (err) {
		listing_failed(b, err_text(err));
		return;
	}
	if (json_is_true(json_object_get(a->json, "more"))) {
		if (b->after > after && b->entries < ENTRIES_MAX)
			page_ask(b);
		else
			listing_failed(b, "it has no end");
		return;
	}
	b->serial = (uint64_t)json_integer_value(
		json_object_get(a->json, "serial"));
	listed(b);
}

static void page_ask(struct inbox *b)
{
	char path[96];
	struct post_ask ask = {
		.method = "GET", .path = path, .json_max = PAGE_MAX};
	int err;

	snprintf(path, sizeof(path), "/v1/cache?after=%lld&limit=" PAGE_TEXT,
		 (long long)b->after);
	err = post_ask(b->post, &ask, on_page, b, &b->listing);
	if (err)
		listing_failed(b, err_text(err));
}

void inbox_whole(struct inbox *b)
{
	b->whole_at = 0;
}

void inbox_sync(struct inbox *b)
{
	int64_t now = post_now(b->post);
	struct web_server box;

	/* news of a list before are worked off first */
	b->again = b->listing || b->news.list;
	if (b->again || post_box(b->post, &box))
		return;
	loop_timer_disarm(b->retry);
	/* the second: the clock was ahead */
	b->whole = now >= b->whole_at || b->whole_at > now + WHOLE_S;
	if (b->whole) {
		b->cursor = 0;
		b->whole_at = now + WHOLE_S;
	}
	b->after = b->cursor;
	b->entries = 0;
	b->news.list = json_array();
	b->news.done = b->news.failed = 0;
	b->news.more = false;
	if (b->whole && store_run(b->post->store, IN_MARK)) {
		listing_failed(b, "the store cannot be written");
		return;
	}
	page_ask(b);
}

static void on_retry(void *arg)
{
	inbox_sync(arg);
}

int inbox_sync_open(struct inbox *b)
{
	return loop_timer_new(b->post->loop, on_retry, b, &b->retry);
}

void inbox_sync_drop(struct inbox *b)
{
	while (b->news.words)
		word_free(b->news.words);
	web_cancel(b->listing);
	b->listing = NULL;
	json_decref(b->news.list);
	b->news.list = NULL;
	b->news.at = 0;
	inbox_whole(b);
}

void inbox_sync_close(struct inbox *b)
{
	inbox_sync_drop(b);
	loop_timer_free(b->retry);
}
