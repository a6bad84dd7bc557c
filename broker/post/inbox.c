/* SPDX-License-Identifier: MIT */
/*
 * inbox - items for this device: the box's list, jobs, what is here
 *
 * Theory of operation
 *
 * The list is read page by page into rows; rows that it does not have any more, and
 * that are not here, are forgotten. News of what we sent stand in the same list:
 * each is a question to a CS (outbox.c), one after another, and is taken off the list
 * when the answer is in the store. Then rows that are due become jobs (fetching.c).
 */
#include "broker/post/inbox.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/post/desktop.h"
#include "broker/post/face.h"
#include "broker/post/fetching.h"
#include "broker/post/outbox.h"
#include "common/log.h"

#define PAGE_TEXT  "500"
#define REMOVE_FDS 16

/* struct news - entries of kind status, worked off one by one */
struct news {
	json_t *list;
	int64_t entry;
	struct web_call *call;
};

struct inbox {
	struct post *post;
	struct fetching *jobs;
	size_t n_jobs;
	struct loop_timer *due;
	struct web_call *listing;
	int64_t after;
	bool again; /* a listing was asked for while one ran */
	unsigned int tries;
	struct loop_timer *retry;
	uint64_t serial;
	struct news news;
};

/* --- folders
 * ------------------------------------------------------------------------------- */

bool inbox_folder(const struct post *p, int64_t id, char *path, size_t size)
{
	return (size_t)snprintf(path, size, "%s/in.%lld", p->who.dir,
				(long long)id) < size;
}

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *f)
{
	(void)st, (void)flag, (void)f;
	remove(path);
	return 0;
}

static void folder_remove(const struct post *p, int64_t id)
{
	char path[512];

	if (inbox_folder(p, id, path, sizeof(path)))
		nftw(path, remove_one, REMOVE_FDS, FTW_DEPTH | FTW_PHYS);
}

/* --- ends of jobs
 * --------------------------------------------------------------------------- */

void fetching_free(struct fetching *f)
{
	struct fetching **at = &f->inbox->jobs;

	while (*at && *at != f)
		at = &(*at)->next;
	if (*at) {
		*at = f->next;
		f->inbox->n_jobs--;
	}
	web_cancel(f->call);
	unpack_close(f->unpack);
	blob_free(f->blob);
	ntmc_wipe(f, sizeof(*f));
	free(f);
}

static void over(struct fetching *f)
{
	struct inbox *b = f->inbox;

	fetching_free(f);
	loop_timer_arm(b->due, 0);
}

void fetching_later(struct fetching *f, int err, const char *text,
		    unsigned int retry_s)
{
	struct store *st = f->post->store;
	unsigned int wait = post_retry_s(f->tries);

	if (retry_s > wait)
		wait = retry_s;
	log_info("inbox", "item %lld of %s: %s; again in %u s",
		 (long long)f->id, f->sender, text ? text : err_text(err),
		 wait);
	store_bind_int(st, IN_TRY, 1, f->id);
	store_bind_int(st, IN_TRY, 2, post_now(f->post) + wait);
	store_bind_int(st, IN_TRY, 3, f->tries + 1);
	store_bind_int(st, IN_TRY, 4, -err);
	store_bind_text(st, IN_TRY, 5, text ? text : err_text(err));
	if (store_run(st, IN_TRY))
		log_err("inbox", "the store cannot be written");
	over(f);
}

static int row_state(struct post *p, int64_t id, enum in_state state, int err,
		     const char *text)
{
	struct store *st = p->store;

	store_bind_int(st, IN_STATE, 1, id);
	store_bind_int(st, IN_STATE, 2, state);
	store_bind_int(st, IN_STATE, 3, -err);
	store_bind_text(st, IN_STATE, 4,
			text  ? text
			: err ? err_text(err)
			      : "");
	return store_run(st, IN_STATE);
}

/* "report.pdf", "photos and 3 more", or what a text begins with */
static void title_make(struct post *p, int64_t id, char *title, size_t size)
{
	struct manifest_reader *r = malloc(sizeof(*r));
	struct entry *e = malloc(sizeof(*e));
	char folder[512];
	size_t tops = 0;
	int fd = -1;

	*title = '\0';
	if (r && e && inbox_folder(p, id, folder, sizeof(folder)) &&
	    !unpack_manifest(folder, r, &fd)) {
		while (manifest_next(r, e) > 0)
			if (!strchr(e->path, '/') && !tops++)
				snprintf(title, size, "%.200s",
					 e->kind == ENTRY_TEXT ? "a text"
							       : e->path);
		post_trim(title);
		close(fd);
		if (tops > 1)
			snprintf(title + strlen(title), size - strlen(title),
				 " and %zu more", tops - 1);
	}
	free(r);
	free(e);
}

static void arrived(struct fetching *f)
{
	struct store *st = f->post->store;
	char title[300];

	title_make(f->post, f->id, title, sizeof(title));
	store_bind_int(st, IN_TITLE, 1, f->id);
	store_bind_text(st, IN_TITLE, 2, title);
	if (store_run(st, IN_TITLE))
		log_err("inbox", "the store cannot be written");
	log_info("inbox", "item %lld of %s is here", (long long)f->id,
		 f->sender);
	desktop_say(f->sender, title);
}

void fetching_state(struct fetching *f, enum in_state state, int err,
		    const char *text)
{
	struct inbox *b = f->inbox;
	int r = row_state(f->post, f->id, state, err, text);

	if (r) {
		fetching_later(f, r, NULL, 0);
		return;
	}
	if (state == IN_HAVE)
		arrived(f);
	else
		log_info("inbox", "item %lld of %s is %s: %s", (long long)f->id,
			 f->sender, state == IN_HELD ? "held" : "refused",
			 text ? text : err_text(err));
	if (state == IN_REFUSED)
		folder_remove(f->post, f->id);
	over(f);
	face_changed(b->post->face);
}

void fetching_done(struct fetching *f)
{
	store_bind_int(f->post->store, IN_SEEN, 1, f->id);
	if (store_run(f->post->store, IN_SEEN))
		log_err("inbox", "the store cannot be written");
	over(f);
}

static int row_delete(struct post *p, int64_t id)
{
	folder_remove(p, id);
	store_bind_int(p->store, IN_DELETE, 1, id);
	return store_run(p->store, IN_DELETE);
}

/* The CS has it no more. What the box lists still will not come either. */
static void on_gone(void *arg, const struct web_answer *a)
{
	struct fetching *f = arg;

	(void)a;
	f->call = NULL;
	log_info("inbox", "item %lld of %s was withdrawn", (long long)f->id,
		 f->sender);
	if (row_delete(f->post, f->id))
		log_err("inbox", "the store cannot be written");
	over(f);
}

void fetching_gone(struct fetching *f)
{
	struct web_server box;
	char path[64];
	struct post_ask ask = {
		.server = &box, .method = "DELETE", .path = path};

	snprintf(path, sizeof(path), "/v1/cache/%lld", (long long)f->entry);
	if (post_box(f->post, &box) ||
	    post_ask(f->post, &ask, on_gone, f, &f->call))
		fetching_later(f, -NTM_ENOTFOUND, NULL, 0);
}

/* --- jobs
 * ---------------------------------------------------------------------------------- */

static void text_take(struct store *st, int column, char *out, size_t size)
{
	snprintf(out, size, "%s", store_text(st, IN_GET, column));
}

/* the row that IN_GET stands on */
static int job_fill(struct fetching *f)
{
	struct store *st = f->post->store;
	json_t *cs;
	int err;

	text_take(st, 1, f->sender, sizeof(f->sender));
	text_take(st, 2, f->ids.application, sizeof(f->ids.application));
	text_take(st, 3, f->ids.service, sizeof(f->ids.service));
	text_take(st, 4, f->ids.item, sizeof(f->ids.item));
	post_item_id(&f->ids, f->item);
	f->state = (enum in_state)store_int(st, IN_GET, 6);
	f->entry = store_int(st, IN_GET, 8);
	text_take(st, 9, f->key_hash, sizeof(f->key_hash));
	text_take(st, 10, f->data_hash, sizeof(f->data_hash));
	f->size = (uint64_t)store_int(st, IN_GET, 11);
	text_take(st, 13, f->ticket, sizeof(f->ticket));
	text_take(st, 14, f->temporal, sizeof(f->temporal));
	f->has_key = store_blob(st, IN_GET, 17, f->k.b, sizeof(f->k.b)) ==
		     sizeof(f->k.b);
	store_blob(st, IN_GET, 18, f->signer, sizeof(f->signer));
	f->code = (int)store_int(st, IN_GET, 22);
	f->tries = (unsigned int)store_int(st, IN_GET, 25);
	cs = json_loads(store_text(st, IN_GET, 12), 0, NULL);
	err = post_server(f->post, cs, &f->cs);
	json_decref(cs);
	return err;
}

static bool wanted(struct post *p, int64_t id)
{
	bool yes = false;

	store_bind_int(p->store, IN_GET, 1, id);
	if (store_step(p->store, IN_GET) > 0) {
		yes = store_int(p->store, IN_GET, 7) ||
		      store_int(p->store, IN_GET, 6) != IN_LISTED ||
		      who_allows(&p->who, store_text(p->store, IN_GET, 1));
		store_reset(p->store, IN_GET);
	}
	return yes;
}

static struct fetching *job_find(struct inbox *b, int64_t id)
{
	struct fetching *f;

	for (f = b->jobs; f && f->id != id; f = f->next)
		;
	return f;
}

struct post *inbox_post(struct inbox *b)
{
	return b->post;
}

const struct fetching *inbox_job(struct inbox *b, int64_t id)
{
	return job_find(b, id);
}

static void job_start(struct inbox *b, int64_t id)
{
	struct store *st = b->post->store;
	struct fetching *f;
	int r;

	if (!wanted(b->post, id)) {
		if (row_state(b->post, id, IN_HELD, -NTM_EPOLICY,
			      "its sender is not allowed to send unasked; "
			      "`ntm receive` with its number fetches it"))
			log_err("inbox", "the store cannot be written");
		return;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return;
	f->inbox = b;
	f->post = b->post;
	f->id = id;
	f->next = b->jobs;
	b->jobs = f;
	b->n_jobs++;
	store_bind_int(st, IN_GET, 1, id);
	r = store_step(st, IN_GET);
	if (r > 0) {
		r = job_fill(f);
		store_reset(st, IN_GET);
	}
	if (r == -NTM_ECERT)
		fetching_state(f, IN_HELD, r,
			       "its domain is not known here; `ntm allow` with "
			       "the domain's name lets it in");
	else if (r)
		fetching_later(f, r, NULL, 0);
	else
		fetching_step(f);
}

void inbox_work(struct inbox *b)
{
	struct store *st = b->post->store;
	int64_t ids[64];
	size_t n = 0, i;
	unsigned int s;

	if (!b->post->who.logged_in)
		return;
	who_load_known(&b->post->who);
	store_bind_int(st, IN_DUE, 1, post_now(b->post));
	while (n < 64 && store_step(st, IN_DUE) > 0)
		ids[n++] = store_int(st, IN_DUE, 0);
	store_reset(st, IN_DUE);
	for (i = 0; i < n && b->n_jobs < INBOX_JOBS_MAX; i++)
		if (!job_find(b, ids[i]))
			job_start(b, ids[i]);
	s = inbox_again_s(b);
	if (n == 64 && b->n_jobs < INBOX_JOBS_MAX)
		loop_timer_arm(b->due, 0);
	else if (s && !loop_timer_armed(b->due))
		loop_timer_arm(b->due, LOOP_S(s));
	post_check_idle(b->post);
}

static void on_due(void *arg)
{
	inbox_work(arg);
}

/* --- news of what we sent
 * -------------------------------------------------------------------- */

static void news_next(struct inbox *b);

static void on_news_off(void *arg, const struct web_answer *a)
{
	struct inbox *b = arg;

	(void)a; /* it stays listed then, and is asked about again */
	b->news.call = NULL;
	news_next(b);
}

static void on_news(void *arg, int err)
{
	struct inbox *b = arg;
	struct web_server box;
	char path[64];
	struct post_ask ask = {
		.server = &box, .method = "DELETE", .path = path};

	snprintf(path, sizeof(path), "/v1/cache/%lld",
		 (long long)b->news.entry);
	face_changed(b->post->face);
	if ((err && err != -NTM_ENOTFOUND) || post_box(b->post, &box) ||
	    post_ask(b->post, &ask, on_news_off, b, &b->news.call))
		news_next(b);
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

static void news_next(struct inbox *b)
{
	struct news *n = &b->news;
	struct post_ids ids;
	json_t *e;
	int err;

	if (!json_array_size(n->list)) {
		json_decref(n->list);
		n->list = NULL;
		n->entry = 0;
		inbox_work(b);
		if (b->again)
			inbox_sync(b);
		return;
	}
	e = json_incref(json_array_get(n->list, 0));
	json_array_remove(n->list, 0);
	n->entry = json_integer_value(json_object_get(e, "id"));
	err = !ids_take(e, &ids)
		      ? -NTM_ENOTFOUND
		      : outbox_ask(b->post->outbox, &ids,
				   json_object_get(e, "cs"), on_news, b);
	json_decref(e);
	if (err)
		on_news(b, err);
}

/* --- the list
 * ------------------------------------------------------------------------------ */

static const char *text_of(const json_t *e, const char *key)
{
	const char *s = json_string_value(json_object_get(e, key));

	return s ? s : "";
}

static void bind_or_null(struct store *st, int column, const char *text)
{
	if (*text)
		store_bind_text(st, IN_ENTRY, column, text);
}

static int entry_take(struct inbox *b, const json_t *e)
{
	struct store *st = b->post->store;
	struct post_ids ids;
	char sender[FQDN_MAX + 1];
	char *cs;
	int err;

	if (!ids_take(e, &ids) || fqdn_normalize(text_of(e, "from"), sender)) {
		log_warn("inbox", "the box lists what is no item");
		return 0;
	}
	cs = json_dumps(json_object_get(e, "cs"), JSON_COMPACT);
	store_bind_text(st, IN_ENTRY, 1, sender);
	store_bind_text(st, IN_ENTRY, 2, ids.application);
	store_bind_text(st, IN_ENTRY, 3, ids.service);
	store_bind_text(st, IN_ENTRY, 4, ids.item);
	store_bind_text(st, IN_ENTRY, 5, text_of(e, "message"));
	store_bind_int(st, IN_ENTRY, 6,
		       json_integer_value(json_object_get(e, "id")));
	bind_or_null(st, 7, text_of(e, "key_hash"));
	bind_or_null(st, 8, text_of(e, "data_hash"));
	store_bind_int(st, IN_ENTRY, 9,
		       json_integer_value(json_object_get(e, "size")));
	store_bind_text(st, IN_ENTRY, 10, cs ? cs : "");
	bind_or_null(st, 11, text_of(e, "ticket"));
	bind_or_null(st, 12, text_of(e, "temporal_hash"));
	store_bind_int(st, IN_ENTRY, 13,
		       json_integer_value(json_object_get(e, "at")));
	store_bind_int(st, IN_ENTRY, 14,
		       json_integer_value(json_object_get(e, "expires")));
	err = store_run(st, IN_ENTRY);
	free(cs);
	return err;
}

static int page_take(struct inbox *b, const json_t *entries)
{
	int err = store_begin(b->post->store);
	int64_t number;
	size_t i;
	json_t *e;

	if (err)
		return err;
	json_array_foreach(entries, i, e)
	{
		number = json_integer_value(json_object_get(e, "number"));
		if (number > b->after)
			b->after = number;
		if (!strcmp(text_of(e, "kind"), "status"))
			json_array_append(b->news.list, e);
		else if (!err)
			err = entry_take(b, e);
	}
	if (!err)
		return store_commit(b->post->store);
	store_rollback(b->post->store);
	return err;
}

/* What no list has any more: withdrawn, or expired. What is here stays. */
static void gone_forget(struct inbox *b)
{
	struct store *st = b->post->store;
	int64_t ids[256];
	size_t n = 0, i;

	while (n < 256 && store_step(st, IN_GONE) > 0)
		ids[n++] = store_int(st, IN_GONE, 0);
	store_reset(st, IN_GONE);
	for (i = 0; i < n; i++) {
		enum in_state state = IN_HAVE;
		int err;

		if (job_find(b, ids[i]))
			continue;
		store_bind_int(st, IN_GET, 1, ids[i]);
		if (store_step(st, IN_GET) > 0) {
			state = (enum in_state)store_int(st, IN_GET, 6);
			store_reset(st, IN_GET);
		}
		if (state == IN_LISTED || state == IN_HELD) {
			err = row_delete(b->post, ids[i]);
		} else {
			store_bind_int(st, IN_SEEN, 1, ids[i]);
			err = store_run(st, IN_SEEN);
		}
		if (err)
			log_err("inbox", "the store cannot be written");
	}
}

static void page_ask(struct inbox *b);

static void listed(struct inbox *b)
{
	gone_forget(b);
	store_bind_int(b->post->store, IN_OLD, 1, post_now(b->post));
	if (store_run(b->post->store, IN_OLD))
		log_err("inbox", "the store cannot be written");
	b->tries = 0;
	face_changed(b->post->face);
	news_next(b);
}

static void listing_failed(struct inbox *b, const char *why)
{
	unsigned int s = post_retry_s(b->tries++);

	log_info("inbox", "the box's list: %s; again in %u s", why, s);
	loop_timer_arm(b->retry, LOOP_S(s));
	json_decref(b->news.list);
	b->news.list = NULL;
	post_check_idle(b->post);
}

static void on_page(void *arg, const struct web_answer *a)
{
	struct inbox *b = arg;
	bool again;
	int err = web_error(a, &again);

	b->listing = NULL;
	if (!err)
		err = page_take(b, json_object_get(a->json, "entries"));
	if (err) {
		listing_failed(b, web_text(a));
		return;
	}
	if (json_is_true(json_object_get(a->json, "more"))) {
		page_ask(b);
		return;
	}
	b->serial = (uint64_t)json_integer_value(
		json_object_get(a->json, "serial"));
	listed(b);
}

static void page_ask(struct inbox *b)
{
	struct web_server box;
	char path[96];
	struct post_ask ask = {.server = &box, .method = "GET", .path = path};
	int err = post_box(b->post, &box);

	snprintf(path, sizeof(path), "/v1/cache?after=%lld&limit=" PAGE_TEXT,
		 (long long)b->after);
	if (!err)
		err = post_ask(b->post, &ask, on_page, b, &b->listing);
	if (err)
		listing_failed(b, err_text(err));
}

void inbox_sync(struct inbox *b)
{
	struct web_server box;

	/* news of a list before are worked off first */
	b->again = b->listing || b->news.list;
	if (b->again || post_box(b->post, &box))
		return;
	loop_timer_disarm(b->retry);
	b->after = 0;
	b->news.list = json_array();
	if (store_run(b->post->store, IN_MARK)) {
		listing_failed(b, "the store cannot be written");
		return;
	}
	page_ask(b);
}

static void on_retry(void *arg)
{
	inbox_sync(arg);
}

/* --- public
 * ------------------------------------------------------------------------------- */

int inbox_open(struct post *p, struct inbox **out)
{
	struct inbox *b = calloc(1, sizeof(*b));

	if (!b)
		return -NTM_ENOMEM;
	b->post = p;
	if (loop_timer_new(p->loop, on_due, b, &b->due) ||
	    loop_timer_new(p->loop, on_retry, b, &b->retry)) {
		loop_timer_free(b->due);
		free(b);
		return -NTM_ENOMEM;
	}
	*out = b;
	return 0;
}

void inbox_close(struct inbox *b)
{
	if (!b)
		return;
	while (b->jobs)
		fetching_free(b->jobs);
	web_cancel(b->listing);
	web_cancel(b->news.call);
	json_decref(b->news.list);
	loop_timer_free(b->due);
	loop_timer_free(b->retry);
	free(b);
}

void inbox_policy(struct inbox *b)
{
	if (store_run(b->post->store, IN_WANT_FROM))
		log_err("inbox", "the store cannot be written");
	inbox_work(b);
}

bool inbox_busy(const struct inbox *b)
{
	return b->jobs || b->listing || b->news.list ||
	       loop_timer_armed(b->retry);
}

unsigned int inbox_again_s(struct inbox *b)
{
	struct store *st = b->post->store;
	int64_t next, n, now = post_now(b->post);

	if (store_step(st, IN_NEXT) <= 0)
		return 0;
	next = store_int(st, IN_NEXT, 0);
	n = store_int(st, IN_NEXT, 1);
	store_reset(st, IN_NEXT);
	if (!n)
		return 0;
	return next <= now ? 1 : (unsigned int)(next - now);
}

uint64_t inbox_serial(const struct inbox *b)
{
	return b->serial;
}

/* Return: the row's state, or an error */
static int state_of(struct inbox *b, int64_t id)
{
	struct store *st = b->post->store;
	int r;

	store_bind_int(st, IN_GET, 1, id);
	r = store_step(st, IN_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	r = (int)store_int(st, IN_GET, 6);
	store_reset(st, IN_GET);
	return r;
}

int inbox_want(struct inbox *b, int64_t id)
{
	int r = state_of(b, id);

	if (r < 0)
		return r;
	if (r != IN_LISTED && r != IN_HELD)
		return -NTM_EEXISTS;
	store_bind_int(b->post->store, IN_WANT, 1, id);
	r = store_run(b->post->store, IN_WANT);
	loop_timer_arm(b->due, 0);
	return r;
}

int inbox_taken(struct inbox *b, int64_t id)
{
	int r = state_of(b, id);

	if (r == IN_HAVE)
		r = row_state(b->post, id, IN_TAKEN, 0, NULL);
	else if (r >= 0)
		r = -NTM_ESTATE;
	if (!r)
		folder_remove(b->post, id);
	return r;
}
