/* SPDX-License-Identifier: MIT */
/* desktop - the desktop's word that something came, where there is one */
#include "broker/post/desktop.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

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

void desktop_say(const char *sender, const char *what)
{
	char body[2048];
	char *argv[] = {"notify-send", "--app-name=ntm",
			"--",	       "Something came",
			body,	       NULL};
	char escaped[1500];
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;

	if (!getenv("DBUS_SESSION_BUS_ADDRESS"))
		return;
	escape(what, escaped, sizeof(escaped));
	snprintf(body, sizeof(body), "%s from %s", escaped, sender);
	sigemptyset(&none);
	if (posix_spawnattr_init(&attr))
		return;
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	/* SIGCHLD is ignored by main.c: nobody waits for it */
	if (posix_spawnp(&pid, argv[0], NULL, &attr, argv, environ))
		pid = 0;
	posix_spawnattr_destroy(&attr);
}
