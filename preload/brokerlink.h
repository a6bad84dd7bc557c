/* SPDX-License-Identifier: MIT */
/*
 * brokerlink - requests to the broker
 *
 * Owner:    nobody; each request opens and closes its own connection, so that the
 *           program may close any descriptor at any time.
 * Context:  any thread; blocks at most for the limit in requests.def.
 */
#ifndef NTM_PRELOAD_BROKERLINK_H
#define NTM_PRELOAD_BROKERLINK_H

#include "preload/shimproto.h"

/**
 * broker_ask() - one request, one answer
 * @fd: gets the descriptor of the answer, or -1 (always when @ans->err is set);
 *      NULL: none is expected
 *
 * Return: 0 when answered (see @ans->err), -ETIMEDOUT when a broker is there but
 *         silent, other negative errno when there is none or it makes no sense
 */
int broker_ask(const struct shim_request *req, struct shim_answer *ans,
	       int *fd);

/**
 * broker_open() - the same, leaving the connection open
 * @sock: gets it on success, close-on-exec and never 0 to 2; the caller closes
 */
int broker_open(const struct shim_request *req, struct shim_answer *ans,
		int *fd, int *sock);

#endif
