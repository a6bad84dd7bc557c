/* SPDX-License-Identifier: MIT */
/*
 * gms_rig - members that come by TLS to a whole GMS (gms_stage.h), for tests
 *
 * Owner:   the test's process: one of it. Context: one loop, that of @site.
 * rig_site_up() and rig_site_down() are for all tests of a program, rig_setup() and
 * rig_teardown() for each: a group @gid of which m[0] is the founder. All assert.
 */
#ifndef NTM_TESTS_UNIT_SERVERS_GMS_RIG_H
#define NTM_TESTS_UNIT_SERVERS_GMS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gms_member.h"
#include "gms_stage.h"

#define N 4

extern struct peer peers[N];
extern struct tls_context *tls[N];
extern struct gms_member m[N];
extern uint8_t gid[GROUP_ID_LEN];

void rig_stop(void);
bool rig_is_open(void *arg);
bool rig_is_acked(void *arg);
bool rig_is_answered(void *arg);
bool rig_is_gone(void *arg);
bool rig_has_key(void *arg);
bool rig_is_closed(void *arg);
bool rig_has_trouble(void *arg);
void rig_wait_key(struct gms_member *who);
int rig_wait_ack(struct gms_member *who);
void rig_connect_all(int n);
void rig_connect_anew(int i);
void rig_assert_together(int n);
bool rig_confirmed(void *arg);
void rig_ask_people(struct gms_member *who);
int rig_submit(struct gms_member *who, struct group_change *c);
int rig_add(int who);
int rig_remove_one(int author, int who);
/** RN2 of @lg is @s seconds older */
void rig_age(struct ledger_group *lg, int64_t s);
void rig_log_in(int i);
int rig_site_up(void **state);
int rig_site_down(void **state);
int rig_setup(void **state);
int rig_teardown(void **state);

#endif
