/* SPDX-License-Identifier: MIT */
/* ntm - log in, look, verify, allow: the person's side of the broker */
#include "wrappers/ntm.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/out.h"
#include "wrappers/client.h"

#define EXIT_USAGE 2

/* Options a command takes, as bits. */
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
#define OPT_INBOX    (1u << 11)

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
	 "files, folders (photos/, ./photos), or a text from standard input, "
	 "to "
	 "who may be away",
	 OPT_SEND, 1, 4096, cmd_send},
	{"outbox", "", "what was sent, and who has it", 0, 0, 0, cmd_outbox},
	{"cancel", "NUMBER",
	 "withdraw what was sent: who lacks it will not get it", 0, 1, 1,
	 cmd_cancel},
	{"inbox", "", "what others have sent", OPT_INBOX, 0, 0, cmd_inbox},
	{"receive", "[NUMBER ...]", "take what is there, or the named items",
	 OPT_RECEIVE, 0, 1000, cmd_receive},
	{"drop", "NUMBER ...", "what nobody here wants: its sender is told so",
	 0, 1, 1000, cmd_drop},
	{"netcheck", "", "what network this machine is in", 0, 0, 0,
	 cmd_netcheck},
	{"env", "", "print the LD_PRELOAD line for scripts", 0, 0, 0, cmd_env},
};

static const struct command_option options[] = {
	{"watch", 'w', false, optional_argument, OPT_WATCH,
	 "  --watch[=SECONDS]  refresh until interrupted\n"},
	{"count", 'c', true, required_argument, OPT_COUNT,
	 "  -c, --count=N      echoes to send (default 4)\n"},
	{"interval", 'i', true, required_argument, OPT_COUNT,
	 "  -i, --interval=MS  milliseconds between them (default 1000)\n"},
	{"size", 's', true, required_argument, OPT_COUNT,
	 "  -s, --size=BYTES   of each echo (default 64)\n"},
	{"yes", 'y', true, no_argument, OPT_YES,
	 "  -y, --yes          answer the question with yes\n"},
	{"remove", 'r', true, no_argument, OPT_REMOVE,
	 "  -r, --remove       take the permission back\n"},
	{"password-stdin", 'P', false, no_argument, OPT_PASSWORD,
	 "  --password-stdin   read passwords from standard input, one a "
	 "line\n"},
	{"device", 'd', false, required_argument, OPT_DEVICE,
	 "  --device=NAME      name of this device (default: host name)\n"},
	{"revoke", 'R', false, required_argument, OPT_REVOKE,
	 "  --revoke=FQDN      end that device's access for good\n"},
	{"exit", 'x', false, required_argument, OPT_EXIT,
	 "  --exit=yes|no      use the domain's exit, without asking\n"},
	{"background", 'b', false, no_argument, OPT_SEND,
	 "  --background       do not wait until it is sent\n"},
	{"message", 'm', false, required_argument, OPT_SEND,
	 "  --message=TEXT     shown before it is fetched; servers can read "
	 "it\n"},
	{"to", 't', false, required_argument, OPT_RECEIVE,
	 "  --to=FOLDER        where it goes (default: the current one)\n"},
	{"overwrite", 'o', false, no_argument, OPT_RECEIVE,
	 "  --overwrite        replace files that exist\n"},
	{"rename", 'n', false, no_argument, OPT_RECEIVE,
	 "  --rename           keep them, and give new ones another name\n"},
	{"follow", 'f', false, no_argument, OPT_RECEIVE,
	 "  --follow           go on with what comes later\n"},
	{"on-receive", 'O', false, required_argument, OPT_RECEIVE,
	 "  --on-receive=CMD   run for each item, by sh: files are its "
	 "arguments, a\n"
	 "                     text its input, the sender NTM_FROM\n"},
	{"application", 'A', false, required_argument, OPT_INBOX,
	 "  --application=NAME  items of that program alone; `all`: of groups, "
	 "too\n"},
	{"trust-changed", 'T', false, no_argument, OPT_CHANGED,
	 "  --trust-changed    accept that the domain's CA has changed\n"},
};

/* --- for the commands ------------------------------------------------------------------ */

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

/* --- options --------------------------------------------------------------------------- */

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

/* One of them keeps what is there, the other one does not: whose word would count? */
static void exists_take(bool *take, bool other)
{
	*take = true;
	if (!other)
		return;
	fputs("ntm: receive takes --overwrite or --rename, not both; see `ntm "
	      "receive --help`\n",
	      stderr);
	exit(EXIT_USAGE);
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
		exists_take(&a->overwrite, a->rename);
		break;
	case 'n':
		exists_take(&a->rename, a->overwrite);
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
	case 'A':
		a->application = arg;
		break;
	case 'x':
		if (strcmp(arg, "yes") && strcmp(arg, "no")) {
			fputs("ntm: --exit takes yes or no\n", stderr);
			exit(EXIT_USAGE);
		}
		a->exit = arg;
		break;
	default:
		option_take_items(c, arg, a);
		break;
	}
}

int main(int argc, char **argv)
{
	static const struct command_set set = {
		.program = "ntm",
		.footer = "",
		.commands = commands,
		.n_commands = sizeof(commands) / sizeof(commands[0]),
		.options = options,
		.n_options = sizeof(options) / sizeof(options[0]),
		.take = option_take,
	};

	return command_main(&set, argc, argv);
}
