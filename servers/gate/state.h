/* SPDX-License-Identifier: MIT */
/*
 * state - the gate's own data, shared by the files of this folder
 *
 *   gate.c    listener, certificate, admin
 *   splice.c  a node's TLS to the AS, or the GMS
 *   client.c  one node: its stream, its sockets towards relay and DC
 */
#ifndef NTM_SERVERS_GATE_STATE_H
#define NTM_SERVERS_GATE_STATE_H

#include "common/channel.h"
#include "common/gateframe.h"
#include "servers/gate/gate.h"
#include "servers/keyhash.h"
#include "servers/servercert.h"
#include "servers/serverconf.h"

#define GATE_WAYS_MAX 16
#define GATE_READ_MAX                                                          \
	65536 /* of a socket at once: datagrams joined by UDP_GRO */

struct client;
struct splice;

struct gate_stats {
	uint64_t refused;  /* no node's certificate */
	uint64_t logins;   /* led to the AS */
	uint64_t groups;   /* to the GMS */
	uint64_t replaced; /* ended for a newer one of that node */
	uint64_t in, out;  /* datagrams from nodes, and to them */
	uint64_t in_bytes, out_bytes;
	uint64_t bad; /* streams ended for what they carried */
	uint64_t lost;
};

struct gate {
	const struct role_env *env;
	struct loop *loop;
	struct servercert cert, cert_before;
	struct channel_listener *listeners[ROLE_SOCKETS_MAX];
	size_t n_listeners;
	struct addr relay;
	struct addr as, gms;	       /* not set: not on this machine */
	struct keyhash sources;	       /* splice.c */
	struct addr dc[GATE_WAYS_MAX]; /* of the DCs, tried in turn */
	size_t n_dc;
	struct client *clients;
	size_t n_clients;
	struct loop_timer *hourly;
	struct loop_task destroy;
	struct gate_stats stats;
	uint8_t read[GATE_READ_MAX];
};

/** the ops of every listener; arg: struct gate */
extern const struct channel_ops client_ops;

#endif
