/* SPDX-License-Identifier: MIT */
/* control - the control socket: what `ntm` asks of the worker (docs/control.md) */
#include "broker/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/login.h"
#include "broker/session.h"
#include "common/unixsock.h"

#define CONTROL_BACKLOG 16
#define KEEPER_KEY	"control"

struct control {
	struct worker *w;
	struct handover *handover;
	struct asking *clients;
};

static const struct ask_command commands[] = {
	{"status", control_status}, {"peers", control_peers},
	{"login", control_login},   {"logout", control_logout},
	{"passwd", control_passwd}, {"devices", control_devices},
	{"revoke", control_revoke}, {"ping", control_ping},
	{"verify", control_verify}, {"allow", control_allow},
	{"forget", control_forget}, {"netcheck", control_netcheck},
	{"down", control_down},	    {"exit", control_exit},
	{"push", control_push},
};

struct worker *control_worker(const struct ask *a)
{
	const struct control *c = ask_owner(a);

	return c->w;
}

struct handover *control_handover(const struct ask *a)
{
	const struct control *c = ask_owner(a);

	return c->handover;
}

/* Why a name cannot be met, where there is more to say than the error's sentence. That a
 * certificate is not of its time either end may have said: our clock is known. */
void control_name_fail(struct ask *call, int err)
{
	const struct worker *w = control_worker(call);
	char clock[SESSION_CLOCK_TEXT], text[SESSION_CLOCK_TEXT + 40];
	const char *why = NULL;

	err = err < 0 ? -err : err;
	if (err == NTM_EINVAL)
		why = "that is this device itself";
	else if (err == NTM_EEXPIRED)
		why = login_over(w->login);
	if (!why && (err == NTM_ECLOCK || err == NTM_EEXPIRED) &&
	    session_clock_wrong(w->session, clock)) {
		snprintf(text, sizeof(text), "%s; set the time and try again",
			 clock);
		why = text;
	} else if (err == NTM_ECLOCK) {
		why = "the other device's clock is wrong, as this machine's "
		      "is that of its server; set the time there";
	}
	ask_fail(call, err, why);
}

static void request(struct ask *a)
{
	ask_dispatch(a, commands, sizeof(commands) / sizeof(commands[0]),
		     "this broker does not know the command, it is of another "
		     "version; run `ntm down`, then `ntm up`");
}

static const struct asking_is is = {
	.clients_max = CONTROL_CLIENTS_MAX,
	.line_max = CONTROL_LINE_MAX,
	.queue_max = CONTROL_QUEUE_MAX,
	.request = request,
};

static int listen_make(struct worker *w)
{
	int fd;

	if (unixsock_listen(keeper_rundir(w->keeper), CONTROL_SOCKET,
			    SOCK_STREAM, CONTROL_BACKLOG, &fd))
		return -1;
	if (keeper_fd_put(w->keeper, KEEPER_KEY, fd)) {
		close(fd);
		return -1;
	}
	return fd;
}

int control_open(struct worker *w, struct handover *h, int listen_fd,
		 struct control **out)
{
	struct control *c = calloc(1, sizeof(*c));
	int fd, err = -NTM_ESYSTEM;

	if (!c)
		return -NTM_ENOMEM;
	c->w = w;
	c->handover = h;
	fd = listen_fd >= 0 ? listen_fd : listen_make(w);
	if (fd >= 0)
		err = asking_open(w->loop, fd, &is, c, &c->clients);
	if (err) {
		if (fd >= 0)
			close(fd);
		free(c);
		return err;
	}
	*out = c;
	return 0;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	asking_close(c->clients);
	free(c);
}
