/* SPDX-License-Identifier: MIT */
/* test_items - what the store of a Cache Server says of tickets */
#include "servers/cs/items.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "desk.bob.example.net"

static struct items *items;
static char folder[64], path[80];
static struct ask asks[4];
static size_t n_asks;

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/ntm-test-items.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/cs.db", folder);
	assert_int_equal(items_open(path, &items), 0);
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	char name[100];
	size_t i;

	(void)state;
	items_close(items);
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static int64_t add(void)
{
	struct items_limits limits = {.bytes = 1000, .n = 10};
	struct item item = {.expires = 2000000000, .size = 5};
	struct receiver r = {.key_len = 3, .key = {1, 2, 3}};

	strcpy(item.sender, "laptop.alice.example.net");
	strcpy(item.application, "ntm");
	strcpy(item.service, "text");
	strcpy(item.item, "one");
	strcpy(r.name, NAME);
	assert_int_equal(items_begin(items), 0);
	assert_int_equal(items_add(items, &item, "alice", &r, 1, NULL, &limits),
			 0);
	assert_int_equal(items_commit(items), 0);
	return item.number;
}

static bool take(void *arg, const struct ask *a)
{
	(void)arg;
	asks[n_asks++] = *a;
	return true;
}

/* the rows that are due: for keys first */
static void due(size_t n)
{
	n_asks = 0;
	assert_int_equal(items_asks_due(items, 1, 0, 4, take, NULL), 0);
	assert_int_equal(n_asks, n);
}

static void complete(int64_t number)
{
	uint8_t hash[NTMC_HASH_LEN] = {9};

	assert_int_equal(items_begin(items), 0);
	assert_int_equal(items_complete(items, number, hash), 0);
	assert_int_equal(items_commit(items), 0);
}

static void asked(const struct ask *a)
{
	assert_int_equal(items_begin(items), 0);
	assert_int_equal(items_asked(items, a, 0, 1), 0);
	assert_int_equal(items_commit(items), 0);
}

static bool has_ticket(int64_t number)
{
	struct receiver r;

	assert_int_equal(items_receiver(items, number, NAME, &r), 0);
	return r.has_ticket;
}

/* the box has heard of the key, then of the data: it needs no ticket any more */
static void in_order(void **state)
{
	int64_t number = add();

	(void)state;
	due(1);
	asked(&asks[0]);
	assert_true(has_ticket(number));
	complete(number);
	due(1);
	asked(&asks[0]);
	assert_false(has_ticket(number));
}

/* both are asked at once, and the data's answer is the first: the other may be asked
 * again, with the ticket */
static void data_first(void **state)
{
	int64_t number = add();

	(void)state;
	complete(number);
	due(2);
	assert_int_equal(asks[1].kind, ASK_DATA);
	asked(&asks[1]);
	assert_true(has_ticket(number));
	asked(&asks[0]);
	assert_false(has_ticket(number));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(data_first, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
