/* SPDX-License-Identifier: MIT */
/* test_member - members of a group and a whole GMS: epochs, faults, restarts, time */
#include "seats.h"

#include <time.h>
#include <unistd.h>

#include "servers/datadir.h"

static int submit_kind(struct seat *s, enum group_kind kind)
{
	struct group_change c = {.kind = kind, .policy = &group_policy_default};

	return seat_submit(s, &c);
}

static bool is_out(void *arg)
{
	return member_state(((struct seat *)arg)->m) == MEMBER_OUT;
}

static bool is_behind(void *arg)
{
	return member_state(((struct seat *)arg)->m) == MEMBER_BEHIND;
}

static void add_all(void)
{
	for (int i = 1; i < SEATS; i++)
		seat_add(i, GROUP_ALL_RIGHTS);
	seats_together(SEATS);
}

static bool all_confirm(void *arg)
{
	struct seat *s = arg;
	size_t i, n = group_size(member_group(s->m)), k = 0;

	if (!s->answered)
		return false;
	for (i = 0; i < n; i++)
		k += member_confirmed(s->m, i);
	if (k == n)
		return true;
	s->answered = false;
	assert_true(member_prepare(s->m));
	return false;
}

static void test_life(void **state)
{
	struct group_keys before;
	uint32_t gone;

	(void)state;
	add_all();
	seats[0].answered = true;
	assert_true(seats_turn(all_confirm, &seats[0]));
	before = seats[3].keys;
	gone = member_index(seats[3].m);
	assert_int_equal(seat_remove(&seats[1], 3), 0);
	seats_together(3);
	assert_memory_not_equal(&before, &seats[0].keys, sizeof(before));
	assert_true(seats_turn(is_out, &seats[3]));
	assert_false(seats[3].has_keys);
	assert_null(member_keys(seats[3].m));
	assert_null(group_find(member_group(seats[0].m), gone));
	/* by the server's clock: RN1 is only ratcheted */
	before = seats[0].keys;
	assert_int_equal(
		follow_renew(gms,
			     ledger_find(gms->ledger, member_id(seats[0].m)),
			     true),
		0);
	seats_together(3);
	assert_memory_not_equal(&before, &seats[0].keys, sizeof(before));
	assert_int_equal(group_generation(member_group(seats[0].m)), 2);
	assert_int_equal(seats[0].saw | seats[1].saw | seats[2].saw, 0);
}

/* both wish before either knows of the other: the later one makes its wish anew */
static void test_two_at_once(void **state)
{
	uint32_t three, two;
	struct group_change c[2] = {{.kind = GROUP_REMOVE,
				     .reason = GROUP_REMOVED,
				     .gone = &three,
				     .n_gone = 1},
				    {.kind = GROUP_REMOVE,
				     .reason = GROUP_REMOVED,
				     .gone = &two,
				     .n_gone = 1}};

	(void)state;
	add_all();
	three = member_index(seats[3].m);
	two = member_index(seats[2].m);
	seats[1].done = 1;
	assert_int_equal(member_submit(seats[1].m, &c[1]), 0);
	assert_int_equal(member_submit(seats[1].m, &c[1]), -NTM_EAGAIN);
	assert_int_equal(seat_submit(&seats[0], &c[0]), 0);
	while (seats[1].done > 0)
		seats_step();
	assert_int_equal(seats[1].done, 0);
	seats_together(2);
	assert_int_equal(group_size(member_group(seats[0].m)), 2);
	/* the same once more: it is so already */
	assert_int_equal(seat_submit(&seats[0], &c[1]), 0);
}

static void test_leave(void **state)
{
	(void)state;
	add_all();
	/* one is away, and hears of it when it comes back */
	seat_offline(&seats[1]);
	assert_int_equal(member_leave(seats[3].m, false), 0);
	assert_false(seats[3].has_keys);
	assert_true(seats_turn(is_out, &seats[3]));
	/* nothing of it is left on its disk */
	assert_int_equal(memberstore_list(seats[3].store, NULL, 0), 0);
	while (group_size(member_group(seats[0].m)) == SEATS)
		seats_step();
	seat_online(&seats[1]);
	seats_together(3);
	assert_int_equal(group_generation(member_group(seats[0].m)), 2);
	/* who cannot be reached leaves later */
	seat_offline(&seats[2]);
	assert_int_equal(member_leave(seats[2].m, false), -NTM_ESTATE);
}

/* entries and shares wait at the server; a process that ended goes on from its store */
static void test_away(void **state)
{
	(void)state;
	add_all();
	seat_offline(&seats[2]);
	for (int i = 0; i < 5; i++)
		assert_int_equal(
			submit_kind(&seats[i % 2],
				    i == 3 ? GROUP_POLICY : GROUP_REFRESH),
			0);
	assert_int_equal(seat_remove(&seats[0], 3), 0);
	seats_gms_stop();
	stage_gms_start();
	for (int i = 0; i < 3; i++)
		seat_restart(&seats[i]);
	seats_together(3);
	assert_int_equal(submit_kind(&seats[2], GROUP_REFRESH), 0);
	seats_together(3);
}

/* it ends behind its submission, before the news: its own share is on its disk */
static void test_dies_with_a_wish(void **state)
{
	struct group_change c = {.kind = GROUP_REFRESH};
	uint64_t epoch;

	(void)state;
	add_all();
	epoch = seats[0].keys.epoch;
	assert_int_equal(member_submit(seats[0].m, &c), 0);
	while (seats[0].m->wish.state != WISH_SUBMITTED)
		seats_step();
	/* it has left our hands; nothing is heard any more */
	channel_finish(seats[0].channel);
	seats[0].channel = NULL;
	seats[0].open = false;
	while (group_epoch(member_group(seats[1].m)) == epoch)
		seats_step();
	seat_restart(&seats[0]);
	seats_together(SEATS);
	assert_int_equal(seats[0].keys.epoch, epoch + 1);
}

/* the server comes back with a store of yesterday: it is given what it lacks */
static void test_old_server(void **state)
{
	(void)state;
	seat_add(1, GROUP_ALL_RIGHTS);
	seats_gms_stop();
	stage_copy("gms/gms.db", "backup");
	stage_gms_start();
	seat_online(&seats[0]);
	seat_online(&seats[1]);
	seats_together(2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(submit_kind(&seats[0], i == 1 ? GROUP_POLICY
							       : GROUP_REFRESH),
				 0);
	seats_together(2);
	seats_gms_stop();
	stage_copy("backup", "gms/gms.db");
	stage_gms_start();
	/* that the server was further it knows by what is on its disk */
	seat_restart(&seats[1]);
	while (!seats[1].has_keys || seats[1].keys.epoch != 6)
		seats_step();
	assert_true(seats[1].saw & 1u << MEMBER_SAW_ROLLBACK);
	seat_online(&seats[0]);
	seats_together(2);
	assert_int_equal(submit_kind(&seats[0], GROUP_REFRESH), 0);
	seats_together(2);
}

/* its process is not there: its store can be copied */
static void seat_end(struct seat *s)
{
	seat_offline(s);
	member_free(s->m);
	s->m = NULL;
	s->has_keys = false;
	memberstore_close(s->store);
}

static void seat_begins(struct seat *s, const char *db, const uint8_t *id)
{
	char path[DATADIR_PATH_MAX];

	assert_int_equal(datadir_path(site.dir, db, path), 0);
	assert_int_equal(memberstore_open(path, NULL, &s->peer.id, &s->store),
			 0);
	s->setup.store = s->store;
	assert_int_equal(member_load(&s->setup, id, &s->m), 0);
	seat_online(s);
}

/* a member whose disk is of yesterday opens nothing: another one gives it a welcome */
static void test_old_member(void **state)
{
	uint8_t welcome[GROUP_WELCOME_MAX], id[GROUP_ID_LEN];
	struct seat *s = &seats[2];
	int giver = -1;
	size_t len;

	(void)state;
	add_all();
	memcpy(id, member_id(s->m), sizeof(id));
	seat_end(s);
	stage_copy("seat2.db", "yesterday");
	seat_begins(s, "seat2.db", id);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(submit_kind(&seats[0], GROUP_REFRESH), 0);
		seats_together(SEATS);
		seats[0].answered = true;
		assert_true(seats_turn(all_confirm, &seats[0]));
	}
	seat_end(s);
	stage_copy("yesterday", "seat2.db");
	assert_int_equal(submit_kind(&seats[0], GROUP_REFRESH), 0);
	seat_begins(s, "seat2.db", id);
	while (giver < 0) {
		seats_step();
		for (int i = 0; i < SEATS; i++)
			if (seats[i].wanted == member_index(s->m))
				giver = i;
	}
	assert_true(s->saw & 1u << MEMBER_SAW_SHUT_OUT);
	assert_int_equal(member_state(s->m), MEMBER_BEHIND);
	len = member_welcome(seats[giver].m, welcome);
	assert_int_not_equal(len, 0);
	/* not without having asked */
	assert_int_equal(member_rejoin(seats[1].m, welcome, len), -NTM_ESTATE);
	assert_int_equal(member_rejoin(s->m, welcome, len), 0);
	seats_together(SEATS);
	assert_int_equal(submit_kind(s, GROUP_REFRESH), 0);
	seats_together(SEATS);
}

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
	assert_int_equal(submit_kind(&seats[0], GROUP_REFRESH), 0);
	seat_online(&seats[1]);
	while (member_state(seats[1].m) != MEMBER_FORKED)
		seats_step();
	assert_true(seats[1].saw & 1u << MEMBER_SAW_FORK);
	assert_false(seats[1].has_keys);
	assert_int_equal(submit_kind(&seats[1], GROUP_REFRESH), -NTM_ESTATE);
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
	assert_int_equal(submit_kind(&seats[0], GROUP_REFRESH), 0);
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
	assert_int_equal(submit_kind(&seats[0], GROUP_REFRESH), 0);
	seats_together(2);
	assert_int_equal(member_told(seats[1].m, other, sizeof(other), 0),
			 -NTM_EFORK);
	assert_true(seats[1].saw & 1u << MEMBER_SAW_TWO_LOGS);
	assert_int_equal(member_state(seats[1].m), MEMBER_FORKED);
	assert_false(seats[1].has_keys);
	group_free(before);
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
	seats[1].tap = drop_news;
	assert_int_equal(submit_kind(&seats[0], GROUP_REFRESH), 0);
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
	/* and goes on when it comes */
	seats[1].tap = NULL;
	seat_online(&seats[1]);
	seats_together(2);
	seats_wait_s(11);
	assert_true(seats[1].has_keys);
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

/* the server is silent, and so are we from not_after on */
static void test_frozen(void **state)
{
	struct group_policy p = group_policy_default;
	struct group_change c = {.kind = GROUP_POLICY, .policy = &p};

	(void)state;
	p.renew_s = p.max_age_s = 100;
	p.refresh_s = 100000;
	seat_add(1, GROUP_ALL_RIGHTS);
	assert_int_equal(seat_submit(&seats[0], &c), 0);
	seats_together(2);
	seat_offline(&seats[1]);
	seats_wait_s(90);
	assert_true(seats[1].has_keys);
	seats_wait_s(11);
	assert_false(seats[1].has_keys);
	assert_int_equal(member_state(seats[1].m), MEMBER_FROZEN);
	assert_true(seats[1].saw & 1u << MEMBER_SAW_SILENT);
	/* who was connected heard nothing either; the server's word makes both go on */
	assert_int_equal(member_state(seats[0].m), MEMBER_FROZEN);
	seat_online(&seats[0]);
	seat_online(&seats[1]);
	seats_together(2);
}

/* RN1 is made anew by whose turn it is; where that one is away, by the next */
static void test_turn(void **state)
{
	struct group_policy p = group_policy_default;
	struct group_change c = {.kind = GROUP_POLICY, .policy = &p};
	uint32_t generation;
	int first, second;

	(void)state;
	p.renew_s = p.refresh_s = 100;
	assert_int_equal(seat_submit(&seats[0], &c), 0);
	seat_add(1, 0);
	seat_add(2, 0);
	seats_together(3);
	generation = group_generation(member_group(seats[0].m));
	first = 0;
	while (duty_turns(seats[first].m))
		first = (first + 1) % 3;
	second = duty_turns(seats[0].m) == 1   ? 0
		 : duty_turns(seats[1].m) == 1 ? 1
					       : 2;
	seat_offline(&seats[first]);
	seats_wait_s(100);
	for (int i = 0; i < 50; i++)
		seats_step();
	assert_int_equal(group_generation(member_group(seats[second].m)),
			 generation);
	seats_wait_s(MEMBER_TURN_S);
	for (int i = 0; i < 3; i++)
		if (!seats[i].open)
			seat_online(&seats[i]);
	while (group_generation(member_group(seats[first].m)) == generation)
		seats_step();
	seats_together(3);
	/* one of them did, once */
	assert_int_equal(group_generation(member_group(seats[0].m)),
			 generation + 1);
}

/* --- member to member --------------------------------------------------------------------- */

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
		T(straight),
		T(test_life),
		T(test_two_at_once),
		T(test_leave),
		T(test_away),
		T(test_old_server),
		T(test_dies_with_a_wish),
		T(test_old_member),
		T(test_evicted),
		T(test_answers),
		T(test_two_logs),
		T(test_held_back),
		T(test_whom),
		T(test_fork),
		T(test_clone),
		T(test_frozen),
		T(test_turn),
	};

	return cmocka_run_group_tests(tests, seats_up, seats_down);
}
