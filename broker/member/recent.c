/* SPDX-License-Identifier: MIT */
/* recent - who was answered of late: each member once in a while, and so many of them */
#include "broker/member/recent.h"

#include <stddef.h>

bool recent_take(struct recent *r, uint32_t index, uint64_t now, uint64_t pause)
{
	size_t i, place = RECENT_MAX;

	for (i = 0; i < RECENT_MAX; i++) {
		if (r->of[i].until <= now)
			place = i;
		else if (r->of[i].index == index)
			return false;
	}
	if (place == RECENT_MAX)
		return false;
	r->of[place].until = now + pause;
	r->of[place].index = index;
	return true;
}
