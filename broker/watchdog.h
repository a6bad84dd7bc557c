/* SPDX-License-Identifier: MIT */
/*
 * watchdog - is the worker's loop still turning?
 *
 * Owner:    the keeper embeds it. Context: keeper process; keeps no clock of its own.
 * The worker is heard every KEEPER_BEAT_MS. Silence is counted only over time in
 * which the keeper itself turned: at most WATCHDOG_STEP_NS a turn, so that a machine
 * that slept, or a keeper that was stopped, starves or is debugged, accuses nobody.
 */
#ifndef NTM_BROKER_WATCHDOG_H
#define NTM_BROKER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#define WATCHDOG_STEP_NS  2500000000ull /* the keeper turns at least so often */
#define WATCHDOG_LIMIT_NS 10000000000ull /* silent so long: it hangs */

/** struct watchdog - @turned: the keeper's last turn; @silent: counted since then
 *  the worker was heard */
struct watchdog {
	uint64_t turned, silent;
};

/** a worker serves from @now on, monotonic nanoseconds */
void watchdog_start(struct watchdog *w, uint64_t now);
/** the worker said something, whatever it was */
void watchdog_heard(struct watchdog *w);
/** the keeper turns, after it read what the worker said. Return: the worker hangs */
bool watchdog_turn(struct watchdog *w, uint64_t now);

#endif
