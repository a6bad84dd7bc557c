/* SPDX-License-Identifier: MIT */
/* test_buffer - a bounded queue against a plain array */
#include "common/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MAX 10000

static void test_limit(void **state)
{
	struct buffer b;
	uint8_t *room;

	(void)state;
	buffer_init(&b, MAX);
	assert_int_equal(buffer_reserve(&b, MAX + 1, &room), -NTM_ELIMIT);
	assert_int_equal(buffer_reserve(&b, MAX, &room), 0);
	memset(room, 1, MAX);
	buffer_grow(&b, MAX);
	assert_int_equal(buffer_reserve(&b, 1, &room), -NTM_ELIMIT);
	assert_int_equal(buffer_reserve(&b, SIZE_MAX, &room), -NTM_ELIMIT);
	buffer_consume(&b, 1);
	assert_int_equal(buffer_reserve(&b, 1, &room), 0);
	buffer_consume(&b, b.len);
	assert_null(b.mem); /* empty holds nothing */
	buffer_clear(&b);
}

/* Random puts and gets; what comes out is what went in. */
static void test_random(void **state)
{
	uint8_t next_in = 0, next_out = 0, *room;
	size_t len, i, held = 0;
	struct buffer b;
	int round;

	(void)state;
	srand(2);
	buffer_init(&b, MAX);
	for (round = 0; round < 20000; round++) {
		len = (size_t)rand() % 700;
		if (rand() % 2) {
			if (held + len > MAX) {
				assert_int_equal(buffer_reserve(&b, len, &room),
						 -NTM_ELIMIT);
				continue;
			}
			assert_int_equal(buffer_reserve(&b, len, &room), 0);
			for (i = 0; i < len; i++)
				room[i] = next_in++;
			buffer_grow(&b, len);
			held += len;
		} else {
			len = len < held ? len : held;
			for (i = 0; i < len; i++)
				assert_int_equal(buffer_peek(&b)[i],
						 next_out++);
			buffer_consume(&b, len);
			held -= len;
		}
		assert_int_equal(b.len, held);
	}
	buffer_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
