/* SPDX-License-Identifier: MIT */
/*
 * memberstore - the groups of a node on its disk: logs, and what only a member has
 *
 * Owner:    ntm-member; one process opens one store.
 * Context:  loop thread; each call may wait for the disk.
 * Secrets:  RN1, prekeys and shares are sealed with a key of the device's identity, and
 *           bound to the group's past: a row of another group, epoch or device does not
 *           open. What was written over is wiped as far as SQLite can (secure_delete).
 */
#ifndef NTM_BROKER_MEMBER_MEMBERSTORE_H
#define NTM_BROKER_MEMBER_MEMBERSTORE_H

#include "libntmcrypto/groupinvite.h"

struct memberstore;

/** struct member_prekey - both halves of one group prekey; all zeros: none */
struct member_prekey {
	struct ntmc_key priv;
	uint8_t pub[NTMC_KEY_LEN];
};

/**
 * struct member_own - what only this member has of a group; secret
 * @prekey:  now, and the one before
 * @serial:  of the first
 * @used:    a part has come for the first: another one is due
 * @waiting: an entry of ours may have been taken: its SHA-256 and its share
 * @leaving: its person has left, and the GMS is to hear of it; RN1 and prekeys are zeros
 * @forked:  two pasts were proven: no key ever again
 */
struct member_own {
	struct group_secret secret;
	struct member_prekey prekey[2];
	uint64_t serial;
	bool used, waiting, leaving, forked;
	uint8_t entry_hash[NTMC_HASH_LEN];
	struct ntmc_key share;
};
void member_own_clear(struct member_own *own);

/** what was written over is nowhere in its files any more. Return: 0, -NTM_ESTORE: not
 *  now */
NTM_MUST_CHECK int memberstore_tidy(struct memberstore *s);
/** @id: the device's. Return: 0, -NTM_ESTORE, -NTM_EVERSION, -NTM_ENOMEM */
NTM_MUST_CHECK int memberstore_open(const char *path,
				    const struct ntmc_env *env,
				    const struct ntmc_identity *id,
				    struct memberstore **out);
void memberstore_close(struct memberstore *s);

/* what belongs together is written between these; without them each call for itself */
NTM_MUST_CHECK int memberstore_begin(struct memberstore *s);
NTM_MUST_CHECK int memberstore_commit(struct memberstore *s);
void memberstore_rollback(struct memberstore *s);

/** the group as it is now, instead of what was there. @own is of its epoch.
 *  Return: 0, -NTM_ESTATE (it is not), -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int memberstore_put(struct memberstore *s, const struct group *g,
				   const struct member_own *own);
/**
 * memberstore_get() - as it was put last
 * @g, @own: set on success only; the caller frees, and clears
 * Return: 0, -NTM_ENOTFOUND, -NTM_EAUTH (sealed by another device, or damaged),
 *         -NTM_ESTORE, -NTM_ENOMEM
 */
NTM_MUST_CHECK int memberstore_get(struct memberstore *s,
				   const uint8_t id[static GROUP_ID_LEN],
				   struct group **g, struct member_own *own);
/** group and log. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int memberstore_drop(struct memberstore *s,
				    const uint8_t id[static GROUP_ID_LEN]);
/** GroupIDs of all, at most @max. Return: how many there are, -NTM_ESTORE */
NTM_MUST_CHECK int memberstore_list(struct memberstore *s,
				    uint8_t (*ids)[GROUP_ID_LEN], size_t max);

/** an entry that applied. Return: 0, -NTM_EEXISTS, -NTM_ESTORE */
NTM_MUST_CHECK int memberstore_log_put(struct memberstore *s,
				       const uint8_t id[static GROUP_ID_LEN],
				       uint64_t epoch, const uint8_t *entry,
				       size_t len, const uint8_t *sealer);
/**
 * memberstore_log_get() - the entry that began @epoch
 * @sealer: NTMC_KEY_LEN bytes, zeros where it had none
 * Return: 0, -NTM_ENOTFOUND, -NTM_ESTORE
 */
NTM_MUST_CHECK int memberstore_log_get(struct memberstore *s,
				       const uint8_t id[static GROUP_ID_LEN],
				       uint64_t epoch,
				       uint8_t entry[static GROUP_ENTRY_MAX],
				       size_t *len,
				       uint8_t sealer[static NTMC_KEY_LEN]);

/** how long members were silent, in place of what was there; no secret. Gone with the
 *  group. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int
memberstore_silence_put(struct memberstore *s,
			const uint8_t id[static GROUP_ID_LEN], const void *body,
			size_t len);
/** Return: 0, -NTM_ENOTFOUND, -NTM_ESTORE (also more than @size) */
NTM_MUST_CHECK int
memberstore_silence_get(struct memberstore *s,
			const uint8_t id[static GROUP_ID_LEN], void *body,
			size_t size, size_t *len);

/** the GMS's seal on the epoch that is put; no secret. Gone with the group.
 *  Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int
memberstore_seal_put(struct memberstore *s,
		     const uint8_t id[static GROUP_ID_LEN],
		     const uint8_t seal[static GROUP_SEAL_LEN]);
/** Return: 0, -NTM_ENOTFOUND, -NTM_ESTORE */
NTM_MUST_CHECK int memberstore_seal_get(struct memberstore *s,
					const uint8_t id[static GROUP_ID_LEN],
					uint8_t seal[static GROUP_SEAL_LEN]);

/* --- notes: what else a device has to know of a group after a start; sealed ----------- */

#define MEMBERSTORE_NOTE_MAX (GROUP_GONE_MAX * 4)

/** enum memberstore_note - numbers are in the store
 * @NOTE_REMOVAL: whom its person wants removed: indices, u32 each
 * @NOTE_TOLD:    a later epoch that another member has shown (witness.c)
 * @NOTE_SAW:     what was noticed last (saw.c)
 */
enum memberstore_note { NOTE_REMOVAL = 1, NOTE_TOLD, NOTE_SAW };
/** in place of what was there; @len 0: nothing. Gone with the group. Return: 0,
 *  -NTM_ETOOBIG, -NTM_ESTORE */
NTM_MUST_CHECK int memberstore_note_put(struct memberstore *s,
					const uint8_t id[static GROUP_ID_LEN],
					enum memberstore_note note,
					const void *body, size_t len);
/** Return: 0, -NTM_ENOTFOUND, -NTM_EAUTH, -NTM_ESTORE */
NTM_MUST_CHECK int
memberstore_note_get(struct memberstore *s,
		     const uint8_t id[static GROUP_ID_LEN],
		     enum memberstore_note note,
		     uint8_t body[static MEMBERSTORE_NOTE_MAX], size_t *len);

/* --- papers: what an invitation has come to, of either side; sealed ----------------- */

#define MEMBERSTORE_PAPER_MAX 2048

/** in place of what was there. Return: 0, -NTM_ETOOBIG, -NTM_ESTORE */
NTM_MUST_CHECK int
memberstore_paper_put(struct memberstore *s,
		      const uint8_t token[static GROUP_TOKEN_LEN],
		      const void *body, size_t len);
/** Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int
memberstore_paper_drop(struct memberstore *s,
		       const uint8_t token[static GROUP_TOKEN_LEN]);
/** @fn: what it is given is borrowed, and it writes nothing into the store.
 *  Return: 0, -NTM_EAUTH, -NTM_ESTORE */
NTM_MUST_CHECK int
memberstore_papers(struct memberstore *s,
		   void (*fn)(void *arg, const uint8_t *token,
			      const uint8_t *body, size_t len),
		   void *arg);

/** where a GMS is, by its identity: ADDRESS:PORT|ADDRESS:PORT. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int
memberstore_server_put(struct memberstore *s,
		       const uint8_t key[static NTMC_KEY_LEN],
		       const char *ways);
/** Return: 0, -NTM_ENOTFOUND, -NTM_ESTORE */
NTM_MUST_CHECK int
memberstore_server_get(struct memberstore *s,
		       const uint8_t key[static NTMC_KEY_LEN],
		       char ways[static GROUP_WAYS_MAX + 1]);

#endif
