/* SPDX-License-Identifier: MIT */
/* fuzz_dns - any bytes as a DNS query: an answer within its limits, or none */
#include <stdint.h>
#include <stdlib.h>

#include "servers/dns/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct zone *make_zone(void)
{
	static const uint8_t fp[NTMC_FP_LEN] = {1, 2, 3};
	struct addr at[2];
	struct zone_config c = {.domain = "example.org",
				.ttl = 3600,
				.serial = 1,
				.dc = at,
				.as = at,
				.n_dc = 2,
				.n_as = 2,
				.as_port = 4501,
				.ca_fp = fp};
	struct zone *z;

	if (addr_parse("192.0.2.1", 4501, &at[0]) ||
	    addr_parse("2001:db8::1", 4501, &at[1]) || zone_new(&c, &z))
		abort();
	return z;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct zone *zone;
	uint8_t out[ZONE_TCP_MAX];
	size_t n;

	if (!zone)
		zone = make_zone();
	n = zone_answer(zone, data, size, false, out, ZONE_UDP_MAX);
	if (n > ZONE_UDP_MAX || (n && (n < 12 || !(out[2] & 0x80))))
		abort();
	n = zone_answer(zone, data, size, true, out, sizeof(out));
	if (n > sizeof(out) || (n && (out[0] != data[0] || out[1] != data[1])))
		abort();
	return 0;
}
