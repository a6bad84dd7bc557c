/* SPDX-License-Identifier: MIT */
/* choice - which Cache Server an item goes to, and when it is left for another one */
#include "broker/post/choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

static const char *name_of(const json_t *cs)
{
	const char *name = json_string_value(json_object_get(cs, "name"));

	return name ? name : "";
}

/* the lower the better */
static unsigned int rank(const json_t *cs, const char *avoid, uint64_t size)
{
	const json_t *age = json_object_get(cs, "age_s"),
		     *room = json_object_get(cs, "room");
	bool silent = json_integer_value(age) > CHOICE_FRESH_S,
	     full = json_is_integer(room) &&
		    (uint64_t)json_integer_value(room) < size;

	return (avoid && !strcmp(name_of(cs), avoid) ? 4 : 0) +
	       (silent ? 2 : 0) + (full ? 1 : 0);
}

const json_t *choice_of(const json_t *list, const char *avoid, uint64_t size)
{
	const json_t *best = NULL, *cs;
	unsigned int least = 0, n = 0;
	uint32_t chance;
	size_t i;

	json_array_foreach(list, i, cs)
	{
		unsigned int r = rank(cs, avoid, size);

		if (best && r > least)
			continue;
		if (!best || r < least)
			n = 0;
		ntmc_random(NULL, &chance, sizeof(chance));
		if (!n++ || chance % n == 0)
			best = cs;
		least = r;
	}
	return best;
}

bool choice_leaves(const struct sending *s, const struct web_answer *a)
{
	if (s->state != OUT_OPEN || s->left)
		return false;
	if (!a->err && a->status != 503 && a->status != 507)
		return false;
	return !s->known || s->tries >= CHOICE_TRIES;
}

/* of a list, those with another name */
static void copy_others(json_t *to, const json_t *from, const char *name)
{
	json_t *cs;
	size_t i;

	json_array_foreach(from, i, cs)
	{
		if (strcmp(name_of(cs), name))
			json_array_append(to, cs);
	}
}

json_t *choice_row(const struct sending *s, const json_t *cs)
{
	json_t *row = json_deep_copy(cs), *left = json_array();

	if (s->cs_json) {
		json_t *old = json_pack(
			"{s:s, s:O?}", "name", name_of(s->cs_json), "addresses",
			json_object_get(s->cs_json, "addresses"));

		copy_others(left, json_object_get(s->cs_json, "left"),
			    name_of(cs));
		if (strcmp(name_of(s->cs_json), name_of(cs)))
			json_array_append(left, old);
		json_decref(old);
	}
	if (row && json_array_size(left))
		json_object_set(row, "left", left);
	json_decref(left);
	return row;
}

/* --- those that were left ---------------------------------------------------------- */

/* struct left - one after the other; @id: the row, @at: which of its list */
struct left {
	struct post *post;
	struct web_call *call;
	int64_t id;
	size_t at;
	char name[256];
};

static void next(struct left *l);

int left_open(struct post *p, struct left **out)
{
	struct left *l = calloc(1, sizeof(*l));

	if (!l)
		return -NTM_ENOMEM;
	l->post = p;
	*out = l;
	return 0;
}

void left_close(struct left *l)
{
	if (!l)
		return;
	web_cancel(l->call);
	free(l);
}

bool left_busy(const struct left *l)
{
	return l->call;
}

/* Return: the row's JSON, a new reference; NULL: there is none with a list */
static json_t *row_get(struct left *l, int64_t id, struct post_ids *ids)
{
	struct store *st = l->post->store;
	json_t *cs;

	store_bind_int(st, OUT_LEFT, 1, id);
	if (store_step(st, OUT_LEFT) <= 0)
		return NULL;
	l->id = store_int(st, OUT_LEFT, 0);
	snprintf(ids->application, sizeof(ids->application), "%s",
		 store_text(st, OUT_LEFT, 1));
	snprintf(ids->service, sizeof(ids->service), "%s",
		 store_text(st, OUT_LEFT, 2));
	snprintf(ids->item, sizeof(ids->item), "%s",
		 store_text(st, OUT_LEFT, 3));
	cs = json_loads(store_text(st, OUT_LEFT, 4), 0, NULL);
	store_reset(st, OUT_LEFT);
	return cs;
}

/* It has forgotten the item. */
static void forget(struct left *l)
{
	struct store *st = l->post->store;
	struct post_ids ids;
	json_t *cs = row_get(l, l->id, &ids), *others = json_array();
	char *text;

	copy_others(others, json_object_get(cs, "left"), l->name);
	if (json_array_size(others))
		json_object_set(cs, "left", others);
	else
		json_object_del(cs, "left");
	json_decref(others);
	text = cs ? json_dumps(cs, JSON_COMPACT) : NULL;
	json_decref(cs);
	if (!text)
		return;
	store_bind_int(st, OUT_CS, 1, l->id);
	store_bind_text(st, OUT_CS, 2, text);
	if (store_run(st, OUT_CS))
		log_err("outbox", "the store cannot be written");
	free(text);
}

static void on_forgotten(void *arg, const struct web_answer *a)
{
	struct left *l = arg;
	bool again;

	l->call = NULL;
	if (web_error(a, &again) && again) {
		l->at++; /* after the next start */
	} else {
		log_info("outbox", "item %lld is on %s no more",
			 (long long)l->id, l->name);
		forget(l);
	}
	next(l);
	post_check_idle(l->post);
}

static int ask(struct left *l, const json_t *cs, const struct post_ids *ids)
{
	struct web_server server;
	char path[128];
	struct post_ask ask = {.server = &server,
			       .method = "DELETE",
			       .path = path,
			       .ids = ids};
	int err = post_server(l->post, cs, &server);

	snprintf(path, sizeof(path), "/v1/items/%s", ids->item);
	snprintf(l->name, sizeof(l->name), "%s", name_of(cs));
	return err ? err : post_ask(l->post, &ask, on_forgotten, l, &l->call);
}

static void next(struct left *l)
{
	struct post_ids ids;
	json_t *cs, *one;

	while (!l->call && (cs = row_get(l, l->id, &ids))) {
		one = json_array_get(json_object_get(cs, "left"), l->at);
		if (!one) {
			l->id++;
			l->at = 0;
		} else if (ask(l, one, &ids)) {
			l->at++;
		}
		json_decref(cs);
	}
}

void left_new(struct left *l, int64_t id)
{
	if (l->call || id >= l->id)
		return; /* its turn comes, or after the next start */
	l->id = id;
	l->at = 0;
}

void left_work(struct left *l)
{
	if (!l->call && l->post->who.logged_in)
		next(l);
}
