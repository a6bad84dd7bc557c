/* SPDX-License-Identifier: MIT */
/* test_vectors - docs/vectors.txt is what the code makes */
#include "tests/vectors/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/file.h"

/* The first line that differs says more than two large texts. */
static void test_committed(void **state)
{
	char *made, *line, *made_rest, *kept_rest, *kept;
	size_t made_len, kept_len;
	uint8_t *data;
	FILE *out;

	(void)state;
	out = open_memstream(&made, &made_len);
	assert_non_null(out);
	vectors_write(out);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(
		file_read("docs/vectors.txt", 1 << 20, &data, &kept_len), 0);
	kept = (char *)data;
	assert_true(made_len > 10000);
	made_rest = made;
	kept_rest = kept;
	while ((line = strsep(&made_rest, "\n"))) {
		assert_non_null(kept_rest);
		assert_string_equal(strsep(&kept_rest, "\n"), line);
	}
	assert_null(kept_rest);
	assert_int_equal(made_len, kept_len);
	free(made);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_committed)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
