/* SPDX-License-Identifier: MIT */
/* cmd_inbox - ntm inbox, drop: what others have sent, and what nobody wants of it */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/out.h"
#include "wrappers/items.h"

#define COLUMNS	  5
#define SIZE_TEXT 32 /* of out_bytes(), whatever the number */

/* Text that is put together, or borrowed where there is nothing to put. @to: room for it
 * all, moves on */
static const char *what(const struct inbox_row *r, char **to)
{
	const char *of = r->application, *begin = *to;

	if (!strcmp(of, ITEMS_APPLICATION))
		of = "";
	if (!*of && !*r->message)
		return *r->title ? r->title : "-";
	if (*of)
		*to = stpcpy(stpcpy(*to, of), ": ");
	*to = stpcpy(*to, *r->message || *r->title ? r->title : "-");
	if (*r->title && *r->message)
		*to = stpcpy(*to, ": ");
	if (*r->message)
		*to = stpcpy(stpcpy(stpcpy(*to, "\""), r->message), "\"");
	++*to; /* behind its end */
	return begin;
}

static const char *state(const struct inbox_row *r, char **to)
{
	const char *begin = *to;

	if (!*r->text)
		return r->state;
	*to = stpcpy(stpcpy(stpcpy(*to, r->state), ": "), r->text) + 1;
	return begin;
}

static const char *text_put(char **to, const char *text)
{
	const char *begin = *to;

	*to = stpcpy(*to, text) + 1;
	return begin;
}

/* whose it is where it is another program's, its title, what the sender says of it.
 * Return: what is to be freed with the cells; NULL: no memory */
static char *cells_fill(const char **c, const struct inbox_row *r)
{
	char number[24];
	char *room = malloc(sizeof(number) + SIZE_TEXT +
			    strlen(r->application) + strlen(r->title) +
			    strlen(r->message) + strlen(r->state) +
			    strlen(r->text) + 16),
	     *to = room;

	if (!room)
		return NULL;
	snprintf(number, sizeof(number), "%lld", (long long)r->number);
	c[0] = text_put(&to, number);
	c[1] = r->from;
	c[2] = what(r, &to);
	c[3] = r->size ? text_put(&to, out_bytes(r->size)) : "-";
	c[4] = state(r, &to);
	return room;
}

/* is an item of that program asked for? */
static bool shown(const struct command_args *a, const char *application)
{
	if (!a->application) /* `ntm-group` shows what groups say */
		return strcmp(application, ITEMS_GROUPS);
	return !strcmp(a->application, "all") ||
	       !strcmp(a->application, application);
}

/* those that are not asked for go */
static void select_rows(const struct command_args *a, struct inbox_rows *l)
{
	size_t i, n = 0;

	for (i = 0; i < l->n; i++)
		if (shown(a, l->row[i].application))
			l->row[n++] = l->row[i];
	l->n = n;
}

static void select_items(const struct command_args *a, json_t *items)
{
	size_t i = json_array_size(items);

	while (i--)
		if (!shown(a, out_text(json_array_get(items, i), "application",
				       "")))
			json_array_remove(items, i);
}

static int rows_print(const struct command_args *a, const struct inbox_rows *l)
{
	static const char *const heads[COLUMNS] = {"NUMBER", "FROM", "WHAT",
						   "SIZE", "STATE"};
	const char **cells = calloc(l->n * COLUMNS + 1, sizeof(*cells));
	char **rooms = calloc(l->n + 1, sizeof(*rooms));
	size_t i, n = 0;
	int status = 0;

	while (cells && rooms && n < l->n &&
	       (rooms[n] = cells_fill(cells + n * COLUMNS, &l->row[n])))
		n++;
	if (n == l->n && cells && rooms)
		out_table(heads, COLUMNS, cells, n);
	else
		status = command_fail(a, -NTM_ENOMEM, err_text(-NTM_ENOMEM));
	for (i = 0; i < n; i++)
		free(rooms[i]);
	free(rooms);
	free(cells);
	return status;
}

static int inbox_print(const struct command_args *a)
{
	struct inbox_rows l;
	int status = 0;

	if (items_rows(a, &l))
		return 1;
	select_rows(a, &l);
	if (!l.n)
		items_none("nothing is there", l.logged_in);
	else
		status = rows_print(a, &l);
	inbox_rows_clear(&l);
	return status;
}

int cmd_inbox(const struct command_args *a)
{
	json_t *items, *j;
	bool logged_in;

	if (!a->json)
		return inbox_print(a);
	if (items_all(a, "inbox", &items, &logged_in))
		return 1;
	select_items(a, items);
	j = json_pack("{s:b, s:b, s:O}", "ok", 1, "logged_in", logged_in,
		      "items", items);
	command_json(a, j);
	json_decref(j);
	json_decref(items);
	return 0;
}

static int drop_one(const struct command_args *a, const char *word)
{
	json_int_t id = items_number(a, "inbox", word);
	json_t *answer;

	if (!id)
		return 2;
	if (items_may(a, id) ||
	    items_call(a, json_pack("{s:s, s:I}", "cmd", "drop", "id", id),
		       &answer))
		return 1;
	json_object_set_new(answer, "id", json_integer(id));
	if (!command_json(a, answer))
		printf("item %lld is dropped%s\n", (long long)id,
		       json_is_false(json_object_get(answer, "told"))
			       ? "; its sender is not told, as its domain is "
				 "not known here"
			       : "");
	json_decref(answer);
	return 0;
}

int cmd_drop(const struct command_args *a)
{
	int status = 0, r, i;

	for (i = 0; i < a->n_words; i++) {
		r = drop_one(a, a->words[i]);
		status = r > status ? r : status;
	}
	return status;
}
