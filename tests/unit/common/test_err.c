/* SPDX-License-Identifier: MIT */
/* test_err - every number has its name and sentence; unknown ones are answered */
#include "common/err.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct {
	int number;
	const char *name;
} all[] = {
#define ERR(name, number, text) {number, #name},
#include "common/err.def"
#undef ERR
};
#define N (sizeof(all) / sizeof(all[0]))

static void test_each(void **state)
{
	const char *text;
	size_t i, k;

	(void)state;
	for (i = 0; i < N; i++) {
		assert_int_equal(all[i].number, i); /* no gap, no repetition */
		assert_string_equal(err_name(all[i].number), all[i].name);
		assert_string_equal(err_name(-all[i].number), all[i].name);
		text = err_text(-all[i].number);
		assert_ptr_equal(text, err_text(all[i].number));
		assert_true(strlen(text) >= 7);
		assert_int_not_equal(text[strlen(text) - 1], '.');
		for (k = 0; k < i; k++)
			assert_string_not_equal(text, err_text(all[k].number));
	}
}

static void test_unknown(void **state)
{
	static const int odd[] = {N, -(int)N, INT_MAX, INT_MIN, 1000};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		assert_non_null(err_text(odd[i]));
		assert_string_equal(err_name(odd[i]), "SYSTEM");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
