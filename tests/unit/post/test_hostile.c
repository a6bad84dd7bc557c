/* SPDX-License-Identifier: MIT */
/*
 * test_hostile - servers and other receivers that mean harm, and answers that make no
 * sense: what ntm-post makes of them
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/post/inbox.h"
#include "broker/post/outbox.h"
#include "common/file.h"
#include "common/log.h"
#include "libntmcrypto/blob.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

/* --- another receiver, who has K as well
 * --------------------------------------------------------- */

/* The blob of item 1 with the name "big" in its manifest changed, as far as one can
 * make it who has K and no signature. Return: its length; free @out */
static size_t blob_other(uint8_t **out)
{
	uint8_t item[ITEM_ID_LEN], *b;
	struct store *st = w.mn.post.store;
	struct post_ids ids;
	struct blob *blob;
	struct ntmc_key k;
	struct pack *p;
	size_t at_byte = BLOB_HEADER, n;
	uint64_t size;

	store_bind_int(st, OUT_GET, 1, 1);
	assert_int_equal(store_step(st, OUT_GET), 1);
	strcpy(ids.application, store_text(st, OUT_GET, 1));
	strcpy(ids.service, store_text(st, OUT_GET, 2));
	strcpy(ids.item, store_text(st, OUT_GET, 3));
	assert_int_equal(store_blob(st, OUT_GET, 5, k.b, sizeof(k.b)),
			 sizeof(k.b));
	store_reset(st, OUT_GET);
	post_item_id(&ids, item);
	assert_int_equal(pack_open(at("%s/post/out.1", w.mn.state), &p), 0);
	size = blob_size(pack_len(p));
	b = malloc(size);
	assert_non_null(b);
	assert_int_equal(blob_seal_new(ntmc_aead_preferred(), &k, item,
				       pack_len(p), &blob),
			 0);
	blob_header(blob, b);
	while ((n = blob_next(blob))) {
		assert_int_equal(
			pack_read(p, blob_payload_at(blob), b + at_byte, n), 0);
		if (at_byte == BLOB_HEADER)
			memcpy(memmem(b + at_byte, n, "big", 3), "bad", 3);
		assert_int_equal(blob_seal_chunk(blob, b + at_byte, n), 0);
		at_byte += n + NTMC_TAG_LEN;
	}
	memset(b + at_byte, 0, size - at_byte);
	blob_free(blob);
	pack_close(p);
	*out = b;
	return size;
}

/* Its blob breaks off and makes no sense then; the one that is verified after it has
 * none of its files. */
static void test_other_files(void **state)
{
	struct stat st;
	uint8_t *b;
	size_t n;
	json_t *j;

	(void)state;
	file_put(at("%s/policy", w.cn.state), "# nobody\n", 9);
	who_load_policy(&w.cn.post.who);
	send_big(300000);
	json_decref(await(&w.cn, "inbox", "held"));
	n = blob_other(&b);
	file_put(at("%s/other", w.dir), b, n);
	free(b);
	(void)fault(at("{\"instead\": [[\"%s/other\", 200000], "
		       "[\"%s/big\", 70000]]}",
		       w.dir, w.dir));
	j = ask(&w.cn, json_pack("{s:s, s:i}", "cmd", "fetch", "id", 1));
	json_decref(j);
	j = await(&w.cn, "inbox", "here");
	assert_int_equal(stat(at("%s/tree/big", text(j, "folder")), &st), 0);
	assert_int_not_equal(stat(at("%s/tree/bad", text(j, "folder")), &st),
			     0);
	json_decref(j);
	big_here();
}

/* --- what is kept
 * ---------------------------------------------------------------------------------- */

/* Is it in any file of the end's folder? */
static bool on_disk(struct end *e, const void *what, size_t len)
{
	char folder[256];
	struct dirent *d;
	bool found = false;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/post", e->state);
	dir = opendir(folder);
	assert_non_null(dir);
	while ((d = readdir(dir))) {
		uint8_t *b;
		size_t n;

		if (d->d_type != DT_REG ||
		    file_read(at("%s/%s", folder, d->d_name), 1 << 24, &b, &n))
			continue;
		found = found || memmem(b, n, what, len);
		file_free(b, n);
	}
	closedir(dir);
	return found;
}

static void blob_of(struct end *e, enum post_statement st, int column,
		    uint8_t out[static 32])
{
	store_bind_int(e->post.store, st, 1, 1);
	assert_int_equal(store_step(e->post.store, st), 1);
	assert_int_equal(store_blob(e->post.store, st, column, out, 32), 32);
	store_reset(e->post.store, st);
}

/* When it is here, and when it is sent, nothing opens the blob any more: neither end
 * has K, and the sender no temporal key. */
static void test_keys_go(void **state)
{
	uint8_t k[32], t[32];
	json_t *j;

	(void)state;
	file_put(at("%s/policy", w.cn.state), "# nobody\n", 9);
	who_load_policy(&w.cn.post.who);
	send_item(json_pack("{s:s}", "text", "one"));
	json_decref(await(&w.cn, "inbox", "held"));
	blob_of(&w.mn, OUT_GET, 5, k);
	blob_of(&w.mn, TO_LIST, 2, t);
	assert_true(on_disk(&w.mn, k, 32));
	assert_true(on_disk(&w.mn, t, 32));
	j = ask(&w.cn, json_pack("{s:s, s:i}", "cmd", "fetch", "id", 1));
	json_decref(j);
	json_decref(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
	post_close(&w.mn.post);
	post_close(&w.cn.post);
	assert_false(on_disk(&w.mn, k, 32));
	assert_false(on_disk(&w.mn, t, 32));
	assert_false(on_disk(&w.cn, k, 32));
	end_run(&w.mn);
	end_run(&w.cn);
}

/* --- the same again, and another under the same name
 * ----------------------------------------------- */

static json_t *order(const char *what)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "text", what, "application",
			 "app", "service", "status", "item", "1");
}

static void is_text(json_t *item, const char *what)
{
	char got[64] = "";
	FILE *f = fopen(at("%s/tree/text", text(item, "folder")), "r");

	assert_non_null(f);
	assert_non_null(fgets(got, sizeof(got), f));
	fclose(f);
	assert_string_equal(got, what);
}

/* The sender's store is new, and its CS has forgotten the first one. */
static void send_anew(const char *what)
{
	post_close(&w.mn.post);
	unlink(at("%s/post/post.db", w.mn.state));
	end_run(&w.mn);
	(void)fault("{\"forget\": true}");
	send_item(order(what));
}

/* Until nothing is listed any more. */
static void await_off_list(void)
{
	uint64_t next = 0, end = loop_now_exact(w.loop) + LOOP_S(20);

	while (servers_count("{}", "listed")) {
		assert_true(loop_now_exact(w.loop) < end);
		turn(&next);
	}
}

static void test_anew(void **state)
{
	json_t *j;

	(void)state;
	send_item(order("one"));
	j = await(&w.cn, "inbox", "here");
	is_text(j, "one");
	taken(j);
	outbox_is("done", "received");
	send_anew("two");
	j = await(&w.cn, "inbox", "here");
	is_text(j, "two");
	outbox_is("done", "received");
	/* a third one waits until the person has taken the second */
	send_anew("three");
	outbox_is("waiting", NULL);
	json_decref(await(&w.cn, "inbox", "here"));
	is_text(j, "two");
	taken(j);
	j = await(&w.cn, "inbox", "here");
	is_text(j, "three");
	outbox_is("done", "received");
	taken(j);
}

/* A box that lists what was taken, also when its row is gone: nobody gets it twice, and
 * no number is used up. */
static void test_replay(void **state)
{
	json_t *j;
	int i;

	(void)state;
	send_item(order("one"));
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
	await_off_list();
	for (i = 0; i < 3; i++) {
		(void)fault("{\"relist\": true}");
		await_off_list();
		assert_null(newest(&w.cn, "inbox"));
	}
	send_item(json_pack("{s:s}", "text", "two"));
	j = await(&w.cn, "inbox", "here");
	assert_int_equal(json_integer_value(json_object_get(j, "id")), 2);
	json_decref(j);
}

/* A key is told before its data: of an item that was taken, too, it stays listed. */
static void test_announced(void **state)
{
	uint64_t next = 0;
	json_int_t lists;

	(void)state;
	send_item(order("one"));
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
	await_off_list();
	lists = servers_count("{\"announce\": true}", "lists");
	while (servers_count("{}", "lists") < lists + 10)
		turn(&next);
	assert_int_equal(servers_count("{}", "listed"), 1);
	assert_null(newest(&w.cn, "inbox"));
}

/* Of a domain that nobody knows here no server can be told that the person does not want
 * it: who drops it is told so, it goes off the list all the same, and stays away. Its
 * sender sees that it waits, and at the end of its time that nobody fetched it. */
static void test_dropped_unknown(void **state)
{
	json_t *j;

	(void)state;
	(void)fault("{\"cs\": \"cs.nowhere.example.net\"}");
	send_item(json_pack("{s:s}", "text", "one"));
	j = await(&w.cn, "inbox", "held");
	assert_string_equal(text(j, "error"), "CERT");
	json_decref(j);
	assert_int_equal(servers_count("{}", "listed"), 1);
	j = ask(&w.cn, json_pack("{s:s, s:i}", "cmd", "drop", "id", 1));
	assert_true(json_is_true(json_object_get(j, "ok")));
	assert_true(json_is_false(json_object_get(j, "told")));
	json_decref(j);
	await_off_list();
	assert_null(newest(&w.cn, "inbox"));
	outbox_is("waiting", NULL);
	clock_set(&w.mn, 31 * DAY + 600);
	outbox_tidy(w.mn.post.outbox);
	j = await(&w.mn, "outbox", "done");
	assert_string_equal(
		text(j, "text"),
		"not everybody fetched it before its time was over");
	json_decref(j);
	outbox_is("done", "failed");
}

/* --- names
 * -------------------------------------------------------------------------------------- */

/* Names that are no UTF-8: what is left out, and what cannot be sent, is said. */
static void test_names(void **state)
{
	json_t *j, *what;

	(void)state;
	mkdir(at("%s/odd", w.dir), 0700);
	mkfifo(at("%s/odd/\xe4", w.dir), 0600);
	file_fill(at("%s/odd/file", w.dir), 10, 1);
	what = json_pack("{s:s, s:[s], s:[s]}", "cmd", "send", "to", CN,
			 "files", at("%s/odd", w.dir));
	j = ask(&w.mn, json_incref(what));
	assert_true(json_is_true(json_object_get(j, "ok")));
	assert_int_equal(json_integer_value(json_object_get(j, "left_out")), 1);
	assert_non_null(strstr(text(j, "first_left_out"), "/odd/?"));
	json_decref(j);
	file_fill(at("%s/odd/b\xe4", w.dir), 10, 1);
	j = ask(&w.mn, what);
	assert_string_equal(text(j, "error"), "INVAL");
	assert_non_null(strstr(text(j, "text"), "/odd/b?: it has a name"));
	json_decref(j);
}

/* --- answers without sense
 * ------------------------------------------------------------------------ */

/* A list without an end is not read for ever. */
static void test_endless(void **state)
{
	uint64_t next = 0, end;
	json_int_t lists;

	(void)state;
	send_item(order("one"));
	taken(await(&w.cn, "inbox", "here"));
	lists = servers_count("{\"endless\": true}", "lists");
	end = loop_now_exact(w.loop) + LOOP_S(1);
	while (loop_now_exact(w.loop) < end)
		turn(&next);
	/* ten times a second, and once more, of two ends */
	assert_in_range(servers_count("{\"endless\": false}", "lists"),
			lists + 1, lists + 60);
	outbox_is("done", "received");
}

/* A Cache Server that does not say what became of an item is asked again. */
static void test_deaf(void **state)
{
	(void)state;
	send_item(order("one"));
	json_decref(await(&w.cn, "inbox", "here"));
	(void)fault("{\"deaf\": 2}");
	while (!inbox_busy(w.mn.post.inbox))
		inbox_sync(w.mn.post.inbox);
	/* no notice tells it again */
	while (inbox_busy(w.mn.post.inbox))
		assert_int_equal(loop_turn(w.loop, true), 0);
	outbox_is("done", "received");
}

/* A box that answers without a word on the receivers is not asked at once again. */
static void test_empty(void **state)
{
	(void)state;
	(void)fault("{\"empty\": 1000}");
	send_item(order("one"));
	outbox_is("sending", NULL);
	assert_in_range(servers_count("{\"empty\": 0}", "temporal"), 0, 2);
	json_decref(await(&w.cn, "inbox", "here"));
}

/* An answer longer than any can be is not read. */
static void test_huge(void **state)
{
	uint64_t next = 0;
	bool said;
	json_t *j;

	(void)state;
	(void)fault("{\"huge\": true}");
	send_item(order("one"));
	do {
		turn(&next);
		j = newest(&w.mn, "outbox");
		said = strcmp(text(j, "error"), "") != 0;
		if (said)
			assert_string_equal(text(j, "error"), "TOOBIG");
		json_decref(j);
	} while (!said);
	json_decref(await(&w.cn, "inbox", "here"));
}

/* A disk that is full: what became of a try cannot be written, and it is not made over
 * and over for that. */
static void test_full(void **state)
{
	struct rlimit none = {0, RLIM_INFINITY}, all;
	uint64_t next = 0, end;
	json_int_t asked;

	(void)state;
	(void)fault("{\"no_prekeys\": true}");
	send_item(order("one"));
	asked = servers_count("{}", "prekeys");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
	none.rlim_max = all.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	end = loop_now_exact(w.loop) + LOOP_S(4); /* 2 s and more until a try */
	while (loop_now_exact(w.loop) < end)
		turn(&next);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	assert_in_range(servers_count("{\"no_prekeys\": false}", "prekeys"),
			asked, asked + 3);
	w.mn.post.rest_ns = w.cn.post.rest_ns = 0; /* the minute is over */
	outbox_work(w.mn.post.outbox);
	json_decref(await(&w.cn, "inbox", "here"));
}

static void never(void *arg, const struct web_answer *a)
{
	(void)arg, (void)a;
	fail();
}

/* Our token is not told to servers of others, whoever names them. */
static void test_token(void **state)
{
	struct web_server s = {.name = "cs.other.example"};
	struct post_ask a = {.server = &s, .method = "GET", .path = "/"};
	struct web_call *call;

	(void)state;
	assert_int_equal(post_ask(&w.mn.post, &a, never, NULL, &call),
			 -NTM_EPERM);
	strcpy(s.name, "cs.mn.example.org");
	assert_int_equal(post_ask(&w.mn.post, &a, never, NULL, &call),
			 -NTM_EPERM);
}

/* A Cache Server that an item never went to has nothing to say of it, whatever entry of
 * the box names it; and one that it was taken away from does not bring it back. */
static void test_stranger(void **state)
{
	struct store *st = w.mn.post.store;
	uint64_t next = 0;
	json_int_t keys;
	json_t *cs, *row;
	char *text;

	(void)state;
	nobody_sends();
	send_item(json_pack("{s:s}", "text", "one"));
	outbox_is("waiting", "waiting");
	keys = servers_count("{\"lost\": true, \"stranger\": true, "
			     "\"news\": true}",
			     "temporal");
	while (servers_count("{}", "listed") > 1)
		turn(&next);
	assert_int_equal(servers_count("{}", "temporal"), keys);
	outbox_is("waiting", "waiting");

	(void)fault("{\"stranger\": false, \"news\": true}");
	while (servers_count("{}", "temporal") == keys)
		turn(&next);
	(void)fault("{\"lost\": false}");
	outbox_is("waiting", "waiting");

	keys = servers_count("{}", "temporal");
	store_bind_int(st, OUT_GET, 1, 1);
	assert_int_equal(store_step(st, OUT_GET), 1);
	cs = json_loads(store_text(st, OUT_GET, 19), 0, NULL);
	store_reset(st, OUT_GET);
	row = json_pack("{s:s, s:O, s:[O]}", "name", "other.example.org",
			"addresses", json_object_get(cs, "addresses"), "left",
			cs);
	text = json_dumps(row, JSON_COMPACT);
	store_bind_int(st, OUT_CS, 1, 1);
	store_bind_text(st, OUT_CS, 2, text);
	assert_int_equal(store_run(st, OUT_CS), 0);
	free(text);
	json_decref(row);
	json_decref(cs);
	(void)fault("{\"lost\": true, \"news\": true}");
	while (servers_count("{}", "listed") > 1)
		turn(&next);
	assert_int_equal(servers_count("{}", "temporal"), keys);
	outbox_is("waiting", "waiting");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, ends_open, ends_close)
	const struct CMUnitTest tests[] = {
		TEST(test_other_files), TEST(test_keys_go),
		TEST(test_anew),	TEST(test_replay),
		TEST(test_announced),	TEST(test_dropped_unknown),
		TEST(test_endless),	TEST(test_names),
		TEST(test_deaf),	TEST(test_empty),
		TEST(test_huge),	TEST(test_full),
		TEST(test_token),	TEST(test_stranger),
	};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
