/* SPDX-License-Identifier: MIT */
/*
 * gms_member - a member of one group as a GMS sees it, for tests and figures
 *
 * Owner:   the test. Context: the loop's thread. No welcome by items here: who joins
 *          is given RN1 by gms_member_welcome().
 */
#ifndef NTM_TESTS_UNIT_SERVERS_GMS_MEMBER_H
#define NTM_TESTS_UNIT_SERVERS_GMS_MEMBER_H

#include "common/addr.h"
#include "common/channel.h"
#include "libntmcrypto/groupprekeys.h"

/**
 * struct gms_member
 * @epoch:   whose keys it has; 0: none. @key_ns: when they came, loop_now_exact()
 * @trouble: the first thing that it could not take, -NTM_E...
 * @n_unasked: NTM ACKs to what wants none
 * @ack_code: of the last NTM ACK; @asked: it waits for one
 * @prekeys, @confirmations: of the last answer, by position in the group
 */
struct gms_member {
	struct loop *loop;
	const struct ntmc_identity *id;
	char fqdn[NTMC_FQDN_MAX + 1];
	struct tls_context *tls;
	struct channel *channel;
	bool open;
	int closed, trouble;
	uint8_t gid[GROUP_ID_LEN];
	uint64_t node_id, key_id; /* of the login; 0: RN2 comes as it is */
	struct ntmc_key kngms;
	bool sealed; /* the last RN2 came under it */
	bool has_seal;
	uint8_t seal[GROUP_SEAL_LEN]; /* the last; hello shows it */
	unsigned int
		invented; /* epochs that hello says it has beside its own */
	struct group *g;
	struct group_secret secret;
	struct group_keys keys;
	uint64_t epoch, key_ns;
	uint32_t index, txn, ack_code, gone_code;
	uint64_t gone_epoch;
	bool asked, answered;
	unsigned int n_news, n_leaves, n_wants, n_unasked;
	uint32_t wanting; /* who asked last for a welcome */
	/* the last Group Relay */
	unsigned int n_relays;
	size_t relay_addresses;
	struct addr relay_at; /* the first */
	uint64_t relay_epoch;
	uint8_t relay_key[NTMC_KEY_LEN];
	uint32_t relay_place;
	unsigned int n_plans, n_told; /* in the last Group Plans; of these */
	uint8_t plan[GROUP_ID_LEN];   /* the first of them */
	struct group_leave leave;
	bool used;		 /* the prekey: another one is due */
	struct ntmc_key priv[2]; /* now, before */
	uint8_t pub[2][NTMC_KEY_LEN];
	struct loop_timer *ack; /* its word of the last epoch is due */
	struct group_prekey prekey;
	struct group_prekeys *genuine;
	struct ntmc_key share; /* of the entry that it has submitted */
	uint8_t (*prekeys)[GROUP_PREKEY_LEN];
	uint8_t (*confirmations)[GROUP_CONFIRM_LEN];
	uint64_t *acked;
	size_t n_people;
	uint8_t entry[GROUP_ENTRY_MAX];
	size_t entry_len;
};

/** @tls, @id: borrowed */
void gms_member_init(struct gms_member *m, struct loop *loop,
		     const struct ntmc_identity *id, const char *fqdn,
		     struct tls_context *tls,
		     const uint8_t gid[static GROUP_ID_LEN]);
void gms_member_clear(struct gms_member *m);
/** Return: 0 or channel_connect()'s */
int gms_member_connect(struct gms_member *m, const struct addr *at);
void gms_member_hello(struct gms_member *m);
void gms_member_question(struct gms_member *m);
/** check the prekeys of the last answer, before there is haste.
 *  Return: 0, group_prekeys_take()'s */
int gms_member_prepare(struct gms_member *m);
/** the founder's; Return: 0, group_make()'s */
int gms_member_create(struct gms_member *m, const uint8_t *server_key,
		      const struct group_policy *policy);
/** make an entry, seal parts for all, send both. Return: 0, group_make()'s */
int gms_member_submit(struct gms_member *m, struct group_change *c);
/** any bytes as an entry */
void gms_member_send_entry(struct gms_member *m, const uint8_t *entry,
			   size_t len, const uint8_t *sealer);
void gms_member_leave(struct gms_member *m);
/** as it does by itself, and waits for the answer */
void gms_member_ack(struct gms_member *m);
void gms_member_want(struct gms_member *m);
/** which groups is it to found? @done: NULL, or one that it has founded */
void gms_member_plans(struct gms_member *m, const uint8_t *done);
/** @to joins what @from is in, which has applied the entry that adds it */
int gms_member_welcome(const struct gms_member *from, struct gms_member *to);

#endif
