/* SPDX-License-Identifier: MIT */
/* test_timerheap - order, ties, moving and removing against a linear search */
#include "common/timerheap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define N 300

static struct timerheap_entry *first_of(struct timerheap_entry *e, size_t n)
{
	struct timerheap_entry *best = NULL;
	size_t i;

	for (i = 0; i < n; i++)
		if (e[i].at &&
		    (!best || e[i].due < best->due ||
		     (e[i].due == best->due && e[i].seq < best->seq)))
			best = &e[i];
	return best;
}

static void test_random(void **state)
{
	struct timerheap_entry e[N] = {0};
	struct timerheap h = {0};
	int round, i;

	(void)state;
	srand(3);
	for (i = 0; i < N; i++)
		assert_int_equal(timerheap_reserve(&h), 0);
	for (round = 0; round < 30000; round++) {
		i = rand() % N;
		if (rand() % 3)
			timerheap_put(&h, &e[i], (uint64_t)(rand() % 50));
		else
			timerheap_del(&h, &e[i]);
		assert_ptr_equal(timerheap_peek(&h), first_of(e, N));
	}
	while (timerheap_peek(&h)) {
		assert_ptr_equal(timerheap_peek(&h), first_of(e, N));
		timerheap_del(&h, timerheap_peek(&h));
	}
	assert_int_equal(h.n, 0);
	timerheap_clear(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
