/* SPDX-License-Identifier: MIT */
/*
 * gate_site - a gate beside a site's AS and DC, and nodes' streams to it, for tests
 *
 * Owner:   the test's process: one of it. Context: one loop, that of @site. The relay is
 *          played here: it echoes, unless it is told not to. All assert.
 */
#ifndef NTM_TESTS_UNIT_SERVERS_GATE_SITE_H
#define NTM_TESTS_UNIT_SERVERS_GATE_SITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/gateframe.h"
#include "servers/gate/gate.h"
#include "peer.h"

/* struct stream - a node's side */
struct stream {
	struct tls_context *tls;
	struct channel *c;
	bool open, closed;
	int err;
	size_t n, bytes; /* of frames from the relay */
	bool order;
	uint32_t next;
};

extern struct site site;
extern struct peer node;
extern struct gate *gate;
extern struct addr at;	       /* where it listens */
extern int relay;	       /* the played relay's socket */
extern struct addr relay_from; /* of the last datagram there */
extern size_t relay_n;
extern bool relay_echo;
extern int played_gms; /* it listens */

extern const struct channel_ops stream_ops;

/** @cert: with the node's certificate */
void stream_start(struct stream *s, bool cert);
/** conditions of a stream */
bool stream_ready(void *arg);
bool stream_closed(void *arg);
void stream_end(struct stream *s);
/** to the relay: a datagram of @len bytes with a number in it */
void stream_number(struct stream *s, uint32_t number, size_t len);
/** the peer speaks UDP; its datagrams to the DC go by @s. @to: where it sends them */
void pump_start(struct stream *s, struct addr *to);
void pump_end(void);
/** of the gate's status */
long long gate_number(const char *key);
int gate_setup(void **state);
int gate_teardown(void **state);

#endif
