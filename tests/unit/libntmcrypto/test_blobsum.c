/* SPDX-License-Identifier: MIT */
/* test_blobsum - a blob's name: by the book, in any steps, gone on from, by many threads */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "libntmcrypto/blob.h"
#include "libntmcrypto/blobsum.h"
#include "libntmcrypto/manyhash.h"

#define LEN (BLOB_HEADER + 3 * BLOB_SEALED + 4000)

static uint8_t data[LEN];

static int fill(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i * 31 + i / 4097);
	return 0;
}

/* of docs/exchange.md alone, by a program in another language */
static void test_by_the_book(void **state)
{
	static const struct {
		size_t len;
		const char *name;
	} books[] = {
		{0, "a735ff0c07b8e614f03ef627d93734726d5fa91001b4984e138677171b"
		    "d78eea"},
		{5, "fac9ba3a42a0ce277c6cd75260f31bf5de70a223f5bc5405d89870ba7a"
		    "25a853"},
		{32, "9a30a1e4da54b2f1d37b086266f3cb069d5e0d38f054beec32f4a4006"
		     "d846506"},
		{33, "19bf218a137528901c0a73040ce7398d42a156d179144ca3d54a5c9e3"
		     "96e724e"},
		{4129, "1ecbf6bfb9dc5d499fb0f01b3cae71f3d17b8b821bf471c88fc6360"
		       "7543f7c42"},
		{4130, "e4d5c467fdad2a73fe0945ae9cadc0e5e5e6a52c2353f0a25670ea3"
		       "7b2f989ea"},
		{BLOB_HEADER + BLOB_SEALED, "fd85eb5153a09743149e43c1989cb60634"
					    "4d08bbc8c6e9db8d9d544f871fc0ef"},
		{LEN, "c47c1af20f7363cd2f7b142268e64d1dc3c660e15c52d8b5cf67242c"
		      "08866ff7"},
	};
	uint8_t name[NTMC_HASH_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(books); i++) {
		blobsum_of(data, books[i].len, name);
		assert_hex(name, sizeof(name), books[i].name);
	}
}

static void test_a_chunk_is_sixteen(void **state)
{
	(void)state;
	assert_int_equal(BLOB_HEADER, BLOBSUM_FIRST);
	assert_int_equal(BLOB_SEALED, MANYHASH_MAX * BLOBSUM_PIECE);
}

static void test_many_are_one(void **state)
{
	uint8_t many[MANYHASH_MAX * NTMC_HASH_LEN], one[sizeof(many)];
	static const size_t lens[] = {1,    55,	  56,	64,   65,
				      4096, 4097, 4160, 12000};
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lens); i++) {
		for (n = 0; n <= MANYHASH_MAX; n++) {
			memset(many, 0, sizeof(many));
			memset(one, 0, sizeof(one));
			manyhash(data, lens[i], n, many);
			manyhash_plain(data, lens[i], n, one);
			assert_memory_equal(many, one, sizeof(one));
		}
		ntmc_sha256(data + 15 * lens[i], lens[i], one);
		assert_memory_equal(many + 15 * NTMC_HASH_LEN, one,
				    NTMC_HASH_LEN);
	}
}

static void test_steps(void **state)
{
	static const size_t steps[] = {1,    31,   32,	 33,	4096,
				       4097, 4098, 9000, 65552, 100000};
	uint8_t whole[NTMC_HASH_LEN], name[NTMC_HASH_LEN];
	struct blobsum *s;
	size_t i, at, n;

	(void)state;
	blobsum_of(data, LEN, whole);
	assert_int_equal(blobsum_new(&s), 0);
	for (i = 0; i < ARRAY_LEN(steps); i++) {
		for (at = 0; at < LEN; at += n) {
			n = LEN - at < steps[i] ? LEN - at : steps[i];
			blobsum_add(s, data + at, n);
			if (at == 0)
				blobsum_name(s, name); /* changes nothing */
		}
		blobsum_name(s, name);
		assert_memory_equal(name, whole, sizeof(name));
		blobsum_reset(s);
	}
	blobsum_free(s);
}

static void test_states(void **state)
{
	static const size_t stops[] = {0,      1,	31,   32,	  33,
				       4128,   4129,	4130, 32 + 65552, 70000,
				       131136, LEN - 1, LEN};
	uint8_t whole[NTMC_HASH_LEN], name[NTMC_HASH_LEN];
	uint8_t saved[BLOBSUM_STATE];
	struct blobsum *s;
	size_t i;

	(void)state;
	blobsum_of(data, LEN, whole);
	for (i = 0; i < ARRAY_LEN(stops); i++) {
		assert_int_equal(blobsum_new(&s), 0);
		blobsum_add(s, data, stops[i]);
		blobsum_save(s, saved);
		blobsum_free(s);
		assert_int_equal(blobsum_new(&s), 0);
		blobsum_add(s, "other", 5);
		blobsum_load(s, stops[i], saved);
		blobsum_add(s, data + stops[i], LEN - stops[i]);
		blobsum_name(s, name);
		assert_memory_equal(name, whole, sizeof(name));
		blobsum_free(s);
	}
}

/* Any other byte, and every other length, is another name. */
static void test_changes(void **state)
{
	uint8_t whole[NTMC_HASH_LEN], name[NTMC_HASH_LEN];
	size_t i;

	(void)state;
	blobsum_of(data, LEN, whole);
	for (i = 0; i < LEN; i += 997) {
		data[i] ^= 1;
		blobsum_of(data, LEN, name);
		data[i] ^= 1;
		assert_memory_not_equal(name, whole, sizeof(name));
		blobsum_of(data, LEN - 1 - i, name);
		assert_memory_not_equal(name, whole, sizeof(name));
	}
}

static void *hash_often(void *arg)
{
	uint8_t whole[NTMC_HASH_LEN], name[NTMC_HASH_LEN];
	intptr_t wrong = 0;

	(void)arg;
	blobsum_of(data, LEN, whole);
	for (int i = 0; i < 20; i++) {
		blobsum_of(data, LEN, name);
		wrong += memcmp(name, whole, sizeof(name)) != 0;
	}
	return (void *)wrong;
}

static void test_threads(void **state)
{
	pthread_t threads[4];
	void *wrong;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, hash_often, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_the_book),
		cmocka_unit_test(test_a_chunk_is_sixteen),
		cmocka_unit_test(test_many_are_one),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, fill, NULL);
}
