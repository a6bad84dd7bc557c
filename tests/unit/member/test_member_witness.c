/* SPDX-License-Identifier: MIT */
/* test_member_witness - a server that tells two pasts or keeps back, a copy of a device: noticed */
#include "seats.h"

#include <time.h>

static bool is_behind(void *arg)
{
	return member_state(((struct seat *)arg)->m) == MEMBER_BEHIND;
}

/* a server that tells one member another past than the others */
static void test_fork(void **state)
{
	struct group_change c = {.kind = GROUP_REFRESH};
	uint8_t entry[GROUP_ENTRY_MAX];
	struct ntmc_key share = {{1}};
	size_t len;

	(void)state;
	seat_add(1, GROUP_ALL_RIGHTS);
	c.share = &share;
	assert_int_equal(group_make(NULL, seats[1].m->g, &seats[1].peer.id, &c,
				    entry, &len, NULL),
			 0);
	assert_int_equal(group_apply(seats[1].m->g, entry, len, NULL), 0);
	assert_int_equal(seat_submit_kind(&seats[0], GROUP_REFRESH), 0);
	seat_online(&seats[1]);
	while (member_state(seats[1].m) != MEMBER_FORKED)
		seats_step();
	assert_true(seats[1].saw & 1u << MEMBER_SAW_FORK);
	assert_false(seats[1].has_keys);
	assert_int_equal(seat_submit_kind(&seats[1], GROUP_REFRESH),
			 -NTM_ESTATE);
}

/* the GMS's word on the epoch that @m would be in behind another refresh than the one that
 * the log has */
static void other_seal(struct seat *author, const struct group *before,
		       uint8_t seal[static GROUP_SEAL_LEN])
{
	struct group_change c = {.kind = GROUP_REFRESH};
	uint8_t entry[GROUP_ENTRY_MAX], state[8192];
	struct ntmc_key share = {{1}}, rn2 = {{2}};
	struct group *g;
	size_t len;

	assert_int_equal(group_save(before, state, sizeof(state), &len), 0);
	assert_int_equal(group_load(state, len, &g), 0);
	c.share = &share;
	assert_int_equal(
		group_make(NULL, g, &author->peer.id, &c, entry, &len, NULL),
		0);
	assert_int_equal(group_apply(g, entry, len, NULL), 0);
	assert_int_equal(group_seal_make(&gms->id, g, &rn2, time(NULL),
					 time(NULL) + 100, seal),
			 0);
	group_free(g);
}

/* a server that tells two logs, each of them right: members' seals prove it */
static void test_two_logs(void **state)
{
	uint8_t other[GROUP_SEAL_LEN], same[GROUP_SEAL_LEN], state_of[8192];
	uint8_t ids[1][GROUP_ID_LEN];
	struct group *before;
	size_t len;

	(void)state;
	seat_add(1, GROUP_ALL_RIGHTS);
	assert_int_equal(
		group_save(seats[0].m->g, state_of, sizeof(state_of), &len), 0);
	assert_int_equal(group_load(state_of, len, &before), 0);
	memcpy(same, member_seal(seats[0].m), sizeof(same));
	assert_int_equal(member_told(seats[1].m, same, sizeof(same), 0), 0);
	assert_int_equal(seat_submit_kind(&seats[0], GROUP_REFRESH), 0);
	seats_together(2);
	/* an old one of our own past proves nothing; nor does what is not the GMS's */
	assert_int_equal(member_told(seats[1].m, same, sizeof(same), 0),
			 -NTM_ESTATE);
	other_seal(&seats[0], before, other);
	other[40] ^= 1;
	assert_int_equal(member_told(seats[1].m, other, sizeof(other), 0),
			 -NTM_EAUTH);
	other[40] ^= 1;
	other[3] ^= 1;
	assert_int_equal(member_told(seats[1].m, other, sizeof(other), 0),
			 -NTM_ENOTFOUND);
	other[3] ^= 1;
	assert_int_equal(member_told(seats[1].m, other, sizeof(other) - 1, 0),
			 -NTM_EDECODE);
	assert_int_equal(member_state(seats[1].m), MEMBER_JOINED);
	assert_false(seats[1].saw & 1u << MEMBER_SAW_TWO_LOGS);
	/* behind another epoch it is found as well */
	assert_int_equal(seat_submit_kind(&seats[0], GROUP_REFRESH), 0);
	seats_together(2);
	assert_int_equal(member_told(seats[1].m, other, sizeof(other), 0),
			 -NTM_EFORK);
	assert_true(seats[1].saw & 1u << MEMBER_SAW_TWO_LOGS);
	assert_int_equal(member_state(seats[1].m), MEMBER_FORKED);
	assert_false(seats[1].has_keys);
	group_free(before);
	/* a start makes nothing of that good */
	seat_restart(&seats[1]);
	for (int i = 0; i < 100; i++)
		seats_step();
	assert_int_equal(member_state(seats[1].m), MEMBER_FORKED);
	assert_false(seats[1].has_keys);
	/* it is left without the server, which is believed nothing any more */
	seat_offline(&seats[1]);
	assert_int_equal(member_leave(seats[1].m, false), 0);
	assert_int_equal(member_state(seats[1].m), MEMBER_OUT);
	assert_int_equal(memberstore_list(seats[1].store, ids, 1), 0);
}

static bool has_no_keys(void *arg)
{
	return !((struct seat *)arg)->has_keys;
}

static uint8_t news[4096]; /* the last that was let through */
static size_t news_len;

static void keep_news(struct seat *s, const Ntm__Envelope *msg)
{
	if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_NEWS) {
		news_len = ntm__envelope__get_packed_size(msg);
		assert_true(news_len <= sizeof(news));
		ntm__envelope__pack(msg, news);
	}
	member_message(s->m, msg);
}

static bool has_come(void *arg)
{
	(void)arg;
	return news_len;
}

/* the server says its old word once more, and makes it anew for as long as it likes */
static void say_news(struct seat *s)
{
	Ntm__Envelope *msg = ntm__envelope__unpack(NULL, news_len, news);

	assert_non_null(msg);
	member_message(s->m, msg);
	ntm__envelope__free_unpacked(msg, NULL);
}

static void drop_news(struct seat *s, const Ntm__Envelope *msg)
{
	if (msg->body_case != NTM__ENVELOPE__BODY_GROUP_NEWS)
		member_message(s->m, msg);
}

/* a server that keeps an epoch from one member, whose old seal it makes anew */
static void test_held_back(void **state)
{
	uint8_t seal[GROUP_SEAL_LEN];

	(void)state;
	seat_add(1, GROUP_ALL_RIGHTS);
	news_len = 0;
	seats[1].tap = keep_news;
	seat_restart(&seats[1]);
	assert_true(seats_turn(has_come, NULL));
	assert_true(seats[1].has_keys);
	seats[1].tap = drop_news;
	assert_int_equal(seat_submit_kind(&seats[0], GROUP_REFRESH), 0);
	while (!seats[0].has_keys ||
	       group_epoch(member_group(seats[0].m)) ==
		       group_epoch(member_group(seats[1].m)))
		seats_step();
	memcpy(seal, member_seal(seats[0].m), sizeof(seal));
	assert_int_equal(member_told(seats[1].m, seal, sizeof(seal), 0),
			 -NTM_EAGAIN);
	seats_wait_s(9);
	assert_true(seats[1].has_keys);
	seats_wait_s(2);
	assert_true(seats_turn(has_no_keys, &seats[1]));
	assert_int_equal(member_state(seats[1].m), MEMBER_FROZEN);
	assert_true(seats[1].saw & 1u << MEMBER_SAW_HELD_BACK);
	/* a start makes the old epoch no better */
	seat_restart(&seats[1]);
	assert_int_equal(member_state(seats[1].m), MEMBER_FROZEN);
	say_news(&seats[1]);
	assert_int_equal(member_state(seats[1].m), MEMBER_FROZEN);
	assert_false(seats[1].has_keys);
	/* and goes on when it comes */
	seats[1].tap = NULL;
	seat_online(&seats[1]);
	seats_together(2);
	assert_int_equal(member_state(seats[1].m), MEMBER_JOINED);
	seats_wait_s(11);
	assert_true(seats[1].has_keys);
	seat_restart(&seats[1]);
	assert_false(seats[1].m->held_back);
	assert_int_equal(seats[1].m->told_epoch, 0);
	seats_together(2);
}

/* one that was shown just before we ended is waited for, too */
static void test_told_before(void **state)
{
	uint8_t seal[GROUP_SEAL_LEN];

	(void)state;
	seat_add(1, GROUP_ALL_RIGHTS);
	news_len = 0;
	seats[1].tap = keep_news;
	seat_restart(&seats[1]);
	assert_true(seats_turn(has_come, NULL));
	seats[1].tap = drop_news;
	assert_int_equal(seat_submit_kind(&seats[0], GROUP_REFRESH), 0);
	memcpy(seal, member_seal(seats[0].m), sizeof(seal));
	assert_int_equal(member_told(seats[1].m, seal, sizeof(seal), 0),
			 -NTM_EAGAIN);
	seats_wait_s(1);
	seat_restart(&seats[1]);
	say_news(&seats[1]);
	assert_true(seats[1].has_keys);
	seats_wait_s(11);
	assert_true(seats_turn(has_no_keys, &seats[1]));
	assert_true(seats[1].saw & 1u << MEMBER_SAW_HELD_BACK);
	assert_int_equal(member_state(seats[1].m), MEMBER_FROZEN);
}

/* whom a server tells another log than the rest is shown theirs, for sure */
static void test_whom(void **state)
{
	static const size_t sizes[] = {2, 3, 10};
	size_t i, n, at, few, to;
	unsigned int shown;
	uint64_t round;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		n = sizes[i];
		/* of one epoch: each is shown one seal, of somebody else */
		for (round = 5; round < 5 + 3 * n; round++) {
			for (shown = 0, at = 0; at < n; at++) {
				to = member_whom(at, n, round);
				assert_int_not_equal(to, at);
				shown |= 1u << to;
			}
			assert_int_equal(shown, (1u << n) - 1);
		}
		/* the first few are told another log: each of them has shown its own
		 * to one of the rest after so many rounds, from wherever it began */
		for (few = 1; few < n; few++)
			for (at = 0; at < few * n; at++) {
				for (round = 0, to = 0;
				     round <= few && to < few; round++)
					to = member_whom(at % few, n,
							 at / few + round);
				assert_true(round <= few);
			}
	}
}

/* a copy of a device comes by: the earlier connection is told, and uses nothing */
static void test_clone(void **state)
{
	static struct seat copy;
	uint8_t id[GROUP_ID_LEN];

	(void)state;
	seat_add(1, GROUP_ALL_RIGHTS);
	copy = seats[1];
	copy.channel = NULL;
	copy.open = copy.has_keys = false;
	copy.setup.arg = &copy;
	memcpy(id, member_id(seats[1].m), sizeof(id));
	assert_int_equal(member_load(&copy.setup, id, &copy.m), 0);
	seat_online(&copy);
	assert_true(seats_turn(is_behind, &seats[1]));
	assert_true(seats[1].saw & 1u << MEMBER_SAW_CLONE);
	assert_false(seats[1].has_keys);
	seat_offline(&copy);
	member_free(copy.m);
	/* it wrote another group prekey, and serial, into the store that both have */
	seat_restart(&seats[1]);
	seats_together(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, seats_setup, seats_teardown)
		T(test_fork),	     T(test_two_logs), T(test_held_back),
		T(test_told_before), T(test_whom),     T(test_clone),
	};

	return cmocka_run_group_tests(tests, seats_up, seats_down);
}
