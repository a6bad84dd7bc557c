/* SPDX-License-Identifier: MIT */
/*
 * group - the log of a group, and who is in it (docs/groups.md, The log)
 *
 * Owner:    whoever made the struct group; group_free() is fine with NULL.
 * Context:  member and GMS alike; any thread, one at a time.
 * States:   empty (epoch 0), until a create entry applies; each entry that applies
 *           begins the next epoch. An entry that does not apply changes nothing.
 * There are no secrets here.
 */
#ifndef NTM_LIBNTMCRYPTO_GROUP_H
#define NTM_LIBNTMCRYPTO_GROUP_H

#include "libntmcrypto/ntmcrypto.h"

#define GROUP_ID_LEN	  16
#define GROUP_PREKEY_LEN  (NTMC_KEY_LEN + 8 + NTMC_SIG_LEN) /* groupkey.h */
#define GROUP_TOKEN_LEN	  16
#define GROUP_MEMBERS_MAX 2048
#define GROUP_JOIN_MAX	  64   /* members in one add entry */
#define GROUP_GONE_MAX	  1024 /* and in one remove entry */
#define GROUP_USED_MAX	  4096 /* tokens of who has gone that are known */
#define GROUP_ENTRY_MAX	  24576
#define GROUP_SERVER	  UINT32_MAX /* as an author: the GMS */

enum group_kind {
	GROUP_CREATE = 1,
	GROUP_ADD,
	GROUP_REMOVE,
	GROUP_REFRESH,
	GROUP_RENEW,
	GROUP_RIGHTS,
	GROUP_POLICY,
	GROUP_MOVE, /* another GMS, or another key of it */
};
#define GROUP_KINDS 9 /* with 0 */

enum group_reason { GROUP_REMOVED = 1, GROUP_LEFT, GROUP_EVICTED };

/* rights of a member */
#define GROUP_MAY_INVITE 1u
#define GROUP_MAY_REMOVE 2u
#define GROUP_ADMIN	 4u
#define GROUP_ALL_RIGHTS 7u

enum group_auth { GROUP_AUTH_MAC, GROUP_AUTH_SIGN, GROUP_AUTH_BATCH };

#define GROUP_EVICT_MIN_S                                                      \
	900 /* nobody is evicted sooner, whatever the policy says */

/** struct group_policy - times in seconds; bounds: docs/groups.md */
struct group_policy {
	enum group_auth auth;
	bool delegate; /* invitees may be given the right to invite by who has it */
	uint16_t keep_s;
	uint32_t renew_s, refresh_s, evict_s, max_age_s;
};
extern const struct group_policy group_policy_default;
bool group_policy_ok(const struct group_policy *p);

/** why an entry does not apply: groupwhy.def */
enum group_why {
#define WHY(name, error, text) GROUP_##name,
#include "libntmcrypto/groupwhy.def"
#undef WHY
};
/** a sentence without subject's name and full stop */
const char *group_why_text(enum group_why why);
/** the same as 0 or -NTM_E... */
int group_why_code(enum group_why why);

/** struct group_member - @fqdn: the member's, freed with it */
struct group_member {
	uint32_t index;
	uint8_t rights;
	uint8_t ed_pub[NTMC_KEY_LEN];
	uint8_t token[GROUP_TOKEN_LEN]; /* of its invite; founder: zeros */
	char *fqdn;
};

struct group;

NTM_MUST_CHECK int group_new(struct group **out);
void group_free(struct group *g);

/**
 * group_apply() - take the next entry
 * @why: which rule it breaks; may be NULL
 * Return: 0, or the code of @why; nothing has changed then
 */
NTM_MUST_CHECK int group_apply(struct group *g, const uint8_t *entry,
			       size_t len, enum group_why *why);

/* what the group is now; all 0, "" or NULL when it is empty */
uint64_t group_epoch(const struct group *g);
uint32_t group_generation(const struct group *g);
const uint8_t *group_id(const struct group *g);
/** th(e), NTMC_HASH_LEN bytes */
const uint8_t *group_hash(const struct group *g);
const struct group_policy *group_policy(const struct group *g);
const char *group_server(const struct group *g, const uint8_t **ed_pub);
/** members by position, in order of index */
size_t group_size(const struct group *g);
const struct group_member *group_at(const struct group *g, size_t i);
const struct group_member *group_find(const struct group *g, uint32_t index);
const struct group_member *
group_find_key(const struct group *g,
	       const uint8_t ed_pub[static NTMC_KEY_LEN]);
/** may @author make somebody a member, with @rights? */
bool group_may_add(const struct group *g, const struct group_member *author,
		   uint8_t rights);
/** has an invite's token made somebody a member, who is one or was? Of those who have
 *  gone, the last GROUP_USED_MAX are known */
bool group_token_used(const struct group *g,
		      const uint8_t token[static GROUP_TOKEN_LEN]);
/** the index that the next who is added gets */
uint32_t group_next_index(const struct group *g);

/** struct group_joiner - who is added
 * @prekey: its first group prekey, which the GMS gets beside the entry; it is not in it.
 *          Zeros: none is known
 */
struct group_joiner {
	uint8_t token[GROUP_TOKEN_LEN], ed_pub[NTMC_KEY_LEN];
	uint8_t rights;
	const char *fqdn;
	uint8_t prekey[GROUP_PREKEY_LEN];
};

/** struct group_leave - a member's own wish to leave, signed by it */
struct group_leave {
	uint32_t index;
	uint64_t epoch;
	uint8_t sig[NTMC_SIG_LEN];
};
void group_leave_sign(const struct ntmc_identity *id, const struct group *g,
		      uint32_t index, struct group_leave *out);
/** Return: 0, -NTM_ENONAME (no member), -NTM_EAUTH */
NTM_MUST_CHECK int group_leave_verify(const struct group *g,
				      const struct group_leave *l);

/**
 * struct group_change - what an entry is to say; only what belongs to @kind is read
 * @share: create, remove, refresh: the fresh share that it commits to
 * @id, @fqdn: create: GroupID, founder; @policy: create and policy; @server_*: create
 *         and move; @joiners: add; @reason, @gone: remove; @leave: remove, GROUP_LEFT;
 *         @index, @rights: rights
 */
struct group_change {
	enum group_kind kind;
	const struct ntmc_key *share;
	const uint8_t *id, *server_key;
	const char *fqdn, *server;
	const struct group_policy *policy;
	const struct group_joiner *joiners;
	size_t n_joiners;
	enum group_reason reason;
	const uint32_t *gone;
	size_t n_gone;
	const struct group_leave *leave;
	uint32_t index;
	uint8_t rights;
};
/**
 * group_make() - an entry that applies to @g, signed
 * @id: of the author: a member of @g, the GMS (renew), or the founder (@g empty)
 * @why: as group_apply(); may be NULL
 * Return: 0, and as group_apply()
 */
NTM_MUST_CHECK int group_make(const struct ntmc_env *env, const struct group *g,
			      const struct ntmc_identity *id,
			      const struct group_change *c,
			      uint8_t out[static GROUP_ENTRY_MAX], size_t *len,
			      enum group_why *why);

/**
 * struct group_entry - what an entry says, for keys and for people
 * @commitment: to the fresh share, in the entry; NULL: RN1 is ratcheted only
 * @content, @content_len: behind the fields that all kinds have, in the entry
 */
struct group_entry {
	enum group_kind kind;
	uint8_t id[GROUP_ID_LEN];
	uint64_t epoch, time;
	uint32_t generation, author;
	uint8_t previous[NTMC_HASH_LEN];
	const uint8_t *commitment, *content, *signature;
	size_t content_len;
};
/** nothing is verified. Return: 0, -NTM_EDECODE */
NTM_MUST_CHECK int group_entry_get(const uint8_t *entry, size_t len,
				   struct group_entry *out);
/** does @entry take the member away? (remove entries; anything else: no) */
bool group_entry_removes(const struct group_entry *e, uint32_t index);
/** SHA-256("ntm group share v1" | GroupID | epoch | generation | share) */
void group_commit(const uint8_t id[static GROUP_ID_LEN], uint64_t epoch,
		  uint32_t generation, const struct ntmc_key *share,
		  uint8_t out[static NTMC_HASH_LEN]);

/* --- for a store (groupsave.c) ------------------------------------------------------ */

/** the group as bytes. @size 0: only @len, which is set in any case.
 *  Return: 0, -NTM_ETOOBIG, -NTM_ESTATE (empty) */
NTM_MUST_CHECK int group_save(const struct group *g, uint8_t *out, size_t size,
			      size_t *len);
/** Return: 0, -NTM_EDECODE, -NTM_ENOMEM */
NTM_MUST_CHECK int group_load(const uint8_t *b, size_t len, struct group **out);

#define GROUP_PIECE	 32		  /* members in one, by index */
#define GROUP_PIECE_HEAD UINT32_MAX	  /* first; each epoch changes it */
#define GROUP_PIECE_USED (UINT32_MAX - 1) /* last */
#define GROUP_TOUCHES	 64
/**
 * group_piece_save() - a part of group_save()'s bytes: the head, then members by number
 *                      of their piece, then GROUP_PIECE_USED make up the whole
 * @len: 0: it has nobody any more. @size 0: only @len
 * Return: as group_save()
 */
NTM_MUST_CHECK int group_piece_save(const struct group *g, uint32_t piece,
				    uint8_t *out, size_t size, size_t *len);
/** those that are not as they were in @epoch, without the head, in no order.
 *  Return: false: that is not known, any may be another one */
bool group_pieces_since(const struct group *g, uint64_t epoch,
			uint32_t out[static GROUP_TOUCHES], size_t *n);
/** the one that follows @piece, of those that have somebody; the last is GROUP_PIECE_USED */
uint32_t group_piece_next(const struct group *g, uint32_t piece);

#endif
