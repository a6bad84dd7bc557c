/* SPDX-License-Identifier: MIT */
/* inbox_rows - all of the inbox as rows, for a table */
#include "wrappers/inbox_rows.h"

#include <stdlib.h>
#include <string.h>

#include "common/jsonread.h"
#include "common/plain.h"

#define ROOM_FIRST INBOX_ROWS_PAGE

static const char *plain_string(struct jsonread *r)
{
	char *s = jsonread_string(r);

	return plain_ok(s) ? s : plain_text(s, s, strlen(s) + 1);
}

static void row_read(struct jsonread *r, struct inbox_row *out)
{
	size_t n = 0;

	*out = (struct inbox_row){0, 0, "", "", "", "", "", ""};
	while (jsonread_element(r, &n)) {
		switch (n) {
		case 1:
			out->number = jsonread_number(r);
			break;
		case 2:
			out->from = plain_string(r);
			break;
		case 3:
			out->title = plain_string(r);
			break;
		case 4:
			out->message = plain_string(r);
			break;
		case 5:
			out->size = jsonread_number(r);
			break;
		case 6:
			out->state = plain_string(r);
			break;
		case 7:
			out->text = plain_string(r);
			break;
		case 8:
			out->application = plain_string(r);
			break;
		default: /* of a newer ntm-post */
			jsonread_skip(r);
		}
	}
}

/* Room for one more. Return: NULL: no memory */
static struct inbox_row *row_next(struct inbox_rows *l)
{
	size_t room = l->room ? 2 * l->room : ROOM_FIRST;
	struct inbox_row *row;

	if (l->n == l->room) {
		row = reallocarray(l->row, room, sizeof(*row));
		if (!row)
			return NULL;
		l->row = row;
		l->room = room;
	}
	return &l->row[l->n];
}

static int rows_read(struct inbox_rows *l, struct jsonread *r)
{
	struct inbox_row *row;
	size_t n = 0;

	while (jsonread_element(r, &n)) {
		row = row_next(l);
		if (!row)
			return -NTM_ENOMEM;
		row_read(r, row);
		l->n += !r->bad;
	}
	return (int)n;
}

static int answer_read(struct inbox_rows *l, char *answer)
{
	struct jsonread r;
	const char *key;
	int rows = -NTM_EDECODE;
	size_t n = 0;

	jsonread_begin(&r, answer);
	while ((key = jsonread_member(&r, &n))) {
		if (!strcmp(key, "rows"))
			rows = rows_read(l, &r);
		else if (!strcmp(key, "logged_in"))
			l->logged_in = jsonread_bool(&r);
		else
			jsonread_skip(&r);
		if (rows == -NTM_ENOMEM)
			return rows;
	}
	return jsonread_end(&r) ? rows : -NTM_EDECODE;
}

int inbox_rows_add(struct inbox_rows *l, char *answer)
{
	char **pages = reallocarray(l->pages, l->n_pages + 1, sizeof(*pages));
	size_t before = l->n;
	int r;

	if (!pages) {
		free(answer);
		return -NTM_ENOMEM;
	}
	l->pages = pages;
	l->pages[l->n_pages++] = answer;
	r = answer_read(l, answer);
	if (r < 0)
		l->n = before;
	return r;
}

void inbox_rows_clear(struct inbox_rows *l)
{
	while (l->n_pages)
		free(l->pages[--l->n_pages]);
	free(l->pages);
	free(l->row);
	*l = (struct inbox_rows){NULL};
}
