/* SPDX-License-Identifier: MIT */
/* watchdog - is the worker's loop still turning? */
#include "broker/watchdog.h"

void watchdog_start(struct watchdog *w, uint64_t now)
{
	w->turned = now;
	w->silent = 0;
}

void watchdog_heard(struct watchdog *w)
{
	w->silent = 0;
}

bool watchdog_turn(struct watchdog *w, uint64_t now)
{
	uint64_t step = now - w->turned;

	w->turned = now;
	w->silent += step < WATCHDOG_STEP_NS ? step : WATCHDOG_STEP_NS;
	return w->silent >= WATCHDOG_LIMIT_NS;
}
