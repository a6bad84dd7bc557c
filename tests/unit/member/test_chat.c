/* SPDX-License-Identifier: MIT */
/* test_chat - members talk, their ntm-posts played: who gets what, order, marks, crashes */
#include "office.h"

#include <utlist.h>

#include <sqlite3.h>

#include "broker/member/chat.h"
#include "broker/member/papers.h"

/* --- what is asked ------------------------------------------------------------------------------ */

static struct chat_line *line_at(int i, int64_t after)
{
	struct chat_line *l;
	int64_t n;

	return chatstore_next(chat_store(nodes[i].chat), member_id(parts[i].m),
			      after, 0, &n, &l)
		       ? NULL
		       : l;
}

/* "text|text", by number */
static const char *lines(int i)
{
	static char all[4096];
	struct chat_line *l;
	int64_t n = 0;

	*all = '\0';
	while ((l = line_at(i, n))) {
		n = l->n;
		assert_true(strlen(all) + strlen(l->w.text) + 2 < sizeof(all));
		strcat(strcat(all, *all ? "|" : ""), l->w.text);
		chat_line_free(l);
	}
	return all;
}

static int64_t say(int i, const char *text, const char *file)
{
	int64_t n;

	assert_int_equal(chat_say(nodes[i].chat, &parts[i], text, file, &n), 0);
	return n;
}

static enum chat_state state_of(int i, int64_t n)
{
	struct chat_line *l = line_at(i, n - 1);
	enum chat_state s = l->state;

	chat_line_free(l);
	return s;
}

struct waited {
	int i;
	int64_t n;
	enum chat_state state;
};

static bool has_come(void *arg)
{
	struct waited *w = arg;

	return state_of(w->i, w->n) == w->state;
}

static void becomes(int i, int64_t n, enum chat_state state)
{
	struct waited w = {i, n, state};

	assert_true(seats_turn(has_come, &w));
}

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

/* a member whose domain does not answer holds up nobody; what is pinned for its name counts */
static void test_away_domain(void **state)
{
	struct ntmc_identity eve;
	struct chat_line *l;
	int64_t n;

	(void)state;
	ntmc_identity_new(NULL, &eve);
	offices[0].away = nodes[1].who.fqdn;
	n = say(0, "all of us", NULL);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 1);
	assert_true(office_deliver(0, 0, 2));
	assert_true(office_deliver(0, 0, 1));
	/* another key's */
	offices[2].away = nodes[1].who.fqdn;
	offices[2].lies = eve.ed_pub;
	n = say(2, "not for eve", NULL);
	becomes(2, n, CHAT_SENT);
	l = line_at(2, n - 1);
	assert_non_null(strstr(l->why, "another key"));
	chat_line_free(l);
	ntmc_identity_clear(&eve);
}

static void steps(int n)
{
	while (n--)
		seats_step();
}

static const char *name_sent(const struct office *o, size_t k)
{
	return json_string_value(
		json_object_get(json_array_get(o->sent, k), "item"));
}

static int64_t late_of(int i, int64_t n)
{
	return chatstore_late_count(chat_store(nodes[i].chat), n);
}

static bool is_late_no_more(void *arg)
{
	(void)arg;
	return !late_of(1, 0);
}

/* never met, and its domain is away: nobody vouches for the key. The others have the message,
 * and it gets it when it can be looked up, whoever died meanwhile */
static void test_later(void **state)
{
	int64_t n, file;

	(void)state;
	offices[1].away = nodes[2].who.fqdn;
	offices[1].unmet = true;
	n = say(1, "later", NULL);
	becomes(1, n, CHAT_SENT);
	file = say(1, NULL, "/there");
	becomes(1, file, CHAT_SENT);
	assert_int_equal(json_array_size(offices[1].sent), 3);
	assert_true(office_deliver(1, 0, 0));
	assert_false(office_deliver(1, 0, 2));
	assert_int_equal(late_of(1, n), 1);
	assert_int_equal(late_of(1, file), 1);
	seats_wait_s(61);
	steps(200);
	assert_int_equal(json_array_size(offices[1].sent), 3);
	office_node_down(1);
	office_node_up(1);
	offices[1].away = NULL;
	chat_work(nodes[1].chat);
	assert_true(seats_turn(is_late_no_more, NULL));
	assert_int_equal(json_array_size(offices[1].sent), 6);
	for (size_t k = 3; k < 6; k++) {
		assert_non_null(strstr(name_sent(&offices[1], k), ".0.2"));
		assert_false(office_deliver(1, k, 0));
	}
	assert_true(office_deliver(1, 3, 2));
	assert_true(office_deliver(1, 5, 2));
	assert_true(seats_turn(office_is_empty, &offices[2]));
	assert_string_equal(lines(2), "later|there");
	/* and no more of it ever comes */
	seats_wait_s(61);
	steps(200);
	assert_int_equal(json_array_size(offices[1].sent), 6);
}

/* of who was removed meanwhile nothing is kept; after a week it is said that it gets none */
static void test_later_never(void **state)
{
	struct chat_late late = {.index = member_index(parts[2].m),
				 .since = node_now(&nodes[0]) - 7 * 86400 - 2};
	struct chatstore *s = chat_store(nodes[0].chat);
	struct chat_line *l;
	int64_t n;

	(void)state;
	offices[0].away = nodes[2].who.fqdn;
	offices[0].unmet = true;
	n = say(0, "a week", NULL);
	becomes(0, n, CHAT_SENT);
	late.n = n;
	memcpy(late.group, member_id(parts[0].m), GROUP_ID_LEN);
	assert_int_equal(chatstore_late_drop(s, n, late.index), 0);
	assert_int_equal(chatstore_late_put(s, &late), 0);
	seats_wait_s(61);
	chat_work(nodes[0].chat);
	steps(200);
	assert_int_equal(late_of(0, n), 0);
	l = line_at(0, n - 1);
	assert_non_null(strstr(l->why, nodes[2].who.fqdn));
	chat_line_free(l);
	n = say(0, "gone", NULL);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(late_of(0, n), 1);
	assert_int_equal(seat_remove(&seats[0], 2), 0);
	offices[0].away = NULL;
	seats_wait_s(61);
	chat_work(nodes[0].chat);
	steps(200);
	assert_int_equal(late_of(0, n), 0);
	assert_int_equal(json_array_size(offices[0].sent), 2);
}

/* nobody can be looked up: it waits */
static void test_later_all(void **state)
{
	int64_t n;

	(void)state;
	assert_int_equal(seat_remove(&seats[0], 2), 0);
	offices[0].away = nodes[1].who.fqdn;
	offices[0].unmet = true;
	n = say(0, "hello", NULL);
	steps(200);
	assert_int_equal(state_of(0, n), CHAT_WAITS);
	offices[0].away = NULL;
	seats_wait_s(6);
	becomes(0, n, CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 1);
	assert_int_equal(late_of(0, n), 0);
}

static bool is_tried(void *arg)
{
	return offices[0].stuck_tries >= *(unsigned int *)arg;
}

static void tried(unsigned int times)
{
	assert_true(seats_turn(is_tried, &times));
	steps(50);
	assert_int_equal(offices[0].stuck_tries, times);
}

/* what ntm-post cannot take now holds up those behind it, in their order, three times; and
 * goes when it can */
static void test_stuck(void **state)
{
	int64_t file, text, other;

	(void)state;
	offices[0].stuck = "/stuck";
	seats_wait_s(0);
	file = say(0, NULL, "/stuck");
	text = say(0, "behind it", NULL);
	tried(1);
	seats_wait_s(6);
	tried(2);
	assert_int_equal(state_of(0, text), CHAT_WAITS);
	seats_wait_s(6);
	becomes(0, text, CHAT_SENT);
	tried(3);
	assert_int_equal(state_of(0, file), CHAT_WAITS);
	assert_int_equal(json_array_size(offices[0].sent), 1);
	/* from then on nothing waits for it longer than for the next round */
	other = say(0, "once more", NULL);
	seats_wait_s(6);
	becomes(0, other, CHAT_SENT);
	tried(4);
	offices[0].stuck = NULL;
	seats_wait_s(6);
	becomes(0, file, CHAT_FAILED); /* there is no such file now */
	/* and all is as before: in their order */
	offices[0].stuck = "/stuck";
	seats_wait_s(6);
	offices[0].stuck_tries = 0;
	say(0, NULL, "/stuck");
	text = say(0, "behind it", NULL);
	tried(1);
	assert_int_equal(state_of(0, text), CHAT_WAITS);
}

/* while ntm-post does not answer they keep their order, for a minute */
static void test_order(void **state)
{
	int64_t first, second;
	char path[128], aside[136];

	(void)state;
	snprintf(path, sizeof(path), "%s/post.sock", rundirs[0]);
	snprintf(aside, sizeof(aside), "%s.aside", path);
	first = say(0, "to know the names", NULL);
	becomes(0, first, CHAT_SENT);
	assert_int_equal(rename(path, aside), 0);
	first = say(0, "one", NULL);
	second = say(0, "two", NULL);
	for (int i = 0; i < 5; i++) {
		seats_wait_s(6);
		steps(20);
	}
	assert_int_equal(state_of(0, first), CHAT_WAITS);
	assert_int_equal(rename(aside, path), 0);
	seats_wait_s(6);
	becomes(0, second, CHAT_SENT);
	assert_int_equal(state_of(0, first), CHAT_SENT);
	assert_int_equal(json_array_size(offices[0].sent), 3);
	assert_true(office_deliver(0, 1, 1));
	assert_true(seats_turn(office_is_empty, &offices[1]));
	assert_string_equal(lines(1), "one");
}

/* and another group's messages do not wait for it at all */
static void test_stuck_elsewhere(void **state)
{
	struct part second = {.node = &nodes[0]};
	struct chat_line *l;
	int64_t n, k;

	(void)state;
	assert_int_equal(member_found(&seats[0].setup, "second",
				      nodes[0].who.fqdn, "gms.example.org",
				      gms->id.ed_pub, &group_policy_default,
				      &second.m),
			 0);
	second.m->state = MEMBER_JOINED; /* nobody else is in it */
	DL_APPEND(nodes[0].parts, &second);
	seats_wait_s(0);
	offices[0].stuck = "/stuck";
	say(0, NULL, "/stuck");
	tried(1);
	assert_int_equal(chat_say(nodes[0].chat, &second, "alone", NULL, &n),
			 0);
	steps(50);
	assert_int_equal(chatstore_next(chat_store(nodes[0].chat),
					member_id(second.m), 0, 0, &k, &l),
			 0);
	assert_int_equal(l->state, CHAT_SENT);
	chat_line_free(l);
	tried(1);
	DL_DELETE(nodes[0].parts, &second);
	member_free(second.m);
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
		T(test_talk),
		T(test_marks),
		T(test_to_whom),
		T(test_another_key),
		T(test_strangers),
		T(test_ahead),
		T(test_expected),
		T(test_files),
		T(test_clock),
		T(test_no_certificate),
		T(test_away_domain),
		T(test_later),
		T(test_later_never),
		T(test_later_all),
		T(test_damaged),
		T(test_crowd),
		T(test_stuck),
		T(test_order),
		T(test_stuck_elsewhere),
	};

	return cmocka_run_group_tests(tests, seats_up, seats_down);
}
