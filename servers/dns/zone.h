/* SPDX-License-Identifier: MIT */
/*
 * zone - what DNS says about the domain, and the answer to one query
 *
 * Owner:    the dns process. Context: loop thread; stateless but for the records.
 * Records:  SOA, NS, A and AAAA at the domain; _ntm with SRV (the AS), TXT (the
 *           CA's fingerprint), A and AAAA of the AS; _dc._ntm with SRV (the DC, for
 *           those of other domains). Any other name below the
 *           domain: NODATA, whether such a node exists or not. Elsewhere: REFUSED.
 */
#ifndef NTM_SERVERS_DNS_ZONE_H
#define NTM_SERVERS_DNS_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/err.h"
#include "libntmcrypto/ntmcrypto.h"

#define ZONE_UDP_MAX 1232 /* larger answers by TCP */
#define ZONE_TCP_MAX 4096

struct zone;

struct zone_config {
	const char *domain;
	uint32_t ttl, serial;
	const struct addr *dc, *as; /* their port of @as is in the SRV */
	size_t n_dc, n_as;
	uint16_t as_port, dc_port;
	const uint8_t *ca_fp;
};

NTM_MUST_CHECK int zone_new(const struct zone_config *c, struct zone **out);
void zone_free(struct zone *z);
/**
 * zone_answer() - the answer to a query as it came from the network
 * @tcp: no truncation up to ZONE_TCP_MAX
 * @out: @out_size bytes, at least 512
 *
 * Return: bytes of the answer; 0: none (an answer itself, or no header)
 */
size_t zone_answer(const struct zone *z, const uint8_t *query, size_t len,
		   bool tcp, uint8_t *out, size_t out_size);
/**
 * zone_truncated() - instead of an answer: ask again by TCP
 * @out: @out_size bytes, at least 512; never more than @len are used
 *
 * Return: bytes; 0: none (no query with one question)
 */
size_t zone_truncated(const uint8_t *query, size_t len, uint8_t *out,
		      size_t out_size);

#endif
