/* SPDX-License-Identifier: MIT */
/* chat_said - what a member of the tests says, and what its chat has of it */
#include "chat_said.h"

#include "broker/member/chat.h"

struct chat_line *line_at(int i, int64_t after)
{
	struct chat_line *l;
	int64_t n;

	return chatstore_next(chat_store(nodes[i].chat), member_id(parts[i].m),
			      after, 0, &n, &l)
		       ? NULL
		       : l;
}

/* "text|text", by number */
const char *lines(int i)
{
	static char all[4096];
	struct chat_line *l;
	int64_t n = 0;

	*all = '\0';
	while ((l = line_at(i, n))) {
		n = l->n;
		assert_true(strlen(all) + strlen(l->w.text) + 2 < sizeof(all));
		strcat(strcat(all, *all ? "|" : ""), l->w.text);
		chat_line_free(l);
	}
	return all;
}

int64_t say(int i, const char *text, const char *file)
{
	int64_t n;

	assert_int_equal(chat_say(nodes[i].chat, &parts[i], text, file, &n), 0);
	return n;
}

enum chat_state state_of(int i, int64_t n)
{
	struct chat_line *l = line_at(i, n - 1);
	enum chat_state s = l->state;

	chat_line_free(l);
	return s;
}

struct waited {
	int i;
	int64_t n;
	enum chat_state state;
};

static bool has_come(void *arg)
{
	struct waited *w = arg;

	return state_of(w->i, w->n) == w->state;
}

void becomes(int i, int64_t n, enum chat_state state)
{
	struct waited w = {i, n, state};

	assert_true(seats_turn(has_come, &w));
}
