/* SPDX-License-Identifier: MIT */
/* poster_child - how a child of the keeper begins and ends: ntm-post, ntm-member */
#include "broker/poster_child.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_FD 3

static int options_parse(struct poster_child *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"state", required_argument, NULL, 's'},
		{"rundir", required_argument, NULL, 'r'},
		{"log-level", required_argument, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (o) {
		case 'c':
			c->config = optarg;
			break;
		case 's':
			c->state = optarg;
			break;
		case 'r':
			c->rundir = optarg;
			break;
		case 'l':
			if (!log_level_parse(optarg, &c->level))
				return -NTM_EINVAL;
			break;
		default:
			return -NTM_EINVAL;
		}
	}
	return c->config && c->state && c->rundir ? 0 : -NTM_EINVAL;
}

/* @names: "link:NAME:...", of the descriptors from FIRST_FD on; is cut up */
static int sockets_share(struct poster_child *c, char *names, int n,
			 poster_child_take *take, void *arg)
{
	char *save = NULL, *name = strtok_r(names, ":", &save);
	int fd;

	for (fd = FIRST_FD; fd < FIRST_FD + n && name; fd++) {
		/* not for what we start: the worker waits for the link's end */
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			break;
		if (!strcmp(name, "link"))
			c->link = fd;
		else if (!take(arg, name, fd))
			close(fd);
		name = strtok_r(NULL, ":", &save);
	}
	return c->link >= 0 ? 0 : -NTM_EINVAL;
}

/* As systemd hands sockets over: names in order, and whom they are for. */
static int sockets_take(struct poster_child *c, poster_child_take *take,
			void *arg)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	const char *listed = getenv("LISTEN_FDNAMES");
	int err, n = fds ? atoi(fds) : 0;
	char *names;

	if (!pid || atol(pid) != (long)getpid() || n < 1 || !listed)
		return -NTM_EINVAL;
	names = strdup(listed);
	if (!names)
		return -NTM_ENOMEM;
	err = sockets_share(c, names, n, take, arg);
	free(names);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return err;
}

int poster_child_begin(struct poster_child *c, const char *program, int argc,
		       char **argv, poster_child_take *take, void *arg)
{
	*c = (struct poster_child){.link = -1, .level = LOG_INFO};
	if (options_parse(c, argc, argv) || sockets_take(c, take, arg)) {
		fprintf(stderr, "%s is started by ntm-broker\n", program);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	log_open(program, c->level, NULL);
	return 0;
}

static void on_term(void *arg)
{
	struct poster_child *c = arg;

	loop_stop(c->loop);
}

int poster_child_heed(struct poster_child *c)
{
	return loop_signal_add(c->loop, SIGTERM, on_term, c, &c->term);
}

int poster_child_run(struct poster_child *c, int (*run)(void *arg), void *arg)
{
	int err = loop_new(&c->loop);

	if (!err) {
		err = run(arg);
		loop_signal_del(c->term);
		loop_free(c->loop);
	}
	log_close();
	return err ? 1 : 0;
}
