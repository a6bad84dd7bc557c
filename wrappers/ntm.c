/* SPDX-License-Identifier: MIT */
/* ntm - log in, look, verify, allow: the person's side of the broker */
#include "wrappers/command.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libntmcrypto/ntmcrypto.h"
#include "wrappers/client.h"
#include "common/out.h"

#define EXIT_USAGE 2

static const struct command commands[] = {
	{"up", "", "start the broker", 0, 0, 0, cmd_up},
	{"down", "", "end the broker and its tunnels", 0, 0, 0, cmd_down},
	{"login", "JOIN-STRING ACCOUNT", "make this device a node of a domain",
	 OPT_PASSWORD | OPT_DEVICE | OPT_CHANGED | OPT_YES | OPT_EXIT, 2, 2,
	 cmd_login},
	{"logout", "", "forget the session (keys and pins stay)", 0, 0, 0,
	 cmd_logout},
	{"passwd", "", "change the account's password", OPT_PASSWORD, 0, 0,
	 cmd_passwd},
	{"devices", "", "list the account's devices, or --revoke one",
	 OPT_REVOKE, 0, 0, cmd_devices},
	{"status", "", "this node: name, addresses, connection", OPT_WATCH, 0,
	 0, cmd_status},
	{"peers", "", "tunnels: path, round trip, traffic", OPT_WATCH, 0, 0,
	 cmd_peers},
	{"ping", "NAME", "round trip through the tunnel", OPT_COUNT, 1, 1,
	 cmd_ping},
	{"verify", "NAME", "show the code to compare with the peer's person",
	 OPT_YES, 1, 1, cmd_verify},
	{"allow", "[NAME|DOMAIN|@GROUP [PORT ...]]",
	 "let others connect in; without words, list", OPT_REMOVE, 0, 64,
	 cmd_allow},
	{"forget", "NAME|DOMAIN",
	 "drop a peer's pinned key and remembered address", 0, 1, 1,
	 cmd_forget},
	{"exit", "[on|off]", "the way to other hosts: use it, or not", 0, 0, 1,
	 cmd_exit},
	{"push", "[off|received|unifiedpush URL|fcm TOKEN|apns TOKEN]",
	 "a push service that tells this device, instead of keep-alives", 0, 0,
	 2, cmd_push},
	{"send", "[FILE ...] NAME ...",
	 "files, folders, or a text from standard input, to who may be away",
	 OPT_SEND, 1, 4096, cmd_send},
	{"outbox", "", "what was sent, and who has it", 0, 0, 0, cmd_outbox},
	{"cancel", "NUMBER", "withdraw what was sent and nobody has yet", 0, 1,
	 1, cmd_cancel},
	{"inbox", "", "what others have sent", 0, 0, 0, cmd_inbox},
	{"receive", "[NUMBER ...]", "take what is there, or the named items",
	 OPT_RECEIVE, 0, 1000, cmd_receive},
	{"netcheck", "", "what network this machine is in", 0, 0, 0,
	 cmd_netcheck},
	{"env", "", "print the LD_PRELOAD line for scripts", 0, 0, 0, cmd_env},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct {
	unsigned int bit;
	const char *text;
} option_help[] = {
	{OPT_WATCH, "  --watch[=SECONDS]  refresh until interrupted\n"},
	{OPT_COUNT,
	 "  -c, --count=N      echoes to send (default 4)\n"
	 "  -i, --interval=MS  milliseconds between them (default 1000)\n"
	 "  -s, --size=BYTES   of each echo (default 64)\n"},
	{OPT_YES, "  -y, --yes          answer the question with yes\n"},
	{OPT_REMOVE, "  -r, --remove       take the permission back\n"},
	{OPT_PASSWORD, "  --password-stdin   read passwords from standard "
		       "input, one a line\n"},
	{OPT_DEVICE,
	 "  --device=NAME      name of this device (default: host name)\n"},
	{OPT_REVOKE,
	 "  --revoke=FQDN      end that device's access for good\n"},
	{OPT_EXIT,
	 "  --exit=yes|no      use the domain's exit, without asking\n"},
	{OPT_SEND, "  --background       do not wait until it is sent\n"
		   "  --message=TEXT     shown before it is fetched; servers "
		   "can read it\n"},
	{OPT_RECEIVE,
	 "  --to=FOLDER        where it goes (default: the current one)\n"
	 "  --overwrite        replace files that exist\n"
	 "  --rename           keep them, and give new ones another name\n"
	 "  --follow           go on with what comes later\n"
	 "  --on-receive=CMD   run for each item, by sh: files are its "
	 "arguments, a\n"
	 "                     text its input, the sender NTM_FROM\n"},
	{OPT_CHANGED,
	 "  --trust-changed    accept that the domain's CA has changed\n"},
};

static void help_all(FILE *f)
{
	size_t i;

	fputs("usage: ntm COMMAND [options] [words]\n\n", f);
	for (i = 0; i < N_COMMANDS; i++)
		fprintf(f, "  %-9s %s\n", commands[i].name, commands[i].help);
	fputs("\nEvery command takes --json and --help.\n", f);
}

static void help_command(FILE *f, const struct command *c)
{
	size_t i;

	fprintf(f, "usage: ntm %s [options]%s%s\n%s.\n\n", c->name,
		*c->words ? " " : "", c->words, c->help);
	for (i = 0; i < sizeof(option_help) / sizeof(option_help[0]); i++)
		if (c->options & option_help[i].bit)
			fputs(option_help[i].text, f);
	fputs("  --json             print JSON for scripts\n"
	      "  -h, --help         this text\n",
	      f);
}

static const struct command *command_find(const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* What is wrong with how @cmd was used, in one sentence; exits. */
static void __attribute__((noreturn, format(printf, 2, 3)))
usage_fail(const struct command *cmd, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "ntm: %s ", cmd->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see `ntm %s --help`\n", cmd->name);
	exit(EXIT_USAGE);
}

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
		fprintf(stderr, "ntm: %s\n", text);
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

int command_call(const struct command_args *a, json_t *request, json_t **answer)
{
	int err = client_call(request, NULL, NULL, answer);

	json_decref(request);
	if (!err)
		return 0;
	command_refused(a, err, *answer);
	*answer = NULL;
	return 1;
}

int command_watch(const struct command_args *a,
		  int (*draw)(const struct command_args *a))
{
	int status;

	do {
		if (a->watch && !a->json)
			out_screen();
		status = draw(a);
		fflush(stdout);
	} while (a->watch && !ferror(stdout) &&
		 (poll(NULL, 0, (int)a->interval_ms) == 0 || errno == EINTR));
	return status;
}

/* Parse a positive number up to @max / @scale; exits with usage. */
static unsigned int number(const char *option, const char *text,
			   unsigned int scale, unsigned int max)
{
	char *end;
	double v = strtod(text, &end);

	if (*end || end == text || !(v * scale >= 1) || v * scale > max) {
		fprintf(stderr,
			"ntm: %s takes a number from %g to %u, not \"%s\"\n",
			option, 1.0 / scale, max / scale, text);
		exit(EXIT_USAGE);
	}
	return (unsigned int)(v * scale);
}

static void option_take_items(int c, const char *arg, struct command_args *a)
{
	switch (c) {
	case 'b':
		a->background = true;
		break;
	case 'm':
		a->message = arg;
		break;
	case 't':
		a->to = arg;
		break;
	case 'o':
		a->overwrite = true;
		break;
	case 'n':
		a->rename = true;
		break;
	case 'f':
		a->follow = true;
		break;
	case 'O':
		a->on_receive = arg;
		break;
	}
}

static void option_take(int c, const char *arg, struct command_args *a)
{
	switch (c) {
	case 'j':
		a->json = true;
		break;
	case 'w':
		a->watch = true;
		a->interval_ms =
			arg ? number("--watch", arg, 1000, 3600000) : 1000;
		break;
	case 'c':
		a->count = number("--count", arg, 1, 1000000);
		break;
	case 'i':
		a->interval_ms = number("--interval", arg, 1, 3600000);
		break;
	case 's':
		a->size = number("--size", arg, 1, 1200);
		break;
	case 'y':
		a->yes = true;
		break;
	case 'r':
		a->remove = true;
		break;
	case 'P':
		a->password_stdin = true;
		break;
	case 'd':
		a->device = arg;
		break;
	case 'R':
		a->revoke = arg;
		break;
	case 'T':
		a->trust_changed = true;
		break;
	case 'x':
		if (strcmp(arg, "yes") && strcmp(arg, "no")) {
			fputs("ntm: --exit takes yes or no\n", stderr);
			exit(EXIT_USAGE);
		}
		a->exit = arg;
		break;
	}
}

static const struct option longs[] = {
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{"watch", optional_argument, NULL, 'w'},
	{"count", required_argument, NULL, 'c'},
	{"interval", required_argument, NULL, 'i'},
	{"size", required_argument, NULL, 's'},
	{"yes", no_argument, NULL, 'y'},
	{"remove", no_argument, NULL, 'r'},
	{"password-stdin", no_argument, NULL, 'P'},
	{"device", required_argument, NULL, 'd'},
	{"revoke", required_argument, NULL, 'R'},
	{"trust-changed", no_argument, NULL, 'T'},
	{"exit", required_argument, NULL, 'x'},
	{"background", no_argument, NULL, 'b'},
	{"message", required_argument, NULL, 'm'},
	{"to", required_argument, NULL, 't'},
	{"overwrite", no_argument, NULL, 'o'},
	{"rename", no_argument, NULL, 'n'},
	{"follow", no_argument, NULL, 'f'},
	{"on-receive", required_argument, NULL, 'O'},
	{NULL, 0, NULL, 0},
};

/* The OPT_ bit that an option letter needs; 0: every command takes it. */
static unsigned int option_bit(int c)
{
	switch (c) {
	case 'w':
		return OPT_WATCH;
	case 'c':
	case 'i':
	case 's':
		return OPT_COUNT;
	case 'y':
		return OPT_YES;
	case 'r':
		return OPT_REMOVE;
	case 'P':
		return OPT_PASSWORD;
	case 'd':
		return OPT_DEVICE;
	case 'R':
		return OPT_REVOKE;
	case 'T':
		return OPT_CHANGED;
	case 'x':
		return OPT_EXIT;
	case 'b':
	case 'm':
		return OPT_SEND;
	case 't':
	case 'o':
	case 'n':
	case 'f':
	case 'O':
		return OPT_RECEIVE;
	default:
		return 0;
	}
}

static void args_parse(const struct command *cmd, int argc, char **argv,
		       struct command_args *a)
{
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":hc:i:s:yr", longs, NULL)) != -1) {
		if (c == 'h') {
			help_command(stdout, cmd);
			exit(0);
		}
		if (c == ':')
			usage_fail(cmd, "needs a value with %s",
				   argv[optind - 1]);
		if (c == '?' || (option_bit(c) & ~cmd->options))
			usage_fail(cmd, "has no option %s", argv[optind - 1]);
		option_take(c, optarg, a);
		option_take_items(c, optarg, a);
	}
	a->words = argv + optind;
	a->n_words = argc - optind;
	if (!cmd->max && a->n_words)
		usage_fail(cmd, "takes options only, not \"%s\"", *a->words);
	if (a->n_words < cmd->min || a->n_words > cmd->max)
		usage_fail(cmd, "takes %s", cmd->words);
}

/* A password passes through jansson's memory: wipe whatever it frees. */
static void free_wiped(void *p)
{
	if (p)
		ntmc_wipe(p, malloc_usable_size(p));
	free(p);
}

int main(int argc, char **argv)
{
	struct command_args a = {0};
	const struct command *cmd;

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
		puts("ntm " NTM_VERSION);
		return 0;
	}
	cmd = command_find(argv[1]);
	if (!cmd) {
		fprintf(stderr, "ntm: no command \"%s\"; see `ntm --help`\n",
			argv[1]);
		return EXIT_USAGE;
	}
	args_parse(cmd, argc - 1, argv + 1, &a);
	return cmd->run(&a);
}
