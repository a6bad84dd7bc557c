/* SPDX-License-Identifier: MIT */
/* cli_cs - `ntm-server cs`: the Cache Server here, and those of the domain */
#include <stdio.h>
#include <string.h>

#include "common/out.h"
#include "servers/adminsock.h"
#include "servers/cli.h"

#define ACCOUNTS_SHOWN 10

static long long number(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));

	return t ? t : "";
}

/* "5 bytes", "1.2 GB" */
static const char *size_text(long long n, char out[static 32])
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
	double v = (double)n;
	size_t i = 0;

	for (; v >= 1000 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		v /= 1000;
	snprintf(out, 32, i ? "%.1f %s" : "%.0f %s", v, units[i]);
	return out;
}

/* Return: 0 with @answer, -NTM_ENOTFOUND (it does not run here) ... */
static int ask(const struct cli *c, const char *role, const char *command,
	       json_t **answer)
{
	json_t *request = json_pack("{s:s}", "command", command);
	int r = adminsock_ask(c->dir, role, request, answer);

	json_decref(request);
	return r;
}

/* --- the one here ----------------------------------------------------------------- */

static void print_accounts(const json_t *answer)
{
	json_t *list = json_object_get(answer, "accounts"), *a;
	long long quota = number(answer, "quota");
	char bytes[32], of[32];
	size_t i;

	json_array_foreach(list, i, a)
	{
		if (i == ACCOUNTS_SHOWN)
			break;
		printf("%s%s: %lld items, %s of %s\n", i ? "" : "\n",
		       text(a, "name"), number(a, "items"),
		       size_text(number(a, "bytes"), bytes),
		       size_text(quota, of));
	}
}

static int here(struct cli *c, const char *verb)
{
	json_t *answer;
	int r = cli_enter(c);

	if (r)
		return r;
	r = ask(c, "cs", verb, &answer);
	if (r == -NTM_ENOTFOUND)
		return cli_fail("no Cache Server runs in %s; start ntm-server "
				"run there",
				c->dir);
	if (r)
		return cli_fail("the Cache Server does not answer: %s",
				err_text(r));
	cli_print(c, answer);
	if (!c->json)
		print_accounts(answer);
	if (!c->json && !strcmp(verb, "drain"))
		printf("\nIt takes no new items. What waits here (%lld items) "
		       "can still be fetched: when open and\ncomplete are 0, "
		       "nothing is lost by a stop.\n",
		       number(answer, "open") + number(answer, "complete"));
	json_decref(answer);
	return 0;
}

/* --- those of the domain ------------------------------------------------------------- */

static void print_server(const json_t *s)
{
	char bytes[32], room[32];
	const char *address = json_string_value(
		json_array_get(json_object_get(s, "addresses"), 0));

	printf("%s\n  %s\n  %s, %lld items, %s, room for %s%s; heard of %lld s "
	       "ago\n",
	       text(s, "name"), text(s, "fingerprint"), address ? address : "",
	       number(s, "items"), size_text(number(s, "bytes"), bytes),
	       size_text(number(s, "room"), room),
	       json_is_true(json_object_get(s, "draining")) ? ", draining" : "",
	       number(s, "age_s"));
}

static int list(struct cli *c)
{
	json_t *answer, *s;
	size_t i;
	int r = cli_enter(c);

	if (r)
		return r;
	r = ask(c, "box", "servers", &answer);
	if (r)
		return cli_fail("the box of %s does not answer, which knows "
				"them: %s",
				c->dir,
				r == -NTM_ENOTFOUND ? "it does not run"
						    : err_text(r));
	if (c->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		json_array_foreach(json_object_get(answer, "servers"), i, s)
			print_server(s);
	}
	json_decref(answer);
	return 0;
}

void cli_cs_losses(struct cli *c, const char *fp)
{
	json_t *answer, *s;
	char bytes[32];
	size_t i;

	if (ask(c, "box", "servers", &answer)) {
		printf("What waits there is not known: the box does not run "
		       "here.\n");
		return;
	}
	json_array_foreach(json_object_get(answer, "servers"), i, s)
	{
		if (strcmp(text(s, "fingerprint"), fp) || !number(s, "items"))
			continue;
		printf("%lld items (%s) wait there for their receivers. They "
		       "can be fetched while that\nmachine still runs its "
		       "Cache Server, and are lost when it is stopped; their "
		       "senders\nare not told of receipts any more. To lose "
		       "none, drain first: ntm-server cs drain.\n",
		       number(s, "items"),
		       size_text(number(s, "bytes"), bytes));
	}
	json_decref(answer);
}

int cli_cs(struct cli *c, const char *verb)
{
	bool file = cli_enrol_is(verb);

	if (c->n_args != (file ? 2u : 1u))
		return cli_misused("cs");
	if (file)
		return cli_enrol(c, ENROL_CACHE, verb);
	if (!strcmp(verb, "list"))
		return list(c);
	if (!strcmp(verb, "status") || !strcmp(verb, "drain") ||
	    !strcmp(verb, "undrain"))
		return here(c, verb);
	return cli_misused("cs");
}
