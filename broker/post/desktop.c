/* SPDX-License-Identifier: MIT */
/* desktop - the desktop's word that something came, where there is one */
#include "broker/post/desktop.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/plain.h"

#define HELPER_FD 3

extern char **environ;

struct desktop {
	int fd;
};

/* --- the process beside
 * --------------------------------------------------------------------- */

static void notify(char *body)
{
	char *argv[] = {"notify-send", "--app-name=ntm",
			"--",	       "Something came",
			body,	       NULL};
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ))
		return; /* it is not installed */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void __attribute__((noreturn)) helper(int fd)
{
	char body[DESKTOP_TEXT_MAX + 1];
	ssize_t n;

	prctl(PR_SET_NAME, "ntm-desktop");
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	/* not a descriptor more than it needs, and none for notify-send */
	if ((fd != HELPER_FD && dup3(fd, HELPER_FD, SOCK_CLOEXEC) < 0) ||
	    syscall(SYS_close_range, HELPER_FD + 1, ~0u, 0))
		_exit(1);
	unsetenv("LD_PRELOAD");
	while ((n = recv(HELPER_FD, body, sizeof(body) - 1, 0)) > 0) {
		body[n] = '\0';
		notify(body);
	}
	_exit(0);
}

int desktop_open(struct desktop **out)
{
	int sv[2];
	pid_t pid;

	*out = NULL;
	if (!getenv("DBUS_SESSION_BUS_ADDRESS"))
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv))
		return -NTM_ESYSTEM;
	pid = fork();
	if (pid == 0) {
		close(sv[0]);
		helper(sv[1]);
	}
	close(sv[1]);
	if (pid > 0)
		*out = calloc(1, sizeof(**out));
	if (!*out) {
		close(sv[0]);
		return pid < 0 ? -NTM_ESYSTEM : -NTM_ENOMEM;
	}
	(*out)->fd = sv[0];
	return 0;
}

/* --- ours
 * ----------------------------------------------------------------------------------- */

void desktop_close(struct desktop *d)
{
	if (!d)
		return;
	close(d->fd);
	free(d);
}

/* Bodies may hold markup: what others chose is shown as it is. */
static void escape(const char *in, char *out, size_t size)
{
	size_t at = 0;

	for (; *in && at + 8 < size; in++) {
		if (*in == '&' || *in == '<' || *in == '>')
			at += (size_t)sprintf(out + at, "&#%d;", *in);
		else
			out[at++] = *in;
	}
	out[at] = '\0';
}

void desktop_say(struct desktop *d, const char *sender, const char *what)
{
	char title[400], escaped[1500], body[DESKTOP_TEXT_MAX];

	if (!d)
		return;
	plain_text(what, title, sizeof(title));
	escape(title, escaped, sizeof(escaped));
	snprintf(body, sizeof(body), "%s from %s",
		 *escaped ? escaped : "an item", sender);
	(void)send(d->fd, body, strlen(body), MSG_NOSIGNAL | MSG_DONTWAIT);
}
