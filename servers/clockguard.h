/* SPDX-License-Identifier: MIT */
/*
 * clockguard - a wall clock that was set ahead ends nothing at once
 *
 * What has expired is deleted, and nobody brings it back. A server whose clock jumps by
 * weeks (a dead battery, a wrong time server) would delete all that waits in it. Whoever
 * set it wrong has CLOCKGUARD_HOLD_S to set it right.
 *
 * Owner:   a role, zeroed at first. Context: its loop thread.
 * Limits:  a jump while the role is not running is not seen.
 */
#ifndef NTM_SERVERS_CLOCKGUARD_H
#define NTM_SERVERS_CLOCKGUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"

#define CLOCKGUARD_AHEAD_S 3600 /* more than this in one turn is a jump */
#define CLOCKGUARD_HOLD_S  21600

/** struct clockguard - @offset: wall clock less monotonic, when asked last
 *  @until: monotonic seconds */
struct clockguard {
	bool begun;
	int64_t offset, until;
};

/** once at the start, then each time before things expire. Return: true: not now.
 *  @name: of the role, for the log */
bool clockguard_holds(struct clockguard *g, struct loop *l, const char *name);

#endif
