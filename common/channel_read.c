/* SPDX-License-Identifier: MIT */
/*
 * channel_read - what comes on a channel: TLS records, frames, messages; and how it waits
 *
 * Theory of operation
 *
 * Reading stops after CHANNEL_READS records a turn so that no session holds up the
 * others. A read takes a whole TLS record, so nothing readable is left inside GnuTLS
 * where epoll could not see it.
 *
 * While a channel rests nothing is read, so the kernel's window fills, and what the peer
 * says waits with the peer. Frames that had come with the last record stay in the buffer
 * and are the first to be taken then; it has room for a record beside the longest frame
 * that is not whole, and none is read before all whole ones are taken.
 */
#include "common/channel_impl.h"
#include "common/datagram.h"

#define CHANNEL_READS 4 /* records in a turn */

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static size_t frame_max(const struct channel *c)
{
	return c->listener && !tls_peer(c->tls) ? CHANNEL_FRAME_ANONYMOUS
						: CHANNEL_FRAME_MAX;
}

/* The next whole frame; 1 when it was delivered, 0 when more is needed. */
static int next_frame(struct channel *c)
{
	ProtobufCMessage *msg;
	uint32_t len;
	int ret;

	if (c->in.len < CHANNEL_FRAME_HEAD)
		return 0;
	len = get_u32(buffer_peek(&c->in));
	if (len > frame_max(c))
		return -NTM_EDECODE;
	if (c->in.len < CHANNEL_FRAME_HEAD + (size_t)len)
		return 0;
	ret = datagram_unpack(&ntm__envelope__descriptor,
			      buffer_peek(&c->in) + CHANNEL_FRAME_HEAD, len,
			      &msg);
	if (ret)
		return ret;
	buffer_consume(&c->in, CHANNEL_FRAME_HEAD + (size_t)len);
	channel_arm_timer(c);
	c->ops->message(c, (const Ntm__Envelope *)msg, c->arg);
	datagram_free(msg);
	return 1;
}

static int take_bytes(struct channel *c)
{
	int used;

	if (!c->in.len)
		return 0;
	used = c->ops->bytes(c, buffer_peek(&c->in), c->in.len, c->arg);
	if (used <= 0)
		return used;
	buffer_consume(&c->in, (size_t)used);
	if (c->state == CHANNEL_OPEN)
		channel_arm_timer(c);
	return 0;
}

static int take_frames(struct channel *c)
{
	int ret;

	if (c->ops->bytes && c->state == CHANNEL_OPEN)
		return take_bytes(c);
	if (c->state == CHANNEL_CLOSING)
		buffer_consume(&c->in, c->in.len);
	do {
		ret = c->state == CHANNEL_OPEN && !c->resting ? next_frame(c)
							      : 0;
	} while (ret == 1);
	return ret;
}

/* The peer has closed its end: orderly between frames, else not. */
static void on_peer_end(struct channel *c)
{
	if (c->state == CHANNEL_CLOSING)
		channel_die(c, c->queue.len ? -NTM_ECLOSED : 0);
	else
		channel_die(c, c->in.len ? -NTM_ECLOSED : 0);
}

void channel_read(struct channel *c)
{
	enum tls_outcome outcome = TLS_OK;
	uint8_t *room;
	size_t got;
	int i, ret;

	c->read_wants_write = false;
	for (i = 0;
	     i < CHANNEL_READS && !c->resting && c->state != CHANNEL_DEAD;
	     i++) {
		ret = buffer_reserve(&c->in, CHANNEL_RECORD_MAX, &room);
		if (ret) {
			channel_die(c, ret);
			return;
		}
		outcome = tls_read(c->tls, room, CHANNEL_RECORD_MAX, &got);
		if (outcome != TLS_OK)
			break;
		buffer_grow(&c->in, got);
		ret = take_frames(c);
		if (ret) {
			channel_die(c, ret);
			return;
		}
	}
	if (c->in.len == 0)
		buffer_clear(&c->in);
	if (outcome == TLS_CLOSED)
		on_peer_end(c);
	else if (outcome == TLS_FAILED)
		/* once all of ours is out, how the peer leaves is its affair */
		channel_die(c, c->flushed ? 0 : tls_error(c->tls));
	else if (outcome == TLS_WANT_WRITE)
		c->read_wants_write = true;
}

/* --- resting ------------------------------------------------------------------------ */

static void on_rested(void *arg)
{
	struct channel *c = arg;
	int ret;

	c->resting = false;
	ret = take_frames(c);
	if (ret)
		channel_die(c, ret);
	if (c->state != CHANNEL_DEAD)
		channel_update_io(c);
}

void channel_rest(struct channel *c, uint64_t ns)
{
	if (c->state != CHANNEL_OPEN || c->ops->bytes)
		return;
	if (!c->rest && loop_timer_new(c->loop, on_rested, c, &c->rest))
		return;
	c->resting = true;
	loop_timer_arm(c->rest, ns);
	channel_update_io(c);
}
