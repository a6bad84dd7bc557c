/* SPDX-License-Identifier: MIT */
/*
 * input - datagrams from the outer sockets: opened, checked, handed on
 *
 * Owner:    none of its own; works on struct datapath. Context: loop thread.
 */
#ifndef NTM_BROKER_DATAPATH_INPUT_H
#define NTM_BROKER_DATAPATH_INPUT_H

#include "broker/datapath/state.h"

/** all datagrams of one read; the packets in them stay borrowed until
 *  coalesce_flush() */
void input_read(struct datapath *dp, struct udp_read *r);

#endif
