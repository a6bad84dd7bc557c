/* SPDX-License-Identifier: MIT */
/*
 * story - what the tests of whole control planes begin with and ask
 *
 * Owner:    one world at a time, static. Context: one thread.
 */
#ifndef NTM_TESTS_CONTROL_STORY_H
#define NTM_TESTS_CONTROL_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/timers.h"
#include "common/log.h"
#include "tests/unit/broker/control/world.h"

#define A4  "10.0.1.2"
#define A6  "2001:db8:1::2"
#define B4  "10.0.2.2"
#define B6  "2001:db8:2::2"
#define A4B "10.0.3.9"
#define A6B "2001:db8:3::9"
#define B4B "10.0.4.9"

extern struct world world;
#define a (&world.nodes[0])
#define b (&world.nodes[1])

/** struct lookup - one answer of resolve_name() */
struct lookup {
	bool done;
	int err;
	char fqdn[FQDN_MAX + 1];
};

/** laptop.alice and desk.alice, both online, 20 ms apart */
int story_setup(void **state);
int story_teardown(void **state);
/** a new world: laptop.alice and @fqdn */
void story_again(uint64_t seed, const char *fqdn);
void log_in(struct node *n, const char *v4, const char *v6, const char *fqdn);
bool both_online(void *arg);
void resolved(void *arg, int err, struct peer *p);
bool lookup_done(void *arg);
/** Return: the error; *ms: how long it took */
int look_up(struct node *n, const char *name, uint64_t *ms);
void connect_both(void);
/** @n packets each way, one every @every_ms */
void exchange(unsigned int n, unsigned int every_ms);
/** everything that is sent now arrives */
void assert_flows(void);
/** how long until a packet of each side arrives at the other, sending every ms */
unsigned int outage_ms(unsigned int limit);

#define T(name)                                                                \
	cmocka_unit_test_setup_teardown(name, story_setup, story_teardown)

#endif
