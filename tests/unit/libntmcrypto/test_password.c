/* SPDX-License-Identifier: MIT */
/* test_password - Argon2id hashes: shape, right and wrong passwords, bad input */
#include <string.h>

#include "fixture.h"

static void round_trip(void **state)
{
	struct script s = {.fill = 1};
	struct ntmc_env env = script_env(&s);
	char hash[NTMC_PASSWORD_HASH_MAX], again[NTMC_PASSWORD_HASH_MAX];

	(void)state;
	assert_int_equal(ntmc_password_hash(&env, "correct horse", hash), 0);
	assert_memory_equal(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
	assert_int_equal(ntmc_password_verify("correct horse", hash), 0);
	assert_int_equal(ntmc_password_verify("correct horsf", hash),
			 -NTM_EPASSWORD);
	assert_int_equal(ntmc_password_verify("", hash), -NTM_EPASSWORD);
	/* another salt, another hash */
	assert_int_equal(ntmc_password_hash(&env, "correct horse", again), 0);
	assert_string_not_equal(hash, again);
}

/* from the tests of the reference implementation: other parameters verify */
static void other_parameters(void **state)
{
	static const char hash[] =
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$"
		"nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

	(void)state;
	assert_int_equal(ntmc_password_verify("password", hash), 0);
	assert_int_equal(ntmc_password_verify("passwore", hash),
			 -NTM_EPASSWORD);
}

static void bad_input(void **state)
{
	static const char *const bad[] = {
		"",
		"$",
		"plain",
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$",
		"$argon2id$v=19$m=256,t=2,p=1$!!!!$nf65EOgLrQMR",
		"$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$"
		"nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	};
	char hash[NTMC_PASSWORD_HASH_MAX], longest[1026];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ntmc_password_verify("password", bad[i]),
				 -NTM_EPASSWORD);
	memset(longest, 'x', sizeof(longest));
	longest[1025] = '\0';
	assert_int_equal(ntmc_password_hash(NULL, longest, hash), -NTM_EINVAL);
	longest[1024] = '\0';
	assert_int_equal(ntmc_password_hash(NULL, longest, hash), 0);
	assert_int_equal(ntmc_password_verify(longest, hash), 0);
	longest[1024] = 'x';
	assert_int_equal(ntmc_password_verify(longest, hash), -NTM_EPASSWORD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(other_parameters),
		cmocka_unit_test(bad_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
