/* SPDX-License-Identifier: MIT */
/* test_keeper_store - what outlives a worker, to its limits */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "broker/keeper_store.h"

static int setup(void **state)
{
	return keeper_store_new((struct keeper_store **)state);
}

static int teardown(void **state)
{
	keeper_store_free(*state);
	return 0;
}

static int fd_new(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

struct seen {
	int n;
	int stop_after;
	char last[KEEPER_KEY_MAX];
	size_t len;
	char data[16];
};

static int see(void *arg, const char *key, int fd, const void *data, size_t len)
{
	struct seen *s = arg;

	s->n++;
	strcpy(s->last, key);
	s->len = len;
	if (fd < 0 && len < sizeof(s->data))
		memcpy(s->data, data, len);
	return s->stop_after && s->n == s->stop_after ? -NTM_ECLOSED : 0;
}

static int each(struct keeper_store *s, enum keeper_op op, const char *prefix,
		uint32_t generation, struct seen *out)
{
	memset(out, 0, sizeof(*out));
	return keeper_store_each(s, op, prefix, generation, see, out);
}

static void test_generations(void **state)
{
	struct keeper_store *s = *state;
	struct seen seen;

	assert_int_equal(keeper_store_put_fd(s, "a/1", fd_new(), 1), 0);
	assert_int_equal(keeper_store_put_fd(s, "b/1", fd_new(), 1), 0);
	assert_int_equal(keeper_store_put_blob(s, "a/1", "x", 1, 1), 0);
	/* not to whom it came from */
	assert_int_equal(each(s, KEEPER_FD_EACH, "", 1, &seen), 0);
	assert_int_equal(seen.n, 0);
	/* to the next: descriptors once, blobs at will */
	assert_int_equal(each(s, KEEPER_FD_EACH, "a/", 2, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.last, "a/1");
	assert_int_equal(each(s, KEEPER_FD_EACH, "", 2, &seen), 0);
	assert_string_equal(seen.last, "b/1");
	assert_int_equal(seen.n, 1);
	assert_int_equal(each(s, KEEPER_BLOB_EACH, "", 2, &seen), 0);
	assert_int_equal(each(s, KEEPER_BLOB_EACH, "", 2, &seen), 0);
	assert_int_equal(seen.n, 1);
	/* and to the one after that */
	assert_int_equal(each(s, KEEPER_FD_EACH, "", 3, &seen), 0);
	assert_int_equal(seen.n, 2);
}

static void test_replace_and_delete(void **state)
{
	struct keeper_store *s = *state;
	int first = fd_new(), second = fd_new();
	struct seen seen;

	assert_int_equal(keeper_store_put_fd(s, "k", first, 1), 0);
	assert_int_equal(keeper_store_put_fd(s, "k", second, 1), 0);
	assert_int_equal(fcntl(first, F_GETFD), -1); /* closed */
	assert_int_equal(keeper_store_put_blob(s, "k", "old", 3, 1), 0);
	assert_int_equal(keeper_store_put_blob(s, "k", "newer", 5, 1), 0);
	assert_int_equal(each(s, KEEPER_BLOB_EACH, "", 2, &seen), 0);
	assert_int_equal(seen.len, 5);
	assert_memory_equal(seen.data, "newer", 5);
	assert_int_equal(keeper_store_del_fd(s, "k"), 0);
	assert_int_equal(fcntl(second, F_GETFD), -1);
	assert_int_equal(keeper_store_del_fd(s, "k"), -NTM_ENOTFOUND);
	assert_int_equal(keeper_store_del_blob(s, "k"), 0);
	assert_int_equal(keeper_store_del_blob(s, "k"), -NTM_ENOTFOUND);
}

static void test_limits(void **state)
{
	static uint8_t big[KEEPER_BLOB_MAX + 1];
	struct keeper_store *s = *state;
	struct seen seen = {.stop_after = 3};
	char key[32];
	int i;

	assert_int_equal(keeper_store_put_blob(s, "", "x", 1, 1), -NTM_EINVAL);
	assert_int_equal(keeper_store_put_blob(s, "k", big, sizeof(big), 1),
			 -NTM_ETOOBIG);
	assert_int_equal(keeper_store_put_blob(s, "k", big, sizeof(big) - 1, 1),
			 0);
	assert_int_equal(keeper_store_put_blob(s, "empty", NULL, 0, 1), 0);
	for (i = 2; i < KEEPER_BLOBS_MAX; i++) {
		snprintf(key, sizeof(key), "blob/%d", i);
		assert_int_equal(keeper_store_put_blob(s, key, "x", 1, 1), 0);
	}
	assert_int_equal(keeper_store_put_blob(s, "more", "x", 1, 1),
			 -NTM_ELIMIT);
	/* replacing is no growth */
	assert_int_equal(keeper_store_put_blob(s, "empty", "x", 1, 1), 0);
	assert_int_equal(
		keeper_store_each(s, KEEPER_BLOB_EACH, "blob/", 2, see, &seen),
		-NTM_ECLOSED);
	assert_int_equal(seen.n, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_generations, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_replace_and_delete, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
