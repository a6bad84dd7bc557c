/* SPDX-License-Identifier: MIT */
/*
 * natted - two nodes behind NATs and a relay: what the tests of punching begin with
 *
 * Owner:    story.h's world, and one relay of it, static. Context: one thread.
 */
#ifndef NTM_TESTS_CONTROL_NATTED_H
#define NTM_TESTS_CONTROL_NATTED_H

#include "broker/path_impl.h"
#include "broker/punch.h"
#include "broker/relayed.h"
/* behind them all: its a and b are macros */
#include "tests/unit/broker/control/story.h"

#define OUT_A  "203.0.113.1"
#define OUT_B  "203.0.113.2"
#define OUT_A2 "203.0.113.9"

extern struct rs *rs;

/** a world of two nodes, IPv4 alone, behind these NATs, and online */
void natted_begin(enum nat_rule map_a, enum nat_rule filter_a,
		  enum nat_rule map_b, enum nat_rule filter_b);
/** both ends use the relay; both use a direct way; @arg: ignored */
bool is_relayed(void *arg);
bool both_direct(void *arg);
bool is_direct(struct node *n, struct node *o);
/** the first of @n's punches for @o */
const struct punch *punch_of(struct node *n, struct node *o);

#endif
