/* SPDX-License-Identifier: MIT */
/* test_fqdn - names: form, lower case, cutting and joining */
#include "common/fqdn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define L63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static void test_valid(void **state)
{
	/* 63 + 1 + 63 + 1 + 63 + 1 + 61 = 253 */
	static const char *const good[] = {
		"a",
		"0",
		"a.b",
		"desk.me.example.org",
		"x--y.org",
		"1.2.3.4",
		L63,
		L63 "." L63 "." L63 ".hhhhhhhhhhiiiiiiiiiijjjjjjjjjjkkkkkkkkkkl"
		    "lllllllllmmmmmmmmmmn",
	};
	static const char *const bad[] = {
		"",
		".",
		"a.",
		".a",
		"a..b",
		"-a",
		"a-",
		"a.-b.c",
		"a_b",
		"A",
		"a b",
		"a\n",
		"\xc3\xa9",
		L63 "h",
		"a/b",
		"a*",
		"@a",
		L63 "." L63 "." L63 ".hhhhhhhhhhiiiiiiiiiijjjjjjjjjjkkkkkkkkkkl"
		    "lllllllllmmmmmmmmmmno",
	};
	size_t i;

	(void)state;
	assert_int_equal(strlen(good[7]), FQDN_MAX);
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(fqdn_is_valid(good[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(fqdn_is_valid(bad[i]));
	assert_true(fqdn_label_is_valid(L63));
	assert_false(fqdn_label_is_valid(L63 "a"));
	assert_false(fqdn_label_is_valid("a.b"));
	assert_false(fqdn_label_is_valid(""));
}

static void test_normalize(void **state)
{
	char out[FQDN_MAX + 1] = "untouched";

	(void)state;
	assert_int_equal(fqdn_normalize("", out), -NTM_EINVAL);
	assert_int_equal(fqdn_normalize(".", out), -NTM_EINVAL);
	assert_int_equal(fqdn_normalize("a..", out), -NTM_EINVAL);
	assert_int_equal(fqdn_normalize("a b", out), -NTM_EINVAL);
	assert_string_equal(out, "untouched");
	assert_int_equal(fqdn_normalize("Desk.ME.Example.ORG.", out), 0);
	assert_string_equal(out, "desk.me.example.org");
	assert_int_equal(fqdn_normalize(out, out), 0);
	assert_string_equal(out, "desk.me.example.org");
}

static void test_within(void **state)
{
	(void)state;
	assert_true(fqdn_is_within("example.org", "example.org"));
	assert_true(fqdn_is_within("a.example.org", "example.org"));
	assert_true(fqdn_is_within("a.b.example.org", "example.org"));
	assert_false(fqdn_is_within("badexample.org", "example.org"));
	assert_false(fqdn_is_within("org", "example.org"));
	assert_false(fqdn_is_within("example.org.evil", "example.org"));
	assert_false(fqdn_is_within("example.org", ""));
}

static void test_split_and_join(void **state)
{
	char out[FQDN_MAX + 1];
	struct fqdn_parts p;

	(void)state;
	assert_int_equal(fqdn_split("desk.me.example.org", "example.org", &p),
			 0);
	assert_string_equal(p.device, "desk");
	assert_string_equal(p.account, "me");
	assert_int_equal(fqdn_split("me.example.org", "example.org", &p), 0);
	assert_string_equal(p.device, "");
	assert_string_equal(p.account, "me");
	assert_int_equal(fqdn_split("example.org", "example.org", &p),
			 -NTM_ENOTOURS);
	assert_int_equal(fqdn_split("me.badexample.org", "example.org", &p),
			 -NTM_ENOTOURS);
	assert_int_equal(fqdn_split("x.desk.me.example.org", "example.org", &p),
			 -NTM_EINVAL);
	assert_int_equal(fqdn_split("Me.example.org", "example.org", &p),
			 -NTM_EINVAL);

	assert_int_equal(fqdn_join("desk", "me", "example.org", out), 0);
	assert_string_equal(out, "desk.me.example.org");
	assert_int_equal(fqdn_join(NULL, "me", "example.org", out), 0);
	assert_string_equal(out, "me.example.org");
	assert_int_equal(fqdn_join("", "me", "example.org", out), 0);
	assert_string_equal(out, "me.example.org");
	assert_int_equal(fqdn_join("a.b", "me", "example.org", out),
			 -NTM_EINVAL);
	assert_int_equal(fqdn_join("a", "", "example.org", out), -NTM_EINVAL);
	assert_int_equal(fqdn_join(L63, L63, L63 "." L63, out), -NTM_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_normalize),
		cmocka_unit_test(test_within),
		cmocka_unit_test(test_split_and_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
