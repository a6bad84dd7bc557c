/* SPDX-License-Identifier: MIT */
/*
 * direction - Route Directions: what the DC says about a peer, asked or told
 *
 * Owner:    stateless; requests live in session.c, routes in their peer.
 * Context:  loop thread.
 */
#ifndef NTM_BROKER_DIRECTION_H
#define NTM_BROKER_DIRECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/relay.h"
#include "broker/worker.h"
#include "common/fqdn.h"
#include "common/ntm.pb-c.h"

/** struct node_info - a node as the DC names it; checked */
struct node_info {
	char fqdn[FQDN_MAX + 1];
	uint8_t ed_pub[NTMC_KEY_LEN], x_pub[NTMC_KEY_LEN];
	uint8_t fp[NTMC_FP_LEN];
	uint8_t vip6[16], vip4[4];
	struct addr addrs[ADDR_REMOTES_MAX];
	size_t n_addrs;
};

/** struct route_relay - where both may meet; @n 0: nowhere */
struct route_relay {
	uint64_t id;
	struct addr addrs[RELAY_ADDRS_MAX];
	size_t n;
};

/**
 * struct route - one Route Direction
 * @path_id: bit 0 clear
 * @bit:     bit 0 where we receive: 0 MN, 1 CN; of a tunnel remade (MOVE) as before,
 *           whoever asks
 * @send:    we send the Tunnel Request; else we wait for it
 * @expires_ns: loop clock; Ktun and Ktmp are wiped then
 */
struct route {
	uint64_t path_id;
	unsigned int bit;
	bool send, move;
	struct route_relay relay;
	enum ntmc_aead_alg aead;
	struct ntmc_key ktun, ktmp;
	uint64_t expires_ns;
	struct node_info peer;
};

/** @err: 0 and @route; or negative enum ntm_err and NULL, but for PIN and UNVERIFIED:
 *  the peer refuses our key, and @route may hold its identity, nothing else */
typedef void direction_fn(void *arg, int err, const struct route *route);

/**
 * direction_request() - ask the DC for the way to @fqdn
 * @path_id: of the tunnel to be remade (MOVE), else 0
 * @id:      for direction_cancel()
 * Return: 0: @fn is called once, later; or an error
 */
NTM_MUST_CHECK int direction_request(struct worker *w, const char *fqdn,
				     bool move, uint64_t path_id,
				     direction_fn *fn, void *arg, uint32_t *id);
void direction_cancel(struct worker *w, uint32_t id);
/** an unasked Route Direction: check, hand to the peer. Return: code of the NTM
 *  ACK: 0 or positive enum ntm_err; NTM_EAGAIN: none now, it is told again */
int direction_told(struct worker *w, const Ntm__RouteDirection *msg);
/** Return: 0, -NTM_EDECODE, -NTM_EAUTH (x_sig), -NTM_ENOTOURS (not in our domain,
 *  addresses outside its ranges), -NTM_EINVAL (ourselves) */
NTM_MUST_CHECK int direction_parse(const struct worker *w,
				   const Ntm__RouteDirection *msg,
				   struct route *out);

#endif
