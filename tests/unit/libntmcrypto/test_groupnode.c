/* SPDX-License-Identifier: MIT */
/* test_groupnode - Kngms, and RN2 under it */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "libntmcrypto/groupnode.h"

static const struct ntmc_key shared = {{1, 2, 3}};
static const uint8_t ed_pub[NTMC_KEY_LEN] = {4, 5};
static const struct group_rn2_place at = {
	.group = {6, 7}, .epoch = 8, .index = 9};

/* each of what it is made of counts */
static void test_key(void **state)
{
	struct ntmc_key a, b, other = shared;
	uint8_t who[NTMC_KEY_LEN] = {4, 6};

	(void)state;
	assert_int_equal(group_node_key(&shared, 77, ed_pub, &a), 0);
	assert_int_equal(group_node_key(&shared, 77, ed_pub, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(group_node_key(&shared, 78, ed_pub, &b), 0);
	assert_memory_not_equal(&a, &b, sizeof(a));
	assert_int_equal(group_node_key(&shared, 77, who, &b), 0);
	assert_memory_not_equal(&a, &b, sizeof(a));
	other.b[31] = 1;
	assert_int_equal(group_node_key(&other, 77, ed_pub, &b), 0);
	assert_memory_not_equal(&a, &b, sizeof(a));
}

static void test_rn2(void **state)
{
	uint8_t sealed[GROUP_RN2_SEALED_LEN], twice[GROUP_RN2_SEALED_LEN];
	struct group_rn2_place place = at;
	struct ntmc_key kngms, rn2 = {{10}}, got = {{0}}, none = {{0}};
	size_t i;

	(void)state;
	assert_int_equal(group_node_key(&shared, 77, ed_pub, &kngms), 0);
	assert_int_equal(group_rn2_seal(NULL, &kngms, &at, &rn2, sealed), 0);
	/* never the same key twice */
	assert_int_equal(group_rn2_seal(NULL, &kngms, &at, &rn2, twice), 0);
	assert_memory_not_equal(sealed + GROUP_RN2_SALT_LEN,
				twice + GROUP_RN2_SALT_LEN, NTMC_KEY_LEN);
	assert_int_equal(group_rn2_open(&kngms, &at, twice, &got), 0);
	assert_memory_equal(&rn2, &got, sizeof(rn2));
	memset(&got, 0, sizeof(got));
	for (i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 1;
		assert_int_equal(group_rn2_open(&kngms, &at, sealed, &got),
				 -NTM_EAUTH);
		sealed[i] ^= 1;
	}
	/* another member's, epoch's, group's, login's */
	place.index++;
	assert_int_equal(group_rn2_open(&kngms, &place, sealed, &got),
			 -NTM_EAUTH);
	place = at;
	place.epoch++;
	assert_int_equal(group_rn2_open(&kngms, &place, sealed, &got),
			 -NTM_EAUTH);
	place = at;
	place.group[15]++;
	assert_int_equal(group_rn2_open(&kngms, &place, sealed, &got),
			 -NTM_EAUTH);
	kngms.b[0]++;
	assert_int_equal(group_rn2_open(&kngms, &at, sealed, &got), -NTM_EAUTH);
	assert_memory_equal(&got, &none, sizeof(got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_rn2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
