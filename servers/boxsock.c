/* SPDX-License-Identifier: MIT */
/* boxsock - messages between the DC and the box beside it */
#include "servers/boxsock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "common/datagram.h"
#include "common/log.h"
#include "common/unixsock.h"
#include "libntmcrypto/ntmcrypto.h"

#define NAME	       "dc-box.sock"
#define BACKLOG	       4
#define READS_PER_TURN 64

struct waiting {
	struct waiting *prev, *next;
	size_t len;
	uint8_t bytes[];
};

struct boxsock {
	struct loop *loop;
	int fd;
	struct loop_io *io;
	const struct boxsock_ops *ops;
	void *arg;
	struct waiting *queue;
	unsigned int n_queue;
	bool closed;
	struct loop_task end;
	uint8_t buf[BOXSOCK_MESSAGE_MAX];
};

int boxsock_listen(const char *dir, int *out)
{
	/* one that is left over may go: the supervisor's lock says so */
	return unixsock_listen(dir, NAME, SOCK_SEQPACKET, BACKLOG, out);
}

void boxsock_unlink(const char *dir)
{
	struct sockaddr_un un;

	if (!unixsock_path(dir, NAME, &un))
		unlink(un.sun_path);
}

int boxsock_accept(int fd, int *out)
{
	int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (c < 0)
		return -NTM_EAGAIN;
	if (!unixsock_is_ours_or_root(c)) {
		close(c);
		return -NTM_EPERM;
	}
	*out = c;
	return 0;
}

int boxsock_connect(const char *dir, int *out)
{
	struct sockaddr_un un;
	int fd, r = unixsock_path(dir, NAME, &un);

	if (r)
		return r;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -NTM_ESYSTEM;
	if (connect(fd, (struct sockaddr *)&un, sizeof(un))) {
		close(fd);
		return -NTM_ENOTFOUND;
	}
	*out = fd;
	return 0;
}

/* --- writing ------------------------------------------------------------------------ */

/* Return: 0, -NTM_EAGAIN, -NTM_ECLOSED */
static int put(struct boxsock *b, const uint8_t *p, size_t len)
{
	for (;;) {
		ssize_t n = send(b->fd, p, len, MSG_NOSIGNAL);

		if (n == (ssize_t)len)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		return n < 0 && (errno == EAGAIN || errno == ENOBUFS)
			       ? -NTM_EAGAIN
			       : -NTM_ECLOSED;
	}
}

static int enqueue(struct boxsock *b, const uint8_t *p, size_t len)
{
	struct waiting *w;

	if (b->n_queue == BOXSOCK_QUEUE_MAX)
		return -NTM_ELIMIT;
	w = malloc(sizeof(*w) + len);
	if (!w)
		return -NTM_ENOMEM;
	w->len = len;
	memcpy(w->bytes, p, len);
	DL_APPEND(b->queue, w);
	b->n_queue++;
	loop_io_set(b->io, LOOP_READ | LOOP_WRITE);
	return 0;
}

int boxsock_send(struct boxsock *b, const Ntm__BoxLink *msg)
{
	size_t len = ntm__box_link__get_packed_size(msg);
	uint8_t *p;
	int r;

	if (len > BOXSOCK_MESSAGE_MAX)
		return -NTM_ETOOBIG;
	p = malloc(len ? len : 1);
	if (!p)
		return -NTM_ENOMEM;
	ntm__box_link__pack(msg, p);
	r = b->queue ? -NTM_EAGAIN : put(b, p, len);
	if (r == -NTM_EAGAIN)
		r = enqueue(b, p, len);
	else
		r = 0; /* reading hears that it is closed */
	ntmc_wipe(p, len);
	free(p);
	return r;
}

static void waiting_free(struct boxsock *b, struct waiting *w)
{
	DL_DELETE(b->queue, w);
	b->n_queue--;
	ntmc_wipe(w->bytes, w->len);
	free(w);
}

static void write_more(struct boxsock *b)
{
	while (b->queue) {
		if (put(b, b->queue->bytes, b->queue->len) == -NTM_EAGAIN)
			return;
		waiting_free(b, b->queue);
	}
	loop_io_set(b->io, LOOP_READ);
	if (b->ops->drained)
		b->ops->drained(b->arg);
}

bool boxsock_is_idle(const struct boxsock *b)
{
	return !b->queue;
}

/* --- reading ------------------------------------------------------------------------- */

/* Return: false when there is nothing more, or no link any more */
static bool read_one(struct boxsock *b)
{
	ssize_t n = recv(b->fd, b->buf, sizeof(b->buf), MSG_DONTWAIT);
	ProtobufCMessage *msg;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0 || datagram_unpack(&ntm__box_link__descriptor, b->buf,
				      (size_t)n, &msg)) {
		if (n > 0)
			log_err("boxsock", "a message does not decode");
		loop_io_set(b->io, 0);
		b->ops->closed(b->arg);
		return false;
	}
	b->ops->message(b->arg, (Ntm__BoxLink *)msg);
	datagram_free(msg);
	ntmc_wipe(b->buf, (size_t)n);
	return !b->closed;
}

static void ready(void *arg, int fd, unsigned int events)
{
	struct boxsock *b = arg;

	(void)fd;
	if (events & LOOP_WRITE && b->queue)
		write_more(b);
	if (!(events & LOOP_READ) || b->closed)
		return;
	for (int i = 0; i < READS_PER_TURN && read_one(b); i++)
		;
}

/* --- life ------------------------------------------------------------------------------ */

static void boxsock_free(void *arg)
{
	struct boxsock *b = arg;

	while (b->queue)
		waiting_free(b, b->queue);
	free(b);
}

int boxsock_new(struct loop *l, int fd, const struct boxsock_ops *ops,
		void *arg, struct boxsock **out)
{
	struct boxsock *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -NTM_ENOMEM;
	b->loop = l;
	b->fd = fd;
	b->ops = ops;
	b->arg = arg;
	b->end = (struct loop_task){.fn = boxsock_free, .arg = b};
	r = loop_io_add(l, fd, LOOP_READ, false, ready, b, &b->io);
	if (r)
		free(b);
	else
		*out = b;
	return r;
}

void boxsock_close(struct boxsock *b)
{
	if (!b || b->closed)
		return;
	b->closed = true;
	loop_io_del(b->io);
	close(b->fd);
	loop_defer_task(b->loop, &b->end);
}
