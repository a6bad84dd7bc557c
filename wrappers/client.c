/* SPDX-License-Identifier: MIT */
/* client - one request to the broker's control socket */
#include "wrappers/client.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/rundir.h"
#include "wrappers/child.h"

int client_connect(const char *name)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int fd, err;

	err = rundir_file(name, sa.sun_path, sizeof(sa.sun_path));
	if (err)
		return err == -EPERM ? -NTM_EPERM : -NTM_ENOBROKER;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -NTM_ESYSTEM;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		close(fd);
		return -NTM_ENOBROKER;
	}
	/* Whoever answers must be us: the request may hold a password. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    cred.uid != getuid()) {
		close(fd);
		return -NTM_EPERM;
	}
	return fd;
}

int client_send(int fd, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len, done = 0;
	int err = 0;

	if (!text)
		return -NTM_ENOMEM;
	len = strlen(text);
	text[len++] = '\n'; /* in place of the NUL */
	while (done < len) {
		ssize_t n = send(fd, text + done, len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = -NTM_ECLOSED;
			break;
		}
		done += (size_t)n;
	}
	explicit_bzero(text, len);
	free(text);
	return err;
}

static int err_by_name(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} errs[] = {
#define ERR(n, number, text) {#n, number},
#include "common/err.def"
#undef ERR
	};
	size_t i;

	for (i = 0; name && i < sizeof(errs) / sizeof(errs[0]); i++)
		if (!strcmp(errs[i].name, name))
			return errs[i].number;
	return NTM_ESERVER;
}

/* 1: a progress line; else the final result. */
static int line_handle(const char *line, client_progress_fn *fn,
		       const void *arg, json_t **answer)
{
	json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	json_t *ok = json_object_get(j, "ok");

	if (!json_is_object(j)) {
		json_decref(j);
		return -NTM_EDECODE;
	}
	if (!ok) {
		if (fn)
			fn(arg, j);
		json_decref(j);
		return 1;
	}
	*answer = j;
	if (json_is_true(ok))
		return 0;
	return -err_by_name(json_string_value(json_object_get(j, "error")));
}

#define WELL                                                                   \
	"{\"ok\":true" /* as ntm-post begins, where it is asked for a line */

/* @raw: may be NULL: see client_line_to() */
static int call(const char *socket, const json_t *request,
		client_progress_fn *fn, const void *arg, unsigned int limit_s,
		char **raw, json_t **answer)
{
	const struct timeval limit = {.tv_sec = limit_s};
	char *line = NULL;
	size_t size = 0;
	FILE *in;
	int fd = client_connect(socket);
	int err;

	*answer = NULL;
	if (fd < 0)
		return fd;
	/* progress may be hours apart (`ntm ping -i`), else somebody hangs */
	if (limit_s)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
				 sizeof(limit));
	err = client_send(fd, request);
	in = fdopen(fd, "r");
	if (err || !in) {
		if (in)
			fclose(in);
		else
			close(fd);
		return err ? err : -NTM_ENOMEM;
	}
	do {
		errno = 0;
		if (getline(&line, &size, in) <= 0) {
			err = errno == EAGAIN ? -NTM_ETIMEOUT : -NTM_ECLOSED;
		} else if (raw && !strncmp(line, WELL, strlen(WELL))) {
			*raw = line;
			line = NULL;
			err = 0;
		} else {
			err = line_handle(line, fn, arg, answer);
		}
	} while (err == 1);
	free(line);
	fclose(in);
	return err;
}

int client_call(const json_t *request, client_progress_fn *fn, const void *arg,
		json_t **answer)
{
	return call(CLIENT_CONTROL, request, fn, arg, fn ? 0 : CLIENT_LIMIT_S,
		    NULL, answer);
}

/* Nobody listens on post.sock. Return: why, with a sentence where err.def has none */
static int post_why(json_t **answer)
{
	json_t *ask = json_pack("{s:s}", "cmd", "status"), *status = NULL;
	int err = client_call(ask, NULL, NULL, &status);
	const char *state, *why = NULL;

	json_decref(ask);
	state = json_string_value(json_object_get(status, "state"));
	if (err) {
		err = -NTM_ENOBROKER;
	} else if (state && !strcmp(state, "logged-out")) {
		err = -NTM_ENOLOGIN;
	} else if (json_is_null(json_object_get(status, "post"))) {
		err = -NTM_ENOTFOUND;
		why = "ntm-post is not beside ntm-worker; install NTMobile "
		      "again";
	} else {
		err = -NTM_EAGAIN;
		why = "ntm-post is not started yet; try again in a moment";
	}
	json_decref(status);
	if (why)
		*answer = json_pack("{s:b, s:s, s:s}", "ok", 0, "error",
				    err_name(err), "text", why);
	return err;
}

static int call_to(const char *socket, const json_t *request,
		   unsigned int limit_s, char **raw, json_t **answer)
{
	int err = call(socket, request, NULL, NULL, limit_s, raw, answer);

	return err == -NTM_ENOBROKER && !strcmp(socket, CLIENT_POST)
		       ? post_why(answer)
		       : err;
}

int client_call_to(const char *socket, const json_t *request,
		   unsigned int limit_s, json_t **answer)
{
	return call_to(socket, request, limit_s, NULL, answer);
}

int client_line_to(const char *socket, const json_t *request,
		   unsigned int limit_s, char **line, json_t **why)
{
	int err;

	*line = NULL;
	err = call_to(socket, request, limit_s, line, why);
	return err || *line ? err : -NTM_EDECODE;
}

const char *client_text(int err, const json_t *answer)
{
	const char *text = json_string_value(json_object_get(answer, "text"));

	if (text && *text)
		return text;
	switch (-err) {
	case NTM_ECLOSED:
		return "the broker ended before it had answered; try again";
	case NTM_ETIMEOUT:
		return "the broker does not answer; end it with `ntm down` and "
		       "see broker.log in its state folder";
	case NTM_EDECODE:
		return "the broker's answer makes no sense, it is of another "
		       "version; run `ntm down`, then `ntm up`";
	case NTM_EPERM:
		return "the broker's folder is not yours alone; see "
		       "XDG_RUNTIME_DIR in ntm-broker(1)";
	default:
		return err_text(err);
	}
}

bool client_broker_runs(void)
{
	int fd = client_connect(CLIENT_CONTROL);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int client_sibling(const char *relative, char *buf, size_t size)
{
	char self[PATH_MAX], path[PATH_MAX * 2], real[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		return -NTM_ENOTFOUND;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return -NTM_ENOTFOUND;
	*slash = '\0';
	snprintf(path, sizeof(path), "%s/%s", self, relative);
	if (!realpath(path, real) || strlen(real) >= size)
		return -NTM_ENOTFOUND;
	memcpy(buf, real, strlen(real) + 1);
	return 0;
}

int client_broker_start(void)
{
	char *argv[] = {"ntm-broker", "--background", NULL};
	char path[PATH_MAX];

	if (client_broker_runs())
		return 0;
	if (client_sibling("ntm-broker", path, sizeof(path))) {
		fputs("ntm-broker is not beside this program; install NTMobile "
		      "again\n",
		      stderr);
		return -NTM_ENOBROKER;
	}
	return child_run(path, argv) ? -NTM_ENOBROKER : 0;
}
