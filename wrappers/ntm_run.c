/* SPDX-License-Identifier: MIT */
/*
 * ntm-run - run a program with a stable virtual address
 *
 * Theory of operation: nothing stays of us. We check the program, start the
 * broker when none runs, put libntm.so behind whatever LD_PRELOAD holds already,
 * and exec. Whatever goes wrong is said in one sentence; what only limits the
 * program (it is static, say) is a warning, for the program still runs as on
 * the host.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wrappers/client.h"
#include "wrappers/program.h"

#define EXIT_NOT_RUN   126 /* as the shell: found, not runnable */
#define EXIT_NOT_FOUND 127
#define EXIT_USAGE     2

static const char usage[] =
	"usage: ntm-run [options] PROGRAM [ARGUMENT ...]\n"
	"Run PROGRAM so that it reaches peers by name and keeps its "
	"connections.\n"
	"\n"
	"  --listen=both      listeners on the wildcard answer on the virtual "
	"address\n"
	"                     and where they were (the default)\n"
	"  --listen=virtual   on the virtual address only\n"
	"  --listen=real      where they were only\n"
	"  --exit=auto        other hosts through the domain's exit, so that "
	"moves do\n"
	"                     not break connections; near ones, or without an "
	"exit,\n"
	"                     directly (the default after `ntm exit on`)\n"
	"  --exit=relay       through the exit or not at all\n"
	"  --exit=direct      other hosts as ever (the default else)\n"
	"  -q, --quiet        no warnings\n"
	"  -h, --help         this text\n"
	"  -V, --version      the version\n"
	"\n"
	"Examples:\n"
	"  ntm-run ssh desk.me.example.org\n"
	"  ntm-run --listen=virtual python3 -m http.server 8080\n"
	"  ntm-run --exit=relay wget https://example.org/large.iso\n";

struct run_options {
	const char *listen, *exit; /* NULL: leave the environment as it is */
	bool quiet;
};

static bool listen_valid(const char *text)
{
	return !strcmp(text, "both") || !strcmp(text, "virtual") ||
	       !strcmp(text, "real");
}

static bool exit_valid(const char *text)
{
	return !strcmp(text, "auto") || !strcmp(text, "relay") ||
	       !strcmp(text, "direct");
}

/* Return: index of PROGRAM in argv; exits for --help, --version, mistakes. */
static int options_parse(int argc, char **argv, struct run_options *o)
{
	static const struct option longs[] = {
		{"listen", required_argument, NULL, 'l'},
		{"exit", required_argument, NULL, 'e'},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "+l:qhV", longs, NULL)) != -1) {
		switch (c) {
		case 'l':
			if (!listen_valid(optarg)) {
				fprintf(stderr,
					"ntm-run: --listen takes both, virtual "
					"or real, not \"%s\"\n",
					optarg);
				exit(EXIT_USAGE);
			}
			o->listen = optarg;
			break;
		case 'e':
			if (!exit_valid(optarg)) {
				fprintf(stderr,
					"ntm-run: --exit takes auto, relay or "
					"direct, not \"%s\"\n",
					optarg);
				exit(EXIT_USAGE);
			}
			o->exit = optarg;
			break;
		case 'q':
			o->quiet = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'V':
			puts("ntm-run " NTM_VERSION);
			exit(0);
		default:
			fputs("Try `ntm-run --help`.\n", stderr);
			exit(EXIT_USAGE);
		}
	}
	if (optind >= argc) {
		fputs(usage, stderr);
		exit(EXIT_USAGE);
	}
	return optind;
}

static void warn_kind(const char *path)
{
	char real[PATH_MAX];
	enum program_kind kind = program_inspect(path, real, sizeof(real));
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	const char *why = NULL;

	switch (kind) {
	case PROGRAM_DYNAMIC:
	case PROGRAM_FOREIGN:
		return;
	case PROGRAM_STATIC:
		why = "is statically linked, so no library can be preloaded";
		break;
	case PROGRAM_SETUID:
		why = "is set-user-ID or set-group-ID, so the loader ignores "
		      "preloaded libraries";
		break;
	case PROGRAM_CAPS:
		why = "has file capabilities, so the loader ignores preloaded "
		      "libraries";
		break;
	}
	fprintf(stderr,
		"ntm-run: %s %s; it runs as on the host, without virtual "
		"addresses%s\n",
		real, why,
		!strcmp(base, "ping") ? " (use `ntm ping NAME`)" : "");
}

/* Append, never overwrite: another preloaded library may be wanted too. */
static int preload_append(void)
{
	const char *old = getenv("LD_PRELOAD");
	char lib[PATH_MAX], *value;
	int err;

	if (client_sibling("../lib/libntm.so", lib, sizeof(lib))) {
		fputs("ntm-run: libntm.so is not beside this program; install "
		      "again\n",
		      stderr);
		return -1;
	}
	if (old && strstr(old, lib))
		return 0;
	if (asprintf(&value, "%s%s%s", old ? old : "", old && *old ? ":" : "",
		     lib) < 0)
		return -1;
	err = setenv("LD_PRELOAD", value, 1);
	free(value);
	return err;
}

/* struct broker_state - what it says of itself; all false: nothing */
struct broker_state {
	bool online, exit_on;
};

/* A broker that is not logged in gives no names: say so, once, here. */
static struct broker_state state_look(const struct run_options *o)
{
	/* who wants all or nothing hears it from exit_prepare() */
	bool quiet = o->quiet || (o->exit && !strcmp(o->exit, "relay"));
	json_t *request = json_pack("{s:s}", "cmd", "status"), *answer = NULL;
	struct broker_state s = {false, false};
	const char *state;

	if (request && client_call(request, NULL, NULL, &answer) == 0) {
		state = json_string_value(json_object_get(answer, "state"));
		if (!quiet && state && !strcmp(state, "logged-out"))
			fputs("ntm-run: not logged in; run `ntm login "
			      "JOIN-STRING ACCOUNT` first, the program runs as "
			      "on the host\n",
			      stderr);
		s.online = state && !strcmp(state, "online");
		s.exit_on = json_is_true(
			json_object_get(json_object_get(answer, "exit"), "on"));
	}
	json_decref(answer);
	json_decref(request);
	return s;
}

/* Which way to other hosts: as said here, in the environment, or once for all. */
static void exit_choose(struct run_options *o, const struct broker_state *s)
{
	const char *set = getenv("NTM_EXIT");

	if (o->exit)
		return;
	if (set && exit_valid(set))
		o->exit = set;
	else if (s->exit_on)
		o->exit = "auto";
}

/* The tunnel to the exit, before the program needs it. Return: false: it must not run */
static bool exit_prepare(const struct run_options *o,
			 const struct broker_state *s)
{
	bool relay = o->exit && !strcmp(o->exit, "relay");
	json_t *request, *answer = NULL;
	int err;

	if (!o->exit || !strcmp(o->exit, "direct") || (!relay && !s->online))
		return true;
	request = json_pack("{s:s, s:s}", "cmd", "exit", "do", "connect");
	err = request ? client_call(request, NULL, NULL, &answer) : -NTM_ENOMEM;
	if (err && (relay || !o->quiet))
		fprintf(stderr, "ntm-run: %s%s\n", client_text(err, answer),
			relay ? ""
			      : "; the program reaches other hosts directly");
	json_decref(answer);
	json_decref(request);
	return !err || !relay;
}

int main(int argc, char **argv)
{
	struct broker_state state = {false, false};
	struct run_options o = {0};
	int first = options_parse(argc, argv, &o);
	char path[PATH_MAX];
	int err = program_find(argv[first], path, sizeof(path));

	if (err) {
		fprintf(stderr, "ntm-run: %s: %s\n", argv[first],
			err == -NTM_EPERM ? "not executable"
					  : "no such program");
		return err == -NTM_EPERM ? EXIT_NOT_RUN : EXIT_NOT_FOUND;
	}
	if (!o.quiet)
		warn_kind(path);
	if (client_broker_start())
		fputs("ntm-run: no broker; the program runs as on the host\n",
		      stderr);
	else
		state = state_look(&o);
	exit_choose(&o, &state);
	if (preload_append())
		return EXIT_NOT_RUN;
	if (!exit_prepare(&o, &state))
		return EXIT_NOT_RUN;
	if (o.listen)
		setenv("NTM_LISTEN", o.listen, 1);
	if (o.exit)
		setenv("NTM_EXIT", o.exit, 1);
	execv(path, argv + first);
	fprintf(stderr, "ntm-run: %s: %s\n", path, strerror(errno));
	return EXIT_NOT_RUN;
}
