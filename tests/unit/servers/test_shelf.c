/* SPDX-License-Identifier: MIT */
/* test_shelf - the box's store: room, time, another identity, an old backup, kill -9 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "shelf_rig.h"

/* --- room ---------------------------------------------------------------------------- */

static void room(void **state)
{
	unsigned int n;

	(void)state;
	begin(NOW);
	for (n = 0; n < SHELF_ACCOUNT_MAX; n++)
		assert_int_equal(put("alice.example.org", n), 0);
	assert_int_equal(put("alice.example.org", n), -NTM_ELIMIT);
	assert_int_equal(put("alice.example.org", 5), 0); /* as it is */
	for (n = 0; n < SHELF_ENTRIES_MAX - SHELF_ACCOUNT_MAX; n++)
		assert_int_equal(put("carol.example.org", n), 0);
	assert_int_equal(put("dave.example.org", 0), -NTM_ELIMIT);
	assert_int_equal(entries(), SHELF_ENTRIES_MAX);
	for (n = 0; n < SHELF_ACCOUNT_MAX; n++)
		assert_int_equal(put_key("alice.example.org", n, 1), 0);
	assert_int_equal(put_key("alice.example.org", n, 1), -NTM_ELIMIT);
	assert_int_equal(put_key("alice.example.org", 7, 2), 0); /* another */
	commit();
	assert_int_equal(n_changed, 1); /* one list, one word */
	/* what goes makes room */
	begin(NOW);
	assert_int_equal(shelf_delete_entry(s, DESK, 1), 0);
	assert_int_equal(put("dave.example.org", 0), 0);
	assert_int_equal(put("dave.example.org", 1), -NTM_ELIMIT);
	commit();
}

/* Another domain, whatever accounts it makes up, fills nobody's box; nor do several. */
static void foreign_room(void **state)
{
	char account[64];
	unsigned int n, d;

	(void)state;
	begin(NOW);
	for (d = 0; d < SHELF_FOREIGN_MAX / SHELF_DOMAIN_MAX; d++) {
		for (n = 0; n < SHELF_DOMAIN_MAX; n++) {
			snprintf(account, sizeof(account), "a%u.d%u.net",
				 n % 100, d);
			assert_int_equal(put(account, n), 0);
		}
		assert_int_equal(put(account, n), -NTM_ELIMIT);
		assert_int_equal(put_key(account, n, 1), 0);
	}
	assert_int_equal(put("a.other.net", 0), -NTM_ELIMIT);
	assert_int_equal(put("alice.example.org", 0), 0);
	assert_int_equal(put("sub.example.net", 0), -NTM_ELIMIT);
	assert_int_equal(shelf_delete_entry(s, DESK, 1), 0);
	assert_int_equal(put("a.other.net", 0), 0);
	assert_int_equal(put("a.other.net", 1), -NTM_ELIMIT);
	commit();
	/* all that is counted goes with what it counts */
	begin(NOW);
	assert_int_equal(shelf_forget(s, DESK), 0);
	assert_int_equal(device(DESK, 1), 0);
	for (n = 0; n < SHELF_DOMAIN_MAX; n++)
		assert_int_equal(put("b.d0.net", n), 0);
	assert_int_equal(put("b.d0.net", n), -NTM_ELIMIT);
	commit();
}

static int put_key_for(const char *to, unsigned int n)
{
	struct ntmc_key k = {{1}};
	struct shelf_item i;

	memset(&i, 0, sizeof(i));
	item_fill(&i, "alice.example.org", n);
	strcpy(i.to, to);
	return shelf_put_key(s, &i, &k);
}

/* as if @account had @n temporal keys more */
static void tally_more(const char *account, int n)
{
	sqlite3 *db;
	char text[200];

	snprintf(text, sizeof(text),
		 "UPDATE tallies SET n = n + %d WHERE receiver = '' AND "
		 "what = 0 AND account = '%s'",
		 n, account);
	assert_int_equal(sqlite3_open(shelf_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
}

/* An account of ours cannot fill the disk with temporal keys for many receivers; and when
 * its device is withdrawn those go whose items never came. */
static void own_room(void **state)
{
	struct shelf_counts c;
	char to[64] = DESK;
	unsigned int n, d;

	(void)state;
	begin(NOW);
	assert_int_equal(put("alice.example.org", 5), 0);
	for (d = 0; d < 2; d++) {
		snprintf(to, sizeof(to), "d%u.bob.example.org", d);
		assert_int_equal(device(to, 1), 0);
		for (n = 0; n < 4; n++)
			assert_int_equal(put_key_for(to, n), 0);
	}
	commit();
	/* all the others, which would take half a minute */
	tally_more("alice.example.org", SHELF_OWN_ALL_MAX - 10);
	begin(NOW);
	assert_int_equal(put_key_for(to, 5), 0);
	assert_int_equal(put_key_for(to, 6), 0);
	assert_int_equal(put_key_for(DESK, 1), -NTM_ELIMIT);
	assert_int_equal(put_key("carol.example.org", 1, 1), 0);
	assert_int_equal(shelf_forget(s, to), 0);
	assert_int_equal(put_key_for(DESK, 5), 0);
	assert_int_equal(shelf_forget(s, "pc.alice.example.org"), 0);
	assert_int_equal(shelf_count(s, &c), 0);
	assert_int_equal(c.keys, 2);
	assert_int_equal(c.entries, 1);
	assert_int_equal(put_key_for(DESK, 6), 0);
	commit();
}

/* A sender who looks at no status can still receive, and there is an end of them. */
static void status_room(void **state)
{
	struct shelf_exchange x = {.kind = SHELF_STATUS, .n_addrs = 1};
	unsigned int n;

	(void)state;
	begin(NOW);
	strcpy(x.cs, "cs.example.org");
	assert_int_equal(addr_parse("192.0.2.1", 4507, &x.addrs[0]), 0);
	for (n = 0; n <= SHELF_ENTRIES_MAX; n++) {
		item_fill(&x.i, "carol.example.net", n);
		assert_int_equal(shelf_put_exchange(s, &x),
				 n < SHELF_ENTRIES_MAX ? 0 : -NTM_ELIMIT);
	}
	assert_int_equal(put("alice.example.org", 0), 0);
	assert_int_equal(entries(), SHELF_ENTRIES_MAX + 1);
	commit();
}

/* --- time ------------------------------------------------------------------------------ */

static void expiry(void **state)
{
	char *text;

	(void)state;
	begin(NOW);
	assert_int_equal(put("alice.example.org", 1), 0);
	assert_int_equal(put_key("alice.example.org", 1, 1), 0);
	assert_int_equal(shelf_prekeys(s, DESK, &text), 0);
	free(text);
	commit();
	begin(NOW + 499);
	assert_int_equal(shelf_expire(s), 0);
	commit();
	assert_int_equal(n_changed, 0);
	begin(NOW + 500);
	assert_int_equal(put("alice.example.org", 2), -NTM_EEXPIRED);
	assert_int_equal(put_key("alice.example.org", 2, 1), -NTM_EEXPIRED);
	assert_int_equal(shelf_expire(s), 2);
	commit();
	assert_string_equal(changed_fqdn, DESK);
	assert_int_equal(changed_serial, 0);
	begin(NOW + 1000);
	assert_int_equal(shelf_prekeys(s, DESK, &text), -NTM_EOFFLINE);
	assert_int_equal(shelf_prekeys(s, "no" DESK, &text), -NTM_ENONAME);
	assert_int_equal(shelf_expire(s), 1);
	assert_int_equal(shelf_prekeys(s, DESK, &text), -NTM_EOFFLINE);
	commit();
}

/* Of an account the devices that are off for longer than a prekey lives are named, and
 * the others can be sent to. */
static void offline(void **state)
{
	const char *account = strchr(DESK, '.') + 1;
	struct shelf_device none = {.n = 0};
	char *text, other[128];
	json_t *o;

	(void)state;
	snprintf(other, sizeof(other), "tab.%s", account);
	begin(NOW + 1000);
	assert_int_equal(shelf_prekeys(s, account, &text), -NTM_EOFFLINE);
	commit();
	begin(NOW + 999);
	assert_int_equal(device(other, 3), 0);
	assert_int_equal(shelf_prekeys(s, account, &text), 0);
	o = json_loads(text, 0, NULL);
	free(text);
	assert_null(json_object_get(o, "offline"));
	assert_int_equal(json_array_size(json_object_get(o, "prekeys")), 2);
	json_decref(o);
	strcpy(none.fqdn, DESK);
	memset(none.fp, 1, sizeof(none.fp));
	assert_int_equal(shelf_put_device(s, &none), 0);
	assert_int_equal(shelf_prekeys(s, account, &text), 0);
	o = json_loads(text, 0, NULL);
	free(text);
	assert_int_equal(json_array_size(json_object_get(o, "prekeys")), 1);
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(o, "offline"), 0)),
			    DESK);
	assert_int_equal(json_array_size(json_object_get(o, "offline")), 1);
	json_decref(o);
	commit();
}

/* --- who has the name ---------------------------------------------------------------------- */

static void another_identity(void **state)
{
	struct shelf_named named[2];

	(void)state;
	begin(NOW);
	assert_int_equal(put("alice.example.org", 1), 0);
	assert_int_equal(device(DESK, 1), 0);
	assert_int_equal(entries(), 1);
	assert_int_equal(shelf_named(s, "", named, 2), 1);
	assert_string_equal(named[0].fqdn, DESK);
	assert_true(named[0].has_fp && named[0].fp[9] == 1);
	assert_true(named[0].serial >= NOW);
	assert_int_equal(shelf_named(s, DESK, named, 2), 0);
	assert_int_equal(device(DESK, 2), 0);
	assert_int_equal(entries(), 0);
	assert_int_equal(shelf_forget(s, DESK), 0);
	assert_int_equal(put("alice.example.org", 1), -NTM_ENONAME);
	commit();
	assert_int_equal(changed_serial, 0);
}

/* --- an old backup: no number is given twice ------------------------------------------------- */

static void old_backup(void **state)
{
	uint32_t last;
	char command[256];

	(void)state;
	begin(NOW);
	assert_int_equal(put("alice.example.org", 1), 0);
	commit();
	assert_int_equal(shelf_backup(s, shelf_copy), 0);
	begin(NOW + 3);
	assert_int_equal(put("alice.example.org", 2), 0);
	commit();
	last = changed_serial;
	shelf_close(s);
	snprintf(command, sizeof(command), "rm -f %s-*; mv %s %s", shelf_path,
		 shelf_copy, shelf_path);
	assert_int_equal(system(command), 0);
	assert_int_equal(shelf_open(shelf_path, &s), 0);
	begin(NOW + 4);
	assert_int_equal(entries(), 1);
	assert_int_equal(put("alice.example.org", 3), 0);
	commit();
	assert_true(changed_serial > last);
	/* what fails in the middle leaves nothing */
	begin(NOW + 5);
	assert_int_equal(put("alice.example.org", 4), 0);
	shelf_rollback(s);
	begin(NOW + 5);
	assert_int_equal(entries(), 2);
	commit();
	assert_int_equal(n_changed, 0);
}

/* --- killed at any moment: what was acknowledged is there ---------------------------------------- */

static void write_on(int acknowledged)
{
	for (unsigned int n = 0;; n++) {
		begin(NOW);
		if (put("alice.example.org", n) ||
		    put_key("alice.example.org", n, 1))
			_exit(1);
		commit();
		if (write(acknowledged, &n, sizeof(n)) != sizeof(n))
			_exit(1);
	}
}

static void killed(void **state)
{
	(void)state;
	for (int round = 1; round <= 5; round++) {
		struct shelf_counts c;
		unsigned int last = 0, n;
		int ends[2];
		pid_t pid;

		shelf_close(s);
		s = NULL;
		assert_int_equal(pipe(ends), 0);
		pid = fork();
		if (!pid) {
			if (shelf_open(shelf_path, &s))
				_exit(1);
			write_on(ends[1]);
		}
		close(ends[1]);
		while (last < 20u * (unsigned int)round &&
		       read(ends[0], &n, sizeof(n)) == sizeof(n))
			last = n;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		while (read(ends[0], &n, sizeof(n)) == sizeof(n))
			last = n; /* said before it died */
		close(ends[0]);
		assert_true(last >= 20u * (unsigned int)round);
		assert_int_equal(shelf_open(shelf_path, &s), 0);
		assert_int_equal(shelf_count(s, &c), 0);
		assert_true(c.entries > last && c.entries == c.keys);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(room),   T(foreign_room), T(own_room),	 T(status_room),
		T(expiry), T(offline),	    T(another_identity), T(old_backup),
		T(killed),
	};

	return cmocka_run_group_tests_name("shelf", tests, NULL, NULL);
}
