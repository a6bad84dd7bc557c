/* SPDX-License-Identifier: MIT */
/*
 * node - ntm-member: this device's groups, and what is done for them
 *
 * Theory of operation
 *
 * One process, one loop. It runs while the device is in a group, or an invitation is on
 * its way, and says so to the worker ("keep"); else it ends when nobody asks it anything.
 * All that must survive is in member/groups.db; what runs is made of it again.
 */
#include "broker/member/node.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utlist.h>

#include "broker/member/asks.h"
#include "broker/member/chat.h"
#include "broker/member/papers.h"
#include "broker/member/plans.h"
#include "broker/member/postcall.h"
#include "common/log.h"

#define LINK_MESSAGE_MAX 4096
#define TIDY_S		 3600
#define LOGIN_WAIT_S	 10 /* somebody waits */
#define LOGIN_AGAIN_S	 5
#define WIPE_MS		 500 /* what is written over is kept on the disk for so long */

int64_t node_now(const struct node *n)
{
	(void)n;
	return ntmc_now(NULL);
}

/* --- the worker ----------------------------------------------------------------------- */

static void say(struct node *n, const char *what)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "{\"say\":\"%s\"}", what);

	if (send(n->link, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("member", "the worker was not told: %s",
			  strerror(errno));
}

/* of before the domain had a GMS; a renewal would be hours away */
bool node_renew_login(struct node *n, struct ask *a)
{
	uint64_t now = loop_now_exact(n->loop);

	if (n->login_waits ||
	    (n->login_asked && now - n->login_asked < LOOP_S(LOGIN_AGAIN_S)))
		return false;
	n->login_asked = now;
	n->login_waits = a;
	say(n, "renew");
	loop_timer_arm(n->login_limit, LOOP_S(LOGIN_WAIT_S));
	return true;
}

void node_server_lost(struct node *n)
{
	say(n, "look");
}

void node_woke(struct node *n, unsigned int slept_s)
{
	uint64_t slept = LOOP_S((uint64_t)slept_s);
	struct part *p;

	log_info("member", "woke after %u s", slept_s);
	DL_FOREACH (n->parts, p) {
		p->valid_until -=
			p->valid_until < slept ? p->valid_until : slept;
		p->renewal_at -= p->renewal_at < slept ? p->renewal_at : slept;
		if (!p->over && p->m)
			member_slept(p->m, slept_s);
	}
	servers_renew(n);
}

static void login_came(void *arg)
{
	struct node *n = arg;
	struct ask *a = n->login_waits;

	loop_timer_disarm(n->login_limit);
	n->login_waits = NULL;
	n->login_asked =
		loop_now_exact(n->loop); /* it is not asked again at once */
	if (a)
		asks_command(a);
}

static void session(struct node *n)
{
	int r = who_load(&n->who);

	if (r)
		log_err("member", "the session cannot be read: %s",
			err_text(r));
	servers_renew(n);
	login_came(n);
	papers_work(n->papers);
}

static void on_link(void *arg, int fd, unsigned int events)
{
	struct node *n = arg;
	char buf[LINK_MESSAGE_MAX];
	ssize_t len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	const char *event;
	json_t *j;

	(void)events;
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0) {
		/* the worker died; the keeper keeps us, the next one finds us */
		log_info("member", "the worker is gone");
		loop_io_set(n->link_io, 0);
		return;
	}
	j = json_loadb(buf, (size_t)len, 0, NULL);
	event = json_string_value(json_object_get(j, "event"));
	if (event && !n->broken) {
		if (!strcmp(event, "session"))
			session(n);
		else if (!strcmp(event, "online"))
			servers_online(n);
		else if (!strcmp(event, "items"))
			papers_fetch(n->papers);
	}
	if (event && !strcmp(event, "items"))
		say(n, "items");
	json_decref(j);
	node_check_idle(n);
}

/* --- is there anything to do? ---------------------------------------------------------- */

static bool keeps(const struct node *n)
{
	return !n->broken && (n->parts || papers_wait(n->papers));
}

static void on_quiet(void *arg)
{
	struct node *n = arg;

	if (keeps(n) || asking_busy(n->asks) || postcall_busy(n->post))
		return;
	n->ending = true;
	loop_stop(n->loop);
}

void node_check_idle(struct node *n)
{
	bool keep;

	if (n->ending || !n->quiet || (!n->broken && !n->papers))
		return;
	keep = keeps(n);
	if (keep != n->kept)
		say(n, keep ? "keep" : "idle");
	n->kept = keep;
	if (keep || asking_busy(n->asks) || postcall_busy(n->post))
		loop_timer_disarm(n->quiet);
	else if (!loop_timer_armed(n->quiet))
		loop_timer_arm(n->quiet, LOOP_S(NODE_QUIET_S));
}

/* invitations run out; what failed is tried again */
static void on_tidy(void *arg)
{
	struct node *n = arg;

	loop_timer_arm(n->tidy, LOOP_S(TIDY_S));
	papers_fetch(n->papers);
}

static void on_wipe(void *arg)
{
	struct node *n = arg;

	if (memberstore_tidy(n->store))
		node_wipe_soon(n);
}

void node_wipe_soon(struct node *n)
{
	if (n->store && n->wipe && !loop_timer_armed(n->wipe))
		loop_timer_arm(n->wipe, LOOP_MS(WIPE_MS));
}

/* --- life -------------------------------------------------------------------------------- */

static int store_begin_here(struct node *n)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/groups.db", n->who.dir) >=
	    (int)sizeof(path))
		return -NTM_EINVAL;
	return memberstore_open(path, NULL, n->who.id, &n->store);
}

int node_open(struct node *n, const char *config, const char *state,
	      const char *rundir, int link)
{
	int r = who_open(config, state, "member", &n->who);

	if (r)
		return r;
	n->rundir = rundir;
	n->link = link;
	r = who_load(&n->who);
	if (r)
		log_err("member", "the session cannot be read: %s",
			err_text(r));
	r = loop_timer_new(n->loop, login_came, n, &n->login_limit);
	if (!r)
		r = loop_timer_new(n->loop, on_quiet, n, &n->quiet);
	if (!r)
		r = loop_timer_new(n->loop, on_tidy, n, &n->tidy);
	if (!r)
		r = loop_timer_new(n->loop, on_wipe, n, &n->wipe);
	if (!r)
		r = store_begin_here(n);
	if (!r)
		r = postcall_open(n, &n->post);
	if (!r)
		r = words_open(n, &n->words);
	if (!r)
		r = papers_open(n, &n->papers);
	if (!r)
		r = plans_open(n, &n->plans);
	if (!r)
		r = chat_open(n, &n->chat);
	return r;
}

int node_link(struct node *n)
{
	return loop_io_add(n->loop, n->link, LOOP_READ, false, on_link, n,
			   &n->link_io);
}

void node_work(struct node *n)
{
	uint8_t ids[NODE_GROUPS_MAX][GROUP_ID_LEN];
	int i, r, count;

	n->kept = true; /* until it is known better: say it once */
	if (n->broken) {
		node_check_idle(n);
		return;
	}
	count = memberstore_list(n->store, ids, NODE_GROUPS_MAX);
	if (count > NODE_GROUPS_MAX)
		count = NODE_GROUPS_MAX;
	for (i = 0; i < count; i++) {
		r = part_load(n, ids[i]);
		if (r)
			log_err("member", "group %s cannot be used: %s",
				part_id_text(ids[i]), err_text(r));
	}
	loop_timer_arm(n->tidy, LOOP_S(TIDY_S));
	papers_fetch(n->papers);
	papers_work(n->papers);
	node_check_idle(n);
}

void node_close(struct node *n)
{
	n->ending = true;
	plans_close(n->plans);
	asking_close(n->asks);
	while (n->parts)
		part_free(n->parts);
	servers_close(n);
	papers_close(n->papers);
	chat_close(n->chat);
	postcall_close(n->post);
	words_close(n->words);
	loop_timer_free(n->login_limit);
	loop_timer_free(n->quiet);
	loop_timer_free(n->tidy);
	loop_timer_free(n->wipe);
	n->quiet = n->tidy = n->wipe = NULL;
	memberstore_close(n->store);
	loop_io_del(n->link_io);
	if (n->link >= 0)
		close(n->link);
	who_close(&n->who);
}
