/* SPDX-License-Identifier: MIT */
/* test_shelf_servers - the box's store and Cache Servers: which one has an item, which there
 * are */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shelf_rig.h"

/* --- two have had an item ----------------------------------------------------------------- */

static void says_by(enum shelf_kind kind, const char *cs, int64_t since,
		    uint8_t ticket)
{
	struct shelf_exchange x = {
		.kind = kind, .size = 5, .n_addrs = 1, .since = since};

	item_fill(&x.i, "alice.example.org", 1);
	snprintf(x.cs, sizeof(x.cs), "%s.example.org", cs);
	assert_int_equal(addr_parse("192.0.2.1", 4507, &x.addrs[0]), 0);
	x.hash[0] = (uint8_t)(1 + kind);
	x.ticket[0] = ticket;
	assert_int_equal(shelf_put_exchange(s, &x), 0);
}

static void says(enum shelf_kind kind, const char *cs, int64_t since)
{
	says_by(kind, cs, since, (uint8_t)since);
}

/* the one entry: at which Cache Server, and has that one the data? */
static void has(const char *cs, bool key, bool data)
{
	json_t *o, *e;
	char *text, name[64];

	assert_int_equal(shelf_list(s, DESK, 0, 10, &text), 0);
	o = json_loads(text, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(o, "entries")), 1);
	e = json_array_get(json_object_get(o, "entries"), 0);
	snprintf(name, sizeof(name), "%s.example.org", cs);
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(e, "cs"), "name")),
			    name);
	assert_int_equal(json_is_string(json_object_get(e, "key_hash")), key);
	assert_int_equal(json_is_string(json_object_get(e, "data_hash")), data);
	assert_int_equal(json_is_integer(json_object_get(e, "size")), data);
	json_decref(o);
	free(text);
}

static void is_at(const char *cs, bool data)
{
	has(cs, true, data);
}

/* A sender left one for another: what the one before says later changes nothing. */
static void moved(void **state)
{
	(void)state;
	begin(NOW);
	says(SHELF_KEY, "one", 10);
	says(SHELF_DATA, "one", 10);
	is_at("one", true);
	says(SHELF_KEY, "two", 20);
	is_at("two", false);
	says(SHELF_DATA, "one", 10);
	is_at("two", false);
	says(SHELF_DATA, "two", 20);
	is_at("two", true);
	says(SHELF_KEY, "one", 10);
	says(SHELF_DATA, "one", 10);
	is_at("two", true);
	says(SHELF_KEY, "two", 20);
	is_at("two", true);
	commit();
}

/* One whose clock was ahead, or that says anything, keeps the next one's word out no
 * longer than its own time goes on. */
static void moved_ahead(void **state)
{
	(void)state;
	begin(NOW);
	says_by(SHELF_KEY, "one", NOW + 3600, 1);
	says_by(SHELF_DATA, "one", INT64_MAX, 1);
	is_at("one", true);
	commit();
	begin(NOW + 5);
	says_by(SHELF_KEY, "two", NOW + 5, 2);
	is_at("two", false);
	says_by(SHELF_DATA, "two", NOW + 5, 2);
	is_at("two", true);
	commit();
}

/* Sent anew, at the same one: what the ticket before led to is not there any more. */
static void anew(void **state)
{
	(void)state;
	begin(NOW);
	says_by(SHELF_KEY, "one", 10, 1);
	says_by(SHELF_DATA, "one", 10, 1);
	has("one", true, true);
	says_by(SHELF_KEY, "one", 10, 2);
	has("one", true, false);
	says_by(SHELF_DATA, "one", 10, 2);
	has("one", true, true);
	/* what is said of the data overtakes the key */
	says_by(SHELF_DATA, "one", 10, 3);
	has("one", false, true);
	says_by(SHELF_DATA, "one", 10, 3);
	has("one", false, true);
	commit();
	assert_int_equal(n_changed, 1);
	begin(NOW + 1);
	says_by(SHELF_DATA, "one", 10, 3);
	commit();
	assert_int_equal(n_changed, 0); /* the same once more */
}

/* --- those of the domain ------------------------------------------------------------------ */

static bool is_out(void *arg, const uint8_t *fp)
{
	return fp[0] == *(uint8_t *)arg;
}

static size_t n_offered(uint8_t removed, bool all)
{
	json_t *o = shelf_servers(s, is_out, &removed, all);
	size_t n = json_array_size(json_object_get(o, "servers"));

	json_decref(o);
	return n;
}

static void offered(void **state)
{
	struct shelf_server x = {.fp = {1}, .n_addrs = 1, .room = 7};
	json_t *o, *e;
	uint8_t none = 0;

	(void)state;
	begin(NOW);
	assert_int_equal(addr_parse("192.0.2.1", 4507, &x.addrs[0]), 0);
	strcpy(x.name, "cs.example.org");
	assert_int_equal(shelf_put_server(s, &x), 0);
	strcpy(x.name, "cs-2.example.org");
	x.fp[0] = 2;
	assert_int_equal(shelf_put_server(s, &x), 0);
	assert_int_equal(n_offered(0, false), 2);
	assert_int_equal(n_offered(2, false), 1);
	assert_int_equal(n_offered(2, true), 1);
	x.draining = true;
	assert_int_equal(shelf_put_server(s, &x), 0);
	assert_int_equal(n_offered(0, false), 1);
	assert_int_equal(n_offered(0, true), 2);
	o = shelf_servers(s, is_out, &none, false);
	e = json_array_get(json_object_get(o, "servers"), 0);
	assert_int_equal(json_integer_value(json_object_get(e, "room")), 7);
	assert_int_equal(json_integer_value(json_object_get(e, "age_s")), 0);
	json_decref(o);
	commit();
}

#define T(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(moved),
		T(moved_ahead),
		T(anew),
		T(offered),
	};

	return cmocka_run_group_tests_name("shelf_servers", tests, NULL, NULL);
}
