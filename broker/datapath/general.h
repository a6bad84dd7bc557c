/* SPDX-License-Identifier: MIT */
/*
 * general - packets of hosts without NTMobile: by which tunnel they may come and go
 *
 * Owner:    struct datapath embeds it. Context: loop thread.
 * At a node one tunnel may be the exit's: what goes to no virtual address leaves by it,
 * and from it alone packets of such hosts come. An exit is the other end: its tunnels'
 * packets go anywhere, and packets from anywhere go to its tunnels.
 */
#ifndef NTM_BROKER_DATAPATH_GENERAL_H
#define NTM_BROKER_DATAPATH_GENERAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/datapath/inner.h"

#define GENERAL_RANGES_MAX 16

struct dp_tunnel;

/** struct dp_range - virtual IPv4 addresses; the IPv6 ones are all in fd6e::/16 */
struct dp_range {
	uint8_t ip[4];
	uint8_t len;
};

/**
 * struct general
 * @exit:   the tunnel to the exit, at a node; NULL: none
 * @serves: we are an exit
 * @ranges: what is virtual; with none of them nothing is general
 */
struct general {
	struct dp_tunnel *exit;
	bool serves;
	struct dp_range ranges[GENERAL_RANGES_MAX];
	size_t n;
};

/** neither virtual nor one that means this host, its link or many */
bool general_is(const struct general *g, unsigned int version,
		const uint8_t *ip);

#endif
