/* SPDX-License-Identifier: MIT */
/*
 * test_member_faults - what a server that lies, or repeats itself, makes a member do:
 * nothing; who is cut off while others change the group; clocks that jump
 */
#include "seats.h"

#include "common/datagram.h"

#define SAID_MAX 64
#define YEARS_10 (10 * 365 * 86400)

/* all news that seat 1 was told, packed */
static struct {
	uint8_t *b;
	size_t len;
} said[SAID_MAX];
static size_t n_said;
static bool withheld;

static void keep(struct seat *s, const Ntm__Envelope *msg)
{
	if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_NEWS) {
		assert_true(n_said < SAID_MAX);
		said[n_said].len =
			protobuf_c_message_get_packed_size(&msg->base);
		said[n_said].b = malloc(said[n_said].len);
		assert_non_null(said[n_said].b);
		protobuf_c_message_pack(&msg->base, said[n_said].b);
		n_said++;
	}
	if (!withheld)
		member_message(s->m, msg);
}

static Ntm__Envelope *said_again(size_t i)
{
	ProtobufCMessage *msg;

	assert_int_equal(datagram_unpack(&ntm__envelope__descriptor, said[i].b,
					 said[i].len, &msg),
			 0);
	return (Ntm__Envelope *)msg;
}

static int setup(void **state)
{
	n_said = 0;
	withheld = false;
	return seats_setup(state);
}

static int teardown(void **state)
{
	while (n_said)
		free(said[--n_said].b);
	return seats_teardown(state);
}

static int submit_kind(struct seat *s, enum group_kind kind)
{
	struct group_change c = {.kind = kind, .policy = &group_policy_default};

	return seat_submit(s, &c);
}

/* --- replayed --------------------------------------------------------------------------- */

/* each of all that was ever said, once more: never a key of before, nor another one of
 * now; and the server's next word makes it good */
static void test_replayed(void **state)
{
	struct seat *s = &seats[1];
	struct group_keys now;

	(void)state;
	seat_add(1, GROUP_ALL_RIGHTS);
	seat_add(2, GROUP_ALL_RIGHTS);
	s->tap = keep;
	for (int i = 0; i < 6; i++) {
		assert_int_equal(
			submit_kind(&seats[i & 2],
				    i % 3 ? GROUP_REFRESH : GROUP_POLICY),
			0);
		seats_together(3);
	}
	s->tap = NULL;
	now = s->keys;
	assert_true(n_said >= 6);
	for (size_t i = 0; i < 2 * n_said; i++) {
		size_t which = i < n_said ? i : 2 * n_said - 1 - i;
		Ntm__Envelope *msg = said_again(which);

		member_message(s->m, msg);
		datagram_free(&msg->base);
		assert_int_equal(group_epoch(member_group(s->m)), now.epoch);
		assert_true(!s->has_keys ||
			    !memcmp(&s->keys, &now, sizeof(now)));
		if (s->has_keys)
			continue;
		assert_int_equal(member_state(s->m), MEMBER_BEHIND);
		seat_online(s);
		seats_together(3);
	}
	assert_int_equal(submit_kind(s, GROUP_REFRESH), 0);
	seats_together(3);
}

/* --- forged ------------------------------------------------------------------------------- */

/* the news that seat 1 has not been given: an entry with a share, and RN2 */
static Ntm__Envelope *held_back(struct seat *s)
{
	uint64_t epoch = s->keys.epoch;
	size_t at = n_said;

	s->tap = keep;
	withheld = true;
	assert_int_equal(submit_kind(&seats[0], GROUP_REFRESH), 0);
	while (n_said == at)
		seats_step();
	assert_int_equal(group_epoch(member_group(s->m)), epoch);
	return said_again(at);
}

/* @msg as it is now, to a member that has just started, and named its login */
static void told(struct seat *s, const uint8_t *id, const Ntm__Envelope *msg)
{
	member_free(s->m);
	s->m = NULL;
	s->has_keys = false;
	s->saw = 0;
	assert_int_equal(member_load(&s->setup, id, &s->m), 0);
	assert_true(s->setup.login(s->setup.arg, &s->m->login));
	member_message(s->m, msg);
}

static void refused(struct seat *s, const uint8_t *id, const Ntm__Envelope *msg)
{
	told(s, id, msg);
	assert_false(s->has_keys);
	assert_null(member_keys(s->m));
	assert_true(s->saw);
}

static void each_byte(struct seat *s, const uint8_t *id,
		      const Ntm__Envelope *msg, ProtobufCBinaryData *of,
		      size_t step)
{
	assert_true(of->len > 0);
	for (size_t i = 0; i < of->len; i += step) {
		of->data[i] ^= 1;
		refused(s, id, msg);
		of->data[i] ^= 1;
	}
}

static void test_forged(void **state)
{
	struct seat *s = &seats[1];
	uint8_t id[GROUP_ID_LEN];
	Ntm__GroupNews *n;
	Ntm__Envelope *msg, *before;
	ProtobufCBinaryData kept;

	(void)state;
	seat_add(1, GROUP_ALL_RIGHTS);
	memcpy(id, member_id(s->m), sizeof(id));
	s->tap = keep;
	assert_int_equal(submit_kind(&seats[0], GROUP_REFRESH), 0);
	seats_together(2);
	before = said_again(n_said - 1);
	msg = held_back(s);
	seat_offline(s);
	n = msg->group_news;
	assert_int_equal(n->n_entries, 1);
	/* the log; then the share, to which it commits */
	each_byte(s, id, msg, &n->entries[0]->entry, 1);
	each_byte(s, id, msg, &n->entries[0]->sealer, 4);
	each_byte(s, id, msg, &n->entries[0]->part, 4);
	/* RN2 of before, with its seal and without; and this one's, touched */
	kept = n->rn2_sealed;
	n->rn2_sealed = before->group_news->rn2_sealed;
	refused(s, id, msg);
	n->rn2_sealed = kept;
	kept = n->seal;
	n->seal = before->group_news->seal;
	refused(s, id, msg);
	n->seal = kept;
	each_byte(s, id, msg, &n->seal, 1);
	each_byte(s, id, msg, &n->rn2_sealed, 1);
	/* as it is, it was good */
	told(s, id, msg);
	assert_int_equal(s->saw, 0);
	assert_true(s->has_keys);
	assert_int_equal(s->keys.epoch, seats[0].keys.epoch);
	datagram_free(&before->base);
	datagram_free(&msg->base);
	s->tap = NULL;
	seat_online(s);
	seats_together(2);
}

/* --- too early ------------------------------------------------------------------------- */

/* who joins has a welcome, and no log: whatever the server says before that */
static void test_early(void **state)
{
	struct seat *s = &seats[1];
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupLeave leave = NTM__GROUP_LEAVE__INIT;
	Ntm__GroupWant want = NTM__GROUP_WANT__INIT;
	Ntm__GroupAnswer answer = NTM__GROUP_ANSWER__INIT;
	uint8_t welcome[GROUP_WELCOME_MAX], sig[NTMC_SIG_LEN] = {1};
	struct member_prekey k;
	size_t len;

	(void)state;
	len = seat_named(1, 0, &k, welcome);
	assert_int_equal(member_join(&s->setup, welcome, len, &k, 1, &s->m), 0);
	leave.group = member_bytes(member_id(s->m), GROUP_ID_LEN);
	leave.signature = member_bytes(sig, sizeof(sig));
	e.body_case = NTM__ENVELOPE__BODY_GROUP_LEAVE;
	e.group_leave = &leave;
	member_message(s->m, &e); /* of a member that went meanwhile */
	want.group = leave.group;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_WANT;
	e.group_want = &want;
	member_message(s->m, &e);
	answer.group = leave.group;
	answer.last = true;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_ANSWER;
	e.group_answer = &answer;
	member_message(s->m, &e);
	assert_int_equal(member_state(s->m), MEMBER_BEHIND);
	seat_online(s);
	seats_together(2);
}

/* --- cut off -------------------------------------------------------------------------------- */

/* who is cut off while somebody is removed goes on with its key, as it cannot know, until
 * the last word of the server ends; others have another key by then, and it, too, when it
 * is back. What it wished meanwhile is made then, without what others have done */
static void test_partitioned(void **state)
{
	struct seat *cut = &seats[1];
	struct group_change c = {
		.kind = GROUP_REMOVE, .reason = GROUP_REMOVED, .n_gone = 1};
	struct group_keys old;
	uint32_t gone;

	(void)state;
	for (int i = 1; i < SEATS; i++)
		seat_add(i, GROUP_ALL_RIGHTS);
	seats_together(SEATS);
	old = cut->keys;
	gone = member_index(seats[3].m);
	c.gone = &gone;
	seat_offline(cut);
	assert_int_equal(seat_remove(&seats[0], 3), 0);
	while (seats[2].keys.epoch != seats[0].keys.epoch)
		seats_step();
	assert_memory_not_equal(&seats[0].keys, &old, sizeof(old));
	assert_null(group_find(member_group(seats[2].m), gone));
	/* the same wish, of who cannot know: it waits */
	cut->done = 1;
	assert_int_equal(member_submit(cut->m, &c), 0);
	assert_true(cut->has_keys);
	assert_memory_equal(&cut->keys, &old, sizeof(old));
	assert_int_equal(cut->done, 1);
	/* two hours, the longest that a seal is good for by itself */
	seats_wait_s(group_policy_default.max_age_s + 1);
	assert_false(cut->has_keys);
	assert_int_equal(member_state(cut->m), MEMBER_FROZEN);
	assert_true(cut->saw & 1u << MEMBER_SAW_SILENT);
	/* the others had no connection either, and come back with it */
	for (int i = 0; i < 3; i++) {
		seat_offline(&seats[i]);
		seat_online(&seats[i]);
	}
	while (cut->done > 0)
		seats_step();
	assert_int_equal(cut->done, 0);
	seats_together(3);
	assert_int_equal(group_size(member_group(cut->m)), 3);
}

/* --- clocks ------------------------------------------------------------------------------------ */

/* it is ten years ahead, ten back: no key ends, and none is made */
static void test_wall_clock(void **state)
{
	static const int64_t jumps[] = {YEARS_10, -YEARS_10, 0};
	struct group_keys before;

	(void)state;
	seat_add(1, GROUP_ALL_RIGHTS);
	seats_together(2);
	before = seats[1].keys;
	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		seats_set_wall(jumps[i]);
		for (int k = 0; k < 20; k++)
			seats_step();
		assert_true(seats[0].has_keys && seats[1].has_keys);
		assert_memory_equal(&seats[1].keys, &before, sizeof(before));
	}
	assert_int_equal(submit_kind(&seats[1], GROUP_REFRESH), 0);
	seats_together(2);
	assert_int_equal(seats[0].saw | seats[1].saw, 0);
}

/* the server's: its seals are measured with its own time, and with that alone */
static void test_server_clock(void **state)
{
	struct seat *s = &seats[1];
	uint8_t id[GROUP_ID_LEN];
	Ntm__Envelope *msg;

	(void)state;
	seat_add(1, GROUP_ALL_RIGHTS);
	memcpy(id, member_id(s->m), sizeof(id));
	msg = held_back(s);
	seat_offline(s);
	msg->group_news->now += YEARS_10;
	refused(s, id, msg);
	msg->group_news->now -= 2 * YEARS_10;
	refused(s, id, msg);
	msg->group_news->now += YEARS_10;
	told(s, id, msg);
	assert_true(s->has_keys);
	datagram_free(&msg->base);
	s->tap = NULL;
	seat_online(s);
	seats_together(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_early),	     T(test_replayed),	 T(test_forged),
		T(test_partitioned), T(test_wall_clock), T(test_server_clock),
	};

	return cmocka_run_group_tests_name("member-faults", tests, seats_up,
					   seats_down);
}
