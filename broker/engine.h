/* SPDX-License-Identifier: MIT */
/*
 * engine - where the virtual addresses live: a user + network namespace with a TUN
 *
 * Owner:    the keeper. Context: keeper process only; parses no network bytes.
 * A second engine (a user-mode stack) fits behind the same calls.
 *
 * The keeper itself stays in the host's network namespace, where its workers
 * belong; a small child of it, the inside process (inside.c), stays in the other
 * one, makes sockets there and answers the shims. Were that child killed,
 * engine_revive() makes another: descriptors hold the namespaces.
 */
#ifndef NTM_BROKER_ENGINE_H
#define NTM_BROKER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct engine;

/** struct engine_config - what the interface carries. The prefixes tell which
 *  destinations are virtual; the interface gets default routes all the same, so that
 *  one worker can serve several domains */
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
/** answer the shims' SOCKET and POOL on this listening Unix socket; borrowed */
NTM_MUST_CHECK int engine_serve(struct engine *e, int listener);
/** readable when the inside process has died; then engine_revive() */
int engine_inside_fd(const struct engine *e);
/** Return: 0, -NTM_ENOENGINE */
NTM_MUST_CHECK int engine_revive(struct engine *e);
/** non-blocking TUN, IFF_VNET_HDR, TSO and USO where the kernel has them */
int engine_tun(const struct engine *e);
/** addresses, routes and MTU; idempotent, replaces what was there */
NTM_MUST_CHECK int engine_configure(struct engine *e,
				    const struct engine_config *conf);
/** a STREAM or DGRAM socket inside; -NTM_EPERM for other types */
NTM_MUST_CHECK int engine_socket(struct engine *e, int domain, int type,
				 int protocol, int *fd);
/** descriptor that becomes readable when somebody changed the interface; then
 *  engine_repair() puts it right. Return of repair: things repaired, or
 *  -NTM_ENOENGINE. @new_tun: set when the interface had been deleted: engine_tun()
 *  is another descriptor from now on */
int engine_watch(const struct engine *e);
NTM_MUST_CHECK int engine_repair(struct engine *e, bool *new_tun);

#endif
