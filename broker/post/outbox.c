/* SPDX-License-Identifier: MIT */
/* outbox - items that this device sends, and the jobs that work on them */
#include "broker/post/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/asking.h"
#include "broker/post/choice.h"
#include "broker/post/outbox_impl.h"
#include "common/log.h"

/* --- folders --- */
bool outbox_folder(const struct post *p, int64_t id, char *path, size_t size)
{
	return (size_t)snprintf(path, size, "%s/out.%lld", p->who.dir,
				(long long)id) < size;
}

static void folder_remove(struct post *p, int64_t id)
{
	char path[512];

	if (outbox_folder(p, id, path, sizeof(path)))
		post_remove_later(p, path);
}

/* --- jobs --- */
void sending_free(struct sending *s)
{
	struct sending **at = &s->outbox->jobs;

	while (*at && *at != s)
		at = &(*at)->next;
	if (*at) {
		*at = s->next;
		s->outbox->n_jobs--;
	}
	web_cancel(s->call);
	direct_free(s->direct);
	sending_look_end(s);
	loop_timer_free(s->turn);
	sealing_close(&s->seal);
	json_decref(s->cs_json);
	free(s->message);
	ntmc_wipe(s, sizeof(*s));
	free(s);
}

static void over(struct sending *s)
{
	struct outbox *o = s->outbox;

	sending_free(s);
	due_wake(&o->due);
}

void sending_later(struct sending *s, int err, const char *text,
		   unsigned int retry_s)
{
	struct store *st = s->post->store;
	unsigned int wait = post_retry_s(s->tries);
	enum post_statement which;

	if (retry_s > POST_WAIT_SERVER_S)
		retry_s = POST_WAIT_SERVER_S;
	if (retry_s > wait)
		wait = retry_s;
	log_info("outbox", "item %lld: %s; again in %u s", (long long)s->id,
		 text ? text : err_text(err), wait);
	/* why it failed stays what the person is told */
	which = s->state == OUT_FAILING ? OUT_PUT_OFF : OUT_TRY;
	store_bind_int(st, which, 1, s->id);
	store_bind_int(st, which, 2, post_now(s->post) + wait);
	store_bind_int(st, which, 3, s->tries + 1);
	if (which == OUT_TRY) {
		store_bind_int(st, which, 4, -err);
		store_bind_text(st, which, 5, text ? text : err_text(err));
	}
	if (store_run(st, which))
		post_store_failed(s->post, "outbox");
	over(s);
}

void sending_put_off(struct sending *s, int err, const char *text,
		     unsigned int retry_s)
{
	if (retry_s > s->late_retry_s)
		s->late_retry_s = retry_s;
	if (s->late)
		return;
	s->late = err;
	snprintf(s->late_text, sizeof(s->late_text), "%s",
		 text ? text : err_text(err));
}

void sending_done(struct sending *s, enum out_state state)
{
	if (s->late)
		sending_later(s, s->late, s->late_text, s->late_retry_s);
	else
		sending_end(s, state, 0, NULL);
}

void sending_answer(struct sending *s, const struct web_answer *a)
{
	bool again;
	int err = web_error(a, &again);

	if (again)
		sending_later(s, err, web_text(a), a->retry_s);
	else if (sending_is_over(s))
		sending_expired(s);
	else
		sending_end(s, OUT_FAILED, err, web_text(a));
}

int outbox_row_end(struct post *p, int64_t id, enum out_state state, int err,
		   const char *text)
{
	struct store *st = p->store;
	int r;

	store_bind_int(st, OUT_STATE, 1, id);
	store_bind_int(st, OUT_STATE, 2, state);
	store_bind_int(st, OUT_STATE, 3, -err);
	store_bind_text(st, OUT_STATE, 4, text ? text : "");
	store_bind_int(st, OUT_STATE, 5,
		       state == OUT_SENT_ALL ? post_now(p) + OUTBOX_CHECK_S
					     : 0);
	r = store_run(st, OUT_STATE);
	if (r)
		return r;
	asking_changed(p->face);
	if (state == OUT_SENT_ALL || state == OUT_OPEN ||
	    state == OUT_CANCELLING)
		return 0;
	/* nobody is to be sent anything more */
	store_bind_int(st, OUT_WIPE, 1, id);
	r = store_run(st, OUT_WIPE);
	if (!r) {
		store_bind_int(st, TO_WIPE, 1, id);
		r = store_run(st, TO_WIPE);
	}
	if (!r) {
		store_bind_int(st, SMALL_DELETE, 1, id);
		r = store_run(st, SMALL_DELETE);
	}
	folder_remove(p, id);
	return r;
}

/* What fails after others have it, or can fetch it, fails for the rest alone */
static enum out_state rest_end(struct sending *s, int err)
{
	if (outbox_rest_fail(s->post, s->id, TO_REST, err))
		post_store_failed(s->post, "outbox");
	return sending_count(s, TO_WAITING, TO_TOLD) ? OUT_SENT_ALL : OUT_ENDED;
}

void sending_end(struct sending *s, enum out_state state, int err,
		 const char *text)
{
	static const char *const said[] = {
		[OUT_SENT_ALL] = "is with the Cache Server",
		[OUT_ENDED] = "has reached whom it could",
		[OUT_FAILED] = "could not be sent",
		[OUT_CANCELLED] = "was cancelled",
	};

	if (s->state == OUT_FAILING) {
		store_bind_int(s->post->store, OUT_OVER, 1, s->id);
		if (store_run(s->post->store, OUT_OVER))
			post_store_failed(s->post, "outbox");
		over(s);
		return;
	}
	log_info("outbox", "item %lld %s%s%s", (long long)s->id, said[state],
		 text ? ": " : "", text ? text : "");
	if (state == OUT_FAILED && s->whole)
		state = rest_end(s, err);
	else if (state == OUT_FAILED && s->cs.n_addrs)
		state = OUT_FAILING;
	if (outbox_row_end(s->post, s->id, state, err, text))
		post_store_failed(s->post, "outbox");
	over(s);
}

static void on_turn(void *arg)
{
	struct sending *s = arg;

	if (s->direct)
		direct_done(s);
	else
		sending_forward(s);
}

/* the row that OUT_GET stands on */
static int job_fill(struct sending *s)
{
	struct store *st = s->post->store;
	const char *cs = store_text(st, OUT_GET, 19);

	snprintf(s->ids.application, sizeof(s->ids.application), "%s",
		 store_text(st, OUT_GET, 1));
	snprintf(s->ids.service, sizeof(s->ids.service), "%s",
		 store_text(st, OUT_GET, 2));
	snprintf(s->ids.item, sizeof(s->ids.item), "%s",
		 store_text(st, OUT_GET, 3));
	post_item_id(&s->ids, s->item);
	s->state = (enum out_state)store_int(st, OUT_GET, 4);
	/* wiped: what has ended does not begin again */
	if (store_blob(st, OUT_GET, 5, s->k.b, sizeof(s->k.b)) !=
		    sizeof(s->k.b) &&
	    s->state == OUT_OPEN)
		return -NTM_ESTORE;
	s->payload = (uint64_t)store_int(st, OUT_GET, 6);
	s->size = (uint64_t)store_int(st, OUT_GET, 7);
	s->expires = store_int(st, OUT_GET, 12);
	s->tries = (unsigned int)store_int(st, OUT_GET, 18);
	s->known = (uint64_t)store_int(st, OUT_GET, 20);
	s->whole = store_int(st, OUT_GET, 22) &&
		   store_blob(st, OUT_GET, 8, s->hash, sizeof(s->hash)) ==
			   sizeof(s->hash);
	s->message = strdup(store_text(st, OUT_GET, 13));
	if (strcmp(store_text(st, OUT_GET, 21), s->post->who.fqdn))
		return -NTM_EPERM;
	if (*cs)
		s->cs_json = json_loads(cs, 0, NULL);
	return s->message ? 0 : -NTM_ENOMEM;
}

struct sending *outbox_job_find(struct outbox *o, int64_t id)
{
	struct sending *s;

	for (s = o->jobs; s && s->id != id; s = s->next)
		;
	return s;
}

struct post *outbox_post(struct outbox *o)
{
	return o->post;
}

const struct sending *outbox_job(const struct outbox *o, int64_t id)
{
	return outbox_job_find((struct outbox *)o, id);
}

static void job_start(struct outbox *o, int64_t id)
{
	struct store *st = o->post->store;
	struct sending *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return;
	s->outbox = o;
	s->post = o->post;
	s->id = id;
	s->next = o->jobs;
	o->jobs = s;
	o->n_jobs++;
	r = loop_timer_new(o->post->loop, on_turn, s, &s->turn);
	store_bind_int(st, OUT_GET, 1, id);
	if (!r && (r = store_step(st, OUT_GET)) > 0) {
		r = job_fill(s);
		store_reset(st, OUT_GET);
	}
	if (!r && s->cs_json)
		r = post_server(o->post, s->cs_json, &s->cs);
	if (r)
		sending_later(s, r,
			      r == -NTM_EPERM ? "it is sent in the name of "
						"another login of this device"
					      : NULL,
			      0);
	else
		sending_step(s);
}

static void due_start(struct outbox *o)
{
	struct store *st = o->post->store;
	int64_t ids[64];
	size_t n = 0, i;

	store_bind_int(st, OUT_DUE, 1, post_now(o->post));
	while (n < 64 && store_step(st, OUT_DUE) > 0)
		ids[n++] = store_int(st, OUT_DUE, 0);
	store_reset(st, OUT_DUE);
	for (i = 0; i < n && o->n_jobs < OUTBOX_JOBS_MAX; i++) {
		if (outbox_job_find(o, ids[i]))
			continue;
		if (outbox_row_state(o, ids[i]) != OUT_SENT_ALL)
			job_start(o, ids[i]);
		else if (outbox_still_there(o, ids[i]))
			log_info("outbox",
				 "item %lld: its Cache Server cannot "
				 "be asked",
				 (long long)ids[i]);
	}
}

/* rows that are due become jobs */
static void work(void *arg)
{
	struct outbox *o = arg;
	unsigned int s = post_rests_s(o->post);

	if (!o->post->who.logged_in) {
		post_check_idle(o->post);
		return;
	}
	if (s) {
		due_later(&o->due, s);
		return;
	}
	outbox_over(o);
	who_load_known(&o->post->who);
	left_work(o->left);
	if (o->n_jobs < OUTBOX_JOBS_MAX) /* else each that ends looks again */
		due_start(o);
	s = outbox_again_s(o);
	if (s)
		due_later(&o->due, s);
	post_check_idle(o->post);
}

void outbox_work(struct outbox *o)
{
	due_work(&o->due);
}

void outbox_turn(struct outbox *o)
{
	if (o)
		due_turn(&o->due);
}

bool sending_is_over(const struct sending *s)
{
	return s->state == OUT_OPEN && post_now(s->post) >= s->expires &&
	       post_clock_agrees(s->post);
}

void sending_expired(struct sending *s)
{
	int r = sending_count(s, TO_WAITING, TO_REFUSED);

	if (!r) {
		sending_end(s, OUT_FAILED, -NTM_EEXPIRED,
			    "it could not be sent before its time was over");
		return;
	}
	if (r < 0 || outbox_row_late(s->post, s->id))
		post_store_failed(s->post, "outbox");
	over(s);
}

bool outbox_busy(const struct outbox *o)
{
	return o->jobs || o->askings || left_busy(o->left);
}

unsigned int outbox_again_s(struct outbox *o)
{
	struct store *st = o->post->store;
	int64_t next, n, now = post_now(o->post);

	if (store_step(st, OUT_NEXT) <= 0)
		return 0;
	next = store_int(st, OUT_NEXT, 0);
	n = store_int(st, OUT_NEXT, 1);
	store_reset(st, OUT_NEXT);
	if (n <= (int64_t)o->n_jobs)
		return 0;
	return next <= now ? 1 : (unsigned int)(next - now);
}

int outbox_open(struct post *p, struct outbox **out)
{
	struct outbox *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return -NTM_ENOMEM;
	o->post = p;
	err = due_open(&o->due, p, work, o);
	if (!err)
		err = left_open(p, &o->left);
	if (err)
		outbox_close(o);
	else
		*out = o;
	return err;
}

static void drop_all(struct outbox *o)
{
	while (o->jobs)
		sending_free(o->jobs);
	while (o->askings)
		outbox_asking_free(o->askings);
}

void outbox_restart(struct outbox *o, unsigned int s)
{
	drop_all(o);
	due_rest(&o->due, s);
}

void outbox_close(struct outbox *o)
{
	if (!o)
		return;
	drop_all(o);
	due_close(&o->due);
	left_close(o->left);
	free(o);
}

int outbox_count(struct store *st, int64_t id, int n[static TO_STATES])
{
	int r, i;

	store_bind_int(st, TO_COUNT, 1, id);
	r = store_step(st, TO_COUNT);
	if (r <= 0)
		return r ? r : -NTM_ESTORE;
	for (i = 0; i < TO_STATES; i++)
		n[i] = (int)store_int(st, TO_COUNT, i);
	store_reset(st, TO_COUNT);
	return 0;
}

int outbox_row_state(struct outbox *o, int64_t id)
{
	struct store *st = o->post->store;
	int r;

	store_bind_int(st, OUT_GET, 1, id);
	r = store_step(st, OUT_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	r = (int)store_int(st, OUT_GET, 4);
	store_reset(st, OUT_GET);
	return r;
}

int outbox_cancel(struct outbox *o, int64_t id)
{
	struct sending *s = outbox_job_find(o, id);
	int r = outbox_row_state(o, id);

	if (r < 0 || r == OUT_CANCELLING)
		return r < 0 ? r : 0;
	if (r != OUT_OPEN && r != OUT_SENT_ALL)
		return -NTM_ESTATE;
	if (s)
		sending_free(s);
	r = outbox_row_end(o->post, id, OUT_CANCELLING, 0, NULL);
	due_wake(&o->due);
	return r;
}
