/* SPDX-License-Identifier: MIT */
/*
 * outer - the UDP sockets towards the real network, one port for both families
 *
 * Owner:    the keeper, so that NAT mappings outlive a worker. Context: keeper
 *           process, host namespace.
 */
#ifndef NTM_BROKER_OUTER_H
#define NTM_BROKER_OUTER_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define OUTER_BUFFER (7 * 1024 * 1024) /* as far as the host's limits allow */

struct outer {
	int udp4, udp6; /* -1: this host lacks the family */
	uint16_t port;
};

/**
 * outer_open() - wildcard sockets of both families
 * @port: 0: any that both have free
 * Return: 0, -NTM_EEXISTS (taken), -NTM_EPERM (below 1024), -NTM_ESYSTEM
 */
NTM_MUST_CHECK int outer_open(uint16_t port, struct outer *out);
void outer_close(struct outer *o);

/**
 * outer_start() - @port; 0: that of the last run, else any
 * @why: @why_size bytes: one sentence on failure
 */
NTM_MUST_CHECK int outer_start(const char *state, uint16_t port,
			       struct outer *out, char *why, size_t why_size);
/** outer_port_save(), whose failure is logged */
void outer_keep(const char *state, uint16_t port);

/** the port, over a restart, in the folder @state */
NTM_MUST_CHECK int outer_port_save(const char *state, uint16_t port);
/** Return: 0 when none is known */
uint16_t outer_port_load(const char *state);

#endif
