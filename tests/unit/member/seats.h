/* SPDX-License-Identifier: MIT */
/*
 * seats - devices that are members of one group at a GMS (gms_stage.h), in one process
 *
 * Owner: the test. Context: one loop; TLS on loopback, stores in a fresh folder.
 */
#ifndef NTM_TESTS_UNIT_MEMBER_SEATS_H
#define NTM_TESTS_UNIT_MEMBER_SEATS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/member/member_impl.h"
#include "tests/unit/servers/gms_stage.h"

#define SEATS 4

/**
 * struct seat - a device
 * @tap:   what comes is looked at, and given to the member or not
 * @keys:  as they were given out last; @has_keys: and not taken back
 * @saw:   bit for each enum member_saw; @done: of the last wish, 1: none ended
 */
struct seat {
	/* NULL: what comes is the member's at once */
	void (*tap)(struct seat *s, const Ntm__Envelope *msg);
	struct peer peer;
	struct tls_context *tls;
	struct channel *channel;
	struct memberstore *store;
	struct member_setup setup;
	struct member *m;
	struct group_keys keys;
	bool has_keys, open, answered;
	unsigned int saw, n_keys;
	uint8_t said[64]; /* its last control packet, and under which epoch */
	size_t said_len;
	uint64_t said_epoch;
	uint32_t asked; /* who was asked last whether it is there; how often */
	unsigned int n_asked;
	uint32_t wanted; /* who wants a welcome; UINT32_MAX: nobody */
	int done;
};

extern struct seat seats[SEATS];

/** site, accounts, devices: once for a program */
int seats_up(void **state);
int seats_down(void **state);
/** a GMS, fresh stores, and a group of which seat 0 is the founder */
int seats_setup(void **state);
int seats_teardown(void **state);

/** the GMS ends; all have heard so */
void seats_gms_stop(void);
/** connect, and say hello */
void seat_online(struct seat *s);
void seat_offline(struct seat *s);
/** its process ends, and starts again with the store */
void seat_restart(struct seat *s);
/** by seat 0: its prekey and the entry; nothing of @who. Return: the welcome's bytes */
size_t seat_named(int who, uint8_t rights, struct member_prekey *k,
		  uint8_t welcome[static GROUP_WELCOME_MAX]);
/** by seat 0, whole: entry, welcome, hello */
void seat_add(int who, uint8_t rights);
/** wait for what a wish became */
int seat_submit(struct seat *s, const struct group_change *c);
/** the same, of an entry that needs no more than its kind and the usual rules */
int seat_submit_kind(struct seat *s, enum group_kind kind);
int seat_remove(struct seat *s, int who);
bool seats_turn(bool (*cond)(void *), void *arg);
/** all of the first @n have the key of one epoch */
void seats_together(int n);
/** so much time passes, at once; until the test ends the clock is ours */
void seats_wait_s(unsigned int s);
/** the wall clock of this device is so much ahead; until the test ends */
void seats_set_wall(int64_t ahead_s);
/** one turn of the loop */
void seats_step(void);

#endif
