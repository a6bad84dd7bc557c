/* SPDX-License-Identifier: MIT */
/*
 * groupthief - what a thief of a group's packets has, and what it makes of it
 *
 * Owner:    main(), static; nothing is freed. What makes no sense ends the program with
 *           status 2 (candidates.h).
 */
#ifndef NTM_TESTS_E2E_GROUPTHIEF_H
#define NTM_TESTS_E2E_GROUPTHIEF_H

#include "libntmcrypto/groupinvite.h"
#include "tests/e2e/candidates.h"

#define THIEF_EPOCHS  64
#define THIEF_CONFIRM 16 /* confirmations of an epoch */
#define THIEF_PREKEYS 256
#define THIEF_PARTS   64
#define THIEF_PACKETS 65536

struct thief_packet {
	const uint8_t *b;
	size_t len;
};

struct thief_epoch {
	struct group *g;
	struct group_entry e;
	uint8_t entry[GROUP_ENTRY_MAX], sealer[NTMC_KEY_LEN];
	size_t len;
	uint8_t seal_hash[NTMC_HASH_LEN];
	struct {
		uint32_t index;
		uint8_t tag[GROUP_CONFIRM_LEN];
	} confirm[THIEF_CONFIRM];
	unsigned int n_confirm;
	const struct thief_packet *sample;
	bool sealed, has_rn2, has_share, has_rn1, has_data;
	struct ntmc_key rn2, share, data;
	struct group_secret rn1;
	uint8_t tag[GROUP_TAG_LEN];
	unsigned int packets, opened, below; /* below: by a sender's own key */
};

struct thief {
	const char *name;
	struct candidates c;
	struct thief_epoch *e[THIEF_EPOCHS]; /* by number; 0: none */
	uint64_t last;
	uint8_t id[GROUP_ID_LEN];
	uint8_t prekey[THIEF_PREKEYS][NTMC_KEY_LEN];
	size_t n_prekeys;
	struct {
		uint64_t epoch;
		uint32_t index;
		uint8_t part[GROUP_PART_LEN];
	} part[THIEF_PARTS];
	size_t n_parts;
	struct thief_packet packet[THIEF_PACKETS];
	size_t n_packets;
	unsigned int parts_opened, rows;
};

/** ends the program: @what makes no sense */
void thief_nonsense(const char *what);

/** a copy of the GMS's store; in the order in which they were made, of one group */
void thief_take_store(struct thief *t, const char *path);
/** the group's packets in a capture */
void thief_take_packets(struct thief *t, const char *path);
/** what a member's own store opens to; @arg: IDENTITY=GROUPS.DB */
void thief_take_own(struct thief *t, const char *arg);

#endif
