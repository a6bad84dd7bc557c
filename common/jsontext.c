/* SPDX-License-Identifier: MIT */
/* jsontext - JSON written as it goes */
#include "common/jsontext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST  4096
#define ESCAPE 6 /* bytes of \u001f */

static bool room_for(struct jsontext *t, size_t more)
{
	size_t room = t->room ? t->room : FIRST;
	char *p;

	while (room < t->len + more + 1)
		room *= 2;
	if (t->bad || room == t->room)
		return !t->bad;
	p = realloc(t->p, room);
	t->bad = !p;
	if (!p)
		return false;
	t->p = p;
	t->room = room;
	return true;
}

static void add(struct jsontext *t, const char *text, size_t len)
{
	if (!room_for(t, len))
		return;
	memcpy(t->p + t->len, text, len);
	t->len += len;
	t->p[t->len] = '\0';
}

void jsontext_put(struct jsontext *t, const char *text)
{
	add(t, text, strlen(text));
}

void jsontext_number(struct jsontext *t, int64_t v)
{
	char text[24];

	add(t, text,
	    (size_t)snprintf(text, sizeof(text), "%lld", (long long)v));
}

/* bytes of the character that begins here; 0: it is none (RFC 3629) */
static size_t character(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4, i;
	uint32_t c;

	if (n == 1)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	c = s[0] & (0xffU >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) ||
	    (n == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	return n;
}

void jsontext_string(struct jsontext *t, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n;
	char *at;

	if (!room_for(t, ESCAPE * strlen(text) + 2))
		return;
	at = t->p + t->len;
	*at++ = '"';
	for (; *s; s += n) {
		n = character(s);
		if (*s == '"' || *s == '\\') {
			*at++ = '\\';
			*at++ = (char)*s;
		} else if (*s < 0x20) {
			at += sprintf(at, "\\u%04x", *s);
		} else if (!n) {
			*at++ = '?';
			n = 1;
		} else {
			memcpy(at, s, n);
			at += n;
		}
	}
	*at++ = '"';
	*at = '\0';
	t->len = (size_t)(at - t->p);
}

char *jsontext_take(struct jsontext *t)
{
	char *p = t->p;

	if (t->bad) {
		free(p);
		p = NULL;
	}
	*t = (struct jsontext){.p = NULL};
	return p;
}
