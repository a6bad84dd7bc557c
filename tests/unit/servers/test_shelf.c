/* SPDX-License-Identifier: MIT */
/* test_shelf - the box's store: room, time, another identity, an old backup; long lists */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "box_site.h"
#include "servers/box/shelf.h"

#define NOW	 INT64_C(1800000000)
#define DESK	 "desk.bob.example.org"
#define WAITS	 10000
#define QUICK_MS 100
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RUNNING_SLOW 1
#else
#define RUNNING_SLOW 0
#endif

static char path[64], copy[64];
static struct shelf *s;
static char changed_fqdn[FQDN_MAX + 1];
static uint32_t changed_serial;
static unsigned int n_changed;

static void on_changed(void *arg, const char *fqdn, uint32_t serial)
{
	(void)arg;
	strcpy(changed_fqdn, fqdn);
	changed_serial = serial;
	n_changed++;
}

static void begin(int64_t now)
{
	n_changed = 0;
	assert_int_equal(shelf_begin(s, now), 0);
}

static void commit(void)
{
	assert_int_equal(shelf_commit(s, on_changed, NULL), 0);
}

static int device(const char *fqdn, uint8_t fp)
{
	struct shelf_device d = {.n = 1};

	strcpy(d.fqdn, fqdn);
	memset(d.fp, fp, sizeof(d.fp));
	d.prekeys[0].not_before = 0;
	d.prekeys[0].not_after = NOW + 1000;
	d.prekeys[0].cert_len = 4;
	return shelf_put_device(s, &d);
}

static int setup(void **state)
{
	(void)state;
	strcpy(path, "/tmp/ntm-shelf-XXXXXX");
	close(mkstemp(path));
	snprintf(copy, sizeof(copy), "%s.copy", path);
	assert_int_equal(shelf_open(path, &s), 0);
	begin(NOW);
	assert_int_equal(device(DESK, 1), 0);
	commit();
	assert_string_equal(changed_fqdn, DESK);
	assert_int_equal(changed_serial, 0);
	return 0;
}

static int teardown(void **state)
{
	char command[256];

	(void)state;
	shelf_close(s);
	snprintf(command, sizeof(command), "rm -f %s*", path);
	assert_int_equal(system(command), 0);
	return 0;
}

static void item_fill(struct shelf_item *i, const char *account, unsigned int n)
{
	snprintf(i->from, sizeof(i->from), "pc.%s", account);
	strcpy(i->to, DESK);
	strcpy(i->application, "ntm");
	strcpy(i->service, "file");
	snprintf(i->item, sizeof(i->item), "%u", n);
	i->expires = NOW + 500;
}

static int put(const char *account, unsigned int n)
{
	struct shelf_exchange x = {.kind = SHELF_DATA, .size = n, .n_addrs = 1};

	item_fill(&x.i, account, n);
	strcpy(x.cs, "cs.example.org");
	assert_int_equal(addr_parse("192.0.2.1", 4507, &x.addrs[0]), 0);
	memcpy(x.hash, &n, sizeof(n));
	return shelf_put_exchange(s, &x);
}

static int put_key(const char *account, unsigned int n, uint8_t key)
{
	struct shelf_item i;
	struct ntmc_key k = {{key}};

	memset(&i, 0, sizeof(i));
	item_fill(&i, account, n);
	return shelf_put_key(s, &i, &k);
}

static int64_t entries(void)
{
	struct shelf_counts c;

	assert_int_equal(shelf_count(s, &c), 0);
	return c.entries;
}

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
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
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
	assert_int_equal(shelf_backup(s, copy), 0);
	begin(NOW + 3);
	assert_int_equal(put("alice.example.org", 2), 0);
	commit();
	last = changed_serial;
	shelf_close(s);
	snprintf(command, sizeof(command), "rm -f %s-*; mv %s %s", path, copy,
		 path);
	assert_int_equal(system(command), 0);
	assert_int_equal(shelf_open(path, &s), 0);
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
			if (shelf_open(path, &s))
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
		assert_int_equal(shelf_open(path, &s), 0);
		assert_int_equal(shelf_count(s, &c), 0);
		assert_true(c.entries > last && c.entries == c.keys);
	}
}

/* --- long lists, by HTTP ------------------------------------------------------------------------- */

/* --- two Cache Servers ------------------------------------------------------------ */

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

static void waits_fill(const char *db)
{
	struct shelf_device d = {.n = 0};
	int64_t now = later(0);

	assert_int_equal(shelf_open(db, &s), 0);
	assert_int_equal(shelf_begin(s, now), 0);
	strcpy(d.fqdn, bob.fqdn);
	ntmc_fingerprint(bob.id.ed_pub, d.fp);
	assert_int_equal(shelf_put_device(s, &d), 0);
	for (unsigned int n = 0; n < WAITS; n++) {
		struct shelf_exchange x = {.kind = SHELF_KEY, .n_addrs = 1};
		struct ntmc_key k = {{1}};

		item_fill(&x.i, "alice." SITE_DOMAIN, n);
		strcpy(x.i.to, bob.fqdn);
		x.i.expires = now + 3600;
		strcpy(x.cs, "cs." SITE_DOMAIN);
		assert_int_equal(addr_parse("192.0.2.1", 4507, &x.addrs[0]), 0);
		memcpy(k.b, &n, sizeof(n));
		memcpy(x.hash, &n, sizeof(n));
		assert_int_equal(shelf_put_key(s, &x.i, &k), 0);
		assert_int_equal(shelf_put_exchange(s, &x), 0);
		x.kind = SHELF_DATA;
		assert_int_equal(shelf_put_exchange(s, &x), 0);
	}
	commit();
	shelf_close(s);
}

static void listed(void **state)
{
	struct web w = {&near, "GET", "/v1/cache?limit=20000", .peer = &bob};
	char page[64], db[128];
	double best = 1e9, cpu = 1e9;
	json_t *o;

	box_stop(&near);
	snprintf(db, sizeof(db), "%s/box/box.db", near.site.dir);
	waits_fill(db);
	box_start(&near);
	box_wait(&near);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(web(&w, NULL, &o), 200);
		assert_int_equal(json_array_size(json_object_get(o, "entries")),
				 WAITS);
		best = web_ms() < best ? web_ms() : best;
		cpu = web_cpu_ms() < cpu ? web_cpu_ms() : cpu;
		json_decref(o);
	}
	print_message("%d entries listed in %.0f ms, %.0f ms of processor\n",
		      WAITS, best, cpu);
	/* whatever else this machine does now */
	assert_true(cpu < QUICK_MS * (RUNNING_SLOW ? 20 : 1));
	/* page by page */
	w.path = page;
	strcpy(page, "/v1/cache?limit=4000");
	for (int i = 0; i < 3; i++) {
		json_t *list, *last;

		assert_int_equal(web(&w, NULL, &o), 200);
		list = json_object_get(o, "entries");
		assert_int_equal(json_array_size(list), i < 2 ? 4000 : 2000);
		assert_true(json_is_true(json_object_get(o, "more")) ==
			    (i < 2));
		last = json_array_get(list, json_array_size(list) - 1);
		snprintf(page, sizeof(page), "/v1/cache?limit=4000&after=%lld",
			 (long long)json_integer_value(
				 json_object_get(last, "number")));
		json_decref(o);
	}
	web_forget();
	(void)state;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(room),
		T(foreign_room),
		T(own_room),
		T(status_room),
		T(expiry),
		T(offline),
		T(another_identity),
		T(old_backup),
		T(killed),
		T(moved),
		T(moved_ahead),
		T(anew),
		T(offered),
		cmocka_unit_test_setup_teardown(listed, boxes_setup,
						boxes_teardown),
	};

	return cmocka_run_group_tests_name("shelf", tests, NULL, NULL);
}
