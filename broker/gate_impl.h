/* SPDX-License-Identifier: MIT */
/*
 * gate_impl - shared by gate.c (when the gates are used) and gate_way.c (the streams)
 *
 * Owner:    see gate.h. Only gate.c changes the state and the list of ways.
 */
#ifndef NTM_BROKER_GATE_IMPL_H
#define NTM_BROKER_GATE_IMPL_H

#include "broker/gate.h"
#include "common/gateframe.h"
#include "common/loop.h"

struct channel;
struct tls_context;

/**
 * struct way - to one relay's gate
 * @at:     which of its addresses is used or tried; @source: ours towards it
 * @as:     from where its datagrams seem to come, by side
 */
struct way {
	struct gate *g;
	struct gate_entry e;
	struct channel *c;
	struct tls_context *tls;
	bool open;
	size_t at;
	struct addr source;
	struct addr as[GATE_SIDES];
	uint64_t again_ns;
	unsigned int pause_ms;
};

struct gate {
	struct worker *w;
	enum gate_state state;
	char *folder;
	struct way ways[GATES_MAX];
	size_t n;
	struct way *dc; /* USED: it carries Signals */
	bool reroute;	/* as soon as the session is online */
	uint64_t moved_ns, used_ns, left_ns;
	unsigned int probe_s;
	size_t probe_at; /* which address of the DC */
	uint32_t probe;	 /* request under way; 0: none */
	struct loop_timer *retry, *udp, *linger;
	struct loop_task destroy;
};

/* --- gate.c: what a way tells --- */

/** the DC answered by @y: TRYING -> USED */
void gate_answered(struct way *y);
/** the stream to the DC ended: TRYING again, by UDP, too */
void gate_lost(struct gate *g);

/* --- gate_way.c --- */

/** without a word to anybody */
void way_close(struct way *y);
/** there shall be a stream: begins one, unless it is too soon after the last try */
void way_want(struct way *y);
/** @data, datagrams of @seg bytes each, to @side, which knows @to; the stream is open */
void way_put(struct way *y, enum gate_side side, const struct addr *to,
	     const uint8_t *data, size_t len, size_t seg);

#endif
