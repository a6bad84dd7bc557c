/* SPDX-License-Identifier: MIT */
/* chatword - what members say to each other in items: messages, read marks */
#include "broker/member/chatword.h"

#include <stdlib.h>
#include <string.h>

#define VERSION 1

bool chat_text_ok(const char *text)
{
	size_t len = strlen(text);
	json_t *j = len && len <= CHAT_TEXT_MAX ? json_string(text) : NULL;

	json_decref(j);
	return j;
}

static json_t *binary(const uint8_t *b, size_t len)
{
	char text[CHAT_ID_TEXT];

	ntmc_base64url_encode(b, len, text);
	return json_string(text);
}

static char *text_of(json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	return text;
}

/* An object of our version, with @n members: what is not known is refused, as a later
 * version has another number. */
static json_t *object(const char *text, size_t len, size_t n)
{
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	if (json_object_size(j) == n &&
	    json_integer_value(json_object_get(j, "v")) == VERSION)
		return j;
	json_decref(j);
	return NULL;
}

static bool binary_get(const json_t *j, const char *key, uint8_t *out)
{
	const char *text = json_string_value(json_object_get(j, key));

	return text && !ntmc_base64url_decode(text, out, CHAT_ID_LEN);
}

static bool number_get(const json_t *j, const char *key, int64_t *out)
{
	const json_t *n = json_object_get(j, key);

	*out = json_integer_value(n);
	return json_is_integer(n) && *out >= 0 && *out <= CHAT_CLOCK_MAX;
}

/* --- messages ---------------------------------------------------------------------------- */

char *chatword_put(const struct chatword *w)
{
	return text_of(json_pack(
		"{s:i, s:o, s:o, s:I, s:I, s:I, s:s, s:s, s:I}", "v", VERSION,
		"group", binary(w->group, GROUP_ID_LEN), "id",
		binary(w->id, CHAT_ID_LEN), "epoch", (json_int_t)w->epoch,
		"clock", (json_int_t)w->clock, "time", (json_int_t)w->time,
		"kind", w->kind == CHAT_FILE ? "file" : "text", "text", w->text,
		"size", (json_int_t)w->size));
}

static int word_take(const json_t *j, struct chatword *w)
{
	const char *kind = json_string_value(json_object_get(j, "kind"));
	const char *text = json_string_value(json_object_get(j, "text"));
	int64_t epoch;

	if (!kind || !text || !binary_get(j, "group", w->group) ||
	    !binary_get(j, "id", w->id) || !number_get(j, "epoch", &epoch) ||
	    !number_get(j, "clock", &w->clock) ||
	    !number_get(j, "time", &w->time) ||
	    !number_get(j, "size", &w->size) || !*text ||
	    json_string_length(json_object_get(j, "text")) != strlen(text) ||
	    strlen(text) > CHAT_TEXT_MAX)
		return -NTM_EDECODE;
	if (strcmp(kind, "file") && (strcmp(kind, "text") || w->size))
		return -NTM_EDECODE;
	w->kind = *kind == 'f' ? CHAT_FILE : CHAT_TEXT;
	w->epoch = (uint64_t)epoch;
	strcpy(w->text, text);
	return 0;
}

int chatword_get(const char *text, size_t len, struct chatword *out)
{
	struct chatword *w = calloc(1, sizeof(*w));
	json_t *j = object(text, len, 9);
	int r = w && j ? word_take(j, w) : -NTM_EDECODE;

	if (!r)
		*out = *w;
	json_decref(j);
	free(w);
	return r;
}

/* --- marks ------------------------------------------------------------------------------- */

char *chatmarks_put(const struct chatmarks *m)
{
	json_t *ids = json_array();

	for (size_t i = 0; i < m->n; i++)
		json_array_append_new(ids, binary(m->id[i], CHAT_ID_LEN));
	return text_of(json_pack("{s:i, s:o, s:o}", "v", VERSION, "group",
				 binary(m->group, GROUP_ID_LEN), "read", ids));
}

static int marks_take(const json_t *j, struct chatmarks *m)
{
	const json_t *ids = json_object_get(j, "read");
	const char *text;

	m->n = json_array_size(ids);
	if (!binary_get(j, "group", m->group) || !m->n || m->n > CHAT_MARKS_MAX)
		return -NTM_EDECODE;
	for (size_t i = 0; i < m->n; i++) {
		text = json_string_value(json_array_get(ids, i));
		if (!text || ntmc_base64url_decode(text, m->id[i], CHAT_ID_LEN))
			return -NTM_EDECODE;
	}
	return 0;
}

int chatmarks_get(const char *text, size_t len, struct chatmarks *out)
{
	struct chatmarks m;
	json_t *j = object(text, len, 3);
	int r = -NTM_EDECODE;

	memset(&m, 0, sizeof(m));
	if (j)
		r = marks_take(j, &m);
	if (!r)
		*out = m;
	json_decref(j);
	return r;
}
