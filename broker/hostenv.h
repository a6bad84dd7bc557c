/* SPDX-License-Identifier: MIT */
/*
 * hostenv - what the control plane asks of the machine it runs on: clock, randomness,
 *           routes and addresses
 *
 * Owner:    the program that runs a worker (ntm-worker, ntm-exit); tests have their own.
 * Context:  loop thread.
 */
#ifndef NTM_BROKER_HOSTENV_H
#define NTM_BROKER_HOSTENV_H

#include "broker/handover.h"
#include "broker/worker.h"

/** @h: where the handover will stand before the worker starts; outlives @out */
void hostenv_fill(struct worker_env *out, struct handover **h);

#endif
