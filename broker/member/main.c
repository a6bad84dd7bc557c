/* SPDX-License-Identifier: MIT */
/*
 * main - ntm-member: started by the keeper, with its sockets (docs/architecture.md)
 *
 * Should: read session, pins and identity; write below STATE/member alone, and be
 *         confined to that before the first foreign byte (broker/post/isolate.h).
 * Mustn't: run without the keeper, outlive it, or listen where it was not told to.
 */
#include <string.h>

#include "broker/member/asks.h"
#include "broker/member/node.h"
#include "broker/post/isolate.h"
#include "broker/poster_child.h"
#include "broker/wake.h"
#include "common/wipefree.h"

struct program {
	struct poster_child child;
	struct node node;
	struct wake *wake;
	int ask_fd;
};

static void on_wake(void *arg, unsigned int slept_s)
{
	node_woke(&((struct program *)arg)->node, slept_s);
}

static bool take(void *arg, const char *name, int fd)
{
	struct program *p = arg;

	if (strcmp(name, "member"))
		return false;
	p->ask_fd = fd;
	return true;
}

static int run(void *arg)
{
	struct program *p = arg;
	const struct poster_child *c = &p->child;
	struct node *n = &p->node;
	int err;

	n->loop = c->loop;
	err = wipefree();
	if (!err)
		err = node_open(n, c->config, c->state, c->rundir, c->link);
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
		err = poster_child_heed(&p->child);
	if (!err)
		err = wake_open(n->loop, on_wake, p, &p->wake);
	if (!err)
		err = isolate_post(n->who.dir);
	if (!err) {
		node_work(n);
		err = loop_run(n->loop);
	}
	if (err)
		log_err("member", "%s", err_text(err));
	wake_close(p->wake);
	node_close(n);
	return err;
}

int main(int argc, char **argv)
{
	struct program p = {.ask_fd = -1};
	int status = poster_child_begin(&p.child, "ntm-member", argc, argv,
					take, &p);

	return status ? status : poster_child_run(&p.child, run, &p);
}
