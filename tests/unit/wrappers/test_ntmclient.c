/* SPDX-License-Identifier: MIT */
/* test_ntmclient - what the library refuses before it asks anybody */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wrappers/ntmclient.h"

#define BAD "/b\xff"

static char why[256];

static int send_order(const struct ntm_items_order *order)
{
	int64_t id = 0;
	int err;

	strcpy(why, "-");
	err = ntm_items_send(order, &id, why, sizeof(why));
	/* who asks for no sentence gets none */
	assert_int_equal(ntm_items_send(order, &id, NULL, 0), err);
	assert_int_equal(id, 0);
	return err;
}

/* A path or name that no request can hold must not be left out: the others would get
 * the item, or the rest of it, and nobody would be told. */
static void test_utf8(void **state)
{
	const char *to[] = {"desk.bob.example.org", "bob.example.org", NULL};
	const char *files[] = {"/a", "/c", NULL};
	struct ntm_items_order order = {.to = to, .files = files};

	(void)state;
	/* what is well is asked for, of nobody here */
	assert_int_equal(send_order(&order), NTM_ITEMS_NOBROKER);
	files[1] = BAD;
	assert_int_equal(send_order(&order), NTM_ITEMS_INVAL);
	assert_string_equal(why, "the path of file 2 is no UTF-8 text");
	files[1] = NULL;
	to[0] = BAD;
	assert_int_equal(send_order(&order), NTM_ITEMS_INVAL);
	assert_string_equal(why, "receiver 1 is no UTF-8 text");
	to[0] = to[1];
	order.message = BAD;
	assert_int_equal(send_order(&order), NTM_ITEMS_INVAL);
	assert_string_equal(why, "message: it is no UTF-8 text");
	order.message = NULL;
	order.item = BAD;
	assert_int_equal(send_order(&order), NTM_ITEMS_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8),
	};
	char dir[] = "/tmp/test_ntmclient.XXXXXX";
	int failed;

	if (!mkdtemp(dir) || setenv("XDG_RUNTIME_DIR", dir, 1))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
