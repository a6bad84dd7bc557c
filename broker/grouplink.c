/* SPDX-License-Identifier: MIT */
/* grouplink - the socket at which ntm-member gives the worker keys of groups */
#include "broker/grouplink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fdmsg.h"
#include "common/acceptor.h"
#include "common/log.h"
#include "common/unixsock.h"

#define KEY	"group.sock"
#define BACKLOG 4
#define TURN	16 /* messages at one time: packets come first */

struct grouplink {
	struct worker *w;
	struct acceptor *acceptor;
	int listener; /* until the acceptor has it; -1: none, or it has */
	int conn;     /* -1: none */
	struct loop_io *conn_io;
};

static void hang_up(struct grouplink *l)
{
	loop_io_del(l->conn_io);
	if (l->conn >= 0)
		close(l->conn);
	l->conn_io = NULL;
	l->conn = -1;
}

/* --- messages ------------------------------------------------------------------------- */

static int take_epoch(struct grouplink *l, int fd)
{
	struct groupword_epoch e;
	int err = groupword_epoch_read(fd, &e);

	if (!err)
		err = groups_epoch(l->w->groups, &e);
	if (err)
		log_warn("group", "an epoch was not taken: %s", err_text(err));
	/* one that is too old, or too much, is no reason to hang up */
	return err == -NTM_EDECODE ? err : 0;
}

static int take(struct grouplink *l, const uint8_t *b, size_t len,
		const int *fds, size_t n_fds)
{
	struct groups *gs = l->w->groups;
	struct groupword word;
	int err = groupword_get(b, len, &word);

	if (err || n_fds != (word.kind == GROUPWORD_EPOCH))
		return -NTM_EDECODE;
	switch (word.kind) {
	case GROUPWORD_EPOCH:
		return take_epoch(l, fds[0]);
	case GROUPWORD_VALID:
		groups_valid(gs, &word);
		break;
	case GROUPWORD_END:
		groups_end(gs, word.id);
		break;
	case GROUPWORD_KEEP:
		groups_keep(gs, word.id);
		break;
	case GROUPWORD_RELAY:
		groups_relay(gs, &word);
		ntmc_wipe(word.key, sizeof(word.key));
		break;
	case GROUPWORD_ALL:
		groups_all(gs);
		break;
	case GROUPWORD_CONTROL:
		err = groups_say(gs, &word);
		if (err)
			log_debug("group", "a control packet was not sent: %s",
				  err_text(err));
		break;
	}
	return 0;
}

static void conn_ready(void *arg, int fd, unsigned int events)
{
	struct grouplink *l = arg;
	uint8_t buf[GROUPWORD_MAX];
	int fds[FDMSG_MAX], err = 0;
	size_t n_fds;
	ssize_t n;

	(void)events;
	for (unsigned int i = 0; i < TURN && !err; i++) {
		n = fdmsg_recv(fd, buf, sizeof(buf), fds, &n_fds, MSG_DONTWAIT);
		if (n == -NTM_EAGAIN)
			return;
		err = n < 0 ? (int)n : take(l, buf, (size_t)n, fds, n_fds);
		while (n_fds)
			close(fds[--n_fds]);
	}
	if (!err)
		return;
	if (err != -NTM_ECLOSED)
		log_warn("group", "ntm-member is not understood: %s",
			 err_text(err));
	hang_up(l);
}

/* a control packet of another member */
static void heard(void *arg, const struct groupword *word)
{
	struct grouplink *l = arg;
	int err = l->conn < 0 ? 0 : groupword_send(l->conn, word);

	if (err)
		log_debug("group", "ntm-member does not read: %s",
			  err_text(err));
}

/* Another session, maybe: it connects anew, and says all. */
static void again(void *arg)
{
	hang_up(arg);
}

/* --- connections ------------------------------------------------------------------------ */

static void comes(void *arg, int conn, const struct addr *from)
{
	struct grouplink *l = arg;

	(void)from;
	if (!unixsock_is_ours(conn)) {
		close(conn);
		return;
	}
	hang_up(l);
	if (loop_io_add(l->w->loop, conn, LOOP_READ, false, conn_ready, l,
			&l->conn_io)) {
		close(conn);
		return;
	}
	l->conn = conn;
	groups_begin(l->w->groups);
}

/* --- life ------------------------------------------------------------------------------- */

static int listener_make(struct grouplink *l)
{
	const char *dir = keeper_rundir(l->w->keeper);
	int fd, err;

	if (l->listener >= 0 && unixsock_is_there(dir, GROUPWORD_SOCKET))
		return 0;
	err = unixsock_listen(dir, GROUPWORD_SOCKET, SOCK_SEQPACKET, BACKLOG,
			      &fd);
	if (err) {
		log_warn("group", "%s/" GROUPWORD_SOCKET ": %s", dir,
			 strerror(errno));
		return err;
	}
	if (l->listener >= 0)
		close(l->listener);
	l->listener = fd;
	return keeper_fd_put(l->w->keeper, KEY, fd);
}

static void left_over(void *arg, const char *key, int fd)
{
	struct grouplink *l = arg;

	if (!strcmp(key, KEY) && l->listener < 0)
		l->listener = fd;
	else
		close(fd);
}

int grouplink_new(struct worker *w, struct grouplink **out)
{
	struct grouplink *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -NTM_ENOMEM;
	l->w = w;
	l->listener = l->conn = -1;
	keeper_fd_each(w->keeper, KEY, left_over, l);
	err = listener_make(l);
	if (!err)
		err = acceptor_new(w->loop, "group", comes, l, &l->acceptor);
	if (!err)
		err = acceptor_add(l->acceptor, l->listener);
	if (err) {
		grouplink_free(l);
		return err;
	}
	l->listener = -1;
	groups_set_ear(w->groups, heard, again, l);
	*out = l;
	return 0;
}

/* the keeper has the listening socket, for the next worker */
void grouplink_free(struct grouplink *l)
{
	if (!l)
		return;
	if (l->w->groups)
		groups_set_ear(l->w->groups, NULL, NULL, NULL);
	hang_up(l);
	acceptor_free(l->acceptor);
	if (l->listener >= 0)
		close(l->listener);
	free(l);
}
