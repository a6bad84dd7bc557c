/* SPDX-License-Identifier: MIT */
/*
 * group_impl - a group's own data, shared by its files: group.c, groupsave.c,
 * groupcheck.c, groupentry.c, groupmake.c and groupkey.c
 *
 * Owner:    group.c makes, changes and frees it.
 * Context:  inside libntmcrypto only.
 */
#ifndef NTM_LIBNTMCRYPTO_GROUP_IMPL_H
#define NTM_LIBNTMCRYPTO_GROUP_IMPL_H

#include "libntmcrypto/group.h"
#include "libntmcrypto/wire.h"

#define GROUP_VERSION	 1
#define GROUP_SAVED	 2 /* 1: without the tokens of who has gone */
#define GROUP_BODY	 (1 + 1 + GROUP_ID_LEN + 8 + 4 + NTMC_HASH_LEN + 8 + 4 + 2)
#define GROUP_POLICY_LEN 20

/** struct group_touch - a piece (group_piece_save()), and the epoch that changed it last */
struct group_touch {
	uint64_t epoch;
	uint32_t piece;
};

/** struct group - @members: in order of index; @next: the next who is added; @used: the
 *  tokens of the last GROUP_USED_MAX who have gone, the oldest first; @touched: pieces that
 *  changed after the epoch @touched_from, each once */
struct group {
	uint8_t id[GROUP_ID_LEN];
	uint64_t epoch;
	uint32_t generation, next;
	uint8_t hash[NTMC_HASH_LEN], before[NTMC_HASH_LEN];
	struct group_policy policy;
	uint8_t server_key[NTMC_KEY_LEN];
	char server[NTMC_FQDN_MAX + 1];
	struct group_member *members;
	size_t n, room;
	uint8_t (*used)[GROUP_TOKEN_LEN];
	size_t n_used;
	struct group_touch touched[GROUP_TOUCHES];
	size_t n_touched;
	uint64_t touched_from;
};

/* groupentry.c: the encodings */

/** a member as it stands in an entry; @fqdn: NTMC_FQDN_MAX + 1 bytes */
struct group_record {
	uint32_t index;
	uint8_t rights, ed_pub[NTMC_KEY_LEN], token[GROUP_TOKEN_LEN];
	char fqdn[NTMC_FQDN_MAX + 1];
};
#define GROUP_RECORD_LEN                                                       \
	(GROUP_TOKEN_LEN + 4 + 1 + NTMC_KEY_LEN + 2) /* and the name */
void group_record_put(struct wire_out *w, const struct group_member *m);
/** false: malformed, or not possible for any member */
bool group_record_get(struct wire_in *w, struct group_record *out);
void group_policy_put(struct wire_out *w, const struct group_policy *p);
bool group_policy_get(struct wire_in *w, struct group_policy *out);

/** what the content of an entry says, decoded; pointers lead into the entry */
struct group_content {
	struct group_policy policy;
	const uint8_t *server_key;
	char server[NTMC_FQDN_MAX + 1];
	struct group_record founder;
	struct wire_in records; /* add: token and member, one after the other */
	size_t n;		/* of these, or of @gone */
	enum group_reason reason;
	const uint8_t *gone; /* u32 each */
	struct group_leave leave;
	uint32_t index;
	uint8_t rights;
};
/** Return: GROUP_FINE, GROUP_MALFORMED */
enum group_why group_content_get(const struct group_entry *e,
				 struct group_content *out);
/** the n-th index of a remove entry */
uint32_t group_gone_at(const struct group_content *c, size_t i);

/** "ntm group entry v1" | body, of an entry of @len bytes, signature included.
 *  Return: 0, -NTM_EAUTH */
NTM_MUST_CHECK int
group_entry_verify(const uint8_t *entry, size_t len,
		   const uint8_t ed_pub[static NTMC_KEY_LEN]);

/* group.c */
/** @out: the hash of all up to @entry; @before: of all before it */
void group_transcript(const uint8_t *before, const uint8_t *entry, size_t len,
		      uint8_t *out);

/** the position of the first member with that index, or with one behind it */
size_t group_position(const struct group *g, uint64_t index);
/** room for @n more. false: no memory */
bool group_room(struct group *g, size_t n);
/** at the end; there is room. false: no memory for the name */
bool group_append(struct group *g, const struct group_record *r);
/** room for the tokens of @n more who go; the oldest make it, where there are many.
 *  false: no memory */
bool group_used_room(struct group *g, size_t n);

/* groupsave.c */
/** what begins @epoch changes that piece */
void group_touch(struct group *g, uint64_t epoch, uint32_t piece);

/* groupcheck.c */
/** would @entry apply? */
enum group_why group_check(const struct group *g, const uint8_t *entry,
			   size_t len, const struct group_entry *e,
			   struct group_content *c);

#endif
