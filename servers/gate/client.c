/* SPDX-License-Identifier: MIT */
/*
 * client - one node at the gate: its stream, its sockets towards relay and DC
 *
 * Theory of operation
 *
 * Each node has two UDP sockets of its own, made when it first uses them: one
 * connected to the relay on this machine, one to the DC. What comes on the stream
 * goes out by them, what they receive goes back. So relay and DC see a node behind a
 * NAT, and know nothing of TLS; and as the sockets are connected, nothing passes but
 * between this node and those two: it is no proxy to anywhere else.
 *
 * Frames of one size in a row leave as one UDP_SEGMENT message, from where they lie;
 * what UDP_GRO joined is read at once and put behind one another in the stream's
 * queue, which leaves in whole TLS records.
 *
 * Congestion. A node whose TCP does not take more is not read for: its socket's
 * buffer fills, and the kernel drops. The queue is short (GATE_QUEUE), since what
 * waits in it is late for the TCP inside the tunnel.
 *
 * Places. A node has GATE_STREAMS_NODE of them: with one more its oldest ends.
 *
 * A DC has perhaps several addresses. Where Signals leave and nothing comes back for
 * DC_SILENT_MS the next one is tried.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "common/log.h"
#include "common/tlshello.h"
#include "servers/gate/splice.h"
#include "servers/gate/state.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define RUN_MAX	       64 /* datagrams; what every kernel with UDP_SEGMENT takes */
#define RUN_BYTES      65000
#define READS_PER_TURN 16
#define ERRORS_MAX     4
#define SOCKET_BUFFER  (512 * 1024)
#define DC_SILENT_MS   1500

/* struct run - datagrams to one side, equal in size but for the last */
struct run {
	enum gate_side side;
	struct iovec iov[RUN_MAX];
	size_t n, bytes, size;
	bool closed;
};

struct client {
	struct client *prev, *next;
	struct gate *g;
	struct channel *c;
	uint8_t node[NTMC_KEY_LEN]; /* its identity */
	int fd[GATE_SIDES];
	struct loop_io *io[GATE_SIDES];
	bool full; /* the stream: the sockets are not read */
	bool ended;
	size_t way;
	uint64_t asked_ns; /* the DC, since then without a word; 0 not */
};

/* --- sockets --------------------------------------------------------------------- */

static void client_readable(void *arg, int fd, unsigned int events);

static void side_close(struct client *cl, enum gate_side side)
{
	loop_io_del(cl->io[side]);
	cl->io[side] = NULL;
	if (cl->fd[side] >= 0)
		close(cl->fd[side]);
	cl->fd[side] = -1;
}

static bool side_open(struct client *cl, enum gate_side side)
{
	const struct addr *to =
		side == GATE_DC ? &cl->g->dc[cl->way] : &cl->g->relay;
	int on = 1, size = SOCKET_BUFFER, fd;

	if (cl->fd[side] >= 0)
		return true;
	fd = socket(to->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    0);
	if (fd < 0)
		return false;
	(void)!setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
	(void)!setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)!setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(fd, &to->sa, addr_len(to)) ||
	    loop_io_add(cl->g->loop, fd, cl->full ? 0 : LOOP_READ, false,
			client_readable, cl, &cl->io[side])) {
		close(fd);
		return false;
	}
	cl->fd[side] = fd;
	return true;
}

/* The DC was asked again: has it been silent too long at this address? */
static void dc_asked(struct client *cl)
{
	uint64_t now = loop_now(cl->g->loop);

	if (!cl->asked_ns) {
		cl->asked_ns = now;
	} else if (now - cl->asked_ns > LOOP_MS(DC_SILENT_MS) &&
		   cl->g->n_dc > 1) {
		side_close(cl, GATE_DC);
		cl->way = (cl->way + 1) % cl->g->n_dc;
		cl->asked_ns = now;
	}
}

/* --- from the node ------------------------------------------------------------------ */

static void run_singly(struct client *cl, struct run *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (send(cl->fd[r->side], r->iov[i].iov_base, r->iov[i].iov_len,
			 MSG_DONTWAIT) < 0)
			cl->g->stats.lost++;
}

static void run_send(struct client *cl, struct run *r)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control = {.bytes = {0}};
	struct msghdr m = {.msg_iov = r->iov, .msg_iovlen = r->n};
	uint16_t size = (uint16_t)r->size;

	if (!r->n)
		return;
	if (r->side == GATE_DC)
		dc_asked(cl);
	if (!side_open(cl, r->side)) {
		cl->g->stats.lost += r->n;
		r->n = 0;
		return;
	}
	if (r->n > 1) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.bytes);
		control.align.cmsg_level = SOL_UDP;
		control.align.cmsg_type = UDP_SEGMENT;
		control.align.cmsg_len = CMSG_LEN(sizeof(size));
		memcpy(CMSG_DATA(&control.align), &size, sizeof(size));
	}
	cl->g->stats.in += r->n;
	cl->g->stats.in_bytes += r->bytes;
	if (sendmsg(cl->fd[r->side], &m, MSG_DONTWAIT) < 0) {
		if (r->n > 1 && errno != EAGAIN && errno != ENOBUFS)
			run_singly(cl, r);
		else
			cl->g->stats.lost += r->n;
	}
	r->n = 0;
}

static void run_add(struct client *cl, struct run *r, const struct gateframe *f)
{
	if (r->n && (r->closed || r->side != f->side || f->len > r->size ||
		     r->n == RUN_MAX || r->bytes + f->len > RUN_BYTES))
		run_send(cl, r);
	if (!r->n) {
		r->side = f->side;
		r->size = f->len;
		r->bytes = 0;
	}
	r->iov[r->n++] = (struct iovec){f->data, f->len};
	r->bytes += f->len;
	r->closed = f->len < r->size;
}

static int client_bytes(struct channel *c, uint8_t *data, size_t len, void *arg)
{
	struct client *cl = arg;
	struct run run = {.n = 0};
	struct gateframe f;
	size_t done = 0;
	int n;

	(void)c;
	while ((n = gateframe_get(data + done, len - done, &f)) > 0) {
		run_add(cl, &run, &f);
		done += (size_t)n;
	}
	run_send(cl, &run);
	if (n < 0) {
		cl->g->stats.bad++;
		return n;
	}
	return (int)done;
}

/* --- to the node ---------------------------------------------------------------------- */

static void client_set_full(struct client *cl, bool full)
{
	if (cl->full == full)
		return;
	cl->full = full;
	for (int i = 0; i < GATE_SIDES; i++)
		if (cl->io[i])
			loop_io_set(cl->io[i], full ? 0 : LOOP_READ);
}

static size_t segment_size(struct msghdr *m, size_t len)
{
	int size;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&size, CMSG_DATA(c), sizeof(size));
			return size > 0 ? (size_t)size : len;
		}
	return len;
}

/* what was read, as frames into the stream */
static void client_put(struct client *cl, enum gate_side side,
		       const uint8_t *data, size_t bytes, size_t size)
{
	struct gate *g = cl->g;

	for (size_t at = 0; at < bytes; at += size) {
		size_t len = bytes - at < size ? bytes - at : size;
		uint8_t *room = NULL;

		if (len >= PACKET_HEADER_LEN && len <= PACKET_DATA_MAX)
			room = channel_room(cl->c, GATEFRAME_HEAD + len);
		if (!room) {
			g->stats.lost++;
			continue;
		}
		gateframe_put(room, side, len);
		memcpy(room + GATEFRAME_HEAD, data + at, len);
		channel_put(cl->c, GATEFRAME_HEAD + len);
		g->stats.out++;
		g->stats.out_bytes += len;
	}
}

static ssize_t client_receive(struct client *cl, int fd, size_t *size)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {cl->g->read, sizeof(cl->g->read)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = -1;

	/* an error that waited on the socket is told once and then gone */
	for (int i = 0; n < 0 && i < ERRORS_MAX; i++) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		n = recvmsg(fd, &m, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
	}
	if (n > 0)
		*size = segment_size(&m, (size_t)n);
	return n;
}

static void client_readable(void *arg, int fd, unsigned int events)
{
	struct client *cl = arg;
	enum gate_side side = fd == cl->fd[GATE_DC] ? GATE_DC : GATE_RELAY;
	size_t size = 0;

	(void)events;
	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t n;

		if (channel_queued(cl->c) >= GATE_QUEUE) {
			channel_flush(cl->c);
			if (channel_queued(cl->c) >= GATE_QUEUE) {
				client_set_full(cl, true);
				return;
			}
		}
		n = client_receive(cl, fd, &size);
		if (n <= 0)
			break;
		if (side == GATE_DC)
			cl->asked_ns = 0;
		client_put(cl, side, cl->g->read, (size_t)n, size);
	}
	channel_flush(cl->c);
}

static void client_drained(struct channel *c, void *arg)
{
	(void)c;
	client_set_full(arg, false);
}

/* --- to AS and GMS -------------------------------------------------------------------- */

/* The channel's arg: the gate; a splice once it is asked for; a client once it is open. */
static bool client_hello(struct channel *c, const uint8_t *data, size_t len,
			 void *arg)
{
	struct gate *g = arg;
	bool as = addr_is_set(&g->as) && tlshello_asks(data, len, TLSHELLO_AS);
	bool gms = !as && addr_is_set(&g->gms) &&
		   tlshello_asks(data, len, TLSHELLO_GMS);
	struct splice *s;

	if (!as && !gms)
		return false;
	channel_set_arg(c, NULL);
	if (splice_new(g, c, as ? &g->as : &g->gms, gms, &s)) {
		channel_close(c);
		return true;
	}
	channel_set_arg(c, s);
	if (as)
		g->stats.logins++;
	else
		g->stats.groups++;
	return true;
}

/* --- life ------------------------------------------------------------------------------ */

/* One node has a stream, and for a while the one of before it moved. Whoever has a
 * certificate must not take the places of all the others. */
static void make_room(struct gate *g, const uint8_t node[NTMC_KEY_LEN])
{
	struct client *cl, *oldest = NULL;
	unsigned int n = 0;

	DL_FOREACH (g->clients, cl)
		if (!cl->ended && !memcmp(cl->node, node, NTMC_KEY_LEN)) {
			oldest = oldest ? oldest : cl;
			n++;
		}
	if (n < GATE_STREAMS_NODE)
		return;
	oldest->ended = true;
	g->stats.replaced++;
	channel_close(oldest->c);
}

static void client_open(struct channel *c, void *arg)
{
	const struct ntmc_cert *peer = channel_peer(c);
	struct gate *g = arg;
	struct client *cl;

	if (!peer || peer->kind != NTMC_CERT_NODE ||
	    !(cl = calloc(1, sizeof(*cl)))) {
		g->stats.refused++;
		channel_set_arg(c, NULL);
		channel_close(c);
		return;
	}
	make_room(g, peer->ed_pub);
	cl->g = g;
	cl->c = c;
	memcpy(cl->node, peer->ed_pub, sizeof(cl->node));
	for (int i = 0; i < GATE_SIDES; i++)
		cl->fd[i] = -1;
	DL_APPEND(g->clients, cl);
	g->n_clients++;
	channel_set_arg(c, cl);
	channel_set_idle(c, GATE_IDLE_S);
	log_debug("gate", "%s is here", peer->fqdn);
}

static void client_closed(struct channel *c, int err, void *arg)
{
	struct client *cl = arg;

	(void)err;
	if (channel_was_taken(c)) {
		if (arg)
			splice_free(arg);
		return;
	}
	if (!channel_was_open(c) || !cl)
		return;
	for (int i = 0; i < GATE_SIDES; i++)
		side_close(cl, (enum gate_side)i);
	DL_DELETE(cl->g->clients, cl);
	cl->g->n_clients--;
	free(cl);
}

const struct channel_ops client_ops = {
	.hello = client_hello,
	.open = client_open,
	.bytes = client_bytes,
	.drained = client_drained,
	.closed = client_closed,
};
