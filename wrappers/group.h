/* SPDX-License-Identifier: MIT */
/*
 * group - the commands of ntm-group
 *
 * Context: a short-lived program (command.h).
 */
#ifndef NTM_WRAPPERS_GROUP_H
#define NTM_WRAPPERS_GROUP_H

#include "wrappers/command.h"

#define MEMBER_SOCKET "member.sock"

command_fn group_create, group_invite, group_accept, group_decline, group_list,
	group_members, group_rights, group_remove, group_leave, group_rekey,
	group_verify, group_log, group_status, group_policy, group_export,
	group_send, group_history, group_chat;

/**
 * group_call() - ask ntm-member; says a refusal
 * @request: taken. @answer: on 0; json_decref() it
 * Return: 0, or the exit status 1
 */
int group_call(const struct command_args *a, json_t *request, json_t **answer);
/** {"cmd", "group"}; the group is @word, or the only one where it is NULL */
json_t *group_request(const char *cmd, const char *word);

/* --- messages (group_words.c) ------------------------------------------------------------ */

#define WORDS_TEXT_MAX	  16384 /* bytes of one, as ntm-member takes it */
#define WORDS_WRITTEN_MAX 49152 /* and as JSON has it */

/** @json: as it came, a line; else for a person */
void words_print(const json_t *message, bool json);
/**
 * words_get() - messages of @group as ntm-member has them, in the order of the group
 * @how: fields of the request besides ("after", "last", "state"); taken
 * Return: 0 and an array; or the exit status 1
 */
int words_get(const struct command_args *a, const char *group, json_t *how,
	      json_t **out);
/** the person has seen all up to @n */
void words_seen(const struct command_args *a, const char *group, json_int_t n);
/** what is read of @fd, or of a file, is said. *@n: its number. Return: the exit status */
int words_say(const struct command_args *a, const char *group, const char *text,
	      const char *file, json_int_t *n);
/** is message @n still to be given to ntm-post? What failed is said. */
bool words_wait(const struct command_args *a, const char *group, json_int_t n,
		bool *failed);

/* --- a line that a person edits while others speak (group_line.c) ------------------------ */

/** @fn: each line, to be free()d by it; NULL at the end of input */
void line_begin(const char *prompt, void (*fn)(char *line));
/** standard input can be read */
void line_read(void);
/** what is printed between these two stands above the line */
void line_hide(void);
void line_show(void);
void line_end(void);

#endif
