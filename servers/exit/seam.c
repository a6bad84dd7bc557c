/* SPDX-License-Identifier: MIT */
/* seam - between the exit's two processes: packets as a TUN would carry them */
#include "servers/exit/seam.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/datapath/checksum.h"

#define TCP_FLAGS   13
#define TCP_SYN	    0x02
#define TCP_OPTIONS 20
#define OPTION_END  0
#define OPTION_NOP  1
#define OPTION_MSS  2

int seam_pair(int *worker, int *net)
{
	int pair[2], size = SEAM_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, pair))
		return -NTM_ESYSTEM;
	/* as much as the limits allow: a node's whole window fits */
	for (int i = 0; i < 2; i++)
		(void)!setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size,
				  sizeof(size));
	*worker = pair[0];
	*net = pair[1];
	return 0;
}

static void checksum_make(uint8_t *pkt, const struct inner *in)
{
	uint32_t len = in->len - in->l4;
	uint64_t sum =
		checksum_pseudo(in->version, in->src, in->dst, in->proto);
	uint16_t check;

	memset(pkt + in->csum, 0, 2);
	sum += checksum_number(len);
	check = (uint16_t)~checksum_fold(checksum_add(sum, pkt + in->l4, len));
	if (!check && in->proto == IPPROTO_UDP)
		check = 0xffff;
	memcpy(pkt + in->csum, &check, 2);
}

void seam_complete(const struct virtio_net_hdr *vh, uint8_t *pkt,
		   const struct inner *in)
{
	if (in->transport && (vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ||
			      vh->gso_type != VIRTIO_NET_HDR_GSO_NONE))
		checksum_make(pkt, in);
}

void seam_super(const struct inner *in, uint32_t mtu,
		struct virtio_net_hdr *out)
{
	uint32_t header = (uint32_t)in->l4 + in->l4_len;

	memset(out, 0, sizeof(*out));
	if (in->len <= mtu || !in->transport || in->proto != IPPROTO_TCP ||
	    header >= mtu)
		return;
	out->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	out->gso_type = in->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4
					 : VIRTIO_NET_HDR_GSO_TCPV6;
	out->hdr_len = (uint16_t)header;
	out->gso_size = (uint16_t)(mtu - header);
	out->csum_start = in->l4;
	out->csum_offset = (uint16_t)(in->csum - in->l4);
}

void seam_raise_mss(uint8_t *pkt, const struct inner *in, uint16_t mss)
{
	uint8_t *tcp = pkt + in->l4;
	unsigned int at = TCP_OPTIONS, len;

	if (!in->transport || in->proto != IPPROTO_TCP ||
	    !(tcp[TCP_FLAGS] & TCP_SYN))
		return;
	while (at + 1 < in->l4_len && tcp[at] != OPTION_END) {
		len = tcp[at] == OPTION_NOP ? 1 : tcp[at + 1];
		if (!len || at + len > in->l4_len ||
		    (tcp[at] != OPTION_NOP && len < 2))
			return;
		if (tcp[at] == OPTION_MSS && len == 4) {
			put16(tcp + at + 2, mss);
			checksum_make(pkt, in);
			return;
		}
		at += len;
	}
}
