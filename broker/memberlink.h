/* SPDX-License-Identifier: MIT */
/*
 * memberlink - when ntm-member is started, and what it is told
 *
 * Owner:    the worker. Context: loop thread. NULL everywhere: this node has no
 *           ntm-member (a test, or it is not installed).
 */
#ifndef NTM_BROKER_MEMBERLINK_H
#define NTM_BROKER_MEMBERLINK_H

#include <stdbool.h>

#include "broker/worker.h"

#define MEMBERLINK_SOCKET "member.sock" /* in the runtime folder */

struct memberlink;

/** is there one beside this program? */
bool memberlink_is_installed(void);
/** takes over what a worker before this one left. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int memberlink_new(struct worker *w, struct memberlink **out);
void memberlink_free(struct memberlink *m);
/** has this node a store of groups, and so an ntm-member that will say them? NULL: no */
bool memberlink_has_groups(const struct memberlink *m);
/** the session has begun, was renewed, or has ended: its file has changed */
void memberlink_session(struct memberlink *m);
void memberlink_online(struct memberlink *m);
/** an item of application ntm-group is here, or is held */
void memberlink_items(struct memberlink *m);

#endif
