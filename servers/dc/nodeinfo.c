/* SPDX-License-Identifier: MIT */
/* nodeinfo - what one node is told of another: who it is, and where */
#include "servers/dc/nodeinfo.h"

static void add(struct dc *dc, struct nodeinfo *i, const uint8_t ip[16],
		uint16_t port, Ntm__AddressKind kind)
{
	size_t n = i->msg.n_addresses;

	if (n == DC_NODE_ADDRESSES ||
	    addr_from_ip(ip, 16, port, &i->addrs[n]) ||
	    (!dc->conf->dc_loopback && !addr_is_usable_remote(&i->addrs[n])))
		return;
	for (size_t k = 0; k < n; k++)
		if (addr_equal(&i->addrs[k], &i->addrs[n]))
			return;
	ntm__address__init(&i->address[n]);
	addr_to_message(&i->addrs[n], kind, &i->address[n]);
	i->list[n] = &i->address[n];
	i->msg.n_addresses++;
}

void nodeinfo_fill(struct dc *dc, const struct node *n, struct nodeinfo *i)
{
	ntm__node_info__init(&i->msg);
	nodes_vip6(&dc->nodes, n, i->vip6);
	for (int k = 0; k < 4; k++)
		i->vip4[k] = (uint8_t)(n->vip4 >> (24 - 8 * k));
	i->msg.fqdn = n->fqdn;
	i->msg.ed_pub =
		(ProtobufCBinaryData){NTMC_KEY_LEN, (uint8_t *)n->ed_pub};
	i->msg.x_pub = (ProtobufCBinaryData){NTMC_KEY_LEN, (uint8_t *)n->x_pub};
	i->msg.x_sig = (ProtobufCBinaryData){NTMC_SIG_LEN, (uint8_t *)n->x_sig};
	i->msg.vip6 = (ProtobufCBinaryData){sizeof(i->vip6), i->vip6};
	if (n->vip4)
		i->msg.vip4 = (ProtobufCBinaryData){sizeof(i->vip4), i->vip4};
}

void nodeinfo_fill_addresses(struct dc *dc, const struct node *n,
			     struct nodeinfo *i)
{
	i->msg.addresses = i->list;
	/* what is seen of a node behind a gate is the gate's */
	if (n->mapping != NTM__NAT_MAPPING__MAPPING_BLOCKED &&
	    n->flags & NODE_PROVEN)
		add(dc, i, n->at.ip, n->at.port,
		    NTM__ADDRESS_KIND__ADDRESS_OBSERVED);
	for (size_t k = 0; k < n->n_addrs; k++)
		add(dc, i, n->addrs[k].ip, n->addrs[k].port,
		    NTM__ADDRESS_KIND__ADDRESS_LOCAL);
}
