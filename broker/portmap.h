/* SPDX-License-Identifier: MIT */
/*
 * portmap - a port of the router in front of us, for our outer UDP socket
 *
 * Owner:    the worker. Context: loop thread; ntm-portmap, which the keeper starts,
 *           speaks with the router.
 * States:   see enum portmap_state. Only portmap.c writes it.
 */
#ifndef NTM_BROKER_PORTMAP_H
#define NTM_BROKER_PORTMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/portmap_proto.h"
#include "broker/worker.h"

/**
 * enum portmap_state - what is known
 * @PORTMAP_OFF:     the person does not want it.      Leaves by: nothing
 * @PORTMAP_NONE:    no IPv4 NAT is seen, or logged out. Leaves by: portmap_look()
 * @PORTMAP_ASKING:  ntm-portmap runs; no mapping yet. Leaves by: answer, end, move
 * @PORTMAP_MAPPED:  .mapped is told to others.        Leaves by: time, end, move
 * @PORTMAP_REFUSED: none to be had here.              Leaves by: time, move
 */
enum portmap_state {
	PORTMAP_OFF,
	PORTMAP_NONE,
	PORTMAP_ASKING,
	PORTMAP_MAPPED,
	PORTMAP_REFUSED,
	PORTMAP_STATES
};

/** enum portmap_lie - why an answer is not used */
enum portmap_lie {
	PORTMAP_TRUE,
	PORTMAP_LIE_PORT,    /* 0 */
	PORTMAP_LIE_ADDRESS, /* private, loopback, multicast ... */
	PORTMAP_LIE_OWN,     /* of this machine */
	PORTMAP_LIE_OTHER,   /* not where DC or a relay sees us */
	PORTMAP_LIE_LIFE,    /* too short */
	PORTMAP_LIES
};

/**
 * struct portmap_status - for people
 * @routed:   a router was found; @answered: ntm-portmap answered the last question
 * @protocol, @mapped, @left_s: while MAPPED
 * @lie:      of the last answer; @lies: how many there were
 */
struct portmap_status {
	enum portmap_state state;
	bool routed, answered;
	enum portmap_protocol protocol;
	struct addr mapped;
	uint64_t left_s;
	enum portmap_why why[PORTMAP_PROTOCOLS];
	enum portmap_lie lie;
	unsigned int lies, asked;
};

struct portmap;

/** @on: routers may be asked */
NTM_MUST_CHECK int portmap_new(struct worker *w, bool on, struct portmap **out);
void portmap_free(struct portmap *pm);
/** what DC and relays see, or our addresses, may have changed */
void portmap_look(struct portmap *pm);
/** the mapping is not needed any more: delete it (an orderly end, log-out) */
void portmap_end(struct portmap *pm);
/** Return: there is a mapping; @out: its outside */
bool portmap_mapped(const struct portmap *pm, struct addr *out);
void portmap_status(const struct portmap *pm, struct portmap_status *out);

#endif
