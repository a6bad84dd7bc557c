/* SPDX-License-Identifier: MIT */
/* test_cs_faults - a whole Cache Server whose disk, clock, box or past fails it */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
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

/* the disk fails once, in the middle of data */
static _Atomic bool disk_fails;

int fdatasync(int fd)
{
	char link[64], path[256] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (disk_fails && readlink(link, path, sizeof(path) - 1) > 0 &&
	    strstr(path, "/cs/up/")) {
		disk_fails = false;
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* What a sync has lost is sent again; what was acknowledged is not, and what was not is
 * not taken for it, though it can still be read. */
static void sync_fails(void **state)
{
	struct say s;

	(void)state;
	keys(&s, &alice, "eio", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	patch(&s, &alice, "eio", 0, 100000);
	assert_int_equal(expect_number(&s, 200, "offset"), 100000);
	disk_fails = true;
	patch(&s, &alice, "eio", 100000, 100000);
	expect_error(&s.a, 507, "STORE");
	assert_false(disk_fails);
	patch(&s, &alice, "eio", 200000, 1);
	assert_int_equal(expect_number(&s, 409, "offset"), 100000);
	disk_fails = true;
	patch(&s, &alice, "eio", 100000, SIZE - 100000);
	line(&s, "NTM-Hash: %s", hash_text);
	expect_error(&s.a, 507, "STORE");
	begin(&s, &alice, "GET", NULL, "/v1/items/eio");
	assert_int_equal(expect_number(&s, 200, "offset"), 100000);
	patch(&s, &alice, "eio", 100000, SIZE - 100000);
	line(&s, "NTM-Hash: %s", hash_text);
	expect_text(&s, 200, "hash", hash_text);
	cancel("eio");
}

/* --- the clock ---------------------------------------------------------------------------- */

/* the clock goes on by @s */
static void turn(int64_t s)
{
	static int64_t later;

	later += s;
	cs_clock_later(later);
}

/* A clock that was set ahead ends nothing at once: there is time to set it right. The
 * last test: the loop's timers are of that clock. */
static void clock_ahead(void **state)
{
	long long before;

	(void)state;
	upload("aged", ONE);
	before = number("expired");
	cs_clock_take();
	turn(61);
	cs_clock_ahead(40 * DAY);
	turn(61);
	turn(61);
	cs_clock_ahead(0);
	turn(61);
	assert_int_equal(number("expired"), before);
	/* nobody did: then it is so */
	cs_clock_ahead(40 * DAY);
	turn(61);
	assert_int_equal(number("expired"), before);
	turn(6 * 3600 + 61);
	assert_true(number("expired") > before);
	cs_clock_give_back();
}

static unsigned int descriptors(void)
{
	struct dirent *e;
	unsigned int n = 0;
	DIR *d = opendir("/proc/self/fd");

	while ((e = readdir(d)))
		n++;
	closedir(d);
	return n;
}

/* Items that nobody goes on with hold no descriptors, but for some. */
static void many_open(void **state)
{
	unsigned int before = descriptors();
	char item[16];
	struct say s;

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(item, sizeof(item), "m%u", i);
		keys(&s, &alice, item, ONE, 2);
		expect(&s, 201);
		free(s.a.got);
		patch(&s, &alice, item, 0, 1);
		assert_int_equal(expect_number(&s, 200, "offset"), 1);
	}
	assert_in_range(descriptors(), before, before + 80);
	/* and go on all the same */
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(item, sizeof(item), "m%u", i);
		patch(&s, &alice, item, 1, 1);
		assert_int_equal(expect_number(&s, 200, "offset"), 2);
		cancel(item);
	}
	assert_int_equal(number("bytes"), 0);
}

static bool nothing_asked(void *arg)
{
	(void)arg;
	return number("asks") == 0;
}

/* a box that is away, then refuses: nothing is forgotten, over a restart */
static void box_away(void **state)
{
	struct search f;
	struct say s;

	(void)state;
	assert_true(site_wait(&site, nothing_asked, NULL));
	http_free(box);
	box = NULL;
	upload("away", ONE);
	assert_int_equal(number("asks"), 2);
	cs_end();
	box_code = NTM_ENONAME;
	box_begin();
	cs_begin();
	wait_exchange(&f, "data", "away", ONE);
	wait_exchange(&f, "status", "away", alice.fqdn);
	assert_true(site_wait(&site, nothing_asked, NULL));
	begin(&s, &alice, "GET", NULL, "/v1/items/away");
	expect(&s, 200);
	assert_non_null(strstr(s.a.got, "\"error\":\"NONAME\""));
	free(s.a.got);
	box_code = 0;
}

/* What the box finds wrong in one item, or cannot do of it, keeps no other waiting. A key
 * that it takes later than the data has the same ticket. */
static void one_sick(void **state)
{
	struct search f, key;
	struct say s;

	(void)state;
	set_sick("sick", -NTM_EINVAL);
	keys(&s, &alice, "sick", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	upload("well", ONE);
	wait_exchange(&f, "data", "well", ONE);
	wait_exchange(&f, "status", "sick", alice.fqdn);
	begin(&s, &alice, "GET", NULL, "/v1/items/sick");
	expect(&s, 200);
	assert_non_null(strstr(s.a.got, "\"error\":\"INVAL\""));
	free(s.a.got);
	set_sick("ill", -NTM_ESERVER);
	upload("ill", ONE);
	upload("fit", ONE);
	wait_exchange(&f, "data", "fit", ONE);
	wait_exchange(&f, "data", "ill", ONE);
	set_sick(NULL, 0);
	wait_exchange(&key, "key", "ill", ONE);
	assert_memory_equal(key.ticket, f.ticket, 32);
	assert_true(site_wait(&site, nothing_asked, NULL));
	/* what a box would find wrong is not taken */
	keys(&s, &alice, "bell", ONE, SIZE);
	line(&s, "NTM-Message: ring%%07");
	expect_error(&s.a, 400, "INVAL");
	cancel("well");
	cancel("ill");
	cancel("fit");
}

/* what an upload left that began when its item was just complete; and one of an item that
 * a restored store has yet to number: neither stands in the place of other data */
static void left_over(void **state)
{
	char path[256], next[256], command[600];
	long long number;
	struct stat st;
	struct say s;

	(void)state;
	upload("kept", ONE);
	begin(&s, &alice, "GET", NULL, "/v1/items/kept");
	number = expect_number(&s, 200, "number");
	cs_end();
	snprintf(path, sizeof(path), "%s/cs/up/%lld", site.dir, number);
	snprintf(next, sizeof(next), "%s/cs/up/%lld", site.dir, number + 1);
	snprintf(command, sizeof(command), ": > %s; head -c 1000 %s > %s", path,
		 "/dev/zero", next);
	assert_int_equal(system(command), 0);
	cs_begin();
	assert_int_not_equal(stat(path, &st), 0);
	begin(&s, &alice, "GET", NULL, "/v1/items/kept");
	expect_text(&s, 200, "state", "complete");
	keys(&s, &alice, "next", ONE, 900);
	assert_int_equal(expect_number(&s, 201, "offset"), 0);
	cancel("kept");
	cancel("next");
}

/* Who is nobody sends no body first. */
static void body_of_nobody(void **state)
{
	const uint8_t none[32] = {0};
	struct say s;

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(&s, &alice, "POST", none, "/v1/items/b/%s",
		      i ? "keys" : "complete");
		line(&s, "NTM-To: " ONE);
		line(&s, "NTM-Item: b");
		s.a.body_len = i ? 100000 : 1000;
		s.a.expect = true;
		expect_error(&s.a, 401, "AUTH");
		assert_int_equal(s.a.sent, 0);
	}
}

/* a store from before, and files from after */
static void restored(void **state)
{
	char path[256], command[1200];
	struct search f;
	struct stat st;
	struct say s;

	(void)state;
	upload("old", ONE);
	cs_end();
	/* the backup is of now; then the blob goes, and others come */
	snprintf(path, sizeof(path), "%s/cs/blob/%02x", site.dir, hash[0]);
	snprintf(command, sizeof(command),
		 "rm %s/*; echo orphan > %s/%02x%062d; echo x > %s/cs/up/99999;"
		 " touch -d '2 days ago' %s/* %s/cs/up/99999",
		 path, path, hash[0], 7, site.dir, path, site.dir);
	assert_int_equal(system(command), 0);
	cs_begin();
	begin(&s, &alice, "GET", NULL, "/v1/items/old");
	expect_text(&s, 200, "state", "lost");
	assert_int_equal(number("lost"), 1);
	assert_int_equal(number("bytes"), 0);
	snprintf(path + strlen(path), 80, "/%02x%062d", hash[0], 7);
	assert_int_not_equal(stat(path, &st), 0);
	snprintf(path, sizeof(path), "%s/cs/up/99999", site.dir);
	assert_int_not_equal(stat(path, &st), 0);
	/* its sender is told, and sends all of it again, under the same IDs */
	wait_exchange(&f, "status", "old", alice.fqdn);
	upload("old", ONE);
	begin(&s, &alice, "GET", NULL, "/v1/items/old");
	expect_text(&s, 200, "state", "complete");
	cancel("old");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_open),  cmocka_unit_test(box_away),
		cmocka_unit_test(sync_fails), cmocka_unit_test(one_sick),
		cmocka_unit_test(left_over),  cmocka_unit_test(body_of_nobody),
		cmocka_unit_test(restored),   cmocka_unit_test(clock_ahead),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
