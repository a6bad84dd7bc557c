/* SPDX-License-Identifier: MIT */
/* exitrole - the role `exit` becomes the program ntm-exit */
#include "servers/exitrole.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

#define PROGRAM	    "ntm-exit"
#define OPTIONS_MAX 16

struct options {
	char *argv[OPTIONS_MAX];
	size_t n;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void option(struct options *o,
							 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (o->n + 1 >= OPTIONS_MAX || vasprintf(&o->argv[o->n], fmt, ap) < 0)
		o->failed = true;
	else
		o->n++;
	va_end(ap);
}

/* @fd lives on in the program */
static void descriptor(struct options *o, const char *name, int fd)
{
	if (fcntl(fd, F_SETFD, 0))
		o->failed = true;
	option(o, "--%s=%d", name, fd);
}

/* beside us, or where installed programs are that nobody types */
static void run(char *const argv[])
{
	static const char *const places[] = {"", "../libexec/ntm/"};
	char self[PATH_MAX], path[PATH_MAX + 64], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		slash[1] = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s%s" PROGRAM, self, places[i]);
		execv(path, argv);
	}
}

int exitrole_exec(const char *dir, const struct server_conf *c,
		  const struct role_sockets *s)
{
	struct options o = {.n = 0};

	option(&o, PROGRAM);
	option(&o, "--dir=%s", dir);
	option(&o, "--log-level=%s", c->log_level);
	option(&o, "--port=%u", c->exit_port);
	option(&o, "--sockets=%u", c->exit_sockets);
	option(&o, "--account-day=%llu",
	       (unsigned long long)c->exit_account_day);
	option(&o, "--account-rate=%llu",
	       (unsigned long long)c->exit_account_rate);
	option(&o, "--allow=%s", c->exit_allow ? c->exit_allow : "");
	option(&o, "--deny=%s", c->exit_deny ? c->exit_deny : "");
	option(&o, "--closed-ports=%s",
	       c->exit_closed_ports ? c->exit_closed_ports : "");
	descriptor(&o, "admin", s->admin);
	for (size_t i = 0; i < s->n_udp; i++) {
		int family = 0;
		socklen_t len = sizeof(family);

		if (getsockopt(s->udp[i], SOL_SOCKET, SO_DOMAIN, &family, &len))
			o.failed = true;
		descriptor(&o, family == AF_INET ? "udp4" : "udp6", s->udp[i]);
	}
	if (o.failed)
		errno = ENOMEM;
	else
		run(o.argv);
	log_err("exit", PROGRAM " cannot be run: %s; install again",
		strerror(errno));
	return EXIT_FAILURE;
}
