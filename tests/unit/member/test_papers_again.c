/* SPDX-License-Identifier: MIT */
/*
 * test_papers_again - invited a second time: a device that was installed anew, an inviter
 * who is gone, one who has thought better of it
 */
#include "paper_stage.h"

#include <utlist.h>

#define THIRD "pc.eve.example.org"

static unsigned int count(enum paper_state state)
{
	struct paper *p;
	unsigned int n = 0;

	for (p = papers_first(papers); p; p = p->next)
		n += p->state == state;
	return n;
}

/* @who accepts what we have invited it to last */
static void accepts(const struct ntmc_identity *who, const char *name)
{
	struct group_accept a = {.prekey.serial = 1};
	uint8_t b[GROUP_ACCEPT_LEN];
	struct ntmc_key priv;
	struct paper *p;

	for (p = papers_first(papers); strcmp(p->i.invitee, name);)
		p = p->next;
	memcpy(a.id, p->i.id, sizeof(a.id));
	memcpy(a.token, p->i.token, sizeof(a.token));
	ntmc_x25519_keygen(NULL, &priv, a.prekey.pub);
	group_prekey_sign(who, p->i.id, &a.prekey);
	group_accept_make(who, &a, b);
	stage_item(name, "accept", b, sizeof(b));
	assert_int_equal(p->state, PAPER_ACCEPTED);
}

/* whoever adds @who under @name, in the log */
static void is_added(const struct ntmc_identity *who, const char *name)
{
	struct group_joiner j = {.fqdn = name};
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};

	ntmc_random(NULL, j.token, sizeof(j.token));
	memcpy(j.ed_pub, who->ed_pub, sizeof(j.ed_pub));
	stage_entry(&add);
}

/* the entry that waits for the server is refused */
static void refused(int code)
{
	author_end(part.m, code);
	part.adding = false;
	papers_added(papers, &part, code);
}

/* Return: how many the entry names that waits for the server */
static size_t named(void)
{
	part.m->state = MEMBER_JOINED;
	papers_work(papers);
	return part.m->wish.c.n_joiners;
}

/* the name has another key since: nobody is invited to what would be refused */
static void installed_anew(void **state)
{
	(void)state;
	is_added(&eve, THEY);
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0),
			 -NTM_EPIN);
	assert_int_equal(papers_invite(papers, &part, THEY, eve.ed_pub, 0),
			 -NTM_EEXISTS);
	assert_null(papers_first(papers));
	/* installed while the invitation was on its way */
	assert_int_equal(papers_invite(papers, &part, THIRD, eve.ed_pub, 0),
			 -NTM_EEXISTS);
	assert_int_equal(papers_invite(papers, &part, THIRD, ann.ed_pub, 0), 0);
	assert_int_equal(papers_invite(papers, &part, THIRD, gms.ed_pub, 0), 0);
	assert_int_equal(count(PAPER_ASKED), 1);
	assert_memory_equal(papers_first(papers)->i.invitee_key, gms.ed_pub,
			    NTMC_KEY_LEN);
}

/* who became a member meanwhile, by its name, takes nobody else with it */
static void old_device(void **state)
{
	(void)state;
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0), 0);
	assert_int_equal(papers_invite(papers, &part, THIRD, eve.ed_pub, 0), 0);
	accepts(&ann, THEY);
	accepts(&eve, THIRD);
	is_added(&gms, THEY);
	assert_int_equal(named(), 1);
	assert_string_equal(part.m->wish.c.joiners[0].fqdn, THIRD);
	assert_int_equal(count(PAPER_ACCEPTED), 1);
}

/* an entry of several is refused: each has one of its own then */
static void one_by_one(void **state)
{
	(void)state;
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0), 0);
	assert_int_equal(papers_invite(papers, &part, THIRD, eve.ed_pub, 0), 0);
	accepts(&ann, THEY);
	accepts(&eve, THIRD);
	assert_int_equal(named(), 2);
	refused(-NTM_EINVAL);
	assert_int_equal(count(PAPER_ACCEPTED), 2);
	assert_int_equal(named(), 1);
	assert_string_equal(part.m->wish.c.joiners[0].fqdn, THEY);
	refused(-NTM_EINVAL);
	assert_int_equal(count(PAPER_ACCEPTED), 1);
	assert_int_equal(named(), 1);
	assert_string_equal(part.m->wish.c.joiners[0].fqdn, THIRD);
	/* not now is no fault of anybody */
	refused(-NTM_ERATE);
	assert_int_equal(count(PAPER_ACCEPTED), 1);
}

/* a second member invites us to the group whose first inviter is never heard again */
static void second_inviter(void **state)
{
	struct group_invite a = stage_invite(&ann, THEY), b, other;
	uint8_t text[GROUP_WELCOME_MAX], hash[NTMC_HASH_LEN] = {1};
	struct group_secret s = {.epoch = 2, .generation = 1};
	struct paper *p, *first;
	size_t len;

	(void)state;
	stage_invited(&ann, THEY, &a);
	first = papers_first(papers);
	assert_int_equal(papers_accept(papers, first), 0);
	b = stage_invite(&eve, THIRD);
	memcpy(b.id, a.id, sizeof(b.id));
	stage_invited(&eve, THIRD, &b);
	assert_int_equal(papers_find(papers, PAPER_INVITED, a.name, &p), 0);
	assert_int_equal(papers_accept(papers, p), 0);
	/* whoever adds us, the server is given the one prekey that we have */
	assert_memory_equal(&p->prekey, &first->prekey, sizeof(p->prekey));
	assert_int_equal(count(PAPER_AGREED), 2);
	/* the first one again, as it has lost its disk: its invitation of before is over */
	other = stage_invite(&ann, THEY);
	memcpy(other.id, a.id, sizeof(other.id));
	stage_invited(&ann, THEY, &other);
	assert_int_equal(papers_find(papers, PAPER_INVITED, a.name, &p), 0);
	assert_int_equal(papers_accept(papers, p), 0);
	assert_int_equal(count(PAPER_AGREED), 2);
	assert_null(papers_by_token(papers, a.token));
	/* another group of that name is another group */
	other = stage_invite(&eve, THIRD);
	stage_invited(&eve, THIRD, &other);
	assert_int_equal(papers_find(papers, PAPER_INVITED, a.name, &p), 0);
	assert_int_equal(papers_accept(papers, p), -NTM_EEXISTS);
	/* the second one's welcome */
	memcpy(s.id, a.id, sizeof(s.id));
	strcpy(s.name, a.name);
	len = group_welcome_put(&s, hash, text);
	stage_item(THIRD, "welcome", text, len);
	assert_int_equal(papers_by_token(papers, b.token)->state,
			 PAPER_WELCOMED);
	assert_int_equal(papers_accept(papers, p), -NTM_EEXISTS);
}

/* what was accepted can be declined until it is there; then another one is free */
static void thinks_better(void **state)
{
	struct group_invite a = stage_invite(&ann, THEY), b;
	struct paper *p;

	(void)state;
	stage_invited(&ann, THEY, &a);
	assert_int_equal(papers_accept(papers, papers_first(papers)), 0);
	b = stage_invite(&eve, THIRD);
	stage_invited(&eve, THIRD, &b);
	assert_int_equal(
		papers_accept(papers, papers_by_token(papers, b.token)),
		-NTM_EEXISTS);
	assert_int_equal(papers_find(papers, PAPER_AGREED, a.name, &p), 0);
	assert_int_equal(papers_decline(papers, p), -NTM_EAGAIN);
	/* ntm-post is not there: its answer says so */
	while (p->sending)
		assert_int_equal(loop_turn(node.loop, true), 0);
	assert_int_equal(papers_decline(papers, p), 0);
	assert_int_equal(count(PAPER_AGREED), 0);
	assert_int_equal(
		papers_accept(papers, papers_by_token(papers, b.token)), 0);
}

/* in the group: what others have invited to the same one waits for nobody any more */
static void in_by_one(void **state)
{
	struct group_invite a = stage_invite(&ann, THEY), b, other;
	uint8_t id[GROUP_ID_LEN];

	(void)state;
	stage_invited(&ann, THEY, &a);
	b = stage_invite(&eve, THIRD);
	memcpy(b.id, a.id, sizeof(b.id));
	stage_invited(&eve, THIRD, &b);
	other = stage_invite(&eve, THIRD);
	stage_invited(&eve, THIRD, &other);
	assert_int_equal(count(PAPER_INVITED), 3);
	memcpy(id, part.m->id, sizeof(id));
	memcpy(part.m->id, a.id,
	       sizeof(id)); /* it is this one that we are in */
	papers_joined(papers, &part);
	memcpy(part.m->id, id, sizeof(id));
	assert_int_equal(count(PAPER_INVITED), 1);
	assert_non_null(papers_by_token(papers, other.token));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
		T(installed_anew), T(old_device),    T(one_by_one),
		T(second_inviter), T(thinks_better), T(in_by_one),
	};

	return cmocka_run_group_tests_name("papers_again", tests,
					   stage_identities, NULL);
}
