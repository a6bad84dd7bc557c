/* SPDX-License-Identifier: MIT */
/*
 * wake - nodes told to come: by their NS, or by the push process
 *
 * Theory of operation
 *
 * A push is asked for on the admin socket of the process beside us, one connection
 * each; it answers at once, before it has sent anything, and names tokens that it knows
 * to be dead: their nodes have none any more, and cannot be told until they register.
 * ASKS_MAX are under way at most: where it hangs, the oldest is given up.
 *
 * Tokens are in the store: after our restart a node that is told by push sends nothing,
 * so it is not heard of until somebody wants it. It is pushed then (dc_is_asleep()).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

#include "common/log.h"
#include "servers/adminsock.h"
#include "servers/datadir.h"
#include "servers/dc/state.h"
#include "servers/push/push.h"

#define PUSH_AGAIN_S 2

#define ASKS_MAX ADMINSOCK_CLIENTS_MAX

struct ask {
	struct ask *prev, *next;
	struct dc *dc;
	struct loop_io *io;
	int fd;
	size_t len;
	char buf[ADMINSOCK_LINE_MAX];
};

static void token_gone(struct dc *dc, const char *fqdn, const char *token)
{
	uint32_t h = fqdn && token ? nodes_find(&dc->nodes, fqdn) : 0;
	struct node *n = h ? nodes_at(&dc->nodes, h) : NULL;

	if (!n || !n->push || strcmp(n->push, token))
		return;
	log_info("wake", "the push token of %s is dead", fqdn);
	wake_set_push(dc, n, NTM__PUSH_KIND__PUSH_NONE, NULL);
}

static void ask_free(struct ask *a)
{
	DL_DELETE(a->dc->asks, a);
	a->dc->n_asks--;
	loop_io_del(a->io);
	close(a->fd);
	free(a);
}

static void ask_end(struct ask *a)
{
	json_t *answer = json_loadb(a->buf, a->len, 0, NULL), *o;
	size_t i;

	json_array_foreach(json_object_get(answer, "gone"), i, o)
		token_gone(a->dc, json_string_value(json_object_get(o, "node")),
			   json_string_value(json_object_get(o, "token")));
	json_decref(answer);
	ask_free(a);
}

void wake_close(struct dc *dc)
{
	while (dc->asks)
		ask_free(dc->asks);
}

static void readable(void *arg, int fd, unsigned int events)
{
	struct ask *a = arg;
	ssize_t n = recv(fd, a->buf + a->len, sizeof(a->buf) - a->len,
			 MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		a->len += (size_t)n;
	if (n <= 0 || a->len == sizeof(a->buf))
		ask_end(a);
}

static int dial(struct dc *dc)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (snprintf(un.sun_path, sizeof(un.sun_path), "%s/push.sock",
		     dc->env->dir) >= (int)sizeof(un.sun_path) ||
	    fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un))) {
		log_warn("wake", "no push process: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* Whoever was pushed a moment ago comes, or does not by another one. */
static bool is_pushed(struct dc *dc, struct node *n)
{
	uint32_t now = dc_now_s(dc);

	if (n->pushed_s && now - n->pushed_s < PUSH_AGAIN_S)
		return true;
	n->pushed_s = now;
	return false;
}

static void push(struct dc *dc, const struct node *n)
{
	json_t *o =
		json_pack("{s:s, s:s, s:i, s:s}", "command", "send", "node",
			  n->fqdn, "kind", (int)n->push_kind, "token", n->push);
	char *text = json_dumps(o, JSON_COMPACT);
	struct ask *a = calloc(1, sizeof(*a));
	int fd = text && a ? dial(dc) : -1;
	size_t len = text ? strlen(text) : 0;

	json_decref(o);
	if (text)
		text[len++] = '\n'; /* in place of its end */
	if (fd < 0 ||
	    send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len ||
	    loop_io_add(dc->loop, fd, LOOP_READ, false, readable, a, &a->io)) {
		if (fd >= 0)
			close(fd);
		free(a);
	} else {
		a->dc = dc;
		a->fd = fd;
		DL_APPEND(dc->asks, a);
		if (++dc->n_asks > ASKS_MAX)
			ask_free(dc->asks);
		dc->stats.pushes++;
	}
	free(text);
}

void wake_node(struct dc *dc, struct node *n, uint32_t direction)
{
	if (n->wakeup == NTM__WAKEUP__WAKEUP_NS)
		notify_node(dc, n, direction);
	else if (n->wakeup == NTM__WAKEUP__WAKEUP_PUSH && n->push &&
		 !is_pushed(dc, n))
		push(dc, n);
}

bool wake_set_push(struct dc *dc, struct node *n, Ntm__PushKind kind,
		   const char *token)
{
	char *copy;

	if (token ? n->push && n->push_kind == kind && !strcmp(n->push, token)
		  : !n->push && n->wakeup != NTM__WAKEUP__WAKEUP_PUSH)
		return true; /* as it was */
	copy = token ? strdup(token) : NULL;
	if (token && !copy)
		return false;
	if (token || n->push)
		journal_push(dc->journal, n->fqdn, (int)kind, token);
	free(n->push);
	n->push = copy;
	n->push_kind = (uint8_t)kind;
	n->pushed_s = 0;
	if (!copy && n->wakeup == NTM__WAKEUP__WAKEUP_PUSH)
		n->wakeup = NTM__WAKEUP__WAKEUP_UDP;
	return true;
}

bool wake_register(struct dc *dc, struct node *n,
		   const Ntm__RegistrationRequest *q)
{
	n->wakeup = (uint8_t)q->wakeup;
	if (n->wakeup != NTM__WAKEUP__WAKEUP_NS)
		n->notifier = 0;
	if (n->wakeup != NTM__WAKEUP__WAKEUP_PUSH || !q->push ||
	    !push_offers(dc->conf, q->push->kind) ||
	    !wake_set_push(dc, n, q->push->kind, q->push->token)) {
		wake_set_push(dc, n, NTM__PUSH_KIND__PUSH_NONE, NULL);
		return false;
	}
	return true;
}

void wake_forget(struct dc *dc, struct node *n)
{
	wake_set_push(dc, n, NTM__PUSH_KIND__PUSH_NONE, NULL);
	n->wakeup = NTM__WAKEUP__WAKEUP_UDP;
	n->notifier = 0;
}
