/* SPDX-License-Identifier: MIT */
/*
 * netdump - all addresses or routes of this machine, by one rtnetlink dump
 *
 * Owner:    nobody; nothing is kept. Context: any thread; waits for the kernel alone.
 * Whoever calls it links libmnl.
 */
#ifndef NTM_COMMON_NETDUMP_H
#define NTM_COMMON_NETDUMP_H

#include <stddef.h>
#include <stdint.h>

#include <libmnl/libmnl.h>

#include "common/err.h"

/**
 * netdump() - ask for a dump and hand over each message of it
 * @type: RTM_GETADDR, RTM_GETROUTE ...
 * @head: bytes of the family header behind nlmsghdr, as rtnetlink(7) has it for @type;
 *        sent as zeros, so that every family is meant
 * @fn:   MNL_CB_OK: go on
 *
 * Return: 0, -NTM_ESYSTEM (also when @fn gave MNL_CB_ERROR)
 */
NTM_MUST_CHECK int netdump(uint16_t type, size_t head, mnl_cb_t fn, void *arg);

#endif
