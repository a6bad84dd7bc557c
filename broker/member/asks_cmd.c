/* SPDX-License-Identifier: MIT */
/* asks_cmd - the requests of member.sock */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "broker/member/asks.h"
#include "broker/member/plans.h"
#include "common/fqdn.h"
#include "common/grouprules.h"
#include "common/log.h"

#define LOG_PAGE 500 /* entries in one answer */

static const char *sentence(int err)
{
	switch (-err) {
	case NTM_EPERM:
		return "this device has not the right to; `ntm-group members` "
		       "shows who has";
	case NTM_EAGAIN:
		return "another change of the group is under way; try again in "
		       "a moment";
	case NTM_ESTATE:
		return "this device has not the group's present key; see "
		       "`ntm-group status`";
	case NTM_ENOTOURS:
		return "the server founds groups for devices of its own domain "
		       "alone";
	case NTM_ELIMIT:
		return "this device is in as many groups, or has as many "
		       "invitations open, as it may";
	case NTM_ERATE:
		return "too many changes at once; wait ten seconds and try "
		       "again";
	default:
		return NULL;
	}
}

void ask_done(struct ask *a, int err)
{
	if (err)
		ask_fail(a, err, sentence(err));
	else
		ask_answer(a, NULL);
}

void ask_late(struct ask *a, struct part *p)
{
	const char *what = p->founding
				   ? "the group is founded when it does, see "
				     "`ntm-group list`"
			   : member_keeps_wish(p->m)
				   ? "the change is made when it does; see "
				     "`ntm-group log`"
				   : "the change is made when it does, if "
				     "this device is up until then; see "
				     "`ntm-group log`";
	const char *trouble = server_trouble(p->server);
	char text[400];

	if (server_is_open(p->server))
		trouble = "";
	snprintf(text, sizeof(text), "%s does not answer%s%s%s; %s",
		 server_name(p->server), *trouble ? " (" : "", trouble,
		 *trouble ? ")" : "", what);
	ask_fail(a, -NTM_ETIMEOUT, text);
}

struct part *ask_part(struct ask *a)
{
	const char *name = ask_text(a, "group");
	struct part *p, *first = ask_node(a)->parts;
	int r = part_find(ask_node(a), name, &p);

	if (!*name && first && !first->next) {
		p = first; /* there is no other that could be meant */
		r = 0;
	}
	if (!r)
		return p;
	if (!*name)
		ask_fail(a, first ? -NTM_EINVAL : -NTM_ENOTFOUND,
			 first ? "name the group; `ntm-group list` shows them"
			       : "this device is in no group; `ntm-group "
				 "create` founds one");
	else
		ask_fail(a, r,
			 r == -NTM_EEXISTS
				 ? "several groups have that name; give the "
				   "beginning of its ID, see `ntm-group list`"
				 : "this device is in no such group; see "
				   "`ntm-group list`");
	return NULL;
}

bool ask_policy(struct ask *a, struct group_policy *p)
{
	char why[GROUPRULES_WHY_LEN];
	int r = grouprules_take(json_object_get(ask_request(a), "policy"), p,
				why);

	if (r)
		ask_fail(a, r, why);
	return !r;
}

/* --- changes --------------------------------------------------------------------------- */

static void wish(struct ask *a, struct part *p, const struct group_change *c)
{
	int r = part_wish(p, c, a);

	if (r)
		ask_done(a, r);
}

/* @name: a device, an account (all its devices), or a number. Return: how many of the
 * members it means, in @out, @max at most */
static size_t members_named(const struct part *p, const char *name,
			    uint32_t *out, size_t max)
{
	const struct group *g = member_group(p->m);
	size_t i, k = 0, n = group_size(g);
	char *end;
	unsigned long index = strtoul(name, &end, 10);
	bool number = *name && !*end;

	for (i = 0; i < n && k < max; i++) {
		const struct group_member *m = group_at(g, i);

		if (number ? m->index == index
			   : fqdn_is_within(m->fqdn, name) && strchr(name, '.'))
			out[k++] = m->index;
	}
	return k;
}

/* @who: NULL: it was no text */
static void no_member(struct ask *a, const char *who)
{
	char text[320];

	snprintf(text, sizeof(text),
		 "%.253s is no member; `ntm-group members` shows who is",
		 who ? who : "that");
	ask_fail(a, -NTM_ENONAME, text);
}

static void cmd_remove(struct ask *a)
{
	json_t *names = json_object_get(ask_request(a), "names"), *name;
	struct part *p = ask_part(a);
	uint32_t gone[GROUP_GONE_MAX];
	struct group_change c = {
		.kind = GROUP_REMOVE, .reason = GROUP_REMOVED, .gone = gone};
	size_t i, k, n;

	if (!p)
		return;
	json_array_foreach(names, i, name)
	{
		const char *who = json_string_value(name);

		n = who ? members_named(p, who, gone + c.n_gone,
					GROUP_GONE_MAX - c.n_gone)
			: 0;
		if (!n) {
			no_member(a, who);
			return;
		}
		for (k = c.n_gone; k < c.n_gone + n; k++)
			if (gone[k] == member_index(p->m)) {
				ask_fail(a, -NTM_EINVAL,
					 "nobody removes itself; `ntm-group "
					 "leave` does that");
				return;
			}
		c.n_gone += n;
	}
	if (!c.n_gone)
		ask_fail(a, -NTM_EINVAL, "name who is to be removed");
	else
		wish(a, p, &c);
}

/* is there anybody but @index who administers? */
static bool others_administer(const struct group *g, uint32_t index)
{
	size_t i;

	for (i = 0; i < group_size(g); i++)
		if (group_at(g, i)->index != index &&
		    (group_at(g, i)->rights & GROUP_ADMIN))
			return true;
	return false;
}

uint8_t ask_rights(const struct ask *a)
{
	const json_t *r = ask_request(a);
	uint8_t rights = 0;

	if (json_is_true(json_object_get(r, "may_invite")))
		rights |= GROUP_MAY_INVITE;
	if (json_is_true(json_object_get(r, "may_remove")))
		rights |= GROUP_MAY_REMOVE;
	return json_is_true(json_object_get(r, "admin")) ? GROUP_ALL_RIGHTS
							 : rights;
}

static void cmd_rights(struct ask *a)
{
	const char *who = ask_text(a, "name");
	struct group_change c = {.kind = GROUP_RIGHTS, .rights = ask_rights(a)};
	struct part *p = ask_part(a);
	uint32_t found[2];
	size_t n;

	if (!p)
		return;
	n = members_named(p, who, found, 2);
	if (!n) {
		no_member(a, who);
		return;
	}
	if (n > 1) {
		ask_fail(a, -NTM_EINVAL,
			 "several devices of that account are members; name "
			 "one of them");
		return;
	}
	c.index = found[0];
	if (!(c.rights & GROUP_ADMIN) &&
	    !others_administer(member_group(p->m), c.index)) {
		ask_fail(a, -NTM_EINVAL,
			 "nobody would be left who administers the group; give "
			 "--admin to another member first");
		return;
	}
	wish(a, p, &c);
}

static void cmd_rekey(struct ask *a)
{
	struct part *p = ask_part(a);
	struct group_change c = {.kind = GROUP_REFRESH};

	if (p)
		wish(a, p, &c);
}

static void cmd_policy(struct ask *a)
{
	struct part *p = ask_part(a);
	struct group_policy policy;
	struct group_change c = {.kind = GROUP_POLICY, .policy = &policy};

	if (!p)
		return;
	policy = *group_policy(member_group(p->m));
	if (ask_policy(a, &policy))
		wish(a, p, &c);
}

static void cmd_leave(struct ask *a)
{
	struct part *p = ask_part(a);
	int r;

	if (!p)
		return;
	if (p->waits) {
		ask_done(a, -NTM_EAGAIN);
		return;
	}
	r = member_leave(p->m,
			 json_is_true(json_object_get(ask_request(a), "here")));
	if (r == -NTM_ESTORE)
		ask_fail(a, r,
			 "the group cannot be forgotten: its store cannot be "
			 "written; see whether the disk is full");
	else if (r && member_index(p->m) == GROUP_SERVER)
		ask_fail(a, r,
			 "this device is not in the group yet; with --here it "
			 "does not join");
	else if (r)
		ask_fail(a, r,
			 "the group's server cannot be reached now, and "
			 "nobody else would know that this device has "
			 "left; try again later, or with --here, and tell "
			 "one of them");
	else
		ask_answer(a, NULL);
}

/* --- what is so -------------------------------------------------------------------------- */

static void list_all(struct ask *a)
{
	struct node *n = ask_node(a);
	json_t *groups = json_array(), *papers = show_papers(n);
	struct part *p;

	plans_show(n->plans, papers);

	DL_FOREACH (n->parts, p)
		if (!p->over && !member_is_leaving(p->m))
			json_array_append_new(groups, show_group(p, true));
	ask_answer(a, json_pack("{s:o, s:o}", "groups", groups, "invitations",
				papers));
}

static void cmd_list(struct ask *a)
{
	plans_look(ask_node(a)->plans, a, list_all);
}

void asks_people(struct ask *a, struct part *p)
{
	const char *cmd = ask_text(a, "cmd");
	json_t *j = show_group(p, false);

	if (!strcmp(cmd, "members"))
		json_object_set_new(j, "members", show_members(p));
	ask_answer(a, j);
}

/* status and members: with the newest confirmations, where they can be had */
static void cmd_people(struct ask *a)
{
	struct part *p = ask_part(a);

	if (!p)
		return;
	member_ask_straight(p->m); /* in time for the server's answer, mostly */
	if (p->answers || !member_prepare(p->m)) {
		asks_people(a, p);
		return;
	}
	p->answers = a;
	loop_timer_arm(p->patience, LOOP_S(5));
}

static void cmd_log(struct ask *a)
{
	json_int_t from =
		json_integer_value(json_object_get(ask_request(a), "from"));
	struct part *p = ask_part(a);

	if (p)
		ask_answer(a,
			   json_pack("{s:s, s:o}", "name", member_name(p->m),
				     "entries",
				     show_log(p, from > 0 ? (uint64_t)from : 1,
					      LOG_PAGE)));
}

static const struct group_keys *keys_ask(struct ask *a, struct part **p)
{
	const struct group_keys *k;

	*p = ask_part(a);
	k = *p ? member_keys((*p)->m) : NULL;
	if (*p && !k)
		ask_done(a, -NTM_ESTATE);
	return k;
}

static void cmd_verify(struct ask *a)
{
	char text[NTMC_VERIFY_TEXT_LEN];
	struct part *p;
	const struct group_keys *k = keys_ask(a, &p);
	int r;

	if (!k)
		return;
	r = group_verify_code(k, member_group(p->m), text);
	if (r)
		ask_done(a, r);
	else
		ask_answer(
			a,
			json_pack("{s:s, s:s, s:I, s:I}", "name",
				  member_name(p->m), "code", text, "epoch",
				  (json_int_t)k->epoch, "members",
				  (json_int_t)group_size(member_group(p->m))));
}

static void cmd_export(struct ask *a)
{
	json_int_t bytes =
		json_integer_value(json_object_get(ask_request(a), "bytes"));
	const char *label = ask_text(a, "label"), *ctx = ask_text(a, "context");
	char text[NTMC_BASE64URL_LEN(1024) + 3];
	uint8_t key[1024];
	struct part *p;
	const struct group_keys *k = keys_ask(a, &p);

	if (!k)
		return;
	if (bytes < 1 || bytes > (json_int_t)sizeof(key) || !*label ||
	    group_export(k, label, ctx, strlen(ctx), key, (size_t)bytes)) {
		ask_fail(a, -NTM_EINVAL,
			 "a label has 1 to 255 bytes, a key 1 to 1024");
		return;
	}
	ntmc_base64url_encode(key, (size_t)bytes, text);
	ask_answer(a, json_pack("{s:s, s:I}", "key", text, "epoch",
				(json_int_t)k->epoch));
	ntmc_wipe(key, sizeof(key));
	ntmc_wipe(text, sizeof(text));
}

static const struct ask_command commands[] = {
	{"create", asks_create}, {"invite", asks_invite},
	{"accept", asks_accept}, {"decline", asks_decline},
	{"list", cmd_list},	 {"members", cmd_people},
	{"status", cmd_people},	 {"remove", cmd_remove},
	{"rights", cmd_rights},	 {"rekey", cmd_rekey},
	{"policy", cmd_policy},	 {"leave", cmd_leave},
	{"log", cmd_log},	 {"verify", cmd_verify},
	{"export", cmd_export},	 {"wait", ask_wait},
	{"send", asks_say},	 {"history", asks_history},
	{"read", asks_read},
};

void asks_command(struct ask *a)
{
	const struct node *n = ask_node(a);

	if (n->broken && json_is_object(ask_request(a)))
		ask_fail(a, n->broken,
			 "what is known of groups cannot be read; broker.log "
			 "says which file");
	else
		ask_dispatch(a, commands,
			     sizeof(commands) / sizeof(commands[0]),
			     "ntm-member does not know the command");
}
