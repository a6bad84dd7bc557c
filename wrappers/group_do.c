/* SPDX-License-Identifier: MIT */
/* group_do - ntm-group: what changes a group, and who is in it */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/grouprules.h"
#include "common/out.h"
#include "common/plain.h"
#include "libntmcrypto/ntmcrypto.h"
#include "wrappers/client.h"
#include "wrappers/group.h"

#define NAME_MAX_SHOWN 256

/* "bob" is an account of this device's domain, "desk.bob" one of its devices. */
static json_t *name_json(const char *word, char **domain)
{
	char full[600];
	size_t dots = 0;
	json_t *answer;

	for (const char *at = word; *at; at++)
		dots += *at == '.';
	if (!*domain) {
		json_t *ask = json_pack("{s:s}", "cmd", "status");

		if (!client_call(ask, NULL, NULL, &answer))
			*domain = strdup(out_text(answer, "domain", ""));
		json_decref(ask);
		json_decref(answer);
	}
	/* of one dot nobody can tell; without one it is of our domain */
	if (dots || !*domain || !**domain || strlen(word) > 255)
		return json_string(word);
	snprintf(full, sizeof(full), "%s.%s", word, *domain);
	return json_string(full);
}

static json_t *names_json(const struct command_args *a)
{
	json_t *names = json_array();
	char *domain = NULL;

	for (int i = 1; i < a->n_words; i++)
		json_array_append_new(names, name_json(a->words[i], &domain));
	free(domain);
	return names;
}

/* KEY=VALUE words from @from on. Return: NULL: said what is wrong */
static json_t *rules_json(const struct command_args *a, int from)
{
	json_t *rules = json_object();
	char text[160], shown[64];

	for (int i = from; i < a->n_words; i++) {
		if (!grouprules_word(rules, a->words[i]))
			continue;
		snprintf(text, sizeof(text),
			 "\"%s\" is no KEY=VALUE; see ntm-group(1)",
			 plain_text(a->words[i], shown, sizeof(shown)));
		command_fail(a, -NTM_EINVAL, text);
		json_decref(rules);
		return NULL;
	}
	return rules;
}

/* Return: the exit status; @said where it went well */
static int simple(const struct command_args *a, json_t *request,
		  const char *said)
{
	json_t *answer;

	if (group_call(a, request, &answer))
		return 1;
	if (!command_json(a, answer))
		puts(said);
	json_decref(answer);
	return 0;
}

int group_create(const struct command_args *a)
{
	json_t *rules = rules_json(a, 1), *answer;

	if (!rules)
		return 1;
	if (group_call(a,
		       json_pack("{s:s, s:s, s:o}", "cmd", "create", "name",
				 a->words[0], "policy", rules),
		       &answer))
		return 1;
	if (!command_json(a, answer))
		printf("group %s is founded; invite others with `ntm-group "
		       "invite %s NAME`\n",
		       out_text(answer, "name", "?"),
		       out_text(answer, "name", "?"));
	json_decref(answer);
	return 0;
}

/* who is invited, who is not and why. Return: the exit status */
static int invited(const struct command_args *a, const json_t *answer)
{
	size_t i, bad = 0;
	json_t *j;

	json_array_foreach(json_object_get(answer, "names"), i, j)
	{
		bool ok = json_is_true(json_object_get(j, "ok"));

		bad += !ok;
		if (a->json)
			continue;
		if (ok)
			printf("%s is invited\n", out_text(j, "name", "?"));
		else
			fprintf(stderr, "ntm-group: %s: %s\n",
				out_text(j, "name", "?"),
				out_text(j, "text", "?"));
	}
	return bad ? 1 : 0;
}

static void rights_put(const struct command_args *a, json_t *request)
{
	json_object_set_new(request, "may_invite", json_boolean(a->may_invite));
	json_object_set_new(request, "may_remove", json_boolean(a->may_remove));
	json_object_set_new(request, "admin", json_boolean(a->admin));
}

int group_invite(const struct command_args *a)
{
	json_t *request = group_request("invite", a->words[0]), *answer;
	int r;

	json_object_set_new(request, "names", names_json(a));
	rights_put(a, request);
	if (group_call(a, request, &answer))
		return 1;
	r = invited(a, answer);
	command_json(a, answer);
	json_decref(answer);
	return r;
}

/* an invitation; or a wish of the administrator, which is founded at once */
int group_accept(const struct command_args *a)
{
	const char *founded, *fetched;
	json_t *answer;
	int r = 0;

	if (group_call(a, group_request("accept", a->words[0]), &answer))
		return 1;
	founded = out_text(answer, "founded", NULL);
	if (founded && !a->json)
		printf("group %s is founded\n", founded);
	if (founded)
		r = invited(a, answer);
	fetched = out_text(answer, "fetched", NULL);
	if (fetched && !a->json)
		printf("the invitation of %s is fetched; `ntm-group list` "
		       "shows to which group, then accept that\n",
		       fetched);
	if (!command_json(a, answer) && !founded && !fetched)
		puts("accepted; you are in when the inviter's device has "
		     "heard, see `ntm-group list`");
	json_decref(answer);
	return r;
}

int group_decline(const struct command_args *a)
{
	return simple(a, group_request("decline", a->words[0]), "declined");
}

/* what is not named, the member may not */
int group_rights(const struct command_args *a)
{
	json_t *request = group_request("rights", a->words[0]);
	char *domain = NULL;

	json_object_set_new(request, "name", name_json(a->words[1], &domain));
	free(domain);
	rights_put(a, request);
	return simple(a, request,
		      "done; `ntm-group members` shows who may what");
}

int group_remove(const struct command_args *a)
{
	json_t *request = group_request("remove", a->words[0]);

	json_object_set_new(request, "names", names_json(a));
	return simple(a, request,
		      "removed; who stays has a key that they cannot make");
}

int group_leave(const struct command_args *a)
{
	json_t *request;
	char line[16], shown[80];

	if (!a->yes && !a->json && isatty(STDIN_FILENO)) {
		printf("Leave %s? What this device knows of it is wiped. "
		       "[y/N] ",
		       plain_text(a->words[0], shown, sizeof(shown)));
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin) ||
		    (*line != 'y' && *line != 'Y'))
			return 1;
	}
	request = group_request("leave", a->words[0]);
	json_object_set_new(request, "here", json_boolean(a->here));
	return simple(
		a, request,
		a->here ? "left; where the server has not heard of it the "
			  "others do not know: one of them removes this "
			  "device"
			: "left; the others' keys change as soon as one "
			  "of them is online");
}

int group_rekey(const struct command_args *a)
{
	return simple(a,
		      group_request("rekey", a->n_words ? a->words[0] : NULL),
		      "the members' secret is made anew");
}

int group_export(const struct command_args *a)
{
	json_t *request = group_request("export", a->words[0]), *answer;
	uint8_t key[1024];
	const char *text;
	char *end;
	long n = strtol(a->words[2], &end, 10);
	int status = 1;

	if (*end || n < 1 || n > (long)sizeof(key)) {
		json_decref(request);
		return command_fail(a, -NTM_EINVAL,
				    "a key has 1 to 1024 bytes");
	}
	json_object_set_new(request, "label", json_string(a->words[1]));
	json_object_set_new(request, "bytes", json_integer(n));
	json_object_set_new(request, "context",
			    json_string(a->context ? a->context : ""));
	if (group_call(a, request, &answer))
		return 1;
	text = out_text(answer, "key", "");
	if (ntmc_base64url_decode(text, key, (size_t)n)) {
		command_fail(
			a, -NTM_EDECODE,
			"ntm-member is of another version; run `ntm down`, "
			"then `ntm up`");
	} else if (command_json(a, answer)) {
		status = 0;
	} else if (a->raw) {
		status = fwrite(key, 1, (size_t)n, stdout) != (size_t)n;
	} else {
		for (long i = 0; i < n; i++)
			printf("%02x", key[i]);
		putchar('\n');
		status = 0;
	}
	ntmc_wipe(key, sizeof(key));
	json_decref(answer);
	return status;
}

/* a group's name has no =, so a rule may stand first where there is one group */
int group_policy(const struct command_args *a)
{
	bool only = a->n_words && strchr(a->words[0], '=');
	json_t *rules, *request, *answer, *value;
	const char *key;

	if (only || a->n_words > 1) {
		rules = rules_json(a, only ? 0 : 1);
		if (!rules)
			return 1;
		request = group_request("policy", only ? NULL : a->words[0]);
		json_object_set_new(request, "policy", rules);
		return simple(a, request, "the rules are changed");
	}
	if (group_call(a,
		       group_request("status", a->n_words ? a->words[0] : NULL),
		       &answer))
		return 1;
	if (!command_json(a, answer))
		json_object_foreach(json_object_get(answer, "policy"), key,
				    value)
		{
			if (!strcmp(key, "delegate"))
				printf("%s=%s\n", key,
				       json_integer_value(value) ? "yes"
								 : "no");
			else if (json_is_string(value))
				printf("%s=%s\n", key,
				       json_string_value(value));
			else
				printf("%s=%lld\n", key,
				       (long long)json_integer_value(value));
		}
	json_decref(answer);
	return 0;
}
