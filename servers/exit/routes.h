/* SPDX-License-Identifier: MIT */
/*
 * routes - what this machine is linked with beside its interfaces' prefixes
 *
 * Context: any. An address by DHCPv6 has a length of 128, and the neighbours are those of
 * a route that the router announced; an address may be this machine's by a route alone.
 */
#ifndef NTM_SERVERS_EXIT_ROUTES_H
#define NTM_SERVERS_EXIT_ROUTES_H

#include "servers/exit/filter.h"

/* shorter routes without a router are no link but a tunnel for everything, as of a VPN */
#define ROUTES_LINK4_MIN 8
#define ROUTES_LINK6_MIN 16

/** adds to both; what is there already is not doubled. Return: 0, -NTM_ESYSTEM,
 *  -NTM_ELIMIT */
NTM_MUST_CHECK int routes_add(struct filter_list *own,
			      struct filter_list *links);

#endif
