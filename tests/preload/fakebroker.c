/* SPDX-License-Identifier: MIT */
/*
 * fakebroker - stands in for keeper and worker while a test runs under the shim
 *
 *	fakebroker MODE LD_PRELOAD COMMAND [ARGUMENT...]
 *
 * Makes a runtime folder and a namespace, serves the requests of requests.def,
 * runs COMMAND with the given LD_PRELOAD and ends with its status.
 * MODE: good; none (no sockets, no page); dead (page, but nobody listens); or one
 * that answers badly: hang, close, truncate, trailing, flip, wrongop, error.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/rundir.h"
#include "preload/shimproto.h"
#include "tests/preload/fake.h"
#include "tests/preload/fakenet.h"

#define ITEMS 256

enum item_kind {
	ITEM_FREE,
	ITEM_DOOR, /* keeper.sock, broker.sock */
	ITEM_CONN,
	ITEM_POOL,
	ITEM_LISTENER, /* in the namespace */
};

static struct item {
	enum item_kind kind;
	int fd;
	struct shim_request req; /* what made it */
} items[ITEMS];

static const char *mode;
static struct fake_stats *stats;
static char dir[RUNDIR_MAX];

static void fail(const char *what)
{
	perror(what);
	exit(99);
}

static struct item *item_add(enum item_kind kind, int fd,
			     const struct shim_request *req)
{
	int i;

	for (i = 0; i < ITEMS; i++) {
		if (items[i].kind != ITEM_FREE)
			continue;
		items[i].kind = kind;
		items[i].fd = fd;
		if (req)
			items[i].req = *req;
		return &items[i];
	}
	errno = ENOSPC;
	fail("items");
	return NULL;
}

static void item_drop(struct item *it)
{
	close(it->fd);
	it->kind = ITEM_FREE;
}

/* --- names ------------------------------------------------------------------------ */

static void answer_name(const struct shim_request *req, struct shim_answer *ans)
{
	static const struct {
		const char *name, *canonical, *v4, *v6;
		int err;
	} names[] = {
		{"peer.me.test", "peer.me.test", NODE4, NODE6, 0},
		{"peer.me.test.", "peer.me.test", NODE4, NODE6, 0},
		{"alias.me.test", "peer.me.test", NODE4, NODE6, 0},
		{"four.me.test", "four.me.test", NODE4, NULL, 0},
		{"six.me.test", "six.me.test", NULL, NODE6, 0},
		{"empty.me.test", "empty.me.test", NULL, NULL, 0},
		{"none.me.test", "", NULL, NULL, NTM_ENONAME},
		{"off.me.test", "", NULL, NULL, NTM_EOFFLINE},
		{"policy.me.test", "", NULL, NULL, NTM_EPOLICY},
		{"pin.me.test", "", NULL, NULL, NTM_EPIN},
	};
	size_t i;

	ans->err = NTM_ENOTOURS;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i].name, req->name))
			continue;
		ans->err = names[i].err;
		strcpy(ans->name, names[i].canonical);
		if (names[i].v4)
			inet_pton(AF_INET, names[i].v4, ans->vip4);
		if (names[i].v6)
			inet_pton(AF_INET6, names[i].v6, ans->vip6);
	}
}

static void answer_reverse(const struct shim_request *req,
			   struct shim_answer *ans)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(req->remote.family, req->remote.addr, text, sizeof(text));
	if (!strcmp(text, NODE4) || !strcmp(text, NODE6))
		strcpy(ans->name, "peer.me.test");
	else
		ans->err = NTM_ENOTFOUND;
}

/* --- requests --------------------------------------------------------------------- */

static void do_listen(const struct shim_request *req)
{
	int fd, i;

	stats->inode = req->inode;
	stats->port = req->local.port;
	stats->defer = req->defer;
	stats->backlog = req->backlog;
	stats->v6only = req->v6only;
	for (i = 0; i < ITEMS; i++) {
		if (items[i].kind == ITEM_LISTENER &&
		    items[i].req.local.port == req->local.port &&
		    items[i].req.domain == req->domain) {
			items[i].req = *req;
			return;
		}
	}
	fd = net_listener(req);
	if (fd >= 0)
		item_add(ITEM_LISTENER, fd, req);
}

/* by the last byte of the host: EXIT_FAR, EXIT_NEAR, else not at all */
static int exit_answer(const struct shim_request *req)
{
	uint8_t last = req->remote.addr[req->remote.family == AF_INET ? 3 : 15];

	return last == EXIT_FAR	   ? 0
	       : last == EXIT_NEAR ? NTM_ENOTOURS
				   : NTM_EUNREACHABLE;
}

static void answer(const struct shim_request *req, struct shim_answer *ans,
		   int *fd)
{
	switch (req->op) {
	case SHIM_SOCKET:
		*fd = net_socket(req);
		ans->err = *fd < 0 ? NTM_ENOENGINE : 0;
		break;
	case SHIM_POOL:
		break;
	case SHIM_RESOLVE:
		answer_name(req, ans);
		break;
	case SHIM_REVERSE:
		answer_reverse(req, ans);
		break;
	case SHIM_LISTEN:
		do_listen(req);
		break;
	case SHIM_CLAIM:
		*fd = net_claim(req);
		ans->err = *fd < 0 ? NTM_ENOTFOUND : 0;
		break;
	case SHIM_UDPBIND:
		ans->err = net_udp_bind(req);
		break;
	case SHIM_UDPALIAS:
		ans->err = net_udp_alias(req, &ans->addr);
		break;
	case SHIM_EXIT:
		ans->err = exit_answer(req);
		break;
	}
}

/* The answer, spoiled as the mode says. */
static void conn_answer(struct item *it, const struct shim_request *req,
			struct shim_answer *ans, int fd)
{
	static unsigned int flips;
	uint8_t buf[SHIM_MSG_MAX + 1];
	int len;

	if (!strcmp(mode, "wrongop"))
		ans->op = req->op == SHIM_REVERSE ? SHIM_LISTEN : SHIM_REVERSE;
	if (!strcmp(mode, "error"))
		ans->err = NTM_ESYSTEM;
	len = shim_answer_put(ans, buf);
	if (!strcmp(mode, "truncate"))
		len = (int)(flips++ % (unsigned int)len);
	else if (!strcmp(mode, "trailing"))
		buf[len++] = 0;
	else if (!strcmp(mode, "flip"))
		buf[flips++ % 6] ^= 0x10;
	if (shim_msg_send(it->fd, buf, (size_t)len, fd) < 0)
		item_drop(it);
}

static void conn_read(struct item *it)
{
	struct shim_request req;
	struct shim_answer ans = {0};
	uint8_t buf[SHIM_MSG_MAX];
	int fd = -1, snd = 4096, unwanted;
	ssize_t n;

	n = shim_msg_recv(it->fd, buf, sizeof(buf), &unwanted, MSG_DONTWAIT);
	if (n <= 0 || shim_request_get(buf, (size_t)n, &req) < 0) {
		item_drop(it);
		return;
	}
	stats->asked[req.op]++;
	if (!strcmp(mode, "hang"))
		return;
	if (!strcmp(mode, "close")) {
		item_drop(it);
		return;
	}
	ans.op = req.op;
	answer(&req, &ans, &fd);
	conn_answer(it, &req, &ans, fd);
	if (fd >= 0)
		close(fd);
	if (req.op == SHIM_POOL && it->kind == ITEM_CONN) {
		it->kind = ITEM_POOL;
		it->req = req;
		setsockopt(it->fd, SOL_SOCKET, SO_SNDBUF, &snd, sizeof(snd));
		fcntl(it->fd, F_SETFL, O_NONBLOCK);
	}
}

static void pool_fill(struct item *it)
{
	static const uint8_t msg[2] = {SHIM_VERSION, SHIM_POOL};
	int fd = net_socket(&it->req);

	if (fd >= 0 && shim_msg_send(it->fd, msg, sizeof(msg), fd) == 0)
		stats->pooled++;
	close(fd);
}

/* --- loop ------------------------------------------------------------------------------ */

static void item_ready(struct item *it, short revents)
{
	int fd;

	switch (it->kind) {
	case ITEM_FREE:
		break;
	case ITEM_DOOR:
		fd = accept4(it->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			item_add(ITEM_CONN, fd, NULL);
		break;
	case ITEM_CONN:
		conn_read(it);
		break;
	case ITEM_POOL:
		if (revents & (POLLIN | POLLHUP | POLLERR))
			item_drop(it);
		else
			pool_fill(it);
		break;
	case ITEM_LISTENER:
		stats->rung += net_ring(it->fd, &it->req) == 0;
		break;
	}
}

static void loop_turn(void)
{
	struct pollfd p[ITEMS + 64];
	struct item *at[ITEMS];
	int i, n = 0, maps;

	for (i = 0; i < ITEMS; i++) {
		if (items[i].kind == ITEM_FREE)
			continue;
		p[n].fd = items[i].fd;
		p[n].events =
			items[i].kind == ITEM_POOL ? POLLIN | POLLOUT : POLLIN;
		at[n++] = &items[i];
	}
	/* the time-out only bounds how late the end of COMMAND is seen */
	maps = net_udp_poll(p + n);
	if (poll(p, (nfds_t)(n + maps), 20) <= 0)
		return;
	for (i = 0; i < n; i++)
		if (p[i].revents && at[i]->fd == p[i].fd)
			item_ready(at[i], p[i].revents);
	for (i = 0; i < maps; i++)
		if (p[n + i].revents)
			net_udp_ready(i);
}

static void door_open(const char *name)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (rundir_file(name, un.sun_path, sizeof(un.sun_path)) < 0 ||
	    bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ||
	    listen(fd, 64) < 0)
		fail(name);
	item_add(ITEM_DOOR, fd, NULL);
}

static void *file_share(const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *at;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		fail(path);
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		fail(path);
	close(fd);
	return at;
}

static void serve_start(void)
{
	char path[128];

	if (rundir_make(dir, sizeof(dir)) < 0)
		fail("rundir");
	snprintf(path, sizeof(path), "%s/../stats", dir);
	stats = file_share(path, sizeof(*stats));
	setenv(FAKE_MODE, mode, 1);
	setenv(FAKE_NS, net_start() == 0 ? "1" : "0", 1);
	if (!strcmp(mode, "none"))
		return;
	rundir_file(SHIM_PAGE_FILE, path, sizeof(path));
	net_page(file_share(path, sizeof(struct shim_page)));
	if (!strcmp(mode, "dead"))
		return;
	door_open(SHIM_KEEPER_SOCKET);
	door_open(SHIM_BROKER_SOCKET);
}

int main(int argc, char **argv)
{
	char base[] = "/tmp/ntm-fake-XXXXXX", clean[64];
	int status = 0;
	pid_t child;

	if (argc < 4)
		return 2;
	mode = argv[1];
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(base))
		fail("mkdtemp");
	setenv("XDG_RUNTIME_DIR", base, 1);
	serve_start();
	child = fork();
	if (child == 0) {
		signal(SIGPIPE, SIG_DFL);
		setenv("LD_PRELOAD", argv[2], 1);
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	while (waitpid(child, &status, WNOHANG) == 0)
		loop_turn();
	snprintf(clean, sizeof(clean), "rm -rf %s", base);
	if (system(clean) != 0)
		return 99;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
