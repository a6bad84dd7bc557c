/* SPDX-License-Identifier: MIT */
/*
 * groups - a group for tests: a GMS, people with identities, and what each has
 *
 * Owner: the test. Each person has a log and a secret of its own, as devices do; the
 * GMS is only a log, RN2 and a seal.
 */
#ifndef NTM_TESTS_UNIT_LIBNTMCRYPTO_GROUPS_H
#define NTM_TESTS_UNIT_LIBNTMCRYPTO_GROUPS_H

#include "fixture.h"
#include "libntmcrypto/groupinvite.h"
#include "libntmcrypto/grouppacket.h"

#define PEOPLE 8

/** struct person - @g NULL: never in the group; @out: removed, with what it had */
struct person {
	struct ntmc_identity id;
	char fqdn[64];
	struct group *g;
	struct group_secret secret;
	struct group_keys keys;
	struct ntmc_key prekey_priv;
	struct group_prekey prekey;
	uint32_t index;
	bool out;
};

struct circle {
	struct script script;
	struct ntmc_env env;
	struct ntmc_identity gms;
	struct group *log; /* the GMS's */
	struct ntmc_key rn2;
	uint8_t seal[GROUP_SEAL_LEN];
	struct person p[PEOPLE];
	uint8_t entry[GROUP_ENTRY_MAX], id[GROUP_ID_LEN];
	size_t len;
	struct ntmc_key share;
	struct group_sealer sealer;
};

void circle_open(struct circle *c);
void circle_close(struct circle *c);

/** make an entry by @author; fails the test unless it can be made */
void circle_make(struct circle *c, unsigned int author,
		 struct group_change *change);
/** what @why says of it */
enum group_why circle_try(struct circle *c, unsigned int author,
			  struct group_change *change);
/** all of them, and the GMS, take c->entry; a share goes through parts */
void circle_spread(struct circle *c);
/** the GMS's: RN2 for the epoch of its log */
void circle_renew_rn2(struct circle *c);

/** person 0 makes the group */
void circle_create(struct circle *c);
void circle_add(struct circle *c, unsigned int author, unsigned int who,
		uint8_t rights);
void circle_remove(struct circle *c, unsigned int author, unsigned int who);
void circle_refresh(struct circle *c, unsigned int author);
void circle_timer(struct circle *c);

/** a circle in which persons 0 to @n - 1 are */
void circle_band(struct circle *c, unsigned int n);
bool circle_same_keys(const struct group_keys *a, const struct group_keys *b);

#endif
