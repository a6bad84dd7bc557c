/* SPDX-License-Identifier: MIT */
/*
 * inviting - `ntm-group invite`: names are looked up one after the other, then invited
 *
 * Who has a name, ntm-post knows: the key that an item to it would be sealed to, which is
 * pinned. A name of an account stands for all its devices. Those that a plan names have
 * rights each of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/member/asks.h"
#include "broker/member/plans.h"
#include "broker/member/postcall.h"
#include "common/log.h"

#define NAMES_MAX 64
#define LOOK_MS	  200
#define LOOKS_MAX 100

struct inviting {
	struct ask *ask;
	struct node *node;
	uint8_t id[GROUP_ID_LEN];
	json_t *names, *results;
	size_t at;
	unsigned int looks, invited;
	uint8_t rights;
	bool planned;
	uint8_t plan[GROUP_ID_LEN];
	struct loop_timer *again;
};

static void look(struct inviting *v);

static void end(struct inviting *v)
{
	struct part *p = part_by_id(v->node, v->id);
	struct plan *pl =
		v->planned ? plans_by_id(v->node->plans, v->plan) : NULL;
	json_t *j = json_pack("{s:I, s:O}", "invited", (json_int_t)v->invited,
			      "names", v->results);

	if (v->invited)
		papers_work(v->node->papers);
	if (v->planned && p)
		json_object_set_new(j, "founded",
				    json_string(member_name(p->m)));
	if (pl && p)
		plan_over(v->node->plans, pl, false);
	ask_answer(v->ask, j);
	loop_timer_free(v->again);
	json_decref(v->names);
	json_decref(v->results);
	free(v);
}

static const char *why_not(int err, char *buf, size_t size)
{
	switch (-err) {
	case NTM_EPERM:
		return "is not invited: this device may not invite, or not "
		       "with these rights; `ntm-group members` shows who may";
	case NTM_EEXISTS:
		return "is a member, or invited, already";
	case NTM_EPIN:
		return "is a member with the key of an old device; remove that "
		       "first, then invite again";
	case NTM_ENOTFOUND:
		return "cannot be told where the group's server is";
	case NTM_ELIMIT:
		return "too many invitations are open";
	default:
		snprintf(buf, size, "%s", err_text(err));
		return buf;
	}
}

static void result(struct inviting *v, const char *name, int err,
		   const char *text)
{
	char buf[160];
	json_t *j = json_pack("{s:s, s:b}", "name", name, "ok", !err);

	if (err) {
		json_object_set_new(j, "error", json_string(err_name(err)));
		json_object_set_new(
			j, "text",
			json_string(text ? text
					 : why_not(err, buf, sizeof(buf))));
	} else {
		v->invited++;
	}
	json_array_append_new(v->results, j);
}

static void next(struct inviting *v)
{
	v->at++;
	v->looks = 0;
	if (v->at < json_array_size(v->names))
		loop_timer_arm(v->again, 0);
	else
		end(v);
}

/* as `ntm-group invite` says it, or a plan */
static json_t *name_at(const struct inviting *v)
{
	json_t *j = json_array_get(v->names, v->at);

	return json_is_object(j) ? json_object_get(j, "name") : j;
}

static uint8_t rights_at(const struct inviting *v)
{
	json_t *j = json_array_get(v->names, v->at);

	return json_is_object(j) ? (uint8_t)json_integer_value(
					   json_object_get(j, "rights"))
				 : v->rights;
}

static void devices(struct inviting *v, const json_t *list)
{
	struct part *p = part_by_id(v->node, v->id);
	uint8_t key[NTMC_KEY_LEN];
	const char *name, *text;
	json_t *j;
	size_t i;

	json_array_foreach(list, i, j)
	{
		name = json_string_value(json_object_get(j, "name"));
		text = json_string_value(json_object_get(j, "key"));
		if (!name || !text ||
		    ntmc_base64url_decode(text, key, sizeof(key)))
			continue;
		result(v, name,
		       p ? papers_invite(v->node->papers, p, name, key,
					 rights_at(v))
			 : -NTM_ESTATE,
		       NULL);
	}
}

static void on_who(void *arg, int err, const json_t *answer)
{
	struct inviting *v = arg;
	const char *name = json_string_value(name_at(v));

	if (err == -NTM_EAGAIN && ++v->looks < LOOKS_MAX) {
		loop_timer_arm(v->again, LOOP_MS(LOOK_MS));
		return;
	}
	if (err)
		result(v, name ? name : "?", err,
		       json_string_value(json_object_get(answer, "text")));
	else
		devices(v, json_object_get(answer, "devices"));
	next(v);
}

static void look(struct inviting *v)
{
	json_t *name = name_at(v);
	int r = postcall_ask(
		v->node->post,
		json_pack("{s:s, s:O}", "cmd", "who", "name", name), on_who, v);

	if (!r)
		return;
	result(v, json_is_string(name) ? json_string_value(name) : "?", r,
	       NULL);
	next(v);
}

static void on_again(void *arg)
{
	look(arg);
}

/* Return: NULL: @a is answered */
static struct inviting *inviting_new(struct ask *a, struct part *p,
				     json_t *names)
{
	struct inviting *v;

	if (member_state(p->m) != MEMBER_JOINED) {
		ask_done(a, -NTM_ESTATE);
		return NULL;
	}
	v = calloc(1, sizeof(*v));
	if (!v || loop_timer_new(p->node->loop, on_again, v, &v->again)) {
		free(v);
		ask_fail(a, -NTM_ENOMEM, NULL);
		return NULL;
	}
	v->ask = a;
	v->node = p->node;
	memcpy(v->id, member_id(p->m), sizeof(v->id));
	v->names = json_incref(names);
	v->results = json_array();
	return v;
}

void inviting_begin(struct ask *a, struct part *p)
{
	json_t *names = json_object_get(ask_request(a), "names");
	struct inviting *v;

	if (!json_array_size(names) || json_array_size(names) > NAMES_MAX) {
		ask_fail(a, -NTM_EINVAL,
			 "name one to 64, as device.account.domain or "
			 "account.domain");
		return;
	}
	v = inviting_new(a, p, names);
	if (!v)
		return;
	v->rights = ask_rights(a);
	look(v);
}

void inviting_plan(struct ask *a, struct part *p)
{
	struct plan *pl = plans_by_id(p->node->plans, p->plan);
	struct inviting *v;

	if (!pl) {
		ask_fail(a, -NTM_ENOTFOUND,
			 "the group is founded, but its administrator asks for "
			 "it no more; invite others with `ntm-group invite`");
		return;
	}
	v = inviting_new(a, p, plan_members(pl));
	if (!v)
		return;
	v->planned = true;
	memcpy(v->plan, p->plan, sizeof(v->plan));
	if (json_array_size(v->names))
		look(v);
	else
		end(v);
}
