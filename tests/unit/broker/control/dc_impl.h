/* SPDX-License-Identifier: MIT */
/*
 * dc_impl - the played DC's own data, shared by its files
 *
 * Owner:    dc.c makes and frees it. Context: one thread, the world's loop.
 * Files:    dc.c knows the nodes and speaks with them, dc_direct.c directs them.
 */
#ifndef NTM_TESTS_CONTROL_DC_IMPL_H
#define NTM_TESTS_CONTROL_DC_IMPL_H

#include "tests/unit/broker/control/world.h"

#define DC_DIRECTIONS	 64
#define DC_CHALLENGE_LEN 16

/* struct dc_member - one session; the proven address is where it is sent to */
struct dc_member {
	struct node *node;
	char fqdn[FQDN_MAX + 1];
	uint64_t node_id, sequence;
	struct datagram_keys keys;
	struct ntmc_replay64 replay;
	uint8_t ed_pub[32], x_pub[32], x_sig[64], vip6[16], vip4[4];
	struct addr proven, locals[ADDR_REMOTES_MAX];
	size_t n_locals;
	/* by family: a node may ask over both at once */
	struct challenge {
		uint8_t text[DC_CHALLENGE_LEN];
		struct addr at;
	} challenges[2];
	uint64_t seen_ns;
	struct dc_told told;
};

/* struct dc_directed - one direction on its way to CN */
struct dc_directed {
	struct dc *dc;
	bool used, answered;
	struct dc_member *mn, *cn;
	uint32_t mn_txn, cn_txn;
	uint64_t path_id;
	bool move, cn_sends, swapped;
	struct rs *rs;
	struct ntmc_key ktun, ktmp;
	unsigned int tries;
	struct loop_timer *timer;
};

struct dc {
	struct world *wd;
	bool down, cn_sends;
	uint64_t boot, serial;
	unsigned int base_s, max_s; /* of keep-alives */
	struct addr notifier;
	unsigned int fetched;
	uint8_t revoked[NTMC_FP_LEN]; /* by @serial, if not 0 */
	/* of another domain: what it answers a Domain Request */
	char domain[FQDN_MAX + 1];
	uint8_t ca[NTMC_CERT_MAX];
	size_t ca_len;
	uint32_t domain_code;
	unsigned int n_domain;
	uint32_t txn;
	size_t n;
	struct dc_member members[16];
	struct dc_directed directions[DC_DIRECTIONS];
	unsigned int next;
};

/** a Signal to the node, sealed; @to: where */
void dc_signal(struct dc *dc, struct dc_member *m, const Ntm__Signal *msg,
	       const struct addr *to);
/** an answer that is a code alone */
void dc_code(struct dc *dc, struct dc_member *m, uint32_t txn, int code);

/* --- dc_direct.c --- */
/** a Direction Request of @mn */
void dc_direct(struct dc *dc, struct dc_member *mn, const Ntm__Signal *s);
/** @cn says what it thinks of a direction that it was told of */
void dc_directed(struct dc *dc, const struct dc_member *cn,
		 const Ntm__Signal *s);

#endif
