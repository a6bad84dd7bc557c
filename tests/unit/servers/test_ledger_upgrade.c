/* SPDX-License-Identifier: MIT */
/*
 * test_ledger_upgrade - a GMS's store that an older version has filled
 *
 * A group of three; what later steps have made is taken back from the store it lies in.
 */
#include <stdlib.h>
#include <string.h>

#include "servers/gms/ledger.h"
#include "servers/gms/ledger_impl.h"
#include "tests/unit/common/oldstore.h"
#include "tests/unit/libntmcrypto/groups.h"

/* back from step 4, 3, 2 */
static const char *const undo[] = {
	NULL,
	"DROP TABLE shared",
	"ALTER TABLE groups DROP COLUMN ended",
	"DROP TABLE plans",
};

static const char *const pins[] = {"08240dd01e308ddd", "fb7173eff2628768",
				   "abb701ffd1464a04", "28e71fbc5e319362",
				   NULL};

static struct circle c;
static struct ledger *l;
static struct ledger_group *lg;
static size_t plans;

static void steps_stand(void **state)
{
	size_t n;
	const char *const *schema = ledger_schema(&n);

	(void)state;
	oldstore_pinned(schema, n, pins);
	assert_int_equal(n, sizeof(undo) / sizeof(undo[0]));
}

static void again(void)
{
	ledger_close(l);
	assert_int_equal(ledger_open(oldstore_path, &c.gms, &c.env, &l), 0);
	lg = ledger_find(l, c.id);
}

static int append(void)
{
	const struct ledger_written w = {.entry = c.entry, .len = c.len};

	return ledger_append(l, lg, &w, false, NULL);
}

static void fill(void)
{
	uint8_t b[GROUP_PREKEY_LEN];
	unsigned int i;

	again();
	circle_create(&c);
	assert_int_equal(ledger_create(l, c.p[0].id.ed_pub, c.p[0].fqdn,
				       c.entry, c.len, &lg),
			 0);
	for (i = 1; i < 3; i++) {
		circle_add(&c, 0, i, 0);
		assert_int_equal(append(), 0);
	}
	for (i = 0; i < 3; i++) {
		group_prekey_put(&c.p[i].prekey, b);
		assert_int_equal(
			ledger_prekey(l, lg, c.p[i].index, b, sizeof(b)), 0);
	}
	assert_int_equal(ledger_flush(l), 0);
}

static void on_plan(void *arg, const struct ledger_plan *p)
{
	(void)arg;
	plans++;
	assert_string_equal(p->founder, "alice.example.org");
}

/* a group that is planned, a key that is shared, one more member; then it ends */
static void go_on(void)
{
	struct ledger_shared k = {.id = 1, .until = INT64_MAX}, got[2];
	struct ledger_plan p = {.founder = "alice.example.org",
				.body = (const uint8_t *)"body",
				.len = 4};
	size_t n;

	assert_int_equal(ledger_shared(l, got, 2, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(ledger_shared_put(l, &k), 0);
	assert_int_equal(ledger_plan_put(l, &p), 0);
	plans = 0;
	assert_int_equal(ledger_plans(l, on_plan, NULL), 0);
	assert_int_equal(plans, 1);
	circle_add(&c, 0, 3, 0);
	assert_int_equal(append(), 0);
	again();
	assert_int_equal(group_size(ledger_state(lg)), 4);
	assert_int_equal(ledger_ended(lg), 0);
	assert_int_equal(ledger_shared(l, got, 2, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(ledger_end(l, lg), 0);
	again();
	assert_true(ledger_ended(lg) > 0);
	assert_int_equal(append(), -NTM_EEXPIRED);
}

static void back(size_t n, size_t k)
{
	for (; n > k; n--)
		oldstore_back(n - 1, undo[n - 1]);
}

static void old_stores(void **state)
{
	struct ntmc_key rn2;
	size_t n, k;

	(void)state;
	(void)ledger_schema(&n);
	for (k = 1; k <= n; k++) {
		print_message("%zu of %zu steps\n", k, n);
		oldstore_remove();
		circle_open(&c);
		fill();
		rn2 = *ledger_rn2(lg);
		ledger_close(l);
		l = NULL;
		back(n, k);
		again();
		assert_non_null(lg);
		assert_memory_equal(group_hash(ledger_state(lg)),
				    group_hash(c.log), NTMC_HASH_LEN);
		assert_memory_equal(ledger_rn2(lg), &rn2, sizeof(rn2));
		assert_int_equal(ledger_person(lg, 1)->serial,
				 c.p[1].prekey.serial);
		go_on();
		ledger_close(l);
		l = NULL;
		circle_close(&c);
	}
}

int main(void)
{
#define TEST(f)                                                                \
	cmocka_unit_test_setup_teardown(f, oldstore_setup, oldstore_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_stand),
		TEST(old_stores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
