/* SPDX-License-Identifier: MIT */
/* test_inbox_rows - what ntm-post says of the inbox, well, badly, and not to the end */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wrappers/inbox_rows.h"

static int add(struct inbox_rows *l, const char *text)
{
	return inbox_rows_add(l, strdup(text));
}

static void rows(void **state)
{
	struct inbox_rows l = {NULL};

	(void)state;
	assert_int_equal(
		add(&l,
		    "{\"ok\":true,\"logged_in\":true,\"rows\":["
		    "[7,\"a.b.c\",\"t\",\"m\",12,\"here\",\"\",\"ntm\"],"
		    "[8,\"d.b.c\",\"\",\"\",0,\"held\",\"why \\\"x\\\"\",\"y\"]"
		    "]}\n"),
		2);
	assert_true(l.logged_in);
	assert_int_equal(add(&l, "{\"ok\":true,\"rows\":[[9,\"e.b.c\"]],"
				 "\"logged_in\":false,\"new\":{\"a\":[]}}"),
			 1);
	assert_false(l.logged_in);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.row[0].number, 7);
	assert_string_equal(l.row[0].from, "a.b.c");
	assert_string_equal(l.row[0].title, "t");
	assert_string_equal(l.row[0].message, "m");
	assert_int_equal(l.row[0].size, 12);
	assert_string_equal(l.row[0].state, "here");
	assert_string_equal(l.row[0].application, "ntm");
	assert_string_equal(l.row[1].text, "why \"x\"");
	assert_string_equal(l.row[2].from, "e.b.c");
	assert_string_equal(l.row[2].application, ""); /* of an older one */
	inbox_rows_clear(&l);
	assert_int_equal(l.n, 0);
}

/* nothing that others chose moves a cursor */
static void texts(void **state)
{
	struct inbox_rows l = {NULL};

	(void)state;
	assert_int_equal(
		add(&l, "{\"ok\":true,\"rows\":[[1,\"a\\u001b[2Jb\","
			"\"x\\u202ey\",\"\xc3\xa4\xff\",1,\"h\\n\",\"\\u007f\","
			"\"n\\u009bm\",\"of a newer one\",[1.5]]]}"),
		1);
	assert_string_equal(l.row[0].from, "a?[2Jb");
	assert_string_equal(l.row[0].title, "x?y");
	assert_string_equal(l.row[0].message, "\xc3\xa4?");
	assert_string_equal(l.row[0].state, "h?");
	assert_string_equal(l.row[0].text, "?");
	assert_string_equal(l.row[0].application, "n?m");
	inbox_rows_clear(&l);
}

static void wrong(void **state)
{
	static const char *const texts[] = {
		"",
		"x",
		"[]",
		"{\"ok\":true}",
		"{\"ok\":true,\"rows\":{}}",
		"{\"ok\":true,\"rows\":[1]}",
		"{\"ok\":true,\"rows\":[[\"1\"]]}",
		"{\"ok\":true,\"rows\":[[1,2]]}",
		"{\"ok\":true,\"rows\":[[1,\"a\",\"b\",\"c\",1.5]]}",
		"{\"ok\":true,\"rows\":[]}}",
	};
	struct inbox_rows l = {NULL};
	size_t i;

	(void)state;
	assert_int_equal(add(&l, "{\"rows\":[[3]]}"), 1);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(add(&l, texts[i]), -NTM_EDECODE);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.row[0].number, 3);
	inbox_rows_clear(&l);
}

/* cut at each byte: all of a page or nothing of it */
static void cut(void **state)
{
	static const char page[] =
		"{\"ok\":true,\"rows\":[[1,\"a\",\"b\",\"c\",2,\"here\",\"\","
		"\"ntm\"],[2,\"a\",\"b\",\"c\",2,\"here\",\"\",\"ntm\"]]}";
	struct inbox_rows l = {NULL};
	size_t i;

	(void)state;
	for (i = 0; i < strlen(page); i++) {
		assert_int_equal(inbox_rows_add(&l, strndup(page, i)),
				 -NTM_EDECODE);
		assert_int_equal(l.n, 0);
	}
	assert_int_equal(add(&l, page), 2);
	inbox_rows_clear(&l);
}

/* more than there is room for at first */
static void many(void **state)
{
	struct inbox_rows l = {NULL};
	char text[64];
	int i;

	(void)state;
	for (i = 0; i < 3 * INBOX_ROWS_PAGE; i++) {
		snprintf(text, sizeof(text), "{\"rows\":[[%d,\"%d\"]]}", i, i);
		assert_int_equal(add(&l, text), 1);
	}
	assert_int_equal(l.n, 3 * INBOX_ROWS_PAGE);
	assert_int_equal(l.row[2500].number, 2500);
	assert_string_equal(l.row[1].from, "1");
	inbox_rows_clear(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),	 cmocka_unit_test(texts),
		cmocka_unit_test(wrong), cmocka_unit_test(cut),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
