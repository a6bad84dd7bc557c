/* SPDX-License-Identifier: MIT */
/*
 * test_member_prekey - whom no share can be sealed to: it keeps no entry from being made,
 * least of all its own removal
 */
#include "seats.h"

static void add_all(void)
{
	for (int i = 1; i < SEATS; i++)
		seat_add(i, GROUP_ALL_RIGHTS);
	seats_together(SEATS);
}

static const struct ledger_person *at_server(const struct seat *s)
{
	return ledger_person(ledger_find(gms->ledger, member_id(s->m)),
			     member_index(s->m));
}

static void steps(int n)
{
	while (n--)
		seats_step();
}

/* rightly signed, and of low order: nobody can seal to it */
static void make_weak(struct seat *s)
{
	memset(s->m->own.prekey[0].pub, 0, NTMC_KEY_LEN);
	s->m->own.serial += 5;
}

static int refresh(struct seat *s)
{
	struct group_change c = {.kind = GROUP_REFRESH};

	return seat_submit(s, &c);
}

static void test_weak(void **state)
{
	struct seat *s = &seats[2];
	struct group_prekey weak = {.serial = 0};
	struct ledger_person *p;
	uint64_t serial;

	(void)state;
	add_all();
	serial = at_server(s)->serial;
	make_weak(s);
	seat_online(s);
	steps(200);
	assert_int_equal(at_server(s)->serial, serial);
	/* a server that takes it, or makes itself the accomplice */
	p = (struct ledger_person *)at_server(s);
	weak.serial = p->serial + 1;
	group_prekey_sign(s->m->s.id, member_id(s->m), &weak);
	group_prekey_put(&weak, p->prekey);
	p->serial++;
	seats[0].saw = 0;
	assert_int_equal(refresh(&seats[0]), 0);
	assert_true(seats[0].saw & 1u << MEMBER_SAW_PREKEY);
	assert_int_equal(seat_remove(&seats[0], 3), 0);
	assert_int_equal(seat_remove(&seats[0], 2), 0);
	assert_int_equal(group_size(member_group(seats[0].m)), SEATS - 2);
}

/* of a GMS restored from a backup, and of who is away: older than one that we have seen */
static void test_older(void **state)
{
	struct seat *s = &seats[2];

	(void)state;
	add_all();
	seats_gms_stop();
	stage_copy("gms/gms.db", "backup");
	stage_gms_start();
	for (int i = 0; i < SEATS; i++)
		seat_online(&seats[i]);
	seats_together(SEATS);
	assert_int_equal(refresh(&seats[0]), 0);
	seats_together(SEATS);
	steps(300);
	assert_true(member_prepare(seats[0].m));
	steps(100);
	seat_offline(s);
	seats_gms_stop();
	stage_copy("backup", "gms/gms.db");
	stage_gms_start();
	seat_online(&seats[0]);
	seat_online(&seats[1]);
	steps(300);
	assert_int_equal(seat_remove(&seats[0], 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, seats_setup, seats_teardown)
		T(test_weak),
		T(test_older),
	};

	return cmocka_run_group_tests_name("member-prekey", tests, seats_up,
					   seats_down);
}
