/* SPDX-License-Identifier: MIT */
/*
 * engine - where the virtual addresses live: a user + network namespace with a TUN
 *
 * Owner:    the keeper. Context: keeper process only; parses no network bytes.
 * A second engine (a user-mode stack) fits behind the same calls.
 */
#ifndef NTM_BROKER_ENGINE_H
#define NTM_BROKER_ENGINE_H

#include <stdint.h>

#include "common/err.h"

struct engine;

/** struct engine_config - what the interface carries */
struct engine_config {
	uint8_t vip6[16], vip4[4]; /* zero: none */
	uint8_t prefix6[16];
	uint8_t prefix6_len; /* 64 */
	uint8_t prefix4[4];
	uint8_t prefix4_len;
	uint32_t mtu; /* inner; 1280..9000 */
};

/**
 * engine_open() - make namespace and TUN
 * @why: @why_size bytes: on failure one sentence naming what was denied (user
 *       namespaces, AppArmor's restriction, /dev/net/tun) and the fix
 * Return: 0, -NTM_ENOENGINE
 */
NTM_MUST_CHECK int engine_open(struct engine **out, char *why, size_t why_size);
void engine_close(struct engine *e);
/** non-blocking TUN, IFF_VNET_HDR, TSO and USO where the kernel has them */
int engine_tun(const struct engine *e);
/** addresses, routes and MTU; idempotent, replaces what was there */
NTM_MUST_CHECK int engine_configure(struct engine *e,
				    const struct engine_config *conf);
/** a STREAM or DGRAM socket inside; -NTM_EPERM for other types */
NTM_MUST_CHECK int engine_socket(struct engine *e, int domain, int type,
				 int protocol, int *fd);
/** descriptor that becomes readable when somebody changed the interface; then
 *  engine_repair() puts it right. Return of repair: things repaired */
int engine_watch(const struct engine *e);
int engine_repair(struct engine *e);

#endif
