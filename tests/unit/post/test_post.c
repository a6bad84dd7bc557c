/* SPDX-License-Identifier: MIT */
/* test_post - items from one ntm-post to another, with servers played by servers.py */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/post/inbox.h"
#include "broker/post/prekeys.h"
#include "broker/post/recent.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "common/log.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

#define WAIT_S 20

static unsigned int n_synced;

/* In place of libc's, for SQLite too: a killed process is what the tests have, not a
 * machine without current. */
int fsync(int fd)
{
	(void)fd;
	__atomic_add_fetch(&n_synced, 1, __ATOMIC_RELAXED);
	return 0;
}

int fdatasync(int fd)
{
	return fsync(fd);
}

int syncfs(int fd)
{
	return fsync(fd);
}

static void test_text(void **state)
{
	json_t *j;

	(void)state;
	send_item(json_pack("{s:s}", "text", "hello\n"));
	j = await(&w.cn, "inbox", "here");
	assert_string_equal(text(j, "from"), MN);
	assert_string_equal(text(j, "service"), "text");
	file_get(at("%s/tree/text", text(j, "folder")), "hello\n");
	outbox_is("done", "received");
	taken(j);
	assert_null(newest(&w.cn, "inbox"));
}

/* What a bar and the outbox call it, also where a shell has written "photos/" */
static void test_title(void **state)
{
	json_t *j;

	(void)state;
	mkdir(at("%s/photos", w.dir), 0700);
	file_put(at("%s/photos/one", w.dir), "1", 1);
	send_item(json_pack("{s:[s]}", "files", at("%s/photos/", w.dir)));
	j = newest(&w.mn, "outbox");
	assert_string_equal(text(j, "title"), "photos");
	json_decref(j);
	j = await(&w.cn, "inbox", "here");
	assert_string_equal(text(j, "title"), "photos");
	taken(j);
}

static void text_through(const char *what)
{
	json_t *j;

	send_item(json_pack("{s:s}", "text", what));
	j = await(&w.cn, "inbox", "here");
	file_get(at("%s/tree/text", text(j, "folder")), what);
	outbox_is("done", "received");
	taken(j);
	assert_null(newest(&w.cn, "inbox"));
}

/* All of a small one goes with its keys, and comes with its key; a Cache Server that does
 * not know that is asked as before. */
static void test_small(void **state)
{
	json_int_t bytes;

	(void)state;
	text_through("with its key\n");
	assert_int_equal(servers_count("{}", "whole"), 1);
	assert_int_equal(servers_count("{}", "with"), 1);
	bytes = fault("{\"older\": true}");
	text_through("by itself\n");
	assert_int_equal(servers_count("{}", "whole"), 1);
	assert_int_equal(servers_count("{}", "with"), 1);
	assert_true(fault("{\"older\": false}") > bytes);
	/* another one than it signed */
	(void)fault("{\"flip\": true}");
	send_item(json_pack("{s:s}", "text", "hello\n"));
	json_decref(await(&w.cn, "inbox", "refused"));
	outbox_is("done", "refused");
	assert_int_equal(servers_count("{}", "with"), 2);
}

/* Both ends end without a word after each turn that there is, and begin again: it comes,
 * and once. */
static void test_small_restart(void **state)
{
	uint64_t next = 0;
	int i, k;

	(void)state;
	for (i = 0; i < 25; i++) {
		send_item(json_pack("{s:s}", "text", "hello\n"));
		for (k = 0; k < i; k++)
			turn(&next);
		post_close(&w.mn.post);
		post_close(&w.cn.post);
		end_run(&w.mn);
		end_run(&w.cn);
		next = 0;
		taken(await(&w.cn, "inbox", "here"));
		outbox_is("done", "received");
		assert_null(newest(&w.cn, "inbox"));
	}
}

static void test_big(void **state)
{
	(void)state;
	send_big(3000000);
	big_here();
}

/* Connections break on the way there and on the way here: nothing goes twice. */
static void test_cut(void **state)
{
	json_int_t before = fault("{\"cut\": 700000}"), after;

	(void)state;
	send_big(2000000);
	outbox_is("waiting", NULL);
	(void)fault("{\"cut\": 1000001}");
	big_here();
	after = fault("{}");
	/* twice the blob, and what of a chunk had come before the cut */
	assert_in_range(after - before, 4000000, 4000000 + 2 * 65552 + 4096);
}

static void test_servers_ill(void **state)
{
	(void)state;
	(void)fault("{\"fail\": 3}");
	send_big(100000);
	big_here();
}

/* Both ends end in the middle, without a word, and begin again. */
static void test_restart(void **state)
{
	uint64_t next = 0;
	int i;

	(void)state;
	send_big(4000000);
	for (i = 0; i < 40; i++) {
		int k;

		for (k = 0; k < 3 + i; k++)
			turn(&next);
		post_close(&w.mn.post);
		post_close(&w.cn.post);
		end_run(&w.mn);
		end_run(&w.cn);
	}
	big_here();
}

static void test_held(void **state)
{
	json_t *j, *answer;

	(void)state;
	file_put(at("%s/policy", w.cn.state), "# nobody\n", 9);
	who_load_policy(&w.cn.post.who);
	send_big(1000);
	j = await(&w.cn, "inbox", "held");
	assert_string_equal(text(j, "error"), "POLICY");
	answer = ask(&w.cn, json_pack("{s:s, s:O}", "cmd", "fetch", "id",
				      json_object_get(j, "id")));
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	json_decref(j);
	big_here();
}

/* The newest of the inbox is dropped, and stays away over a restart. @error: what its
 * sender is told, as @state */
static void drop(const char *state, const char *error)
{
	json_t *j = newest(&w.cn, "inbox"), *to;
	json_t *id = json_object_get(j, "id"), *answer;
	char folder[512];

	snprintf(folder, sizeof(folder), "%s", text(j, "folder"));
	answer = ask(&w.cn, json_pack("{s:s, s:O}", "cmd", "drop", "id", id));
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_null(json_object_get(answer, "told"));
	json_decref(answer);
	assert_null(newest(&w.cn, "inbox"));
	answer = ask(&w.cn, json_pack("{s:s, s:O}", "cmd", "drop", "id", id));
	assert_string_equal(text(answer, "error"), "NOTFOUND");
	json_decref(answer);
	json_decref(j);
	post_close(&w.cn.post);
	end_run(&w.cn);
	assert_null(newest(&w.cn, "inbox"));
	if (*folder)
		assert_int_not_equal(access(folder, F_OK), 0);
	outbox_is("done", state);
	j = newest(&w.mn, "outbox");
	to = json_array_get(json_object_get(j, "to"), 0);
	assert_string_equal(text(to, "error"), error);
	json_decref(j);
}

/* What a person does not want: held, here, refused, or not yet whole at the server */
static void test_drop(void **state)
{
	(void)state;
	send_big(1000);
	json_decref(await(&w.cn, "inbox", "here"));
	drop("received", "");
	(void)fault("{\"flip\": true}");
	send_big(1000);
	json_decref(await(&w.cn, "inbox", "refused"));
	drop("refused", "AUTH");
	(void)fault("{\"early\": true, \"hold\": 65536}");
	send_big(200000);
	json_decref(await(&w.cn, "inbox", "announced"));
	(void)fault("{\"early\": false, \"hold\": null}");
	drop("refused", "DECLINED");
	file_put(at("%s/policy", w.cn.state), "# nobody\n", 9);
	who_load_policy(&w.cn.post.who);
	send_big(1000);
	json_decref(await(&w.cn, "inbox", "held"));
	drop("refused", "DECLINED");
	/* another one comes as ever */
	send_big(1000);
	json_decref(await(&w.cn, "inbox", "held"));
}

/* A server that changes the blob: refused, and the sender sees it. */
static void test_forged(void **state)
{
	struct stat st;
	json_t *j;

	(void)state;
	(void)fault("{\"flip\": true}");
	send_big(1000);
	j = await(&w.cn, "inbox", "refused");
	assert_string_equal(text(j, "error"), "AUTH");
	assert_int_not_equal(stat(at("%s/post/in.1", w.cn.state), &st), 0);
	json_decref(j);
	outbox_is("done", "refused");
}

/* The inbox as rows says what it says as objects. */
static void rows_are_items(void)
{
	static const char *const names[] = {"id",      "from", "title",
					    "message", "size", "state"};
	json_t *a = ask(&w.cn, json_pack("{s:s}", "cmd", "inbox"));
	json_t *b =
		ask(&w.cn, json_pack("{s:s, s:b}", "cmd", "inbox", "brief", 1));
	json_t *items = json_object_get(a, "items"), *item;
	json_t *rows = json_object_get(b, "rows"), *row;
	size_t i, k;

	assert_true(json_is_true(json_object_get(b, "logged_in")));
	assert_int_equal(json_array_size(rows), json_array_size(items));
	json_array_foreach(rows, i, row)
	{
		item = json_array_get(items, i);
		for (k = 0; k < 6; k++)
			assert_true(
				json_equal(json_array_get(row, k),
					   json_object_get(item, names[k])));
		assert_string_equal(json_string_value(json_array_get(row, 6)),
				    text(item, "text"));
		assert_string_equal(json_string_value(json_array_get(row, 7)),
				    text(item, "application"));
	}
	json_decref(a);
	json_decref(b);
	b = ask(&w.cn, json_pack("{s:s, s:b, s:i}", "cmd", "inbox", "brief", 1,
				 "after", (int)i));
	assert_int_equal(json_array_size(json_object_get(b, "rows")), 0);
	json_decref(b);
}

static void test_cancel(void **state)
{
	json_t *answer;
	json_int_t id;

	(void)state;
	file_put(at("%s/policy", w.cn.state), "# nobody\n", 9);
	who_load_policy(&w.cn.post.who);
	send_big(1000);
	json_decref(await(&w.cn, "inbox", "held"));
	rows_are_items();
	id = 1;
	answer = ask(&w.mn, json_pack("{s:s, s:I}", "cmd", "cancel", "id", id));
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	outbox_is("cancelled", NULL);
	while ((answer = newest(&w.cn, "inbox"))) {
		uint64_t next = 0;

		json_decref(answer);
		/* what is gone is no news */
		inbox_whole(w.cn.post.inbox);
		turn(&next);
	}
}

static void test_nobody(void **state)
{
	json_t *j;

	(void)state;
	send_item(json_pack("{s:s, s:[s]}", "text", "hi", "to",
			    "nobody.example.org"));
	j = await(&w.mn, "outbox", "failed");
	assert_string_equal(text(j, "error"), "NONAME");
	json_decref(j);
}

/* The receiver's key is not the one that was pinned. */
static void test_other_key(void **state)
{
	int64_t sent;
	json_t *j;

	(void)state;
	send_item(json_pack("{s:s}", "text", "one"));
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
	sent = post_now(&w.mn.post);
	post_close(&w.cn.post);
	end_session(&w.cn); /* as after the device was made anew */
	unlink(at("%s/post/post.db", w.cn.state));
	unlink(at("%s/post/post.db-wal", w.cn.state));
	unlink(at("%s/post/post.db-shm", w.cn.state));
	end_run(&w.cn);
	while (prekeys_busy(w.cn.post.prekeys))
		assert_int_equal(loop_turn(w.loop, true), 0);
	/* what the sender was told of prekeys holds no longer: by its clock */
	while (post_now(&w.mn.post) < sent + RECENT_S)
		(void)!usleep(10000);
	send_item(json_pack("{s:s}", "text", "two"));
	j = await(&w.mn, "outbox", "failed");
	assert_string_equal(
		text(json_array_get(json_object_get(j, "to"), 0), "error"),
		"PIN");
	json_decref(j);
}

/* the worker of CN has met MN, under the key that it has now */
static void worker_meets(bool verified)
{
	Ntm__State__KnownPeer peer = NTM__STATE__KNOWN_PEER__INIT, *one = &peer;
	Ntm__State__Known k = NTM__STATE__KNOWN__INIT;
	uint8_t fp[NTMC_FP_LEN];

	ntmc_fingerprint(w.mn.post.who.id->ed_pub, fp);
	peer.fqdn = (char *)MN;
	peer.fingerprint = (ProtobufCBinaryData){sizeof(fp), fp};
	peer.verified = verified;
	k.n_peers = 1;
	k.peers = &one;
	assert_int_equal(statefile_save(w.cn.state, "known", &k.base), 0);
	who_load_known(&w.cn.post.who);
}

/* Another key of a sender whose items came before: that the worker met it by a tunnel
 * since, for the first time, makes it no better; that the person has compared does. */
static void test_met_late(void **state)
{
	json_t *j;

	(void)state;
	send_item(json_pack("{s:s}", "text", "one"));
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
	worker_meets(false);
	send_item(json_pack("{s:s}", "text", "still one"));
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
	post_close(&w.mn.post);
	end_session(&w.mn);
	end_run(&w.mn);
	worker_meets(false);
	send_item(json_pack("{s:s}", "text", "two"));
	j = await(&w.cn, "inbox", "held");
	assert_string_equal(text(j, "error"), "PIN");
	worker_meets(true);
	json_decref(ask(&w.cn, json_pack("{s:s, s:O}", "cmd", "fetch", "id",
					 json_object_get(j, "id"))));
	json_decref(j);
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
}

static void test_changed(void **state)
{
	json_t *j;

	(void)state;
	send_big(300000);
	file_fill(at("%s/big", w.dir), 300000, 10);
	j = await(&w.mn, "outbox", "failed");
	assert_string_equal(text(j, "error"), "CHANGED");
	json_decref(j);
}

/* from `send` to the last word, at both ends */
static void many_done(size_t n)
{
	json_t *items = NULL, *list;
	size_t done = 0, i;
	uint64_t next = 0, look = 0, now,
		 end = loop_now_exact(w.loop) + LOOP_S(WAIT_S);

	for (i = 0; i < n; i++)
		send_item(json_pack("{s:s}", "text", "small"));
	while (done < n && (now = loop_now_exact(w.loop)) < end) {
		turn(&next);
		if (now < look)
			continue;
		look = now + LOOP_MS(50);
		json_decref(items);
		items = ask(&w.mn, json_pack("{s:s}", "cmd", "outbox"));
		list = json_object_get(items, "items");
		for (done = 0; done < n; done++)
			if (strcmp(text(json_array_get(list, done), "state"),
				   "done"))
				break;
	}
	json_decref(items);
	assert_int_equal(done, n);
}

/* Items that are sent together share what the disk and the servers do for them. What
 * is counted does not depend on how fast the machine is. */
static void test_many(void **state)
{
	unsigned int n = 40, syncs, requests;

	(void)state;
	syncs = __atomic_load_n(&n_synced, __ATOMIC_RELAXED);
	requests = (unsigned int)servers_count("{}", "requests");
	many_done(n);
	syncs = __atomic_load_n(&n_synced, __ATOMIC_RELAXED) - syncs;
	requests = (unsigned int)servers_count("{}", "requests") - requests;
	print_message("%u items: %u syncs, %u requests\n", n, syncs, requests);
	assert_in_range(syncs, 1, 4 * n);
	assert_in_range(requests, 1, 3 * n);
	/* each has an entry here, and one there when it was confirmed: of the lists
	 * only what is new is read */
	assert_in_range(servers_count("{}", "given"), 2 * n, 3 * n);
	rows_are_items();
}

/* A server that knows no batch is asked one by one. */
static void test_no_batch(void **state)
{
	(void)state;
	(void)fault("{\"no_batch\": true}");
	many_done(10);
	assert_int_equal(servers_count("{}", "parts"), 0);
}

/* So is one whose answers are not those of a batch. */
static void test_odd_batch(void **state)
{
	(void)state;
	(void)fault("{\"odd_batch\": true}");
	many_done(10);
	assert_int_equal(servers_count("{}", "parts"), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, ends_open, ends_close)
	const struct CMUnitTest tests[] = {
		TEST(test_text),	  TEST(test_title),
		TEST(test_big),		  TEST(test_cut),
		TEST(test_servers_ill),	  TEST(test_restart),
		TEST(test_held),	  TEST(test_forged),
		TEST(test_drop),	  TEST(test_cancel),
		TEST(test_nobody),	  TEST(test_other_key),
		TEST(test_met_late),	  TEST(test_changed),
		TEST(test_many),	  TEST(test_no_batch),
		TEST(test_odd_batch),	  TEST(test_small),
		TEST(test_small_restart),
	};

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	if (getenv("NTM_TEST_ONLY"))
		cmocka_set_test_filter(getenv("NTM_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
