/* SPDX-License-Identifier: MIT */
/* out - what a person sees: colours where the terminal has them, tables, units */
#include "common/out.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define SLOTS	  8
#define SLOT_SIZE 320

/* The next of eight buffers, so that one printf may use several. */
static char *slot(void)
{
	static char slots[SLOTS][SLOT_SIZE];
	static unsigned int next;

	return slots[next++ % SLOTS];
}

bool out_is_terminal(void)
{
	return isatty(STDOUT_FILENO);
}

static bool colour_wanted(void)
{
	static int wanted = -1;

	if (wanted < 0)
		wanted = out_is_terminal() && !getenv("NO_COLOR");
	return wanted;
}

const char *out_colour(enum out_colour c, const char *text)
{
	static const char *const codes[] = {
		[OUT_PLAIN] = "",  [OUT_GOOD] = "32", [OUT_BAD] = "31",
		[OUT_WARN] = "33", [OUT_DIM] = "2",   [OUT_BOLD] = "1",
	};
	char *s;

	if (c == OUT_PLAIN || !colour_wanted())
		return text;
	s = slot();
	snprintf(s, SLOT_SIZE, "\033[%sm%s\033[0m", codes[c], text);
	return s;
}

const char *out_bytes(json_int_t bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double v = (double)bytes;
	unsigned int u = 0;
	char *s = slot();

	/* whole ones: doubles are half of the time that a long list takes */
	if (bytes < 1000) {
		snprintf(s, SLOT_SIZE, "%lld B", (long long)bytes);
		return s;
	}
	while (v >= 1000 && u + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1000;
		u++;
	}
	snprintf(s, SLOT_SIZE, "%.1f %s", v, units[u]);
	return s;
}

const char *out_ago(json_int_t seconds)
{
	char *s = slot();

	if (seconds < 0)
		return "never";
	if (seconds < 120)
		snprintf(s, SLOT_SIZE, "%lld s ago", (long long)seconds);
	else if (seconds < 7200)
		snprintf(s, SLOT_SIZE, "%lld min ago", (long long)seconds / 60);
	else
		snprintf(s, SLOT_SIZE, "%lld h ago", (long long)seconds / 3600);
	return s;
}

const char *out_date(json_int_t unix_time)
{
	time_t t = (time_t)unix_time;
	struct tm tm;
	char *s = slot();

	if (unix_time <= 0 || !localtime_r(&t, &tm))
		return "never";
	strftime(s, SLOT_SIZE, "%Y-%m-%d %H:%M", &tm);
	return s;
}

const char *out_text(const json_t *j, const char *key, const char *dflt)
{
	const char *text = json_string_value(json_object_get(j, key));

	return text && *text ? text : dflt;
}

json_int_t out_int(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	return json_is_real(v) ? (json_int_t)json_real_value(v)
			       : json_integer_value(v);
}

/* Columns that @text takes: no escape sequences, one per UTF-8 character. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		if (*text == '\033') {
			while (*text && *text != 'm')
				text++;
			if (!*text)
				break;
		} else if (((unsigned char)*text & 0xc0) != 0x80) {
			n++;
		}
	}
	return n;
}

static void row_print(const char *const *cells, const size_t *widths, size_t n)
{
	size_t c;

	for (c = 0; c + 1 < n; c++) {
		size_t pad = widths[c] - width(cells[c]) + 2;

		fputs_unlocked(cells[c], stdout);
		while (pad--)
			putchar_unlocked(' ');
	}
	fputs_unlocked(cells[c], stdout);
	putchar_unlocked('\n');
}

size_t out_columns(void)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || !w.ws_col)
		return SIZE_MAX;
	return w.ws_col;
}

/* A row that is too wide: a line for each cell. */
static void card_print(const char *const *headings, const char *const *cells,
		       size_t n)
{
	size_t widest = 0, c;

	for (c = 0; c < n; c++)
		if (width(headings[c]) > widest)
			widest = width(headings[c]);
	for (c = 0; c < n; c++)
		if (*cells[c])
			printf("%s%*s%s\n", headings[c],
			       (int)(widest - width(headings[c])) + 2, "",
			       cells[c]);
}

void out_table(const char *const *headings, size_t n_cols,
	       const char *const *cells, size_t n_rows)
{
	size_t *widths = calloc(n_cols, sizeof(*widths));
	size_t r, c, all = 2 * (n_cols - 1);
	bool fits;

	if (!widths)
		return;
	for (c = 0; c < n_cols; c++)
		widths[c] = width(headings[c]);
	for (r = 0; r < n_rows * n_cols; r++)
		if (width(cells[r]) > widths[r % n_cols])
			widths[r % n_cols] = width(cells[r]);
	for (c = 0; c < n_cols; c++)
		all += widths[c];
	fits = all <= out_columns();
	if (fits)
		row_print(headings, widths, n_cols);
	for (r = 0; r < n_rows; r++) {
		if (fits)
			row_print(cells + r * n_cols, widths, n_cols);
		else
			card_print(headings, cells + r * n_cols, n_cols);
		if (!fits && r + 1 < n_rows)
			putchar('\n');
	}
	free(widths);
}

#define DEVICE_COLS	  5
#define FINGERPRINT_SHOWN 16

void out_devices(const json_t *list)
{
	static const char *const headings[DEVICE_COLS] = {
		"DEVICE", "LAST LOGIN", "STATE", "VERSION", "FINGERPRINT"};
	size_t n = json_array_size(list), i;
	const char **cells = calloc(n * DEVICE_COLS + 1, sizeof(*cells));
	char(*text)[2][32] = calloc(n + 1, sizeof(*text));
	const json_t *d;

	if (!cells || !text)
		goto done;
	json_array_foreach(list, i, d)
	{
		const char **row = cells + i * DEVICE_COLS;

		snprintf(text[i][0], sizeof(text[i][0]), "%s",
			 out_date(out_int(d, "last_login")));
		snprintf(text[i][1], sizeof(text[i][1]), "%.*s",
			 FINGERPRINT_SHOWN, out_text(d, "fingerprint", ""));
		row[0] = out_text(d, "fqdn", "?");
		row[1] = text[i][0];
		row[2] = json_is_true(json_object_get(d, "revoked")) ? "revoked"
			 : json_is_true(json_object_get(d, "this"))
				 ? "this device"
				 : "active";
		row[3] = out_text(d, "version", "");
		row[4] = text[i][1];
	}
	out_table(headings, DEVICE_COLS, cells, n);
done:
	free(text);
	free(cells);
}

void out_screen(void)
{
	if (out_is_terminal())
		fputs("\033[H\033[2J", stdout);
}
