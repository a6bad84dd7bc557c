/* SPDX-License-Identifier: MIT */
/* control_allow - allow: who may connect in, and to which ports */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/control.h"
#include "broker/domains.h"
#include "broker/groups.h"
#include "broker/peer.h"
#include "broker/policy.h"
#include "broker/postlink.h"

static json_t *rule_json(const struct worker *w, const struct policy_rule *r)
{
	char id[NTMC_BASE64URL_LEN(GROUP_ID_LEN) + 3];
	json_t *ports = json_array(), *j;

	for (size_t i = 0; i < r->n_ports; i++)
		json_array_append_new(ports, json_integer(r->ports[i]));
	j = json_pack("{s:s, s:o}", "subject", r->subject, "ports", ports);
	if (*r->subject != '@')
		return j;
	json_object_set_new(j, "group", json_string(groups_rule(w->groups, r)));
	if (r->bound) {
		ntmc_base64url_encode(r->id, sizeof(r->id), id);
		json_object_set_new(j, "id", json_string(id));
	}
	return j;
}

static void allow_list(struct ask *call)
{
	const struct worker *w = control_worker(call);
	json_t *list = json_array();

	for (size_t i = 0; i < policy_count(w->policy); i++)
		json_array_append_new(list,
				      rule_json(w, policy_rule(w->policy, i)));
	ask_answer(call, json_pack("{s:o}", "allowed", list));
}

static int allow_ports(struct ask *call, struct policy_rule *r)
{
	const json_t *ports = json_object_get(ask_request(call), "ports");

	if (json_array_size(ports) > POLICY_PORTS_MAX)
		return -NTM_ELIMIT;
	for (size_t i = 0; i < json_array_size(ports); i++) {
		json_int_t n = json_integer_value(json_array_get(ports, i));

		if (n < 1 || n > 65535)
			return -NTM_EINVAL;
		r->ports[r->n_ports++] = (uint16_t)n;
	}
	return 0;
}

static void apply(void *arg, struct peer *p)
{
	(void)arg;
	peer_apply_policy(p);
}

static const char *allow_trouble(int err)
{
	switch (err) {
	case -NTM_EINVAL:
		return "ports are numbers from 1 to 65535";
	case -NTM_ELIMIT:
		return "too many: 64 ports for a name, and 256 names or "
		       "domains; a domain stands for all of its names";
	case -NTM_ENOTFOUND:
		return "nothing was allowed to that name; see `ntm allow`";
	default:
		return NULL;
	}
}

/* struct allowing - a change of the policy, until the disk has it */
struct allowing {
	struct ask *call; /* NULL: the client went away */
	struct worker *w;
};

static void allow_gone(void *arg)
{
	struct allowing *a = arg;

	ask_answer(a->call, NULL);
	a->call = NULL;
}

static void allow_apply(struct worker *w)
{
	groups_bind(w->groups);
	if (w->account->logged_in)
		peers_each(w->peers, apply, NULL);
	postlink_policy(w->postlink);
	domains_look(w);
}

static void allow_written(void *arg, int err)
{
	struct allowing *a = arg;

	if (!err)
		allow_apply(a->w);
	if (a->call) {
		ask_on_gone(a->call, NULL, NULL);
		if (err)
			ask_fail(a->call, err, allow_trouble(err));
		else
			allow_list(a->call);
	}
	free(a);
}

static int allow_change(struct ask *call, struct policy_rule *r,
			struct allowing *a)
{
	struct policy *p = control_worker(call)->policy;
	int err;

	if (json_is_true(json_object_get(ask_request(call), "remove")))
		return policy_remove(p, r->subject, allow_written, a);
	err = allow_ports(call, r);
	return err ? err : policy_allow(p, r, allow_written, a);
}

static bool is_allowed(const struct policy *p, const char *subject)
{
	for (size_t i = 0; i < policy_count(p); i++)
		if (!strcmp(policy_rule(p, i)->subject, subject))
			return true;
	return false;
}

/* @NAME of a rule that is there: the group may have gone, or another one bear its name. */
static bool is_rule_of(const struct policy *p,
		       char subject[static FQDN_MAX + 1])
{
	const char *found = NULL;
	size_t n = strlen(subject);

	for (size_t i = 0; i < policy_count(p); i++) {
		const char *s = policy_rule(p, i)->subject;

		if (strncmp(s, subject, n) || (s[n] && s[n] != '.'))
			continue;
		if (found && strcmp(found, s))
			return false;
		found = s;
	}
	if (found)
		snprintf(subject, FQDN_MAX + 1, "%s", found);
	return found != NULL;
}

/* What people type: one word is an account of ours; with a final dot, a domain; behind
 * an @ a group. */
static int allow_subject(const struct worker *w, const char *text, bool remove,
			 struct policy_rule *r)
{
	const struct account *a = w->account;
	char word[FQDN_MAX + 1], *out = r->subject;
	int err = policy_subject(text, out);

	if (!err && *out == '@')
		return remove && is_rule_of(w->policy, out)
			       ? 0
			       : groups_subject(w->groups, r);
	if (err || strchr(text, '.') || is_allowed(w->policy, out))
		return err;
	if (!a->logged_in)
		return -NTM_ENOLOGIN;
	if (!strcmp(out, a->domain))
		return 0;
	strcpy(word, out);
	return fqdn_join(NULL, word, a->domain, out);
}

void control_allow(struct ask *call)
{
	struct worker *w = control_worker(call);
	struct policy_rule r = {.n_ports = 0};
	struct allowing *a;
	int err;

	/* the file may have been edited: neither overwrite that nor pretend */
	err = policy_reload(w->policy, w->policy_why, sizeof(w->policy_why));
	if (err) {
		ask_fail(call, err, w->policy_why);
		return;
	}
	if (!*ask_text(call, "subject")) {
		allow_apply(w);
		allow_list(call);
		return;
	}
	err = allow_subject(
		w, ask_text(call, "subject"),
		json_is_true(json_object_get(ask_request(call), "remove")), &r);
	if (err) {
		ask_fail(call, err,
			 err == -NTM_ENOLOGIN
				 ? "say the whole name, as account.domain: "
				   "this device is not logged in to a "
				   "domain"
			 : err == -NTM_ENOTFOUND
				 ? "no group of that name is here, or more "
				   "than one: say @NAME.group.DOMAIN, and of "
				   "two of one domain leave one first; "
				   "`ntm-group list` shows yours"
				 : "a subject is a device's name, "
				   "account.domain, a domain or @GROUP");
		return;
	}
	a = calloc(1, sizeof(*a));
	err = -NTM_ENOMEM;
	if (a) {
		a->call = call;
		a->w = w;
		err = allow_change(call, &r, a);
	}
	if (err) {
		free(a);
		ask_fail(call, err, allow_trouble(err));
		return;
	}
	ask_on_gone(call, allow_gone, a);
}
