/* SPDX-License-Identifier: MIT */
/* asks_chat - member.sock: what members say to each other */
#include <string.h>

#include "broker/member/asks.h"
#include "broker/member/chat.h"

#define LINES_MAX  200	      /* of one answer */
#define BYTES_SOFT (1u << 20) /* an answer ends when it has so much text */

static void said(struct ask *a, int r, int64_t n)
{
	switch (-r) {
	case 0:
		ask_answer(a, json_pack("{s:I}", "n", (json_int_t)n));
		break;
	case NTM_EINVAL:
		ask_fail(a, r,
			 "a message is text of 1 to 16384 bytes; longer ones "
			 "go as a file");
		break;
	case NTM_ELIMIT:
		ask_fail(a, r,
			 "too many messages wait to be sent; see `ntm-group "
			 "status`");
		break;
	default:
		ask_done(a, r);
	}
}

void asks_say(struct ask *a)
{
	const json_t *j = ask_request(a);
	const char *text = json_string_value(json_object_get(j, "text"));
	const char *file = json_string_value(json_object_get(j, "file"));
	struct part *p = ask_part(a);
	int64_t n = 0;
	int r;

	if (!p)
		return;
	if (!text == !file) {
		ask_fail(a, -NTM_EINVAL, "give a text, or name a file");
		return;
	}
	r = chat_say(ask_node(a)->chat, p, text, file, &n);
	said(a, r, n);
}

static const char *state_name(enum chat_state state)
{
	switch (state) {
	case CHAT_WAITS:
		return "waiting";
	case CHAT_SENT:
		return "sent";
	case CHAT_FAILED:
		return "failed";
	case CHAT_NEW:
		return "new";
	case CHAT_SHOWN:
	case CHAT_OLD:
		return "seen";
	}
	return "?";
}

static json_t *readers(struct chatstore *s, const struct group *g,
		       const struct chat_line *l, size_t *all)
{
	uint32_t who[CHATSTORE_READS];
	size_t i, n = chatstore_readers(s, l->w.group, l->w.id, who, all);
	const struct group_member *m;
	json_t *list = json_array();

	for (i = 0; i < n; i++) {
		m = group_find(g, who[i]);
		if (m) /* who has gone is not named */
			json_array_append_new(list, json_string(m->fqdn));
	}
	return list;
}

static json_t *line_json(struct chatstore *s, const struct part *p,
			 const struct chat_line *l)
{
	bool ours = l->state <= CHAT_FAILED;
	char id[CHAT_ID_TEXT];
	size_t all;
	json_t *j;

	ntmc_base64url_encode(l->w.id, CHAT_ID_LEN, id);
	j = json_pack("{s:I, s:s, s:s, s:I, s:b, s:I, s:I, s:s, s:s, s:s, s:I}",
		      "n", (json_int_t)l->n, "id", id, "from", l->from, "index",
		      (json_int_t)l->index, "ours", ours, "clock",
		      (json_int_t)l->w.clock, "time", (json_int_t)l->w.time,
		      "kind", l->w.kind == CHAT_FILE ? "file" : "text", "text",
		      l->w.text, "state", state_name(l->state), "size",
		      (json_int_t)l->w.size);
	if (l->why)
		json_object_set_new(j, "why", json_string(l->why));
	if (ours) {
		json_object_set_new(j, "to", json_integer(l->to));
		json_object_set_new(
			j, "late",
			json_integer(
				(json_int_t)chatstore_late_count(s, l->n)));
		json_object_set_new(j, "read",
				    readers(s, member_group(p->m), l, &all));
		json_object_set_new(j, "readers",
				    json_integer((json_int_t)all));
	}
	return j;
}

/* "after" a number, or the "last" so many; at most "count"; "state": "new" alone */
void asks_history(struct ask *a)
{
	const json_t *j = ask_request(a);
	int64_t n = json_integer_value(json_object_get(j, "after"));
	json_int_t last = json_integer_value(json_object_get(j, "last"));
	json_int_t count = json_integer_value(json_object_get(j, "count"));
	struct chatstore *s = chat_store(ask_node(a)->chat);
	enum chat_state state =
		!strcmp(ask_text(a, "state"), "new") ? CHAT_NEW : 0;
	struct part *p = ask_part(a);
	json_t *list;
	struct chat_line *l;
	size_t bytes = 0;
	int r = 0;

	if (!p)
		return;
	if (last > 0)
		n = chatstore_last(s, member_id(p->m), last);
	list = json_array();
	if (count < 1 || count > LINES_MAX)
		count = LINES_MAX;
	while ((json_int_t)json_array_size(list) < count &&
	       bytes < BYTES_SOFT) {
		r = chatstore_next(s, member_id(p->m), n, state, &n, &l);
		if (r == -NTM_EAUTH)
			continue; /* damaged: the others are still to be read */
		if (r)
			break;
		bytes += strlen(l->w.text);
		json_array_append_new(list, line_json(s, p, l));
		chat_line_free(l);
	}
	if (r && r != -NTM_ENOTFOUND && r != -NTM_EAUTH) {
		json_decref(list);
		ask_done(a, r);
		return;
	}
	ask_answer(a, json_pack("{s:s, s:o, s:b}", "name", member_name(p->m),
				"messages", list, "more", r != -NTM_ENOTFOUND));
}

/* all up to "n" was shown; with "tell" its authors hear of it */
void asks_read(struct ask *a)
{
	const json_t *j = ask_request(a);
	struct part *p = ask_part(a);

	if (p)
		ask_done(a,
			 chat_seen(ask_node(a)->chat, p,
				   json_integer_value(json_object_get(j, "n")),
				   json_is_true(json_object_get(j, "tell"))));
}
