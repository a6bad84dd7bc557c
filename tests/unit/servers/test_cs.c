/* SPDX-License-Identifier: MIT */
/* test_cs - a whole Cache Server beside an AS, with a played box: items from keys to
 * confirmation, restarts, quotas, what nobody may */
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

#include "cs_site.h"
#include "libntmcrypto/blobsum.h"

static void whole_way(void **state)
{
	struct peer p = stranger("phone.carol.example.net");
	struct search key, blob, status;
	struct say s;

	(void)state;
	upload("whole", p.fqdn);
	wait_exchange(&key, "key", "whole", p.fqdn);
	wait_exchange(&blob, "data", "whole", p.fqdn);
	assert_memory_equal(key.ticket, blob.ticket, 32);
	begin(&s, &p, "GET", key.ticket, "/v1/keys/%s", key.hash);
	expect_text(&s, 200, "key", "c2VhbGVk");
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", hash_text);
	expect(&s, 200);
	assert_int_equal(s.a.got_len, SIZE);
	assert_memory_equal(s.a.got, data, SIZE);
	free(s.a.got);
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", hash_text);
	line(&s, "Range: bytes=%d-", SIZE - 10);
	expect(&s, 206);
	assert_int_equal(s.a.got_len, 10);
	assert_memory_equal(s.a.got, data + SIZE - 10, 10);
	free(s.a.got);
	begin(&s, &alice, "GET", NULL, "/v1/items/whole");
	expect_text(&s, 200, "state", "complete");
	confirm(&s, &p, key.ticket, 0);
	expect(&s, 200);
	free(s.a.got);
	wait_exchange(&status, "status", "whole", alice.fqdn);
	begin(&s, &alice, "GET", NULL, "/v1/items/whole");
	expect_text(&s, 200, "state", "done");
	/* the blob is gone; the confirmation may come again */
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", hash_text);
	expect_error(&s.a, 404, "NOTFOUND");
	confirm(&s, &p, key.ticket, 0);
	expect(&s, 200);
	free(s.a.got);
	assert_int_equal(number("bytes"), 0);
	assert_true(n_registered > 0);
}

#define OF_ITEM                                                                \
	"\"headers\": {\"NTM-Application\": \"ntm\", \"NTM-Service\": "        \
	"\"file\", \"NTM-Item\": \"batch\", \"NTM-To\": \"%s\"}"

static void ask_batch(struct say *s, const int *want, size_t n)
{
	json_t *j, *a;
	size_t i;

	s->a.body = s->body;
	assert_int_equal(ask(&s->a), 200);
	j = json_loadb(s->a.got, s->a.got_len, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(j, "answers")), n);
	for (i = 0; i < n; i++) {
		a = json_array_get(json_object_get(j, "answers"), i);
		if (json_integer_value(json_object_get(a, "status")) != want[i])
			fail_msg("answer %zu: %s", i, json_dumps(a, 0));
	}
	json_decref(j);
	free(s->a.got);
	s->a.got = NULL;
}

/* A small item in one request each: what begins it, its data, its way out. Whoever's
 * ticket a part has not is told so, and the others are done. */
static void in_batches(void **state)
{
	static const int begun[] = {201, 404}, sent[] = {200, 404},
			 got[] = {200, 200, 403, 401, 200};
	struct peer p = stranger("phone.carol.example.net");
	char digest[48], other[48];
	uint8_t sum[32];
	struct search key;
	struct say s;

	(void)state;
	blobsum_of(data, 3, sum);
	ntmc_base64url_encode(sum, sizeof(sum), digest);
	begin(&s, &alice, "POST", NULL, "/v1/batch");
	snprintf(s.body, sizeof(s.body),
		 "{\"requests\": [{\"method\": \"POST\", "
		 "\"path\": \"/v1/items/batch/keys\", " OF_ITEM
		 ", \"json\": {\"size\": 3, \"keys\": [{\"to\": \"%s\", "
		 "\"key\": \"c2VhbGVk\"}]}}, {\"method\": \"GET\", "
		 "\"path\": \"/v1/items/none\", \"headers\": "
		 "{\"NTM-Application\": \"ntm\", \"NTM-Service\": \"x\"}}]}",
		 p.fqdn, p.fqdn);
	ask_batch(&s, begun, 2);
	ntmc_base64url_encode(data, 3, other);
	begin(&s, &alice, "POST", NULL, "/v1/batch");
	snprintf(s.body, sizeof(s.body),
		 "{\"requests\": [{\"method\": \"PATCH\", "
		 "\"path\": \"/v1/items/batch/data\", \"data\": \"%s\", "
		 "\"headers\": {\"NTM-Application\": \"ntm\", "
		 "\"NTM-Service\": \"file\", \"NTM-Offset\": \"0\", "
		 "\"NTM-Hash\": \"%s\"}}, {\"method\": \"PATCH\", "
		 "\"path\": \"/v1/items/none/data\", \"data\": \"AA\", "
		 "\"headers\": {\"NTM-Application\": \"ntm\", "
		 "\"NTM-Service\": \"file\", \"NTM-Offset\": \"1\"}}]}",
		 other, digest);
	ask_batch(&s, sent, 2);
	wait_exchange(&key, "data", "batch", p.fqdn);
	wait_exchange(&key, "key", "batch", p.fqdn);
	begin(&s, &p, "POST", key.ticket, "/v1/batch");
	ntmc_base64url_encode(alice.token, 32, other);
	snprintf(s.body, sizeof(s.body),
		 "{\"requests\": [{\"method\": \"GET\", "
		 "\"path\": \"/v1/keys/%s\"}, {\"method\": \"GET\", "
		 "\"path\": \"/v1/data/%s\"}, {\"method\": \"GET\", "
		 "\"path\": \"/v1/data/%s\"}, {\"method\": \"GET\", "
		 "\"path\": \"/v1/data/%s\", \"headers\": "
		 "{\"Authorization\": \"Bearer %s\"}}, "
		 "{\"method\": \"POST\", \"path\": \"/v1/confirmations\", "
		 "\"json\": {\"hash\": \"%s\", \"code\": 0}}]}",
		 key.hash, digest, hash_text, digest, other, digest);
	ask_batch(&s, got, 5);
	wait_exchange(&key, "status", "batch", alice.fqdn);
	/* nobody's token: its body is not read */
	begin(&s, &p, "POST", alice.token, "/v1/batch");
	s.a.body = "{\"requests\": [{}]}";
	expect_error(&s.a, 401, "AUTH");
}

/* three receivers, one blob, until the last has it; one refuses */
static void three(void **state)
{
	struct peer to[3] = {stranger("a.b.example.net"),
			     stranger("c.d.example.net"),
			     stranger("e.f.example.net")};
	struct search f;
	struct say s;

	(void)state;
	upload("three", "a.b.example.net, c.d.example.net, e.f.example.net");
	for (size_t i = 0; i < 3; i++) {
		wait_exchange(&f, "data", "three", to[i].fqdn);
		begin(&s, &to[i], "GET", f.ticket, "/v1/data/%s", hash_text);
		expect(&s, 200);
		assert_int_equal(s.a.got_len, SIZE);
		free(s.a.got);
		begin(&s, &alice, "GET", NULL, "/v1/items/three");
		expect_text(&s, 200, "state", "complete");
		assert_int_equal(number("bytes"), SIZE);
		confirm(&s, &to[i], f.ticket, i == 1 ? NTM_EPOLICY : 0);
		expect(&s, 200);
		free(s.a.got);
	}
	assert_int_equal(number("bytes"), 0);
	begin(&s, &alice, "GET", NULL, "/v1/items/three");
	expect(&s, 200);
	assert_non_null(strstr(s.a.got, "\"state\":\"refused\""));
	assert_non_null(strstr(s.a.got, "\"error\":\"POLICY\""));
	free(s.a.got);
}

/* from any offset, over a restart; what is wrong is said with where to go on */
static void offsets(void **state)
{
	struct say s;

	(void)state;
	keys(&s, &alice, "offsets", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	patch(&s, &alice, "offsets", 0, 100000);
	assert_int_equal(expect_number(&s, 200, "offset"), 100000);
	patch(&s, &alice, "offsets", 0, 1000);
	assert_int_equal(expect_number(&s, 409, "offset"), 100000);
	patch(&s, &alice, "offsets", 100001, 1000);
	assert_int_equal(expect_number(&s, 409, "offset"), 100000);
	patch(&s, &alice, "offsets", 100000, SIZE - 100000);
	s.a.body_len++; /* more than was said */
	expect_error(&s.a, 413, "TOOBIG");
	cs_end();
	cs_begin();
	begin(&s, &alice, "GET", NULL, "/v1/items/offsets");
	assert_int_equal(expect_number(&s, 200, "offset"), 100000);
	/* the same keys once more: where to go on */
	keys(&s, &alice, "offsets", ONE, SIZE);
	assert_int_equal(expect_number(&s, 200, "offset"), 100000);
	keys(&s, &alice, "offsets", "two.example.net", SIZE);
	expect_error(&s.a, 409, "EXISTS");
	patch(&s, &alice, "offsets", 100000, 100000);
	assert_int_equal(expect_number(&s, 200, "offset"), 200000);
	begin(&s, &alice, "POST", NULL, "/v1/items/offsets/complete");
	snprintf(s.body, sizeof(s.body), "{\"hash\":\"%s\",\"size\":%d}",
		 hash_text, SIZE);
	s.a.body = s.body;
	assert_int_equal(expect_number(&s, 409, "offset"), 200000);
	patch(&s, &alice, "offsets", 200000, SIZE - 200000);
	line(&s, "NTM-Hash: %s", hash_text);
	expect_text(&s, 200, "hash", hash_text);
	/* again, as its answer may have been lost */
	begin(&s, &alice, "POST", NULL, "/v1/items/offsets/complete");
	snprintf(s.body, sizeof(s.body), "{\"hash\":\"%s\",\"size\":%d}",
		 hash_text, SIZE);
	s.a.body = s.body;
	expect_text(&s, 200, "hash", hash_text);
	cancel("offsets");
}

static void wrong_hash(void **state)
{
	char other[48];
	struct say s;

	(void)state;
	strcpy(other, hash_text);
	other[0] = other[0] == 'A' ? 'B' : 'A';
	keys(&s, &alice, "wrong", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	patch(&s, &alice, "wrong", 0, SIZE);
	line(&s, "NTM-Hash: %s", other);
	assert_int_equal(expect_number(&s, 409, "offset"), 0);
	patch(&s, &alice, "wrong", 0, SIZE);
	line(&s, "NTM-Hash: %s", hash_text);
	expect_text(&s, 200, "hash", hash_text);
	cancel("wrong");
	assert_int_equal(number("bytes"), 0);
}

/* other people's tokens, items, tickets and hashes */
static void not_yours(void **state)
{
	struct peer p = stranger("a.b.example.net"),
		    thief = stranger("t.t.example.net");
	struct search f, g;
	uint8_t none[32] = {0};
	struct say s;

	(void)state;
	upload("mine", p.fqdn);
	upload("other", thief.fqdn);
	wait_exchange(&f, "data", "mine", p.fqdn);
	wait_exchange(&f, "key", "mine", p.fqdn);
	wait_exchange(&g, "key", "other", thief.fqdn);
	/* a sender: no token, another's, one that was withdrawn */
	begin(&s, &alice, "GET", none, "/v1/items/mine");
	expect_error(&s.a, 401, "AUTH");
	begin(&s, &alice, "GET", bob.token, "/v1/items/mine");
	expect_error(&s.a, 401, "AUTH");
	begin(&s, &bob, "GET", NULL, "/v1/items/mine");
	expect_error(&s.a, 404, "NOTFOUND");
	begin(&s, &bob, "DELETE", NULL, "/v1/items/mine");
	expect_error(&s.a, 404, "NOTFOUND");
	/* a receiver: another's ticket, another's hash, a sender's token */
	begin(&s, &thief, "GET", f.ticket, "/v1/data/%s", hash_text);
	expect_error(&s.a, 401, "AUTH");
	begin(&s, &thief, "GET", g.ticket, "/v1/keys/%s", hash_text);
	expect_error(&s.a, 403, "PERM");
	f.hash[0] = f.hash[0] == 'A' ? 'B' : 'A';
	begin(&s, &p, "GET", f.ticket, "/v1/data/%s", f.hash);
	expect_error(&s.a, 403, "PERM");
	begin(&s, &alice, "GET", NULL, "/v1/data/%s", hash_text);
	expect_error(&s.a, 401, "AUTH");
	confirm(&s, &thief, f.ticket, 0);
	expect_error(&s.a, 401, "AUTH");
	for (size_t i = 0; i < 2; i++) {
		cancel(i ? "mine" : "other");
		if (i)
			break;
		/* the same blob, of another item: still there */
		begin(&s, &p, "GET", f.ticket, "/v1/data/%s", hash_text);
		expect(&s, 200);
		free(s.a.got);
	}
	begin(&s, &p, "GET", f.ticket, "/v1/data/%s", hash_text);
	expect_error(&s.a, 404, "NOTFOUND");
}

static bool is_refused(void *arg)
{
	const struct peer *p = arg;

	return tokens_check(cs->tokens, p->fqdn, p->token, ntmc_now(NULL)) ==
	       -NTM_EAUTH;
}

static void withdrawn(void **state)
{
	struct search f;
	struct say s;

	(void)state;
	upload("late", bob.fqdn);
	wait_exchange(&f, "data", "late", bob.fqdn);
	begin(&s, &bob, "GET", f.ticket, "/v1/data/%s", hash_text);
	expect(&s, 200);
	free(s.a.got);
	begin(&s, &bob, "GET", NULL, "/v1/items");
	expect(&s, 200);
	free(s.a.got);
	site_admin(&site, "account-disable", "bob");
	assert_true(site_wait(&site, is_refused, &bob));
	begin(&s, &bob, "GET", NULL, "/v1/items");
	expect_error(&s.a, 401, "AUTH");
	/* and with a ticket that it had */
	begin(&s, &bob, "GET", f.ticket, "/v1/data/%s", hash_text);
	expect_error(&s.a, 401, "AUTH");
	cancel("late");
}

static void quota(void **state)
{
	struct server_conf conf = site.conf;
	struct say s;

	(void)state;
	conf.cs_quota = 2 * SIZE;
	cs_reload(cs, &conf);
	keys(&s, &alice, "q1", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	keys(&s, &alice, "q2", ONE, SIZE + 1);
	expect_error(&s.a, 507, "LIMIT");
	keys(&s, &alice, "q2", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	keys(&s, &alice, "q3", ONE, 1);
	expect_error(&s.a, 507, "LIMIT");
	cancel("q1");
	keys(&s, &alice, "q3", ONE, 1);
	expect(&s, 201);
	free(s.a.got);
	keys(&s, &alice, "q4", ONE, UINT64_C(1) << 60); /* nor has the disk */
	expect(&s, 507);
	free(s.a.got);
	cs_reload(cs, &site.conf);
	begin(&s, &alice, "GET", NULL, "/v1/items?limit=1");
	expect(&s, 200);
	assert_non_null(strstr(s.a.got, "\"more\":true"));
	free(s.a.got);
	cancel("q2");
	cancel("q3");
}

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

#define DAY 86400

static int64_t ahead_s, later_s;

static uint64_t clock_mono(void *arg)
{
	struct timespec t;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return LOOP_S((uint64_t)(t.tv_sec + later_s)) + (uint64_t)t.tv_nsec;
}

static int64_t clock_wall(void *arg)
{
	(void)arg;
	return ntmc_now(NULL) + later_s + ahead_s;
}

static void on_done(struct desk_job *job, int err)
{
	(void)err;
	__atomic_store_n(&job->err, 1, __ATOMIC_SEQ_CST);
}

/* the clock of the Cache Server goes on by @s; what that made it do is done */
static void turn(int64_t s)
{
	struct desk_job behind = {.done = on_done};
	uint64_t before = cs->turns;

	later_s += s;
	while (cs->turns == before)
		assert_int_equal(loop_turn(site.loop, false), 0);
	desk_do(cs->desk, &behind);
	while (!__atomic_load_n(&behind.err, __ATOMIC_SEQ_CST))
		assert_int_equal(loop_turn(site.loop, false), 0);
}

/* A clock that was set ahead ends nothing at once: there is time to set it right. The
 * last test: the loop's timers are of that clock. */
static void clock_ahead(void **state)
{
	long long before;

	(void)state;
	upload("aged", ONE);
	before = number("expired");
	loop_set_clock(site.loop, clock_mono, clock_wall, NULL);
	turn(61);
	ahead_s = 40 * DAY;
	turn(61);
	turn(61);
	ahead_s = 0;
	turn(61);
	assert_int_equal(number("expired"), before);
	/* nobody did: then it is so */
	ahead_s = 40 * DAY;
	turn(61);
	assert_int_equal(number("expired"), before);
	turn(6 * 3600 + 61);
	assert_true(number("expired") > before);
	loop_set_clock(site.loop, NULL, NULL, NULL);
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
		cmocka_unit_test(whole_way),	  cmocka_unit_test(in_batches),
		cmocka_unit_test(three),	  cmocka_unit_test(offsets),
		cmocka_unit_test(wrong_hash),	  cmocka_unit_test(not_yours),
		cmocka_unit_test(quota),	  cmocka_unit_test(many_open),
		cmocka_unit_test(box_away),	  cmocka_unit_test(sync_fails),
		cmocka_unit_test(one_sick),	  cmocka_unit_test(left_over),
		cmocka_unit_test(body_of_nobody), cmocka_unit_test(restored),
		cmocka_unit_test(withdrawn),	  cmocka_unit_test(clock_ahead),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
