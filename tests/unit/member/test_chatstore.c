/* SPDX-License-Identifier: MIT */
/* test_chatstore - words of members as JSON, and what is kept of them */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/member/chatstore.h"
#include "common/store.h"

static struct chatstore *s;
static struct ntmc_identity id, other;
static char dir[32], path[64];
static const uint8_t group[GROUP_ID_LEN] = "group", next[GROUP_ID_LEN] = "next";

static void open_as(const struct ntmc_identity *who)
{
	chatstore_close(s);
	s = NULL;
	assert_int_equal(chatstore_open(path, NULL, who, &s), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/chatstore.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/chat.db", dir);
	ntmc_identity_new(NULL, &id);
	ntmc_identity_new(NULL, &other);
	open_as(&id);
	return 0;
}

static int teardown(void **state)
{
	static const char *const end[] = {"", "-wal", "-shm"};
	char name[80];

	(void)state;
	chatstore_close(s);
	s = NULL;
	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, end[i]);
		unlink(name);
	}
	rmdir(dir);
	return 0;
}

static struct chatword word(uint8_t number, const char *text)
{
	struct chatword w = {.epoch = 7, .clock = 100 + number, .time = 1234};

	memcpy(w.group, group, sizeof(group));
	memset(w.id, number, sizeof(w.id));
	strcpy(w.text, text);
	return w;
}

static int64_t add(uint8_t number, uint32_t index, enum chat_state state,
		   const char *text)
{
	struct chat_line *l = chat_line_new();
	int64_t n;

	assert_non_null(l);
	l->w = word(number, text);
	l->index = index;
	l->state = state;
	strcpy(l->from, "desk.alice.example");
	n = chatstore_add(s, l);
	if (!n)
		n = l->n;
	chat_line_free(l);
	return n;
}

static struct chat_line *get(int64_t after, enum chat_state state)
{
	struct chat_line *l;
	int64_t n;

	return chatstore_next(s, group, after, state, &n, &l) ? NULL : l;
}

/* --- JSON ----------------------------------------------------------------------------- */

static void word_comes_back(void **state)
{
	struct chatword w = word(1, "Gr\xc3\xbc\xc3\x9f"
				    "e,\nzwei \"Zeilen\" \x01"),
			got;
	char *text;

	(void)state;
	text = chatword_put(&w);
	assert_non_null(text);
	assert_int_equal(chatword_get(text, strlen(text), &got), 0);
	assert_memory_equal(&w, &got, sizeof(w));
	/* nothing that is cut is one */
	for (size_t i = 0; i < strlen(text); i++)
		assert_int_equal(chatword_get(text, i, &got), -NTM_EDECODE);
	free(text);
	w.kind = CHAT_FILE;
	w.size = CHAT_CLOCK_MAX;
	text = chatword_put(&w);
	assert_int_equal(chatword_get(text, strlen(text), &got), 0);
	assert_memory_equal(&w, &got, sizeof(w));
	free(text);
}

static int changed(const char *key, json_t *value)
{
	struct chatword w = word(1, "hello"), got;
	char *text = chatword_put(&w);
	json_t *j = json_loads(text, 0, NULL);
	int r;

	free(text);
	if (value)
		json_object_set_new(j, key, value);
	else
		json_object_del(j, key);
	text = json_dumps(j, 0);
	memset(&got, 0x55, sizeof(got));
	w = got;
	r = chatword_get(text, strlen(text), &got);
	if (r)
		assert_memory_equal(&w, &got, sizeof(w));
	free(text);
	json_decref(j);
	return r;
}

static void word_is_checked(void **state)
{
	static const char *const keys[] = {"v",	    "group", "id",
					   "epoch", "clock", "time",
					   "kind",  "text",  "size"};
	char *longest = malloc(CHAT_TEXT_MAX + 2);

	(void)state;
	for (size_t i = 0; i < 9; i++) {
		assert_int_equal(changed(keys[i], NULL), -NTM_EDECODE);
		assert_int_equal(changed(keys[i], json_null()), -NTM_EDECODE);
		assert_int_equal(changed(keys[i], json_array()), -NTM_EDECODE);
	}
	assert_int_equal(changed("more", json_true()), -NTM_EDECODE);
	assert_int_equal(changed("v", json_integer(2)), -NTM_EDECODE);
	assert_int_equal(changed("text", json_string("")), -NTM_EDECODE);
	assert_int_equal(changed("text", json_stringn("a\0b", 3)),
			 -NTM_EDECODE);
	assert_int_equal(changed("kind", json_string("fool")), -NTM_EDECODE);
	assert_int_equal(changed("size", json_integer(1)), -NTM_EDECODE);
	assert_int_equal(changed("id", json_string("AAAA")), -NTM_EDECODE);
	assert_int_equal(changed("clock", json_integer(-1)), -NTM_EDECODE);
	assert_int_equal(changed("clock", json_integer(CHAT_CLOCK_MAX)), 0);
	assert_int_equal(changed("clock", json_integer(CHAT_CLOCK_MAX + 1)),
			 -NTM_EDECODE);
	memset(longest, 'x', CHAT_TEXT_MAX + 1);
	longest[CHAT_TEXT_MAX + 1] = '\0';
	assert_false(chat_text_ok(longest));
	assert_int_equal(changed("text", json_string(longest)), -NTM_EDECODE);
	longest[CHAT_TEXT_MAX] = '\0';
	assert_true(chat_text_ok(longest));
	assert_int_equal(changed("text", json_string(longest)), 0);
	free(longest);
	assert_false(chat_text_ok(""));
	assert_false(chat_text_ok("\xff"));
}

static void marks_come_back(void **state)
{
	struct chatmarks m = {.n = CHAT_MARKS_MAX}, got;
	char *text;

	(void)state;
	memset(m.id, 0x42, sizeof(m.id));
	text = chatmarks_put(&m);
	assert_int_equal(chatmarks_get(text, strlen(text), &got), 0);
	assert_memory_equal(&m, &got, sizeof(m));
	for (size_t i = 0; i < strlen(text); i++)
		assert_int_equal(chatmarks_get(text, i, &got), -NTM_EDECODE);
	free(text);
	m.n = 0; /* a mark of nothing */
	text = chatmarks_put(&m);
	assert_int_equal(chatmarks_get(text, strlen(text), &got), -NTM_EDECODE);
	free(text);
}

/* --- the store ---------------------------------------------------------------------------- */

static void line_comes_back(void **state)
{
	struct chat_line *l = chat_line_new(), *got;
	int64_t n;

	(void)state;
	l->w = word(3, "a file.pdf");
	l->w.kind = CHAT_FILE;
	l->w.size = 99;
	l->state = CHAT_WAITS;
	l->index = 4;
	l->limit = 9;
	strcpy(l->from, "desk.alice.example");
	l->file = strdup("/home/alice/a file.pdf");
	assert_int_equal(chatstore_add(s, l), 0);
	l->state = CHAT_FAILED;
	l->to = 3;
	l->why = strdup("no such file");
	assert_int_equal(chatstore_change(s, l), 0);
	open_as(&id);
	got = get(0, 0);
	assert_non_null(got);
	assert_memory_equal(&got->w, &l->w, sizeof(l->w));
	assert_string_equal(got->file, l->file);
	assert_string_equal(got->why, l->why);
	assert_string_equal(got->from, l->from);
	assert_int_equal(got->state, CHAT_FAILED);
	assert_int_equal(got->index, 4);
	assert_int_equal(got->limit, 9);
	assert_int_equal(got->to, 3);
	chat_line_free(got);
	chat_line_free(l);
	/* of no other group, and of nobody else */
	assert_int_equal(chatstore_next(s, next, 0, 0, &n, &got),
			 -NTM_ENOTFOUND);
	open_as(&other);
	assert_int_equal(chatstore_next(s, group, 0, 0, &n, &got), -NTM_EAUTH);
}

/* nothing of what was said is in the file */
static void file_is_sealed(void **state)
{
	static char b[1 << 20];
	static const char *const end[] = {"", "-wal"};
	char name[80];

	(void)state;
	add(1, 1, CHAT_NEW, "the-words-themselves");
	for (size_t i = 0; i < 2; i++) {
		ssize_t n;
		int fd;

		snprintf(name, sizeof(name), "%s%s", path, end[i]);
		fd = open(name, O_RDONLY);
		n = fd < 0 ? 0 : read(fd, b, sizeof(b));
		if (fd >= 0)
			close(fd);
		assert_true(n < (ssize_t)sizeof(b));
		assert_null(n > 0 ? memmem(b, (size_t)n, "themselves", 10)
				  : NULL);
		assert_null(n > 0 ? memmem(b, (size_t)n, "alice", 5) : NULL);
	}
}

/* who can write the file cannot give a message to another author */
static void row_is_bound(void **state)
{
	static const char *const schema[] = {"SELECT 1", "SELECT 1"};
	static const char *const moves[] = {
		"UPDATE line SET author = 2", "UPDATE line SET clock = 7",
		"UPDATE line SET id = zeroblob(16)"};
	struct chat_line *l;
	struct store *raw;
	int64_t n;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(chatstore_drop(s, group), 0);
		assert_true(add(1, 1, CHAT_NEW, "one") > 0);
		chatstore_close(s);
		s = NULL;
		assert_int_equal(
			store_open(path, schema, 2, &moves[i], 1, &raw), 0);
		assert_int_equal(store_run(raw, 0), 0);
		store_close(raw);
		open_as(&id);
		assert_int_equal(chatstore_next(s, group, 0, 0, &n, &l),
				 -NTM_EAUTH);
	}
}

static void once_alone(void **state)
{
	(void)state;
	assert_int_equal(add(1, 1, CHAT_NEW, "one"), 1);
	assert_int_equal(add(1, 1, CHAT_NEW, "another"), -NTM_EEXISTS);
	/* nobody takes another's place */
	assert_int_equal(add(1, 2, CHAT_NEW, "of somebody else"), 2);
}

static void what_is_new(void **state)
{
	struct chat_line *l;

	(void)state;
	add(1, 1, CHAT_NEW, "one");
	add(2, 0, CHAT_SENT, "ours");
	add(3, 1, CHAT_NEW, "two");
	add(4, 1, CHAT_NEW, "three");
	assert_int_equal(chatstore_count(s, group, CHAT_NEW), 3);
	assert_int_equal(chatstore_clock(s, group), 104);
	assert_int_equal(chatstore_clock(s, next), 0);
	assert_int_equal(chatstore_shown(s, group, 3, CHAT_SHOWN), 2);
	assert_int_equal(chatstore_shown(s, group, 3, CHAT_SHOWN), 0);
	l = get(0, CHAT_NEW);
	assert_string_equal(l->w.text, "three");
	chat_line_free(l);
	l = get(1, CHAT_SHOWN);
	assert_string_equal(l->w.text, "two");
	chat_line_free(l);
	l = get(chatstore_last(s, group, 2), 0);
	assert_string_equal(l->w.text, "two"); /* the last two: two, three */
	chat_line_free(l);
	assert_int_equal(chatstore_last(s, group, 4), 0);
}

static void who_has_read(void **state)
{
	struct chatword w = word(1, "x");
	uint32_t who[CHATSTORE_READS];
	size_t all;

	(void)state;
	add(1, 0, CHAT_SENT, "ours");
	add(2, 1, CHAT_NEW, "of others");
	assert_int_equal(chatstore_read(s, group, w.id, 5), 0);
	assert_int_equal(chatstore_read(s, group, w.id, 5), -NTM_EEXISTS);
	assert_int_equal(chatstore_read(s, group, w.id, 2), 0);
	assert_int_equal(chatstore_readers(s, group, w.id, who, &all), 2);
	assert_int_equal(who[0], 2);
	assert_int_equal(who[1], 5);
	assert_int_equal(chatstore_read(s, next, w.id, 5), -NTM_ENOTFOUND);
	w = word(2, "x"); /* nobody tells us who has read another's */
	assert_int_equal(chatstore_read(s, group, w.id, 5), -NTM_ENOTFOUND);
	assert_int_equal(chatstore_drop(s, group), 0);
	assert_null(get(0, 0));
	w = word(1, "x");
	assert_int_equal(chatstore_readers(s, group, w.id, who, &all), 0);
}

/* more than are named: they count all the same */
static void many_have_read(void **state)
{
	struct chatword w = word(1, "x");
	uint32_t who[CHATSTORE_READS];
	size_t all;

	(void)state;
	add(1, 0, CHAT_SENT, "ours");
	for (uint32_t i = 2000; i > 1900; i--)
		assert_int_equal(chatstore_read(s, group, w.id, i), 0);
	assert_int_equal(chatstore_readers(s, group, w.id, who, &all),
			 CHATSTORE_READS);
	assert_int_equal(all, 100);
	assert_int_equal(who[0], 1901);
	assert_int_equal(who[CHATSTORE_READS - 1], 1900 + CHATSTORE_READS);
}

/* the oldest go, and who has read them */
static void oldest_goes(void **state)
{
	static const char *const schema[] = {"SELECT 1", "SELECT 1"};
	static const char *const fill[] = {
		"WITH RECURSIVE c(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM c"
		" WHERE i < 10111) INSERT INTO line (gid, id, author, clock,"
		" state, body) SELECT gid, randomblob(16), author, clock,"
		" state, body FROM line, c WHERE n = 1"};
	uint32_t who[CHATSTORE_READS];
	struct chatword w = word(1, "x");
	struct store *raw;
	size_t all;

	(void)state;
	assert_int_equal(add(1, 0, CHAT_SENT, "x"), 1);
	assert_int_equal(chatstore_read(s, group, w.id, 5), 0);
	chatstore_close(s);
	s = NULL;
	assert_int_equal(store_open(path, schema, 2, fill, 1, &raw), 0);
	assert_int_equal(store_run(raw, 0), 0);
	store_close(raw);
	open_as(&id);
	assert_int_equal(chatstore_count(s, group, CHAT_SENT), 10111);
	assert_int_equal(chatstore_readers(s, group, w.id, who, &all), 1);
	assert_int_equal(add(2, 0, CHAT_SENT, "y"), 10112); /* 79 * 128 */
	assert_int_equal(chatstore_count(s, group, CHAT_SENT), CHATSTORE_MAX);
	assert_int_equal(chatstore_last(s, group, CHATSTORE_MAX - 1), 113);
	assert_int_equal(chatstore_readers(s, group, w.id, who, &all), 0);
	assert_int_equal(chatstore_read(s, group, w.id, 5), -NTM_ENOTFOUND);
}

/* who gets what later: in order, each once, bounded, and gone with its group */
static void late_ones(void **state)
{
	struct chat_late l = {.n = 7, .index = 3, .since = 5}, at = {.n = 0};

	(void)state;
	memcpy(l.group, group, sizeof(l.group));
	assert_int_equal(chatstore_late_next(s, &at), -NTM_ENOTFOUND);
	assert_int_equal(chatstore_late_put(s, &l), 0);
	l.since = 6;
	assert_int_equal(chatstore_late_put(s, &l), 0);
	l.n = 6;
	assert_int_equal(chatstore_late_put(s, &l), 0);
	assert_int_equal(chatstore_late_count(s, 0), 2);
	assert_int_equal(chatstore_late_count(s, 7), 1);
	assert_int_equal(chatstore_late_next(s, &at), 0);
	assert_true(at.n == 6 && at.index == 3 && at.since == 6);
	assert_int_equal(chatstore_late_next(s, &at), 0);
	assert_true(at.n == 7 && at.index == 3 && at.since == 5);
	assert_memory_equal(at.group, group, sizeof(at.group));
	assert_int_equal(chatstore_late_next(s, &at), -NTM_ENOTFOUND);
	assert_true(chatstore_is_late(s, 7, 3));
	assert_false(chatstore_is_late(s, 7, 4));
	assert_int_equal(chatstore_late_drop(s, 7, 3), 0);
	assert_false(chatstore_is_late(s, 7, 3));
	for (l.index = 0; chatstore_late_count(s, 0) < CHATSTORE_LATE_MAX;
	     l.index++)
		assert_int_equal(chatstore_late_put(s, &l), 0);
	assert_int_equal(chatstore_late_put(s, &l), -NTM_ELIMIT);
	assert_int_equal(chatstore_drop(s, group), 0);
	assert_int_equal(chatstore_late_count(s, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(word_comes_back),
		cmocka_unit_test(word_is_checked),
		cmocka_unit_test(marks_come_back),
		cmocka_unit_test_setup_teardown(line_comes_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(file_is_sealed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(row_is_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(once_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_new, setup, teardown),
		cmocka_unit_test_setup_teardown(many_have_read, setup,
						teardown),
		cmocka_unit_test_setup_teardown(oldest_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(late_ones, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_read, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
