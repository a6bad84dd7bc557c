/* SPDX-License-Identifier: MIT */
/*
 * grouprules - a group's rules as people write them: KEY=VALUE, and as JSON
 *
 * Context: any. The keys are those of `ntm-group policy`, ntm-group(1).
 */
#ifndef NTM_COMMON_GROUPRULES_H
#define NTM_COMMON_GROUPRULES_H

#include <jansson.h>

#include "common/err.h"

#define GROUPRULES_WHY_LEN    160
#define GROUPRULES_AGE_MORE_S 60 /* that max-age is above renew, at least */

struct group_policy; /* libntmcrypto/group.h */

/** KEY=VALUE into object @rules. Return: 0, -NTM_EINVAL (it is not of that form) */
NTM_MUST_CHECK int grouprules_word(json_t *rules, const char *word);
/**
 * grouprules_take() - what @rules say, over what is there
 * @rules: may be NULL; @p: untouched on an error
 * @why: on an error a sentence for a person
 * Return: 0, -NTM_EINVAL
 */
NTM_MUST_CHECK int grouprules_take(const json_t *rules, struct group_policy *p,
				   char why[static GROUPRULES_WHY_LEN]);
/** new reference, or NULL: no memory */
json_t *grouprules_json(const struct group_policy *p);

#endif
