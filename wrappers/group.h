/* SPDX-License-Identifier: MIT */
/*
 * group - the commands of ntm-group
 *
 * Context: a short-lived program. Exit status: 0 done, 1 refused or failed, 2 usage.
 */
#ifndef NTM_WRAPPERS_GROUP_H
#define NTM_WRAPPERS_GROUP_H

#include <jansson.h>
#include <stdbool.h>

/** struct group_args - what stood on the command line after the command */
struct group_args {
	bool json, qr, yes, may_invite, may_remove, admin, raw;
	const char *context;
	char **words; /* what is not an option */
	int n_words;
};

typedef int group_fn(const struct group_args *a);
group_fn group_create, group_invite, group_accept, group_decline, group_list,
	group_members, group_remove, group_leave, group_rekey, group_verify,
	group_log, group_status, group_policy, group_export;

/**
 * group_call() - ask ntm-member; says a refusal
 * @request: taken. @answer: on 0; json_decref() it
 * Return: 0, or the exit status 1
 */
int group_call(const struct group_args *a, json_t *request, json_t **answer);
/** Return: true: --json was given, and it is printed */
bool group_json(const struct group_args *a, const json_t *answer);
/** say @text. Return: the exit status 1 */
int group_fail(const struct group_args *a, int err, const char *text);
/** {"cmd", "group"}; the group is @word, or the only one where it is NULL */
json_t *group_request(const char *cmd, const char *word);

#endif
