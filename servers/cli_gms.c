/* SPDX-License-Identifier: MIT */
/* cli_gms - `ntm-server gms`: the Group Management Server here, and its groups */
#include <stdio.h>
#include <string.h>

#include "common/fqdn.h"
#include "common/grouprules.h"
#include "libntmcrypto/group.h"
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

/* one that was defined here; whose log it became, is not known here */
static void print_plan(const json_t *g, long long now)
{
	const char *state = json_string_value(json_object_get(g, "state"));
	long long over = number(g, "over"), made = number(g, "defined");
	size_t n = json_array_size(json_object_get(g, "members"));
	bool waits = !state || !strcmp(state, "waits");
	char age[32];

	printf("%s: defined, with %zu name%s to invite; %s %s, %s ago\n",
	       json_string_value(json_object_get(g, "name")), n,
	       n == 1 ? "" : "s",
	       waits			   ? "waits for"
	       : !strcmp(state, "founded") ? "founded by"
					   : "declined by",
	       json_string_value(json_object_get(g, "founder")),
	       age_text(now - (waits ? made : over), age));
}

static void print_list(const json_t *answer)
{
	json_t *groups = json_object_get(answer, "groups"), *g;
	json_t *defined = json_object_get(answer, "defined");
	size_t i;

	if (!json_array_size(groups) && !json_array_size(defined))
		printf("There are no groups yet; people found them.\n");
	json_array_foreach(groups, i, g) print_group(g, number(answer, "now"));
	json_array_foreach(defined, i, g) print_plan(g, number(answer, "now"));
}

/* --- groups that an administrator defines ---------------------------------------------- */

static bool right_of(const char *word, size_t len, int *rights)
{
	static const struct {
		const char *word;
		int rights;
	} words[] = {{"invite", GROUP_MAY_INVITE},
		     {"remove", GROUP_MAY_REMOVE},
		     {"admin", GROUP_ALL_RIGHTS}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i].word) == len &&
		    !memcmp(words[i].word, word, len)) {
			*rights |= words[i].rights;
			return true;
		}
	return false;
}

/* "bob" is an account of the domain. Return: false: no name */
static bool full_name(const char *domain, const char *word, size_t len,
		      char out[static FQDN_MAX + 1])
{
	char name[2 * FQDN_MAX];

	if (len > FQDN_MAX)
		return false;
	snprintf(name, sizeof(name), "%.*s%s%s", (int)len, word,
		 memchr(word, '.', len) ? "" : ".",
		 memchr(word, '.', len) ? "" : domain);
	return !fqdn_normalize(name, out);
}

/* NAME[:RIGHT,...]. Return: NULL: it is none */
static json_t *member_json(const char *domain, const char *word)
{
	size_t len = strcspn(word, ":"), n;
	char name[FQDN_MAX + 1];
	int rights = 0;

	if (!full_name(domain, word, len, name))
		return NULL;
	for (word += len; *word; word += n) {
		n = strcspn(++word, ",");
		if (!right_of(word, n, &rights))
			return NULL;
	}
	return json_pack("{s:s, s:i}", "name", name, "rights", rights);
}

static int fill_request(const struct cli *c, const char *domain, json_t *to)
{
	json_t *members = json_array(), *rules = json_object(), *j;
	char founder[FQDN_MAX + 1];

	json_object_set_new(to, "members", members);
	json_object_set_new(to, "rules", rules);
	if (!full_name(domain, c->args[2], strlen(c->args[2]), founder))
		return cli_fail("%s is no name of an account or a device",
				c->args[2]);
	json_object_set_new(to, "name", json_string(c->args[1]));
	json_object_set_new(to, "founder", json_string(founder));
	for (size_t i = 3; i < c->n_args; i++) {
		if (strchr(c->args[i], '=') &&
		    !grouprules_word(rules, c->args[i]))
			continue;
		j = member_json(domain, c->args[i]);
		if (!j)
			return cli_fail("%s is no member, as bob or "
					"desk.bob.example.org:invite,remove, "
					"and no rule, as renew=600",
					c->args[i]);
		json_array_append_new(members, j);
	}
	return 0;
}

static int make_request(const struct cli *c, json_t **out)
{
	struct server_conf conf;
	json_t *j = json_pack("{s:s}", "command", c->args[0]);
	int r = 0;

	if (!strcmp(c->args[0], "define")) {
		r = cli_conf(c, &conf);
		if (r) {
			json_decref(j);
			return r;
		}
		r = fill_request(c, conf.domain, j);
		serverconf_clear(&conf);
	} else if (c->n_args == 2) {
		json_object_set_new(j, "name", json_string(c->args[1]));
	}
	if (r)
		json_decref(j);
	else
		*out = j;
	return r;
}

static bool is_used_well(const struct cli *c)
{
	const char *verb = c->args[0];

	if (!strcmp(verb, "define"))
		return c->n_args >= 3;
	if (!strcmp(verb, "undefine"))
		return c->n_args == 2;
	return c->n_args == 1 &&
	       (!strcmp(verb, "list") || !strcmp(verb, "status"));
}

static void print_answer(struct cli *c, json_t *answer)
{
	if (c->json || !strcmp(c->args[0], "status"))
		cli_print(c, answer);
	else if (!strcmp(c->args[0], "list"))
		print_list(answer);
	else if (!strcmp(c->args[0], "undefine"))
		printf("nobody is asked to found %s any more\n", c->args[1]);
	else
		printf("%s is defined; %s founds it with `ntm-group accept "
		       "%s`\n",
		       c->args[1],
		       json_string_value(json_object_get(answer, "founder")),
		       c->args[1]);
}

int cli_gms(struct cli *c, const char *verb)
{
	json_t *request, *answer;
	const char *text;
	int r;

	(void)verb;
	if (!is_used_well(c))
		return cli_misused("gms");
	r = cli_enter(c);
	if (!r)
		r = make_request(c, &request);
	if (r)
		return r;
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
	if (!json_is_true(json_object_get(answer, "ok"))) {
		text = json_string_value(json_object_get(answer, "text"));
		r = cli_fail("%s", text ? text : "it was refused");
	} else {
		print_answer(c, answer);
	}
	json_decref(answer);
	return r;
}
