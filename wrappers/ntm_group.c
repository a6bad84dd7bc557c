/* SPDX-License-Identifier: MIT */
/* ntm-group - groups whose key no server knows: the person's side of ntm-member */
#include <getopt.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/plain.h"
#include "libntmcrypto/ntmcrypto.h"
#include "wrappers/client.h"
#include "wrappers/group.h"

#define EXIT_USAGE    2
#define MEMBER_SOCKET "member.sock"

#define OPT_RIGHTS (1u << 0)
#define OPT_QR	   (1u << 1)
#define OPT_EXPORT (1u << 2)
#define OPT_YES	   (1u << 3)
#define OPT_CHAT   (1u << 4)
#define OPT_LAST   (1u << 5)

static const struct command {
	const char *name, *words, *help;
	unsigned int options;
	int min, max;
	group_fn *run;
} commands[] = {
	{"create", "NAME [KEY=VALUE ...]", "found a group", 0, 1, 8,
	 group_create},
	{"invite", "GROUP NAME ...",
	 "invite devices, or all devices of an account", OPT_RIGHTS, 2, 65,
	 group_invite},
	{"accept", "GROUP", "accept an invitation", 0, 1, 1, group_accept},
	{"decline", "GROUP", "do not accept it", 0, 1, 1, group_decline},
	{"list", "", "groups of this device, and invitations", 0, 0, 0,
	 group_list},
	{"members", "[GROUP]", "who is in it, with what rights", 0, 0, 1,
	 group_members},
	{"remove", "GROUP NAME ...", "take members away", 0, 2, 65,
	 group_remove},
	{"leave", "GROUP", "leave it; its keys are wiped at once", OPT_YES, 1,
	 1, group_leave},
	{"rekey", "[GROUP]", "make the members' secret anew", 0, 0, 1,
	 group_rekey},
	{"verify", "[GROUP]", "a code that two members compare aloud", OPT_QR,
	 0, 1, group_verify},
	{"log", "[GROUP]", "what has happened, as members have signed it", 0, 0,
	 1, group_log},
	{"status", "[GROUP]", "epoch, who has its key, what was noticed", 0, 0,
	 1, group_status},
	{"policy", "[GROUP [KEY=VALUE ...]]", "show the rules, or change them",
	 0, 0, 8, group_policy},
	{"send", "GROUP [FILE ...|-]",
	 "a message, of standard input, or files to all members", 0, 1, 65,
	 group_send},
	{"chat", "[GROUP]", "talk; lines in, lines out", OPT_CHAT, 0, 1,
	 group_chat},
	{"history", "[GROUP]", "what was said, and who has read it", OPT_LAST,
	 0, 1, group_history},
	{"export", "GROUP LABEL BYTES",
	 "a key of this epoch for another program", OPT_EXPORT, 3, 3,
	 group_export},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help_all(FILE *f)
{
	fputs("usage: ntm-group COMMAND [options] [words]\n\n", f);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(f, "  %-9s %s\n", commands[i].name, commands[i].help);
	fputs("\nWhere a device is in one group only, GROUP in brackets can be "
	      "left out.\n"
	      "Every command takes --json and --help.\n",
	      f);
}

static void help_command(FILE *f, const struct command *c)
{
	fprintf(f, "usage: ntm-group %s [options]%s%s\n%s.\n\n", c->name,
		*c->words ? " " : "", c->words, c->help);
	if (c->options & OPT_RIGHTS)
		fputs("  --may-invite       they may invite others\n"
		      "  --may-remove       they may remove others\n"
		      "  --admin            they may do all that you may\n",
		      f);
	if (c->options & OPT_QR)
		fputs("  --qr               show it as a QR code, too\n", f);
	if (c->options & OPT_EXPORT)
		fputs("  --raw              the bytes themselves, not hex\n"
		      "  --context=TEXT     another key for each context\n",
		      f);
	if (c->options & OPT_YES)
		fputs("  -y, --yes          do not ask\n", f);
	if (c->options & OPT_CHAT)
		fputs("  --once             show what is new, and end\n"
		      "  --listen           read no input: show what comes\n"
		      "  --quiet            do not tell others that you have "
		      "read\n",
		      f);
	if (c->options & OPT_LAST)
		fputs("  --last=NUMBER      only so many\n", f);
	fputs("  --json             print JSON for scripts\n"
	      "  -h, --help         this text\n",
	      f);
}

static void __attribute__((noreturn, format(printf, 2, 3)))
usage_fail(const struct command *c, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "ntm-group: %s ", c->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see `ntm-group %s --help`\n", c->name);
	exit(EXIT_USAGE);
}

/* --- for the commands ------------------------------------------------------------------ */

bool group_json(const struct group_args *a, const json_t *answer)
{
	if (!a->json)
		return false;
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
	return true;
}

int group_fail(const struct group_args *a, int err, const char *text)
{
	json_t *j = json_pack("{s:b, s:s, s:s}", "ok", 0, "error",
			      err_name(err), "text", text);

	if (!group_json(a, j))
		fprintf(stderr, "ntm-group: %s\n", text);
	json_decref(j);
	return 1;
}

/* nobody listens: is it that no broker runs, or that it is another one? */
static const char *no_member(void)
{
	return client_broker_runs()
		       ? "ntm-member is not there; install NTMobile again, "
			 "then `ntm down` and `ntm up`"
		       : err_text(-NTM_ENOBROKER);
}

int group_call(const struct group_args *a, json_t *request, json_t **answer)
{
	int err =
		client_call_to(MEMBER_SOCKET, request, CLIENT_LIMIT_S, answer);
	const char *text;

	json_decref(request);
	if (!a->json)
		plain_json(*answer, "");
	if (!err)
		return 0;
	text = err == -NTM_ENOBROKER ? no_member() : client_text(err, *answer);
	if (!*answer || !group_json(a, *answer))
		group_fail(a, err, text);
	json_decref(*answer);
	*answer = NULL;
	return 1;
}

json_t *group_request(const char *cmd, const char *word)
{
	return json_pack("{s:s, s:s}", "cmd", cmd, "group", word ? word : "");
}

/* --- the command line ------------------------------------------------------------------- */

static const struct option longs[] = {
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{"qr", no_argument, NULL, 'q'},
	{"yes", no_argument, NULL, 'y'},
	{"raw", no_argument, NULL, 'r'},
	{"context", required_argument, NULL, 'c'},
	{"may-invite", no_argument, NULL, 'i'},
	{"may-remove", no_argument, NULL, 'm'},
	{"admin", no_argument, NULL, 'a'},
	{"once", no_argument, NULL, 'o'},
	{"listen", no_argument, NULL, 'l'},
	{"quiet", no_argument, NULL, 'Q'},
	{"last", required_argument, NULL, 'n'},
	{NULL, 0, NULL, 0},
};

static unsigned int option_bit(int c)
{
	switch (c) {
	case 'q':
		return OPT_QR;
	case 'y':
		return OPT_YES;
	case 'r':
	case 'c':
		return OPT_EXPORT;
	case 'i':
	case 'm':
	case 'a':
		return OPT_RIGHTS;
	case 'o':
	case 'l':
	case 'Q':
		return OPT_CHAT;
	case 'n':
		return OPT_LAST;
	default:
		return 0;
	}
}

static void option_take(int c, struct group_args *a)
{
	a->json |= c == 'j';
	a->qr |= c == 'q';
	a->yes |= c == 'y';
	a->raw |= c == 'r';
	a->may_invite |= c == 'i';
	a->may_remove |= c == 'm';
	a->admin |= c == 'a';
	a->once |= c == 'o';
	a->listen |= c == 'l';
	a->quiet |= c == 'Q';
	if (c == 'c')
		a->context = optarg;
	if (c == 'n')
		a->last = optarg;
}

static void args_parse(const struct command *cmd, int argc, char **argv,
		       struct group_args *a)
{
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":hy", longs, NULL)) != -1) {
		if (c == 'h') {
			help_command(stdout, cmd);
			exit(0);
		}
		if (c == ':')
			usage_fail(cmd, "needs a value with %s",
				   argv[optind - 1]);
		if (c == '?' || (option_bit(c) & ~cmd->options))
			usage_fail(cmd, "has no option %s", argv[optind - 1]);
		option_take(c, a);
	}
	a->words = argv + optind;
	a->n_words = argc - optind;
	if (!cmd->max && a->n_words)
		usage_fail(cmd, "takes options only, not \"%s\"", *a->words);
	if (a->n_words < cmd->min || a->n_words > cmd->max)
		usage_fail(cmd, "takes %s", cmd->words);
}

/* A key passes through jansson's memory: wipe whatever it frees. */
static void free_wiped(void *p)
{
	if (p)
		ntmc_wipe(p, malloc_usable_size(p));
	free(p);
}

int main(int argc, char **argv)
{
	struct group_args a = {0};

	json_set_alloc_funcs(malloc, free_wiped);
	if (argc < 2) {
		help_all(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		help_all(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("ntm-group " NTM_VERSION);
		return 0;
	}
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(commands[i].name, argv[1]))
			continue;
		args_parse(&commands[i], argc - 1, argv + 1, &a);
		return commands[i].run(&a);
	}
	fprintf(stderr,
		"ntm-group: no command \"%s\"; see `ntm-group --help`\n",
		argv[1]);
	return EXIT_USAGE;
}
