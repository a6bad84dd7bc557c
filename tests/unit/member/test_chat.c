/* SPDX-License-Identifier: MIT */
/* test_chat - members talk, their ntm-posts played: who gets what, order, marks, crashes */
#include "chat_said.h"

#include <utlist.h>

#include <sqlite3.h>

#include "broker/member/chat.h"
#include "broker/member/papers.h"

/* --- tests --------------------------------------------------------------------------------- */

static void test_talk(void **state)
{
	struct chat_line *l;
	int64_t n;

	(void)state;
	/* nobody has taken 2500 files that came before */
	offices[2].others = offices[2].items = 2500;
	n = say(0, "hello", NULL);
	assert_int_equal(state_of(0, n), CHAT_WAITS);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 1);
	assert_true(office_deliver(0, 0, 1));
	assert_true(office_deliver(0, 0, 2));
	assert_true(seats_turn(office_is_empty, &offices[1]));
	assert_true(seats_turn(office_is_empty, &offices[2]));
	assert_string_equal(lines(1), "hello");
	/* the same once more is nothing new */
	assert_true(office_deliver(0, 0, 1));
	assert_true(seats_turn(office_is_empty, &offices[1]));
	assert_string_equal(lines(1), "hello");
	/* an answer stands behind what it answers */
	n = say(1, "hello yourself", NULL);
	becomes(1, n, CHAT_SENT);
	l = line_at(1, n - 1);
	assert_int_equal(l->w.clock, 2);
	assert_int_equal(l->to, 2);
	chat_line_free(l);
}

static void test_marks(void **state)
{
	uint32_t read[CHATSTORE_READS];
	size_t all;
	struct chat_line *l;
	int64_t n = say(0, "hello", NULL);

	(void)state;
	becomes(0, n, CHAT_SENT);
	office_deliver(0, 0, 1);
	office_deliver(0, 0, 2);
	assert_true(seats_turn(office_is_empty, &offices[1]));
	assert_true(seats_turn(office_is_empty, &offices[2]));
	assert_int_equal(chat_seen(nodes[2].chat, &parts[2], 1, false), 0);
	assert_int_equal(state_of(2, 1), CHAT_OLD); /* nobody hears of it */
	assert_int_equal(chat_seen(nodes[1].chat, &parts[1], 1, true), 0);
	assert_int_equal(state_of(1, 1), CHAT_SHOWN);
	assert_true(seats_turn(office_has_sent, &offices[1]));
	becomes(1, 1, CHAT_OLD);
	assert_false(office_deliver(1, 0, 2)); /* it is the author's alone */
	assert_true(office_deliver(1, 0, 0));
	assert_true(seats_turn(office_is_empty, &offices[0]));
	l = line_at(0, n - 1);
	assert_int_equal(chatstore_readers(chat_store(nodes[0].chat),
					   l->w.group, l->w.id, read, &all),
			 1);
	assert_int_equal(read[0], member_index(parts[1].m));
	chat_line_free(l);
	assert_int_equal(json_array_size(offices[2].sent), 0);
}

/* what waited when somebody was removed, or came, is not for them */
static void test_to_whom(void **state)
{
	int64_t n;

	(void)state;
	offices[0].deaf = true;
	n = say(0, "two of us", NULL);
	assert_int_equal(seat_remove(&seats[0], 2), 0);
	seats_together(2);
	seat_add(3, 0);
	seats_together(2);
	office_node_down(0); /* and it died in between */
	offices[0].deaf = false;
	office_node_up(0);
	office_node_up(3);
	chat_work(nodes[0].chat);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 1);
	assert_true(office_deliver(0, 0, 1));
	assert_false(office_deliver(0, 0, 2));
	assert_false(office_deliver(0, 0, 3));
	n = say(0, "three of us", NULL);
	becomes(0, n, CHAT_SENT);
	assert_true(office_deliver(0, 1, 3));
	assert_false(office_deliver(0, 1, 2));
}

/* a coordinator that shows another key for a name reads nothing, and says nothing */
static void test_another_key(void **state)
{
	struct ntmc_identity eve;
	struct chat_line *l;
	int64_t n;

	(void)state;
	ntmc_identity_new(NULL, &eve);
	offices[0].lies = offices[1].lies = eve.ed_pub;
	n = say(0, "secret", NULL);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 0);
	l = line_at(0, n - 1); /* and the person is told */
	assert_non_null(strstr(l->why, "another key"));
	assert_non_null(strstr(l->why, "(and 1 more)"));
	chat_line_free(l);
	n = say(2, "of the third", NULL);
	becomes(2, n, CHAT_SENT);
	assert_true(office_deliver(2, 0, 1));
	assert_true(seats_turn(office_is_empty, &offices[1]));
	assert_string_equal(lines(1), "");
	ntmc_identity_clear(&eve);
}

/* one member whose certificate is none gets nothing, and holds up nobody */
static void test_no_certificate(void **state)
{
	struct chat_line *l;
	int64_t n;

	(void)state;
	offices[0].bad = nodes[1].who.fqdn;
	n = say(0, "all of us", NULL);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 1);
	assert_true(office_deliver(0, 0, 2));
	assert_false(office_deliver(0, 0, 1));
	l = line_at(0, n - 1);
	assert_non_null(strstr(l->why, "certificate"));
	chat_line_free(l);
}

/* a message that waits and is damaged is passed over */
static void test_damaged(void **state)
{
	char path[128];
	int64_t n;
	sqlite3 *db;

	(void)state;
	offices[0].deaf = true;
	say(0, "damaged", NULL);
	n = say(0, "whole", NULL);
	office_node_down(0);
	snprintf(path, sizeof(path), "%s/chat.db", rundirs[0]);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "UPDATE line SET body = zeroblob(200)"
				      " WHERE n = (SELECT min(n) FROM line)",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
	offices[0].deaf = false;
	office_node_up(0);
	chat_work(nodes[0].chat);
	becomes(0, n, CHAT_SENT);
	assert_true(office_deliver(0, 0, 1));
}

static void test_strangers(void **state)
{
	int64_t n = say(2, "before", NULL);

	(void)state;
	becomes(2, n, CHAT_SENT);
	assert_int_equal(seat_remove(&seats[0], 2), 0);
	seats_together(2);
	office_deliver(2, 0,
		       1); /* it comes when its author is no member any more */
	assert_true(seats_turn(office_is_empty, &offices[1]));
	assert_string_equal(lines(1), "");
	assert_int_equal(chat_item(nodes[1].chat, nodes[0].who.fqdn,
				   CHAT_MESSAGE, "{}", 2),
			 -NTM_EDECODE);
}

/* a message of an epoch that we have not heard of waits */
static void test_ahead(void **state)
{
	int64_t n;

	(void)state;
	seat_offline(&seats[1]);
	assert_int_equal(
		seat_submit(&seats[0],
			    &(struct group_change){.kind = GROUP_REFRESH}),
		0);
	n = say(0, "of tomorrow", NULL);
	becomes(0, n, CHAT_SENT);
	assert_true(office_deliver(0, 0, 1));
	for (int i = 0; i < 50; i++)
		seats_step();
	assert_int_equal(json_array_size(offices[1].inbox), 1);
	assert_string_equal(lines(1), "");
	seat_online(&seats[1]);
	seats_together(3);
	chat_look(nodes[1].chat);
	assert_true(seats_turn(office_is_empty, &offices[1]));
	assert_string_equal(lines(1), "of tomorrow");
}

/* one that comes before our own welcome has been looked at waits, too */
static void test_expected(void **state)
{
	struct paper like = {.state = PAPER_AGREED, .handed = true};
	int64_t n;

	(void)state;
	n = say(0, "welcome", NULL);
	becomes(0, n, CHAT_SENT);
	DL_DELETE(nodes[1].parts, &parts[1]); /* it is not in yet */
	memcpy(like.i.id, member_id(parts[1].m), sizeof(like.i.id));
	like.i.expires = node_now(&nodes[1]) + 1000;
	assert_int_equal(papers_add(nodes[1].papers, &like), 0);
	assert_true(office_deliver(0, 0, 1));
	for (int i = 0; i < 50; i++)
		seats_step();
	assert_int_equal(json_array_size(offices[1].inbox), 1);
	DL_APPEND(nodes[1].parts, &parts[1]);
	papers_fetch(nodes[1].papers);
	assert_true(seats_turn(office_is_empty, &offices[1]));
	assert_string_equal(lines(1), "welcome");
}

static void test_files(void **state)
{
	struct chat_line *l;
	int64_t n = say(0, NULL, "/there");

	(void)state;
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 2);
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(offices[0].sent, 0), "application")),
		"ntm");
	assert_false(office_deliver(0, 0, 1)); /* ntm-post's business */
	assert_true(office_deliver(0, 1, 1));
	assert_true(seats_turn(office_is_empty, &offices[1]));
	l = line_at(1, 0);
	assert_int_equal(l->w.kind, CHAT_FILE);
	assert_int_equal(l->w.size, 12345);
	assert_string_equal(l->w.text, "there");
	chat_line_free(l);
	n = say(0, NULL, "/not/there");
	becomes(0, n, CHAT_FAILED);
	l = line_at(0, n - 1);
	assert_string_equal(l->why, "no such file");
	chat_line_free(l);
	/* the next one is not held up */
	n = say(0, "after it", NULL);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(chat_say(nodes[0].chat, &parts[0], NULL, "there", &n),
			 -NTM_EINVAL);
	assert_int_equal(chat_say(nodes[0].chat, &parts[0], "", NULL, &n),
			 -NTM_EINVAL);
}

/* a clock that somebody sets to the end of time does not stop ours */
static void test_clock(void **state)
{
	struct chatword w = {.epoch = 1, .clock = CHAT_CLOCK_MAX};
	struct chat_line *l;
	char *text;
	int64_t n = say(0, "one", NULL);

	(void)state;
	becomes(0, n, CHAT_SENT);
	assert_true(office_deliver(0, 0, 1)); /* so that 1 knows 0's key */
	assert_true(seats_turn(office_is_empty, &offices[1]));
	memcpy(w.group, member_id(parts[0].m), sizeof(w.group));
	strcpy(w.text, "last of all");
	text = chatword_put(&w);
	assert_int_equal(chat_item(nodes[1].chat, nodes[0].who.fqdn,
				   CHAT_MESSAGE, text, strlen(text)),
			 0);
	free(text);
	l = line_at(1, 1);
	assert_int_equal(l->w.clock, 2);
	chat_line_free(l);
}

/* --- more members than an item has receivers -------------------------------------------------- */

#define CROWD 70

/* so many devices that never come, behind the three seats */
static void crowd(struct group_joiner joiners[static CROWD],
		  char names[static CROWD][NTMC_FQDN_MAX + 1])
{
	const char *domain = strchr(seats[0].peer.fqdn, '.') + 1;
	struct group_change c = {.kind = GROUP_ADD, .joiners = joiners};
	struct ntmc_identity id;

	for (unsigned int i = 0; i < CROWD; i++) {
		snprintf(names[i], NTMC_FQDN_MAX + 1, "g%u.%.200s", i, domain);
		ntmc_identity_new(NULL, &id);
		memset(&joiners[i], 0, sizeof(joiners[i]));
		joiners[i].fqdn = names[i];
		memcpy(joiners[i].ed_pub, id.ed_pub, NTMC_KEY_LEN);
		ntmc_random(NULL, joiners[i].token, sizeof(joiners[i].token));
		ntmc_identity_clear(&id);
	}
	for (unsigned int i = 0; i < CROWD; i += (unsigned int)c.n_joiners) {
		c.joiners = joiners + i;
		c.n_joiners =
			CROWD - i < GROUP_JOIN_MAX ? CROWD - i : GROUP_JOIN_MAX;
		assert_int_equal(seat_submit(&seats[0], &c), 0);
	}
	for (int i = 0; i < SEATS; i++) {
		offices[i].known = joiners;
		offices[i].n_known = CROWD;
	}
}

/* that request's receivers, and whether its name is @id's with this behind it */
static size_t item_of(size_t k, const char *behind)
{
	const json_t *j = json_array_get(offices[0].sent, k);
	const char *item = json_string_value(json_object_get(j, "item"));
	const char *dot = item ? strchr(item, '.') : NULL;

	assert_non_null(item);
	assert_string_equal(dot ? dot : "", behind);
	return json_array_size(json_object_get(j, "to"));
}

/* indices 0 to 73: 63 receivers in the first item, 10 in the second; who is in the second
 * hears it, says that it was read, and a member that has gone leaves its place empty */
static void test_crowd(void **state)
{
	static struct group_joiner joiners[CROWD];
	static char names[CROWD][NTMC_FQDN_MAX + 1];
	uint32_t read[CHATSTORE_READS];
	struct chat_line *l;
	size_t all;
	int64_t n;

	(void)state;
	crowd(joiners, names);
	seat_add(3, GROUP_ALL_RIGHTS);
	office_node_up(3);
	seats_together(4);
	n = say(0, "to all", NULL);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 2);
	assert_int_equal(item_of(0, ""), 63);
	assert_int_equal(item_of(1, ".1"), 10);
	l = line_at(0, n - 1);
	assert_int_equal(l->to, 73);
	assert_null(l->why);
	assert_true(office_deliver(0, 0, 2));
	assert_false(office_deliver(0, 0, 3));
	assert_true(office_deliver(0, 1, 3));
	assert_true(seats_turn(office_is_empty, &offices[3]));
	assert_string_equal(lines(3), "to all");
	assert_int_equal(chat_seen(nodes[3].chat, &parts[3], 1, true), 0);
	assert_true(seats_turn(office_has_sent, &offices[3]));
	assert_true(office_deliver(3, 0, 0));
	assert_true(seats_turn(office_is_empty, &offices[0]));
	assert_int_equal(chatstore_readers(chat_store(nodes[0].chat),
					   l->w.group, l->w.id, read, &all),
			 1);
	assert_int_equal(read[0], 73);
	chat_line_free(l);
	/* one that goes leaves its place in the first item empty */
	assert_int_equal(seat_remove(&seats[0], 2), 0);
	n = say(0, "to all but one", NULL);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(item_of(2, ""), 62);
	assert_int_equal(item_of(3, ".1"), 10);
	assert_false(office_deliver(0, 2, 2));
}

#define T(f) cmocka_unit_test_setup_teardown(f, offices_setup, offices_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_talk),		T(test_marks),	   T(test_to_whom),
		T(test_another_key),	T(test_strangers), T(test_ahead),
		T(test_expected),	T(test_files),	   T(test_clock),
		T(test_no_certificate), T(test_damaged),   T(test_crowd),
	};

	return cmocka_run_group_tests(tests, seats_up, seats_down);
}
