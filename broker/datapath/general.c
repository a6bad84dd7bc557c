/* SPDX-License-Identifier: MIT */
/* general - packets of hosts without NTMobile: by which tunnel they may come and go */
#include "broker/datapath/general.h"

static bool in_range(const struct dp_range *r, const uint8_t *ip)
{
	uint32_t mask = r->len ? ~UINT32_C(0) << (32 - r->len) : 0;

	return !((get32(r->ip) ^ get32(ip)) & mask);
}

bool general_is(const struct general *g, unsigned int version,
		const uint8_t *ip)
{
	if (!g->n)
		return false;
	/* loopback and v4-mapped begin with 0; so does NAT64, 64:ff9b:: */
	if (version == 6)
		return (ip[0] || ip[1] == 0x64) && ip[0] != 0xff &&
		       (ip[0] != 0xfe || ip[1] < 0x80) &&
		       (ip[0] != 0xfd || ip[1] != 0x6e);
	if (!ip[0] || ip[0] == 127 || ip[0] >= 224)
		return false;
	for (size_t i = 0; i < g->n; i++)
		if (in_range(&g->ranges[i], ip))
			return false;
	return true;
}
