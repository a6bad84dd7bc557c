/* SPDX-License-Identifier: MIT */
/*
 * turn - what a turn of the loop writes is on the disk before anybody hears of it
 *
 * Theory of operation
 *
 * What all jobs write in one turn is one transaction of the store; what they ask of
 * servers and answer to clients is held. At the end of the turn rows that came to be due
 * in it become jobs, so an order and its first step are one commit. Then files of items are
 * synced (one syncfs() for all of them), then the store commits, then what was held
 * leaves. So twenty items that move on together wait for the disk once, and while it is
 * busy the next ones gather. Folders that go are only renamed then (removal.h): nobody waits
 * for what is of no use any more.
 *
 * When that fails (a full disk) nothing of the turn has happened: clients are refused,
 * requests are dropped, and every job begins again from its row.
 *
 * What was written over (K, T, a small payload) lies in the write-ahead log still. That is
 * emptied WIPE_S after a turn wrote, so this is not left to the end of the process.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/post/face.h"
#include "broker/post/inbox.h"
#include "broker/post/outbox.h"
#include "broker/post/post.h"
#include "broker/post/prekeys.h"
#include "broker/post/removal.h"
#include "common/log.h"

#define RESTART_S 10
#define WIPE_S	  1

struct turn_remove {
	struct turn_remove *next;
	char path[];
};

/* @post: NULL: it is closed, and the task frees what is left */
struct turn {
	struct loop_task task;
	struct post *post;
	int dir;
	bool files; /* of items were written */
	struct loop_timer *wipe;
	struct turn_remove *removes;
};

static void removes_do(struct turn *t, struct removal *removal, bool really)
{
	struct turn_remove *r;

	while ((r = t->removes)) {
		t->removes = r->next;
		if (really && removal)
			removal_add(removal, r->path);
		free(r);
	}
}

static void wipe_soon(struct turn *t)
{
	if (!loop_timer_armed(t->wipe))
		loop_timer_arm(t->wipe, LOOP_S(WIPE_S));
}

static void on_wipe(void *arg)
{
	struct post *p = arg;

	/* within a turn that writes it cannot be done */
	if (store_pending(p->store) || store_tidy(p->store))
		wipe_soon(p->turn);
}

static int write_all(struct post *p)
{
	int err = 0;

	if (store_pending(p->store))
		wipe_soon(p->turn);
	if (p->turn->files && syncfs(p->turn->dir))
		err = -NTM_ESTORE;
	p->turn->files = false;
	if (err)
		store_drop(p->store);
	return err ? err : store_flush(p->store);
}

int post_flush_now(struct post *p)
{
	int err = write_all(p);

	if (err) {
		log_err("post",
			"%s cannot be written; all begins again from "
			"what is there in %u s",
			p->who.dir, RESTART_S);
		outbox_restart(p->outbox, RESTART_S);
		inbox_restart(p->inbox, RESTART_S);
		prekeys_restart(p->prekeys);
	}
	web_release(p->web);
	asking_release(p->face, err);
	removes_do(p->turn, p->removal, !err);
	return err;
}

static void turn_end(void *arg)
{
	struct turn *t = arg;

	if (!t->post) {
		free(t);
		return;
	}
	outbox_turn(t->post->outbox);
	inbox_turn(t->post->inbox);
	if (post_flush_now(t->post))
		log_debug("post", "nothing of this turn has happened");
}

void post_flush_soon(struct post *p)
{
	if (p->turn)
		loop_defer_task(p->loop, &p->turn->task);
}

static void begun(void *arg)
{
	post_flush_soon(arg);
}

bool post_flush_due(const struct post *p)
{
	return p->turn && (p->turn->files || store_pending(p->store));
}

void post_files_written(struct post *p)
{
	p->turn->files = true;
	post_flush_soon(p);
}

void post_remove_later(struct post *p, const char *path)
{
	struct turn_remove *r = malloc(sizeof(*r) + strlen(path) + 1);

	if (!r)
		return; /* it stays */
	strcpy(r->path, path);
	r->next = p->turn->removes;
	p->turn->removes = r;
	post_flush_soon(p);
}

int turn_open(struct post *p)
{
	struct turn *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -NTM_ENOMEM;
	t->task.fn = turn_end;
	t->task.arg = t;
	t->post = p;
	t->dir = open(p->who.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = t->dir < 0 ? -NTM_ESTORE
			 : loop_timer_new(p->loop, on_wipe, p, &t->wipe);
	if (err) {
		if (t->dir >= 0)
			close(t->dir);
		free(t);
		return err;
	}
	p->turn = t;
	store_group(p->store, begun, p);
	return 0;
}

void turn_close(struct post *p)
{
	struct turn *t = p->turn;
	int err;

	if (!t)
		return;
	err = write_all(p);
	if (err)
		log_err("post", "%s cannot be written", p->who.dir);
	asking_release(p->face, err);
	removes_do(t, p->removal, !err);
	close(t->dir);
	loop_timer_free(t->wipe);
	p->turn = NULL;
	t->post = NULL;
	if (!t->task.queued)
		free(t);
}
