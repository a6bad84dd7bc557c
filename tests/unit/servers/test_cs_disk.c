/* SPDX-License-Identifier: MIT */
/*
 * test_cs_disk - what a Cache Server's disk has: all that was acknowledged, before it is;
 * nothing whose time is over
 *
 * Writes and syncs of the process are counted here, in place of libc's: each has a
 * number, later ones higher ones. SQLite's pass here as well.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cs_clock.h"
#include "cs_site.h"
#include "libntmcrypto/blobsum.h"

/* --- what goes to the disk ---------------------------------------------------------------- */

static _Atomic unsigned int moment;
/* the last write and the last sync, by when it began, of what is in up/ and of the
 * store's log; the first write of the log in a request; the last sync of the folder up */
static _Atomic unsigned int data_written, data_synced, log_first, log_synced,
	folder_synced;

enum place { ELSEWHERE, DATA, LOG, FOLDER };

static enum place place_of(int fd)
{
	char link[64], path[256] = "";
	size_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, path, sizeof(path) - 1) <= 0)
		return ELSEWHERE;
	len = strlen(path);
	if (strstr(path, "/cs/up/"))
		return DATA;
	if (len > 6 && !strcmp(path + len - 6, "/cs/up"))
		return FOLDER;
	return strstr(path, "/cs.db-wal") ? LOG : ELSEWHERE;
}

ssize_t pwrite64(int fd, const void *b, size_t len, off64_t at)
{
	ssize_t n = syscall(SYS_pwrite64, fd, b, len, at);
	enum place place = place_of(fd);
	unsigned int none = 0;

	if (place == DATA)
		data_written = ++moment;
	else if (place == LOG)
		atomic_compare_exchange_strong(&log_first, &none, ++moment);
	return n;
}

ssize_t pwrite(int fd, const void *b, size_t len, off_t at)
{
	return pwrite64(fd, b, len, at);
}

static int synced(int fd, long call)
{
	/* time for an answer that does not wait for it to come first */
	const struct timespec t = {.tv_nsec = 10000000};
	enum place place = place_of(fd);
	unsigned int begun = ++moment;
	int r;

	if (place != ELSEWHERE)
		nanosleep(&t, NULL);
	r = (int)syscall(call, fd);
	if (place == DATA)
		data_synced = begun;
	else if (place == LOG)
		log_synced = begun;
	else if (place == FOLDER)
		folder_synced = begun;
	return r;
}

int fsync(int fd)
{
	return synced(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return synced(fd, SYS_fdatasync);
}

/* --- before it is acknowledged ------------------------------------------------------------ */

/* asks; the store's rows of it are on the disk when it is answered */
static void in_store(struct say *s, long status)
{
	log_first = 0;
	expect(s, status);
	assert_int_not_equal(log_first, 0);
	assert_true(log_synced > log_first);
	free(s->a.got);
}

static void data_is_there(void)
{
	assert_int_not_equal(data_written, 0);
	assert_true(data_synced > data_written);
}

/* a request with all of a small item, for @days, or 0: as long as the server will */
static void brief(struct say *s, const char *item, int days)
{
	uint8_t sum[32];
	char name[48];
	size_t len;

	blobsum_of(data, 3, sum);
	ntmc_base64url_encode(sum, sizeof(sum), name);
	keys(s, &alice, item, ONE, 3);
	len = strlen(s->body) - 1;
	len += (size_t)sprintf(s->body + len,
			       ", \"hash\": \"%s\", \"data\": \"", name);
	ntmc_base64url_encode(data, 3, s->body + len);
	strcat(s->body, "\"");
	if (days)
		sprintf(s->body + strlen(s->body), ", \"expires\": %lld",
			(long long)ntmc_now(NULL) + days * DAY);
	strcat(s->body, "}");
}

static void acknowledged(void **state)
{
	struct peer p = stranger("phone.carol.example.net");
	struct search f;
	unsigned int before;
	struct say s;

	(void)state;
	before = moment;
	keys(&s, &alice, "sure", p.fqdn, SIZE);
	in_store(&s, 201);
	patch(&s, &alice, "sure", 0, 100000);
	assert_int_equal(expect_number(&s, 200, "offset"), 100000);
	data_is_there();
	/* and its name */
	assert_true(folder_synced > before);
	patch(&s, &alice, "sure", 100000, 100000);
	assert_int_equal(expect_number(&s, 200, "offset"), 200000);
	data_is_there();
	patch(&s, &alice, "sure", 200000, SIZE - 200000);
	line(&s, "NTM-Hash: %s", hash_text);
	in_store(&s, 200);
	data_is_there();
	wait_exchange(&f, "key", "sure", p.fqdn);
	wait_exchange(&f, "data", "sure", p.fqdn);
	confirm(&s, &p, f.ticket, 0);
	in_store(&s, 200);
	/* completed by a request of its own; cancelled */
	keys(&s, &alice, "other", p.fqdn, SIZE);
	in_store(&s, 201);
	patch(&s, &alice, "other", 0, SIZE);
	assert_int_equal(expect_number(&s, 200, "offset"), SIZE);
	data_is_there();
	begin(&s, &alice, "POST", NULL, "/v1/items/other/complete");
	snprintf(s.body, sizeof(s.body), "{\"hash\":\"%s\",\"size\":%d}",
		 hash_text, SIZE);
	s.a.body = s.body;
	in_store(&s, 200);
	begin(&s, &alice, "DELETE", NULL, "/v1/items/other");
	in_store(&s, 200);
	/* all of it with its keys */
	brief(&s, "brief", 0);
	in_store(&s, 201);
	cancel("brief");
}

/* --- whose time is over ------------------------------------------------------------------- */

/* it is @days after the test began */
static void day(int days)
{
	cs_clock_later((int64_t)days * DAY);
}

/* what the store says to @sql, as another program reads it */
static long long stored(const char *sql)
{
	char path[256];
	sqlite3_stmt *st;
	sqlite3 *db;
	long long n;

	snprintf(path, sizeof(path), "%s/cs/cs.db", site.dir);
	assert_int_equal(
		sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static bool has_item(const char *name)
{
	char sql[128];

	snprintf(sql, sizeof(sql),
		 "SELECT count(*) FROM items WHERE item = '%s'", name);
	return stored(sql) != 0;
}

static bool has_upload(long long number)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/cs/up/%lld", site.dir, number);
	return !stat(path, &st);
}

static bool has_blob(void)
{
	char path[256];
	struct stat st;
	int n;

	n = snprintf(path, sizeof(path), "%s/cs/blob/%02x/", site.dir, hash[0]);
	for (size_t i = 0; i < sizeof(hash); i++)
		n += snprintf(path + n, 3, "%02x", hash[i]);
	return !stat(path, &st);
}

/* an upload of which a byte came on that day. Return: its number */
static long long half(const char *item, int days)
{
	struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}};
	long long n;
	char path[256];
	struct say s;

	keys(&s, &alice, item, ONE, 5);
	assert_int_equal(expect_number(&s, 201, "offset"), 0);
	patch(&s, &alice, item, 0, 2);
	assert_int_equal(expect_number(&s, 200, "offset"), 2);
	begin(&s, &alice, "GET", NULL, "/v1/items/%s", item);
	n = expect_number(&s, 200, "number");
	t[1].tv_sec = ntmc_now(NULL) + (time_t)days * DAY;
	snprintf(path, sizeof(path), "%s/cs/up/%lld", site.dir, n);
	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
	return n;
}

/* An item whose time is over leaves nothing, but what another one needs too; an upload
 * that nobody goes on with is gone after a week. The last test: the loop's timers are of
 * that clock. */
static void over(void **state)
{
	long long left, moved;
	struct say s;
	size_t len;

	(void)state;
	keys(&s, &alice, "aged", ONE, SIZE);
	len = strlen(s.body);
	snprintf(s.body + len - 1, sizeof(s.body) - len, ",\"expires\":%lld}",
		 (long long)ntmc_now(NULL) + 2 * DAY);
	expect(&s, 201);
	free(s.a.got);
	patch(&s, &alice, "aged", 0, SIZE);
	line(&s, "NTM-Hash: %s", hash_text);
	expect_text(&s, 200, "hash", hash_text);
	upload("same", ONE); /* the same blob, for 30 days */
	brief(&s, "passing", 2);
	expect(&s, 201);
	free(s.a.got);
	left = half("left", 0);
	moved = half("moved", 5);
	cs_clock_take();
	day(1);
	assert_true(has_item("aged") && has_blob());
	assert_int_equal(stored("SELECT count(*) FROM small"), 1);
	day(3);
	assert_false(has_item("aged") || has_item("passing"));
	assert_int_equal(stored("SELECT count(*) FROM small"), 0);
	assert_true(has_item("same") && has_blob());
	day(6);
	assert_true(has_item("left") && has_upload(left));
	day(8);
	assert_false(has_item("left") || has_upload(left));
	assert_true(has_item("moved") && has_upload(moved));
	day(13);
	assert_false(has_item("moved") || has_upload(moved));
	assert_true(has_item("same") && has_blob());
	day(31);
	assert_false(has_item("same") || has_blob());
	assert_int_equal(stored("SELECT (SELECT count(*) FROM receivers) + "
				"(SELECT count(*) FROM asks) + "
				"(SELECT sum(bytes) FROM accounts)"),
			 0);
	cs_clock_give_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acknowledged),
		cmocka_unit_test(over),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
