/* SPDX-License-Identifier: MIT */
/*
 * ns_site - an NS beside a DC with two nodes, and connections of theirs to it
 *
 * Owner: the test program, one at a time. Context: the site's loop.
 */
#ifndef NTM_TESTS_SERVERS_NS_SITE_H
#define NTM_TESTS_SERVERS_NS_SITE_H

#include "peer.h"
#include "servers/dc/state.h"
#include "servers/ns/state.h"

extern struct site site;
extern struct peer mn, cn;
extern struct ns *ns;
extern struct addr ns_addr;

/** struct line - a node's end of its connection */
struct line {
	int fd;
	uint64_t key_id, node_id, rx, tx;
	struct ntmc_key kntmns;
	struct datagram_keys keys;
};

/** the NS; again, after ns_free(), where it was before */
void ns_begin(void);
/** for site_wait(): NS and DC have each other */
bool link_up(void *arg);

/* cmocka's; both nodes have logged in */
int setup(void **state);
int teardown(void **state);

/** registers CN with the wish for an NS; what the DC names */
void ask_for_ns(struct line *l);
/** @n bytes, awaited */
void get(struct line *l, uint8_t *buf, size_t n);
/** for site_wait(); @arg: struct line */
bool has_ended(void *arg);
/** connects, and takes the greeting */
void dial(struct line *l);
/** in a sealed frame */
void say(struct line *l, Ntm__Signal *msg);
void say_registration(struct line *l, uint32_t interval_s);
void say_ack(struct line *l);
/** the next frame's kind; @interval_s: of a registration's answer */
int hear(struct line *l, uint32_t *interval_s);
/** all of it: registered at the DC and at the NS */
void come(struct line *l);
void leave(struct line *l);

#endif
