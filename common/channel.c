/* SPDX-License-Identifier: MIT */
/*
 * channel - framed messages (ntm.Envelope) on a TLS connection, client or server
 *
 * Theory of operation
 *
 * One event function (on_event) drives the state of enum channel_state; what comes is
 * read in channel_read.c.
 *
 * One timer serves each state: the handshake's limit, then idleness, then the limit
 * of finishing. Idleness counts whole messages, so that dripping bytes do not keep
 * a session.
 *
 * channel_finish() ends without losing the last message: after the queue and our
 * end of TLS it waits for the peer's end. Closing earlier, with bytes of the peer
 * unread, would make the kernel send a reset that can overtake our answer.
 *
 * Whatever the peer sends ends its own session at worst. channel_close() and every
 * fault go through channel_die(): descriptor and timers stop at once, closed() and
 * the freeing wait for the end of the turn, so a handler may close its session.
 */
#include "common/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel_impl.h"
#include "common/datagram.h"
#include "common/log.h"
#include "common/tlshello.h"

#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_STEP_S 10
#define KEEPALIVE_COUNT	 3
#define RAW_UNSENT_MAX	 131072
#define LINK_SILENT_MS	 60000 /* unacknowledged data: the link is dead */

static const char *const state_names[] = {
	[CHANNEL_CONNECTING] = "connecting",
	[CHANNEL_HANDSHAKE] = "handshake",
	[CHANNEL_OPEN] = "open",
	[CHANNEL_CLOSING] = "closing",
	[CHANNEL_DEAD] = "dead",
};
_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == CHANNEL_DEAD + 1,
	       "a name for each state");

static void try_write(struct channel *c);

/* --- state ------------------------------------------------------------------------- */

void channel_update_io(struct channel *c)
{
	unsigned int events = c->resting ? 0 : LOOP_READ;

	if (c->state == CHANNEL_CONNECTING)
		events = LOOP_WRITE;
	else if (c->tls_wants_write || (c->read_wants_write && !c->resting) ||
		 (c->state >= CHANNEL_OPEN && c->queue.len))
		events |= LOOP_WRITE;
	loop_io_set(c->io, events);
}

void channel_arm_timer(struct channel *c)
{
	unsigned int s = c->state == CHANNEL_OPEN      ? c->idle_s
			 : c->state == CHANNEL_CLOSING ? CHANNEL_FINISH_S
						       : CHANNEL_HANDSHAKE_S;

	if (s)
		loop_timer_arm(c->timer, LOOP_S(s));
	else
		loop_timer_disarm(c->timer);
}

void channel_set_state(struct channel *c, enum channel_state state)
{
	if (state != c->state)
		log_debug(c->name, "%s -> %s", state_names[c->state],
			  state_names[state]);
	c->state = state;
	if (state != CHANNEL_OPEN)
		c->resting = false; /* the peer's end is waited for */
	if (state != CHANNEL_DEAD) {
		channel_arm_timer(c);
		channel_update_io(c);
	}
}

void channel_die(struct channel *c, int err)
{
	if (c->state == CHANNEL_DEAD)
		return;
	if (err)
		log_debug(c->name, "%s", err_text(err));
	c->err = err;
	channel_set_state(c, CHANNEL_DEAD);
	loop_io_del(c->io);
	c->io = NULL;
	loop_timer_disarm(c->timer);
	if (c->rest)
		loop_timer_disarm(c->rest);
	loop_defer_task(c->loop, &c->task);
}

static void channel_free(struct channel *c)
{
	if (c->listener)
		channel_listener_gone(c);
	loop_io_del(c->io);
	loop_timer_free(c->timer);
	loop_timer_free(c->rest);
	tls_session_free(c->tls);
	if (c->fd >= 0)
		close(c->fd);
	buffer_clear(&c->in);
	buffer_clear(&c->queue);
	free(c);
}

static void on_end_of_turn(void *arg)
{
	struct channel *c = arg;

	if (c->ops->closed)
		c->ops->closed(c, c->err, c->arg);
	channel_free(c);
}

static void on_timer(void *arg)
{
	struct channel *c = arg;

	/* a peer that does not close its end is no fault of what was sent */
	channel_die(c, c->state == CHANNEL_CLOSING && c->flushed
			       ? 0
			       : -NTM_ETIMEOUT);
}

/* --- handshake ---------------------------------------------------------------------- */

static void on_opened(struct channel *c)
{
	c->tls_wants_write = false;
	c->opened = true;
	channel_set_state(c, CHANNEL_OPEN);
	if (c->listener)
		channel_listener_opened(c);
	if (c->ops->open)
		c->ops->open(c, c->arg);
	if (c->state == CHANNEL_OPEN && c->finish)
		channel_set_state(c, CHANNEL_CLOSING);
	try_write(c);
}

static void try_handshake(struct channel *c)
{
	switch (tls_handshake(c->tls)) {
	case TLS_OK:
		on_opened(c);
		return;
	case TLS_WANT_READ:
		c->tls_wants_write = false;
		break;
	case TLS_WANT_WRITE:
		c->tls_wants_write = true;
		break;
	case TLS_CLOSED:
		channel_die(c, -NTM_ECLOSED);
		return;
	case TLS_FAILED:
		channel_die(c, tls_error(c->tls));
		return;
	}
	channel_update_io(c);
}

/* Is it for somebody else? A hello in pieces is not: whoever sends it byte by byte
 * must not keep us looking. */
static bool try_hello(struct channel *c)
{
	uint8_t data[TLSHELLO_PEEK];
	ssize_t n;

	if (c->asked || !c->listener || !c->ops->hello)
		return false;
	n = recv(c->fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0)
		return false;
	c->asked = true;
	return c->ops->hello(c, data, (size_t)n, c->arg);
}

static void try_connect(struct channel *c)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err) {
		log_debug(c->name, "connect: %s", strerror(err));
		channel_die(c, err == ETIMEDOUT ? -NTM_ETIMEOUT
						: -NTM_EUNREACHABLE);
		return;
	}
	channel_set_state(c, CHANNEL_HANDSHAKE);
	try_handshake(c);
}

/* --- writing -------------------------------------------------------------------------- */

static void try_finish(struct channel *c)
{
	if (c->state != CHANNEL_CLOSING || c->queue.len || c->flushed)
		return;
	switch (tls_shutdown(c->tls)) {
	case TLS_OK:
		c->flushed = true;
		shutdown(c->fd, SHUT_WR);
		break;
	case TLS_WANT_WRITE:
		c->tls_wants_write = true;
		break;
	case TLS_WANT_READ:
		break;
	case TLS_CLOSED:
	case TLS_FAILED:
		channel_die(c, 0);
		break;
	}
}

static void try_write(struct channel *c)
{
	enum tls_outcome outcome = TLS_OK;
	bool put_any = c->queue.len > 0;
	size_t put;

	if (c->state != CHANNEL_OPEN && c->state != CHANNEL_CLOSING)
		return;
	c->tls_wants_write = false;
	while (c->queue.len && outcome == TLS_OK) {
		outcome = tls_write(c->tls, buffer_peek(&c->queue),
				    c->queue.len, &put);
		if (outcome == TLS_OK)
			buffer_consume(&c->queue, put);
	}
	if (outcome == TLS_FAILED || outcome == TLS_CLOSED) {
		channel_die(c, tls_error(c->tls));
		return;
	}
	if (put_any && !c->queue.len && c->ops->drained)
		c->ops->drained(c, c->arg);
	try_finish(c);
	if (c->state != CHANNEL_DEAD)
		channel_update_io(c);
}

static void on_event(void *arg, int fd, unsigned int events)
{
	struct channel *c = arg;

	(void)fd;
	if (c->state == CHANNEL_CONNECTING)
		try_connect(c);
	else if (c->state == CHANNEL_HANDSHAKE && try_hello(c))
		return;
	else if (c->state == CHANNEL_HANDSHAKE)
		try_handshake(c);
	if (((events & LOOP_READ) || c->read_wants_write) && !c->resting &&
	    (c->state == CHANNEL_OPEN || c->state == CHANNEL_CLOSING))
		channel_read(c);
	try_write(c);
}

/* --- making and using ------------------------------------------------------------------ */

/* Without these a link to a host that vanished would stay for hours. Of a raw one the
 * kernel keeps little: what waits there cannot be dropped any more. */
static void set_socket_options(int fd, bool raw)
{
	int unsent = RAW_UNSENT_MAX, on = 1, idle = KEEPALIVE_IDLE_S,
	    step = KEEPALIVE_STEP_S;
	int count = KEEPALIVE_COUNT;
	unsigned int silent = LINK_SILENT_MS;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &step, sizeof(step));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent, sizeof(silent));
	if (raw)
		setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent,
			   sizeof(unsent));
}

int channel_new_take(struct loop *l, struct tls_context *ctx, int fd,
		     const struct sockaddr *remote, socklen_t len,
		     struct channel_listener *listener,
		     const struct channel_ops *ops, void *arg,
		     struct channel **out)
{
	struct channel *c = calloc(1, sizeof(*c));
	char text[ADDR_TEXT_LEN];
	int ret = -NTM_ENOMEM;

	if (!c || len > sizeof(c->remote))
		goto err_channel;
	c->loop = l;
	c->ops = ops;
	c->arg = arg;
	c->fd = -1; /* taken over on success only */
	c->state = listener ? CHANNEL_HANDSHAKE : CHANNEL_CONNECTING;
	c->task = (struct loop_task){.fn = on_end_of_turn, .arg = c};
	memcpy(&c->remote, remote, len);
	addr_clear(&c->remote_addr);
	if (addr_from_sockaddr(remote, len, &c->remote_addr))
		addr_clear(&c->remote_addr);
	snprintf(c->name, sizeof(c->name), "channel %s",
		 addr_format(&c->remote_addr, text));
	buffer_init(&c->in, CHANNEL_IN_MAX);
	buffer_init(&c->queue, CHANNEL_QUEUE_MAX);
	ret = tls_session_new(ctx, fd, listener != NULL, true, &c->tls);
	if (ret == 0)
		ret = loop_timer_new(l, on_timer, c, &c->timer);
	if (ret == 0)
		ret = loop_io_add(l, fd, 0, false, on_event, c, &c->io);
	if (ret)
		goto err_channel;
	set_socket_options(fd, ops->bytes != NULL);
	c->fd = fd;
	c->listener = listener;
	c->idle_s = listener ? CHANNEL_IDLE_S : 0;
	channel_set_state(c, c->state);
	*out = c;
	return 0;
err_channel:
	if (c)
		channel_free(c);
	return ret;
}

int channel_connect(struct loop *l, struct tls_context *ctx,
		    const struct sockaddr *addr, socklen_t len,
		    const struct channel_ops *ops, void *arg,
		    struct channel **out)
{
	int fd, ret;

	fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    IPPROTO_TCP);
	if (fd < 0)
		return -NTM_ESYSTEM;
	if (connect(fd, addr, len) < 0 && errno != EINPROGRESS)
		ret = -NTM_EUNREACHABLE;
	else
		ret = channel_new_take(l, ctx, fd, addr, len, NULL, ops, arg,
				       out);
	if (ret)
		close(fd);
	return ret;
}

int channel_send(struct channel *c, const Ntm__Envelope *msg)
{
	size_t len = ntm__envelope__get_packed_size(msg);
	uint8_t *room;
	int ret;

	if (c->state == CHANNEL_DEAD || c->finish)
		return -NTM_ECLOSED;
	if (len > CHANNEL_FRAME_MAX)
		return -NTM_ETOOBIG;
	ret = buffer_reserve(&c->queue, CHANNEL_FRAME_HEAD + len, &room);
	if (ret) {
		/* it asks and does not read; memory is not for that */
		channel_die(c, ret);
		return -NTM_ELIMIT;
	}
	room[0] = (uint8_t)(len >> 24);
	room[1] = (uint8_t)(len >> 16);
	room[2] = (uint8_t)(len >> 8);
	room[3] = (uint8_t)len;
	ntm__envelope__pack(msg, room + CHANNEL_FRAME_HEAD);
	buffer_grow(&c->queue, CHANNEL_FRAME_HEAD + len);
	if (c->state == CHANNEL_OPEN)
		channel_arm_timer(c);
	/* written by the next event: many small messages make one record */
	channel_update_io(c);
	return 0;
}

uint8_t *channel_room(struct channel *c, size_t len)
{
	uint8_t *room;

	if (c->state != CHANNEL_OPEN || c->finish ||
	    buffer_reserve(&c->queue, len, &room))
		return NULL;
	return room;
}

void channel_put(struct channel *c, size_t len)
{
	buffer_grow(&c->queue, len);
}

size_t channel_queued(const struct channel *c)
{
	return c->queue.len;
}

void channel_flush(struct channel *c)
{
	try_write(c);
}

void channel_finish(struct channel *c)
{
	if (c->state == CHANNEL_DEAD || c->finish)
		return;
	c->finish = true;
	if (c->state != CHANNEL_OPEN)
		return; /* on_opened() goes on */
	channel_set_state(c, CHANNEL_CLOSING);
	try_write(c);
}

void channel_close(struct channel *c)
{
	channel_die(c, 0);
}

void channel_set_idle(struct channel *c, unsigned int seconds)
{
	c->idle_s = seconds;
	if (c->state == CHANNEL_OPEN)
		channel_arm_timer(c);
}

bool channel_was_taken(const struct channel *c)
{
	return c->taken;
}

int channel_take(struct channel *c)
{
	c->taken = true;
	loop_io_del(c->io);
	c->io = NULL;
	loop_timer_arm(c->timer, LOOP_S(CHANNEL_TAKEN_S));
	return c->fd;
}

void channel_taken_stay(struct channel *c, unsigned int seconds)
{
	if (!c->opened && c->listener) {
		c->opened = true;
		channel_listener_opened(c);
	}
	loop_timer_arm(c->timer, LOOP_S(seconds));
}

bool channel_was_open(const struct channel *c)
{
	return c->opened;
}

void channel_set_arg(struct channel *c, void *arg)
{
	c->arg = arg;
}

const struct ntmc_cert *channel_peer(const struct channel *c)
{
	return tls_peer(c->tls);
}

const uint8_t *channel_peer_ca(const struct channel *c, size_t *len)
{
	return tls_peer_ca(c->tls, len);
}

const struct sockaddr_storage *channel_remote(const struct channel *c)
{
	return &c->remote;
}
