/* SPDX-License-Identifier: MIT */
/* packet - the 20-byte header of every UDP datagram, and its numbers */
#include "common/packet.h"

#include <endian.h>
#include <string.h>

static void put_u64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

void packet_header_put(const struct packet_header *h,
		       uint8_t buf[static PACKET_HEADER_LEN])
{
	buf[0] = h->type;
	buf[1] = PACKET_VERSION;
	buf[2] = h->phase;
	buf[3] = h->flags;
	put_u64(buf + 4, h->id);
	put_u64(buf + 12, h->counter);
}

int packet_header_get(const uint8_t *buf, size_t len, struct packet_header *out)
{
	if (len < PACKET_OVERHEAD)
		return -NTM_EDECODE;
	if (buf[1] != PACKET_VERSION)
		return -NTM_EVERSION;
	if (buf[0] < PACKET_DATA || buf[0] > PACKET_GROUP)
		return -NTM_EDECODE;
	out->type = buf[0];
	out->phase = buf[2];
	out->flags = buf[3];
	out->id = get_u64(buf + 4);
	out->counter = get_u64(buf + 12);
	return 0;
}
