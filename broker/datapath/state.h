/* SPDX-License-Identifier: MIT */
/*
 * state - the two structures that the files of the data path share
 *
 * Owner:    struct datapath: datapath.c; struct dp_tunnel: tunnel.c.
 * Context:  loop thread. Not for users of the data path: datapath.h is.
 *
 * Who calls whom:  datapath.c (events) -> output.c, input.c -> tunnel.c, seal.c
 *                  -> batch.c, coalesce.c, queue.c, parts.c, icmp.c, tun.c
 */
#ifndef NTM_BROKER_DATAPATH_STATE_H
#define NTM_BROKER_DATAPATH_STATE_H

#include <uthash.h>

#include "broker/datapath/batch.h"
#include "broker/datapath/coalesce.h"
#include "broker/datapath/datapath.h"
#include "broker/datapath/general.h"
#include "broker/datapath/udp.h"
#include "broker/datapath/parts.h"
#include "broker/datapath/ports.h"
#include "broker/datapath/queue.h"
#include "broker/datapath/tun.h"

#define DP_PHASES	3
#define DP_MTU_DEFAULT	1200
#define DP_MTU_MIN	684 /* two parts of 1280 bytes, headers and all */
#define DP_STALL_NS	LOOP_MS(100) /* between tries on a dead route */
#define DP_ERROR_GAP_NS LOOP_MS(100) /* between reports of one tunnel */
#define DP_TAIL_MAX	1500	     /* inner bytes of a segment kept */
#define DP_TAIL_LIFE_NS LOOP_S(900)  /* then its stream has given up or ended */

/* what the owner is told at the end of the turn */
#define DP_EVENT_REKEY 1u
#define DP_EVENT_ERROR 2u

/**
 * struct dp_phase - keys of one handshake
 * @order:  counts up; a later handshake has the higher
 * @heard:  a valid packet came under them
 */
struct dp_phase {
	uint8_t phase;
	bool heard, rekey_told;
	uint32_t order;
	struct ntmc_aead *send, *recv;
	uint64_t counter; /* next to send */
	struct ntmc_replay replay;
};

/**
 * struct dp_tail - a copy of the last TCP segment with payload that was sent
 * @len:  0: none
 * @due:  to be sent again as soon as the tunnel can send
 * @at:   when it was first sent
 * @vh:   as if the TUN had given it
 */
struct dp_tail {
	uint16_t len;
	bool due;
	uint64_t at;
	struct virtio_net_hdr vh;
	uint8_t bytes[DP_TAIL_MAX];
};

struct dp_tunnel {
	struct datapath *dp;
	void *arg;
	enum dp_state state;
	uint8_t vip6[16], vip4[4];
	uint8_t shown4[4]; /* to our programs; another one than @vip4: @alias */
	bool has_vip6, has_vip4, has_path, alias, relayed;
	uint64_t path_id; /* as receiver */
	struct addr remote;
	struct dp_phase *phase[DP_PHASES]; /* newest first, NULL at the end */
	struct dp_phase *send;
	uint32_t next_order;
	uint32_t mtu; /* outer UDP payload */
	uint64_t budget;
	uint64_t stalled_until; /* 0: not stalled; the route is dead */
	struct queue queue;
	bool backlog;  /* on ->dp->backlog */
	bool draining; /* the queue's oldest record is being sent */
	struct dp_tunnel *next_backlog;
	unsigned int events;
	int error;
	uint64_t error_told;
	struct dp_tunnel *next_event;
	uint64_t moved_turn;
	struct dp_tail tail;
	uint16_t part_ident;
	struct parts_index parts;
	bool closed;	     /* nothing may come in: no memory for @ports */
	struct ports *ports; /* NULL: everything may, or @closed */
	struct dp_counters n;
	struct dp_tunnel *next_dead;
	UT_hash_handle hh_path, hh_vip6, hh_vip4;
};

/** struct dp_limit - at most @max a second */
struct dp_limit {
	uint64_t since;
	unsigned int used;
};

struct group_table;

struct datapath {
	struct loop *loop;
	const struct dp_ops *ops;
	void *arg;
	int udp4, udp6;
	struct tun tun;
	struct loop_io *io_tun, *io_udp4, *io_udp6;
	const struct dp_carrier *carrier;
	void *carrier_arg;
	struct batch *batch;
	struct coalesce *coalesce;
	struct parts *parts;
	struct queue_pool *pool;
	struct udp_buffer *rx;
	uint8_t *packet; /* TUN_PACKET_MAX: the packet just read */
	uint8_t vip6[16], vip4[4];
	struct general general;
	struct group_table *groups; /* NULL: there never was one */
	struct dp_tunnel *by_path, *by_vip6, *by_vip4;
	struct dp_tunnel *last_out, *last_in; /* most packets repeat */
	struct dp_tunnel *backlog, *events, *dead;
	struct loop_timer *turn_end;
	uint64_t turn;
	struct dp_limit limit_icmp, limit_refuse;
	struct dp_totals totals; /* of closed tunnels, and of none */
	bool gso_works, gro_works;
	bool mute; /* datapath_refuse() */
};

bool dp_limit_ok(struct dp_limit *l, uint64_t now, unsigned int max);
/** have datapath.c report events and free the dead at the end of this turn */
void dp_defer(struct datapath *dp);

#endif
