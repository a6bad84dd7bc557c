/* SPDX-License-Identifier: MIT */
/*
 * prekeys - ours: made, given to the box, kept while an item sealed to one may come
 *
 * Owner:    struct post. Context: loop thread.
 */
#ifndef NTM_BROKER_POST_PREKEYS_H
#define NTM_BROKER_POST_PREKEYS_H

#include "broker/post/post.h"

#define PREKEY_RENEW_S (7 * 86400)

NTM_MUST_CHECK int prekeys_open(struct post *p, struct prekeys **out);
/** what was written of them is not in the store */
void prekeys_restart(struct prekeys *k);
void prekeys_close(struct prekeys *k);
/** make one where it is time, and give it to the box; again until it has it */
void prekeys_work(struct prekeys *k);
/** a login or renewal: the box may have lost ours, and gets it again */
void prekeys_session(struct prekeys *k);
/** is a request under way, or due soon? */
bool prekeys_busy(const struct prekeys *k);
/** seconds until there is something to do; 0: nothing known */
unsigned int prekeys_again_s(struct prekeys *k);
/** the keys of prekey @id. Return: 0, -NTM_ENOTFOUND, -NTM_ESTORE */
NTM_MUST_CHECK int prekeys_find(struct prekeys *k,
				const uint8_t id[static PREKEY_ID_LEN],
				struct ntmc_key *priv,
				uint8_t pub[static NTMC_KEY_LEN]);

#endif
