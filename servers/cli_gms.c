/* SPDX-License-Identifier: MIT */
/* cli_gms - `ntm-server gms`: the Group Management Server here, and its groups */
#include <stdio.h>
#include <string.h>

#include "servers/adminsock.h"
#include "servers/cli.h"

static long long number(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

/* "12 s", "3 h", "2 d" */
static const char *age_text(long long s, char out[static 32])
{
	if (s < 0)
		s = 0;
	if (s < 120)
		snprintf(out, 32, "%lld s", s);
	else if (s < 2 * 3600)
		snprintf(out, 32, "%lld min", s / 60);
	else if (s < 2 * 86400)
		snprintf(out, 32, "%lld h", s / 3600);
	else
		snprintf(out, 32, "%lld d", s / 86400);
	return out;
}

static void print_group(const json_t *g, long long now)
{
	char age[32];

	printf("%s: epoch %lld, %lld member%s, ",
	       json_string_value(json_object_get(g, "id")), number(g, "epoch"),
	       number(g, "members"), number(g, "members") == 1 ? "" : "s");
	if (json_is_true(json_object_get(g, "ended"))) {
		printf("ended: all have left\n");
		return;
	}
	printf("%lld here, %lld have confirmed; renewed %s ago",
	       number(g, "here"), number(g, "confirmed"),
	       age_text(now - number(g, "renewed"), age));
	if (number(g, "seen"))
		printf(", heard of %s ago",
		       age_text(now - number(g, "seen"), age));
	if (number(g, "leaving"))
		printf("; %lld wish to leave", number(g, "leaving"));
	printf("\n");
}

static void print_list(const json_t *answer)
{
	json_t *groups = json_object_get(answer, "groups"), *g;
	size_t i;

	if (!json_array_size(groups))
		printf("There are no groups yet; people found them.\n");
	json_array_foreach(groups, i, g) print_group(g, number(answer, "now"));
}

int cli_gms(struct cli *c, const char *verb)
{
	json_t *request, *answer;
	bool list = !strcmp(verb, "list");
	int r;

	if (c->n_args != 1 || (!list && strcmp(verb, "status")))
		return cli_misused("gms");
	r = cli_enter(c);
	if (r)
		return r;
	request = json_pack("{s:s}", "command", verb);
	r = adminsock_ask(c->dir, "gms", request, &answer);
	json_decref(request);
	if (r == -NTM_ENOTFOUND)
		return cli_fail(
			"no Group Management Server runs in %s; name gms "
			"in server.roles of its ntm-server.conf, and "
			"start ntm-server run",
			c->dir);
	if (r)
		return cli_fail(
			"the Group Management Server does not answer: %s",
			err_text(r));
	if (c->json || !list)
		cli_print(c, answer);
	else
		print_list(answer);
	json_decref(answer);
	return 0;
}
