/* SPDX-License-Identifier: MIT */
/*
 * portmap_try - one protocol of port mapping, asked of one router
 *
 * Context: the program ntm-portmap; all of it blocks.
 */
#ifndef NTM_BROKER_PORTMAP_TRY_H
#define NTM_BROKER_PORTMAP_TRY_H

#include <stdbool.h>

#include <natpmp.h>

#include "broker/portmap_proto.h"

/**
 * struct portmap_try - what is asked, of whom, and what was said
 * @natpmp: connected to the router; its socket serves PCP, too
 * @silent: nothing at all came from the router's port
 */
struct portmap_try {
	struct portmap_ask ask;
	struct portmap_say say;
	natpmp_t natpmp;
	bool silent;
};

/** Each: enum portmap_why; when DONE, .say has outer, outer_port and life_s */
enum portmap_why portmap_try_pcp(struct portmap_try *t);
enum portmap_why portmap_try_natpmp(struct portmap_try *t);
/** asks by multicast who is a router, and believes only the one of .natpmp */
enum portmap_why portmap_try_upnp(struct portmap_try *t);

#endif
