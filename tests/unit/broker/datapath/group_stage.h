/* SPDX-License-Identifier: MIT */
/*
 * group_stage - a group of three of whom two are here, each with a data path
 *
 * Owner:    the test; stage_close() frees it. Context: one thread, the net's loop and clock.
 */
#ifndef NTM_TESTS_DATAPATH_GROUP_STAGE_H
#define NTM_TESTS_DATAPATH_GROUP_STAGE_H

#include "tests/unit/libntmcrypto/groups.h"

#include "broker/datapath/group.h"
#include "fixture.h"

/** the group's addresses, and one that is nobody's */
extern const uint8_t group6[16], group4[4], stranger4[4];

/** struct stage - nodes 0 and 1 are persons 0 and 1; person 2 is a member that is not there */
struct stage {
	struct net net;
	struct circle c;
	struct dp_group *g[2];
	struct packet_list got;
};

struct stage *stage_open(enum group_auth auth);
void stage_close(struct stage *s);
/** node @i makes the group, and has its person's epoch */
void stage_join(struct stage *s, unsigned int i);
/** node @i has the epoch that its person has */
void stage_epoch(struct stage *s, unsigned int i);
struct dp_group_counters stage_counters(struct stage *s, unsigned int i);
/** a packet of node @from to the group */
struct spec stage_packet(int from, unsigned int version, uint32_t payload);
/** the packets that node @i's kernel got, in ->got. Return: how many */
size_t stage_get(struct stage *s, int i);
/** the one at @at is @sp, as it was sent */
void stage_check(struct stage *s, size_t at, const struct spec *sp);

/** a datagram straight to the socket of node 1 */
void stage_inject(struct stage *s, const uint8_t *b, size_t len);
/** person @who's, beside its node; group_sender_free() */
struct group_sender *stage_sender(struct stage *s, unsigned int who);
/** @sp as a datagram of @tx. Return: its bytes */
size_t stage_sealed(struct group_sender *tx, const struct spec *sp,
		    uint8_t buf[2048]);

/** a socket that is a relay, at *@at */
int stage_relay(struct addr *at);
/** what a relay does with datagrams: the hop is good, and the others get them as they are.
 *  Return: how many */
size_t stage_pass_on(struct stage *s, int relay, const struct group_keys *k);

#endif
