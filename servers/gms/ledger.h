/* SPDX-License-Identifier: MIT */
/*
 * ledger - the groups of a GMS: logs, RN2, parts, what is known of each member
 *
 * Owner:    gms.c. Context: loop thread; calls wait for the disk.
 * Durable:  what ledger_create(), ledger_append(), ledger_renew() and ledger_leave()
 *           did when they return 0. Prekeys and acknowledgements wait for
 *           ledger_flush(), so that a thousand of them share one commit.
 */
#ifndef NTM_SERVERS_GMS_LEDGER_H
#define NTM_SERVERS_GMS_LEDGER_H

#include "libntmcrypto/groupkey.h"

struct ledger;
struct ledger_group;

/** struct ledger_person - what the GMS knows of a member beside the log
 * @prekey: GROUP_PREKEY_LEN bytes, when @serial is not 0
 * @acked, @confirmation: the last epoch that it has confirmed
 * @wants: a welcome, until it has the epoch; @asked: when that was passed on last. Not
 *         kept over a restart: it asks again
 */
struct ledger_person {
	uint32_t index;
	bool dirty, leaving, wants;
	uint64_t serial, acked;
	int64_t seen, asked;
	uint8_t prekey[GROUP_PREKEY_LEN], confirmation[GROUP_CONFIRM_LEN];
	struct group_leave leave;
};

/** struct ledger_part - of an entry, for one member; borrowed */
struct ledger_part {
	uint32_t index;
	const uint8_t *part; /* GROUP_PART_LEN */
};

/** struct ledger_written - the next entry, and what comes beside it; borrowed
 * @sealer:  NTMC_KEY_LEN bytes, where the entry commits to a share; else NULL
 * @parts:   by index
 * @prekeys: of those whom an add entry names, in its order; zeros: none is known. No list
 *           where @n_prekeys is 0
 */
struct ledger_written {
	const uint8_t *entry;
	size_t len;
	const uint8_t *sealer;
	const struct ledger_part *parts;
	size_t n_parts;
	const uint8_t (*prekeys)[GROUP_PREKEY_LEN];
	size_t n_prekeys;
};

/**
 * ledger_open() - the store at @path, made when it is missing
 * @id:  the GMS's identity, which signs seals and renewals; borrowed
 * @env: borrowed; NULL: the system's
 * Return: 0, -NTM_ESTORE, -NTM_EVERSION, -NTM_EDECODE (not what was written)
 */
NTM_MUST_CHECK int ledger_open(const char *path, const struct ntmc_identity *id,
			       const struct ntmc_env *env, struct ledger **out);
void ledger_close(struct ledger *l); /* flushes nothing; NULL is fine */

/** a consistent copy. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int ledger_backup(struct ledger *l, const char *path);

/** the RN2s of epochs that are over are nowhere in its files any more */
void ledger_tidy(struct ledger *l);

struct ledger_group *ledger_find(struct ledger *l,
				 const uint8_t id[static GROUP_ID_LEN]);
void ledger_each(struct ledger *l,
		 void (*fn)(void *arg, struct ledger_group *lg), void *arg);
size_t ledger_count(const struct ledger *l);
const struct group *ledger_state(const struct ledger_group *lg);
const uint8_t *ledger_seal(const struct ledger_group *lg);
const struct ntmc_key *ledger_rn2(const struct ledger_group *lg);
/** when the present RN2 was made; 0: it is nobody's: the epoch was given back to us, and
 *  once had another one. It is renewed before anybody is told of it */
int64_t ledger_renewed(const struct ledger_group *lg);
/** for whoever pushes: anything of the owner's */
void ledger_set_arg(struct ledger_group *lg, void *arg);
void *ledger_arg(const struct ledger_group *lg);
/** by position, as group_at() */
const struct ledger_person *ledger_person_at(const struct ledger_group *lg,
					     size_t i);
const struct ledger_person *ledger_person(const struct ledger_group *lg,
					  uint32_t index);

/** groups that who has this identity founded and is still in */
size_t ledger_founded(const struct ledger *l,
		      const uint8_t ed_pub[static NTMC_KEY_LEN]);
/**
 * ledger_create() - a create entry, of this GMS
 * @ed_pub, @fqdn: who founds it
 * Return: 0, -NTM_EEXISTS (the GroupID), -NTM_EPERM (another GMS's, or another founder),
 *         -NTM_ESTORE, or as group_apply() says
 */
NTM_MUST_CHECK int ledger_create(struct ledger *l,
				 const uint8_t ed_pub[static NTMC_KEY_LEN],
				 const char *fqdn, const uint8_t *entry,
				 size_t len, struct ledger_group **out);
/**
 * ledger_append() - the next entry, with parts for all who stay and have a prekey
 * Who is added with a prekey gets a part of each entry from then on, whether it has been
 * here or not.
 * @repair: a member gives back what a store that was restored lacks: without parts
 * @why:    may be NULL
 *
 * Return: 0; nothing changed: -NTM_ESTORE; -NTM_EEXPIRED (it has ended); -NTM_EINVAL (a
 *         part is missing, or too many; prekeys, but not one for each who is added);
 *         -NTM_EAUTH (a prekey that is not the member's);
 *         as group_apply() says: -NTM_EEXISTS: it is the last one already
 */
NTM_MUST_CHECK int ledger_append(struct ledger *l, struct ledger_group *lg,
				 const struct ledger_written *w, bool repair,
				 enum group_why *why);
/** a renew entry of the GMS's own. Return: as ledger_append() */
NTM_MUST_CHECK int ledger_renew(struct ledger *l, struct ledger_group *lg);

/** the newest one counts. Return: 0, -NTM_ENONAME, -NTM_EAUTH, -NTM_EEXISTS (not newer) */
NTM_MUST_CHECK int ledger_prekey(struct ledger *l, struct ledger_group *lg,
				 uint32_t index, const uint8_t *prekey,
				 size_t len);
/** @confirmation: may be NULL. Parts up to @epoch are not needed any more */
void ledger_ack(struct ledger *l, struct ledger_group *lg, uint32_t index,
		uint64_t epoch, const uint8_t *confirmation);
/** Return: 0, -NTM_ENONAME, -NTM_EAUTH, -NTM_ESTORE */
NTM_MUST_CHECK int ledger_leave(struct ledger *l, struct ledger_group *lg,
				const struct group_leave *leave);
/** it asks for a welcome, whatever it has acknowledged before it was restored.
 *  Return: 0, -NTM_ERATE (one was asked for less than @pause_s ago) */
NTM_MUST_CHECK int ledger_want(struct ledger *l, struct ledger_group *lg,
			       uint32_t index, unsigned int pause_s);
/** is there anybody who wants one? May be wrong if it says yes */
bool ledger_has_wants(const struct ledger_group *lg);
/** that was passed on now */
void ledger_want_passed(struct ledger *l, struct ledger_group *lg,
			uint32_t index);

/** have all members left? Then nobody can write the entry that says so */
bool ledger_is_left(const struct ledger_group *lg);
/** when it ended; 0: it has not */
int64_t ledger_ended(const struct ledger_group *lg);
/** no epoch follows; RN2 and parts are wiped, the log stays. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int ledger_end(struct ledger *l, struct ledger_group *lg);
/** all of it goes, and @lg with it. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int ledger_wipe(struct ledger *l, struct ledger_group *lg);

/** what waits, in one commit. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int ledger_flush(struct ledger *l);

/** struct ledger_logged - borrowed for the call; @sealer, @part: or NULL */
struct ledger_logged {
	uint64_t epoch;
	const uint8_t *entry, *sealer, *part;
	size_t len;
};
/**
 * ledger_read() - entries after @epoch, with @index's parts
 * @fn: false: no more
 * Return: 0, -NTM_ESTORE
 */
NTM_MUST_CHECK int
ledger_read(struct ledger *l, const struct ledger_group *lg, uint32_t index,
	    uint64_t epoch,
	    bool (*fn)(void *arg, const struct ledger_logged *e), void *arg);
/** th of an epoch that is over, from the log. Return: 0, -NTM_ENOTFOUND, -NTM_ESTORE */
NTM_MUST_CHECK int ledger_hash(struct ledger *l, const struct ledger_group *lg,
			       uint64_t epoch,
			       uint8_t hash[static NTMC_HASH_LEN]);

/** struct ledger_shared - of what Kngms is made; secret. @until: seconds since 1970 */
struct ledger_shared {
	uint64_t id;
	struct ntmc_key key;
	int64_t until;
};
/** durable; what is over goes. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int ledger_shared_put(struct ledger *l,
				     const struct ledger_shared *k);
/** the ones that are there, the oldest first. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int ledger_shared(struct ledger *l, struct ledger_shared *out,
				 size_t max, size_t *n);

/* --- ledger_plans.c ------------------------------------------------------------------ */

#define LEDGER_PLAN_MAX 20480

/** struct ledger_plan - a group that an administrator has defined
 * @founder: a device or an account; when it is @over (since then; 0: it waits), the
 *           device that has founded it, or @declined
 * @body:    a GroupPlan; borrowed
 */
struct ledger_plan {
	uint8_t id[GROUP_ID_LEN];
	char founder[NTMC_FQDN_MAX + 1];
	int64_t made, over;
	bool declined;
	const uint8_t *body;
	size_t len;
};
/* each is durable when it returns. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int ledger_plan_put(struct ledger *l,
				   const struct ledger_plan *p);
/** founder, over and declined are as @p says */
NTM_MUST_CHECK int ledger_plan_over(struct ledger *l,
				    const struct ledger_plan *p);
NTM_MUST_CHECK int ledger_plan_drop(struct ledger *l,
				    const uint8_t id[static GROUP_ID_LEN]);
/** the oldest first. Return: 0, -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int
ledger_plans(struct ledger *l,
	     void (*fn)(void *arg, const struct ledger_plan *p), void *arg);

#endif
