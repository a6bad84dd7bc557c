/* SPDX-License-Identifier: MIT */
/* test_chat_waits - messages that cannot go now: a domain that is away, an ntm-post that refuses */
#include "chat_said.h"

#include <utlist.h>

#include "broker/member/chat.h"

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

#define T(f) cmocka_unit_test_setup_teardown(f, offices_setup, offices_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_away_domain),	 T(test_later), T(test_later_never),
		T(test_later_all),	 T(test_stuck), T(test_order),
		T(test_stuck_elsewhere),
	};

	return cmocka_run_group_tests(tests, seats_up, seats_down);
}
