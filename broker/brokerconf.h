/* SPDX-License-Identifier: MIT */
/*
 * brokerconf - the node's own configuration: broker.conf in the config folder
 *
 * Owner:    the worker. Context: read at its start. A missing file is an empty one.
 */
#ifndef NTM_BROKER_BROKERCONF_H
#define NTM_BROKER_BROKERCONF_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/notify.h"
#include "common/err.h"

/** struct brokerconf - @portmap: routers may be asked for mappings;
 *  @keepalive: what keeps the node reachable */
struct brokerconf {
	bool portmap;
	enum notify_mode keepalive;
};

/** @why: @why_size bytes: one sentence with FILE:LINE. Return: 0, -NTM_ECONF,
 *  -NTM_ENOMEM */
NTM_MUST_CHECK int brokerconf_read(const char *config_dir,
				   struct brokerconf *out, char *why,
				   size_t why_size);

#endif
