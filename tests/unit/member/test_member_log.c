/* SPDX-License-Identifier: MIT */
/* test_member_log - the log as a person is shown it, page after page */
#include <sqlite3.h>

#include "broker/member/asks.h"
#include "seats.h"
#include "servers/datadir.h"

static struct node node;
static struct part part;

/* what stood in the pages before is on the disk no more: who reads it again finds nothing */
static void forget_until(int epoch)
{
	char path[DATADIR_PATH_MAX], text[80];
	sqlite3 *db;

	assert_int_equal(datadir_path(site.dir, "seat0.db", path), 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	snprintf(text, sizeof(text), "DELETE FROM log WHERE epoch <= %d",
		 epoch);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_true(sqlite3_changes(db) > 0);
	sqlite3_close(db);
}

static const char *first_member(const json_t *list, size_t i)
{
	return json_string_value(json_array_get(
		json_object_get(json_array_get(list, i), "members"), 0));
}

static json_int_t epoch_of(const json_t *list, size_t i)
{
	return json_integer_value(
		json_object_get(json_array_get(list, i), "epoch"));
}

static void test_pages(void **state)
{
	uint32_t who;
	json_t *list;

	(void)state;
	node = (struct node){.loop = site.loop, .store = seats[0].store};
	part = (struct part){.node = &node, .m = seats[0].m};
	seat_add(1, 0); /* epoch 2 */
	who = member_index(seats[1].m);
	assert_int_equal(who, 1);
	assert_int_equal(seat_submit_kind(&seats[0], GROUP_POLICY), 0);
	assert_int_equal(seat_remove(&seats[0], 1), 0);
	assert_int_equal(seat_submit_kind(&seats[0], GROUP_POLICY), 0);
	list = show_log(&part, 1, 3);
	assert_int_equal(json_array_size(list), 3);
	assert_int_equal(epoch_of(list, 0), 1);
	assert_string_equal(first_member(list, 1), seats[1].peer.fqdn);
	json_decref(list);
	forget_until(3);
	/* who has gone by then has its name in the next page all the same */
	list = show_log(&part, 4, 3);
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(epoch_of(list, 0), 4);
	assert_string_equal(first_member(list, 0), seats[1].peer.fqdn);
	json_decref(list);
	/* nothing is kept behind the last page */
	assert_null(part.log.names);
	list = show_log(&part, 6, 3);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	assert_null(part.log.names);
	list = show_log(&part, 1, 3);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(first_member(list, 0), "1");
	json_decref(list);
}

/* a page that is not the next one has all names, too */
static void test_any(void **state)
{
	json_t *list;

	(void)state;
	node = (struct node){.loop = site.loop, .store = seats[0].store};
	part = (struct part){.node = &node, .m = seats[0].m};
	seat_add(1, 0);
	assert_int_equal(seat_remove(&seats[0], 1), 0);
	json_decref(show_log(&part, 1, 1));
	list = show_log(&part, 3, 1);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(first_member(list, 0), seats[1].peer.fqdn);
	json_decref(list);
	json_decref(show_log(&part, 1, 1));
	json_decref(part.log.names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, seats_setup, seats_teardown)
		T(test_pages),
		T(test_any),
	};

	return cmocka_run_group_tests(tests, seats_up, seats_down);
}
