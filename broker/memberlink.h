/* SPDX-License-Identifier: MIT */
/*
 * memberlink - ntm-member, as the worker has it started and tells it what happens
 *
 * Owner:    the worker. Context: loop thread. NULL everywhere: this node has no
 *           ntm-member (a test, or it is not installed).
 * States:   see enum memberlink_state. Only memberlink.c writes it.
 */
#ifndef NTM_BROKER_MEMBERLINK_H
#define NTM_BROKER_MEMBERLINK_H

#include <stdbool.h>

#include "broker/worker.h"

#define MEMBERLINK_SOCKET      "member.sock" /* in the runtime folder */
#define MEMBERLINK_MESSAGE_MAX 4096

/**
 * enum memberlink_state - of the one ntm-member
 * @MEMBERLINK_IDLE:    none runs, and nothing asks for it. Leaves by: a connection that
 *                      waits, an item, a login of a device that is in groups
 * @MEMBERLINK_RUNNING: it runs.                            Leaves by: its end
 * @MEMBERLINK_PAUSE:   it ended, and was not to.           Leaves by: time
 */
enum memberlink_state { MEMBERLINK_IDLE, MEMBERLINK_RUNNING, MEMBERLINK_PAUSE };

struct memberlink;

/** is there one beside this program? */
bool memberlink_is_installed(void);
/** takes over what a worker before this one left. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int memberlink_new(struct worker *w, struct memberlink **out);
void memberlink_free(struct memberlink *m);
/** the session has begun, was renewed, or has ended: its file has changed */
void memberlink_session(struct memberlink *m);
void memberlink_online(struct memberlink *m);
/** an item of application ntm-group is here, or is held */
void memberlink_items(struct memberlink *m);

#endif
