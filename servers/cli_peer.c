/* SPDX-License-Identifier: MIT */
/* cli_peer - `ntm-server peer`: which other domains this one talks to */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/out.h"
#include "servers/adminsock.h"
#include "servers/cli.h"

static json_t *make_request(const struct cli *c, const char *verb)
{
	char command[32];

	snprintf(command, sizeof(command), "peer-%s", verb);
	if (c->n_args == 1)
		return json_pack("{s:s}", "command", command);
	if (c->n_args == 2)
		return json_pack("{s:s, s:s}", "command", command, "domain",
				 c->args[1]);
	return json_pack("{s:s, s:s, s:s, s:s}", "command", "peer-add",
			 "domain", c->args[1], "ca", c->args[2], "address",
			 c->n_args > 3 ? c->args[3] : "");
}

static const char *text_of(json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

#define PEER_COLS 3

static void print_list(json_t *answer)
{
	static const char *const headings[PEER_COLS] = {"DOMAIN", "CA",
							"STATE"};
	json_t *list = json_object_get(answer, "peers"), *peer;
	json_t *blocked = json_object_get(answer, "blocked");
	size_t n = json_array_size(list), i, row;
	size_t rows = n + json_array_size(blocked);
	const char **cells = calloc(rows * PEER_COLS + 1, sizeof(*cells));
	char(*state)[512] = calloc(n + 1, sizeof(*state));

	if (!cells || !state)
		goto done;
	json_array_foreach(list, i, peer)
	{
		const char *why = text_of(peer, "why");

		snprintf(state[i], sizeof(state[i]), "%s%s%s%s",
			 text_of(peer, "state"), why[0] ? ": " : "", why,
			 json_is_true(json_object_get(peer, "added"))
				 ? ""
				 : " (by DNSSEC)");
		cells[i * PEER_COLS] = text_of(peer, "domain");
		cells[i * PEER_COLS + 1] = text_of(peer, "ca");
		cells[i * PEER_COLS + 2] = state[i];
	}
	json_array_foreach(blocked, i, peer)
	{
		row = (n + i) * PEER_COLS;
		cells[row] = json_string_value(peer);
		cells[row + 1] = "-";
		cells[row + 2] = "blocked, and all under it";
	}
	out_table(headings, PEER_COLS, cells, rows);
done:
	free(state);
	free(cells);
}

static int ask(struct cli *c, const char *verb)
{
	json_t *request, *answer;
	int r = cli_enter(c);

	if (r)
		return r;
	request = make_request(c, verb);
	if (!request) {
		cli_fail("peer %s: an argument is not UTF-8", verb);
		return CLI_USAGE;
	}
	r = adminsock_ask(c->dir, "dc", request, &answer);
	json_decref(request);
	if (r == -NTM_ENOTFOUND)
		return cli_fail("no Direction Coordinator runs in %s; start "
				"ntm-server run there",
				c->dir);
	if (r)
		return cli_fail("the Direction Coordinator does not answer: %s",
				err_text(r));
	if (!json_is_true(json_object_get(answer, "ok")))
		r = cli_fail("peer %s: %s", verb, text_of(answer, "error"));
	else if (c->json)
		json_dumpf(answer, stdout, JSON_INDENT(2)), printf("\n");
	else if (verb[0] == 'l')
		print_list(answer);
	json_decref(answer);
	return r;
}

int cli_peer(struct cli *c, const char *verb)
{
	size_t min, max;

	if (!strcmp(verb, "add")) {
		min = 3;
		max = 4;
	} else if (!strcmp(verb, "list")) {
		min = max = 1;
	} else if (!strcmp(verb, "remove") || !strcmp(verb, "block") ||
		   !strcmp(verb, "unblock")) {
		min = max = 2;
	} else {
		return cli_misused("peer");
	}
	if (c->n_args < min || c->n_args > max)
		return cli_misused("peer");
	return ask(c, verb);
}
