/* SPDX-License-Identifier: MIT */
/* test_jsonread - what is read in place is what was written, and what is cut is no text */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/jsonread.h"
#include "common/jsontext.h"

/* a string as JSON has it; @out NULL: it is none */
static void string_is(const char *in, const char *out)
{
	char *text = strdup(in);
	struct jsonread r;
	const char *s;

	jsonread_begin(&r, text);
	s = jsonread_string(&r);
	assert_int_equal(jsonread_end(&r), out != NULL);
	if (out)
		assert_string_equal(s, out);
	free(text);
}

static void strings(void **state)
{
	(void)state;
	string_is("\"\"", "");
	string_is("  \"a b\" ", "a b");
	string_is("\"\\\"\\\\\\/\\b\\f\\n\\r\\tx\"", "\"\\/\b\f\n\r\tx");
	string_is("\"x\\u0041\\u00e4\\u20AC\\ud83d\\ude00y\"",
		  "xA\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80y");
	string_is("\"\\u0000\"", NULL);
	string_is("\"\\ud83d\"", NULL);
	string_is("\"\\ud83d\\u0041\"", NULL);
	string_is("\"\\ude00\"", NULL);
	string_is("\"\\u12g4\"", NULL);
	string_is("\"\\x\"", NULL);
	string_is("\"\\", NULL);
	string_is("\"\\u12", NULL);
	string_is("\"a\nb\"", NULL);
	string_is("\"\\\\a\nb\"", NULL);
	string_is("\"a\"b", NULL);
	string_is("\"a", NULL);
	string_is("a", NULL);
	string_is("", NULL);
}

static void number_is(const char *in, bool well, int64_t v)
{
	char *text = strdup(in);
	struct jsonread r;

	jsonread_begin(&r, text);
	assert_int_equal(jsonread_number(&r), v);
	assert_int_equal(jsonread_end(&r), well);
	free(text);
}

static void numbers(void **state)
{
	(void)state;
	number_is("0", true, 0);
	number_is(" -7 ", true, -7);
	number_is("9223372036854775807", true, INT64_MAX);
	number_is("-9223372036854775808", true, INT64_MIN);
	number_is("9223372036854775808", false, 0);
	number_is("1.5", false, 0);
	number_is("1e3", false, 0);
	number_is("01", false, 0);
	number_is("+1", false, 0);
	number_is("-", false, 0);
	number_is("- 1", false, 0);
	number_is("", false, 0);
	number_is("true", false, 0);
}

static const char whole[] =
	"{\"ok\":true,\"more\":{\"a\":[1,{\"b\":null}],\"c\":\"]}\"},\"rows\":"
	"[[1,\"\\u00e4\",-2.5e3],[2,\"\\\"x\\\"\",[]],[],[3]],\"no\":false}";

/* Return: is it well? @sum: what there is of numbers, @texts of strings */
static bool whole_read(char *text, int64_t *sum, char texts[static 64])
{
	struct jsonread r;
	const char *key;
	size_t n = 0, row, i;

	*sum = 0;
	*texts = '\0';
	jsonread_begin(&r, text);
	while ((key = jsonread_member(&r, &n))) {
		if (!strcmp(key, "ok"))
			*sum += 100 * jsonread_bool(&r);
		else if (!strcmp(key, "no"))
			*sum += 1000 * jsonread_bool(&r);
		else if (strcmp(key, "rows") != 0)
			jsonread_skip(&r);
		else
			for (row = 0; jsonread_element(&r, &row);)
				for (i = 0; jsonread_element(&r, &i);)
					if (i == 1)
						*sum += jsonread_number(&r);
					else if (i == 2)
						strcat(texts,
						       jsonread_string(&r));
					else
						jsonread_skip(&r);
	}
	return jsonread_end(&r);
}

static void walks(void **state)
{
	char *text = strdup(whole), texts[64];
	int64_t sum;

	(void)state;
	assert_true(whole_read(text, &sum, texts));
	assert_int_equal(sum, 106);
	assert_string_equal(texts, "\xc3\xa4\"x\"");
	free(text);
}

/* at each byte, and with each byte another: it ends, and what is cut is not well */
static void broken(void **state)
{
	static const char odd[] = "\"\\[]{},:0 x\n";
	char texts[64], *text;
	int64_t sum;
	size_t i, k;

	(void)state;
	for (i = 0; i < strlen(whole); i++) {
		text = strndup(whole, i);
		assert_false(whole_read(text, &sum, texts));
		free(text);
		for (k = 0; k < sizeof(odd); k++) {
			text = strdup(whole);
			text[i] = odd[k];
			(void)whole_read(text, &sum, texts);
			free(text);
		}
	}
	text = strdup(whole);
	text = realloc(text, strlen(whole) + 2);
	strcat(text, "]");
	assert_false(whole_read(text, &sum, texts));
	free(text);
}

/* every byte, as jsontext writes it */
static void written(void **state)
{
	struct jsontext t = {.p = NULL};
	char in[2] = "", *text;
	struct jsonread r;
	int c;

	(void)state;
	for (c = 1; c < 128; c++) {
		in[0] = (char)c;
		jsontext_string(&t, in);
		text = jsontext_take(&t);
		jsonread_begin(&r, text);
		assert_string_equal(jsonread_string(&r), in);
		assert_true(jsonread_end(&r));
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings), cmocka_unit_test(numbers),
		cmocka_unit_test(walks),   cmocka_unit_test(broken),
		cmocka_unit_test(written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
