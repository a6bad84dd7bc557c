/* SPDX-License-Identifier: MIT */
/* refusal - what a program of this machine is told of its packet that goes nowhere */
#include "broker/datapath/refusal.h"

#include "broker/datapath/alias.h"
#include "broker/datapath/icmp.h"
#include "broker/datapath/reset.h"

#define ICMP_PER_S 1000

/* @t: whose peer the error seems to be from; NULL: nobody's */
static void answer(struct datapath *dp, struct dp_tunnel *t, uint8_t *icmp,
		   size_t len)
{
	static const struct virtio_net_hdr none;
	struct inner in;

	if (len && t && t->alias && !inner_parse(icmp, len, &in))
		alias_from_peer(icmp, &in, t->shown4, t->vip4, false);
	if (len && dp_limit_ok(&dp->limit_icmp, loop_now(dp->loop), ICMP_PER_S))
		tun_write(&dp->tun, &none, icmp, len);
}

void refusal_unreachable(struct datapath *dp, struct dp_tunnel *t,
			 const uint8_t *pkt, const struct inner *in)
{
	uint8_t icmp[ICMP_ERROR_MAX];

	answer(dp, t, icmp, icmp_unreachable(pkt, in, icmp));
}

/* Of a connection that the peer began, and may not have any more. */
void refusal_ended(struct dp_tunnel *t, const uint8_t *pkt,
		   const struct inner *in)
{
	uint8_t rst[RESET_MAX];
	size_t len = reset_back(pkt, in, rst);

	t->n.bad_port++;
	if (t->dp->mute)
		return;
	if (len)
		answer(t->dp, t, rst, len);
	else
		refusal_unreachable(t->dp, t, pkt, in);
}

void refusal_too_big(struct dp_tunnel *t, const struct offload *o)
{
	uint32_t mtu = t->mtu - PACKET_OVERHEAD;
	uint8_t icmp[ICMP_ERROR_MAX];

	if (mtu < DP_INNER_MIN_MTU)
		mtu = DP_INNER_MIN_MTU;
	t->n.too_big++;
	answer(t->dp, t, icmp, icmp_too_big(o->pkt, &o->in, mtu, icmp));
}
