/* SPDX-License-Identifier: MIT */
/* test_groupprekeys - each prekey is checked once, and whatever else comes is refused */
#include "groups.h"

#include <string.h>

#include "libntmcrypto/groupprekeys.h"

static struct circle c;
static struct group_prekeys *keys;

static int setup(void **state)
{
	unsigned int i;

	(void)state;
	circle_open(&c);
	circle_create(&c);
	for (i = 1; i < 5; i++)
		circle_add(&c, 0, i, 0);
	return group_prekeys_new(&keys);
}

static int teardown(void **state)
{
	(void)state;
	group_prekeys_free(keys);
	group_prekeys_free(NULL);
	circle_close(&c);
	return 0;
}

static int take(uint32_t index, const struct group_prekey *p)
{
	uint8_t b[GROUP_PREKEY_LEN];
	struct group_prekey out;
	int r;

	group_prekey_put(p, b);
	r = group_prekeys_take(keys, c.log, index, b, sizeof(b), &out);
	if (!r)
		assert_memory_equal(out.pub, p->pub, sizeof(out.pub));
	return r;
}

static void next(struct person *p)
{
	ntmc_x25519_keygen(&c.env, &p->prekey_priv, p->prekey.pub);
	p->prekey.serial++;
	group_prekey_sign(&p->id, c.id, &p->prekey);
}

static void test_once(void **state)
{
	static const uint32_t order[] = {3, 0, 4, 2, 1};
	unsigned int round, i;

	(void)state;
	for (round = 0; round < 3; round++)
		for (i = 0; i < 5; i++)
			assert_int_equal(take(order[i], &c.p[order[i]].prekey),
					 0);
	assert_int_equal(group_prekeys_checked(keys), 5);
	next(&c.p[2]);
	assert_int_equal(take(2, &c.p[2].prekey), 0);
	assert_int_equal(take(2, &c.p[2].prekey), 0);
	assert_int_equal(group_prekeys_checked(keys), 6);
}

/* every bit counts, before and after the right one was seen */
static void test_forged(void **state)
{
	uint8_t b[GROUP_PREKEY_LEN];
	struct group_prekey out;
	unsigned int seen;
	size_t i;

	(void)state;
	for (seen = 0; seen < 2; seen++) {
		group_prekey_put(&c.p[1].prekey, b);
		for (i = 0; i < sizeof(b); i++) {
			b[i] ^= 1;
			assert_int_equal(group_prekeys_take(keys, c.log, 1, b,
							    sizeof(b), &out),
					 -NTM_EAUTH);
			b[i] ^= 1;
		}
		assert_int_equal(group_prekeys_take(keys, c.log, 1, b,
						    sizeof(b) - 1, &out),
				 -NTM_EDECODE);
		assert_int_equal(take(1, &c.p[1].prekey), 0);
	}
	memset(b, 0, sizeof(b));
	assert_int_equal(group_prekeys_take(keys, c.log, 2, b, sizeof(b), &out),
			 -NTM_EAUTH);
	/* the GMS's own, in the name of a member; one member's for another */
	out = c.p[1].prekey;
	out.serial++;
	group_prekey_sign(&c.gms, c.id, &out);
	assert_int_equal(take(1, &out), -NTM_EAUTH);
	assert_int_equal(take(2, &c.p[1].prekey), -NTM_EAUTH);
	assert_int_equal(take(7, &c.p[7].prekey), -NTM_ENONAME);
	assert_int_equal(take(1, &c.p[1].prekey), 0);
}

/* an old one given out again: its private key may be in a stolen state */
static void test_old(void **state)
{
	struct group_prekey old = c.p[3].prekey;

	(void)state;
	assert_int_equal(take(3, &old), 0);
	next(&c.p[3]);
	assert_int_equal(take(3, &c.p[3].prekey), 0);
	assert_int_equal(take(3, &old), -NTM_ESTATE);
	assert_int_equal(take(3, &c.p[3].prekey), 0);
}

/* who has gone is no member, whatever was found genuine before */
static void test_gone(void **state)
{
	(void)state;
	assert_int_equal(take(4, &c.p[4].prekey), 0);
	circle_remove(&c, 0, 4);
	assert_int_equal(take(4, &c.p[4].prekey), -NTM_ENONAME);
}

/* more than there is room for at first: rows of who has gone make way */
static void test_many(void **state)
{
	struct group_prekey first[5];
	unsigned int round, i;

	(void)state;
	for (i = 0; i < 5; i++) {
		first[i] = c.p[i].prekey;
		assert_int_equal(take(i, &first[i]), 0);
	}
	for (round = 0; round < 12; round++) {
		uint32_t index = group_next_index(c.log);

		circle_add(&c, 0, 5, 0);
		assert_int_equal(take(index, &c.p[5].prekey), 0);
		circle_remove(&c, 0, 5);
	}
	/* but not of who is here */
	for (i = 0; i < 5; i++)
		assert_int_equal(take(i, &first[i]), 0);
	assert_int_equal(group_prekeys_checked(keys), 17);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
