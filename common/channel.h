/* SPDX-License-Identifier: MIT */
/*
 * channel - framed messages (ntm.Envelope) on a TLS connection, client or server
 *
 * Owner:    whoever opened it; channel_close() marks, the end of the turn frees.
 * Context:  loop thread. Frame: u32 big-endian length, then the message.
 * States:   CONNECTING, HANDSHAKE, OPEN, CLOSING, DEAD; see channel.c.
 * Limits:   frames of CHANNEL_FRAME_MAX bytes; CHANNEL_QUEUE_MAX bytes waiting to
 *           be sent; listeners: half-open handshakes and sessions per source, total
 *           sessions, handshake and idle time-outs; accept pauses when descriptors
 *           run out.
 * Raw:      a channel whose ops have bytes() carries what its owner makes of it
 *           instead of messages: channel_room(), channel_put(), channel_flush().
 */
#ifndef NTM_COMMON_CHANNEL_H
#define NTM_COMMON_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/err.h"
#include "common/loop.h"
#include "common/ntm.pb-c.h"
#include "common/tls.h"

#define CHANNEL_FRAME_MAX	 65536
#define CHANNEL_FRAME_ANONYMOUS	 4096 /* from a client without certificate */
#define CHANNEL_QUEUE_MAX	 (1 << 20)
#define CHANNEL_HANDSHAKE_S	 10 /* TCP connect and TLS */
#define CHANNEL_TAKEN_S		 30
#define CHANNEL_FINISH_S	 5 /* channel_finish(): flush, wait for the peer */
#define CHANNEL_IDLE_S		 60 /* server side; 0 keeps open (servers' links) */
#define CHANNEL_HALF_OPEN_SOURCE 16 /* unfinished handshakes per source */
#define CHANNEL_SOURCE_MAX	 256 /* sessions per source: an IPv4, an IPv6 /64 */
#define CHANNEL_HALF_OPEN_MAX	 512 /* in all; the oldest makes room */
#define CHANNEL_SESSIONS_MAX	 4096
#define CHANNEL_ACCEPT_PAUSE_MS	 250 /* when descriptors have run out */

struct channel;
struct channel_listener;

struct channel_ops {
	/** handshake done; for servers after accept. */
	void (*open)(struct channel *c, void *arg);
	/** one checked message (datagram_check() passed); borrowed for the call */
	void (*message)(struct channel *c, const Ntm__Envelope *msg, void *arg);
	/** raw: what came, and may be changed. Return: how many of the bytes are done
	 *  with, 0 when all of it must wait for more; -NTM_E... ends the channel */
	int (*bytes)(struct channel *c, uint8_t *data, size_t len, void *arg);
	/** listeners: before TLS, with the first bytes of a client, which stay unread
	 *  (tlshello.h). Return: false: go on; true: the session is not for TLS here:
	 *  channel_take() was called, or channel_close() */
	bool (*hello)(struct channel *c, const uint8_t *data, size_t len,
		      void *arg);
	/** raw: all that was put has left */
	void (*drained)(struct channel *c, void *arg);
	/** called once, last, at the end of a turn, whoever ended it; @c is freed
	 *  after it. @err: 0 for an orderly end, else -NTM_E...: CLOSED, TIMEOUT,
	 *  UNREACHABLE, DECODE, LIMIT, and tls_error()'s */
	void (*closed)(struct channel *c, int err, void *arg);
};

/** connect to @addr; @ctx outlives the channel. Messages may be queued at once.
 *  Return: 0, -NTM_ESYSTEM, -NTM_ENOMEM, -NTM_EUNREACHABLE; no call of @ops then */
NTM_MUST_CHECK int channel_connect(struct loop *l, struct tls_context *ctx,
				   const struct sockaddr *addr, socklen_t len,
				   const struct channel_ops *ops, void *arg,
				   struct channel **out);
/** queue a message; Return: 0, -NTM_ELIMIT (queue full; channel is closing),
 *  -NTM_ECLOSED, -NTM_ETOOBIG */
NTM_MUST_CHECK int channel_send(struct channel *c, const Ntm__Envelope *msg);
/** raw: room for @len bytes behind what waits; NULL: there is none, or it is not
 *  open. What is written there counts from channel_put() on */
uint8_t *channel_room(struct channel *c, size_t len);
void channel_put(struct channel *c, size_t len);
/** raw: bytes that wait */
size_t channel_queued(const struct channel *c);
/** hand the kernel what it takes, now, not with the next event */
void channel_flush(struct channel *c);
/** flush what is queued, then close; what still comes in is dropped */
void channel_finish(struct channel *c);
/** now; closed() comes with 0 */
void channel_close(struct channel *c);
/** close when no message came in or was sent for so long; 0: never */
void channel_set_idle(struct channel *c, unsigned int seconds);
/** what comes is left with the peer for so long, from now; messages that came already
 *  wait, too. Each call begins anew. Not for raw ones; without memory nothing rests */
void channel_rest(struct channel *c, uint64_t ns);
/** hello(): the socket is the caller's from now on until closed(), which closes it;
 *  the session counts as a half-open one, and ends after CHANNEL_TAKEN_S */
int channel_take(struct channel *c);
/** taken: it has proved to be no stranger's: a session as any, which ends after so long */
void channel_taken_stay(struct channel *c, unsigned int seconds);
bool channel_was_taken(const struct channel *c);
/** was the handshake ever done? */
bool channel_was_open(const struct channel *c);
void channel_set_arg(struct channel *c, void *arg);
/** NULL before open() and for clients without certificate */
const struct ntmc_cert *channel_peer(const struct channel *c);
const uint8_t *channel_peer_ca(const struct channel *c, size_t *len);
const struct sockaddr_storage *channel_remote(const struct channel *c);

/** struct channel_listener_stats - since the start */
struct channel_listener_stats {
	uint64_t accepted, opened;
	/* over a limit: closed at once */
	uint64_t refused_source, refused_total;
	uint64_t evicted; /* ended to make room for another */
	uint64_t starved; /* turned away for want of descriptors or memory */
	unsigned int sessions, half_open; /* now */
	bool paused;
};

/** @fd: a bound listening socket, taken over; client certificates are asked for
 *  Return: 0, -NTM_ESYSTEM, -NTM_ENOMEM (@fd stays the caller's) */
NTM_MUST_CHECK int channel_listen_take(struct loop *l, struct tls_context *ctx,
				       int fd, const struct channel_ops *ops,
				       void *arg,
				       struct channel_listener **out);
/** its sessions too; freed at the end of the turn */
void channel_listener_close(struct channel_listener *cl);
/** for sessions from now on; the one before must live as long as its sessions */
void channel_listener_set_context(struct channel_listener *cl,
				  struct tls_context *ctx);
/** sessions in all; CHANNEL_SESSIONS_MAX unless said */
void channel_listener_set_room(struct channel_listener *cl, unsigned int n);
void channel_listener_stats(const struct channel_listener *cl,
			    struct channel_listener_stats *out);

#endif
