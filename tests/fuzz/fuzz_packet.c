/* SPDX-License-Identifier: MIT */
/*
 * fuzz_packet - any bytes as a datagram: header, then opening under a key
 *
 * The first byte says what to do with the rest: even, as it came; odd, sealed
 * first, so that the body behind a good tag is reached too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/datagram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ntmc_key key = {{1, 2, 3}};

static void open_as(const ProtobufCMessageDescriptor *d,
		    const struct packet_header *h, const uint8_t *data,
		    size_t size)
{
	uint8_t *buf = malloc(size);
	ProtobufCMessage *msg;

	if (!buf)
		abort();
	memcpy(buf, data, size);
	if (datagram_open(h, NTMC_AES_256_GCM, &key, buf, size, d, &msg) == 0)
		datagram_free(msg);
	free(buf);
}

static void take(const uint8_t *data, size_t size)
{
	uint8_t again[PACKET_HEADER_LEN];
	struct packet_header h;

	if (packet_header_get(data, size, &h))
		return;
	packet_header_put(&h, again);
	if (memcmp(again, data, sizeof(again)) != 0)
		abort();
	open_as(h.type == PACKET_SIGNAL ? &ntm__signal__descriptor
					: &ntm__tunnel_message__descriptor,
		&h, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet_header h;
	uint8_t *buf;

	if (size < 1)
		return 0;
	if (data[0] % 2 == 0) {
		take(data + 1, size - 1);
		return 0;
	}
	buf = calloc(1, size + PACKET_OVERHEAD);
	if (!buf)
		abort();
	h = (struct packet_header){.type = data[0] & 2 ? PACKET_SIGNAL
						       : PACKET_TUNNEL_REQUEST,
				   .counter = size};
	packet_header_put(&h, buf);
	memcpy(buf + PACKET_HEADER_LEN, data + 1, size - 1);
	if (ntmc_seal_once(NTMC_AES_256_GCM, &key, h.counter, buf,
			   PACKET_HEADER_LEN, buf + PACKET_HEADER_LEN,
			   size - 1))
		abort();
	take(buf, size - 1 + PACKET_OVERHEAD);
	free(buf);
	return 0;
}
