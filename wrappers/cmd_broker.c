/* SPDX-License-Identifier: MIT */
/* cmd_broker - ntm up, down, env */
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wrappers/client.h"
#include "wrappers/ntm.h"

#define DOWN_POLL_MS  20
#define DOWN_LIMIT_MS 5000

static void say(const struct command_args *a, const char *text)
{
	json_t *j;

	if (!a->json) {
		puts(text);
		return;
	}
	j = json_pack("{s:b, s:s}", "ok", 1, "text", text);
	command_json(a, j);
	json_decref(j);
}

int cmd_up(const struct command_args *a)
{
	if (client_broker_runs()) {
		say(a, "a broker is running already");
		return 0;
	}
	if (client_broker_start())
		return command_fail(a, NTM_ENOBROKER,
				    "the broker did not start");
	say(a, "the broker is up");
	return 0;
}

/* It answers first and then ends; who says "ended" must have seen it. */
static bool broker_gone(void)
{
	int tries = DOWN_LIMIT_MS / DOWN_POLL_MS;

	while (client_broker_runs()) {
		if (!tries--)
			return false;
		poll(NULL, 0, DOWN_POLL_MS);
	}
	return true;
}

int cmd_down(const struct command_args *a)
{
	json_t *answer;

	if (!client_broker_runs()) {
		say(a, "no broker is running");
		return 0;
	}
	if (command_call(a, json_pack("{s:s}", "cmd", "down"), &answer))
		return 1;
	json_decref(answer);
	if (!broker_gone())
		return command_fail(a, NTM_ETIMEOUT,
				    "the broker was asked to end and still "
				    "runs; try again or kill ntm-broker");
	say(a, "the broker has ended; programs go on without their virtual "
	       "connections");
	return 0;
}

/* Where ld.so finds libraries by bare name, LD_PRELOAD=libntm.so is enough. */
static bool found_by_bare_name(const char *lib)
{
	char line[PATH_MAX];
	bool found = false;
	FILE *f = popen("/sbin/ldconfig -p 2>/dev/null", "r");
	char *arrow;

	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, "libntm.so "))
			continue;
		line[strcspn(line, "\n")] = '\0';
		arrow = strstr(line, "=> ");
		found = arrow && !strcmp(arrow + 3, lib);
	}
	if (f)
		pclose(f);
	return found;
}

int cmd_env(const struct command_args *a)
{
	char lib[PATH_MAX];
	const char *shown = lib;
	json_t *j;

	if (client_sibling("../lib/libntm.so", lib, sizeof(lib)))
		return command_fail(a, NTM_ENOTFOUND,
				    "libntm.so is not installed beside this "
				    "program; install again");
	if (found_by_bare_name(lib))
		shown = "libntm.so";
	if (!a->json) {
		printf("export LD_PRELOAD=%s\n", shown);
		return 0;
	}
	j = json_pack("{s:b, s:s, s:s}", "ok", 1, "LD_PRELOAD", shown, "path",
		      lib);
	command_json(a, j);
	json_decref(j);
	return 0;
}
