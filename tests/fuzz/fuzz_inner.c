/* SPDX-License-Identifier: MIT */
/*
 * fuzz_inner - inner packets: cut as from the TUN, joined as from a peer
 *
 * Input: u8 kind. Even: u16 path size, virtio header (10 bytes), packet. Odd: records
 * of u8 flags, u16 length, packet, fed to the joiner one after the other.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "broker/datapath/coalesce.h"
#include "broker/datapath/icmp.h"
#include "broker/datapath/offload.h"

#define RECORDS_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every payload byte is in exactly one segment, and no header goes astray. */
static void check_segments(const struct offload *o)
{
	uint8_t *head = malloc(o->header_len);
	uint64_t sum = 0;

	if (!head)
		abort();
	for (uint32_t i = 0; i < o->segments; i++) {
		uint32_t size = offload_header(o, i, head);

		if (size > o->mss || (!size && o->payload))
			abort();
		sum += size;
	}
	if (sum != o->payload)
		abort();
	free(head);
}

static void cut(const uint8_t *data, size_t size)
{
	uint8_t icmp[ICMP_ERROR_MAX], *pkt;
	struct virtio_net_hdr vh;
	struct offload o;
	struct inner in;
	size_t max;

	if (size < 2 + sizeof(vh) + 1)
		return;
	max = get16(data) % 9180 + 1;
	memcpy(&vh, data + 2, sizeof(vh));
	size -= 2 + sizeof(vh);
	pkt = malloc(size); /* its end is watched */
	if (!pkt)
		abort();
	memcpy(pkt, data + 2 + sizeof(vh), size);
	if (inner_parse(pkt, size, &in) == 0) {
		icmp_unreachable(pkt, &in, icmp);
		icmp_too_big(pkt, &in, (uint32_t)max, icmp);
		inner_set_ecn(pkt, inner_ecn(pkt) ^ 1);
		if (in.transport)
			inner_checksum_ok(pkt, &in);
		if (offload_plan(&vh, &in, pkt, max, &o) == 0) {
			if (o.finish)
				offload_finish(&o);
			if (o.how == OFFLOAD_SEGMENTS)
				check_segments(&o);
			if (o.how == OFFLOAD_WHOLE && in.len > max)
				abort();
		}
	}
	free(pkt);
}

static void join(const uint8_t *data, size_t size)
{
	static struct coalesce *c;
	static struct tun tun;
	uint8_t *kept[RECORDS_MAX];
	struct inner in;
	size_t n = 0, len;

	if (!c) {
		tun_init(&tun, open("/dev/null", O_WRONLY));
		if (coalesce_new(&tun, &c))
			abort();
	}
	while (size >= 3 && n < RECORDS_MAX) {
		bool nocsum = data[0] & 1;

		len = get16(data + 1);
		data += 3;
		size -= 3;
		if (len > size)
			len = size;
		kept[n] = malloc(len + 1);
		if (!kept[n])
			abort();
		memcpy(kept[n], data, len);
		if (inner_parse(kept[n], len, &in) == 0 &&
		    (!nocsum || in.transport))
			coalesce_add(c, kept[n], &in, nocsum);
		data += len;
		size -= len;
		n++;
	}
	coalesce_flush(c);
	while (n)
		free(kept[--n]);
	if (tun.failed)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] % 2)
		join(data + 1, size - 1);
	else
		cut(data + 1, size - 1);
	return 0;
}
