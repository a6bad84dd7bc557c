/* SPDX-License-Identifier: MIT */
/* items_names - states of items and receivers, as the API calls them */
#include "servers/cs/items.h"

const char *item_state_name(enum item_state state)
{
	static const char *const names[] = {
		[ITEM_OPEN] = "open", [ITEM_COMPLETE] = "complete",
		[ITEM_DONE] = "done", [ITEM_CANCELLED] = "cancelled",
		[ITEM_LOST] = "lost",
	};

	return state >= ITEM_OPEN && state <= ITEM_LOST ? names[state] : "";
}

const char *receiver_state_name(enum receiver_state state)
{
	static const char *const names[] = {
		[RECEIVER_WAITING] = "waiting",
		[RECEIVER_TOLD] = "told",
		[RECEIVER_RECEIVED] = "received",
		[RECEIVER_REFUSED] = "refused",
	};

	return state >= RECEIVER_WAITING && state <= RECEIVER_REFUSED
		       ? names[state]
		       : "";
}
