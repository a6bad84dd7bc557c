/* SPDX-License-Identifier: MIT */
/*
 * splice - a node's TLS to the Account Server, byte for byte through the gate
 *
 * Owner:   struct gate. Context: loop thread. The gate has no part in that TLS: it
 *          sees no password, and the node checks the Account Server's certificate.
 * Limits:  each is a half-open handshake of its channel (common/channel.h), and ends
 *          with it after CHANNEL_TAKEN_S.
 */
#ifndef NTM_SERVERS_GATE_SPLICE_H
#define NTM_SERVERS_GATE_SPLICE_H

#include "common/channel.h"
#include "servers/gate/state.h"

#define SPLICE_BUFFER 16384 /* each way */

struct splice;

/** @c: from now on its socket is ours, and splice_free() comes with its closed().
 *  Return: 0, -NTM_ENOMEM, -NTM_ESYSTEM */
NTM_MUST_CHECK int splice_new(struct gate *g, struct channel *c,
			      struct splice **out);
void splice_free(struct splice *s);

#endif
