/* SPDX-License-Identifier: MIT */
/* cmd_account - ntm login, logout, passwd, devices */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libntmcrypto/ntmcrypto.h"
#include "wrappers/client.h"
#include "wrappers/command.h"
#include "wrappers/out.h"
#include "wrappers/secret_input.h"

static int password_ask(const struct command_args *a, const char *prompt,
			char *buf)
{
	if (!secret_input(prompt, a->password_stdin, buf))
		return 0;
	fputs(a->password_stdin ? "ntm: no password on standard input\n"
				: "ntm: no password given (without a terminal "
				  "use --password-stdin)\n",
	      stderr);
	return 1;
}

static bool question(const char *text)
{
	char line[16];

	if (!isatty(STDIN_FILENO))
		return false;
	printf("%s [y/N] ", text);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) &&
	       (line[0] == 'y' || line[0] == 'Y');
}

/* What the administrator recommends is shown and accepted one by one. */
static void recommendations_offer(const struct command_args *a,
				  const json_t *answer)
{
	const json_t *list = json_object_get(answer, "recommendations"), *r;
	char text[512];
	json_t *reply;
	size_t i;

	json_array_foreach(list, i, r)
	{
		snprintf(text, sizeof(text),
			 "The administrator recommends to let %s connect in. "
			 "Allow it?",
			 out_text(r, "subject", "?"));
		if (!a->yes && !question(text))
			continue;
		if (!command_call(
			    a,
			    json_pack("{s:s, s:O, s:O*}", "cmd", "allow",
				      "subject", json_object_get(r, "subject"),
				      "ports", json_object_get(r, "ports")),
			    &reply))
			json_decref(reply);
	}
}

/* The exit is asked of the person, or answered by --exit; never by --yes. */
static int exit_offer(const struct command_args *a, const json_t *answer)
{
	bool on = a->exit && !strcmp(a->exit, "yes");
	json_t *reply;

	if (!a->exit) {
		if (a->json ||
		    !json_is_true(json_object_get(answer, "exit_offered")) ||
		    !question("This account may use the domain's exit: "
			      "programs under `ntm-run` then "
			      "reach other hosts through it, and keep those "
			      "connections when this machine moves; its "
			      "administrator could see where they go. Use "
			      "it?"))
			return 0;
		on = true;
	}
	if (command_call(a,
			 json_pack("{s:s, s:s}", "cmd", "exit", "do",
				   on ? "on" : "off"),
			 &reply))
		return 1;
	json_decref(reply);
	return 0;
}

int cmd_login(const struct command_args *a)
{
	char password[SECRET_INPUT_MAX];
	json_t *request, *answer;
	int err;

	if (client_broker_start())
		return 1;
	if (password_ask(a, "Password: ", password))
		return 1;
	request = json_pack("{s:s, s:s, s:s, s:s, s:b}", "cmd", "login", "join",
			    a->words[0], "account", a->words[1], "password",
			    password, "trust_changed", a->trust_changed);
	ntmc_wipe(password, sizeof(password));
	if (!request) {
		fputs("ntm: the join string, account or password is not UTF-8 "
		      "text\n",
		      stderr);
		return 1;
	}
	if (a->device)
		json_object_set_new(request, "device", json_string(a->device));
	err = command_call(a, request, &answer);
	if (err)
		return err;
	if (!command_json(a, answer)) {
		printf("This device is %s\n  %s\n  %s\n",
		       out_colour(OUT_BOLD, out_text(answer, "fqdn", "?")),
		       out_text(answer, "vip6", ""),
		       out_text(answer, "vip4", ""));
		recommendations_offer(a, answer);
	}
	err = exit_offer(a, answer);
	json_decref(answer);
	return err;
}

/* A request whose success needs no more than a sentence. */
static int simple(const struct command_args *a, json_t *request,
		  const char *text)
{
	json_t *answer;

	if (command_call(a, request, &answer))
		return 1;
	if (!command_json(a, answer))
		puts(text);
	json_decref(answer);
	return 0;
}

int cmd_logout(const struct command_args *a)
{
	return simple(a, json_pack("{s:s}", "cmd", "logout"), "logged out");
}

int cmd_passwd(const struct command_args *a)
{
	char old[SECRET_INPUT_MAX], new[SECRET_INPUT_MAX],
		again[SECRET_INPUT_MAX];
	int status = 1;

	if (password_ask(a, "Current password: ", old))
		return 1;
	if (password_ask(a, "New password: ", new))
		goto wipe_old;
	if (!a->password_stdin) {
		if (password_ask(a, "New password again: ", again))
			goto wipe_new;
		if (strcmp(new, again)) {
			fputs("ntm: the two new passwords differ; nothing was "
			      "changed\n",
			      stderr);
			goto wipe_again;
		}
	}
	status = simple(a,
			json_pack("{s:s, s:s, s:s}", "cmd", "passwd", "old",
				  old, "new", new),
			"the password is changed");
wipe_again:
	if (!a->password_stdin)
		ntmc_wipe(again, sizeof(again));
wipe_new:
	ntmc_wipe(new, sizeof(new));
wipe_old:
	ntmc_wipe(old, sizeof(old));
	return status;
}

static void devices_print(const json_t *list)
{
	static const char *const headings[] = {"DEVICE", "LAST LOGIN", "STATE",
					       "VERSION", "FINGERPRINT"};
	size_t n = json_array_size(list), i;
	const char **cells = calloc(n * 5 + 1, sizeof(*cells));
	const json_t *d;

	if (!cells)
		return;
	json_array_foreach(list, i, d)
	{
		const char **row = cells + i * 5;

		row[0] = out_text(d, "fqdn", "?");
		row[1] = strdup(out_date(out_int(d, "last_login")));
		row[2] = json_is_true(json_object_get(d, "revoked")) ? "revoked"
			 : json_is_true(json_object_get(d, "this"))
				 ? "this device"
				 : "active";
		row[3] = out_text(d, "version", "");
		row[4] = out_text(d, "fingerprint", "");
	}
	out_table(headings, 5, cells, n);
	for (i = 0; i < n; i++)
		free((void *)(uintptr_t)cells[i * 5 + 1]);
	free(cells);
}

int cmd_devices(const struct command_args *a)
{
	json_t *answer;

	if (a->revoke)
		return simple(a,
			      json_pack("{s:s, s:s}", "cmd", "revoke", "fqdn",
					a->revoke),
			      "revoked; its tunnels end within seconds");
	if (command_call(a, json_pack("{s:s}", "cmd", "devices"), &answer))
		return 1;
	if (!command_json(a, answer))
		devices_print(json_object_get(answer, "devices"));
	json_decref(answer);
	return 0;
}

int cmd_exit(const struct command_args *a)
{
	const char *what = a->n_words ? a->words[0] : "status";
	const json_t *e;
	json_t *answer;

	if (a->n_words && strcmp(what, "on") && strcmp(what, "off")) {
		fputs("ntm: exit takes on or off\n", stderr);
		return 2;
	}
	if (command_call(a, json_pack("{s:s, s:s}", "cmd", "exit", "do", what),
			 &answer))
		return 1;
	e = json_object_get(answer, "exit");
	if (!command_json(a, answer)) {
		printf("the exit is %s",
		       json_is_true(json_object_get(e, "on")) ? "on" : "off");
		if (*out_text(e, "name", ""))
			printf(": %s, %s", out_text(e, "name", ""),
			       out_text(e, "state", ""));
		putchar('\n');
	}
	json_decref(answer);
	return 0;
}
