/* SPDX-License-Identifier: MIT */
/*
 * paper_inbox - which items of ours lie in ntm-post's inbox, and which are fetched
 *
 * Theory of operation
 *
 * ntm-post says that something came; its list is read then, a page after the other. What
 * is here is taken (paper_item.c) and ntm-post hears so; what it holds, as its sender is
 * not allowed in, is fetched where we have asked for it ourselves, and remembered where it
 * is an invitation: the person may want it by the inviter's name.
 */
#include "broker/member/papers_impl.h"

#include <string.h>

#include "broker/member/asks.h"
#include "broker/member/postcall.h"
#include "common/log.h"

#define PAGE 1000 /* items in one answer of ntm-post */

static void tell_post(struct papers *all, const char *cmd, json_int_t id)
{
	if (postcall_ask(all->node->post,
			 json_pack("{s:s, s:I}", "cmd", cmd, "id", id), NULL,
			 NULL))
		log_warn("member", "ntm-post is not told: %s %lld", cmd,
			 (long long)id);
}

static void held_add(struct papers *all, json_int_t id, const char *from)
{
	struct held *h = &all->held[all->n_held];

	if (all->n_held == PAPERS_HELD_MAX || strlen(from) >= sizeof(h->from))
		return;
	h->id = id;
	strcpy(h->from, from);
	all->n_held++;
}

bool papers_fetch_held(struct papers *all, const char *from)
{
	bool any = false;

	for (size_t i = 0; i < all->n_held; i++)
		if (!strcmp(all->held[i].from, from)) {
			tell_post(all, "fetch", all->held[i].id);
			any = true;
		}
	return any;
}

const struct held *papers_held(const struct papers *all, size_t *n)
{
	*n = all->n_held;
	return all->held;
}

static void item_look(struct papers *all, const json_t *item)
{
	json_int_t id = json_integer_value(json_object_get(item, "id"));
	const char *state = json_string_value(json_object_get(item, "state"));
	const char *from = json_string_value(json_object_get(item, "from"));
	const char *service =
		json_string_value(json_object_get(item, "service"));

	if (!state || !from || !service)
		return;
	if (!strcmp(state, "here")) {
		if (paper_item(all, item) != -NTM_EAGAIN)
			tell_post(all, "taken", id);
	} else if (!strcmp(state, "held")) {
		if (paper_wanted(all, service, from))
			tell_post(all, "fetch", id);
		else if (!strcmp(service, "invite"))
			held_add(all, id, from);
	}
}

static void on_inbox(void *arg, int err, const json_t *answer);

static void page_ask(struct papers *all, json_int_t after)
{
	all->after = after;
	all->fetching = !postcall_ask(
		all->node->post,
		json_pack("{s:s, s:I}", "cmd", "inbox", "after", after),
		on_inbox, all);
}

static void on_inbox(void *arg, int err, const json_t *answer)
{
	struct papers *all = arg;
	json_t *items = json_object_get(answer, "items"), *item;
	json_int_t last = 0;
	const char *of;
	size_t i;

	all->fetching = false;
	if (err) {
		log_info("member", "ntm-post does not say what came: %s",
			 err_text(err));
		all->again = true;
		papers_later(all);
	}
	if (!all->after)
		all->n_held = 0;
	json_array_foreach(items, i, item)
	{
		last = json_integer_value(json_object_get(item, "id"));
		of = json_string_value(json_object_get(item, "application"));
		if (of && !strcmp(of, PAPERS_APPLICATION))
			item_look(all, item);
	}
	if (json_array_size(items) == PAGE)
		page_ask(all, last);
	else if (all->again && !err)
		papers_fetch(all);
	papers_work(all);
	asking_changed(all->node->asks);
}

void papers_fetch(struct papers *all)
{
	if (all->fetching) {
		all->again = true;
		return;
	}
	all->again = false;
	page_ask(all, 0);
}
