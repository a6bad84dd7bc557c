/* SPDX-License-Identifier: MIT */
/* direction_find - which node a name means */
#include "servers/dc/exits.h"
#include "servers/dc/state.h"

/* of two devices of an account: not the one that its NS lacks, else the later one */
static bool is_rather(const struct node *a, const struct node *b)
{
	if ((a->flags ^ b->flags) & NODE_AWAY)
		return b->flags & NODE_AWAY;
	return a->registered_s >= b->registered_s;
}

static int find_cn(struct dc *dc, const char *fqdn, uint32_t *out)
{
	uint32_t h = nodes_find(&dc->nodes, fqdn), best = 0;

	if (h) {
		const struct node *n = nodes_at(&dc->nodes, h);

		*out = h;
		return dc_is_online(dc, n) ? 0 : -NTM_EOFFLINE;
	}
	h = nodes_find_account(&dc->nodes, fqdn);
	if (!h)
		return -NTM_ENONAME;
	for (; h; h = nodes_at(&dc->nodes, h)->next_of_account)
		if (dc_is_online(dc, nodes_at(&dc->nodes, h)) &&
		    (!best || is_rather(nodes_at(&dc->nodes, h),
					nodes_at(&dc->nodes, best))))
			best = h;
	*out = best;
	return best ? 0 : -NTM_EOFFLINE;
}

int direction_find_cn(struct dc *dc, const char *fqdn, uint32_t *out)
{
	int err = find_cn(dc, fqdn, out);

	return !err && exits_is(dc, nodes_at(&dc->nodes, *out)) ? -NTM_ENONAME
								: err;
}

int direction_find_for(struct dc *dc, const struct node *mn, const char *fqdn,
		       uint32_t *out)
{
	int err;

	if (exits_is_name(dc, fqdn)) {
		*out = exits_choose(dc, mn);
		err = *out ? 0 : -NTM_EOFFLINE;
	} else {
		err = find_cn(dc, fqdn, out);
	}
	return !err && !exits_may(dc, mn, nodes_at(&dc->nodes, *out))
		       ? -NTM_EPERM
		       : err;
}
