/* SPDX-License-Identifier: MIT */
/* test_gms_relay - a group's relay: from the GMS by the DC to an RS, and to members */
#include <string.h>

#include <endian.h>

#include "common/datagram.h"
#include "gms_rig.h"
#include "played_rs.h"

static struct played_rs rs, rs2;

static int setup(void **state)
{
	site.conf.gms_relay_from = 2;
	played_new(&rs, &site, NTMC_ROLE_RS);
	played_new(&rs2, &site, NTMC_ROLE_RS);
	return rig_setup(state);
}

static int teardown(void **state)
{
	rig_teardown(state);
	played_free(&rs);
	played_free(&rs2);
	/* relays of the test before are not to be asked */
	site_stop_dc(&site);
	site_start_dc(&site);
	return 0;
}

static bool is_linked(void *arg)
{
	(void)arg;
	return replica_is_linked(gms->replica);
}

static uint64_t epoch(void)
{
	return group_epoch(ledger_state(ledger_find(gms->ledger, gid)));
}

/* @arg: a member, who has been told of the relay of this epoch */
static bool is_told(void *arg)
{
	const struct gms_member *who = arg;

	return who->n_relays && who->relay_epoch == epoch() &&
	       who->relay_addresses;
}

static void start(void)
{
	assert_true(site_wait(&site, is_linked, NULL));
	played_start(&rs);
}

/* what @p was directed is what member @who was told, and has of RN2 itself */
static void assert_agreed(const struct played_rs *p, struct gms_member *who,
			  uint32_t place)
{
	struct ntmc_key key, bind;
	uint64_t tag;

	assert_true(site_wait(&site, is_told, who));
	memcpy(&tag, who->keys.tag, sizeof(tag));
	assert_int_equal(p->group_tag, be64toh(tag));
	assert_memory_equal(p->relay_key, who->keys.relay.b, NTMC_KEY_LEN);
	assert_int_equal(who->relay_place, place);
	assert_int_equal(ntohs(who->relay_at.in4.sin_port), p->port);
	memcpy(bind.b, p->bind_key, sizeof(bind.b));
	assert_int_equal(
		datagram_place_secret(&bind, p->group_tag, place, &key), 0);
	assert_memory_equal(who->relay_key, key.b, NTMC_KEY_LEN);
}

static void all_are_told(void **state)
{
	uint64_t tag;

	(void)state;
	start();
	assert_int_equal(rig_add(1), 0);
	assert_agreed(&rs, &m[0], 0);
	assert_agreed(&rs, &m[1], 1);
	assert_int_equal(rs.places, 2);
	assert_int_equal(rs.group_lifetime_s, REPLICA_LIFETIME_S);
	assert_string_equal(rs.group_account, "person0");
	assert_int_equal(replica_count(gms->replica), 1);
	/* another epoch: another tag, another key */
	tag = rs.group_tag;
	assert_int_equal(rig_add(2), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_agreed(&rs, &m[i], i);
	assert_int_equal(rs.places, 3);
	assert_true(rs.group_tag != tag);
	/* who comes again hears it again */
	m[1].n_relays = 0;
	rig_connect_anew(1);
	gms_member_hello(&m[1]);
	assert_agreed(&rs, &m[1], 1);
}

/* places follow the members that are left; who has gone is told nothing of it */
static void who_was_removed_has_no_place(void **state)
{
	uint8_t was[NTMC_KEY_LEN];

	(void)state;
	start();
	for (int i = 1; i < N; i++)
		assert_int_equal(rig_add(i), 0);
	assert_agreed(&rs, &m[3], 3);
	memcpy(was, rs.bind_key, sizeof(was));
	assert_int_equal(rig_remove_one(0, 1), 0);
	for (int i = 0; i < N; i++)
		if (i != 1)
			rig_wait_key(&m[i]);
	assert_agreed(&rs, &m[0], 0);
	assert_agreed(&rs, &m[2], 1);
	assert_agreed(&rs, &m[3], 2);
	assert_int_equal(rs.places, 3);
	assert_memory_not_equal(rs.bind_key, was, sizeof(was));
	assert_true(m[1].relay_epoch < epoch());
}

static void a_small_group_has_none(void **state)
{
	(void)state;
	site.conf.gms_relay_from = 3;
	start();
	assert_int_equal(rig_add(1), 0);
	rig_assert_together(2);
	rig_ask_people(&m[0]);
	assert_int_equal(m[0].n_relays + m[1].n_relays, 0);
	assert_int_equal(rig_add(2), 0);
	assert_agreed(&rs, &m[0], 0);
	assert_int_equal(rs.n_groups, 1);
}

/* one that says nothing, then one that refuses: the other one has it */
static void another_relay(void **state)
{
	struct group_change c = {.kind = GROUP_REFRESH};
	bool silent[2] = {true, false};

	(void)state;
	start();
	played_start(&rs2);
	assert_int_equal(rig_add(1), 0);
	for (int turn = 0; turn < 2; turn++) {
		rs.silent = silent[turn];
		rs.code = silent[turn] ? 0 : NTM_ELIMIT;
		rs.n_groups = 0;
		/* whichever the tag's hash names first */
		for (int i = 0; i < 32 && !rs.n_groups; i++) {
			assert_int_equal(rig_submit(&m[0], &c), 0);
			rig_assert_together(2);
			assert_true(site_wait(&site, is_told, &m[0]));
		}
		assert_true(rs.n_groups > 0);
		assert_agreed(&rs2, &m[0], 0);
		assert_agreed(&rs2, &m[1], 1);
		if (silent[turn]) { /* not asked for 5 s: as if it came anew */
			played_connect(&rs);
			assert_true(
				played_wait(&rs, &rs.n_keys, rs.n_keys + 1));
			assert_true(played_register(&rs));
		}
	}
	assert_true(site_dc_number(&site, "relays_silent") > 0);
}

static bool is_refused(void *arg)
{
	json_t *st = dc_admin(site.dc, "status", NULL);
	json_int_t n = json_integer_value(
		json_object_get(json_object_get(st, "groups"), "refused"));

	(void)arg;
	json_decref(st);
	return n > 0;
}

static void no_relay_is_no_harm(void **state)
{
	(void)state;
	assert_true(site_wait(&site, is_linked, NULL));
	assert_int_equal(rig_add(1), 0);
	rig_assert_together(2);
	assert_true(site_wait(&site, is_refused, NULL));
	assert_int_equal(replica_count(gms->replica), 0);
	/* and there is one, in the next epoch */
	played_start(&rs);
	assert_int_equal(rig_add(2), 0);
	assert_agreed(&rs, &m[0], 0);
}

static void a_new_process_has_other_keys(void **state)
{
	uint8_t was[NTMC_KEY_LEN];

	(void)state;
	start();
	assert_int_equal(rig_add(1), 0);
	assert_agreed(&rs, &m[1], 1);
	memcpy(was, rs.bind_key, sizeof(was));
	rig_stop();
	stage_gms_start();
	assert_true(site_wait(&site, is_linked, NULL));
	rig_connect_all(2);
	m[0].n_relays = m[1].n_relays = 0;
	gms_member_hello(&m[0]);
	gms_member_hello(&m[1]);
	assert_agreed(&rs, &m[0], 0);
	assert_agreed(&rs, &m[1], 1);
	assert_memory_not_equal(rs.bind_key, was, sizeof(was));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(all_are_told),	   T(who_was_removed_has_no_place),
		T(a_small_group_has_none), T(another_relay),
		T(no_relay_is_no_harm),	   T(a_new_process_has_other_keys),
	};

	return cmocka_run_group_tests(tests, rig_site_up, rig_site_down);
}
