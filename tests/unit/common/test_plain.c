/* SPDX-License-Identifier: MIT */
/* test_plain - nothing that others chose reaches a terminal as a command */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/plain.h"

static char out[256];

static void says(const char *in, const char *wanted)
{
	assert_string_equal(plain_text(in, out, sizeof(out)), wanted);
	assert_int_equal(plain_ok(in), !strcmp(in, wanted));
}

static void test_text(void **state)
{
	(void)state;
	says("", "");
	says("report.pdf", "report.pdf");
	says("\xc3\xbctf \xe6\xbc\xa2\xf0\x9f\x98\x80",
	     "\xc3\xbctf \xe6\xbc\xa2\xf0\x9f\x98\x80");
	says("\033[2J\r\n\t\a", "?[2J????");
	says("a\x7f", "a?");
	says("\xc2\x9b"
	     "31m",
	     "?31m"); /* CSI in one */
	says("\xe2\x80\xae"
	     "gpj.exe",
	     "?gpj.exe"); /* right to left */
	says("a\xe2\x80\xa8"
	     "b",
	     "a?b");
	/* no UTF-8: overlong, surrogate, beyond, cut off, alone */
	says("\xc0\xaf", "??");
	says("\xed\xa0\x80", "?");
	says("\xf4\x90\x80\x80", "?");
	says("\xe6\xbc", "??");
	says("\x80\xff", "??");
}

static void test_cut(void **state)
{
	char small[4];

	(void)state;
	/* between two characters, at every size */
	assert_string_equal(plain_text("a\xe6\xbc\xa2", small, 4), "a");
	assert_string_equal(plain_text("\xe6\xbc\xa2z", small, 4),
			    "\xe6\xbc\xa2");
	assert_string_equal(plain_text("abc", small, 1), "");
	strcpy(out, "x\033y");
	assert_string_equal(plain_text(out, out, sizeof(out)), "x?y");
}

static void test_columns(void **state)
{
	(void)state;
	assert_int_equal(plain_columns("abc"), 3);
	assert_int_equal(plain_columns("\xe6\xbc\xa2\xc3\xbc"), 3);
	assert_int_equal(plain_columns("u\xcc\x88"), 1);
	assert_int_equal(plain_columns("\033\xff"), 2);
}

static void test_fit(void **state)
{
	size_t i;

	(void)state;
	assert_string_equal(plain_fit("short", 5, out, sizeof(out)), "short");
	assert_string_equal(plain_fit("a long name.pdf", 9, out, sizeof(out)),
			    "a lo\xe2\x80\xa6.pdf");
	assert_string_equal(plain_fit("\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2", 5,
				      out, sizeof(out)),
			    "\xe6\xbc\xa2\xe2\x80\xa6\xe6\xbc\xa2");
	assert_string_equal(plain_fit("ab", 1, out, sizeof(out)),
			    "\xe2\x80\xa6");
	assert_string_equal(plain_fit("ab", 0, out, sizeof(out)), "");
	for (i = 0; i < 20; i++) {
		plain_fit("\033\xe6\xbc\xa2 x\xe6\xbc\xa2u\xcc\x88\xc3\xbcyz",
			  i, out, sizeof(out));
		assert_true(plain_columns(out) <= i);
		assert_true(plain_ok(out));
	}
	for (i = 1; i < 20; i++) {
		plain_fit("\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2zzzzzz", 6, out,
			  i);
		assert_true(strlen(out) < i);
		assert_true(plain_ok(out));
	}
}

static void test_json(void **state)
{
	json_t *j =
		json_pack("{s:s, s:s, s:[{s:s}], s:i}", "text", "\033[2J",
			  "folder", "\033", "items", "title", "a\nb", "n", 1);

	(void)state;
	plain_json(j, "folder");
	assert_string_equal(json_string_value(json_object_get(j, "text")),
			    "?[2J");
	assert_string_equal(json_string_value(json_object_get(j, "folder")),
			    "\033");
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(json_object_get(j, "items"), 0),
			"title")),
		"a?b");
	assert_int_equal(json_integer_value(json_object_get(j, "n")), 1);
	json_decref(j);
	plain_json(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	cmocka_unit_test(test_cut),
		cmocka_unit_test(test_columns), cmocka_unit_test(test_fit),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
