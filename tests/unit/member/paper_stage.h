/* SPDX-License-Identifier: MIT */
/*
 * paper_stage - one device without ntm-post and GMS, into whose hands items are put
 *
 * Owner:    the test; static. Context: one thread. What the device keeps is looked at.
 */
#ifndef NTM_TESTS_UNIT_MEMBER_PAPER_STAGE_H
#define NTM_TESTS_UNIT_MEMBER_PAPER_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/member/member_impl.h"
#include "broker/member/papers.h"

#define US   "desk.bob.example.net"
#define THEY "pc.ann.example.org"
#define DAY  86400

/** @ann: who invites us; @eve: somebody else; @gms: of the group that is ours */
extern struct ntmc_identity us, ann, eve, gms;
extern struct node node;
extern struct papers *papers;
extern struct part part; /* our own group */
extern char dir[32];

/** once for a program */
int stage_identities(void **state);
/** a fresh device, with a group of its own */
int stage_setup(void **state);
int stage_teardown(void **state);
/** the worker has met ann under THEY */
void stage_pin(void);
/** an item of @from, which ntm-post has checked to be of that name */
void stage_item(const char *from, const char *service, const uint8_t *b,
		size_t len);
/** an invite of @by, called @name, to us; each has a group and token of its own */
struct group_invite stage_invite(const struct ntmc_identity *by,
				 const char *name);
/** @i comes from @from, signed by @by */
void stage_invited(const struct ntmc_identity *by, const char *from,
		   const struct group_invite *i);
/** an entry of ours is in the log */
void stage_entry(struct group_change *c);

#endif
