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

#define TOGETHER 40
#define ROUNDS	 20

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

static bool one_asked(void *arg)
{
	(void)arg;
	return number("asks") == 1;
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

/* @n items of alice's to bob, their keys in one request */
static void keys_together(const char *name, int n)
{
	json_t *list = json_array(), *all;
	char path[64], item[32], *text;
	struct say s;

	for (int i = 0; i < n; i++) {
		snprintf(item, sizeof(item), "%s-%d", name, i);
		snprintf(path, sizeof(path), "/v1/items/%s/keys", item);
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s}, "
				  "s:{s:i, s:[{s:s, s:s}]}}",
				  "method", "POST", "path", path, "headers",
				  "NTM-Application", "ntm", "NTM-Service",
				  "file", "NTM-Item", item, "NTM-To", bob.fqdn,
				  "json", "size", SIZE, "keys", "to", bob.fqdn,
				  "key", "c2VhbGVk"));
	}
	all = json_pack("{s:o}", "requests", list);
	text = json_dumps(all, 0);
	begin(&s, &alice, "POST", NULL, "/v1/batch");
	s.a.body = text;
	expect(&s, 200);
	free(s.a.got);
	free(text);
	json_decref(all);
}

static void on_done(struct desk_job *job, int err)
{
	(void)err;
	__atomic_store_n(&job->err, 1, __ATOMIC_SEQ_CST);
}

/* Jobs that a batch brings one after the other share a commit. */
static void one_commit(void **state)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	struct desk_job jobs[2];
	struct desk_stats before, after;

	(void)state;
	desk_status(cs->desk, &before);
	for (int i = 0; i < ROUNDS; i++) {
		jobs[0] = jobs[1] = (struct desk_job){.done = on_done};
		desk_hold(cs->desk, true);
		desk_do(cs->desk, &jobs[0]);
		nanosleep(&ms, NULL); /* in which the writer would begin */
		desk_do(cs->desk, &jobs[1]);
		desk_hold(cs->desk, false);
		while (!__atomic_load_n(&jobs[1].err, __ATOMIC_SEQ_CST))
			assert_int_equal(loop_turn(site.loop, false), 0);
	}
	desk_status(cs->desk, &after);
	/* on a busy machine a moment may be longer than DESK_HOLD_MS */
	assert_in_range(after.commits - before.commits, ROUNDS, ROUNDS * 3 / 2);
	/* who holds it for long keeps nobody waiting */
	jobs[0] = (struct desk_job){.done = on_done};
	desk_hold(cs->desk, true);
	desk_do(cs->desk, &jobs[0]);
	while (!__atomic_load_n(&jobs[0].err, __ATOMIC_SEQ_CST))
		assert_int_equal(loop_turn(site.loop, false), 0);
	desk_hold(cs->desk, false);
}

/* What waits for a box that is back goes together; the one that it finds wrong is
 * refused, the others are told. */
static void together(void **state)
{
	struct search f;
	char item[16];

	(void)state;
	assert_true(site_wait(&site, nothing_asked, NULL));
	http_free(box);
	box = NULL;
	keys_together("of-many", TOGETHER);
	assert_int_equal(number("asks"), TOGETHER);
	set_sick("of-many-7", -NTM_EINVAL);
	n_batches = 0;
	box_begin();
	wait_exchange(&f, "status", "of-many-7", alice.fqdn);
	for (int i = 0; i < TOGETHER; i++) {
		snprintf(item, sizeof(item), "of-many-%d", i);
		if (i != 7)
			wait_exchange(&f, "key", item, bob.fqdn);
	}
	assert_true(site_wait(&site, nothing_asked, NULL));
	/* one to see whether it is there, the others, what became of one of them */
	assert_in_range(n_batches, 2, 5);
	set_sick(NULL, 0);
	for (int i = 0; i < TOGETHER; i++) {
		snprintf(item, sizeof(item), "of-many-%d", i);
		if (i != 7) /* that one is over */
			cancel(item);
	}
}

/* An answer with too few of them counts for none: asked again, nobody is refused. */
static void odd_answer(void **state)
{
	struct search f;
	struct say s;

	(void)state;
	set_odd(1);
	keys(&s, &alice, "odd", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	wait_exchange(&f, "key", "odd", ONE);
	assert_true(site_wait(&site, nothing_asked, NULL));
	begin(&s, &alice, "GET", NULL, "/v1/items/odd");
	expect(&s, 200);
	assert_non_null(strstr(s.a.got, "\"told\""));
	free(s.a.got);
	cancel("odd");
}

/* One of several that the box cannot do now: the others are told, in that same request */
static void one_later(void **state)
{
	struct search f;
	struct say s;

	(void)state;
	assert_true(site_wait(&site, nothing_asked, NULL));
	set_sick("cough", -NTM_ESERVER);
	http_free(box);
	box = NULL;
	keys(&s, &alice, "first", bob.fqdn, SIZE);
	expect(&s, 201);
	free(s.a.got);
	keys(&s, &alice, "cough", bob.fqdn, SIZE);
	expect(&s, 201);
	free(s.a.got);
	keys(&s, &alice, "hale", bob.fqdn, SIZE);
	expect(&s, 201);
	free(s.a.got);
	box_begin();
	wait_exchange(&f, "key", "first", bob.fqdn);
	wait_exchange(&f, "key", "hale", bob.fqdn);
	assert_true(site_wait(&site, one_asked, NULL));
	set_sick(NULL, 0);
	wait_exchange(&f, "key", "cough", bob.fqdn);
	assert_true(site_wait(&site, nothing_asked, NULL));
	cancel("first");
	cancel("cough");
	cancel("hale");
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

static bool are_held(void *arg)
{
	return set_silent("slow") >= *(unsigned int *)arg;
}

/* One account's items for a domain that does not answer keep no other account's waiting
 * for that or another domain. */
static void silent_domain(void **state)
{
	struct search f;
	char item[16];
	unsigned int few = 3;
	struct say s;

	(void)state;
	(void)set_silent("slow");
	for (unsigned int i = 0; i < 40; i++) {
		snprintf(item, sizeof(item), "slow%u", i);
		keys(&s, &alice, item, ONE, 1);
		expect(&s, 201);
		free(s.a.got);
	}
	assert_true(site_wait(&site, are_held, &few));
	keys(&s, &bob, "quick", ONE, 1);
	expect(&s, 201);
	free(s.a.got);
	wait_exchange(&f, "key", "quick", ONE);
	assert_int_equal(set_silent("slow"), few);
	(void)set_silent(NULL);
	for (unsigned int i = 0; i < 40; i++) {
		snprintf(item, sizeof(item), "slow%u", i);
		cancel(item);
	}
	begin(&s, &bob, "DELETE", NULL, "/v1/items/quick");
	line(&s, "NTM-Item: quick");
	expect(&s, 200);
	free(s.a.got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_open),
		cmocka_unit_test(box_away),
		cmocka_unit_test(sync_fails),
		cmocka_unit_test(one_sick),
		cmocka_unit_test(left_over),
		cmocka_unit_test(body_of_nobody),
		cmocka_unit_test(together),
		cmocka_unit_test(one_later),
		cmocka_unit_test(odd_answer),
		cmocka_unit_test(one_commit),
		cmocka_unit_test(silent_domain),
		cmocka_unit_test(restored),
		cmocka_unit_test(clock_ahead),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
