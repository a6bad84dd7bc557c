/* SPDX-License-Identifier: MIT */
/*
 * relay_site - a site with two nodes and two relays, and how they come to the DC
 *
 * Owner: the test program, one at a time. Context: the site's loop.
 */
#ifndef NTM_TESTS_SERVERS_RELAY_SITE_H
#define NTM_TESTS_SERVERS_RELAY_SITE_H

#include "played_rs.h"
#include "servers/dc/reach.h"
#include "servers/dc/state.h"
#include "peer.h"

extern struct site site;
/** of alice and bob; logged in, not registered */
extern struct peer mn, cn;
/** not connected */
extern struct played_rs rs, rs2;

int setup(void **state);
int teardown(void **state);

/** struct said - what a node says when it registers */
struct said {
	bool reachable;
	const char *other;  /* another address of its own */
	uint32_t rtt_us[2]; /* of rs, rs2; 0: not measured */
	uint64_t id;	    /* that it knows rs by; 0: its own */
};

/** registers, with the challenge if there is one; the DC's answer to that */
const Ntm__RegistrationResponse *come(struct peer *p, const struct said *said);
void both_come(const struct said *a, const struct said *b);

/** the DC's own view of them */
struct relay *relay_of(const struct played_rs *p);
struct node *node_of(const struct peer *p);
/** ends its channel; the DC has seen it */
void cut_link(struct played_rs *p);

/** the DC's status, new reference; @n: relays in it */
json_t *relays_status(size_t *n);
size_t n_relays(void);

#endif
