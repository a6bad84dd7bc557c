/* SPDX-License-Identifier: MIT */
/* cli_relay - `ntm-server relay` and `ntm-server ns`: what runs here, or elsewhere */
#include <stdio.h>
#include <string.h>

#include "servers/adminsock.h"
#include "servers/cli.h"

/* --- a running relay -------------------------------------------------------------------- */

/* the exit beside it, if one runs: its load */
static void add_exit(const struct cli *c, json_t *status)
{
	static const char *const shown[] = {"nodes", "sockets", "bytes_in",
					    "bytes_out"};
	json_t *request = json_pack("{s:s}", "command", "status"), *answer;
	char name[32];

	if (!adminsock_ask(c->dir, "exit", request, &answer)) {
		for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
			snprintf(name, sizeof(name), "exit_%s", shown[i]);
			json_object_set(status, name,
					json_object_get(answer, shown[i]));
		}
		json_decref(answer);
	}
	json_decref(request);
}

void cli_print(const struct cli *c, const json_t *answer)
{
	const char *key;
	json_t *value;

	if (c->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		printf("\n");
		return;
	}
	json_object_foreach((json_t *)answer, key, value)
	{
		if (json_is_integer(value))
			printf("%-16s %lld\n", key,
			       (long long)json_integer_value(value));
		else if (json_is_boolean(value) && strcmp(key, "ok"))
			printf("%-16s %s\n", key,
			       json_is_true(value) ? "yes" : "no");
	}
}

static int ask(struct cli *c, const char *role, const char *name,
	       const char *verb)
{
	json_t *request, *answer;
	int r = cli_enter(c);

	if (r)
		return r;
	request = json_pack("{s:s}", "command", verb);
	r = adminsock_ask(c->dir, role, request, &answer);
	json_decref(request);
	if (r == -NTM_ENOTFOUND)
		return cli_fail("no %s runs in %s; start ntm-server run "
				"there",
				name, c->dir);
	if (r)
		return cli_fail("the %s does not answer: %s", name,
				err_text(r));
	if (!strcmp(role, "rs"))
		add_exit(c, answer);
	cli_print(c, answer);
	json_decref(answer);
	return 0;
}

static int command(struct cli *c, enum enrol_kind kind, bool known,
		   const char *verb)
{
	bool file = cli_enrol_is(verb);

	if ((!file && !known) || c->n_args != (file ? 2u : 1u))
		return cli_misused(kind == ENROL_RELAY ? "relay" : "ns");
	if (file)
		return cli_enrol(c, kind, verb);
	return kind == ENROL_RELAY ? ask(c, "rs", "relay", verb)
				   : ask(c, "ns", "Notification Server", verb);
}

int cli_relay(struct cli *c, const char *verb)
{
	bool known = !strcmp(verb, "status") || !strcmp(verb, "drain") ||
		     !strcmp(verb, "undrain");

	return command(c, ENROL_RELAY, known, verb);
}

int cli_ns(struct cli *c, const char *verb)
{
	return command(c, ENROL_NOTIFIER, !strcmp(verb, "status"), verb);
}
