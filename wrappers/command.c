/* SPDX-License-Identifier: MIT */
/* command - the subcommands of ntm and of ntm-group: tables drive dispatch, --help, options */
#include "wrappers/command.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/ntmcrypto.h"
#include "wrappers/client.h"

#define EXIT_USAGE 2

/* --- help ------------------------------------------------------------------------------ */

static void help_all(const struct command_set *set, FILE *f)
{
	fprintf(f, "usage: %s COMMAND [options] [words]\n\n", set->program);
	for (size_t i = 0; i < set->n_commands; i++)
		fprintf(f, "  %-9s %s\n", set->commands[i].name,
			set->commands[i].help);
	fprintf(f, "\n%sEvery command takes --json and --help.\n", set->footer);
}

static void help_command(const struct command_set *set, const struct command *c)
{
	printf("usage: %s %s [options]%s%s\n%s.\n\n", set->program, c->name,
	       *c->words ? " " : "", c->words, c->help);
	for (size_t i = 0; i < set->n_options; i++)
		if (c->options & set->options[i].bit)
			fputs(set->options[i].help, stdout);
	fputs("  --json             print JSON for scripts\n"
	      "  -h, --help         this text\n",
	      stdout);
}

/* What is wrong with how @c was used, in one sentence; exits. */
static void __attribute__((noreturn, format(printf, 3, 4)))
usage_fail(const struct command_set *set, const struct command *c,
	   const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: %s ", set->program, c->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see `%s %s --help`\n", set->program, c->name);
	exit(EXIT_USAGE);
}

/* --- what a command says ------------------------------------------------------------------ */

bool command_json(const struct command_args *a, const json_t *answer)
{
	if (!a->json)
		return false;
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	return true;
}

int command_fail(const struct command_args *a, int err, const char *text)
{
	json_t *j;

	if (!a->json) {
		fprintf(stderr, "%s: %s\n", a->program, text);
		return 1;
	}
	j = json_pack("{s:b, s:s, s:s}", "ok", 0, "error", err_name(err),
		      "text", text);
	command_json(a, j);
	json_decref(j);
	return 1;
}

int command_refused(const struct command_args *a, int err, json_t *answer)
{
	if (!answer || !command_json(a, answer))
		command_fail(a, err, client_text(err, answer));
	json_decref(answer);
	return 1;
}

/* --- the command line ----------------------------------------------------------------------- */

/* getopt's tables: ours, and behind them those of every command */
struct parser {
	struct option longs[COMMAND_OPTIONS_MAX + 3];
	char shorts[2 * COMMAND_OPTIONS_MAX + 3];
};

static void parser_make(const struct command_set *set, struct parser *p)
{
	char *s = p->shorts;
	size_t n = 0;

	*s++ = ':';
	*s++ = 'h';
	for (; n < set->n_options && n < COMMAND_OPTIONS_MAX; n++) {
		const struct command_option *o = &set->options[n];

		p->longs[n] =
			(struct option){o->name, o->argument, NULL, o->letter};
		if (!o->brief)
			continue;
		*s++ = (char)o->letter;
		if (o->argument == required_argument)
			*s++ = ':';
	}
	*s = '\0';
	p->longs[n++] = (struct option){"json", no_argument, NULL, 'j'};
	p->longs[n++] = (struct option){"help", no_argument, NULL, 'h'};
	p->longs[n] = (struct option){NULL, 0, NULL, 0};
}

/* The bit that an option letter needs; 0: every command takes it. */
static unsigned int option_bit(const struct command_set *set, int letter)
{
	for (size_t i = 0; i < set->n_options; i++)
		if (set->options[i].letter == letter)
			return set->options[i].bit;
	return 0;
}

static void option_take(const struct command_set *set, const struct command *c,
			int letter, struct command_args *a, char **argv)
{
	if (letter == 'h') {
		help_command(set, c);
		exit(0);
	}
	if (letter == ':')
		usage_fail(set, c, "needs a value with %s", argv[optind - 1]);
	if (letter == '?' || (option_bit(set, letter) & ~c->options))
		usage_fail(set, c, "has no option %s", argv[optind - 1]);
	if (letter == 'j')
		a->json = true;
	else
		set->take(letter, optarg, a);
}

static void args_parse(const struct command_set *set, const struct command *c,
		       int argc, char **argv, struct command_args *a)
{
	struct parser p;
	int letter;

	parser_make(set, &p);
	opterr = 0;
	while ((letter = getopt_long(argc, argv, p.shorts, p.longs, NULL)) !=
	       -1)
		option_take(set, c, letter, a, argv);
	a->words = argv + optind;
	a->n_words = argc - optind;
	if (!c->max && a->n_words)
		usage_fail(set, c, "takes options only, not \"%s\"", *a->words);
	if (a->n_words < c->min || a->n_words > c->max)
		usage_fail(set, c, "takes %s", c->words);
}

/* A password or a key passes through jansson's memory: wipe whatever it frees. */
static void free_wiped(void *p)
{
	if (p)
		ntmc_wipe(p, malloc_usable_size(p));
	free(p);
}

static bool is(const char *word, const char *one, const char *other)
{
	return !strcmp(word, one) || !strcmp(word, other);
}

int command_main(const struct command_set *set, int argc, char **argv)
{
	struct command_args a = {.program = set->program};

	json_set_alloc_funcs(malloc, free_wiped);
	/* ignored by who started us, it would cost us how our children ended */
	signal(SIGCHLD, SIG_DFL);
	if (argc < 2) {
		help_all(set, stderr);
		return EXIT_USAGE;
	}
	if (is(argv[1], "--help", "-h") || !strcmp(argv[1], "help")) {
		help_all(set, stdout);
		return 0;
	}
	if (is(argv[1], "--version", "-V")) {
		printf("%s " NTM_VERSION "\n", set->program);
		return 0;
	}
	for (size_t i = 0; i < set->n_commands; i++) {
		if (strcmp(set->commands[i].name, argv[1]))
			continue;
		args_parse(set, &set->commands[i], argc - 1, argv + 1, &a);
		return set->commands[i].run(&a);
	}
	fprintf(stderr, "%s: no command \"%s\"; see `%s --help`\n",
		set->program, argv[1], set->program);
	return EXIT_USAGE;
}
