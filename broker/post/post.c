/* SPDX-License-Identifier: MIT */
/* post - the parts of ntm-post, and when it has nothing left to do */
#include "broker/post/post.h"

#include <stdlib.h>
#include <string.h>

#include "broker/post/absent.h"
#include "broker/post/door.h"
#include "broker/post/face.h"
#include "broker/post/inbox.h"
#include "broker/post/link.h"
#include "broker/post/lookup.h"
#include "broker/post/outbox.h"
#include "broker/post/prekeys.h"
#include "broker/post/recent.h"
#include "broker/post/removal.h"
#include "common/log.h"

#define QUIET_S	    2  /* without work, before we end */
#define SOON_S	    60 /* a retry that is due so soon is waited for */
#define REST_S	    60
#define BROKEN_S    3600
#define JITTER_PART 4

int64_t post_now(const struct post *p)
{
	return ntmc_now(p->env);
}

/* 2, 4, 8 .. 600 s, each up to a quarter longer: not all come at once */
unsigned int post_retry_s(unsigned int tries)
{
	unsigned int s = POST_RETRY_FIRST_S;
	uint8_t r;

	while (tries-- && s < POST_RETRY_MAX_S)
		s *= 2;
	if (s > POST_RETRY_MAX_S)
		s = POST_RETRY_MAX_S;
	ntmc_random(NULL, &r, sizeof(r));
	return s + s * r / 256 / JITTER_PART;
}

void post_store_failed(struct post *p, const char *part)
{
	log_err(part, "the store cannot be written; see that the disk of the "
		      "state folder has room");
	p->rest_ns = loop_now(p->loop) + LOOP_S(REST_S);
}

unsigned int post_rests_s(const struct post *p)
{
	uint64_t now = loop_now(p->loop);

	return now < p->rest_ns
		       ? (unsigned int)((p->rest_ns - now) / LOOP_S(1)) + 1
		       : 0;
}

static bool busy(struct post *p)
{
	if (p->broken)
		return asking_busy(p->face);
	return outbox_busy(p->outbox) || inbox_busy(p->inbox) ||
	       prekeys_busy(p->prekeys) || asking_busy(p->face) ||
	       door_busy(p->door) || removal_busy(p->removal);
}

static unsigned int sooner(unsigned int a, unsigned int b)
{
	return !a || (b && b < a) ? b : a;
}

/* rows of who has logged out wait for a login, not for a time */
static unsigned int again_s(struct post *p)
{
	if (!p->who.logged_in || p->broken)
		return 0;
	return sooner(outbox_again_s(p->outbox), inbox_again_s(p->inbox));
}

static void on_quiet(void *arg)
{
	struct post *p = arg;
	unsigned int s = again_s(p);

	if (busy(p) || (s && s <= SOON_S) || post_flush_due(p))
		return;
	if (p->broken)
		link_idle(p->link, 0, BROKEN_S);
	else
		link_idle(p->link, inbox_serial(p->inbox),
			  sooner(s, prekeys_again_s(p->prekeys)));
	p->ending = true;
	loop_stop(p->loop);
}

void post_check_idle(struct post *p)
{
	unsigned int s;

	if (p->ending || !p->quiet)
		return;
	/* the rows are asked only where there is nothing else to do */
	if (busy(p) || ((s = again_s(p)) && s <= SOON_S)) {
		loop_timer_disarm(p->quiet);
		if (!p->broken)
			link_busy(p->link);
	} else if (!loop_timer_armed(p->quiet)) {
		loop_timer_arm(p->quiet, LOOP_S(QUIET_S));
	}
}

void post_work(struct post *p)
{
	if (!p->who.logged_in || p->broken) {
		post_check_idle(p);
		return;
	}
	absent_clear(p->absent);
	outbox_tidy(p->outbox);
	inbox_soon(p->inbox);
	prekeys_work(p->prekeys);
	inbox_whole(p->inbox);
	inbox_sync(p->inbox);
	outbox_work(p->outbox);
	post_check_idle(p);
}

void post_session(struct post *p)
{
	int err;

	if (p->broken)
		return;
	err = who_load(&p->who);
	if (err)
		log_err("post", "the session cannot be read: %s",
			err_text(err));
	prekeys_session(p->prekeys);
	post_work(p);
}

int post_open(struct post *p, const char *config, const char *state)
{
	int err = who_open(config, state, "post", &p->who);

	if (err)
		return err;
	err = who_load(&p->who);
	if (err)
		log_err("post", "the session cannot be read: %s",
			err_text(err));
	err = loop_timer_new(p->loop, on_quiet, p, &p->quiet);
	if (!err)
		err = poststore_open(p->who.dir, &p->store);
	if (!err)
		err = turn_open(p);
	if (!err)
		err = web_open(p->loop, post_clock_heard, p, &p->web);
	p->recent = recent_new();
	p->absent = absent_new();
	if (!err && (!p->recent || !p->absent))
		err = -NTM_ENOMEM;
	if (!err)
		err = prekeys_open(p, &p->prekeys);
	if (!err)
		err = lookups_open(p, &p->lookups);
	if (!err)
		err = outbox_open(p, &p->outbox);
	if (!err)
		err = inbox_open(p, &p->inbox);
	if (!err)
		err = removal_open(p, &p->removal);
	return err;
}

void post_close(struct post *p)
{
	p->ending = true;
	door_close(p->door);
	turn_close(p);
	removal_close(p->removal);
	asking_close(p->face);
	lookups_close(p->lookups);
	inbox_close(p->inbox);
	outbox_close(p->outbox);
	prekeys_close(p->prekeys);
	ntmc_agreed_clear(&p->agreed);
	recent_free(p->recent);
	absent_free(p->absent);
	loop_timer_free(p->quiet);
	web_close(p->web);
	if (p->store)
		store_close(p->store);
	link_close(p->link);
	who_close(&p->who);
}
