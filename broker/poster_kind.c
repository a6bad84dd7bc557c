/* SPDX-License-Identifier: MIT */
/* poster_kind - the keeper's children beside the worker, as keeper and worker know them */
#include <stdio.h>

#include "broker/poster.h"

const struct poster_is poster_kinds[POSTER_KINDS] = {
	[POSTER_ITEMS] = {"ntm-post", "post", {"post", "tcp6", "tcp4"}, true},
	[POSTER_GROUPS] = {"ntm-member", "member", {"member"}, false},
};

void poster_key(enum poster_kind kind, int i, char out[KEEPER_KEY_MAX])
{
	const struct poster_is *is = &poster_kinds[kind];

	snprintf(out, KEEPER_KEY_MAX, "%s/l/%s", is->folder, is->names[i]);
}

void poster_key_link(enum poster_kind kind, char out[KEEPER_KEY_MAX])
{
	snprintf(out, KEEPER_KEY_MAX, "%s/link", poster_kinds[kind].folder);
}
