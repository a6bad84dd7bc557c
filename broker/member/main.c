/* SPDX-License-Identifier: MIT */
/*
 * main - ntm-member: started by the keeper, with its sockets (docs/architecture.md)
 *
 * Should: read session, pins and identity; write below STATE/member alone, and be
 *         confined to that before the first foreign byte (broker/post/isolate.h).
 * Mustn't: run without the keeper, outlive it, or listen where it was not told to.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/member/asks.h"
#include "broker/member/node.h"
#include "broker/post/isolate.h"
#include "common/log.h"

#define LISTEN_FDS_START 3

struct program {
	struct node node;
	const char *config, *state, *rundir;
	enum log_level level;
	int link_fd, ask_fd;
	struct loop_signal *term;
};

static const struct option longs[] = {
	{"config", required_argument, NULL, 'c'},
	{"state", required_argument, NULL, 's'},
	{"rundir", required_argument, NULL, 'r'},
	{"log-level", required_argument, NULL, 'l'},
	{NULL, 0, NULL, 0},
};

static int options_parse(struct program *p, int argc, char **argv)
{
	int c;

	p->level = LOG_INFO;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			p->config = optarg;
			break;
		case 's':
			p->state = optarg;
			break;
		case 'r':
			p->rundir = optarg;
			break;
		case 'l':
			if (!log_level_parse(optarg, &p->level))
				return -NTM_EINVAL;
			break;
		default:
			return -NTM_EINVAL;
		}
	}
	return p->config && p->state && p->rundir ? 0 : -NTM_EINVAL;
}

/* As systemd hands sockets over: names in order, descriptors from 3 on. */
static int sockets_take(struct program *p)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	char *names = getenv("LISTEN_FDNAMES"), *name, *save = NULL;
	int i, n = fds ? atoi(fds) : 0;

	p->link_fd = p->ask_fd = -1;
	if (!pid || atol(pid) != (long)getpid() || n < 1 || !names)
		return -NTM_EINVAL;
	names = strdup(names);
	if (!names)
		return -NTM_ENOMEM;
	name = strtok_r(names, ":", &save);
	for (i = 0; i < n && name; i++) {
		if (!strcmp(name, "link"))
			p->link_fd = LISTEN_FDS_START + i;
		else if (!strcmp(name, "member"))
			p->ask_fd = LISTEN_FDS_START + i;
		else
			close(LISTEN_FDS_START + i);
		name = strtok_r(NULL, ":", &save);
	}
	free(names);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return p->link_fd >= 0 ? 0 : -NTM_EINVAL;
}

static void on_term(void *arg)
{
	struct program *p = arg;

	loop_stop(p->node.loop);
}

static int run(struct program *p)
{
	struct node *n = &p->node;
	int err = node_open(n, p->config, p->state, p->rundir, p->link_fd);

	/* who asks is to hear why, and not to wait for us in vain */
	if (err == -NTM_ESTORE || err == -NTM_EVERSION || err == -NTM_EAUTH) {
		log_err("member", "the store of groups: %s", err_text(err));
		n->broken = err;
		err = 0;
	}
	if (!err)
		err = node_link(n);
	if (!err && p->ask_fd >= 0)
		err = asks_open(n, p->ask_fd, &n->asks);
	if (!err)
		err = loop_signal_add(n->loop, SIGTERM, on_term, p, &p->term);
	if (!err)
		err = isolate_post(n->who.dir);
	if (!err) {
		node_work(n);
		err = loop_run(n->loop);
	}
	if (err)
		log_err("member", "%s", err_text(err));
	loop_signal_del(p->term);
	node_close(n);
	return err;
}

int main(int argc, char **argv)
{
	struct program p = {.level = LOG_INFO};
	int err;

	if (options_parse(&p, argc, argv) || sockets_take(&p)) {
		fputs("ntm-member is started by ntm-broker\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	log_open("ntm-member", p.level, NULL);
	err = loop_new(&p.node.loop);
	if (!err) {
		err = run(&p);
		loop_free(p.node.loop);
	}
	log_close();
	return err ? 1 : 0;
}
