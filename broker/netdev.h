/* SPDX-License-Identifier: MIT */
/*
 * netdev - brings the interface inside the namespace to what it shall be
 *
 * Owner:    the engine. Context: keeper process, over a netlink socket that was made
 *           inside. Synchronous: the kernel answers at once.
 */
#ifndef NTM_BROKER_NETDEV_H
#define NTM_BROKER_NETDEV_H

#include "broker/engine.h"

#define NETDEV_TXQUEUE 1024 /* packets wait here while a worker restarts */

/**
 * netdev_reconcile() - compare and mend: loopback up, interface up, MTU, queue,
 * addresses (IPv6 without duplicate detection), default routes
 * @netlink: NETLINK_ROUTE socket of the namespace
 * @conf:    NULL: links only
 *
 * Return: things that had to be changed, -NTM_ENOTFOUND (no such interface),
 *         -NTM_ESYSTEM (refused)
 */
NTM_MUST_CHECK int netdev_reconcile(int netlink, const char *ifname,
				    const struct engine_config *conf);

#endif
