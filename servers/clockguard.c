/* SPDX-License-Identifier: MIT */
/* clockguard - a wall clock that was set ahead ends nothing at once */
#include "servers/clockguard.h"

#include "common/log.h"

bool clockguard_holds(struct clockguard *g, struct loop *l, const char *name)
{
	int64_t now = (int64_t)(loop_now(l) / LOOP_S(1)),
		offset = loop_wall(l) - now;

	if (g->begun && offset - g->offset > CLOCKGUARD_AHEAD_S) {
		log_err(name,
			"the clock went ahead by %lld s: nothing expires for "
			"%d h; set it right if it is wrong",
			(long long)(offset - g->offset),
			CLOCKGUARD_HOLD_S / 3600);
		g->until = now + CLOCKGUARD_HOLD_S;
	}
	g->begun = true;
	g->offset = offset;
	return now < g->until;
}
