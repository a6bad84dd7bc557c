/* SPDX-License-Identifier: MIT */
/* cmd_account - ntm login, logout, passwd, devices */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/join.h"
#include "libntmcrypto/ntmcrypto.h"
#include "wrappers/client.h"
#include "wrappers/ntm.h"
#include "common/out.h"
#include "wrappers/secret_input.h"

static int password_ask(const struct command_args *a, const char *prompt,
			char *buf)
{
	if (!secret_input(prompt, a->password_stdin, buf))
		return 0;
	return command_fail(a, NTM_EINVAL,
			    a->password_stdin
				    ? "no password on standard input"
				    : "no password given (without a terminal "
				      "use --password-stdin)");
}

/* Before a person types a password: is the join string one? */
static int join_check(const struct command_args *a)
{
	struct join j;
	int err = join_parse(a->words[0], &j);

	if (!err)
		return 0;
	return command_fail(a, err,
			    err == -NTM_EVERSION
				    ? "the join string is of another version "
				      "of NTMobile; update this program"
				    : "that is not a join string; the "
				      "administrator prints it with "
				      "`ntm-server join-string`, and the shell "
				      "needs it in quotes");
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

	if (join_check(a) || client_broker_start())
		return 1;
	if (password_ask(a, "Password: ", password))
		return 1;
	request = json_pack("{s:s, s:s, s:s, s:s, s:b}", "cmd", "login", "join",
			    a->words[0], "account", a->words[1], "password",
			    password, "trust_changed", a->trust_changed);
	ntmc_wipe(password, sizeof(password));
	if (!request)
		return command_fail(a, NTM_EINVAL,
				    "the account or password is not UTF-8 "
				    "text");
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

/* Before a person types passwords: whose would they be? */
static int login_check(const struct command_args *a)
{
	json_t *answer;
	bool out;

	if (command_call(a, json_pack("{s:s}", "cmd", "status"), &answer))
		return 1;
	out = !strcmp(out_text(answer, "state", ""), "logged-out");
	json_decref(answer);
	return out ? command_fail(a, NTM_ENOLOGIN, err_text(NTM_ENOLOGIN)) : 0;
}

int cmd_passwd(const struct command_args *a)
{
	char old[SECRET_INPUT_MAX], new[SECRET_INPUT_MAX],
		again[SECRET_INPUT_MAX];
	int status = 1;

	if (login_check(a) || password_ask(a, "Current password: ", old))
		return 1;
	if (password_ask(a, "New password: ", new))
		goto wipe_old;
	if (!a->password_stdin) {
		if (password_ask(a, "New password again: ", again))
			goto wipe_new;
		if (strcmp(new, again)) {
			command_fail(a, NTM_EINVAL,
				     "the two new passwords differ; nothing "
				     "was changed");
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
		out_devices(json_object_get(answer, "devices"));
	json_decref(answer);
	return 0;
}

static void exit_print(const json_t *e)
{
	const char *name = out_text(e, "name", "");
	const char *why = out_text(e, "why", "");

	printf("the exit is %s",
	       json_is_true(json_object_get(e, "on")) ? "on" : "off");
	if (*name)
		printf(": %s, %s", name, out_text(e, "state", ""));
	else if (*why)
		printf(", but %s", why);
	putchar('\n');
}

/* What the person wants is kept in any case; the status then says what came of it. */
static void exit_try(void)
{
	json_t *request =
		json_pack("{s:s, s:s}", "cmd", "exit", "do", "connect");
	json_t *answer = NULL;

	int err = request ? client_call(request, NULL, NULL, &answer) : 0;

	(void)err;
	json_decref(answer);
	json_decref(request);
}

int cmd_exit(const struct command_args *a)
{
	const char *what = a->n_words ? a->words[0] : "status";
	json_t *answer;

	if (a->n_words && strcmp(what, "on") && strcmp(what, "off")) {
		fputs("ntm: exit takes on or off\n", stderr);
		return 2;
	}
	if (command_call(a, json_pack("{s:s, s:s}", "cmd", "exit", "do", what),
			 &answer))
		return 1;
	if (!strcmp(what, "on")) {
		json_decref(answer);
		exit_try();
		if (command_call(a,
				 json_pack("{s:s, s:s}", "cmd", "exit", "do",
					   "status"),
				 &answer))
			return 1;
	}
	if (!command_json(a, answer))
		exit_print(json_object_get(answer, "exit"));
	json_decref(answer);
	return 0;
}
