/* SPDX-License-Identifier: MIT */
/*
 * groups_impl - the groups' own data, shared by their files
 *
 * Owner:    groups.c makes and frees it. Context: loop thread.
 * Files:    groups.c has what ntm-member says, groupname.c names and addresses,
 *           groupmember.c members who are peers. groupplace.h is used by groups.c alone.
 */
#ifndef NTM_BROKER_GROUPS_IMPL_H
#define NTM_BROKER_GROUPS_IMPL_H

#include "broker/groups.h"

struct groupplace;

/**
 * struct groups_one - a group
 * @tag:   of its epoch
 * @g:     its members at that epoch; NULL only inside groups_epoch()
 * @index: ours
 * @vip6:  zeros as long as its domain is not known
 * @vip4:  zeros also where another group has it
 * @until_ns: when it is frozen, unless ntm-member says more
 * @said:  since ntm-member began to say all
 * @env:   the group's randomness and time; @now: what that was, at @now_ns of the loop
 */
struct groups_one {
	struct groups_one *next;
	struct groups *gs;
	struct dp_group *dp;
	struct groupplace *place;
	uint64_t tag;
	struct group *g;
	char name[GROUP_NAME_MAX + 1], domain[FQDN_MAX + 1];
	uint8_t id[GROUP_ID_LEN], vip6[16], vip4[4];
	uint32_t index;
	uint64_t until_ns;
	bool said;
	struct ntmc_env env;
	int64_t now;
	uint64_t now_ns;
};

/** struct groups - @connecting: members looked up by name, under way; @reverse: what
 *  groups_reverse() answered; @unknown: armed until groups_known(); @all: ntm-member has
 *  said all, so what is here is what there is; @keyless: of groups that this device is in
 *  and has no key of now, as ntm-member says */
struct groups {
	struct worker *w;
	struct groups_one *list;
	size_t n;
	void (*heard)(void *arg, const struct groupword *word);
	void (*again)(void *arg);
	void *ear;
	unsigned int connecting;
	struct loop_timer *unknown;
	bool all;
	uint8_t keyless[GROUPWORD_GROUPS_MAX][GROUP_ID_LEN];
	size_t n_keyless;
	char reverse[FQDN_MAX + 1];
};

/** is it one of @gs->keyless? */
bool groups_keyless(const struct groups *gs, const uint8_t *id);

/* --- groupname.c -------------------------------------------------------------- */

/** the group's addresses, as soon as its domain is known. @said: the domain's prefix as
 *  ntm-member says; zeros: it does not know it */
void groups_address(struct groups_one *o,
		    const uint8_t said[static GROUPWORD_PREFIX_LEN]);
/** the one group of that whole name, with that @id (NULL: any). NULL: none, or two: a person
 *  may have accepted an invite to one that bears the other's name */
const struct groups_one *groups_by_name(const struct groups *gs,
					const char *name, const uint8_t *id);

/* --- groupmember.c ------------------------------------------------------------ */

/** what is known of a member already, by a tunnel or by its pin, for the data path */
void groups_look(struct groups_one *o, const struct group_member *m);

#endif
