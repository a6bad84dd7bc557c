/* SPDX-License-Identifier: MIT */
/* test_jsontext - what is written is what a reader reads, whatever it is */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/jsontext.h"

static void is(const char *in, const char *out)
{
	struct jsontext t = {.p = NULL};
	json_error_t why;
	char *text;
	json_t *j;

	jsontext_string(&t, in);
	text = jsontext_take(&t);
	assert_non_null(text);
	j = json_loads(text, JSON_DECODE_ANY, &why);
	assert_non_null(j);
	assert_string_equal(json_string_value(j), out);
	json_decref(j);
	free(text);
}

static void strings(void **state)
{
	(void)state;
	is("", "");
	is("a \"b\" \\c/", "a \"b\" \\c/");
	is("\x01\n\x1f\x7f", "\x01\n\x1f\x7f");
	is("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
	   "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
	/* none of them is UTF-8: cut, overlong, a surrogate, beyond the last */
	is("\xc3", "?");
	is("\xe2\x82", "??");
	is("\xf0\x9f\x98", "???");
	is("\x80x", "?x");
	is("\xc0\xaf", "??");
	is("\xe0\x80\xaf", "???");
	is("\xed\xa0\x80", "???");
	is("\xf4\x90\x80\x80", "????");
	is("\xff\"", "?\"");
}

/* every byte before and behind every other */
static void pairs(void **state)
{
	char in[3] = "";
	int a, b;

	(void)state;
	for (a = 1; a < 256; a++)
		for (b = 1; b < 256; b++) {
			struct jsontext t = {.p = NULL};
			char *text;
			json_t *j;

			in[0] = (char)a;
			in[1] = (char)b;
			jsontext_string(&t, in);
			text = jsontext_take(&t);
			j = json_loads(text, JSON_DECODE_ANY, NULL);
			assert_non_null(j);
			json_decref(j);
			free(text);
		}
}

static void large(void **state)
{
	struct jsontext t = {.p = NULL};
	json_t *j;
	char *text;
	int i;

	(void)state;
	jsontext_put(&t, "[");
	for (i = 0; i < 10000; i++) {
		jsontext_put(&t, i ? "," : "");
		jsontext_number(&t, INT64_MIN + i);
	}
	jsontext_put(&t, "]");
	text = jsontext_take(&t);
	j = json_loads(text, 0, NULL);
	assert_int_equal(json_array_size(j), 10000);
	assert_true(json_integer_value(json_array_get(j, 7)) == INT64_MIN + 7);
	json_decref(j);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings),
		cmocka_unit_test(pairs),
		cmocka_unit_test(large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
