/* SPDX-License-Identifier: MIT */
/*
 * ask - prekeys of another domain, part by part
 *
 * Owner:   the request. Context: loop thread, once it is there.
 * A part tells how many there are, and the hash of all: where the other box's list
 * has changed meanwhile, it is asked anew, RESTARTS times. What comes is foreign: it
 * must be JSON, and name none but whom was asked for. The sender checks the prekeys.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "servers/box/state.h"

#define PARTS_MAX 64
#define RESTARTS  2

struct prekeys_ask {
	struct clerk_post post;
	struct box *box;
	struct http_request *q;
	char name[FQDN_MAX + 1];
	uint32_t part, parts;
	uint8_t hash[8];
	unsigned int restarts;
	size_t len;
	char text[SHELF_PREKEYS_TEXT_MAX];
};

static void ask_end(struct prekeys_ask *a, int err, json_t *o)
{
	struct box *b = a->box;

	if (err)
		http_answer_err(a->q, err);
	else
		http_answer_json(a->q, 200, o);
	free(a);
	box_answered(b);
}

static bool names_are_right(const struct prekeys_ask *a, json_t *o)
{
	json_t *list = json_object_get(o, "prekeys"), *one;
	size_t i;

	if (!json_is_array(list) || !json_array_size(list))
		return false;
	json_array_foreach(list, i, one)
	{
		const char *name =
			json_string_value(json_object_get(one, "name"));
		const char *dot = name ? strchr(name, '.') : NULL;

		if (!name || (strcmp(name, a->name) &&
			      (!dot || strcmp(dot + 1, a->name))))
			return false;
	}
	return true;
}

static void ask_next(struct prekeys_ask *a);

static void ask_whole(struct prekeys_ask *a)
{
	json_t *o = json_loadb(a->text, a->len, 0, NULL);

	if (o && names_are_right(a, o)) {
		ask_end(a, 0, o);
		return;
	}
	json_decref(o);
	ask_end(a, -NTM_EUNREACHABLE, NULL);
}

static int take_part(struct prekeys_ask *a, const Ntm__BoxResponse *r)
{
	if (!r->parts || r->parts > PARTS_MAX || !r->prekeys.len ||
	    r->hash.len != sizeof(a->hash) ||
	    r->prekeys.len > sizeof(a->text) - a->len)
		return -NTM_EUNREACHABLE;
	if (!a->part) {
		memcpy(a->hash, r->hash.data, sizeof(a->hash));
		a->parts = r->parts;
	} else if (memcmp(a->hash, r->hash.data, sizeof(a->hash)) ||
		   a->parts != r->parts) {
		a->part = 0;
		a->len = 0;
		return ++a->restarts > RESTARTS ? -NTM_EUNREACHABLE : 0;
	}
	memcpy(a->text + a->len, r->prekeys.data, r->prekeys.len);
	a->len += r->prekeys.len;
	a->part++;
	return 0;
}

static void told(void *arg, int err, const Ntm__BoxResponse *r)
{
	struct prekeys_ask *a = arg;

	if (!err && r->code)
		err = -(int)r->code;
	if (!err)
		err = take_part(a, r);
	if (err)
		ask_end(a, err, NULL);
	else if (a->part && a->part == a->parts)
		ask_whole(a);
	else
		ask_next(a);
}

static void ask_next(struct prekeys_ask *a)
{
	Ntm__PrekeyRequest p = NTM__PREKEY_REQUEST__INIT;
	Ntm__BoxRequest q = NTM__BOX_REQUEST__INIT;

	p.name = a->name;
	p.part = a->part;
	q.body_case = NTM__BOX_REQUEST__BODY_PREKEYS;
	q.prekeys = &p;
	box_link_ask(a->box->link, http_fields(a->q)->node, a->name, &q, told,
		     a);
}

static void ask_begin(struct clerk_post *post, void *arg)
{
	(void)arg;
	ask_next((struct prekeys_ask *)post);
}

void ask_prekeys(struct box *b, struct http_request *q, const char *name)
{
	struct prekeys_ask *a = calloc(1, sizeof(*a));

	if (!a) {
		http_answer_err(q, -NTM_ENOMEM);
		return;
	}
	a->box = b;
	a->q = q;
	snprintf(a->name, sizeof(a->name), "%s", name);
	a->post.fn = ask_begin;
	box_opened(b);
	clerk_post(b->clerk, &a->post);
}
