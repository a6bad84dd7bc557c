/* SPDX-License-Identifier: MIT */
/*
 * test_lasting - what time does to items: rows end and go
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/post/face.h"
#include "broker/post/inbox.h"
#include "broker/post/outbox.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "common/log.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

/* An item waits, and @s seconds later its Cache Server knows it no more. Return: how
 * often T was sent to the box since; @state: of its row then */
static json_int_t forgotten_after(int64_t s, const char *state)
{
	json_int_t before;

	nobody_sends();
	send_item(json_pack("{s:s}", "text", "one"));
	outbox_is("waiting", "waiting");
	before = servers_count("{\"forget\": true}", "temporal");
	clock_set(&w.mn, s);
	outbox_work(w.mn.post.outbox);
	while (outbox_busy(w.mn.post.outbox))
		assert_int_equal(loop_turn(w.loop, true), 0);
	json_decref(await(&w.mn, "outbox", state));
	clock_set(&w.mn, 0);
	return servers_count("{}", "temporal") - before;
}

/* A Cache Server that has kept an item for as long as its administrator lets it is not
 * sent it again and again; one that lost it before is. */
static void test_kept(void **state)
{
	json_t *j;

	(void)state;
	(void)fault("{\"life\": 86400}");
	assert_int_equal(forgotten_after(2 * DAY, "done"), 0);
	j = newest(&w.mn, "outbox");
	assert_string_equal(text(j, "error"), "EXPIRED");
	json_decref(j);
	assert_int_equal(forgotten_after(DAY / 2, "waiting"), 1);
}

/* At the end of its 30 days, the sender is on. */
static void test_kept_all(void **state)
{
	(void)state;
	assert_int_equal(forgotten_after(30 * DAY + 7 * 3600, "done"), 0);
	outbox_is("done", "failed");
}

/* Who never fetches it does not keep its key alive, and the row goes in the end. */
static void test_late(void **state)
{
	struct store *st = w.mn.post.store;
	struct stat s;
	uint8_t k[32];
	json_t *j;

	(void)state;
	nobody_sends();
	send_item(json_pack("{s:s}", "text", "one"));
	outbox_is("waiting", "waiting");
	clock_set(&w.mn, 30 * DAY + 600); /* news of the last minute may come */
	outbox_tidy(w.mn.post.outbox);
	outbox_is("waiting", "waiting");
	clock_set(&w.mn, 31 * DAY + 600);
	outbox_tidy(w.mn.post.outbox);
	j = await(&w.mn, "outbox", "done");
	assert_string_equal(text(j, "error"), "EXPIRED");
	json_decref(j);
	outbox_is("done", "failed");
	j = newest(&w.mn, "outbox");
	assert_string_equal(
		text(json_array_get(json_object_get(j, "to"), 0), "text"),
		"it was not fetched before the item's time was "
		"over");
	json_decref(j);
	store_bind_int(st, OUT_GET, 1, 1);
	assert_int_equal(store_step(st, OUT_GET), 1);
	assert_int_equal(store_blob(st, OUT_GET, 5, k, sizeof(k)), 0);
	store_reset(st, OUT_GET);
	assert_int_not_equal(stat(at("%s/post/out.1", w.mn.state), &s), 0);
	clock_set(&w.mn, 61 * DAY);
	outbox_tidy(w.mn.post.outbox);
	assert_null(newest(&w.mn, "outbox"));
	clock_set(&w.mn, 0);
}

/* A Cache Server may say that it has lost an item that was cancelled: so it stays. */
static void test_lost_when_over(void **state)
{
	uint64_t next = 0;
	json_t *j;

	(void)state;
	nobody_sends();
	send_item(json_pack("{s:s}", "text", "one"));
	json_decref(await(&w.cn, "inbox", "held"));
	j = ask(&w.mn, json_pack("{s:s, s:i}", "cmd", "cancel", "id", 1));
	json_decref(j);
	outbox_is("cancelled", NULL);
	(void)fault("{\"lost\": true, \"news\": true}");
	while (servers_count("{}", "listed"))
		turn(&next);
	outbox_is("cancelled", NULL);
	assert_false(outbox_busy(w.mn.post.outbox));
}

/* One that everybody has is not sent again, and its row does not wait for nobody. */
static void test_lost_when_received(void **state)
{
	uint64_t next = 0;

	(void)state;
	send_item(json_pack("{s:s}", "text", "one"));
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
	(void)fault("{\"lost\": true, \"news\": true}");
	while (servers_count("{}", "listed"))
		turn(&next);
	outbox_is("done", "received");
	assert_false(outbox_busy(w.mn.post.outbox));
}

/* Lost while it waits: all of it once more. */
static void test_lost(void **state)
{
	uint64_t next = 0;
	json_t *j;

	(void)state;
	nobody_sends();
	send_big(100000);
	json_decref(await(&w.cn, "inbox", "held"));
	(void)fault("{\"lost\": true, \"news\": true, \"wipe\": true}");
	while (servers_count("{}", "listed") > 1)
		turn(&next);
	(void)fault("{\"lost\": false}");
	outbox_is("waiting", NULL);
	j = ask(&w.cn, json_pack("{s:s, s:i}", "cmd", "fetch", "id", 1));
	json_decref(j);
	big_here();
}

static void known_write(struct end *e, const struct pki *other)
{
	Ntm__State__Known k = NTM__STATE__KNOWN__INIT;
	Ntm__State__KnownServer s = NTM__STATE__KNOWN_SERVER__INIT, *list = &s;

	s.domain = (char *)"other.test";
	if (other) {
		s.ca = (ProtobufCBinaryData){other->ca_len,
					     (uint8_t *)other->ca_der};
		k.servers = &list;
		k.n_servers = 1;
	}
	assert_int_equal(statefile_save(e->state, "known", &k.base), 0);
	who_load_known(&e->post.who);
}

/* A domain that was forgotten is not believed any more, our own always is. */
static void test_forgotten(void **state)
{
	struct pki *other = pki_new("other.test");
	struct who *who = &w.mn.post.who;

	(void)state;
	assert_null(who_server_domain(who, "cs.other.test"));
	known_write(&w.mn, other);
	assert_non_null(who_server_domain(who, "cs.other.test"));
	assert_int_equal(who_load(who), 0);
	assert_non_null(who_server_domain(who, "cs.other.test"));
	known_write(&w.mn, NULL);
	assert_null(who_server_domain(who, "cs.other.test"));
	assert_non_null(who_server_domain(who, "cs.example.org"));
	pki_free(other);
}

/* A file that is changed through memory, which its times do not tell: what a Cache
 * Server has of it is not sealed again with other bytes. It lies in memory: on a disk
 * the kernel writes pages back meanwhile, and the next change of one is told. */
static void test_changed_unseen(void **state)
{
	const size_t len = 400000;
	char path[] = "/dev/shm/ntm-post-big-XXXXXX";
	uint64_t next = 0;
	struct stat a, b;
	uint8_t *map;
	json_t *j;
	size_t i;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	file_fill(path, len, 1);
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	for (i = 0; i < len; i += 4096)
		map[i] ^= 1; /* now each page can be written unseen */
	assert_int_equal(fstat(fd, &a), 0);
	(void)fault("{\"cut\": 300000}");
	send_item(json_pack("{s:[s]}", "files", path));
	while (fault("{}") < 300000)
		turn(&next);
	map[100] ^= 1;
	assert_int_equal(fstat(fd, &b), 0);
	assert_int_equal(a.st_ctim.tv_nsec, b.st_ctim.tv_nsec);
	j = await(&w.mn, "outbox", "failed");
	assert_string_equal(text(j, "error"), "CHANGED");
	json_decref(j);
	munmap(map, len);
	close(fd);
	unlink(path);
}

/* What failed for want of a network is tried when there is one, and a try that is put
 * off by a clock that was ahead is not waited for. */
static void test_soon(void **state)
{
	struct store *st = w.mn.post.store;
	static const int errors[] = {NTM_EUNREACHABLE, NTM_ESERVER,
				     NTM_ESERVER};
	static const int wait[] = {600, 600, 9 * 3600};
	static const bool due[] = {true, false, true};
	size_t i;

	(void)state;
	w.mn.post.who.n_box = 0; /* nothing is asked meanwhile */
	for (i = 0; i < 3; i++) {
		w.mn.post.who.n_box = 1;
		send_item(json_pack("{s:s}", "text", "one"));
		w.mn.post.who.n_box = 0;
		store_bind_int(st, OUT_TRY, 1, (int64_t)i + 1);
		store_bind_int(st, OUT_TRY, 2, ntmc_now(NULL) + wait[i]);
		store_bind_int(st, OUT_TRY, 3, 9);
		store_bind_int(st, OUT_TRY, 4, errors[i]);
		store_bind_text(st, OUT_TRY, 5, "");
		assert_int_equal(store_run(st, OUT_TRY), 0);
	}
	outbox_tidy(w.mn.post.outbox);
	for (i = 0; i < 3; i++) {
		store_bind_int(st, OUT_GET, 1, (int64_t)i + 1);
		assert_int_equal(store_step(st, OUT_GET), 1);
		assert_int_equal(store_int(st, OUT_GET, 17) == 0, due[i]);
		store_reset(st, OUT_GET);
	}
}

/* What fails when the Cache Server has a part of it is cancelled there, and why it
 * failed is still what the person is told. */
static void test_failed_is_told(void **state)
{
	uint64_t next = 0;
	json_t *j;

	(void)state;
	(void)fault("{\"cut\": 300000}");
	send_big(400000);
	while (fault("{}") < 300000)
		turn(&next);
	file_fill(at("%s/big", w.dir), 400000, 10);
	(void)fault("{\"fail\": 2}");
	json_decref(await(&w.mn, "outbox", "failed"));
	while (!servers_count("{}", "cancelled"))
		turn(&next);
	while (outbox_busy(w.mn.post.outbox))
		turn(&next);
	j = await(&w.mn, "outbox", "failed");
	assert_string_equal(text(j, "error"), "CHANGED");
	json_decref(j);
}

/* A part of an item that came straight, @days ago, and broke off. Return: its folder */
static const char *part_left(const char *item, int days)
{
	struct store *st = w.cn.post.store;
	const char *folder;
	int64_t id;

	store_bind_text(st, IN_DIRECT_NEW, 1, MN);
	store_bind_text(st, IN_DIRECT_NEW, 2, "ntm");
	store_bind_text(st, IN_DIRECT_NEW, 3, "file");
	store_bind_text(st, IN_DIRECT_NEW, 4, item);
	store_bind_text(st, IN_DIRECT_NEW, 5, "");
	store_bind_int(st, IN_DIRECT_NEW, 6, 1000000);
	store_bind_int(st, IN_DIRECT_NEW, 7,
		       post_now(&w.cn.post) - (int64_t)days * DAY);
	store_bind_int(st, IN_DIRECT_NEW, 8, INT64_MAX);
	assert_int_equal(store_run(st, IN_DIRECT_NEW), 0);
	store_bind_text(st, IN_FIND, 1, "ntm");
	store_bind_text(st, IN_FIND, 2, "file");
	store_bind_text(st, IN_FIND, 3, item);
	store_bind_text(st, IN_FIND, 4, MN);
	assert_int_equal(store_step(st, IN_FIND), 1);
	id = store_int(st, IN_FIND, 0);
	store_reset(st, IN_FIND);
	folder = at("%s/post/in.%d", w.cn.state, (int)id);
	mkdir(folder, 0700);
	mkdir(at("%s/tree", folder), 0700);
	file_fill(at("%s/tree/part", folder), 5000, 1);
	return folder;
}

/* Parts that nobody goes on with are deleted after a week, each with its row, however
 * many there are; younger ones stay. */
static void test_parts_left(void **state)
{
	char old[256], young[256];
	uint64_t next = 0;
	struct stat s;
	json_t *j;
	int i;

	(void)state;
	strcpy(young, part_left("young", 6));
	strcpy(old, part_left("old", 8));
	for (i = 0; i < 70; i++)
		(void)part_left(at("old-%d", i), 8);
	for (i = 0; !stat(old, &s) || i < 3; i++) {
		inbox_whole(w.cn.post.inbox);
		inbox_sync(w.cn.post.inbox);
		while (inbox_busy(w.cn.post.inbox))
			turn(&next);
		assert_int_equal(loop_turn(w.loop, false), 0);
		assert_true(i < 100);
	}
	assert_int_equal(stat(at("%s/tree/part", young), &s), 0);
	j = ask(&w.cn, json_pack("{s:s}", "cmd", "inbox"));
	assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
	json_decref(j);
}

/* A row whose texts are no UTF-8, from wherever it is, is in the list as all others:
 * one that is missing would be its end. */
static void test_odd_text(void **state)
{
	struct store *st = w.cn.post.store;
	json_t *j, *row;

	(void)state;
	(void)part_left("odd", 1);
	store_bind_text(st, IN_DIRECT_NEW, 1, MN);
	store_bind_text(st, IN_DIRECT_NEW, 2, "ntm");
	store_bind_text(st, IN_DIRECT_NEW, 3, "file");
	store_bind_text(st, IN_DIRECT_NEW, 4, "two");
	store_bind_text(st, IN_DIRECT_NEW, 5, "gr\xfc");
	store_bind_int(st, IN_DIRECT_NEW, 6, 1);
	store_bind_int(st, IN_DIRECT_NEW, 7, post_now(&w.cn.post));
	store_bind_int(st, IN_DIRECT_NEW, 8, INT64_MAX);
	assert_int_equal(store_run(st, IN_DIRECT_NEW), 0);
	store_bind_int(st, IN_TITLE, 1, 2);
	store_bind_text(st, IN_TITLE, 2, "\xff");
	assert_int_equal(store_run(st, IN_TITLE), 0);
	j = ask(&w.cn, json_pack("{s:s}", "cmd", "inbox"));
	assert_int_equal(json_array_size(json_object_get(j, "items")), 2);
	row = json_array_get(json_object_get(j, "items"), 1);
	assert_string_equal(text(row, "message"), "gr?");
	assert_string_equal(text(row, "title"), "?");
	json_decref(j);
}

static void rows_new(struct store *st, int64_t from, int64_t to, int receivers)
{
	int i;

	for (; from <= to; from++) {
		store_bind_text(st, OUT_NEW, 1, "app");
		store_bind_text(st, OUT_NEW, 2, "many");
		store_bind_text(st, OUT_NEW, 3, at("%d", (int)from));
		store_bind_int(st, OUT_NEW, 5, 1);
		store_bind_int(st, OUT_NEW, 6, 1);
		store_bind_int(st, OUT_NEW, 7, 1);
		store_bind_int(st, OUT_NEW, 8, 4000000000);
		assert_int_equal(store_run(st, OUT_NEW), 0);
		for (i = 0; i < receivers; i++) {
			store_bind_int(st, TO_NEW, 1, from);
			store_bind_text(
				st, TO_NEW, 2,
				at("device-of-a-long-name-%d.account-of-"
				   "a-long-name.domain.example",
				   i));
			store_bind_int(st, TO_NEW, 3, 6);
			store_bind_int(st, TO_NEW, 6, 0);
			store_bind_int(st, TO_NEW, 7, 1);
			assert_int_equal(store_run(st, TO_NEW), 0);
		}
	}
}

/* A long outbox, each item with as many receivers as there may be, is read in parts
 * that fit into an answer. */
static void test_long_outbox(void **state)
{
	struct store *st = w.mn.post.store;
	json_int_t after = 0, n = 0;
	json_t *j, *items;
	char *dump;

	(void)state;
	w.mn.post.who.logged_in = false; /* nobody is to send them */
	assert_int_equal(store_begin(st), 0);
	rows_new(st, 1, 800, 64);
	assert_int_equal(store_commit(st), 0);
	do {
		j = ask(&w.mn, json_pack("{s:s, s:I}", "cmd", "outbox", "after",
					 after));
		dump = json_dumps(j, JSON_COMPACT);
		assert_true(strlen(dump) < FACE_QUEUE_MAX);
		free(dump);
		items = json_object_get(j, "items");
		n = (json_int_t)json_array_size(items);
		if (n)
			after = json_integer_value(json_object_get(
				json_array_get(items, (size_t)n - 1), "id"));
		json_decref(j);
	} while (n);
	assert_int_equal(after, 800);
}

/* More receivers than a request can name: who gets nothing is told so. */
static void test_too_many(void **state)
{
	struct store *st = w.mn.post.store;
	uint8_t junk[200] = {1};
	size_t i, failed = 0;
	json_t *j, *to;

	(void)state;
	(void)fault("{\"no_prekeys\": true}");
	send_item(json_pack("{s:s}", "text", "one"));
	for (i = 0; i < OUTBOX_RECEIVERS_MAX; i++) {
		store_bind_int(st, TO_NEW, 1, 1);
		store_bind_text(st, TO_NEW, 2, at("d%zu.mn.example.org", i));
		store_bind_int(st, TO_NEW, 3, TO_READY);
		store_bind_blob(st, TO_NEW, 4, junk, 32);
		store_bind_blob(st, TO_NEW, 5, junk, sizeof(junk));
		store_bind_int(st, TO_NEW, 6, 0);
		store_bind_int(st, TO_NEW, 7, 1);
		assert_int_equal(store_run(st, TO_NEW), 0);
	}
	(void)fault("{\"no_prekeys\": false}");
	j = await(&w.mn, "outbox", "waiting");
	json_array_foreach(json_object_get(j, "to"), i, to)
	{
		if (strcmp(text(to, "name"), CN)) {
			assert_string_equal(text(to, "state"), "waiting");
			continue;
		}
		assert_string_equal(text(to, "state"), "failed");
		assert_string_equal(text(to, "error"), "LIMIT");
		failed++;
	}
	assert_int_equal(failed, 1);
	json_decref(j);
}

/* An item is sent in the name that its key was sealed in: another login of the device
 * does not go on with it. */
static void test_other_login(void **state)
{
	uint64_t next = 0;
	bool said;
	json_t *j;

	(void)state;
	(void)fault("{\"fail\": 1000}");
	send_item(json_pack("{s:s}", "text", "one"));
	strcpy(w.mn.post.who.fqdn, "laptop.other.example.org");
	(void)fault("{\"fail\": 0}");
	do {
		turn(&next);
		j = newest(&w.mn, "outbox");
		said = !strcmp(text(j, "error"), "PERM");
		json_decref(j);
	} while (!said);
	strcpy(w.mn.post.who.fqdn, MN);
	json_decref(await(&w.cn, "inbox", "here"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, ends_open, ends_close)
	const struct CMUnitTest tests[] = {
		TEST(test_late),
		TEST(test_kept),
		TEST(test_kept_all),
		TEST(test_lost_when_over),
		TEST(test_lost_when_received),
		TEST(test_lost),
		TEST(test_changed_unseen),
		TEST(test_parts_left),
		TEST(test_soon),
		TEST(test_other_login),
		TEST(test_failed_is_told),
		TEST(test_odd_text),
		TEST(test_long_outbox),
		TEST(test_too_many),
		TEST(test_forgotten),
	};

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
