/* SPDX-License-Identifier: MIT */
/* cmd_inbox - ntm inbox: what others have sent */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/out.h"
#include "wrappers/items.h"

#define COLUMNS 5

static const char *cell(const json_t *row, size_t i)
{
	const char *text = json_string_value(json_array_get(row, i));

	return text ? text : "";
}

/* whose it is where it is another program's, its title, what the sender says of it */
static char *what(const json_t *row)
{
	const char *title = cell(row, 2), *message = cell(row, 3);
	const char *of = cell(row, 7), *quote = *message ? "\"" : "";
	size_t size = strlen(title) + strlen(message) + strlen(of) + 16;
	char *out = malloc(size);

	if (!strcmp(of, ITEMS_APPLICATION))
		of = "";
	if (!*message && !*title)
		title = "-";
	if (out)
		snprintf(out, size, "%s%s%s%s%s%s%s", of, *of ? ": " : "",
			 title, *title && *message ? ": " : "", quote, message,
			 quote);
	return out;
}

/* Return: false: no memory */
static bool cells_fill(char **c, const json_t *row)
{
	json_int_t size = json_integer_value(json_array_get(row, 4));
	const char *state = cell(row, 5), *text = cell(row, 6);
	size_t room = strlen(state) + strlen(text) + 3;
	char number[24];

	snprintf(number, sizeof(number), "%lld",
		 (long long)json_integer_value(json_array_get(row, 0)));
	c[0] = strdup(number);
	c[1] = strdup(cell(row, 1));
	c[2] = what(row);
	c[3] = strdup(size ? out_bytes(size) : "-");
	c[4] = malloc(room);
	if (c[4])
		snprintf(c[4], room, "%s%s%s", state, *text ? ": " : "", text);
	return c[0] && c[1] && c[2] && c[3] && c[4];
}

/* is an item of that program asked for? */
static bool shown(const struct command_args *a, const char *application)
{
	if (!a->application) /* `ntm-group` shows what groups say */
		return strcmp(application, ITEMS_GROUPS);
	return !strcmp(a->application, "all") ||
	       !strcmp(a->application, application);
}

/* those that are not asked for go; @list: of rows or of items */
static void select_shown(const struct command_args *a, json_t *list)
{
	size_t i = json_array_size(list);
	const json_t *one;

	while (i--) {
		one = json_array_get(list, i);
		if (!shown(a, json_is_array(one)
				      ? cell(one, 7)
				      : out_text(one, "application", "")))
			json_array_remove(list, i);
	}
}

static int inbox_print(const struct command_args *a)
{
	static const char *const heads[COLUMNS] = {"NUMBER", "FROM", "WHAT",
						   "SIZE", "STATE"};
	json_t *rows;
	bool logged_in;
	char **cells;
	size_t i, n;

	if (items_rows(a, &rows, &logged_in))
		return 1;
	select_shown(a, rows);
	n = json_array_size(rows);
	cells = calloc(n * COLUMNS + 1, sizeof(*cells));
	for (i = 0; cells && i < n; i++)
		if (!cells_fill(cells + i * COLUMNS, json_array_get(rows, i)))
			break;
	if (!n)
		items_none("nothing is there", logged_in);
	else if (i == n)
		out_table(heads, COLUMNS, (const char *const *)cells, n);
	else
		command_fail(a, -NTM_ENOMEM, NULL);
	for (i = 0; cells && i < n * COLUMNS; i++)
		free(cells[i]);
	free(cells);
	json_decref(rows);
	return 0;
}

int cmd_inbox(const struct command_args *a)
{
	json_t *items, *j;
	bool logged_in;

	if (!a->json)
		return inbox_print(a);
	if (items_all(a, "inbox", &items, &logged_in))
		return 1;
	select_shown(a, items);
	j = json_pack("{s:b, s:b, s:O}", "ok", 1, "logged_in", logged_in,
		      "items", items);
	command_json(a, j);
	json_decref(j);
	json_decref(items);
	return 0;
}
