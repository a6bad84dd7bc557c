/* SPDX-License-Identifier: MIT */
/* adminsock - how commands speak with a running role: one JSON line each way */
#include "servers/adminsock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/acceptor.h"
#include "common/log.h"
#include "common/unixsock.h"
#include "servers/visitor.h"

#define ANSWER_MAX	(256u << 20) /* of a client: a million devices */
#define SOCKET_NAME_MAX 32

struct client {
	struct visitor v; /* first */
	struct adminsock *sock;
	size_t in_len;
	char in[ADMINSOCK_LINE_MAX];
	char *out;
};

struct adminsock {
	struct loop *loop;
	struct acceptor *acceptor;
	adminsock_fn *fn;
	void *arg;
	struct visitors clients;
};

static void socket_name(const char *role, char out[SOCKET_NAME_MAX])
{
	snprintf(out, SOCKET_NAME_MAX, "%s.sock", role);
}

int adminsock_bind(const char *dir, const char *role, int *out)
{
	char name[SOCKET_NAME_MAX];
	struct sockaddr_un un;
	struct stat st;
	int fd, r;

	socket_name(role, name);
	r = unixsock_path(dir, name, &un);
	/* one that is left over may go: the supervisor's lock says so */
	if (!r)
		r = unixsock_listen(dir, name, SOCK_STREAM,
				    ADMINSOCK_CLIENTS_MAX, &fd);
	if (r)
		return r;
	/* root made it; the commands' user, who owns the folder, may use it */
	if (geteuid() == 0 &&
	    (stat(dir, &st) || chown(un.sun_path, st.st_uid, st.st_gid))) {
		close(fd);
		return -NTM_ESYSTEM;
	}
	*out = fd;
	return 0;
}

/* --- server ------------------------------------------------------------------- */

static void client_free(struct visitor *v)
{
	struct client *c = (struct client *)v;

	explicit_bzero(c->in, sizeof(c->in));
	free(c->out);
	free(c);
}

static void client_write(struct client *c)
{
	/* one answer is all that a client gets */
	if (visitor_write(&c->v, c->out) && !c->v.out_len)
		visitor_end(&c->v);
}

static void client_answer(struct client *c, size_t len)
{
	json_t *request = json_loadb(c->in, len, 0, NULL), *answer = NULL;
	const char *command =
		json_string_value(json_object_get(request, "command"));

	if (command)
		answer = c->sock->fn(c->sock->arg, command, request);
	if (!answer)
		answer = json_pack("{s:b, s:s, s:s}", "ok", 0, "error",
				   err_name(NTM_EINVAL), "text",
				   "no such command");
	c->out = json_dumps(answer, JSON_COMPACT);
	c->v.out_len = c->out ? strlen(c->out) : 0;
	json_decref(answer);
	json_decref(request);
	client_write(c);
}

static void client_ready(void *arg, int fd, unsigned int events)
{
	struct client *c = arg;
	char *end;

	(void)fd;
	(void)events;
	if (c->out) {
		client_write(c);
		return;
	}
	if (!visitor_read(&c->v, c->in, sizeof(c->in), &c->in_len))
		return;
	end = memchr(c->in, '\n', c->in_len);
	if (end)
		client_answer(c, (size_t)(end - c->in));
	else if (c->in_len == sizeof(c->in))
		visitor_end(&c->v);
}

static int client_new(struct adminsock *a, int fd)
{
	struct client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -NTM_ENOMEM;
	c->sock = a;
	r = visitor_new(&a->clients, &c->v, fd, client_ready);
	if (r)
		free(c);
	return r;
}

static void comes(void *arg, int fd, const struct addr *from)
{
	struct adminsock *a = arg;

	(void)from;
	if (a->clients.n == ADMINSOCK_CLIENTS_MAX ||
	    !unixsock_is_ours_or_root(fd) || client_new(a, fd))
		close(fd);
}

int adminsock_new(struct loop *l, int fd, adminsock_fn *fn, void *arg,
		  struct adminsock **out)
{
	struct adminsock *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -NTM_ENOMEM;
	*a = (struct adminsock){.loop = l,
				.fn = fn,
				.arg = arg,
				.clients = {.loop = l,
					    .idle_s = ADMINSOCK_IDLE_S,
					    .free = client_free}};
	r = acceptor_new(l, "admin", comes, a, &a->acceptor);
	if (!r)
		r = acceptor_add(a->acceptor, fd);
	if (r) {
		acceptor_free(a->acceptor);
		free(a);
		return r;
	}
	*out = a;
	return 0;
}

static void adminsock_destroy(void *arg)
{
	free(arg);
}

void adminsock_free(struct adminsock *a)
{
	if (!a)
		return;
	while (a->clients.first)
		visitor_end(a->clients.first);
	acceptor_free(a->acceptor);
	/* behind its clients, which look at it when they go */
	if (loop_defer(a->loop, adminsock_destroy, a))
		log_debug("admin", "out of memory at the end");
}

/* --- client -------------------------------------------------------------------- */

static int ask_send(int fd, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0, done = 0;
	int r = text ? 0 : -NTM_ENOMEM;

	if (text)
		text[len++] = '\n'; /* in place of the NUL */
	while (!r && done < len) {
		ssize_t n = send(fd, text + done, len - done, MSG_NOSIGNAL);

		if (n <= 0)
			r = -NTM_ECLOSED;
		else
			done += (size_t)n;
	}
	if (text)
		explicit_bzero(text, len);
	free(text);
	return r;
}

static int ask_receive(int fd, json_t **out)
{
	size_t size = 65536, len = 0;
	char *buf = malloc(size), *bigger;
	ssize_t n = 0;
	int r = 0;

	while (buf && (n = recv(fd, buf + len, size - len, 0)) > 0) {
		len += (size_t)n;
		if (len < size)
			continue;
		bigger = size < ANSWER_MAX ? realloc(buf, size * 2) : NULL;
		if (!bigger)
			break;
		buf = bigger;
		size *= 2;
	}
	if (!buf || n > 0)
		r = -NTM_ENOMEM;
	else if (n < 0)
		r = errno == EAGAIN ? -NTM_ETIMEOUT : -NTM_ECLOSED;
	if (!r) {
		*out = json_loadb(buf, len, 0, NULL);
		r = *out ? 0 : len ? -NTM_EDECODE : -NTM_ECLOSED;
	}
	free(buf);
	return r;
}

int adminsock_ask(const char *dir, const char *role, json_t *request,
		  json_t **out)
{
	struct timeval limit = {.tv_sec = ADMINSOCK_IDLE_S};
	char name[SOCKET_NAME_MAX];
	struct sockaddr_un un;
	int fd, r;

	socket_name(role, name);
	r = unixsock_path(dir, name, &un);
	if (r)
		return -NTM_ENOTFOUND; /* no socket can be there */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -NTM_ESYSTEM;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)))
		r = errno == EACCES || errno == EPERM ? -NTM_EPERM
						      : -NTM_ENOTFOUND;
	if (!r)
		r = ask_send(fd, request);
	if (!r)
		r = ask_receive(fd, out);
	close(fd);
	return r;
}
