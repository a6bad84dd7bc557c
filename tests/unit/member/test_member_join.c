/* SPDX-License-Identifier: MIT */
/* test_member_join - who is let in, and comes when the group has gone on */
#include "seats.h"

/* seat 1 has a welcome, with its own prekey or another one, and says hello */
static void join(const uint8_t *welcome, size_t len,
		 const struct member_prekey *k)
{
	assert_int_equal(
		member_join(&seats[1].setup, welcome, len, k, 1, &seats[1].m),
		0);
	seat_online(&seats[1]);
}

/* the welcome is of an epoch that two generations have followed before it is there: it
 * has a part of each, as the entry that named it brought its prekey */
static void test_late(void **state)
{
	uint8_t welcome[GROUP_WELCOME_MAX];
	struct member_prekey k;
	size_t len;

	(void)state;
	seat_add(2, 0);
	len = seat_named(1, 0, &k, welcome);
	assert_int_equal(seat_submit_kind(&seats[0], GROUP_REFRESH), 0);
	/* what the server has of it is on its disk, with the entry */
	seats_gms_stop();
	stage_gms_start();
	seat_online(&seats[0]);
	seat_online(&seats[2]);
	assert_int_equal(seat_remove(&seats[0], 2), 0);
	join(welcome, len, &k);
	seats_together(2);
	assert_int_equal(seats[1].saw, 0);
	/* and of those that follow */
	assert_int_equal(seat_submit_kind(&seats[0], GROUP_REFRESH), 0);
	seats_together(2);
}

static bool saw_late(void *arg)
{
	return ((struct seat *)arg)->saw & 1u << MEMBER_SAW_LATE;
}

/* its inviter has told the server of no prekey, as older programs do: it says so, and the
 * person can end it */
static void test_late_without_prekey(void **state)
{
	struct seat *s = &seats[1];
	struct group_joiner j = {.fqdn = s->peer.fqdn};
	struct group_change c = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	uint8_t welcome[GROUP_WELCOME_MAX];
	struct member_prekey k;
	size_t len;

	(void)state;
	ntmc_random(NULL, j.token, sizeof(j.token));
	memcpy(j.ed_pub, s->peer.id.ed_pub, sizeof(j.ed_pub));
	assert_int_equal(seat_submit(&seats[0], &c), 0);
	len = member_welcome(seats[0].m, welcome);
	assert_int_equal(seat_submit_kind(&seats[0], GROUP_REFRESH), 0);
	ntmc_x25519_keygen(NULL, &k.priv, k.pub);
	join(welcome, len, &k);
	assert_true(seats_turn(saw_late, s));
	assert_int_equal(s->saw, 1u << MEMBER_SAW_LATE);
	assert_int_equal(member_state(s->m), MEMBER_BEHIND);
	assert_int_equal(member_leave(s->m, false), -NTM_ESTATE);
	assert_int_equal(member_leave(s->m, true), 0);
	assert_int_equal(member_state(s->m), MEMBER_OUT);
	assert_int_equal(memberstore_list(s->store, NULL, 0), 0);
}

static bool is_joined(void *arg)
{
	return member_state(((struct seat *)arg)->m) == MEMBER_JOINED;
}

static bool is_given_back(void *arg)
{
	return group_size(ledger_state(
		       ledger_find(gms->ledger, member_id(seats[0].m)))) == 2 &&
	       is_joined(arg);
}

/* a server restored from a backup of before it came says that it is no member: it waits
 * until others have told the server, and has wiped nothing */
static void test_server_of_before(void **state)
{
	struct seat *s = &seats[1];

	(void)state;
	seats_gms_stop();
	stage_copy("gms/gms.db", "backup");
	stage_gms_start();
	seat_online(&seats[0]);
	seats_together(1);
	seat_add(1, GROUP_ALL_RIGHTS);
	seats_together(2);
	seats_gms_stop();
	stage_copy("backup", "gms/gms.db");
	stage_gms_start();
	s->saw = 0;
	seat_online(s);
	for (int i = 0; i < 300; i++)
		seats_step();
	assert_int_equal(member_state(s->m), MEMBER_BEHIND);
	assert_true(s->saw & 1u << MEMBER_SAW_ROLLBACK);
	seat_online(&seats[0]);
	assert_true(seats_turn(is_given_back, &seats[0]));
	assert_int_equal(member_state(s->m), MEMBER_BEHIND);
	seats_wait_s(MEMBER_LATER_S + 1);
	assert_true(seats_turn(is_joined, s));
	assert_int_equal(group_size(member_group(seats[0].m)), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, seats_setup, seats_teardown)
		T(test_late),
		T(test_late_without_prekey),
		T(test_server_of_before),
	};

	return cmocka_run_group_tests(tests, seats_up, seats_down);
}
