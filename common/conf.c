/* SPDX-License-Identifier: MIT */
/*
 * conf - INI configuration: a table of keys, a file, errors with file and line
 *
 * libinih splits the lines; here they are counted (its handler is not told the
 * line), looked up and turned into values. A file is read whole into a list of
 * texts first and stored only when all of it is right, so that a failed reload
 * leaves the old configuration untouched. Lines may be indented: the leading
 * space is taken away before libinih would read it as a continued line.
 */
#include "common/conf.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONF_LINE_MAX 4096

static const char not_a_line[] = "neither [section] nor key = value";

struct conf_reader {
	const struct conf_key *keys;
	size_t n;
	FILE *file;
	const char *path;
	char **texts; /* per key: what the file says, NULL where nothing */
	unsigned int *lines; /* per key: where */
	unsigned int line;
	char *error;
	size_t error_size;
	bool failed;
};

/* Only the first error is told: later ones often follow from it. */
static int fail(struct conf_reader *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int fail(struct conf_reader *r, const char *fmt, ...)
{
	size_t len;
	va_list ap;

	if (!r->failed && r->error_size) {
		r->error[0] = '\0';
		if (r->path)
			snprintf(r->error, r->error_size, "%s:%u: ", r->path,
				 r->line);
		len = strlen(r->error);
		va_start(ap, fmt);
		vsnprintf(r->error + len, r->error_size - len, fmt, ap);
		va_end(ap);
	}
	r->failed = true;
	return -NTM_ECONF;
}

/* --- values -------------------------------------------------------------------- */

struct unit {
	char letter;
	uint64_t factor;
};

/* "64K": digits and at most one letter of @units. */
static bool parse_number(const char *text, const struct unit *units,
			 uint64_t max, uint64_t *out)
{
	unsigned long long v;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end) {
		while (units->letter &&
		       units->letter != toupper((unsigned char)*end))
			units++;
		if (!units->letter || end[1] || v > max / units->factor)
			return false;
		v *= units->factor;
	}
	*out = v;
	return v <= max;
}

static bool parse_bool(const char *text, bool *out)
{
	static const char *const words[][2] = {
		{"no", "yes"},
		{"false", "true"},
		{"off", "on"},
		{"0", "1"},
	};
	size_t i;
	int v;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		for (v = 0; v < 2; v++) {
			if (strcasecmp(text, words[i][v]) == 0) {
				*out = v == 1;
				return true;
			}
		}
	}
	return false;
}

static const struct unit units_none[] = {{0, 0}};
static const struct unit units_time[] = {
	{'S', 1}, {'M', 60}, {'H', 3600}, {'D', 86400}, {0, 0},
};
static const struct unit units_size[] = {
	{'K', 1 << 10},
	{'M', 1 << 20},
	{'G', 1 << 30},
	{0, 0},
};

union conf_value {
	uint64_t number;
	bool truth;
};

static bool parse_value(enum conf_type type, const char *text,
			union conf_value *v)
{
	switch (type) {
	case CONF_STRING:
	case CONF_LIST:
		return true;
	case CONF_UINT:
		return parse_number(text, units_none, UINT32_MAX, &v->number);
	case CONF_DURATION:
		return parse_number(text, units_time, UINT32_MAX, &v->number);
	case CONF_SIZE:
		return parse_number(text, units_size, UINT64_MAX, &v->number);
	case CONF_BOOL:
		return parse_bool(text, &v->truth);
	}
	return false;
}

static const char *type_text(enum conf_type type)
{
	switch (type) {
	case CONF_STRING:
	case CONF_LIST:
		return "a text";
	case CONF_UINT:
		return "a number";
	case CONF_BOOL:
		return "yes or no";
	case CONF_DURATION:
		return "a time as 30s, 5m, 2h or 1d";
	case CONF_SIZE:
		return "a size as 512, 64K, 1M or 2G";
	}
	return "a value";
}

/* @text was checked by parse_value(); only memory can fail. */
static int store_value(const struct conf_key *key, const char *text, void *out)
{
	char *field = (char *)out + key->offset, *copy;
	union conf_value v = {0};

	if (!parse_value(key->type, text, &v))
		return -NTM_EINVAL;
	switch (key->type) {
	case CONF_STRING:
	case CONF_LIST:
		copy = strdup(text);
		if (!copy)
			return -NTM_ENOMEM;
		free(*(char **)field);
		*(char **)field = copy;
		break;
	case CONF_UINT:
	case CONF_DURATION:
		*(unsigned int *)field = (unsigned int)v.number;
		break;
	case CONF_BOOL:
		*(bool *)field = v.truth;
		break;
	case CONF_SIZE:
		*(uint64_t *)field = v.number;
		break;
	}
	return 0;
}

int conf_defaults(const struct conf_key *keys, size_t n, void *out)
{
	size_t i;
	int ret;

	for (i = 0; i < n; i++) {
		if (keys[i].type == CONF_STRING || keys[i].type == CONF_LIST)
			*(char **)((char *)out + keys[i].offset) = NULL;
	}
	for (i = 0; i < n; i++) {
		if (!keys[i].dflt)
			continue;
		ret = store_value(&keys[i], keys[i].dflt, out);
		if (ret) {
			conf_clear(keys, n, out);
			return ret;
		}
	}
	return 0;
}

void conf_clear(const struct conf_key *keys, size_t n, void *out)
{
	char **field;
	size_t i;

	for (i = 0; i < n; i++) {
		if (keys[i].type != CONF_STRING && keys[i].type != CONF_LIST)
			continue;
		field = (char **)((char *)out + keys[i].offset);
		free(*field);
		*field = NULL;
	}
}

/* --- the file --------------------------------------------------------------------- */

/* The key's place in the table, or @n. */
static size_t find_key(const struct conf_key *keys, size_t n,
		       const char *section, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(keys[i].section, section) == 0 &&
		    strcmp(keys[i].key, name) == 0)
			break;
	return i;
}

static bool section_known(const struct conf_reader *r, const char *section)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (strcmp(r->keys[i].section, section) == 0)
			return true;
	return false;
}

static int take(struct conf_reader *r, const char *section, const char *name,
		const char *value)
{
	size_t i = find_key(r->keys, r->n, section, name);
	union conf_value v;

	if (i == r->n) {
		if (!section[0])
			return fail(r, "key '%s' stands outside of a section",
				    name);
		if (!section_known(r, section))
			return fail(r, "unknown section [%s]", section);
		return fail(r, "unknown key '%s' in [%s]", name, section);
	}
	if (r->texts[i])
		return fail(r, "'%s' in [%s] is set already, in line %u", name,
			    section, r->lines[i]);
	if (!parse_value(r->keys[i].type, value, &v))
		return fail(r, "'%s' in [%s] is to be %s, not '%s'", name,
			    section, type_text(r->keys[i].type), value);
	r->texts[i] = strdup(value);
	r->lines[i] = r->line;
	return r->texts[i] ? 0 : fail(r, "%s", err_text(NTM_ENOMEM));
}

static int on_key(void *user, const char *section, const char *name,
		  const char *value)
{
	struct conf_reader *r = user;

	if (!r->failed)
		(void)take(r, section, name, value);
	return 1;
}

/* One line for libinih, without its leading space. What libinih would skip
 * silently or cut is looked at here. */
static char *on_line(char *buf, int size, void *stream)
{
	struct conf_reader *r = stream;
	size_t len, lead;

	if (r->failed || !fgets(buf, size, r->file))
		return NULL;
	r->line++;
	len = strlen(buf);
	if (len + 1 == (size_t)size && buf[len - 1] != '\n') {
		(void)fail(r, "the line is longer than %d bytes", size - 2);
		return NULL;
	}
	lead = strspn(buf, " \t");
	memmove(buf, buf + lead, len - lead + 1);
	if (buf[0] == '[' && !strchr(buf, ']')) {
		/* libinih goes on, and the next line would be blamed */
		(void)fail(r, "%s", not_a_line);
		return NULL;
	}
	return buf;
}

static int read_texts(struct conf_reader *r)
{
	int bad;

	/* libinih's own defaults: lines of 200 bytes, cut silently */
	ini_use_stack = false;
	ini_max_line = CONF_LINE_MAX;
	ini_initial_alloc = CONF_LINE_MAX;
	bad = ini_parse_stream(on_line, r, on_key, r);
	if (!r->failed && ferror(r->file)) {
		(void)fail(r, "cannot be read");
	} else if (!r->failed && bad) {
		r->line = bad > 0 ? (unsigned int)bad : r->line;
		(void)fail(r, "%s", not_a_line);
	}
	return r->failed ? -NTM_ECONF : 0;
}

static int store_texts(const struct conf_reader *r, void *out)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < r->n && ret == 0; i++)
		if (r->texts[i])
			ret = store_value(&r->keys[i], r->texts[i], out);
	return ret;
}

int conf_load(const struct conf_key *keys, size_t n, const char *path,
	      void *out, char *error, size_t error_size)
{
	struct conf_reader r = {.keys = keys,
				.n = n,
				.path = path,
				.error = error,
				.error_size = error_size};
	size_t i;
	int ret;

	r.file = fopen(path, "re");
	if (!r.file) {
		snprintf(error, error_size, "%s: %s", path, strerror(errno));
		return errno == ENOENT ? -NTM_ENOTFOUND : -NTM_ECONF;
	}
	r.texts = calloc(n, sizeof(*r.texts));
	r.lines = calloc(n, sizeof(*r.lines));
	if (r.texts && r.lines)
		ret = read_texts(&r);
	else
		ret = fail(&r, "%s", err_text(NTM_ENOMEM));
	if (ret == 0)
		ret = store_texts(&r, out);
	for (i = 0; r.texts && i < n; i++)
		free(r.texts[i]);
	free(r.texts);
	free(r.lines);
	fclose(r.file);
	return ret;
}

int conf_set(const struct conf_key *keys, size_t n, const char *assignment,
	     void *out, char *error, size_t error_size)
{
	struct conf_reader r = {
		.keys = keys, .n = n, .error = error, .error_size = error_size};
	const char *dot = strchr(assignment, '.'),
		   *eq = strchr(assignment, '=');
	char section[64], name[64];
	union conf_value v;
	size_t i;

	if (!dot || !eq || dot > eq || (size_t)(dot - assignment) >= 64 ||
	    (size_t)(eq - dot) > 64)
		return fail(&r, "'%s' is not section.key=value", assignment);
	snprintf(section, sizeof(section), "%.*s", (int)(dot - assignment),
		 assignment);
	snprintf(name, sizeof(name), "%.*s", (int)(eq - dot - 1), dot + 1);
	i = find_key(keys, n, section, name);
	if (i == n)
		return fail(&r, "unknown key '%s.%s'", section, name);
	if (!parse_value(keys[i].type, eq + 1, &v))
		return fail(&r, "'%s.%s' is to be %s, not '%s'", section, name,
			    type_text(keys[i].type), eq + 1);
	return store_value(&keys[i], eq + 1, out);
}
