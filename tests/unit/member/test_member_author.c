/* SPDX-License-Identifier: MIT */
/* test_member_author - what a member wants of its group, while others do something, too */
#include "seats.h"

/* somebody who has told of no prekey says hello between our question and the entry: that
 * lacks a part, and is made anew with it */
static void test_first_prekey(void **state)
{
	struct group_joiner j = {.fqdn = seats[1].peer.fqdn};
	struct group_change c = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	struct group_change refresh = {.kind = GROUP_REFRESH};
	struct group_prekey k = {.serial = 1};
	uint8_t b[GROUP_PREKEY_LEN];
	struct ledger_group *lg;
	uint64_t epoch;

	(void)state;
	ntmc_random(NULL, j.token, sizeof(j.token));
	memcpy(j.ed_pub, seats[1].peer.id.ed_pub, sizeof(j.ed_pub));
	assert_int_equal(seat_submit(&seats[0], &c), 0);
	epoch = group_epoch(member_group(seats[0].m));
	seats[0].done = 1;
	assert_int_equal(member_submit(seats[0].m, &refresh), 0);
	while (seats[0].m->wish.state != WISH_SUBMITTED)
		seats_step();
	lg = ledger_find(gms->ledger, member_id(seats[0].m));
	assert_int_equal(group_epoch(ledger_state(lg)), epoch);
	ntmc_random(NULL, k.pub, sizeof(k.pub));
	group_prekey_sign(&seats[1].peer.id, member_id(seats[0].m), &k);
	group_prekey_put(&k, b);
	assert_int_equal(ledger_prekey(gms->ledger, lg, 1, b, sizeof(b)), 0);
	while (seats[0].done > 0)
		seats_step();
	assert_int_equal(seats[0].done, 0);
	assert_int_equal(gms->stats.refused, 1);
	assert_int_equal(group_epoch(member_group(seats[0].m)), epoch + 1);
}

/* a refresh that the server did not take is made some seconds later */
static void test_refused_refresh(void **state)
{
	uint32_t generation = group_generation(member_group(seats[0].m));
	struct member *m = seats[0].m;

	(void)state;
	assert_int_equal(
		author_want(m, &(struct group_change){.kind = GROUP_REFRESH},
			    true),
		0);
	author_end(m, -NTM_ERATE);
	seats_wait_s(MEMBER_TURN_S);
	for (int i = 0;
	     i < 1000 && group_generation(member_group(m)) == generation; i++)
		seats_step();
	assert_int_equal(group_generation(member_group(m)), generation + 1);
}

/* a group that does not fit into one answer */
static void paged(void)
{
	for (int i = 1; i < SEATS; i++)
		seat_add(i, 0);
	seats_together(SEATS);
	gms->people_page = 1;
}

/* a person looks at the members while another change is made, in a group that does not fit
 * into one answer */
static void test_pages(void **state)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};

	(void)state;
	paged();
	/* before it, so that its question is on its way; and after it */
	seats[0].answered = false;
	assert_true(member_prepare(seats[0].m));
	assert_int_equal(seat_submit(&seats[0], &refresh), 0);
	assert_true(seats[0].answered);
	assert_int_equal(seats[0].m->wish.tries, 0);
	seats_together(SEATS);
	seats[0].done = 1;
	assert_int_equal(member_submit(seats[0].m, &refresh), 0);
	assert_true(member_prepare(seats[0].m));
	while (seats[0].done > 0)
		seats_step();
	assert_int_equal(seats[0].done, 0);
	seats_together(SEATS);
}

static unsigned int pages, ends;
static bool rest; /* of what an older server would not have sent unasked */

/* A server that answers with one page, whatever it is asked */
static void one_page(struct seat *s, const Ntm__Envelope *msg)
{
	Ntm__GroupAnswer a;
	Ntm__Envelope e = *msg;

	if (msg->body_case != NTM__ENVELOPE__BODY_GROUP_ANSWER) {
		member_message(s->m, msg);
		return;
	}
	a = *msg->group_answer;
	if (!rest) {
		pages++;
		a.follows = false;
		e.group_answer = &a;
		member_message(s->m, &e);
	}
	rest = msg->group_answer->follows;
}

static void test_one_page(void **state)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};

	(void)state;
	paged();
	pages = 0;
	rest = false;
	seats[0].tap = one_page;
	assert_int_equal(seat_submit(&seats[0], &refresh), 0);
	assert_int_equal(pages, SEATS);
	seats[0].tap = NULL;
	seats_together(SEATS);
}

/* of an epoch before, its first page; the others come as they were sent */
static void of_before(struct seat *s, const Ntm__Envelope *msg)
{
	Ntm__GroupAnswer a;
	Ntm__Envelope e = *msg;

	if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_ANSWER) {
		a = *msg->group_answer;
		if (!pages++)
			a.epoch--;
		ends += a.last;
		e.group_answer = &a;
	}
	member_message(s->m, &e);
}

/* What does not fit is asked for once more, when all of the first answer has come. */
static void test_page_of_before(void **state)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};

	(void)state;
	paged();
	pages = ends = 0;
	seats[0].tap = of_before;
	assert_int_equal(seat_submit(&seats[0], &refresh), 0);
	assert_int_equal(pages, 2 * SEATS);
	assert_int_equal(ends, 2);
	seats[0].tap = NULL;
	seats_together(SEATS);
}

/* in the order in which they were named, one of them by its account as well */
static void test_remove_order(void **state)
{
	uint32_t gone[4];
	struct group_change c = {.kind = GROUP_REMOVE,
				 .reason = GROUP_REMOVED,
				 .gone = gone,
				 .n_gone = 4};

	(void)state;
	for (int i = 1; i < SEATS; i++)
		seat_add(i, 0);
	gone[0] = gone[2] = member_index(seats[3].m);
	gone[1] = gone[3] = member_index(seats[1].m);
	assert_int_equal(seat_submit(&seats[0], &c), 0);
	assert_int_equal(group_size(member_group(seats[0].m)), 2);
	assert_non_null(
		group_find(member_group(seats[0].m), member_index(seats[2].m)));
}

static void drop(struct seat *s, const Ntm__Envelope *msg)
{
	(void)s, (void)msg;
}

static struct group_change removal_of(int who, uint32_t *index)
{
	*index = member_index(seats[who].m);
	return (struct group_change){.kind = GROUP_REMOVE,
				     .reason = GROUP_REMOVED,
				     .gone = index,
				     .n_gone = 1};
}

/* whom a person wants removed is not forgotten by a device that is put out meanwhile */
static void test_removal_kept(void **state)
{
	struct group_change c;
	uint32_t two;

	(void)state;
	for (int i = 1; i < 3; i++)
		seat_add(i, GROUP_ALL_RIGHTS);
	seats_together(3);
	c = removal_of(2, &two);
	seats_gms_stop();
	assert_int_equal(member_submit(seats[0].m, &c), 0);
	assert_true(member_keeps_wish(seats[0].m));
	seat_offline(&seats[0]);
	stage_gms_start();
	seat_restart(&seats[0]);
	seat_online(&seats[1]);
	while (group_find(member_group(seats[0].m), two))
		seats_step();
	seats_together(2);
	/* and is over then */
	assert_false(member_keeps_wish(seats[0].m));
	seat_restart(&seats[0]);
	assert_false(member_keeps_wish(seats[0].m));
	assert_int_equal(seats[0].m->wish.state, WISH_NONE);
}

/* it waits for nothing that the device wants by itself, or has to add */
static void test_removal_first(void **state)
{
	struct group_change c, refresh = {.kind = GROUP_REFRESH};
	struct group_joiner j = {.fqdn = seats[3].peer.fqdn};
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	uint32_t two;

	(void)state;
	for (int i = 1; i < 3; i++)
		seat_add(i, GROUP_ALL_RIGHTS);
	seats_together(3);
	c = removal_of(2, &two);
	seat_offline(&seats[0]);
	assert_int_equal(author_want(seats[0].m, &refresh, true), 0);
	assert_int_equal(member_submit(seats[0].m, &c), 0);
	assert_int_equal(seats[0].m->wish.c.kind, GROUP_REMOVE);
	author_end(seats[0].m, 0);
	seats[0].done = 1;
	assert_int_equal(member_submit(seats[0].m, &add), 0);
	assert_int_equal(member_submit(seats[0].m, &refresh), -NTM_EAGAIN);
	assert_int_equal(member_submit(seats[0].m, &c), 0);
	assert_int_equal(seats[0].done, -NTM_EAGAIN);
	assert_int_equal(member_submit(seats[0].m, &c), 0);
	assert_int_equal(seats[0].m->wish.c.n_gone, 1);
	seats[0].m->wish.state = WISH_SUBMITTED;
	seats[0].m->wish.ours = true;
	assert_int_equal(member_submit(seats[0].m, &c), -NTM_EAGAIN);
	seats[0].m->wish.state = WISH_WAITS;
	seats[0].m->wish.ours = false;
	seat_online(&seats[0]);
	while (group_find(member_group(seats[0].m), two))
		seats_step();
	seats_together(2);
}

/* one that is wished while another waits, after a start, goes with it */
static void test_removal_more(void **state)
{
	struct group_change c, d, own;
	uint32_t one, two, us;

	(void)state;
	for (int i = 1; i < SEATS; i++)
		seat_add(i, i == 3 ? GROUP_ALL_RIGHTS : 0);
	seats_together(SEATS);
	c = removal_of(2, &two);
	d = removal_of(1, &one);
	own = removal_of(0, &us);
	seats_gms_stop();
	assert_int_equal(member_submit(seats[0].m, &c), 0);
	stage_gms_start();
	seats[0].tap = drop; /* it hears nothing yet */
	seat_restart(&seats[0]);
	assert_int_equal(member_submit(seats[0].m, &d), 0);
	assert_int_equal(seats[0].m->wish.c.n_gone, 2);
	/* what cannot be is refused, and the others stay */
	assert_int_not_equal(member_submit(seats[0].m, &own), 0);
	assert_int_equal(seats[0].m->wish.c.n_gone, 2);
	/* both outlive the next start */
	seats[0].tap = NULL;
	seat_restart(&seats[0]);
	assert_int_equal(seats[0].m->wish.c.n_gone, 2);
	seat_online(&seats[3]);
	while (member_keeps_wish(seats[0].m))
		seats_step();
	assert_null(group_find(member_group(seats[0].m), one));
	assert_null(group_find(member_group(seats[0].m), two));
	assert_int_equal(group_size(member_group(seats[0].m)), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, seats_setup, seats_teardown)
		T(test_first_prekey), T(test_refused_refresh),
		T(test_pages),	      T(test_remove_order),
		T(test_one_page),     T(test_page_of_before),
		T(test_removal_kept), T(test_removal_first),
		T(test_removal_more),
	};

	return cmocka_run_group_tests(tests, seats_up, seats_down);
}
