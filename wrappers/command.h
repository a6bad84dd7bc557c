/* SPDX-License-Identifier: MIT */
/*
 * command - the subcommands of ntm and of ntm-group: tables drive dispatch, --help, options
 *
 * Each program has one struct command_set; what its options mean is in its own file.
 * Context: a short-lived program. Exit status: 0 done, 1 refused or failed, 2 usage.
 */
#ifndef NTM_WRAPPERS_COMMAND_H
#define NTM_WRAPPERS_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/** struct command_args - what stood on the command line after the subcommand */
struct command_args {
	const char *program;
	bool json, yes;
	char **words; /* what is not an option */
	int n_words;
	/* ntm */
	bool watch;
	unsigned int count;	  /* ping -c; 0: not given */
	unsigned int interval_ms; /* ping -i, --watch=SECONDS */
	unsigned int size;	  /* ping -s */
	bool remove, password_stdin, trust_changed;
	const char *device, *revoke, *exit;
	bool background, overwrite, rename, follow; /* items */
	const char *message, *to, *on_receive, *application;
	/* ntm-group */
	bool qr, may_invite, may_remove, admin, raw, here;
	bool once, listen, quiet;
	const char *context, *last;
};

typedef int command_fn(const struct command_args *a);

/** struct command - @name WORDS: @min..@max words; @options: bits of those it takes,
 *  others are refused by name */
struct command {
	const char *name, *words, *help;
	unsigned int options;
	int min, max;
	command_fn *run;
};

/** struct command_option - --@name, and -@letter where @brief; @argument as getopt's;
 *  @bit: of the commands that take it; @help: its lines, for them */
struct command_option {
	const char *name;
	int letter;
	bool brief;
	int argument;
	unsigned int bit;
	const char *help;
};

/** struct command_set - a program. @footer: lines below the list of its commands;
 *  @take: one option, with its value; beside it every command has --json and --help */
struct command_set {
	const char *program, *footer;
	const struct command *commands;
	size_t n_commands;
	const struct command_option *options;
	size_t n_options;
	void (*take)(int letter, const char *value, struct command_args *a);
};
#define COMMAND_OPTIONS_MAX 32

/**
 * command_main() - parse, and run the subcommand, or say what is wrong, or help
 * What jansson frees is wiped: passwords and keys pass through it.
 * Return: the exit status
 */
int command_main(const struct command_set *set, int argc, char **argv);

/* --- what a command says ------------------------------------------------------------ */

/** say @text: "PROGRAM: ...", or the JSON of a refusal. Return: the exit status 1 */
int command_fail(const struct command_args *a, int err, const char *text);

/** the same of what client_call() gave; takes @answer, which may be NULL */
int command_refused(const struct command_args *a, int err, json_t *answer);

/** print @answer as JSON when --json was given; Return: true when it was */
bool command_json(const struct command_args *a, const json_t *answer);

#endif
