/* SPDX-License-Identifier: MIT */
/*
 * channel_impl - what channel.c, channel_read.c and channel_listener.c share
 *
 * Owner:    see channel.h. For these files alone.
 */
#ifndef NTM_COMMON_CHANNEL_IMPL_H
#define NTM_COMMON_CHANNEL_IMPL_H

#include "common/addr.h"
#include "common/buffer.h"
#include "common/channel.h"

#define CHANNEL_FRAME_HEAD 4
#define CHANNEL_RECORD_MAX 16384 /* of TLS */
#define CHANNEL_IN_MAX                                                         \
	(CHANNEL_FRAME_HEAD + CHANNEL_FRAME_MAX + CHANNEL_RECORD_MAX)

struct channel_source;

/**
 * enum channel_state - life of a session, in this order; any may go to DEAD
 * @CHANNEL_CONNECTING: TCP; clients only. channel_send() queues.
 * @CHANNEL_HANDSHAKE:  TLS. channel_send() queues.
 * @CHANNEL_OPEN:       messages both ways.
 * @CHANNEL_CLOSING:    channel_finish(): the queue drains, then our end is closed
 *                      and the peer's awaited; what comes in is dropped.
 * @CHANNEL_DEAD:       marked; closed() and freed at the end of the turn.
 */
enum channel_state {
	CHANNEL_CONNECTING,
	CHANNEL_HANDSHAKE,
	CHANNEL_OPEN,
	CHANNEL_CLOSING,
	CHANNEL_DEAD,
};

struct channel {
	struct channel *prev, *next; /* in one of the listener's lists */
	struct loop *loop;
	struct channel_listener *listener; /* NULL: client */
	struct channel_source *source;
	int fd;
	struct loop_io *io;
	struct loop_timer *timer; /* handshake, idle or finish */
	struct loop_timer
		*rest; /* until it is read again; NULL: it never rested */
	struct tls_session *tls;
	enum channel_state state;
	bool opened;	       /* the handshake was done */
	bool asked;	       /* ops->hello() was called */
	bool taken;	       /* the socket is another's */
	bool finish;	       /* channel_finish() was called */
	bool flushed;	       /* CLOSING: our end of TLS is closed */
	bool tls_wants_write;  /* handshake or write waits for room */
	bool read_wants_write; /* a read does (TLS key update) */
	bool resting;	       /* OPEN: nothing is read until @rest */
	unsigned int idle_s;
	int err; /* for closed() */
	struct buffer in, queue;
	struct loop_task task;
	const struct channel_ops *ops;
	void *arg;
	struct addr remote_addr;
	struct sockaddr_storage remote;
	char name[ADDR_TEXT_LEN + 16]; /* for the log */
};

/** a session on a connected (or, for clients, connecting) socket; takes @fd */
NTM_MUST_CHECK int channel_new_take(struct loop *l, struct tls_context *ctx,
				    int fd, const struct sockaddr *remote,
				    socklen_t len,
				    struct channel_listener *listener,
				    const struct channel_ops *ops, void *arg,
				    struct channel **out);
void channel_set_state(struct channel *c, enum channel_state state);

void channel_die(struct channel *c, int err);
/** the state's time limit, from now */
void channel_arm_timer(struct channel *c);
/** the events that it waits for now */
void channel_update_io(struct channel *c);

/** channel_read.c: what has come, as much as a turn allows */
void channel_read(struct channel *c);

/** the listener's books: handshake done; session freed */
void channel_listener_opened(struct channel *c);
void channel_listener_gone(struct channel *c);

#endif
