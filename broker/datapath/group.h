/* SPDX-License-Identifier: MIT */
/*
 * group - packets of groups: from the TUN to each member, from members to the TUN
 * (docs/groups.md, Packets)
 *
 * Owner:    the worker (groups.c) makes and frees a struct dp_group for each group of
 *           the node. Context: loop thread, as the data path.
 * Owns:     an epoch's keys, the members' rows, what waits to be sent.
 * Does not: make tunnels or decide who is a member; it asks through struct dp_ops.
 * Trusts:   no datagram before it opens; then only a source that is the sender's.
 */
#ifndef NTM_BROKER_DATAPATH_GROUP_H
#define NTM_BROKER_DATAPATH_GROUP_H

#include "broker/datapath/datapath.h"
#include "libntmcrypto/grouppacket.h"

#define DP_GROUPS_MAX	64
#define DP_GROUP_SWITCH LOOP_S(1) /* until a new epoch is sent under */
#define DP_GROUP_TEXT	1024	  /* of a control packet */
/* at most so many salts a second that a stranger may have made up, of a group */
#define DP_GROUP_FRESH_PER_S 200
/* a member without tunnel is asked for again after so long, doubling */
#define DP_GROUP_ASK	 LOOP_S(1)
#define DP_GROUP_ASK_MAX LOOP_S(16)

/* what a member without tunnel has missed is sent when it has one, if it is no older */
#define DP_GROUP_MISSED LOOP_S(3)

struct dp_group;

/** struct dp_group_counters - of one group, since it was made */
struct dp_group_counters {
	uint64_t tx_packets, tx_bytes; /* inner, once */
	uint64_t tx_datagrams;	       /* to members */
	uint64_t tx_relayed;	       /* once, for all who are at the relay */
	uint64_t waited;    /* of them, that had to wait for a tunnel */
	uint64_t no_tunnel; /* that had none */
	uint64_t rx_packets, rx_bytes; /* inner, into the TUN */
	uint64_t bad_source, bad_destination, malformed;
	uint64_t unmet;	  /* of a member whose addresses are not known */
	uint64_t limited; /* not looked at: too many salts */
	uint64_t frozen;  /* not sent: the GMS was not heard of */
	struct group_receiver_stats rx;
};

/**
 * dp_group_new() - without keys and addresses yet
 * @env: clock and randomness; outlives the data path
 * @arg: returned by dp_group_arg()
 * Return: 0, -NTM_ELIMIT (DP_GROUPS_MAX), -NTM_ENOMEM
 */
NTM_MUST_CHECK int dp_group_new(struct datapath *dp, const struct ntmc_env *env,
				void *arg, struct dp_group **out);
void dp_group_free(struct dp_group *g); /* wipes; NULL is fine */
void *dp_group_arg(const struct dp_group *g);
/**
 * dp_group_set_addresses() - at which programs reach the group
 * @vip4: zeros: none
 * Return: 0, -NTM_EEXISTS (another group's)
 */
NTM_MUST_CHECK int dp_group_set_addresses(struct dp_group *g,
					  const uint8_t vip6[static 16],
					  const uint8_t vip4[static 4]);
/**
 * dp_group_epoch() - a later epoch: receives at once, and sends under it from
 * DP_GROUP_SWITCH on; at once when a member has gone
 * @id: ours, to sign; outlives the group
 * Members' addresses are kept.
 * Return: 0, -NTM_ESTATE, -NTM_ENOMEM: nothing has changed then
 */
NTM_MUST_CHECK int dp_group_epoch(struct dp_group *g,
				  const struct group_keys *k,
				  const struct group *members,
				  const struct ntmc_identity *id,
				  uint32_t index);
uint64_t dp_group_sends(const struct dp_group *g); /* under which epoch */
/** nothing is sent later than that, loop clock */
void dp_group_until(struct dp_group *g, uint64_t ns);
/**
 * dp_group_relay() - where packets of an epoch are replicated, and for whom
 * @at:     NULL: by nobody
 * @places: bit i of byte i / 8: the member at position i of the epoch gets what is sent
 *          there; unless ours is among them nothing is. To the others it is sent as ever
 * Of two epochs what was said last is kept: that which is sent under, and the next.
 */
void dp_group_relay(struct dp_group *g, uint64_t epoch, const struct addr *at,
		    const uint8_t *places, size_t len);
/** a member's virtual addresses: of a handshake with its identity */
void dp_group_meet(struct dp_group *g, uint32_t index,
		   const uint8_t vip6[static 16], const uint8_t vip4[static 4]);
bool dp_group_met(const struct dp_group *g, uint32_t index);
/** a signed control packet to all members that have a tunnel, or are at the relay: nobody
 *  is connected for it. Return: 0, -NTM_ESTATE (no keys, or none
 *  that may be used), -NTM_ETOOBIG, -NTM_ENOMEM */
NTM_MUST_CHECK int dp_group_control(struct dp_group *g, const uint8_t *text,
				    size_t len);
void dp_group_counters(const struct dp_group *g, struct dp_group_counters *out);

#endif
