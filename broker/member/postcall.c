/* SPDX-License-Identifier: MIT */
/* postcall - what ntm-member asks of ntm-post: by post.sock, as any program would */
#include "broker/member/postcall.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utlist.h>

#include "broker/postlink.h"
#include "common/log.h"
#include "common/unixsock.h"

struct call {
	struct call *prev, *next;
	char *text;
	size_t len, sent;
	postcall_fn *fn;
	void *arg;
};

struct postcall {
	struct node *node;
	struct call *calls; /* the first one is under way when @fd is open */
	unsigned int n;
	int fd;
	struct loop_io *io;
	struct loop_timer *limit, *next;
	char *in;
	size_t in_len, in_size;
};

static int code_of(const json_t *answer)
{
	static const struct {
		const char *name;
		int number;
	} errs[] = {
#define ERR(n, number, text) {#n, number},
#include "common/err.def"
#undef ERR
	};
	const char *name = json_string_value(json_object_get(answer, "error"));

	if (json_is_true(json_object_get(answer, "ok")))
		return 0;
	for (size_t i = 0; name && i < sizeof(errs) / sizeof(errs[0]); i++)
		if (!strcmp(errs[i].name, name))
			return -errs[i].number;
	return -NTM_EDECODE;
}

/* a welcome has RN1 in it */
static void call_free(struct call *call)
{
	ntmc_wipe(call->text, call->len);
	free(call->text);
	free(call);
}

static void hang_up(struct postcall *c)
{
	loop_timer_disarm(c->limit);
	loop_io_del(c->io);
	c->io = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	if (c->in)
		ntmc_wipe(c->in, c->in_len);
	c->in_len = 0;
}

static void over(struct postcall *c, int err, const json_t *answer)
{
	struct call *call = c->calls;

	hang_up(c);
	DL_DELETE(c->calls, call);
	c->n--;
	if (c->calls)
		loop_timer_arm(c->next, 0);
	if (call->fn)
		call->fn(call->arg, err, answer);
	call_free(call);
	node_check_idle(c->node);
}

static void on_limit(void *arg)
{
	over(arg, -NTM_ETIMEOUT, NULL);
}

static int more_room(struct postcall *c)
{
	size_t size = c->in_size ? 2 * c->in_size : 8192;
	char *more;

	if (c->in_len < c->in_size)
		return 0;
	/* not by realloc(), which would leave what was there */
	more = size <= POSTCALL_LINE_MAX ? malloc(size) : NULL;
	if (!more)
		return -NTM_ETOOBIG;
	if (c->in) {
		memcpy(more, c->in, c->in_len);
		ntmc_wipe(c->in, c->in_size);
	}
	free(c->in);
	c->in = more;
	c->in_size = size;
	return 0;
}

static void reading(struct postcall *c)
{
	json_t *answer;
	ssize_t n;
	char *end;
	int r = more_room(c);

	if (r) {
		over(c, r, NULL);
		return;
	}
	n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len,
		 MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		over(c, -NTM_ECLOSED, NULL);
		return;
	}
	end = memchr(c->in + c->in_len, '\n', (size_t)n);
	c->in_len += (size_t)n;
	if (!end)
		return;
	answer = json_loadb(c->in, (size_t)(end - c->in), 0, NULL);
	over(c, code_of(answer), answer);
	json_decref(answer);
}

static void on_ready(void *arg, int fd, unsigned int events)
{
	struct postcall *c = arg;
	struct call *call = c->calls;
	ssize_t n;

	if (call->sent < call->len) {
		n = send(fd, call->text + call->sent, call->len - call->sent,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			over(c, -NTM_ECLOSED, NULL);
			return;
		}
		call->sent += n > 0 ? (size_t)n : 0;
		if (call->sent == call->len)
			loop_io_set(c->io, LOOP_READ);
		return;
	}
	if (events & LOOP_READ)
		reading(c);
}

static int dial(struct postcall *c)
{
	int err = unixsock_dial(c->node->rundir, POSTLINK_SOCKET, SOCK_STREAM,
				&c->fd);

	if (err)
		return err;
	return loop_io_add(c->node->loop, c->fd, LOOP_READ | LOOP_WRITE, false,
			   on_ready, c, &c->io);
}

static void on_next(void *arg)
{
	struct postcall *c = arg;
	int r;

	if (!c->calls || c->fd >= 0)
		return;
	r = dial(c);
	if (r)
		over(c, r, NULL);
	else
		loop_timer_arm(c->limit, LOOP_S(POSTCALL_LIMIT_S));
}

int postcall_ask(struct postcall *c, json_t *request, postcall_fn *fn,
		 void *arg)
{
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	struct call *call = text ? calloc(1, sizeof(*call)) : NULL;

	json_decref(request);
	if (!call || c->n >= POSTCALL_MAX) {
		if (text)
			ntmc_wipe(text, strlen(text));
		free(text);
		free(call);
		return call ? -NTM_ELIMIT : -NTM_ENOMEM;
	}
	call->text = text;
	call->len = strlen(text) + 1;
	text[call->len - 1] = '\n'; /* in place of the NUL */
	call->fn = fn;
	call->arg = arg;
	DL_APPEND(c->calls, call);
	c->n++;
	if (c->fd < 0)
		loop_timer_arm(c->next, 0);
	return 0;
}

void postcall_forget(struct postcall *c, const void *arg)
{
	struct call *call;

	DL_FOREACH (c->calls, call)
		if (call->arg == arg)
			call->fn = NULL;
}

bool postcall_busy(const struct postcall *c)
{
	return c && c->calls;
}

int postcall_open(struct node *n, struct postcall **out)
{
	struct postcall *c = calloc(1, sizeof(*c));
	int r = c ? 0 : -NTM_ENOMEM;

	if (r)
		return r;
	c->node = n;
	c->fd = -1;
	r = loop_timer_new(n->loop, on_limit, c, &c->limit);
	if (!r)
		r = loop_timer_new(n->loop, on_next, c, &c->next);
	if (r)
		postcall_close(c);
	else
		*out = c;
	return r;
}

void postcall_close(struct postcall *c)
{
	struct call *call, *tmp;

	if (!c)
		return;
	hang_up(c);
	DL_FOREACH_SAFE (c->calls, call, tmp) {
		DL_DELETE(c->calls, call);
		call_free(call);
	}
	loop_timer_free(c->limit);
	loop_timer_free(c->next);
	free(c->in);
	free(c);
}
