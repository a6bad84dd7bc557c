/* SPDX-License-Identifier: MIT */
/* group_show - ntm-group: what is so: list, members, status, log, verify */
#include <qrencode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/out.h"
#include "wrappers/group.h"

static const char *word(const struct command_args *a)
{
	return a->n_words ? a->words[0] : NULL;
}

static const char *state_text(const char *state)
{
	static const struct {
		const char *state, *text;
	} texts[] = {
		{"behind", "no key yet"},
		{"joined", "in"},
		{"frozen",
		 "frozen: its server is silent, or keeps something back; "
		 "nothing is sent"},
		{"forked",
		 "forked: its server shows two logs; nothing is sent. Leave "
		 "it, and form it anew"},
		{"out", "out"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!strcmp(texts[i].state, state))
			return texts[i].text;
	return state;
}

/* --- list ----------------------------------------------------------------------------- */

static void invitation_print(const json_t *j)
{
	const char *state = out_text(j, "state", "");

	if (!strcmp(state, "held"))
		printf("  an invitation of %s, who may not send here unasked: "
		       "`ntm-group accept %s` fetches it\n",
		       out_text(j, "inviter", "?"),
		       out_text(j, "inviter", "?"));
	else if (!strcmp(state, "defined"))
		printf("  %s  %s asks you to found it, with %zu to invite: "
		       "`ntm-group accept %s`\n",
		       out_colour(OUT_BOLD, out_text(j, "name", "?")),
		       out_text(j, "server", "?"),
		       json_array_size(json_object_get(j, "members")),
		       out_text(j, "name", "?"));
	else if (!strcmp(state, "waits for you"))
		printf("  %s  invited by %s, until %s: `ntm-group accept "
		       "%s`\n",
		       out_colour(OUT_BOLD, out_text(j, "name", "?")),
		       out_text(j, "inviter", "?"),
		       out_date(out_int(j, "expires")),
		       out_text(j, "name", "?"));
	else if (!strcmp(state, "joining"))
		printf("  %s  accepted; %s is to let this device in\n",
		       out_text(j, "name", "?"), out_text(j, "inviter", "?"));
	else if (!strcmp(state, "declined"))
		printf("  %s  %s has declined\n", out_text(j, "name", "?"),
		       out_text(j, "invitee", "?"));
	else
		printf("  %s  %s is %s\n", out_text(j, "name", "?"),
		       out_text(j, "invitee", "?"), state);
}

int group_list(const struct command_args *a)
{
	json_t *answer, *groups, *papers, *j;
	size_t i;

	if (group_call(a, json_pack("{s:s}", "cmd", "list"), &answer))
		return 1;
	groups = json_object_get(answer, "groups");
	papers = json_object_get(answer, "invitations");
	if (command_json(a, answer)) {
		json_decref(answer);
		return 0;
	}
	if (!json_array_size(groups) && !json_array_size(papers))
		puts("this device is in no group, and nobody has invited it");
	json_array_foreach(groups, i, j)
	{
		json_int_t unread = out_int(j, "unread");

		printf("%s  %s, %lld member%s, epoch %lld",
		       out_colour(OUT_BOLD, out_text(j, "name", "?")),
		       state_text(out_text(j, "state", "?")),
		       (long long)out_int(j, "members"),
		       out_int(j, "members") == 1 ? "" : "s",
		       (long long)out_int(j, "epoch"));
		if (unread)
			printf(", %lld new: `ntm-group chat %s`",
			       (long long)unread, out_text(j, "name", "?"));
		putchar('\n');
	}
	if (json_array_size(papers))
		puts("invitations:");
	json_array_foreach(papers, i, j) invitation_print(j);
	json_decref(answer);
	return 0;
}

/* --- status, members ------------------------------------------------------------------- */

static void saw_print(const json_t *answer)
{
	const char *who;
	size_t i;
	json_t *j;

	json_array_foreach(json_object_get(answer, "saw"), i, j)
	{
		who = out_text(j, "member", NULL);
		printf("noticed      %s  epoch %lld: %s%s%s%s\n",
		       out_date(out_int(j, "at")),
		       (long long)out_int(j, "epoch"), out_text(j, "text", "?"),
		       who ? " (" : "", who ? who : "", who ? ")" : "");
	}
}

/* @key: in @answer, seconds until it is due; it is not there where there is no key */
static void due_print(const json_t *answer, const char *by, json_int_t every,
		      const char *key)
{
	const json_t *due = json_object_get(answer, key);

	printf("renewal      every %lld s by the %s", (long long)every, by);
	if (!json_integer_value(due))
		puts(due ? ", due now" : "");
	else
		printf(", next in %lld s\n",
		       (long long)json_integer_value(due));
}

int group_status(const struct command_args *a)
{
	json_t *answer, *policy;
	json_int_t valid;

	if (group_call(a, group_request("status", word(a)), &answer))
		return 1;
	if (command_json(a, answer)) {
		json_decref(answer);
		return 0;
	}
	policy = json_object_get(answer, "policy");
	printf("group        %s (%s)\n", out_text(answer, "name", "?"),
	       out_text(answer, "id", "?"));
	printf("state        %s\n", state_text(out_text(answer, "state", "?")));
	printf("epoch        %lld, generation %lld of the members' secret\n",
	       (long long)out_int(answer, "epoch"),
	       (long long)out_int(answer, "generation"));
	printf("confirmed    %lld of %lld members have this epoch's key\n",
	       (long long)out_int(answer, "confirmed"),
	       (long long)out_int(answer, "members"));
	due_print(answer, "server", out_int(policy, "renew"), "renewal_s");
	due_print(answer, "members", out_int(policy, "refresh"), "refresh_s");
	valid = out_int(answer, "valid_s");
	if (valid)
		printf("valid        for %lld s more without a word of the "
		       "server\n",
		       (long long)valid);
	printf("server       %s, %s\n", out_text(answer, "server", "?"),
	       json_is_true(json_object_get(answer, "connected"))
		       ? "connected"
		       : out_text(answer, "trouble", "not connected"));
	saw_print(answer);
	json_decref(answer);
	return 0;
}

/* @before: in front of the first of them */
static void rights_print(const json_t *rights, const char *before)
{
	const char *text;
	json_t *right;
	size_t i;

	json_array_foreach(rights, i, right)
	{
		text = json_string_value(right);
		printf("%s%s", i ? ", " : before,
		       strcmp(text, "admin") ? text : "administer");
	}
	if (!json_array_size(rights) && *before == ',')
		printf("%snothing", before);
}

int group_members(const struct command_args *a)
{
	json_t *answer, *j;
	size_t i;

	if (group_call(a, group_request("members", word(a)), &answer))
		return 1;
	if (command_json(a, answer)) {
		json_decref(answer);
		return 0;
	}
	json_array_foreach(json_object_get(answer, "members"), i, j)
	{
		printf("%4lld  %s%s", (long long)out_int(j, "index"),
		       out_colour(OUT_BOLD, out_text(j, "name", "?")),
		       json_is_true(json_object_get(j, "self"))
			       ? " (this device)"
			       : "");
		printf("  %s", json_is_true(json_object_get(j, "confirmed"))
				       ? "has the key"
				       : "has not confirmed the key");
		rights_print(json_object_get(j, "rights"), "; may ");
		putchar('\n');
	}
	json_decref(answer);
	return 0;
}

/* --- log ----------------------------------------------------------------------------------- */

static void entry_print(const json_t *j)
{
	const char *reason = out_text(j, "reason", NULL);
	json_t *who;
	size_t i;

	printf("%4lld  %s  %s  by %s", (long long)out_int(j, "epoch"),
	       out_date(out_int(j, "time")),
	       reason ? reason : out_text(j, "kind", "?"),
	       out_text(j, "author", "?"));
	json_array_foreach(json_object_get(j, "members"), i, who)
		printf("%s%s", i ? ", " : ": ", json_string_value(who));
	if (json_object_get(j, "rights"))
		rights_print(json_object_get(j, "rights"), ", who may ");
	putchar('\n');
}

int group_log(const struct command_args *a)
{
	json_t *all = NULL, *answer, *request, *entries, *j;
	json_int_t from = 1;
	size_t i, n;

	do {
		request = group_request("log", word(a));
		json_object_set_new(request, "from", json_integer(from));
		if (group_call(a, request, &answer)) {
			json_decref(all);
			return 1;
		}
		entries = json_object_get(answer, "entries");
		n = json_array_size(entries);
		if (n)
			from = out_int(json_array_get(entries, n - 1),
				       "epoch") +
			       1;
		if (!all)
			all = json_incref(answer);
		else
			json_array_extend(json_object_get(all, "entries"),
					  entries);
		json_decref(answer);
	} while (n);
	if (!command_json(a, all))
		json_array_foreach(json_object_get(all, "entries"), i, j)
			entry_print(j);
	json_decref(all);
	return 0;
}

/* --- verify ---------------------------------------------------------------------------------- */

/* two rows of modules in one of the terminal, dark on light, with a quiet edge */
static int qr_print(const char *text)
{
	QRcode *q = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1);
	int x, y, w;

	if (!q)
		return 1;
	w = q->width;
#define DARK(x, y)                                                             \
	((x) >= 0 && (y) >= 0 && (x) < w && (y) < w &&                         \
	 (q->data[(y)*w + (x)] & 1))
	for (y = -2; y < w + 2; y += 2) {
		fputs("\033[30;107m", stdout);
		for (x = -2; x < w + 2; x++)
			fputs(DARK(x, y) ? DARK(x, y + 1) ? "\u2588" : "\u2580"
			      : DARK(x, y + 1) ? "\u2584"
					       : " ",
			      stdout);
		puts("\033[0m");
	}
#undef DARK
	QRcode_free(q);
	return 0;
}

int group_verify(const struct command_args *a)
{
	json_t *answer;
	char text[256];
	int status = 0;

	if (group_call(a, group_request("verify", word(a)), &answer))
		return 1;
	if (!command_json(a, answer)) {
		printf("%s\n",
		       out_colour(OUT_BOLD, out_text(answer, "code", "?")));
		printf("Another member's `ntm-group verify` shows the same in "
		       "epoch %lld, if both have the same key, members (%lld) "
		       "and past.\n",
		       (long long)out_int(answer, "epoch"),
		       (long long)out_int(answer, "members"));
		snprintf(text, sizeof(text), "ntm-group:%s:%lld:%s",
			 out_text(answer, "name", ""),
			 (long long)out_int(answer, "epoch"),
			 out_text(answer, "code", ""));
		if (a->qr && qr_print(text))
			status = command_fail(a, -NTM_ENOMEM,
					      "the QR code cannot be made");
	}
	json_decref(answer);
	return status;
}
