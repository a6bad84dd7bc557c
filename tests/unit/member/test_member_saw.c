/* SPDX-License-Identifier: MIT */
/* test_member_saw - what a member noticed is shown after a start as well, the last of it */
#include "broker/member/saw.h"
#include "seats.h"

static struct node node;
static struct part part;

static void begin(void)
{
	memset(&part, 0, sizeof(part));
	part.node = &node;
	part.m = seats[0].m;
	assert_int_equal(
		loop_timer_new(site.loop, saw_keep, &part, &part.saw_due), 0);
	saw_load(&part);
}

/* as by kill -9 */
static void end(void)
{
	loop_timer_free(part.saw_due);
}

static bool is_kept(void *arg)
{
	(void)arg;
	return !loop_timer_armed(part.saw_due);
}

static void keep(void)
{
	seats_wait_s(1);
	assert_true(seats_turn(is_kept, NULL));
}

static void test_kept(void **state)
{
	struct part_saw was[NODE_SAW_MAX];

	(void)state;
	node = (struct node){.loop = site.loop, .store = seats[0].store};
	begin();
	assert_int_equal(part.n_saw, 0);
	saw_add(&part, MEMBER_SAW_TWO_LOGS, 7, 1ull << 40, -NTM_EFORK);
	saw_add(&part, MEMBER_SAW_SILENT, GROUP_SERVER, 2, 0);
	keep();
	memcpy(was, part.saw, sizeof(was));
	end();
	begin();
	assert_int_equal(part.n_saw, 2);
	assert_int_equal(part.saw[0].what, MEMBER_SAW_TWO_LOGS);
	assert_int_equal(part.saw[0].who, 7);
	assert_true(part.saw[0].epoch == 1ull << 40);
	assert_int_equal(part.saw[0].code, -NTM_EFORK);
	assert_int_equal(part.saw[0].at, was[0].at);
	assert_int_equal(part.saw[1].what, MEMBER_SAW_SILENT);
	assert_int_equal(part.saw[1].who, GROUP_SERVER);
	assert_int_equal(part.saw[1].code, 0);
	/* the last of many, in their order */
	for (uint64_t e = 0; e < 2 * NODE_SAW_MAX + 3; e++)
		saw_add(&part, MEMBER_SAW_CLONE, 1, 100 + e, 0);
	keep();
	end();
	begin();
	assert_int_equal(part.n_saw, NODE_SAW_MAX);
	for (unsigned int i = 0; i < NODE_SAW_MAX; i++)
		assert_int_equal(part.saw[i].epoch, 100 + NODE_SAW_MAX + 3 + i);
	end();
}

/* of a group that has gone nothing is left, nor comes back */
static void test_gone(void **state)
{
	uint8_t body[MEMBERSTORE_NOTE_MAX], id[GROUP_ID_LEN];
	size_t len;

	(void)state;
	node = (struct node){.loop = site.loop, .store = seats[0].store};
	memcpy(id, member_id(seats[0].m), sizeof(id));
	begin();
	saw_add(&part, MEMBER_SAW_CLONE, 1, 1, 0);
	keep();
	assert_int_equal(
		memberstore_note_get(node.store, id, NOTE_SAW, body, &len), 0);
	saw_add(&part, MEMBER_SAW_CLONE, 1, 2, 0);
	part.over = true;
	assert_int_equal(memberstore_drop(node.store, id), 0);
	keep();
	assert_int_equal(
		memberstore_note_get(node.store, id, NOTE_SAW, body, &len),
		-NTM_ENOTFOUND);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, seats_setup, seats_teardown)
		T(test_kept),
		T(test_gone),
	};

	return cmocka_run_group_tests(tests, seats_up, seats_down);
}
