/* SPDX-License-Identifier: MIT */
/* cmd_status - ntm status, peers, netcheck */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wrappers/ntm.h"
#include "common/out.h"

static enum out_colour state_colour(const char *state)
{
	if (!strcmp(state, "online") || !strcmp(state, "direct"))
		return OUT_GOOD;
	if (!strcmp(state, "relayed") || !strcmp(state, "registering") ||
	    !strcmp(state, "connecting") || !strcmp(state, "moving"))
		return OUT_WARN;
	return OUT_BAD;
}

static void line(const char *name, const char *value)
{
	if (value && *value)
		printf("%-12s %s\n", name, value);
}

static const char *mapping_text(const char *mapping)
{
	if (!strcmp(mapping, "independent"))
		return ", behind a NAT that maps alike for all";
	if (!strcmp(mapping, "dependent"))
		return ", behind a NAT that maps by destination";
	return "";
}

static void relays_draw(const json_t *answer)
{
	const json_t *r;
	char text[160];
	size_t i;

	json_array_foreach(json_object_get(answer, "relays"), i, r)
	{
		if (!json_object_get(r, "rtt_ms"))
			continue;
		snprintf(text, sizeof(text), "%s, %.1f ms",
			 out_text(r, "address", "?"),
			 json_number_value(json_object_get(r, "rtt_ms")));
		line("relay", text);
	}
}

/* other domains that are allowed */
static void domains_draw(const json_t *answer)
{
	const json_t *d;
	char text[640];
	size_t i;

	json_array_foreach(json_object_get(answer, "domains"), i, d)
	{
		const char *why = out_text(d, "why", "");

		snprintf(text, sizeof(text), "%s%s%s",
			 out_text(d, "domain", "?"), *why ? ": " : "", why);
		line("domain", text);
	}
}

/* groups that this device is in, and what programs there see */
static void groups_draw(const json_t *answer)
{
	const json_t *g;
	char text[640];
	size_t i;

	json_array_foreach(json_object_get(answer, "groups"), i, g)
	{
		bool frozen =
			!json_integer_value(json_object_get(g, "valid_s"));

		snprintf(text, sizeof(text),
			 "%s.group.%s %s, %lld members, epoch %lld%s",
			 out_text(g, "name", "?"), out_text(g, "domain", "?"),
			 out_text(g, "vip6", "without an address yet"),
			 (long long)json_integer_value(
				 json_object_get(g, "members")),
			 (long long)json_integer_value(
				 json_object_get(g, "epoch")),
			 frozen ? ": nothing is sent, as its server is silent"
				: "");
		line("group", text);
	}
}

/* how each peer is reached, and why not directly */
static void paths_draw(const json_t *answer)
{
	const json_t *p;
	char text[640];
	size_t i;

	json_array_foreach(json_object_get(answer, "paths"), i, p)
	{
		const char *state = out_text(p, "state", "?");
		const char *why = out_text(p, "why", "");

		snprintf(text, sizeof(text),
			 "%s %s %s, %.1f ms, %.0f %% lost%s%s",
			 out_text(p, "fqdn", "?"),
			 out_colour(state_colour(state), state),
			 out_text(p, "remote", "-"),
			 json_number_value(json_object_get(p, "rtt_ms")),
			 json_number_value(json_object_get(p, "loss_percent")),
			 *why ? ": " : "", why);
		line("path", text);
	}
}

static void keepalive_draw(const json_t *answer)
{
	const json_t *k = json_object_get(answer, "keepalive");
	json_int_t alive = json_integer_value(json_object_get(k, "alive_s"));
	json_int_t dead = json_integer_value(json_object_get(k, "dead_s"));
	char text[160], bears[80] = "";

	if (!strcmp(out_text(k, "by", ""), "push")) {
		line("keep-alive", "none: a push service tells this device");
		return;
	}
	if (!json_integer_value(json_object_get(k, "interval_s")))
		return;
	if (alive || dead)
		snprintf(bears, sizeof(bears),
			 dead ? ", silence is borne %lld to %lld s"
			      : ", silence is borne at least %lld s",
			 (long long)alive, (long long)dead);
	snprintf(
		text, sizeof(text), "%s, every %lld s%s (%s)",
		out_text(k, "by", "?"),
		(long long)json_integer_value(json_object_get(k, "interval_s")),
		bears, out_text(k, "state", "?"));
	line("keep-alive", text);
}

static void exit_draw(const json_t *e)
{
	const char *name = out_text(e, "name", "");
	char text[640];

	if (!e || !json_is_true(json_object_get(e, "on")))
		return;
	if (*name)
		snprintf(text, sizeof(text), "%s, %s", name,
			 out_text(e, "state", ""));
	line("exit", *name ? text : out_text(e, "why", "not used yet"));
}

static int status_draw(const struct command_args *a)
{
	const json_t *warnings, *w, *totals, *rtt;
	const char *state;
	json_t *answer;
	char text[128];
	size_t i;

	if (command_call(a, json_pack("{s:s}", "cmd", "status"), &answer))
		return 1;
	if (command_json(a, answer))
		goto done;
	state = out_text(answer, "state", "?");
	line("state", out_colour(state_colour(state), state));
	line("name", out_colour(OUT_BOLD, out_text(answer, "fqdn", "-")));
	line("IPv6", out_text(answer, "vip6", ""));
	line("IPv4", out_text(answer, "vip4", ""));
	rtt = json_object_get(answer, "dc_rtt_ms");
	snprintf(text, sizeof(text), "%s, %.1f ms", out_text(answer, "dc", ""),
		 json_number_value(rtt));
	line("coordinator", rtt ? text : out_text(answer, "dc", ""));
	snprintf(text, sizeof(text), "%s%s", out_text(answer, "observed", ""),
		 mapping_text(out_text(answer, "mapping", "")));
	line("seen as", *out_text(answer, "observed", "") ? text : "");
	keepalive_draw(answer);
	snprintf(text, sizeof(text), "TLS, %s: UDP is blocked here",
		 out_text(answer, "gate", ""));
	line("through", *out_text(answer, "gate", "") ? text : "");
	relays_draw(answer);
	exit_draw(json_object_get(answer, "exit"));
	domains_draw(answer);
	groups_draw(answer);
	if (out_int(answer, "certificate_expires"))
		line("certificate",
		     out_date(out_int(answer, "certificate_expires")));
	snprintf(text, sizeof(text), "%lld",
		 (long long)out_int(answer, "peers"));
	line("peers", text);
	totals = json_object_get(answer, "totals");
	snprintf(text, sizeof(text), "%s sent, %s received",
		 out_bytes(out_int(totals, "tx_bytes")),
		 out_bytes(out_int(totals, "rx_bytes")));
	line("traffic", totals ? text : "");
	paths_draw(answer);
	warnings = json_object_get(answer, "warnings");
	json_array_foreach(warnings, i, w)
		printf("%s %s\n", out_colour(OUT_WARN, "warning:"),
		       json_string_value(w) ? json_string_value(w) : "");
done:
	json_decref(answer);
	return 0;
}

int cmd_status(const struct command_args *a)
{
	return command_watch(a, status_draw);
}

#define PEER_COLS 7

static void peer_row(const json_t *p, char text[PEER_COLS][320],
		     const char **row)
{
	const char *state = out_text(p, "state", "?");
	json_int_t last =
		json_object_get(p, "last_rx_s") ? out_int(p, "last_rx_s") : -1;
	int c;

	snprintf(text[0], 320, "%s", out_text(p, "fqdn", "?"));
	snprintf(text[1], 320, "%s", out_colour(state_colour(state), state));
	if (*out_text(p, "relay", ""))
		snprintf(text[2], 320, "relay %s: %s", out_text(p, "relay", ""),
			 out_text(p, "why", ""));
	else
		snprintf(text[2], 320, "%s",
			 out_text(p, "remote", out_text(p, "why", "-")));
	snprintf(text[3], 320,
		 json_object_get(p, "rtt_ms") ? "%.1f ms, %.0f %%" : "-",
		 json_number_value(json_object_get(p, "rtt_ms")),
		 json_number_value(json_object_get(p, "loss_percent")));
	snprintf(text[4], 320, "%s / %s", out_bytes(out_int(p, "tx_bytes")),
		 out_bytes(out_int(p, "rx_bytes")));
	snprintf(text[5], 320, "%s", out_ago(last));
	snprintf(text[6], 320, "%s",
		 json_is_true(json_object_get(p, "verified"))
			 ? out_colour(OUT_GOOD, "verified")
			 : out_colour(OUT_DIM, "unverified"));
	for (c = 0; c < PEER_COLS; c++)
		row[c] = text[c];
}

static int peers_draw(const struct command_args *a)
{
	static const char *const headings[PEER_COLS] = {
		"PEER", "STATE", "PATH", "RTT, LOSS", "SENT / RECEIVED",
		"LAST", "KEY"};
	char(*text)[PEER_COLS][320];
	const char **cells;
	const json_t *list, *p;
	json_t *answer;
	size_t i, n;

	if (command_call(a, json_pack("{s:s}", "cmd", "peers"), &answer))
		return 1;
	list = json_object_get(answer, "peers");
	n = json_array_size(list);
	if (command_json(a, answer)) {
		json_decref(answer);
		return 0;
	}
	if (!n)
		puts("no tunnels");
	text = calloc(n + 1, sizeof(*text));
	cells = calloc(n * PEER_COLS + 1, sizeof(*cells));
	if (text && cells && n) {
		json_array_foreach(list, i, p)
			peer_row(p, text[i], cells + i * PEER_COLS);
		out_table(headings, PEER_COLS, cells, n);
	}
	free(text);
	free(cells);
	json_decref(answer);
	return 0;
}

int cmd_peers(const struct command_args *a)
{
	return command_watch(a, peers_draw);
}

int cmd_netcheck(const struct command_args *a)
{
	const json_t *list, *item, *addresses, *address;
	json_t *answer;
	size_t i, k;

	if (command_call(a, json_pack("{s:s}", "cmd", "netcheck"), &answer))
		return 1;
	if (command_json(a, answer))
		goto done;
	list = json_object_get(answer, "interfaces");
	json_array_foreach(list, i, item)
	{
		printf("%-12s", out_text(item, "name", "?"));
		addresses = json_object_get(item, "addresses");
		json_array_foreach(addresses, k, address)
			printf(" %s", json_string_value(address)
					      ? json_string_value(address)
					      : "?");
		putchar('\n');
	}
	list = json_object_get(answer, "text");
	json_array_foreach(list, i, item)
		puts(json_string_value(item) ? json_string_value(item) : "");
done:
	json_decref(answer);
	return 0;
}
