/* SPDX-License-Identifier: MIT */
/*
 * main - ntm-post: started by the keeper, with its sockets (docs/architecture.md)
 *
 * Should: read session, pins and policy; write below STATE/post alone, and be confined
 *         to that before the first foreign byte (isolate.h).
 * Mustn't: run without the keeper, outlive it, or listen where it was not told to.
 */
#include <signal.h>
#include <string.h>

#include "broker/post/desktop.h"
#include "broker/post/door.h"
#include "broker/post/face.h"
#include "broker/post/isolate.h"
#include "broker/post/link.h"
#include "broker/post/post.h"
#include "broker/poster_child.h"
#include "common/wipefree.h"

struct program {
	struct poster_child child;
	struct post post;
	int post_fd, door_fds[DOOR_FDS_MAX];
	size_t n_door_fds;
};

static bool take(void *arg, const char *name, int fd)
{
	struct program *p = arg;

	if (!strcmp(name, "post"))
		p->post_fd = fd;
	else if (!strncmp(name, "tcp", 3) && p->n_door_fds < DOOR_FDS_MAX)
		p->door_fds[p->n_door_fds++] = fd;
	else
		return false;
	return true;
}

static int run(void *arg)
{
	struct program *p = arg;
	struct post *post = &p->post;
	int err;

	post->loop = p->child.loop;
	err = wipefree(); /* texts pass through rows and requests */
	if (!err)
		err = post_open(post, p->child.config, p->child.state);
	/* who asks is to hear why, and not to wait for us in vain */
	if (err == -NTM_ESTORE || err == -NTM_EVERSION) {
		log_err("post", "%s", err_text(err));
		post->broken = err;
		err = 0;
	}
	if (!err)
		err = link_open(post, p->child.link, &post->link);
	if (!err && p->post_fd >= 0)
		err = face_open(post, p->post_fd, &post->face);
	if (!err && !post->broken)
		err = door_open(post, p->door_fds, p->n_door_fds, &post->door);
	if (!err)
		err = poster_child_heed(&p->child);
	if (!err)
		err = isolate_post(post->who.dir);
	if (!err) {
		post_work(post);
		err = loop_run(post->loop);
	}
	if (err)
		log_err("post", "%s", err_text(err));
	post_close(post);
	return err;
}

int main(int argc, char **argv)
{
	struct program p = {.post_fd = -1};
	int status =
		poster_child_begin(&p.child, "ntm-post", argc, argv, take, &p);

	if (status)
		return status;
	signal(SIGCHLD, SIG_IGN);
	if (desktop_open(&p.post.desktop))
		log_warn("post", "the desktop is not told what comes");
	status = poster_child_run(&p.child, run, &p);
	desktop_close(p.post.desktop);
	return status;
}
