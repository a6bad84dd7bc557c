/* SPDX-License-Identifier: MIT */
/*
 * main - ntm-post: started by the keeper, with its sockets (docs/architecture.md)
 *
 * Should: read session, pins and policy; write below STATE/post alone, and be confined
 *         to that before the first foreign byte (isolate.h).
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

#include "broker/post/desktop.h"
#include "broker/post/door.h"
#include "broker/post/face.h"
#include "broker/post/isolate.h"
#include "broker/post/link.h"
#include "broker/post/post.h"
#include "common/log.h"

#define LISTEN_FDS_START 3

struct program {
	struct post post;
	const char *config, *state;
	enum log_level level;
	int link_fd, post_fd, door_fds[DOOR_FDS_MAX];
	size_t n_door_fds;
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
			break; /* sockets come open */
		case 'l':
			if (!log_level_parse(optarg, &p->level))
				return -NTM_EINVAL;
			break;
		default:
			return -NTM_EINVAL;
		}
	}
	return p->config && p->state ? 0 : -NTM_EINVAL;
}

/* As systemd hands sockets over: names in order, descriptors from 3 on. */
static int sockets_take(struct program *p)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	char *names = getenv("LISTEN_FDNAMES"), *name, *save = NULL;
	int i, n = fds ? atoi(fds) : 0;

	p->link_fd = p->post_fd = -1;
	if (!pid || atol(pid) != (long)getpid() || n < 1 || !names)
		return -NTM_EINVAL;
	names = strdup(names);
	if (!names)
		return -NTM_ENOMEM;
	name = strtok_r(names, ":", &save);
	for (i = 0; i < n && name; i++) {
		/* not for what we start: the worker waits for the link's end */
		if (fcntl(LISTEN_FDS_START + i, F_SETFD, FD_CLOEXEC) < 0)
			break;
		if (!strcmp(name, "link"))
			p->link_fd = LISTEN_FDS_START + i;
		else if (!strcmp(name, "post"))
			p->post_fd = LISTEN_FDS_START + i;
		else if (!strncmp(name, "tcp", 3) &&
			 p->n_door_fds < DOOR_FDS_MAX)
			p->door_fds[p->n_door_fds++] = LISTEN_FDS_START + i;
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

	loop_stop(p->post.loop);
}

static int run(struct program *p)
{
	struct post *post = &p->post;
	int err = post_open(post, p->config, p->state);

	/* who asks is to hear why, and not to wait for us in vain */
	if (err == -NTM_ESTORE || err == -NTM_EVERSION) {
		log_err("post", "%s", err_text(err));
		post->broken = err;
		err = 0;
	}
	if (!err)
		err = link_open(post, p->link_fd, &post->link);
	if (!err && p->post_fd >= 0)
		err = face_open(post, p->post_fd, &post->face);
	if (!err && p->n_door_fds && !post->broken)
		err = door_open(post, p->door_fds, p->n_door_fds, &post->door);
	if (!err)
		err = loop_signal_add(post->loop, SIGTERM, on_term, p,
				      &p->term);
	if (!err)
		err = isolate_post(post->who.dir);
	if (!err) {
		post_work(post);
		err = loop_run(post->loop);
	}
	if (err)
		log_err("post", "%s", err_text(err));
	loop_signal_del(p->term);
	post_close(post);
	return err;
}

int main(int argc, char **argv)
{
	struct program p = {.level = LOG_INFO};
	int err;

	if (options_parse(&p, argc, argv) || sockets_take(&p)) {
		fputs("ntm-post is started by ntm-broker\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	umask(077);
	log_open("ntm-post", p.level, NULL);
	if (desktop_open(&p.post.desktop))
		log_warn("post", "the desktop is not told what comes");
	err = loop_new(&p.post.loop);
	if (!err) {
		err = run(&p);
		loop_free(p.post.loop);
	}
	desktop_close(p.post.desktop);
	log_close();
	return err ? 1 : 0;
}
