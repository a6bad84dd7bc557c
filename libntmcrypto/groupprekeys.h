/* SPDX-License-Identifier: MIT */
/*
 * groupprekeys - whose prekeys an author of entries has found to be genuine
 * (docs/groups.md, Group prekey)
 *
 * Owner:    whoever made it; group_prekeys_free() is fine with NULL. One for a group.
 * Context:  member; any thread, one at a time. There are no secrets here.
 */
#ifndef NTM_LIBNTMCRYPTO_GROUPPREKEYS_H
#define NTM_LIBNTMCRYPTO_GROUPPREKEYS_H

#include "libntmcrypto/groupkey.h"

struct group_prekeys;

NTM_MUST_CHECK int group_prekeys_new(struct group_prekeys **out);
void group_prekeys_free(struct group_prekeys *k);

/**
 * group_prekeys_take() - may a part be sealed to @prekey?
 * @g:      says who @index is
 * @prekey: GROUP_PREKEY_LEN bytes, as the GMS gives them
 * @out:    decoded; set on success only
 *
 * The signature is checked unless just these bytes were found genuine before.
 * Return: 0; -NTM_ENONAME (no member), -NTM_EDECODE, -NTM_EAUTH (it is not the
 *         member's), -NTM_ESTATE (it has made a later one: whoever gives this out keeps
 *         that one back), -NTM_ENOMEM
 */
NTM_MUST_CHECK int group_prekeys_take(struct group_prekeys *k,
				      const struct group *g, uint32_t index,
				      const uint8_t *prekey, size_t len,
				      struct group_prekey *out);
/** how many signatures were checked so far */
uint64_t group_prekeys_checked(const struct group_prekeys *k);

#endif
