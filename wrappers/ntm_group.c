/* SPDX-License-Identifier: MIT */
/* ntm-group - groups whose key no server knows: the person's side of ntm-member */
#include <getopt.h>

#include "common/plain.h"
#include "wrappers/client.h"
#include "wrappers/group.h"

#define OPT_RIGHTS (1u << 0)
#define OPT_QR	   (1u << 1)
#define OPT_EXPORT (1u << 2)
#define OPT_YES	   (1u << 3)
#define OPT_CHAT   (1u << 4)
#define OPT_LAST   (1u << 5)
#define OPT_HERE   (1u << 6)

static const struct command commands[] = {
	{"create", "NAME [KEY=VALUE ...]", "found a group", 0, 1, 8,
	 group_create},
	{"invite", "GROUP NAME ...",
	 "invite devices, or all devices of an account", OPT_RIGHTS, 2, 65,
	 group_invite},
	{"accept", "GROUP", "accept an invitation", 0, 1, 1, group_accept},
	{"decline", "GROUP", "do not accept it", 0, 1, 1, group_decline},
	{"list", "", "groups of this device, and invitations", 0, 0, 0,
	 group_list},
	{"members", "[GROUP]", "who is in it, with what rights", 0, 0, 1,
	 group_members},
	{"rights", "GROUP NAME", "say what a member may from now on",
	 OPT_RIGHTS, 2, 2, group_rights},
	{"remove", "GROUP NAME ...", "take members away", 0, 2, 65,
	 group_remove},
	{"leave", "GROUP", "leave it; its keys are wiped at once",
	 OPT_YES | OPT_HERE, 1, 1, group_leave},
	{"rekey", "[GROUP]", "make the members' secret anew", 0, 0, 1,
	 group_rekey},
	{"verify", "[GROUP]", "a code that two members compare aloud", OPT_QR,
	 0, 1, group_verify},
	{"log", "[GROUP]", "what has happened, as members have signed it", 0, 0,
	 1, group_log},
	{"status", "[GROUP]", "epoch, who has its key, what was noticed", 0, 0,
	 1, group_status},
	{"policy", "[GROUP] [KEY=VALUE ...]", "show the rules, or change them",
	 0, 0, 8, group_policy},
	{"send", "GROUP [FILE ...|-]",
	 "a message, of standard input, or files to all members", 0, 1, 65,
	 group_send},
	{"chat", "[GROUP]", "talk; lines in, lines out", OPT_CHAT, 0, 1,
	 group_chat},
	{"history", "[GROUP]", "what was said, and who has read it", OPT_LAST,
	 0, 1, group_history},
	{"export", "GROUP LABEL BYTES",
	 "a key of this epoch for another program", OPT_EXPORT, 3, 3,
	 group_export},
};

static const struct command_option options[] = {
	{"may-invite", 'i', false, no_argument, OPT_RIGHTS,
	 "  --may-invite       they may invite others\n"},
	{"may-remove", 'm', false, no_argument, OPT_RIGHTS,
	 "  --may-remove       they may remove others\n"},
	{"admin", 'a', false, no_argument, OPT_RIGHTS,
	 "  --admin            they may do all that you may\n"},
	{"qr", 'q', false, no_argument, OPT_QR,
	 "  --qr               show it as a QR code, too\n"},
	{"raw", 'r', false, no_argument, OPT_EXPORT,
	 "  --raw              the bytes themselves, not hex\n"},
	{"context", 'c', false, required_argument, OPT_EXPORT,
	 "  --context=TEXT     another key for each context\n"},
	{"yes", 'y', true, no_argument, OPT_YES,
	 "  -y, --yes          do not ask\n"},
	{"here", 'H', false, no_argument, OPT_HERE,
	 "  --here             also where its server does not hear of it\n"},
	{"once", 'o', false, no_argument, OPT_CHAT,
	 "  --once             show what is new, and end\n"},
	{"listen", 'l', false, no_argument, OPT_CHAT,
	 "  --listen           read no input: show what comes\n"},
	{"quiet", 'Q', false, no_argument, OPT_CHAT,
	 "  --quiet            do not tell others that you have read\n"},
	{"last", 'n', false, required_argument, OPT_LAST,
	 "  --last=NUMBER      only so many\n"},
};

/* --- for the commands ------------------------------------------------------------------ */

/* nobody listens: is it that no broker runs, or that it is another one? */
static const char *no_member(void)
{
	return client_broker_runs()
		       ? "ntm-member is not there; install NTMobile again, "
			 "then `ntm down` and `ntm up`"
		       : err_text(-NTM_ENOBROKER);
}

int group_call(const struct command_args *a, json_t *request, json_t **answer)
{
	int err =
		client_call_to(MEMBER_SOCKET, request, CLIENT_LIMIT_S, answer);

	json_decref(request);
	if (!a->json)
		plain_json(*answer, "");
	if (!err)
		return 0;
	if (err == -NTM_ENOBROKER) {
		json_decref(*answer);
		command_fail(a, err, no_member());
	} else {
		command_refused(a, err, *answer);
	}
	*answer = NULL;
	return 1;
}

json_t *group_request(const char *cmd, const char *word)
{
	return json_pack("{s:s, s:s}", "cmd", cmd, "group", word ? word : "");
}

/* --- options --------------------------------------------------------------------------- */

static void option_take(int c, const char *value, struct command_args *a)
{
	a->qr |= c == 'q';
	a->yes |= c == 'y';
	a->raw |= c == 'r';
	a->here |= c == 'H';
	a->may_invite |= c == 'i';
	a->may_remove |= c == 'm';
	a->admin |= c == 'a';
	a->once |= c == 'o';
	a->listen |= c == 'l';
	a->quiet |= c == 'Q';
	if (c == 'c')
		a->context = value;
	if (c == 'n')
		a->last = value;
}

int main(int argc, char **argv)
{
	static const struct command_set set = {
		.program = "ntm-group",
		.footer = "Where a device is in one group only, GROUP in "
			  "brackets can be left out.\n",
		.commands = commands,
		.n_commands = sizeof(commands) / sizeof(commands[0]),
		.options = options,
		.n_options = sizeof(options) / sizeof(options[0]),
		.take = option_take,
	};

	return command_main(&set, argc, argv);
}
