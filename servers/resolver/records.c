/* SPDX-License-Identifier: MIT */
/* records - what is taken from DNS records: a fingerprint, a host and port, addresses */
#include "servers/resolver/records.h"

#include <ctype.h>
#include <string.h>

#define SRV_HEAD  6 /* priority, weight, port */
#define LABEL_MAX 63

bool records_txt(const uint8_t *p, size_t len, uint8_t fp[static NTMC_FP_LEN])
{
	static const char head[] = "v=ntm1 ca=";
	const size_t n = sizeof(head) - 1, hex = NTMC_FP_TEXT_LEN - 1;
	char text[NTMC_FP_TEXT_LEN];

	if (len < 1 + n + hex || p[0] < n + hex || memcmp(p + 1, head, n) != 0)
		return false;
	memcpy(text, p + 1 + n, hex);
	text[hex] = '\0';
	return !ntmc_fingerprint_parse(text, fp);
}

static bool is_host_byte(uint8_t c)
{
	return c < 0x80 && (isalnum(c) || c == '-' || c == '_');
}

/* labels up to the root, which must end the record */
static bool name_take(const uint8_t *p, size_t len,
		      char out[static RECORDS_NAME_MAX])
{
	size_t n = 0;

	while (len && p[0]) {
		size_t label = p[0];

		if (label > LABEL_MAX || label + 1 > len ||
		    n + label + 1 >= RECORDS_NAME_MAX)
			return false;
		for (size_t i = 1; i <= label; i++) {
			if (!is_host_byte(p[i]))
				return false;
			out[n++] = (char)p[i];
		}
		out[n++] = '.';
		p += label + 1;
		len -= label + 1;
	}
	if (len != 1 || !n)
		return false;
	out[n - 1] = '\0'; /* in place of the last dot */
	return true;
}

bool records_srv(const uint8_t *p, size_t len, struct record_srv *out)
{
	struct record_srv s;

	if (len <= SRV_HEAD ||
	    !name_take(p + SRV_HEAD, len - SRV_HEAD, s.target))
		return false;
	s.priority = (uint16_t)(p[0] << 8 | p[1]);
	s.weight = (uint16_t)(p[2] << 8 | p[3]);
	s.port = (uint16_t)(p[4] << 8 | p[5]);
	if (!s.port)
		return false;
	*out = s;
	return true;
}

bool records_srv_first(const struct record_srv *a, const struct record_srv *b)
{
	return a->priority != b->priority ? a->priority < b->priority
					  : a->weight > b->weight;
}

bool records_address(const uint8_t *p, size_t len, uint16_t port, bool loopback,
		     struct addr *out)
{
	struct addr a;

	if ((len != 4 && len != 16) || addr_from_ip(p, len, port, &a) ||
	    (!loopback && !addr_is_usable_remote(&a)))
		return false;
	*out = a;
	return true;
}
