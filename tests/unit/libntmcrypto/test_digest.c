/* SPDX-License-Identifier: MIT */
/* test_digest - SHA-256 of what comes in pieces is that of the whole */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "libntmcrypto/ntmcrypto.h"

#define LEN 1000

static void pieces(void **state)
{
	uint8_t data[LEN], whole[NTMC_HASH_LEN], got[NTMC_HASH_LEN];
	struct ntmc_digest *d;

	(void)state;
	for (size_t i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i * 7);
	ntmc_sha256(data, LEN, whole);
	assert_int_equal(ntmc_digest_new(&d), 0);
	for (size_t step = 1; step <= LEN; step++) {
		for (size_t at = 0; at < LEN; at += step)
			ntmc_digest_add(d, data + at,
					at + step < LEN ? step : LEN - at);
		ntmc_digest_end(d, got);
		assert_memory_equal(got, whole, sizeof(whole));
	}
	/* end() begins anew: of nothing (FIPS 180-4) */
	ntmc_digest_end(d, got);
	ntmc_sha256("", 0, whole);
	assert_memory_equal(got, whole, sizeof(whole));
	ntmc_digest_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(pieces)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
