/* SPDX-License-Identifier: MIT */
/* addr_message - addresses in messages; apart, as a program without messages links addr.c */
#include "common/addr.h"

int addr_from_message(const Ntm__Address *m, struct addr *out)
{
	if (m->port > 65535 ||
	    addr_from_ip(m->ip.data, m->ip.len, (uint16_t)m->port, out))
		return -NTM_EDECODE;
	return 0;
}

void addr_to_message(const struct addr *a, Ntm__AddressKind kind,
		     Ntm__Address *out)
{
	size_t len;
	const uint8_t *ip = addr_ip(a, &len);

	ntm__address__init(out);
	/* protobuf-c knows no const; it only reads */
	out->ip.data = (uint8_t *)ip;
	out->ip.len = len;
	out->port = addr_port(a);
	out->kind = kind;
}

size_t addr_list_from_messages(Ntm__Address *const *m, size_t n,
			       struct addr *out, size_t max)
{
	size_t count = 0, i, j;
	struct addr a;

	for (i = 0; i < n && count < max; i++) {
		if (addr_from_message(m[i], &a) || !addr_is_usable_remote(&a))
			continue;
		for (j = 0; j < count && !addr_equal(&a, &out[j]); j++)
			;
		if (j == count)
			out[count++] = a;
	}
	return count;
}
