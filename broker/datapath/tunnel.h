/* SPDX-License-Identifier: MIT */
/*
 * tunnel - the life of a struct dp_tunnel inside the data path
 *
 * Owner:    struct datapath's tables. Context: loop thread.
 */
#ifndef NTM_BROKER_DATAPATH_TUNNEL_H
#define NTM_BROKER_DATAPATH_TUNNEL_H

#include "broker/datapath/state.h"

/** the tunnel that receives under @path_id, or NULL */
struct dp_tunnel *tunnel_by_path(struct datapath *dp, uint64_t path_id);
/** free the closed ones; their counters go into dp->totals */
void tunnel_free_dead(struct datapath *dp);
/** close all, and free */
void tunnel_free_all(struct datapath *dp);
void tunnel_add_counters(struct dp_counters *sum, const struct dp_counters *n);

#endif
