/* SPDX-License-Identifier: MIT */
/* cmd_peer - ntm ping, verify, allow, forget */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "wrappers/client.h"
#include "wrappers/ntm.h"
#include "common/out.h"

static void ping_line(const void *arg, const json_t *l)
{
	const struct command_args *a = arg;

	if (command_json(a, l))
		return;
	if (json_is_number(json_object_get(l, "rtt_ms")))
		printf("%s: echo %lld: %.3f ms\n", a->words[0],
		       (long long)out_int(l, "seq"),
		       json_number_value(json_object_get(l, "rtt_ms")));
	else
		printf("%s: %s\n", a->words[0], out_text(l, "progress", ""));
	fflush(stdout);
}

int cmd_ping(const struct command_args *a)
{
	json_t *request, *answer = NULL;
	int err, status = 1;

	request =
		json_pack("{s:s, s:s, s:i, s:i, s:i}", "cmd", "ping", "name",
			  a->words[0], "count", a->count ? a->count : 4,
			  "interval_ms", a->interval_ms ? a->interval_ms : 1000,
			  "size", a->size ? a->size : 64);
	err = client_call(request, ping_line, a, &answer);
	json_decref(request);
	if (err)
		return command_refused(a, err, answer);
	if (!command_json(a, answer))
		printf("%lld sent, %lld received, %.3f/%.3f/%.3f ms "
		       "(min/avg/max), by %s\n",
		       (long long)out_int(answer, "sent"),
		       (long long)out_int(answer, "received"),
		       json_number_value(json_object_get(answer, "min_ms")),
		       json_number_value(json_object_get(answer, "avg_ms")),
		       json_number_value(json_object_get(answer, "max_ms")),
		       out_text(answer, "path", "?"));
	status = out_int(answer, "received") > 0 ? 0 : 1;
	json_decref(answer);
	return status;
}

/* @fingerprint: of the key that was compared; "": whichever it is */
static int verify_call(const struct command_args *a, const char *name,
		       bool confirm, const char *fingerprint, json_t **answer)
{
	return command_call(a,
			    json_pack("{s:s, s:s, s:b, s:s}", "cmd", "verify",
				      "name", name, "confirm", confirm,
				      "fingerprint", fingerprint),
			    answer);
}

static int verify_confirm(const struct command_args *a, const json_t *compared)
{
	json_t *answer;

	if (verify_call(a, out_text(compared, "fqdn", a->words[0]), true,
			out_text(compared, "fingerprint", ""), &answer))
		return 1;
	puts("verified");
	json_decref(answer);
	return 0;
}

static void verify_print(const struct command_args *a, const json_t *answer)
{
	printf("%s\n\n    %s\n\n", out_text(answer, "fqdn", a->words[0]),
	       out_colour(OUT_BOLD, out_text(answer, "code", "?")));
	if (json_is_true(json_object_get(answer, "changed")))
		puts("Its key is not the one known before: ask the other "
		     "person why.");
	puts("Compare these digits with what `ntm verify` shows the other "
	     "person for you, aloud\nor side by side.");
}

int cmd_verify(const struct command_args *a)
{
	char line[16];
	json_t *answer;
	bool yes = a->yes;
	int status;

	if (verify_call(a, a->words[0], a->json && a->yes, "", &answer))
		return 1;
	if (command_json(a, answer)) {
		json_decref(answer);
		return 0;
	}
	verify_print(a, answer);
	if (!yes && isatty(STDIN_FILENO)) {
		fputs("Are they the same? [y/N] ", stdout);
		fflush(stdout);
		yes = fgets(line, sizeof(line), stdin) &&
		      (line[0] == 'y' || line[0] == 'Y');
	}
	status = yes ? verify_confirm(a, answer) : 0;
	json_decref(answer);
	return status;
}

static json_t *ports_parse(const struct command_args *a)
{
	json_t *ports = json_array();
	int i;

	for (i = 1; i < a->n_words; i++) {
		char *end;
		long port = strtol(a->words[i], &end, 10);

		if (*end || port < 1 || port > 65535) {
			fprintf(stderr,
				"ntm: \"%s\" is not a port (1 to 65535)\n",
				a->words[i]);
			json_decref(ports);
			return NULL;
		}
		json_array_append_new(ports, json_integer(port));
	}
	return ports;
}

/* of a rule for a group that is not what its name says, or not yet */
static const char *group_note(const json_t *item)
{
	const char *is = out_text(item, "group", "here");

	if (!strcmp(is, "other"))
		return "  (of an earlier group of that name)";
	if (!strcmp(is, "keyless"))
		return "  (this device has no key of that group now; see "
		       "`ntm-group status`)";
	if (!strcmp(is, "away"))
		return "  (this device is not in that group now)";
	if (!strcmp(is, "awaited"))
		return "  (of the first group of that name)";
	return "";
}

static void allowed_print(const json_t *list)
{
	const json_t *item, *port, *ports;
	size_t i, k;

	if (!json_array_size(list))
		puts("only the devices of this account may connect in");
	json_array_foreach(list, i, item)
	{
		printf("%s", out_text(item, "subject", "?"));
		ports = json_object_get(item, "ports");
		if (!json_array_size(ports))
			fputs(" all ports", stdout);
		json_array_foreach(ports, k, port)
			printf(" %lld", (long long)json_integer_value(port));
		puts(group_note(item));
	}
}

int cmd_allow(const struct command_args *a)
{
	json_t *request = json_pack("{s:s}", "cmd", "allow"), *answer, *ports;

	if (a->remove && !a->n_words) {
		json_decref(request);
		fputs("ntm: allow -r takes the name or domain whose permission "
		      "ends; `ntm allow` lists them\n",
		      stderr);
		return 2;
	}
	if (a->n_words) {
		ports = ports_parse(a);
		if (!ports) {
			json_decref(request);
			return 2;
		}
		json_object_set_new(request, "subject",
				    json_string(a->words[0]));
		json_object_set_new(request, "ports", ports);
		json_object_set_new(request, "remove", json_boolean(a->remove));
	}
	if (command_call(a, request, &answer))
		return 1;
	if (!command_json(a, answer))
		allowed_print(json_object_get(answer, "allowed"));
	json_decref(answer);
	return 0;
}

/* ntm-post pins senders and receivers of items, whom the worker may never have met.
 * Return: it knew the name */
static bool items_forget(const char *name)
{
	json_t *ask = json_pack("{s:s, s:s}", "cmd", "forget", "name", name);
	json_t *answer = NULL;
	bool known;

	known = !client_call_to(CLIENT_POST, ask, CLIENT_LIMIT_S, &answer) &&
		json_is_true(json_object_get(answer, "known"));
	json_decref(answer);
	json_decref(ask);
	return known;
}

int cmd_forget(const struct command_args *a)
{
	json_t *answer = NULL;
	json_t *ask =
		json_pack("{s:s, s:s}", "cmd", "forget", "name", a->words[0]);
	int err = client_call(ask, NULL, NULL, &answer);

	json_decref(ask);
	if (items_forget(a->words[0]) && err == -NTM_ENOTFOUND) {
		json_decref(answer);
		answer = json_pack("{s:b}", "ok", 1);
		err = 0;
	}
	if (err) {
		command_refused(a, err, answer);
		return 1;
	}
	if (!command_json(a, answer))
		printf("%s is forgotten; its key is learned anew at the next "
		       "contact\n",
		       a->words[0]);
	json_decref(answer);
	return 0;
}
