/* SPDX-License-Identifier: MIT */
/* jsonread - JSON read where it lies */
#include "common/jsonread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void jsonread_begin(struct jsonread *r, char *text)
{
	*r = (struct jsonread){.at = text};
}

static void fail(struct jsonread *r)
{
	r->bad = true;
}

/* The next character that is no space */
static char peek(struct jsonread *r)
{
	while (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' ||
	       *r->at == '\r')
		r->at++;
	return *r->at;
}

static bool take(struct jsonread *r, char c)
{
	if (r->bad || peek(r) != c)
		return false;
	r->at++;
	return true;
}

/* Return: is there one more between @open and @close? */
static bool more(struct jsonread *r, size_t *n, char open, char close)
{
	if (!*n && !take(r, open)) {
		fail(r);
		return false;
	}
	if (!*n && take(r, close))
		return false;
	if (*n && !take(r, ',')) {
		if (!take(r, close))
			fail(r);
		return false;
	}
	++*n;
	return true;
}

bool jsonread_element(struct jsonread *r, size_t *n)
{
	return more(r, n, '[', ']');
}

const char *jsonread_member(struct jsonread *r, size_t *n)
{
	const char *name;

	if (!more(r, n, '{', '}'))
		return NULL;
	name = jsonread_string(r);
	if (!take(r, ':'))
		fail(r);
	return r->bad ? NULL : name;
}

/* --- strings ------------------------------------------------------------------------- */

/* Four digits. Return: -1: they are none */
static long hex4(const char *s)
{
	long v = 0;
	int i;

	for (i = 0; i < 4; i++) {
		char c = s[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return v;
}

static char *utf8_put(char *to, long c)
{
	if (c < 0x80) {
		*to++ = (char)c;
		return to;
	}
	if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*to++ = (char)(0xe0 | c >> 12);
		} else {
			*to++ = (char)(0xf0 | c >> 18);
			*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (c & 0x3f));
	return to;
}

/* @at: behind "\u". Halves come in pairs, and a NUL would cut the text. Return: the
 * character, and *@at behind it; 0: it is none */
static long escaped(const char **at)
{
	long c = hex4(*at), low;

	if (c <= 0 || (c >= 0xdc00 && c < 0xe000))
		return 0;
	*at += 4;
	if (c < 0xd800 || c >= 0xe000)
		return c;
	if ((*at)[0] != '\\' || (*at)[1] != 'u')
		return 0;
	low = hex4(*at + 2);
	if (low < 0xdc00 || low >= 0xe000)
		return 0;
	*at += 6;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* From the first escape on: what it stands for is shorter. Return: the closing quote;
 * NULL: there is none */
static const char *decode(char *to, const char *s)
{
	static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *name;
	long c;

	while (*s != '"') {
		if ((unsigned char)*s < 0x20)
			return NULL;
		if (*s != '\\') {
			*to++ = *s++;
			continue;
		}
		s += 2;
		if (s[-1] == 'u') {
			c = escaped(&s);
			if (!c)
				return NULL;
			to = utf8_put(to, c);
			continue;
		}
		name = s[-1] ? strchr(names, s[-1]) : NULL;
		if (!name)
			return NULL;
		*to++ = meant[name - names];
	}
	*to = '\0';
	return s;
}

char *jsonread_string(struct jsonread *r)
{
	static char none[1];
	const char *end;
	char *s, *p;

	if (!take(r, '"')) {
		fail(r);
		return none;
	}
	for (s = p = r->at; (unsigned char)*p >= 0x20 && *p != '"'; p++)
		if (*p == '\\')
			break;
	end = p;
	if (*p == '\\')
		end = decode(p, p);
	else if (*p != '"')
		end = NULL;
	else
		*p = '\0';
	if (!end) {
		fail(r);
		return none;
	}
	r->at = s + (end + 1 - s);
	return s;
}

/* --- the others ---------------------------------------------------------------------- */

int64_t jsonread_number(struct jsonread *r)
{
	char c = r->bad ? '\0' : peek(r), *end;
	const char *digit = c == '-' ? r->at + 1 : r->at;
	long long v;

	if (*digit < '0' || *digit > '9' || r->bad) {
		fail(r);
		return 0;
	}
	errno = 0;
	v = strtoll(r->at, &end, 10);
	if (errno || (*digit == '0' && end > digit + 1) || *end == '.' ||
	    *end == 'e' || *end == 'E') {
		fail(r);
		return 0;
	}
	r->at = end;
	return v;
}

static bool word(struct jsonread *r, const char *text, size_t len)
{
	if (r->bad || strncmp(r->at, text, len) != 0)
		return false;
	r->at += len;
	return true;
}

bool jsonread_bool(struct jsonread *r)
{
	if (!r->bad)
		peek(r);
	if (word(r, "true", 4))
		return true;
	if (!word(r, "false", 5))
		fail(r);
	return false;
}

void jsonread_skip(struct jsonread *r)
{
	size_t depth = 0;

	do {
		switch (r->bad ? '\0' : peek(r)) {
		case '\0':
			fail(r);
			return;
		case '"':
			jsonread_string(r);
			break;
		case '[':
		case '{':
			depth++;
			r->at++;
			break;
		case ']':
		case '}':
			if (!depth) { /* there is no value */
				fail(r);
				return;
			}
			depth--;
			r->at++;
			break;
		case ',':
		case ':':
			if (!depth) {
				fail(r);
				return;
			}
			r->at++;
			break;
		default: /* a number or a word */
			r->at += strcspn(r->at, ",:]}[{\" \n\t\r");
		}
	} while (depth && !r->bad);
}

bool jsonread_end(struct jsonread *r)
{
	if (!r->bad && peek(r))
		fail(r);
	return !r->bad;
}
