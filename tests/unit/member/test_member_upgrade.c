/* SPDX-License-Identifier: MIT */
/*
 * test_member_upgrade - a member's stores, groups and messages, that an older version has
 * filled; what later steps have made is taken back from the ones they lie in
 */
#include <stdlib.h>
#include <string.h>

#include "broker/member/chatstore.h"
#include "broker/member/memberstore.h"
#include "broker/member/memberstore_impl.h"
#include "tests/unit/common/oldstore.h"
#include "tests/unit/libntmcrypto/groups.h"

static const char *const group_pins[] = {"7d7acc90f59e3e25",
					 "c91a8409a9475c9a",
					 "923c9c8eb3bb3fd5",
					 "56e8db3c9146d9f4",
					 "b1370790bfc6529c",
					 "a206d44dabf3619b",
					 NULL};
static const char *const chat_pins[] = {"041d3d81bbf0f158", "e79579f6e81f06c4",
					NULL};

static struct circle c;
static struct memberstore *s;
static struct chatstore *chat;

static void steps_stand(void **state)
{
	const char *const *schema;
	size_t n;

	(void)state;
	schema = memberstore_schema(&n);
	oldstore_pinned(schema, n, group_pins);
	schema = chatstore_schema(&n);
	oldstore_pinned(schema, n, chat_pins);
}

/* --- groups ------------------------------------------------------------------------------ */

static void groups_open(void)
{
	memberstore_close(s);
	assert_int_equal(memberstore_open(oldstore_path, NULL, &c.p[1].id, &s),
			 0);
}

static void groups_there(void)
{
	uint8_t entry[GROUP_ENTRY_MAX], sealer[NTMC_KEY_LEN];
	struct member_own own;
	struct group *g;
	size_t len;

	assert_int_equal(memberstore_get(s, c.id, &g, &own), 0);
	assert_memory_equal(group_hash(g), group_hash(c.p[1].g), NTMC_HASH_LEN);
	assert_memory_equal(&own.secret, &c.p[1].secret, sizeof(own.secret));
	assert_true(own.used);
	assert_int_equal(own.serial, 9);
	group_free(g);
	member_own_clear(&own);
	assert_int_equal(memberstore_log_get(s, c.id, 1, entry, &len, sealer),
			 0);
	assert_int_equal(len, 5);
}

static void on_paper(void *arg, const uint8_t *token, const uint8_t *body,
		     size_t len)
{
	(void)token;
	assert_memory_equal(body, "paper", len);
	++*(size_t *)arg;
}

/* what each later step is for */
static void groups_go_on(void)
{
	uint8_t token[GROUP_TOKEN_LEN] = {1}, key[NTMC_KEY_LEN] = {2},
		seal[GROUP_SEAL_LEN] = {3}, body[MEMBERSTORE_NOTE_MAX];
	char ways[GROUP_WAYS_MAX + 1];
	size_t n = 0, len;

	assert_int_equal(memberstore_paper_put(s, token, "paper", 5), 0);
	assert_int_equal(memberstore_server_put(s, key, "192.0.2.1:1"), 0);
	assert_int_equal(memberstore_silence_put(s, c.id, "s", 1), 0);
	assert_int_equal(memberstore_seal_put(s, c.id, seal), 0);
	assert_int_equal(memberstore_note_put(s, c.id, NOTE_TOLD, "n", 1), 0);
	groups_open();
	assert_int_equal(memberstore_papers(s, on_paper, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(memberstore_server_get(s, key, ways), 0);
	assert_int_equal(memberstore_silence_get(s, c.id, body, 8, &len), 0);
	assert_int_equal(memberstore_seal_get(s, c.id, seal), 0);
	assert_int_equal(memberstore_note_get(s, c.id, NOTE_TOLD, body, &len),
			 0);
	groups_there();
	assert_int_equal(memberstore_drop(s, c.id), 0);
	assert_int_equal(memberstore_note_get(s, c.id, NOTE_TOLD, body, &len),
			 -NTM_ENOTFOUND);
}

static void old_groups(void **state)
{
	/* back from step 6 .. 2 */
	static const char *const undo[] = {
		NULL,
		"DROP TABLE paper; DROP TABLE server",
		"DROP TABLE silence",
		"DROP TABLE seal",
		"DROP TABLE note",
		/* of two members and nobody who has gone: all of it in one */
		"UPDATE groups SET state = CAST(state ||"
		" (SELECT body FROM piece WHERE number = 0) ||"
		" (SELECT body FROM piece WHERE number > 0) AS BLOB);"
		"ALTER TABLE groups DROP COLUMN pieces; DROP TABLE piece",
	};
	struct member_own own;
	size_t n, k, i;

	(void)state;
	(void)memberstore_schema(&n);
	assert_int_equal(n, sizeof(undo) / sizeof(undo[0]));
	for (k = 1; k <= n; k++) {
		print_message("%zu of %zu steps\n", k, n);
		oldstore_remove();
		circle_open(&c);
		circle_create(&c);
		circle_add(&c, 0, 1, GROUP_ALL_RIGHTS);
		memset(&own, 0, sizeof(own));
		own.secret = c.p[1].secret;
		own.serial = 9;
		own.used = true;
		groups_open();
		assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
		assert_int_equal(memberstore_log_put(s, c.id, 1,
						     (const uint8_t *)"entry",
						     5, NULL),
				 0);
		memberstore_close(s);
		s = NULL;
		for (i = n; i > k; i--)
			oldstore_back(i - 1, undo[i - 1]);
		groups_open();
		groups_there();
		/* nobody came: and yet the list is written, as it has rows now */
		circle_timer(&c);
		own.secret = c.p[1].secret;
		assert_int_equal(memberstore_put(s, c.p[1].g, &own), 0);
		groups_open();
		groups_there();
		groups_go_on();
		memberstore_close(s);
		s = NULL;
		circle_close(&c);
	}
}

/* --- messages ---------------------------------------------------------------------------- */

static const uint8_t group[GROUP_ID_LEN] = "group";

static void chat_open(const struct ntmc_identity *id)
{
	chatstore_close(chat);
	assert_int_equal(chatstore_open(oldstore_path, NULL, id, &chat), 0);
}

static void chat_add(uint8_t number)
{
	struct chat_line *l = chat_line_new();

	assert_non_null(l);
	memcpy(l->w.group, group, sizeof(group));
	memset(l->w.id, number, sizeof(l->w.id));
	strcpy(l->w.text, "hello");
	l->state = CHAT_SENT;
	strcpy(l->from, "desk.alice.example");
	assert_int_equal(chatstore_add(chat, l), 0);
	chat_line_free(l);
}

static void chat_there(void)
{
	uint32_t readers[CHATSTORE_READS];
	uint8_t id[CHAT_ID_LEN];
	struct chat_line *l;
	int64_t n;
	size_t all;

	memset(id, 1, sizeof(id));
	assert_int_equal(chatstore_next(chat, group, 0, CHAT_SENT, &n, &l), 0);
	assert_int_equal(n, 1);
	assert_string_equal(l->w.text, "hello");
	chat_line_free(l);
	assert_int_equal(chatstore_readers(chat, group, id, readers, &all), 1);
	assert_int_equal(readers[0], 4);
}

static void old_messages(void **state)
{
	struct chat_late late = {.n = 1, .index = 5, .since = 7};
	struct ntmc_identity id;
	uint8_t first[CHAT_ID_LEN];
	size_t n, k;

	(void)state;
	(void)chatstore_schema(&n);
	assert_int_equal(n, 2);
	memset(first, 1, sizeof(first));
	memcpy(late.group, group, sizeof(group));
	ntmc_identity_new(NULL, &id);
	for (k = 1; k <= n; k++) {
		oldstore_remove();
		chat_open(&id);
		chat_add(1);
		assert_int_equal(chatstore_read(chat, group, first, 4), 0);
		chatstore_close(chat);
		chat = NULL;
		if (k < 2)
			oldstore_back(k, "DROP TABLE late");
		chat_open(&id);
		chat_there();
		chat_add(2);
		assert_int_equal(chatstore_late_put(chat, &late), 0);
		chat_open(&id);
		assert_true(chatstore_is_late(chat, 1, 5));
		assert_int_equal(chatstore_drop(chat, group), 0);
		assert_int_equal(chatstore_late_count(chat, 0), 0);
		chatstore_close(chat);
		chat = NULL;
	}
}

int main(void)
{
#define TEST(f)                                                                \
	cmocka_unit_test_setup_teardown(f, oldstore_setup, oldstore_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_stand),
		TEST(old_groups),
		TEST(old_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
