/* SPDX-License-Identifier: MIT */
/*
 * early - Tunnel Requests that arrive before the direction they belong to
 *
 * Owner:    the worker. Context: loop thread. Where the peer is the one that sends,
 * the DC tells it first, so its request may be here before the answer of the DC is.
 */
#ifndef NTM_BROKER_EARLY_H
#define NTM_BROKER_EARLY_H

#include "broker/worker.h"
#include "common/packet.h"

#define EARLY_MAX	 16
#define EARLY_SOURCE_MAX 2 /* from one IP address */

struct early;

NTM_MUST_CHECK int early_new(struct worker *w, struct early **out);
void early_free(struct early *e);
/** keep a copy for EARLY_KEEP_MS, if a direction is asked for now. Nobody can be
 *  checked yet: the older one of the same source gives way, else any, by lot */
void early_keep(struct early *e, const struct packet_header *h,
		const uint8_t *buf, size_t len, const struct addr *from);
/** the direction of @path_id (either bit) is here: those kept for it arrive now */
void early_feed(struct early *e, uint64_t path_id);

#endif
