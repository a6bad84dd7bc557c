/* SPDX-License-Identifier: MIT */
/*
 * grouplink - the socket at which ntm-member gives the worker keys of groups
 *
 * Owner:    the worker. Context: loop thread. One connection, of our own user; a later
 *           one ends it. What is said is in groupword.h.
 */
#ifndef NTM_BROKER_GROUPLINK_H
#define NTM_BROKER_GROUPLINK_H

#include "broker/groups.h"

struct grouplink;

/** takes over the socket of a worker before this one. Return: 0, -NTM_ENOMEM,
 *  -NTM_ESYSTEM */
NTM_MUST_CHECK int grouplink_new(struct worker *w, struct grouplink **out);
void grouplink_free(struct grouplink *l);

#endif
