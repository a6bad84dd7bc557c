/* SPDX-License-Identifier: MIT */
/* test_member - members of a group and a whole GMS: epochs, faults, restarts, time */
#include "seats.h"

#include "servers/datadir.h"

static bool is_out(void *arg)
{
	return member_state(((struct seat *)arg)->m) == MEMBER_OUT;
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
				     .n_gone = 1}},
			    refresh = {.kind = GROUP_REFRESH};

	(void)state;
	add_all();
	three = member_index(seats[3].m);
	two = member_index(seats[2].m);
	seats[1].done = 1;
	assert_int_equal(member_submit(seats[1].m, &c[1]), 0);
	assert_int_equal(member_submit(seats[1].m, &refresh), -NTM_EAGAIN);
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

/* the wish is lost with the connection, and its process ends: it is said again, and the
 * device has no key meanwhile */
static void test_leave_lost(void **state)
{
	struct seat *s = &seats[3];

	(void)state;
	add_all();
	assert_int_equal(member_leave(s->m, false), 0);
	seat_offline(s);
	assert_int_equal(memberstore_list(s->store, NULL, 0), 1);
	seat_restart(s);
	assert_true(member_is_leaving(s->m));
	assert_int_equal(s->m->own.secret.rn1.b[0] | s->m->own.secret.rn1.b[1],
			 0);
	assert_true(seats_turn(is_out, s));
	assert_false(s->has_keys);
	assert_int_equal(memberstore_list(s->store, NULL, 0), 0);
	while (group_size(member_group(seats[0].m)) == SEATS)
		seats_step();
}

/* entries and shares wait at the server; a process that ended goes on from its store */
static void test_away(void **state)
{
	(void)state;
	add_all();
	seat_offline(&seats[2]);
	for (int i = 0; i < 5; i++)
		assert_int_equal(
			seat_submit_kind(&seats[i % 2],
					 i == 3 ? GROUP_POLICY : GROUP_REFRESH),
			0);
	assert_int_equal(seat_remove(&seats[0], 3), 0);
	seats_gms_stop();
	stage_gms_start();
	for (int i = 0; i < 3; i++)
		seat_restart(&seats[i]);
	seats_together(3);
	assert_int_equal(seat_submit_kind(&seats[2], GROUP_REFRESH), 0);
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
		assert_int_equal(
			seat_submit_kind(&seats[0],
					 i == 1 ? GROUP_POLICY : GROUP_REFRESH),
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
	assert_int_equal(seat_submit_kind(&seats[0], GROUP_REFRESH), 0);
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

static bool prekey_told(void *arg)
{
	const struct seat *s = arg;
	const struct ledger_group *lg =
		ledger_find(gms->ledger, member_id(s->m));

	return !s->m->own.used &&
	       ledger_person(lg, member_index(s->m))->serial ==
		       s->m->own.serial;
}

static bool wants(void *arg)
{
	return ((struct seat *)arg)->m->wants;
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
		assert_int_equal(seat_submit_kind(&seats[0], GROUP_REFRESH), 0);
		seats_together(SEATS);
		seats[0].answered = true;
		assert_true(seats_turn(all_confirm, &seats[0]));
	}
	seat_end(s);
	stage_copy("yesterday", "seat2.db");
	assert_int_equal(seat_submit_kind(&seats[0], GROUP_REFRESH), 0);
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
	/* on its way for so long that a generation has followed it */
	assert_int_equal(seat_submit_kind(&seats[1], GROUP_REFRESH), 0);
	assert_int_equal(member_rejoin(s->m, welcome, len), 0);
	assert_true(seats_turn(wants, s));
	len = member_welcome(seats[1].m, welcome);
	/* nobody's disk is back within the second in which it was lost */
	for (int64_t lost = ntmc_now(NULL); ntmc_now(NULL) == lost;)
		seats_step();
	assert_int_equal(member_rejoin(s->m, welcome, len), 0);
	seats_together(SEATS);
	/* the others have a prekey of it again that it has, too */
	assert_true(seats_turn(prekey_told, s));
	s->saw = 0;
	assert_int_equal(seat_submit_kind(&seats[1], GROUP_REFRESH), 0);
	seats_together(SEATS);
	assert_int_equal(seat_submit_kind(s, GROUP_REFRESH), 0);
	seats_together(SEATS);
	assert_int_equal(s->saw, 0);
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
	/* a machine that sleeps: its clock stands still, the seal's time does not */
	seat_online(&seats[0]);
	seat_online(&seats[1]);
	seats_together(2);
	seat_offline(&seats[1]);
	member_slept(seats[1].m, 60);
	assert_true(seats[1].has_keys);
	member_slept(seats[1].m, 60);
	assert_int_equal(member_state(seats[1].m), MEMBER_FROZEN);
	assert_false(seats[1].has_keys);
	seats_wait_s(101);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, seats_setup, seats_teardown)
		T(test_life),
		T(test_two_at_once),
		T(test_leave),
		T(test_leave_lost),
		T(test_away),
		T(test_old_server),
		T(test_dies_with_a_wish),
		T(test_old_member),
		T(test_frozen),
		T(test_turn),
	};

	return cmocka_run_group_tests(tests, seats_up, seats_down);
}
