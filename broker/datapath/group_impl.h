/* SPDX-License-Identifier: MIT */
/*
 * group_impl - a group's own data, shared by group.c, group_out.c and group_in.c
 *
 * Owner: group.c. Context: loop thread. Not for users of the data path.
 *
 *   group.c      table, epochs, members
 *   group_out.c  TUN -> sealed once -> each member
 *   group_in.c   datagram -> opened -> TUN
 */
#ifndef NTM_BROKER_DATAPATH_GROUP_IMPL_H
#define NTM_BROKER_DATAPATH_GROUP_IMPL_H

#include "broker/datapath/group.h"
#include "broker/datapath/state.h"

/* what waits to be sent: as much as one send to a member may hold */
#define GROUP_BURST	  BATCH_SEGMENTS
#define GROUP_BURST_BYTES BATCH_RUN_BYTES
/* the least that a datagram must hold of an inner packet */
#define GROUP_INNER_MIN 576

/* for whom a datagram is: while a new epoch waits to be sent under, those who have just
 * joined cannot open what the others get, and get the same under the new one */
enum {
	GROUP_FOR_OLD = 1,
	GROUP_FOR_JOINED = 2,
	GROUP_FOR_ALL = GROUP_FOR_OLD | GROUP_FOR_JOINED
};

/** struct group_row - a member; @met: the addresses are known; @since: when
 *  it joined, while an epoch before the newest is sent under; @missed: it lacks what
 *  ->missed has for it (GROUP_FOR_...) */
struct group_row {
	uint32_t index;
	bool met;
	uint8_t missed;
	uint8_t vip6[16], vip4[4];
	uint64_t ask_at, ask_gap, since;
};

/** struct group_tag - by which a datagram finds its group */
struct group_tag {
	uint8_t tag[GROUP_TAG_LEN];
	struct dp_group *g;
	bool used;
	UT_hash_handle hh;
};

/** struct group_sealed - a datagram in the burst, @whom GROUP_FOR_... */
struct group_sealed {
	uint32_t off;
	uint16_t len;
	uint8_t ecn, whom;
};

/** struct group_missed - datagrams that some member had no tunnel for, the first ones */
struct group_missed {
	uint64_t since;
	unsigned int n;
	uint32_t used;
	struct group_sealed at[GROUP_BURST];
	uint8_t buf[GROUP_BURST_BYTES];
};

/** struct group_relay - of an epoch; @epoch 0: none */
struct group_relay {
	uint64_t epoch;
	struct addr at;
	uint8_t places[GROUP_MEMBERS_MAX / 8];
};

/** struct dp_group - @next: the sender of an epoch that is not sent under yet */
struct dp_group {
	struct datapath *dp;
	const struct ntmc_env *env;
	void *arg;
	struct group_receiver *receiver;
	struct group_sender *sender, *next;
	uint64_t epoch, next_epoch; /* of these */
	bool joined;		    /* a row has @since */
	uint64_t next_at, until;
	uint32_t own, ident;	/* @ident: of the next packet that is cut */
	struct group_row *rows; /* in order of index */
	size_t n;
	struct group_relay relays[2];
	struct group_missed *missed; /* NULL: all members were met */
	struct group_tag tags[GROUP_EPOCHS_MAX]; /* newest first */
	uint8_t vip6[16], vip4[4];
	bool has_vip4, has_vip6;
	struct loop_timer *tick; /* switch, batch signature, old epoch's end */
	uint64_t batch_at;	 /* 0: nothing waits for a signature */
	struct dp_limit fresh;
	struct dp_group_counters n_of;
	struct dp_group *next_group;
};

/** struct group_burst - datagrams of one group, sealed, not sent to anybody yet */
struct group_burst {
	struct dp_group *g; /* NULL: it is empty */
	unsigned int n;
	bool hop;	     /* a relay may replicate them */
	bool quiet;	     /* nobody is connected for them */
	uint32_t used, room; /* @room: largest inner packet, for all members */
	struct group_sealed at[GROUP_BURST];
	uint8_t buf[GROUP_BURST_BYTES];
};

/** struct group_table - all groups of the data path */
struct group_table {
	struct dp_group *list;
	struct group_tag *by_tag;
	unsigned int n;
	uint64_t unknown; /* datagrams of no group of ours */
	struct group_burst burst;
};

struct group_row *group_row(const struct dp_group *g, uint32_t index);
/** NULL: none of ours */
struct dp_group *group_by_address(const struct datapath *dp,
				  const struct inner *in);
/** ask the owner for a tunnel, if it is time */
void group_ask(struct dp_group *g, struct group_row *row);
/** arm the timer for what comes next */
void group_arm(struct dp_group *g);
/** the switch to @next, if it is time */
void group_switch(struct dp_group *g);
/** sign for what was sent */
void group_sign(struct dp_group *g);
/** what the member has missed, if it has a tunnel now */
void group_make_up(struct dp_group *g, struct group_row *row);

#endif
