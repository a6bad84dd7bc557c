/* SPDX-License-Identifier: MIT */
/*
 * command - the subcommands of ntm: one table drives dispatch, --help and options
 *
 * Context: a short-lived program. Exit status: 0 done, 1 refused or failed, 2 usage.
 */
#ifndef NTM_WRAPPERS_COMMAND_H
#define NTM_WRAPPERS_COMMAND_H

#include <jansson.h>
#include <stdbool.h>

/** struct command_args - what stood on the command line after the subcommand */
struct command_args {
	bool json;
	bool watch;
	unsigned int count;	  /* ping -c; 0: not given */
	unsigned int interval_ms; /* ping -i, --watch=SECONDS */
	unsigned int size;	  /* ping -s */
	bool yes, remove, password_stdin, trust_changed;
	const char *device, *revoke, *exit;
	bool background, overwrite, rename, follow; /* items */
	const char *message, *to, *on_receive;
	char **words; /* what is not an option */
	int n_words;
};

typedef int command_fn(const struct command_args *a);

/* Options a command takes, as bits; others are refused by name. */
#define OPT_WATCH    (1u << 0)
#define OPT_COUNT    (1u << 1)
#define OPT_YES	     (1u << 2)
#define OPT_REMOVE   (1u << 3)
#define OPT_PASSWORD (1u << 4)
#define OPT_DEVICE   (1u << 5)
#define OPT_REVOKE   (1u << 6)
#define OPT_CHANGED  (1u << 7)
#define OPT_EXIT     (1u << 8)
#define OPT_SEND     (1u << 9)
#define OPT_RECEIVE  (1u << 10)

/** struct command - @name WORDS: @min..@max words */
struct command {
	const char *name, *words, *help;
	unsigned int options;
	int min, max;
	command_fn *run;
};

command_fn cmd_up, cmd_down, cmd_env;
command_fn cmd_login, cmd_logout, cmd_passwd, cmd_devices, cmd_exit;
command_fn cmd_status, cmd_peers, cmd_netcheck;
command_fn cmd_send, cmd_outbox, cmd_cancel, cmd_inbox, cmd_receive;
command_fn cmd_ping, cmd_verify, cmd_allow, cmd_forget, cmd_push;

/**
 * command_call() - ask the broker, print its refusal
 * @request: taken. @answer: on 0; json_decref() it
 *
 * With --json a refusal goes to standard output as JSON.
 * Return: 0, or the exit status 1
 */
int command_call(const struct command_args *a, json_t *request,
		 json_t **answer);

/** say @text: "ntm: ...", or the JSON of a refusal. Return: the exit status 1 */
int command_fail(const struct command_args *a, int err, const char *text);

/** the same of what client_call() gave; takes @answer, which may be NULL */
int command_refused(const struct command_args *a, int err, json_t *answer);

/** print @answer as JSON when --json was given; Return: true when it was */
bool command_json(const struct command_args *a, const json_t *answer);

/** @draw over and over with --watch, else once; Return: exit status */
int command_watch(const struct command_args *a,
		  int (*draw)(const struct command_args *a));

#endif
