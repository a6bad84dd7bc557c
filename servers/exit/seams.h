/* SPDX-License-Identifier: MIT */
/*
 * seams - what the node's control plane asks of its keeper, played for an exit
 *
 * Owner:    main.c. Context: loop thread.
 * An exit runs the control plane of a node (broker/worker.h) without a keeper, without
 * an engine and without shims. Nothing outlives its process: nodes make new tunnels.
 */
#ifndef NTM_SERVERS_EXIT_SEAMS_H
#define NTM_SERVERS_EXIT_SEAMS_H

#include "broker/engine.h"

/** struct keeper_link is this, here: what is done when addresses are given */
struct keeper_link {
	void (*configured)(void *arg, const struct engine_config *conf);
	void *arg;
};

#endif
