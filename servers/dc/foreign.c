/* SPDX-License-Identifier: MIT */
/* foreign - CN of another domain, as its DC says */
#include "servers/dc/foreign.h"

#include <string.h>

static bool is_usable(struct dc *dc, const struct addr *a)
{
	size_t len;
	const uint8_t *ip = addr_ip(a, &len);

	return (dc->conf->dc_loopback || addr_is_usable_remote(a)) &&
	       (len == 4 || memcmp(ip, dc->nodes.prefix6, 2) != 0);
}

void foreign_take(const Ntm__NodeInformation *m, struct foreign *cn)
{
	const Ntm__NodeInfo *n = m->node;

	memset(cn, 0, sizeof(*cn));
	strcpy(cn->fqdn, n->fqdn);
	memcpy(cn->ed_pub, n->ed_pub.data, NTMC_KEY_LEN);
	memcpy(cn->x_pub, n->x_pub.data, NTMC_KEY_LEN);
	memcpy(cn->x_sig, n->x_sig.data, NTMC_SIG_LEN);
	memcpy(cn->vip6, n->vip6.data, 16);
	cn->has_vip4 = n->vip4.len == 4;
	if (cn->has_vip4)
		memcpy(cn->vip4, n->vip4.data, 4);
	ntmc_fingerprint(cn->ed_pub, cn->fp);
	cn->aead = (uint8_t)m->aead;
	memcpy(&cn->shadow.fp8, cn->fp, sizeof(cn->shadow.fp8));
	cn->shadow.families = (uint8_t)(m->families & 3);
	cn->shadow.flags = m->reachable ? NODE_REACHABLE : 0;
}

void foreign_take_addresses(struct dc *dc, const Ntm__NodeInfo *n,
			    struct foreign *cn)
{
	cn->n_addrs = 0;
	if (!n || strcmp(n->fqdn, cn->fqdn) != 0 ||
	    memcmp(n->ed_pub.data, cn->ed_pub, NTMC_KEY_LEN) != 0)
		return;
	for (size_t i = 0;
	     i < n->n_addresses && cn->n_addrs < DC_NODE_ADDRESSES; i++) {
		struct addr *a = &cn->addrs[cn->n_addrs];

		cn->n_addrs += !addr_from_message(n->addresses[i], a) &&
			       is_usable(dc, a);
	}
}

void foreign_tell(const struct foreign *cn, bool addresses,
		  struct foreign_told *out)
{
	Ntm__NodeInfo *m = &out->msg;

	ntm__node_info__init(m);
	m->fqdn = (char *)cn->fqdn;
	m->ed_pub = (ProtobufCBinaryData){NTMC_KEY_LEN, (uint8_t *)cn->ed_pub};
	m->x_pub = (ProtobufCBinaryData){NTMC_KEY_LEN, (uint8_t *)cn->x_pub};
	m->x_sig = (ProtobufCBinaryData){NTMC_SIG_LEN, (uint8_t *)cn->x_sig};
	m->vip6 = (ProtobufCBinaryData){16, (uint8_t *)cn->vip6};
	if (cn->has_vip4)
		m->vip4 = (ProtobufCBinaryData){4, (uint8_t *)cn->vip4};
	for (size_t i = 0; addresses && i < cn->n_addrs; i++) {
		ntm__address__init(&out->address[i]);
		addr_to_message(&cn->addrs[i],
				i ? NTM__ADDRESS_KIND__ADDRESS_LOCAL
				  : NTM__ADDRESS_KIND__ADDRESS_OBSERVED,
				&out->address[i]);
		out->list[i] = &out->address[i];
	}
	m->addresses = out->list;
	m->n_addresses = addresses ? cn->n_addrs : 0;
}

char *foreign_account(const struct foreign *cn)
{
	const char *dot = strchr(cn->fqdn, '.');

	return (char *)(dot ? dot + 1 : cn->fqdn);
}
