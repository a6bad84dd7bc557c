/* SPDX-License-Identifier: MIT */
/*
 * cs_clock - the clock of cs_site's Cache Server, which a test moves
 *
 * Owner:   the test program. Context: the site's loop, whose timers keep the time that
 *          they were armed with: a test that takes the clock is the last one.
 */
#ifndef NTM_TESTS_SERVERS_CS_CLOCK_H
#define NTM_TESTS_SERVERS_CS_CLOCK_H

#include <stdint.h>

#define DAY 86400 /* seconds */

/** from now on the test moves it; it is as it was again */
void cs_clock_take(void);
void cs_clock_give_back(void);
/** it is @s seconds later than when the test began; what that made the Cache Server do
 *  is done */
void cs_clock_later(int64_t s);
/** somebody set the time of day @s seconds ahead; seen at the next cs_clock_later() */
void cs_clock_ahead(int64_t s);

#endif
