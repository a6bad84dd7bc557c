/* SPDX-License-Identifier: MIT */
/*
 * foreign - CN of another domain, as its DC says
 *
 * Owner:   by value in its direction (abroad.c). Context: loop thread.
 * Who it is was held against its CA (domain_check_node()) before it is taken.
 */
#ifndef NTM_SERVERS_DC_FOREIGN_H
#define NTM_SERVERS_DC_FOREIGN_H

#include "servers/dc/state.h"

/** struct foreign - @shadow: what reach.c looks at: families, flags, fp8 */
struct foreign {
	char fqdn[FQDN_MAX + 1];
	uint8_t ed_pub[NTMC_KEY_LEN], x_pub[NTMC_KEY_LEN], x_sig[NTMC_SIG_LEN];
	uint8_t vip6[16], vip4[4], fp[NTMC_FP_LEN];
	bool has_vip4;
	struct addr addrs[DC_NODE_ADDRESSES];
	size_t n_addrs;
	uint8_t aead;
	struct node shadow;
};

/** struct foreign_told - CN as MN is told of it; borrows from struct foreign */
struct foreign_told {
	Ntm__NodeInfo msg;
	Ntm__Address address[DC_NODE_ADDRESSES], *list[DC_NODE_ADDRESSES];
};

/** @m: with a node. It has no addresses yet */
void foreign_take(const Ntm__NodeInformation *m, struct foreign *cn);
/** it has agreed, and this is where it is (@n may be NULL); an answer about somebody
 *  else is none */
void foreign_take_addresses(struct dc *dc, const Ntm__NodeInfo *n,
			    struct foreign *cn);
/** @addresses: with them */
void foreign_tell(const struct foreign *cn, bool addresses,
		  struct foreign_told *out);
/** the account's name with its domain, as a relay counts it; borrowed */
char *foreign_account(const struct foreign *cn);

#endif
