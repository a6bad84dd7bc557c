/* SPDX-License-Identifier: MIT */
/*
 * splice - a node's TLS to the Account Server or the GMS, byte for byte through the gate
 *
 * Owner:   struct gate. Context: loop thread. The gate has no part in that TLS: it
 *          sees no password, and the node checks that server's certificate.
 * Limits:  each is a half-open handshake of its channel (common/channel.h), and ends
 *          with it after CHANNEL_TAKEN_S. One that stays is a session of its channel
 *          once the server has not ended it for SPLICE_SETTLED_S, and ends after
 *          SPLICE_IDLE_S of silence.
 */
#ifndef NTM_SERVERS_GATE_SPLICE_H
#define NTM_SERVERS_GATE_SPLICE_H

#include "common/channel.h"
#include "servers/gate/state.h"

#define SPLICE_BUFFER	 16384 /* each way */
#define SPLICE_SETTLED_S 25    /* by then a GMS has ended a stranger's */
#define SPLICE_IDLE_S	 900   /* a GMS ends those that are silent for 600 s */

struct splice;

/** @c: from now on its socket is ours, and splice_free() comes with its closed().
 *  @to: the server; @stays: as long as it likes
 *  Return: 0, -NTM_ENOMEM, -NTM_ESYSTEM */
NTM_MUST_CHECK int splice_new(struct gate *g, struct channel *c,
			      const struct addr *to, bool stays,
			      struct splice **out);
void splice_free(struct splice *s);

#endif
