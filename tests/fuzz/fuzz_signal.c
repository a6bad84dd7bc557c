/* SPDX-License-Identifier: MIT */
/*
 * fuzz_signal - any bytes as any message: refused, or sane and stable
 *
 * The first byte picks the message, the rest is its body.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/datagram.h"
#include "common/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was let in goes out and comes in again. */
static void again(const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *buf = malloc(len ? len : 1);
	ProtobufCMessage *copy;

	if (!buf || protobuf_c_message_pack(msg, buf) != len ||
	    datagram_unpack(msg->descriptor, buf, len, &copy))
		abort();
	datagram_free(copy);
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *d;
	ProtobufCMessage *msg;

	if (size < 1)
		return 0;
	d = limits_message(data[0]);
	if (d && datagram_unpack(d, data + 1, size - 1, &msg) == 0) {
		again(msg);
		datagram_free(msg);
	}
	return 0;
}
