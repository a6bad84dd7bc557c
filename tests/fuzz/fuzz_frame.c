/* SPDX-License-Identifier: MIT */
/*
 * fuzz_frame - what a stranger, or a peer with keys, sends on a connection with an NS
 *
 * The first byte: bit 0 the rest is sealed as a Signal first. Held: what is taken is no
 * longer than what came, and decodes to a checked message.
 */
#include <stdlib.h>
#include <string.h>

#include "common/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ntmc_key key = {{7}};

/* a frame whose body is @data. Return: its length */
static size_t seal(const uint8_t *data, size_t size, uint8_t buf[FRAME_MAX])
{
	struct packet_header h = {.type = PACKET_SIGNAL, .id = 1};
	size_t n = size + PACKET_OVERHEAD;

	buf[0] = (uint8_t)(n >> 8);
	buf[1] = (uint8_t)n;
	packet_header_put(&h, buf + 2);
	memcpy(buf + 2 + PACKET_HEADER_LEN, data, size);
	if (ntmc_seal_once(NTMC_AES_256_GCM, &key, 0, buf + 2,
			   PACKET_HEADER_LEN, buf + 2 + PACKET_HEADER_LEN,
			   size))
		abort();
	return 2 + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t buf[FRAME_MAX];
	Ntm__Signal *msg;
	size_t len;
	int n;

	if (size < 1 || size - 1 > FRAME_MAX - 2 - PACKET_OVERHEAD)
		return 0;
	len = size - 1;
	if (data[0] & 1)
		len = seal(data + 1, len, buf);
	else
		memcpy(buf, data + 1, len);
	n = frame_len(buf, len);
	if (n > 0 && (size_t)n > len)
		abort();
	if (n > 0 &&
	    !frame_open(1, 0, NTMC_AES_256_GCM, &key, buf, (size_t)n, &msg)) {
		if (datagram_check(&msg->base))
			abort();
		datagram_free(&msg->base);
	}
	return 0;
}
