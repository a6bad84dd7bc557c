/* SPDX-License-Identifier: MIT */
/* grouprules - a group's rules as people write them: KEY=VALUE, and as JSON */
#include "common/grouprules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/group.h"

#define KEY_MAX 32

static const char *const auths[] = {"mac", "sign", "batch"};

int grouprules_word(json_t *rules, const char *word)
{
	const char *eq = strchr(word, '=');
	char key[KEY_MAX], *end;
	long long n;

	if (!eq || (size_t)(eq - word) >= sizeof(key))
		return -NTM_EINVAL;
	snprintf(key, sizeof(key), "%.*s", (int)(eq - word), word);
	errno = 0;
	n = strtoll(eq + 1, &end, 10);
	if (eq[1] && !*end && !errno)
		return json_object_set_new(rules, key, json_integer(n))
			       ? -NTM_EINVAL
			       : 0;
	if (!strcmp(eq + 1, "yes") || !strcmp(eq + 1, "no"))
		return json_object_set_new(rules, key,
					   json_integer(eq[1] == 'y'))
			       ? -NTM_EINVAL
			       : 0;
	/* not UTF-8: no JSON, and no value of a rule */
	return json_object_set_new(rules, key, json_string(eq + 1))
		       ? -NTM_EINVAL
		       : 0;
}

static int rule_set(struct group_policy *p, const char *key,
		    const json_t *value)
{
	json_int_t n = json_integer_value(value);
	const char *text = json_string_value(value);

	if (!strcmp(key, "auth")) {
		for (int i = 0; text && i < 3; i++)
			if (!strcmp(text, auths[i])) {
				p->auth = (enum group_auth)i;
				return 0;
			}
		return -NTM_EINVAL;
	}
	if (!json_is_integer(value) || n < 0 || n > UINT32_MAX)
		return -NTM_EINVAL;
	if (!strcmp(key, "delegate"))
		p->delegate = n;
	else if (!strcmp(key, "keep"))
		p->keep_s = n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
	else if (!strcmp(key, "renew"))
		p->renew_s = (uint32_t)n;
	else if (!strcmp(key, "refresh"))
		p->refresh_s = (uint32_t)n;
	else if (!strcmp(key, "evict"))
		p->evict_s = (uint32_t)n;
	else if (!strcmp(key, "max-age"))
		p->max_age_s = (uint32_t)n;
	else
		return -NTM_EINVAL;
	return 0;
}

int grouprules_take(const json_t *rules, struct group_policy *p,
		    char why[static GROUPRULES_WHY_LEN])
{
	struct group_policy set = *p;
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)rules, key, value)
	{
		if (!rule_set(&set, key, value))
			continue;
		snprintf(why, GROUPRULES_WHY_LEN,
			 "%.40s is no rule, or has no such value; see "
			 "ntm-group(1)",
			 key);
		return -NTM_EINVAL;
	}
	/* the log may have less: what a member does then is GROUP_EVICT_MIN_S; a seal that
	 * ends when the next one is made leaves all without a key for a moment */
	if (!group_policy_ok(&set) ||
	    set.max_age_s < set.renew_s + GROUPRULES_AGE_MORE_S ||
	    (json_object_get(rules, "evict") &&
	     set.evict_s < GROUP_EVICT_MIN_S)) {
		snprintf(why, GROUPRULES_WHY_LEN,
			 "keep is 0 to 30 s, renew 60 s to 7 days, evict 900 s "
			 "to a year, the others 60 s to a year, refresh not "
			 "below renew, max-age 60 s above it or more");
		return -NTM_EINVAL;
	}
	*p = set;
	return 0;
}

json_t *grouprules_json(const struct group_policy *p)
{
	return json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "auth", auths[p->auth],
		"delegate", (json_int_t)p->delegate, "keep",
		(json_int_t)p->keep_s, "renew", (json_int_t)p->renew_s,
		"refresh", (json_int_t)p->refresh_s, "evict",
		(json_int_t)p->evict_s, "max-age", (json_int_t)p->max_age_s);
}
