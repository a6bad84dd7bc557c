/* SPDX-License-Identifier: MIT */
/* gateframe - datagrams in a stream */
#include "common/gateframe.h"

int gateframe_get(uint8_t *buf, size_t len, struct gateframe *out)
{
	size_t n;

	if (len < GATEFRAME_HEAD)
		return 0;
	n = (size_t)buf[0] << 8 | buf[1];
	if (n < PACKET_HEADER_LEN || n > PACKET_DATA_MAX ||
	    buf[2] >= GATE_SIDES)
		return -NTM_EDECODE;
	if (len < GATEFRAME_HEAD + n)
		return 0;
	out->side = (enum gate_side)buf[2];
	out->data = buf + GATEFRAME_HEAD;
	out->len = n;
	return (int)(GATEFRAME_HEAD + n);
}
