/* SPDX-License-Identifier: MIT */
/*
 * test_member_silence - members of whom nobody hears: evicted by our own clock, asked before;
 * and confirmations from member to member
 */
#include "seats.h"

static bool is_answered(void *arg)
{
	return ((struct seat *)arg)->answered;
}

/* the server says that it never heard of seat 3, and each time anew of seat 1 */
static void told_of(struct seat *s, const Ntm__Envelope *msg)
{
	static int64_t again;
	const Ntm__GroupAnswer *a = msg->group_answer;

	if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_ANSWER)
		for (size_t i = 0; i < a->n_people; i++) {
			if (a->people[i]->index == member_index(seats[3].m))
				a->people[i]->seen = 0;
			if (a->people[i]->index == member_index(seats[1].m))
				a->people[i]->seen = ++again;
		}
	member_message(s->m, msg);
}

/* the first @n ask who is there */
static void look_around(int n)
{
	for (int i = 0; i < n; i++) {
		seats[i].answered = false;
		assert_true(member_prepare(seats[i].m));
		assert_true(seats_turn(is_answered, &seats[i]));
	}
}

/* who is not heard of for so long as the rules say is evicted: by our own clock, of which
 * counts what we were connected; an administrator is not */
static void test_evicted(void **state)
{
	struct group_policy p = group_policy_default;
	struct group_change c = {.kind = GROUP_POLICY, .policy = &p};
	uint32_t gone;

	(void)state;
	p.evict_s = 60; /* 900, then */
	for (int i = 1; i < SEATS; i++)
		seat_add(i, i == 2 ? GROUP_ALL_RIGHTS : GROUP_MAY_INVITE);
	assert_int_equal(seat_submit(&seats[0], &c), 0);
	seats_together(SEATS);
	gone = member_index(seats[3].m);
	seats[0].tap = told_of;
	seat_offline(&seats[2]);
	seat_offline(&seats[3]);
	look_around(2);
	/* the server's clock is 90 days ahead, and ours */
	seats[0].m->heard += 90 * 86400;
	seats_set_wall(90 * 86400);
	look_around(2);
	seats_set_wall(0); /* or our login would be over */
	/* time without a connection */
	seat_offline(&seats[0]);
	seats_wait_s(300);
	seat_online(&seats[0]);
	seats_together(2);
	look_around(2);
	assert_true(silence_s(seats[0].m, gone) < 60);
	assert_int_equal(group_size(member_group(seats[0].m)), SEATS);
	/* now it counts, also what was counted before a new start */
	for (int i = 0; i < 3; i++) {
		seats_wait_s(250);
		look_around(2);
	}
	assert_in_range(silence_s(seats[0].m, gone), 750, 900);
	assert_int_equal(silence_s(seats[0].m, member_index(seats[1].m)), 0);
	assert_int_equal(group_size(member_group(seats[0].m)), SEATS);
	/* and with three quarters over it was asked, beside the server */
	assert_int_equal(seats[0].n_asked, 1);
	assert_int_equal(seats[0].asked, gone);
	look_around(2);
	assert_int_equal(seats[0].n_asked, 1);
	seat_restart(&seats[0]);
	seats_together(2);
	assert_in_range(silence_s(seats[0].m, gone), 750, 900);
	assert_in_range(silence_asked_s(seats[0].m, gone), 0, 10);
	seats_wait_s(200);
	look_around(2);
	assert_int_equal(group_size(member_group(seats[0].m)), SEATS);
	assert_true(silence_s(seats[0].m, gone) > 900);
	seats_wait_s(50);
	look_around(2);
	while (group_size(member_group(seats[0].m)) == SEATS)
		seats_step();
	seats_together(2);
	assert_null(group_find(member_group(seats[0].m), gone));
	assert_non_null(
		group_find(member_group(seats[0].m), member_index(seats[2].m)));
}

/* connected all the time, and no answer as to who is there */
static void pass_s(struct seat *s, unsigned int n)
{
	for (unsigned int step, news; n; n -= step) {
		step = n < 200 ? n : 200;
		news = s->n_keys;
		seats_wait_s(step);
		member_hello(s->m);
		while (s->n_keys == news)
			seats_step();
	}
}

/* all that the server hears of it, it keeps back: who answers straight stays */
static void test_answers(void **state)
{
	struct group_policy p = group_policy_default;
	struct group_change c = {.kind = GROUP_POLICY, .policy = &p};
	uint32_t index;

	(void)state;
	p.evict_s = 900;
	for (int i = 1; i < SEATS; i++)
		seat_add(i, i == 3 ? GROUP_MAY_INVITE : GROUP_ALL_RIGHTS);
	assert_int_equal(seat_submit(&seats[0], &c), 0);
	seats_together(SEATS);
	index = member_index(seats[3].m);
	seats[0].tap = told_of;
	seat_offline(&seats[1]);
	seat_offline(&seats[2]);
	seat_offline(&seats[3]);
	look_around(1);
	for (unsigned int round = 1; round <= 3; round++) {
		/* the server answers late, too: all of the time at once */
		pass_s(&seats[0], 2000);
		look_around(1);
		assert_int_equal(seats[0].n_asked, round);
		assert_int_equal(seats[0].asked, index);
		pass_s(&seats[0], 100);
		member_alive(seats[0].m, index);
		assert_int_equal(silence_s(seats[0].m, index), 0);
		pass_s(&seats[0], 200);
		look_around(1);
		assert_in_range(silence_s(seats[0].m, index), 200, 210);
		assert_int_equal(silence_asked_s(seats[0].m, index),
				 SILENCE_UNASKED);
		assert_non_null(group_find(member_group(seats[0].m), index));
	}
	/* of nobody, of who is no member: nothing */
	member_alive(seats[0].m, 1000);
	/* and who does not answer goes */
	pass_s(&seats[0], 2000);
	look_around(1);
	assert_non_null(group_find(member_group(seats[0].m), index));
	pass_s(&seats[0], 230);
	look_around(1);
	while (group_size(member_group(seats[0].m)) == SEATS)
		seats_step();
	assert_null(group_find(member_group(seats[0].m), index));
}

static bool has_said(void *arg)
{
	return ((struct seat *)arg)->said_len;
}

/* what @from has said comes to @to, as of the member at @index, the first @len bytes */
static void hears(struct seat *to, const struct seat *from, uint64_t epoch,
		  uint32_t index, size_t len)
{
	member_heard(to->m, epoch, index, from->said, len);
}

/* the GMS says nothing of confirmations: those that come straight count, and only what is
 * whole, of this epoch and of who says it */
static void straight(void **state)
{
	uint64_t e;
	size_t i;

	(void)state;
	seat_add(1, 0);
	seat_add(2, 0);
	seats_together(3);
	for (i = 0; i < 3; i++)
		seats[i].said_len = 0;
	seats_wait_s(3);
	for (i = 0; i < 3; i++)
		assert_true(seats_turn(has_said, &seats[i]));
	e = seats[0].keys.epoch;
	assert_int_equal(seats[1].said_epoch, e);
	assert_true(member_confirmed(seats[0].m, 0)); /* itself */
	assert_false(member_confirmed(seats[0].m, 1));
	for (i = 0; i < seats[1].said_len; i++)
		hears(&seats[0], &seats[1], e, 1, i);
	hears(&seats[0], &seats[1], e - 1, 1, seats[1].said_len);
	hears(&seats[0], &seats[1], e, 2, seats[1].said_len); /* another's */
	hears(&seats[0], &seats[1], e, 7, seats[1].said_len); /* nobody's */
	seats[2].said[3] ^= 1;
	hears(&seats[0], &seats[2], e, 2, seats[2].said_len);
	seats[2].said[3] ^= 1;
	assert_false(member_confirmed(seats[0].m, 1));
	assert_false(member_confirmed(seats[0].m, 2));
	hears(&seats[0], &seats[1], e, 1, seats[1].said_len);
	hears(&seats[0], &seats[2], e, 2, seats[2].said_len);
	assert_true(member_confirmed(seats[0].m, 1));
	assert_true(member_confirmed(seats[0].m, 2));

	/* who asks is answered */
	seats_wait_s(3);
	seats[0].said_len = seats[1].said_len = 0;
	member_ask_straight(seats[0].m);
	assert_int_equal(seats[0].said_len, 1);
	hears(&seats[1], &seats[0], e, 0, 1);
	assert_true(seats_turn(has_said, &seats[1]));
	assert_true(seats[1].said_len > 1);

	/* in the next epoch all begins anew */
	assert_int_equal(seat_remove(&seats[0], 2), 0);
	assert_false(member_confirmed(seats[0].m, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, seats_setup, seats_teardown)
		T(test_evicted),
		T(test_answers),
		T(straight),
	};

	return cmocka_run_group_tests(tests, seats_up, seats_down);
}
