/* SPDX-License-Identifier: MIT */
/*
 * sending_look - while a Cache Server gets a large item: is its receiver online by now?
 *
 * Who was off when the item began may come while the upload lasts; then the bytes that
 * are left need no server. So the receiver is asked, seldom and beside the upload: any
 * answer of its door will do. When it is there the upload ends where it is, and the item
 * goes straight (direct.c); a Cache Server keeps what it has, so one that goes away again
 * gets the rest by it. That is done once a try: a receiver that is there and takes nothing
 * is not asked for ever. Of several receivers none is asked: the upload serves them all.
 */
#include "broker/post/sending.h"

#include <stdio.h>
#include <string.h>

#include "broker/post/door.h"
#include "common/log.h"

#define LOOK_FIRST_S 60
#define LOOK_MAX_S   600
#define LOOK_LEFT    (8u << 20) /* bytes: less has soon gone by the server */
#define LOOK_WAIT_S                                                            \
	15 /* nobody waits for it, and the upload may fill the way */

static void look_later(struct sending *s)
{
	unsigned int wait = LOOK_FIRST_S << s->looks;

	if (wait < LOOK_MAX_S)
		s->looks++;
	else
		wait = LOOK_MAX_S;
	loop_timer_arm(s->look, LOOP_S(wait));
}

static bool is_long(const struct sending *s)
{
	return s->call && s->offset + web_moved(s->call) + LOOK_LEFT < s->size;
}

static void go_straight(struct sending *s)
{
	log_info("outbox", "item %lld: who waits for it is online; on straight",
		 (long long)s->id);
	sending_look_end(s);
	web_cancel(s->call);
	s->call = NULL;
	sealing_close(&s->seal);
	s->looked_straight = true;
	s->tried = false;
	sending_step(s);
}

/* The receiver behind s->looked that waits. Return: 1, 0: none, -NTM_ESTORE */
static int look_name(struct sending *s)
{
	struct store *st = s->post->store;
	int r;

	store_bind_int(st, TO_LIST, 1, s->id);
	while ((r = store_step(st, TO_LIST)) > 0) {
		const char *name = store_text(st, TO_LIST, 0);

		if (store_int(st, TO_LIST, 1) != TO_READY ||
		    strcmp(name, s->looked) <= 0)
			continue;
		snprintf(s->looked, sizeof(s->looked), "%s", name);
		store_reset(st, TO_LIST);
		return 1;
	}
	return r;
}

static void on_looked(void *arg, const struct web_answer *a);

/* Return: 1: it is asked; 0: all have answered; or an error */
static int look_ask(struct sending *s)
{
	struct web_server door = {.tunnel = DOOR_PORT};
	struct post_ask ask = {.server = &door,
			       .method = "GET",
			       .path = "/v1/items",
			       .bearer = "",
			       .ids = &s->ids,
			       .to = s->looked,
			       .connect_ms = LOOK_WAIT_S * 1000,
			       .stall_s = LOOK_WAIT_S};
	int r = look_name(s);

	if (r <= 0)
		return r;
	strcpy(door.name, s->looked);
	if (s->post->door_at)
		door.addrs[door.n_addrs++] = *s->post->door_at;
	r = post_ask(s->post, &ask, on_looked, s, &s->looking);
	return r ? r : 1;
}

static void look_next(struct sending *s)
{
	int r = is_long(s) && sending_alone(s) ? look_ask(s) : -NTM_ESTATE;

	if (!r)
		go_straight(s);
	else if (r < 0)
		look_later(s);
}

static void on_looked(void *arg, const struct web_answer *a)
{
	struct sending *s = arg;

	s->looking = NULL;
	log_debug("outbox", "item %lld: is %s online? %s, status %ld",
		  (long long)s->id, s->looked,
		  a->err ? err_text(a->err) : "yes", a->status);
	if (a->err || a->status == 403 || a->status == 429)
		look_later(s);
	else
		look_next(s);
}

static void on_look(void *arg)
{
	struct sending *s = arg;

	*s->looked = '\0';
	look_next(s);
}

void sending_look_soon(struct sending *s)
{
	if (s->look || s->looked_straight ||
	    (!s->post->link && !s->post->door_at))
		return;
	if (!loop_timer_new(s->post->loop, on_look, s, &s->look))
		look_later(s);
}

void sending_look_end(struct sending *s)
{
	web_cancel(s->looking);
	s->looking = NULL;
	loop_timer_free(s->look);
	s->look = NULL;
}
