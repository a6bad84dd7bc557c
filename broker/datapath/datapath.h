/* SPDX-License-Identifier: MIT */
/*
 * datapath - inner packets from the TUN to peers and back, sealed, in batches
 *
 * Owner:    the worker. Context: loop thread only; runs before other handlers.
 * Owns:     the table of tunnels by destination virtual address (send) and by Path ID
 *           (receive), keys, counters, replay windows, batches, per-peer queues.
 * Does not: decide. Handshakes, paths, policy, timers are the worker's (peer.c,
 *           path.c ...); it reports through struct dp_ops and is told.
 * Trusts:   nothing from the wire before the AEAD; afterwards only sources that
 *           the tunnel's certificate names. Nothing is allocated per packet.
 * States of a tunnel: see enum dp_state.
 */
#ifndef NTM_BROKER_DATAPATH_H
#define NTM_BROKER_DATAPATH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/datapath/general.h"
#include "common/addr.h"
#include "common/err.h"
#include "common/loop.h"
#include "common/packet.h"
#include "libntmcrypto/ntmcrypto.h"

struct datapath;
struct dp_group;
struct dp_tail;
struct ports;
struct dp_tunnel;

#define DP_QUEUE_BYTES	 (512 * 1024) /* waiting per tunnel while HELD */
#define DP_QUEUE_PACKETS 1024
#define DP_INNER_MIN_MTU 1280 /* always passes, in two parts if need be */
#define DP_REKEY_PACKETS (1ull << 27)
#define DP_STOP_PACKETS	 (1ull << 28)

/**
 * enum dp_state - what happens to a packet for this tunnel
 * @DP_HELD:  queued (bounded, oldest dropped first); no path or no keys yet
 * @DP_OPEN:  sealed and sent to the current remote
 * @DP_DEAD:  rejected with ICMP unreachable; freed at the end of the turn
 */
enum dp_state { DP_HELD, DP_OPEN, DP_DEAD };

/** what the datapath reports; none may free a tunnel inside the call but by
 *  dp_tunnel_close(), which defers */
struct dp_ops {
	/** a datagram that is not DATA. @buf may be changed. */
	void (*signal)(void *arg, uint8_t *buf, size_t len,
		       const struct addr *from);
	/** a packet for a virtual destination without a tunnel. true: a tunnel object
	 *  now exists (dp_tunnel_new was called, HELD) and the packet is queued there;
	 *  false: it is answered with ICMP unreachable. */
	bool (*no_tunnel)(void *arg, const struct addr *dst);
	/** an authenticated TunnelControl payload */
	void (*control)(void *arg, struct dp_tunnel *t, const uint8_t *msg,
			size_t len, const struct addr *from, size_t wire_len);
	/** DATA with a Path ID or phase we hold no keys for. Each one, or a flood of
	 *  random Path IDs would hide a peer's: the owner looks it up, then limits */
	void (*unknown_path)(void *arg, uint64_t path_id,
			     const struct addr *from);
	/** first valid packet under @phase: the peer has the keys; it came from
	 *  @from in a datagram of @wire_len, or so its header says */
	void (*confirmed)(void *arg, struct dp_tunnel *t, uint8_t phase,
			  const struct addr *from, size_t wire_len);
	/** an authenticated packet, newest so far, from an address that is not the
	 *  current remote; at most once a turn. @wire_len: of the datagram. Not for
	 *  control messages: those are probes, and their receiver knows @from */
	void (*moved)(void *arg, struct dp_tunnel *t, const struct addr *from,
		      size_t wire_len);
	/** the send counter passed DP_REKEY_PACKETS; once per phase */
	void (*rekey_due)(void *arg, struct dp_tunnel *t);
	/** the kernel refused a send: EMSGSIZE, ENETUNREACH, ... ; rate-limited */
	void (*send_error)(void *arg, struct dp_tunnel *t, int err);
	/** dp_tunnel_open(): what had waited has left. NULL: nobody wants to know */
	void (*opened)(void *arg, struct dp_tunnel *t);
	/** a member of a group has no tunnel, and there is something for it, or of
	 *  it. One may be made inside the call, nothing be sent to a group.
	 *  NULL: nobody cares */
	void (*group_wants)(void *arg, struct dp_group *g, uint32_t index);
	/** a control packet of a member, whose signature holds */
	void (*group_control)(void *arg, struct dp_group *g, uint64_t epoch,
			      uint32_t index, const uint8_t *text, size_t len);
	/** the TUN cannot be read any more; once. Nothing leaves from now on */
	void (*broken)(void *arg);
};

/**
 * datapath_new() - start on descriptors that the keeper holds
 * @tun:  non-blocking TUN with IFF_NO_PI | IFF_VNET_HDR, offloads as given by
 *        the engine; @udp4, @udp6: bound UDP sockets (-1: none); borrowed
 * Tests GSO and GRO at start and falls back, counted, where the kernel lacks them.
 */
NTM_MUST_CHECK int datapath_new(struct loop *l, int tun, int udp4, int udp6,
				const struct dp_ops *ops, void *arg,
				struct datapath **out);
void datapath_free(struct datapath *dp);
/** our lease: outgoing sources must be these, incoming destinations too */
void datapath_set_lease(struct datapath *dp, const uint8_t vip6[static 16],
			const uint8_t vip4[static 4]);
/** which IPv4 addresses are virtual (at most GENERAL_RANGES_MAX are kept); all others
 *  are those of general hosts */
void datapath_set_virtual(struct datapath *dp, const struct dp_range *r,
			  size_t n);
/** the tunnel to the exit: packets to general hosts go there, and theirs may come from
 *  there; NULL: none. Closing the tunnel ends it */
void datapath_set_exit(struct datapath *dp, struct dp_tunnel *t);
/** we are an exit: packets of tunnels may go anywhere, and any may go to them */
void datapath_serve_exit(struct datapath *dp);
/** @say false: packets to ports that a peer may not reach are lost without a word to either
 *  side, so that its connections outlive a moment in which its rights are not known */
void datapath_refuse(struct datapath *dp, bool say);

/**
 * struct dp_offload - for tests, and for people whose kernel passes the test and
 * fails in the field; all are on after datapath_new()
 * @gso: UDP_SEGMENT; @gro: UDP_GRO; @tcp, @udp: super-packets into the TUN
 */
struct dp_offload {
	bool gso, gro, tcp, udp;
};
void datapath_set_offload(struct datapath *dp, const struct dp_offload *o);

/**
 * struct dp_carrier - another way than UDP to some destinations
 * @takes: does it carry what goes to @to? asked once a run of datagrams
 * @send:  datagrams of @seg bytes, the last maybe shorter; what it has no room for
 *         it drops
 */
struct dp_carrier {
	bool (*takes)(void *arg, const struct addr *to);
	void (*send)(void *arg, const struct addr *to, const uint8_t *data,
		     size_t len, size_t seg);
};
/** NULL: everything goes by UDP */
void datapath_set_carrier(struct datapath *dp, const struct dp_carrier *carrier,
			  void *arg);
/** a datagram that a carrier brought, as if UDP had brought it from @from;
 *  destroyed. The last of several is followed by datapath_carried_end() */
void datapath_carried(struct datapath *dp, uint8_t *data, size_t len,
		      const struct addr *from);
void datapath_carried_end(struct datapath *dp);
/** as datapath_send(), by UDP in any case */
NTM_MUST_CHECK int datapath_send_udp(struct datapath *dp, const uint8_t *buf,
				     size_t len, const struct addr *to);
/** one signalling datagram, sent now. Return: 0 or -NTM_ESYSTEM (errno kept) */
NTM_MUST_CHECK int datapath_send(struct datapath *dp, const uint8_t *buf,
				 size_t len, const struct addr *to);

/**
 * dp_tunnel_new() - a tunnel towards a peer, HELD, without keys
 * @vip6, @vip4: the peer's virtual addresses: the only inner sources accepted
 * @arg: returned by dp_tunnel_arg()
 * Return: 0, -NTM_EEXISTS (an address is taken), -NTM_ENOMEM
 */
NTM_MUST_CHECK int dp_tunnel_new(struct datapath *dp,
				 const uint8_t vip6[static 16],
				 const uint8_t vip4[static 4], void *arg,
				 struct dp_tunnel **out);
/** the same, shown to our programs at the IPv4 address @shown4, which packets do not
 *  bear on the wire (alias.h) */
NTM_MUST_CHECK int dp_tunnel_new_shown(struct datapath *dp,
				       const uint8_t vip6[static 16],
				       const uint8_t vip4[static 4],
				       const uint8_t shown4[static 4],
				       void *arg, struct dp_tunnel **out);
/** flush the queue to ICMP unreachable when @reject, wipe keys, free at turn end */
void dp_tunnel_close(struct dp_tunnel *t, bool reject);
/** the last TCP segment with payload that it sent, for the next tunnel to the same
 *  identity, which sends it again when it can. NULL: none; freed by dp_tail_free() */
struct dp_tail *dp_tunnel_tail(const struct dp_tunnel *t);
void dp_tunnel_set_tail(struct dp_tunnel *t, const struct dp_tail *tail);
void dp_tail_free(struct dp_tail *tail); /* NULL is fine */
void *dp_tunnel_arg(const struct dp_tunnel *t);
/** false: none */
bool dp_tunnel_find(struct datapath *dp, const struct addr *vip,
		    struct dp_tunnel **out);

/** @path_id: with the bit of *our* side as receiver; the peer's is path_id ^ 1 */
NTM_MUST_CHECK int dp_tunnel_set_path_id(struct dp_tunnel *t, uint64_t path_id);
/**
 * dp_tunnel_add_keys() - new keys for receiving at once
 * @phase: key phase; at most three are kept, the oldest is wiped
 * @confirmed: true (initiator): sending moves to them at once; false
 *             (responder): at the first valid packet under them
 */
NTM_MUST_CHECK int dp_tunnel_add_keys(struct dp_tunnel *t, uint8_t phase,
				      enum ntmc_aead_alg aead,
				      const struct ntmc_key *send,
				      const struct ntmc_key *recv,
				      bool confirmed);
/** wipe every phase but the current sending one (30 s after a rekey) */
void dp_tunnel_drop_old_keys(struct dp_tunnel *t);
/** wipe the sending phase and older ones: they are too old. Nothing is sent, not
 *  even control messages, before newer keys are confirmed or added */
void dp_tunnel_stop(struct dp_tunnel *t);
/** writes the phases in use; returns how many (at most 3) */
unsigned int dp_tunnel_phases(const struct dp_tunnel *t, uint8_t out[static 3]);

/** current remote and state: there is a path now, be it a new one, one that came
 *  back, or ours from elsewhere. The last TCP segment is sent again, and what was
 *  queued while HELD. */
void dp_tunnel_open(struct dp_tunnel *t, const struct addr *remote);
void dp_tunnel_hold(struct dp_tunnel *t);
/** the remote is a relay, which passes on nothing but this tunnel's packets: those of
 *  groups travel inside of them */
void dp_tunnel_set_relayed(struct dp_tunnel *t, bool relayed);
enum dp_state dp_tunnel_state(const struct dp_tunnel *t);
/**
 * dp_tunnel_set_ports() - what the peer may open here
 * @all:  everything (so after dp_tunnel_new()); else the TCP and UDP ports of @list.
 * Flows that we began go on in any case; those that the peer began end, both ways,
 * where their port is not allowed any more. Out of memory nothing at all comes in.
 */
void dp_tunnel_set_ports(struct dp_tunnel *t, bool all, const uint16_t *list,
			 size_t n);
/** who began what, before dp_tunnel_close(), for the next tunnel to the same peer, and
 *  its dp_tunnel_set_ports(). NULL: nothing known */
struct ports *dp_tunnel_take_ports(struct dp_tunnel *t);
/** @p is the tunnel's from now on */
void dp_tunnel_give_ports(struct dp_tunnel *t, struct ports *p);
void dp_ports_free(struct ports *p); /* NULL is fine */
/** who began what, while it is the tunnel's (ports_due(), ports_save()). NULL: nothing known */
struct ports *dp_tunnel_ports(const struct dp_tunnel *t);
/** largest outer UDP payload that passes to the current remote (default 1200).
 *  Inner packets above what fits get Packet Too Big, up to 1280 two parts. */
void dp_tunnel_set_mtu(struct dp_tunnel *t, unsigned int udp_payload);
/** while the remote is unproven: stop after @bytes more; UINT64_MAX: no limit */
void dp_tunnel_set_budget(struct dp_tunnel *t, uint64_t bytes);
/** @bytes beside what is left; nothing where there is no limit */
void dp_tunnel_add_budget(struct dp_tunnel *t, uint64_t bytes);

/** a sealed TunnelControl message to @to (NULL: current remote). @msg, @len: packed
 *  TunnelControl. Return: 0, -NTM_ESTATE without keys, -NTM_ETOOBIG, -NTM_ESYSTEM */
NTM_MUST_CHECK int dp_tunnel_send_control(struct dp_tunnel *t,
					  const uint8_t *msg, size_t len,
					  const struct addr *to);

/** counters, for status and tests; all since creation */
struct dp_counters {
	uint64_t tx_packets, tx_bytes, rx_packets, rx_bytes; /* inner */
	uint64_t tx_datagrams, rx_datagrams;		     /* outer */
	uint64_t last_rx_ns, last_tx_ns; /* loop clock; 0 never */
	uint64_t bad_auth, replayed, bad_source, bad_lease, bad_port, no_keys;
	uint64_t queue_dropped, too_big, parts;
	uint64_t tails; /* TCP segments sent again after a move */
};
void dp_tunnel_counters(const struct dp_tunnel *t, struct dp_counters *out);
/** of the whole: also datagrams of unknown Path IDs, malformed ones; GSO fallbacks */
struct dp_totals {
	struct dp_counters sum;
	uint64_t malformed, unknown_path, unroutable, gso_fallbacks, gso_on,
		gro_on;
	uint64_t tun_failed;	/* packets the TUN refused */
	uint64_t tun_refused;	/* super-packets it took one by one */
	uint32_t rcvbuf;	/* bytes granted to the lesser UDP socket */
	uint64_t unknown_group; /* datagrams of no group of ours */
};
void datapath_totals(const struct datapath *dp, struct dp_totals *out);

#endif
