/* SPDX-License-Identifier: MIT */
/* inbox_list - the inbox as a person or program is shown it */
#include <string.h>

#include "broker/post/fetching.h"
#include "common/plain.h"

static const char *state_word(int64_t state, bool ready, bool fetching)
{
	switch (state) {
	case IN_LISTED:
		return fetching ? "fetching" : ready ? "waiting" : "announced";
	case IN_HELD:
		return "held";
	case IN_HAVE:
		return "here";
	default:
		return "refused";
	}
}

/* What others chose. A row with a text that is no UTF-8 is shown, too: who reads a list
 * from its end on takes a row that is not there for the end */
static json_t *others_text(const char *text)
{
	char buf[ITEM_PATH_MAX];
	json_t *j = json_string(text);

	return j ? j : json_string(plain_text(text, buf, sizeof(buf)));
}

static json_t *row_json(struct post *p, const struct fetching *job)
{
	struct store *st = p->store;
	const char *sender = store_text(st, IN_LIST, 1);
	int code = (int)store_int(st, IN_LIST, 22);
	int64_t state = store_int(st, IN_LIST, 6);
	bool ready = *store_text(st, IN_LIST, 10);
	char folder[512] = "";
	uint64_t got;
	json_t *j;

	got = job && state == IN_LISTED && (job->call || job->direct)
		      ? job->at
		      : (uint64_t)store_int(st, IN_LIST, 20);
	if (state == IN_HAVE) {
		got = (uint64_t)store_int(st, IN_LIST, 11);
		if (!inbox_folder(p, store_int(st, IN_LIST, 0), folder,
				  sizeof(folder)))
			*folder = '\0';
	}
	j = json_pack(
		"{s:I, s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:I, s:I, s:I, s:I, "
		"s:b, s:s, s:b}",
		"id", (json_int_t)store_int(st, IN_LIST, 0), "from", sender,
		"application", store_text(st, IN_LIST, 2), "service",
		store_text(st, IN_LIST, 3), "item", store_text(st, IN_LIST, 4),
		"message", others_text(store_text(st, IN_LIST, 5)), "state",
		state_word(state, ready, job != NULL), "title",
		others_text(store_text(st, IN_LIST, 21)), "size",
		(json_int_t)store_int(st, IN_LIST, 11), "fetched",
		(json_int_t)got, "at", (json_int_t)store_int(st, IN_LIST, 15),
		"expires", (json_int_t)store_int(st, IN_LIST, 16), "allowed",
		who_allows(&p->who, sender), "folder", folder, "direct",
		store_int(st, IN_LIST, 26) != 0);
	if (code && j) {
		json_object_set_new(j, "error", json_string(err_name(code)));
		json_object_set_new(j, "text",
				    json_string(store_text(st, IN_LIST, 23)));
	}
	return j;
}

json_t *inbox_list(struct inbox *b, int64_t id, int64_t after)
{
	struct post *p = inbox_post(b);
	json_t *list = json_array();

	if (!id && after == INT64_MAX)
		return list;
	store_bind_int(p->store, IN_LIST, 1, id ? id : after + 1);
	store_bind_int(p->store, IN_LIST, 2, id ? id : INT64_MAX);
	while (store_step(p->store, IN_LIST) > 0)
		json_array_append_new(
			list, row_json(p, inbox_job(b, store_int(p->store,
								 IN_LIST, 0))));
	return list;
}

static void row_put(struct inbox *b, struct jsontext *t)
{
	struct store *st = inbox_post(b)->store;
	int64_t id = store_int(st, IN_ROWS, 0);
	int column;

	jsontext_number(t, id);
	for (column = 1; column <= 3; column++) {
		jsontext_put(t, ",");
		jsontext_string(t, store_text(st, IN_ROWS, column));
	}
	jsontext_put(t, ",");
	jsontext_number(t, store_int(st, IN_ROWS, 4));
	jsontext_put(t, ",\"");
	jsontext_put(t, state_word(store_int(st, IN_ROWS, 5),
				   store_int(st, IN_ROWS, 6),
				   inbox_job(b, id) != NULL));
	jsontext_put(t, "\",");
	jsontext_string(
		t, store_int(st, IN_ROWS, 7) ? store_text(st, IN_ROWS, 8) : "");
	jsontext_put(t, ",");
	jsontext_string(t, store_text(st, IN_ROWS, 9));
}

void inbox_rows(struct inbox *b, int64_t after, struct jsontext *out)
{
	struct store *st = inbox_post(b)->store;
	const char *before = "[[";

	store_bind_int(st, IN_ROWS, 1, after);
	while (store_step(st, IN_ROWS) > 0) {
		jsontext_put(out, before);
		row_put(b, out);
		before = "],[";
	}
	jsontext_put(out, *before == '[' ? "[]" : "]]");
}
