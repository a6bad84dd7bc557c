/* SPDX-License-Identifier: MIT */
/*
 * inbox - items for this device: rows, jobs, what is here
 *
 * Theory of operation
 *
 * The box's list becomes rows (inbox_sync.c); rows that are due become jobs
 * (fetching.c).
 *
 * A row stands for its sender and IDs; what it says of being here, refused or taken is
 * of one blob, `settled`. The list may name another one, of an item that its sender
 * made anew: it is fetched when the first one is done with. A blob that was verified
 * here is known by its hash as long as its key could be opened: listed again, by
 * whatever server, it is confirmed again and not given to anybody twice.
 */
#include "broker/post/link.h"
#include "broker/post/inbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/post/arrival.h"
#include "broker/post/desktop.h"
#include "broker/post/face.h"
#include "broker/post/inbox_impl.h"
#include "common/log.h"

/* --- folders
 * ------------------------------------------------------------------------------- */

bool inbox_folder(const struct post *p, int64_t id, char *path, size_t size)
{
	return (size_t)snprintf(path, size, "%s/in.%lld", p->who.dir,
				(long long)id) < size;
}

void inbox_folder_remove(struct post *p, int64_t id)
{
	char path[512];

	if (inbox_folder(p, id, path, sizeof(path)))
		post_remove_later(p, path);
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
		f->inbox->n_jobs -= !f->direct;
	}
	if (f->held)
		*f->held = NULL;
	web_cancel(f->call);
	fetching_close(f);
	ntmc_wipe(f, sizeof(*f));
	free(f);
}

static void over(struct fetching *f)
{
	struct inbox *b = f->inbox;

	fetching_free(f);
	due_wake(&b->due);
}

void fetching_later(struct fetching *f, int err, const char *text,
		    unsigned int retry_s)
{
	struct store *st = f->post->store;
	unsigned int wait = post_retry_s(f->tries);
	enum post_statement which;

	if (retry_s > POST_WAIT_SERVER_S)
		retry_s = POST_WAIT_SERVER_S;
	if (retry_s > wait)
		wait = retry_s;
	log_info("inbox", "item %lld of %s: %s; again in %u s",
		 (long long)f->id, f->sender, text ? text : err_text(err),
		 wait);
	which = in_refused(f->state) ? IN_PUT_OFF : IN_TRY;
	store_bind_int(st, which, 1, f->id);
	store_bind_int(st, which, 2, post_now(f->post) + wait);
	store_bind_int(st, which, 3, f->tries + 1);
	if (which == IN_TRY) {
		store_bind_int(st, which, 4, -err);
		store_bind_text(st, which, 5, text ? text : err_text(err));
	}
	if (store_run(st, which))
		post_store_failed(f->post, "inbox");
	over(f);
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

/* ntm-member takes it, and shows it by `ntm-group list` */
static bool of_group(const struct fetching *f)
{
	return !strcmp(f->ids.application, "ntm-group");
}

/* What the person is told of it; what else groups say to each other is not for him */
static const char *group_title(const struct fetching *f)
{
	if (!strcmp(f->ids.service, "invite"))
		return "an invitation to a group";
	return strcmp(f->ids.service, "message") ? NULL
						 : "a message to a group";
}

static void arrived(struct fetching *f)
{
	struct store *st = f->post->store;
	char title[300];

	title_make(f->post, f->id, title, sizeof(title));
	if (of_group(f))
		snprintf(title, sizeof(title), "%s",
			 group_title(f) ? group_title(f) : "word of a group");
	store_bind_int(st, IN_TITLE, 1, f->id);
	store_bind_text(st, IN_TITLE, 2, title);
	if (store_run(st, IN_TITLE))
		log_err("inbox", "the store cannot be written");
	log_info("inbox", "item %lld of %s is here", (long long)f->id,
		 f->sender);
	if (!of_group(f) || group_title(f))
		desktop_say(f->post->desktop, f->sender, title);
}

void fetching_state(struct fetching *f, enum in_state state, int err,
		    const char *text)
{
	struct inbox *b = f->inbox;
	int r = state == IN_HELD
			? inbox_row_state(f->post, f->id, state, err, text)
			: inbox_row_settle(f, state, err, text);

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
	if (of_group(f) && !in_refused(state))
		link_group(f->post->link);
	if (in_refused(state))
		inbox_folder_remove(f->post, f->id);
	over(f);
	asking_changed(b->post->face);
}

int inbox_row_seen(struct post *p, int64_t id, int64_t entry)
{
	store_bind_int(p->store, IN_SEEN, 1, id);
	store_bind_int(p->store, IN_SEEN, 2, entry);
	return store_run(p->store, IN_SEEN);
}

void fetching_done(struct fetching *f)
{
	if (inbox_row_seen(f->post, f->id, f->entry))
		post_store_failed(f->post, "inbox");
	over(f);
}

int inbox_row_delete(struct post *p, int64_t id)
{
	inbox_folder_remove(p, id);
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
	if (inbox_row_delete(f->post, f->id))
		log_err("inbox", "the store cannot be written");
	over(f);
}

void fetching_gone(struct fetching *f)
{
	if (inbox_off_list(f->post, f->entry, on_gone, f, &f->call))
		fetching_later(f, -NTM_ENOTFOUND, NULL, 0);
}

/* --- jobs
 * ---------------------------------------------------------------------------------- */

static void text_take(struct store *st, int column, char *out, size_t size)
{
	snprintf(out, size, "%s", store_text(st, IN_GET, column));
}

/* the row that IN_GET stands on */
int inbox_job_fill(struct fetching *f)
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
	f->has_receipt = store_blob(st, IN_GET, 28, f->receipt, RECEIPT_LEN) ==
			 RECEIPT_LEN;
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

struct fetching *inbox_job(struct inbox *b, int64_t id)
{
	return job_find(b, id);
}

struct fetching *inbox_job_new(struct inbox *b, int64_t id, bool direct)
{
	struct fetching *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->inbox = b;
	f->post = b->post;
	f->id = id;
	f->direct = direct;
	f->next = b->jobs;
	b->jobs = f;
	b->n_jobs += !direct;
	return f;
}

void inbox_each_direct(struct inbox *b,
		       void (*fn)(void *arg, struct fetching *f), void *arg)
{
	struct fetching *f, *next;

	for (f = b->jobs; f; f = next) {
		next = f->next;
		if (f->direct)
			fn(arg, f);
	}
}

static bool row_of_group(struct post *p, int64_t id)
{
	bool yes = false;

	store_bind_int(p->store, IN_GET, 1, id);
	if (store_step(p->store, IN_GET) > 0) {
		yes = !strcmp(store_text(p->store, IN_GET, 2), "ntm-group");
		store_reset(p->store, IN_GET);
	}
	return yes;
}

static void job_start(struct inbox *b, int64_t id)
{
	struct store *st = b->post->store;
	struct fetching *f;
	int r;

	if (!wanted(b->post, id)) {
		if (inbox_row_state(
			    b->post, id, IN_HELD, -NTM_EPOLICY,
			    "its sender is not allowed to send unasked; "
			    "`ntm receive` with its number fetches it"))
			log_err("inbox", "the store cannot be written");
		/* ntm-member may have asked this sender for it */
		else if (row_of_group(b->post, id))
			link_group(b->post->link);
		return;
	}
	f = inbox_job_new(b, id, false);
	if (!f)
		return;
	store_bind_int(st, IN_GET, 1, id);
	r = store_step(st, IN_GET);
	if (r > 0) {
		r = inbox_job_fill(f);
		store_reset(st, IN_GET);
	}
	if (r == -NTM_ECERT && f->state == IN_LISTED)
		fetching_state(f, IN_HELD, r,
			       "its domain is not known here; `ntm allow` with "
			       "the domain's name lets it in");
	else if (r == -NTM_ECERT && f->state == IN_DROPPED)
		fetching_unlist(f);
	else if (r)
		fetching_later(f, r, NULL, 0);
	else
		fetching_step(f);
}

static void work(void *arg)
{
	struct inbox *b = arg;
	struct store *st = b->post->store;
	int64_t ids[64];
	size_t n = 0, i;
	unsigned int s = post_rests_s(b->post);

	if (!b->post->who.logged_in) {
		post_check_idle(b->post); /* what ended now was the last */
		return;
	}
	if (s) {
		due_later(&b->due, s);
		return;
	}
	who_load_known(&b->post->who);
	store_bind_int(st, IN_DUE, 1, post_now(b->post));
	while (n < 64 && store_step(st, IN_DUE) > 0)
		ids[n++] = store_int(st, IN_DUE, 0);
	store_reset(st, IN_DUE);
	for (i = 0; i < n && b->n_jobs < INBOX_JOBS_MAX; i++) {
		arrival_end(b->post, ids[i]);
		if (!job_find(b, ids[i]))
			job_start(b, ids[i]);
	}
	s = inbox_again_s(b);
	if (n == 64 && b->n_jobs < INBOX_JOBS_MAX)
		due_wake(&b->due);
	else if (s)
		due_later(&b->due, s);
	post_check_idle(b->post);
}

void inbox_work(struct inbox *b)
{
	due_work(&b->due);
}

void inbox_turn(struct inbox *b)
{
	if (b)
		due_turn(&b->due);
}

/* --- public
 * ------------------------------------------------------------------------------- */

int inbox_open(struct post *p, struct inbox **out)
{
	struct inbox *b = calloc(1, sizeof(*b));

	if (!b)
		return -NTM_ENOMEM;
	b->post = p;
	if (due_open(&b->due, p, work, b) || inbox_sync_open(b)) {
		due_close(&b->due);
		free(b);
		return -NTM_ENOMEM;
	}
	*out = b;
	return 0;
}

static void jobs_drop(struct inbox *b)
{
	while (b->jobs)
		fetching_free(b->jobs);
	inbox_sync_drop(b);
}

void inbox_restart(struct inbox *b, unsigned int s)
{
	jobs_drop(b);
	loop_timer_arm(b->retry, LOOP_S(s));
	due_rest(&b->due, s);
}

void inbox_close(struct inbox *b)
{
	if (!b)
		return;
	jobs_drop(b);
	inbox_sync_close(b);
	due_close(&b->due);
	free(b);
}

void inbox_policy(struct inbox *b)
{
	if (store_run(b->post->store, IN_WANT_FROM))
		log_err("inbox", "the store cannot be written");
	inbox_work(b);
}

void inbox_soon(struct inbox *b)
{
	struct store *st = b->post->store;

	store_bind_int(st, IN_SOON, 1, NTM_EUNREACHABLE);
	store_bind_int(st, IN_SOON, 2, NTM_ETIMEOUT);
	store_bind_int(st, IN_SOON, 3, NTM_ECLOSED);
	store_bind_int(st, IN_SOON, 4, post_now(b->post) + POST_WAIT_MAX_S);
	if (store_run(st, IN_SOON))
		log_err("inbox", "the store cannot be written");
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
