/* SPDX-License-Identifier: MIT */
/* plain - text that others chose, made fit for a terminal */
#include "common/plain.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ELLIPSIS "\xe2\x80\xa6"

struct range {
	uint32_t first, last;
};

/* Characters that change how others are shown, or have no place in a line */
static const struct range unfit[] = {
	{0x0000, 0x001f}, {0x007f, 0x009f}, {0x061c, 0x061c}, {0x200e, 0x200f},
	{0x2028, 0x202e}, {0x2066, 0x2069}, {0xfff9, 0xfffb},
};

/* Two columns: East Asian scripts and pictures, as terminals have them */
static const struct range wide[] = {
	{0x1100, 0x115f},   {0x2e80, 0x303e},	{0x3041, 0x33ff},
	{0x3400, 0x4dbf},   {0x4e00, 0x9fff},	{0xa000, 0xa4cf},
	{0xa960, 0xa97c},   {0xac00, 0xd7a3},	{0xf900, 0xfaff},
	{0xfe30, 0xfe6f},   {0xff00, 0xff60},	{0xffe0, 0xffe6},
	{0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff},
	{0x20000, 0x3fffd},
};

/* No column: combining marks of scripts in common use, joiners, selectors */
static const struct range none[] = {
	{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a},
	{0x064b, 0x065f}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200d},
	{0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff},
};

#define IN(table, c) in(table, sizeof(table) / sizeof((table)[0]), c)

static bool in(const struct range *r, size_t n, uint32_t c)
{
	for (; n; n--, r++)
		if (c >= r->first && c <= r->last)
			return true;
	return false;
}

/* The character at @s. Return: its bytes; 0 where it is none, or unfit */
static size_t character(const char *s, uint32_t *c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *u = (const unsigned char *)s;
	size_t n = *u < 0x80 ? 1 : *u >= 0xf0 ? 4 : *u >= 0xe0 ? 3 : 2, i;

	/* nearly all that there is; of a long list each byte comes by here */
	if (*u >= 0x20 && *u < 0x7f) {
		*c = *u;
		return 1;
	}
	if (*u > 0xf4 || (*u >= 0x80 && *u < 0xc2))
		return 0;
	*c = n == 1 ? *u : *u & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (u[i] & 0x3f);
	}
	if (*c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff) ||
	    IN(unfit, *c))
		return 0;
	return n;
}

/* Bytes of what stands for one '?' at @s: a character, or a byte that is in none */
static size_t unfit_len(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = *u < 0xc2 ? 1 : *u >= 0xf0 ? 4 : *u >= 0xe0 ? 3 : 2, i;

	for (i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 1;
	return n;
}

bool plain_ok(const char *text)
{
	uint32_t c;
	size_t n;

	for (; *text; text += n) {
		/* nearly all that there is; of a long list each byte comes by here */
		if (*text >= 0x20 && *text < 0x7f) {
			n = 1;
			continue;
		}
		n = character(text, &c);
		if (!n)
			return false;
	}
	return true;
}

static size_t columns_of(uint32_t c)
{
	return IN(none, c) ? 0 : IN(wide, c) ? 2 : 1;
}

size_t plain_columns(const char *text)
{
	size_t all = 0, n;
	uint32_t c;

	for (; *text; text += n) {
		n = character(text, &c);
		all += n ? columns_of(c) : 1;
		if (!n)
			n = unfit_len(text);
	}
	return all;
}

char *plain_text(const char *in, char *out, size_t size)
{
	size_t at = 0, n;
	uint32_t c;

	for (; *in; in += n) {
		n = character(in, &c);
		if (at + (n ? n : 1) >= size)
			break;
		if (n) {
			memmove(out + at, in, n);
			at += n;
		} else {
			n = unfit_len(in);
			out[at++] = '?';
		}
	}
	out[at] = '\0';
	return out;
}

/* Bytes of the characters of plain @text that take at most @columns */
static size_t head_len(const char *text, size_t columns)
{
	size_t used = 0, len = 0, n;
	uint32_t c;

	while (text[len]) {
		n = character(text + len, &c);
		used += columns_of(c);
		if (used > columns)
			break;
		len += n;
	}
	return len;
}

/* Where the characters at the end of plain @text begin that take at most @columns */
static size_t tail_at(const char *text, size_t columns)
{
	size_t at = strlen(text), left = plain_columns(text), begin = 0;
	uint32_t c;

	while (begin < at && left > columns) {
		size_t n = character(text + begin, &c);

		left -= columns_of(c);
		begin += n;
	}
	return begin;
}

char *plain_fit(const char *in, size_t columns, char *out, size_t size)
{
	size_t tail, head;

	plain_text(in, out, size);
	if (plain_columns(out) <= columns)
		return out;
	if (!columns || size < sizeof(ELLIPSIS)) {
		*out = '\0';
		return out;
	}
	tail = tail_at(out, (columns - 1) / 2);
	head = head_len(out, columns - 1 - (columns - 1) / 2);
	if (head + strlen(ELLIPSIS) + strlen(out + tail) >= size) {
		out[head] = '\0';
		return out;
	}
	memmove(out + head + strlen(ELLIPSIS), out + tail,
		strlen(out + tail) + 1);
	memcpy(out + head, ELLIPSIS, strlen(ELLIPSIS));
	return out;
}

static void string_plain(json_t *j)
{
	const char *text = json_string_value(j);
	size_t size = strlen(text) + 1;
	char *out;

	if (plain_ok(text))
		return;
	out = malloc(size);
	/* without memory nothing of it is shown */
	(void)json_string_set(j, out ? plain_text(text, out, size) : "");
	free(out);
}

void plain_json(json_t *j, const char *but)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_string(j))
		string_plain(j);
	json_array_foreach(j, i, value) plain_json(value, but);
	json_object_foreach(j, key, value)
	{
		if (!but || strcmp(key, but))
			plain_json(value, but);
	}
}
