/* SPDX-License-Identifier: MIT */
/*
 * test_papers - invitations of both sides: forged, said again, to and of others, names
 * that are none, a thousand of one account
 */
#include "paper_stage.h"

#include "broker/member/chat.h"

static unsigned int count(enum paper_state state, const char *account)
{
	struct paper *p;
	unsigned int n = 0;

	for (p = papers_first(papers); p; p = p->next)
		n += p->state == state &&
		     (!account || strstr(p->i.inviter, account));
	return n;
}

/* --- forged, again, of others ------------------------------------------------------------- */

static void forged(void **state)
{
	struct group_invite i = stage_invite(&ann, THEY), other;
	uint8_t b[GROUP_INVITE_MAX];
	size_t len, at;

	(void)state;
	stage_pin();
	assert_int_equal(group_invite_make(&ann, &i, b, &len), 0);
	for (at = 0; at < len; at++) {
		b[at] ^= 1;
		stage_item(THEY, "invite", b, len);
		b[at] ^= 1;
		if (at)
			stage_item(THEY, "invite", b, at);
	}
	/* in another's name; for another; by a key that is not the one we met */
	stage_item("pc.eve.example.org", "invite", b, len);
	other = i;
	memcpy(other.invitee_key, eve.ed_pub, NTMC_KEY_LEN);
	stage_invited(&ann, THEY, &other);
	other = stage_invite(&eve, THEY);
	stage_invited(&eve, THEY, &other);
	/* over; for longer than any lives */
	other = i;
	other.expires = ntmc_now(NULL) - 1;
	stage_invited(&ann, THEY, &other);
	other.expires = ntmc_now(NULL) + 40 * DAY;
	stage_invited(&ann, THEY, &other);
	assert_null(papers_first(papers));
	/* as it is, and then as often as anybody likes: one */
	for (at = 0; at < 5; at++)
		stage_item(THEY, "invite", b, len);
	assert_int_equal(count(PAPER_INVITED, NULL), 1);
	/* to a group that we are in */
	other = stage_invite(&ann, THEY);
	memcpy(other.id, member_id(part.m), GROUP_ID_LEN);
	stage_invited(&ann, THEY, &other);
	assert_int_equal(count(PAPER_INVITED, NULL), 1);
}

/* @as in place of @text, which is as long, and signed for good */
static void renamed(const char *text, const char *as)
{
	static const char label[] = "ntm group invite v1";
	struct group_invite i = stage_invite(&ann, THEY);
	uint8_t b[GROUP_INVITE_MAX], text_signed[2 * GROUP_INVITE_MAX], *at;
	size_t len, n;

	assert_int_equal(strlen(text), strlen(as));
	assert_int_equal(group_invite_make(&ann, &i, b, &len), 0);
	at = memmem(b, len, text, strlen(text));
	assert_non_null(at);
	memcpy(at, as, strlen(as));
	n = len - NTMC_SIG_LEN;
	memcpy(text_signed, label, sizeof(label) - 1);
	memcpy(text_signed + sizeof(label) - 1, b, n);
	ntmc_ed25519_sign(&ann.ed_priv, ann.ed_pub, text_signed,
			  sizeof(label) - 1 + n, b + n);
	stage_item(THEY, "invite", b, len);
}

static void names(void **state)
{
	static const char *const bad[] = {
		"cho\nr", "\033[2Jr", "Choir", "cho r",		 "ch\xd0\xb0r",
		"-hoir",  "choi-",    "ch/ir", "\xe2\x80\xaeor", "c.oir",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		renamed("choir", bad[i]);
	renamed("gms.example.org", "gms.example.or\n");
	renamed("gms.example.org", "gms.ex\xd0\xb0mple.or");
	renamed(US, "desk.bob.example.ne\t");
	assert_null(papers_first(papers));
	renamed("choir", "chorr"); /* so it was the name alone */
	assert_int_equal(count(PAPER_INVITED, NULL), 1);
}

/* --- a thousand ---------------------------------------------------------------------------- */

static void thousand(void **state)
{
	struct paper *found;
	char from[64];

	(void)state;
	assert_int_equal(memberstore_begin(node.store), 0);
	for (unsigned int n = 0; n < 1000; n++) {
		struct group_invite i;

		snprintf(from, sizeof(from), "pc%u.eve.example.org", n % 100);
		i = stage_invite(&eve, from);
		stage_invited(&eve, from, &i);
	}
	assert_int_equal(memberstore_commit(node.store), 0);
	assert_int_equal(count(PAPER_INVITED, NULL), PAPERS_FROM_MAX);
	/* nobody else is kept from inviting us, nor are we from anything */
	{
		struct group_invite i = stage_invite(&ann, THEY);

		strcpy(i.name, "walkers");
		stage_invited(&ann, THEY, &i);
	}
	assert_int_equal(papers_find(papers, PAPER_INVITED, "walkers", &found),
			 0);
	assert_int_equal(papers_accept(papers, found), 0);
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0), 0);
	/* what waits can be thrown away, one by one; then there is room again */
	assert_int_equal(papers_find(papers, PAPER_INVITED, "choir", &found),
			 -NTM_EEXISTS);
	strcpy(from, part_id_text(papers_first(papers)->i.id));
	assert_int_equal(papers_find(papers, PAPER_INVITED, from, &found), 0);
	assert_int_equal(papers_decline(papers, found), 0);
	{
		struct group_invite i =
			stage_invite(&eve, "pc.eve.example.org");

		strcpy(from, i.inviter);
		stage_invited(&eve, from, &i);
		stage_invited(&eve, from, &i);
	}
	assert_int_equal(count(PAPER_INVITED, "eve"), PAPERS_FROM_MAX);
}

/* of a thousand accounts: the list is full, and what is ours goes on */
static void accounts(void **state)
{
	struct ntmc_identity id;
	char from[64];
	int r = 0, n;

	(void)state;
	assert_int_equal(memberstore_begin(node.store), 0);
	for (n = 0; n < 1000; n++) {
		struct group_invite i;

		snprintf(from, sizeof(from), "pc.eve%d.example.org", n);
		i = stage_invite(&eve, from);
		stage_invited(&eve, from, &i);
	}
	assert_int_equal(count(PAPER_INVITED, NULL), PAPERS_INVITED_MAX);
	/* we invite a thousand ourselves */
	for (n = 0; n < 1000 && !r; n++) {
		ntmc_identity_new(NULL, &id);
		snprintf(from, sizeof(from), "pc.eve%d.example.org", n);
		r = papers_invite(papers, &part, from, id.ed_pub, 0);
	}
	assert_int_equal(r, -NTM_ELIMIT);
	assert_int_equal(n, PAPERS_ASKED_MAX + 1);
	assert_int_equal(count(PAPER_ASKED, NULL), PAPERS_ASKED_MAX);
	assert_int_equal(memberstore_commit(node.store), 0);
	/* all of it is there after a start */
	papers_close(papers);
	assert_int_equal(papers_open(&node, &papers), 0);
	node.papers = papers;
	assert_int_equal(count(PAPER_ASKED, NULL), PAPERS_ASKED_MAX);
	assert_int_equal(count(PAPER_INVITED, NULL), PAPERS_INVITED_MAX);
}

/* --- the other two items ----------------------------------------------------------------------- */

static size_t acceptance(const struct ntmc_identity *by,
			 const struct group_invite *i, uint8_t *out)
{
	struct group_accept a = {.prekey.serial = 1};
	struct ntmc_key priv;

	memcpy(a.id, i->id, sizeof(a.id));
	memcpy(a.token, i->token, sizeof(a.token));
	ntmc_x25519_keygen(NULL, &priv, a.prekey.pub);
	group_prekey_sign(by, i->id, &a.prekey);
	group_accept_make(by, &a, out);
	return GROUP_ACCEPT_LEN;
}

static void accepted(void **state)
{
	uint8_t b[GROUP_ACCEPT_LEN];
	struct paper *p;
	size_t len, at;

	(void)state;
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0), 0);
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0),
			 -NTM_EEXISTS);
	p = papers_first(papers);
	/* somebody else's, in its own and in her name */
	len = acceptance(&eve, &p->i, b);
	stage_item("pc.eve.example.org", "accept", b, len);
	stage_item(THEY, "accept", b, len);
	len = acceptance(&ann, &p->i, b);
	stage_item("pc.eve.example.org", "accept", b, len);
	for (at = 0; at < len; at++) {
		b[at] ^= 1;
		stage_item(THEY, "accept", b, len);
		b[at] ^= 1;
	}
	stage_item("pc.eve.example.org", "decline", p->i.token,
		   GROUP_TOKEN_LEN);
	assert_int_equal(p->state, PAPER_ASKED);
	stage_item(THEY, "accept", b, len);
	assert_int_equal(p->state, PAPER_ACCEPTED);
	stage_item(THEY, "accept", b, len); /* again */
	assert_int_equal(p->state, PAPER_ACCEPTED);
	assert_ptr_equal(papers_first(papers), p);
	assert_null(p->next);
	/* its prekey goes with the entry, after a start as well */
	papers_close(papers);
	assert_int_equal(papers_open(&node, &papers), 0);
	node.papers = papers;
	p = papers_first(papers);
	assert_memory_equal(p->accepted, b + 1 + GROUP_ID_LEN + GROUP_TOKEN_LEN,
			    GROUP_PREKEY_LEN);
	part.m->state = MEMBER_JOINED;
	papers_work(papers);
	assert_int_equal(part.m->wish.c.n_joiners, 1);
	assert_memory_equal(part.m->wish.c.joiners[0].prekey, p->accepted,
			    GROUP_PREKEY_LEN);
	/* too late to decline, as the entry is on its way; it was refused: not yet */
	stage_item(THEY, "decline", p->i.token, GROUP_TOKEN_LEN);
	assert_int_equal(p->state, PAPER_ACCEPTED);
	p->adding = false;
	stage_item(THEY, "decline", p->i.token, GROUP_TOKEN_LEN);
	assert_int_equal(p->state, PAPER_REFUSED);
}

/* whom we added was removed before we could give it the welcome: it is not added again */
static void removed_unwelcomed(void **state)
{
	struct group_joiner j = {.fqdn = THEY};
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	uint32_t gone = 1;
	struct group_change away = {.kind = GROUP_REMOVE,
				    .reason = GROUP_REMOVED,
				    .gone = &gone,
				    .n_gone = 1};
	uint8_t b[GROUP_ACCEPT_LEN];
	struct paper *p;

	(void)state;
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0), 0);
	p = papers_first(papers);
	stage_item(THEY, "accept", b, acceptance(&ann, &p->i, b));
	assert_int_equal(p->state, PAPER_ACCEPTED);
	memcpy(j.token, p->i.token, sizeof(j.token));
	memcpy(j.ed_pub, ann.ed_pub, sizeof(j.ed_pub));
	stage_entry(&add);
	stage_entry(&away);
	part.m->state = MEMBER_JOINED;
	papers_work(papers);
	assert_null(papers_first(papers));
	assert_false(part.adding);
	/* nor after a start; and it may be invited anew */
	papers_close(papers);
	assert_int_equal(papers_open(&node, &papers), 0);
	node.papers = papers;
	assert_null(papers_first(papers));
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0), 0);
}

static void welcomed(void **state)
{
	struct group_invite i = stage_invite(&ann, THEY);
	uint8_t b[GROUP_WELCOME_MAX], hash[NTMC_HASH_LEN] = {1};
	struct group_secret s = {.epoch = 2, .generation = 1};
	struct paper *p;
	size_t len;

	(void)state;
	memcpy(s.id, i.id, sizeof(s.id));
	strcpy(s.name, i.name);
	len = group_welcome_put(&s, hash, b);
	/* before the invitation, and before the person has agreed */
	stage_item(THEY, "welcome", b, len);
	stage_invited(&ann, THEY, &i);
	stage_item(THEY, "welcome", b, len);
	p = papers_first(papers);
	assert_int_equal(p->state, PAPER_INVITED);
	assert_int_equal(papers_accept(papers, p), 0);
	/* of somebody else; of another group; cut short */
	stage_item("pc.eve.example.org", "welcome", b, len);
	s.id[0] ^= 1;
	len = group_welcome_put(&s, hash, b);
	stage_item(THEY, "welcome", b, len);
	s.id[0] ^= 1;
	len = group_welcome_put(&s, hash, b);
	for (size_t at = 1; at < len; at++)
		stage_item(THEY, "welcome", b, at);
	assert_int_equal(p->state, PAPER_AGREED);
	assert_int_equal(p->welcome_len, 0);
	stage_item(THEY, "welcome", b, len);
	assert_int_equal(p->state, PAPER_WELCOMED);
	/* a second one does not take its place */
	s.rn1.b[0] = 1;
	len = group_welcome_put(&s, hash, b);
	stage_item(THEY, "welcome", b, len);
	assert_memory_not_equal(p->welcome, b, len);
}

/* a welcome whose log never comes: it goes with its time, or when the person has enough */
static void forgotten(void **state)
{
	struct group_invite i = stage_invite(&ann, THEY);
	uint8_t b[GROUP_WELCOME_MAX], hash[NTMC_HASH_LEN] = {1};
	struct group_secret s = {.epoch = 2, .generation = 1};
	struct part *made;
	struct paper *p;
	size_t len;

	(void)state;
	assert_int_equal(chat_open(&node, &node.chat), 0);
	memcpy(s.id, i.id, sizeof(s.id));
	strcpy(s.name, i.name);
	len = group_welcome_put(&s, hash, b);
	for (int late = 0; late < 2; late++) {
		stage_invited(&ann, THEY, &i);
		p = papers_first(papers);
		assert_int_equal(papers_accept(papers, p), 0);
		while (p->sending) /* ntm-post is not there */
			assert_int_equal(loop_turn(node.loop, true), 0);
		stage_item(THEY, "welcome", b, len);
		papers_work(papers);
		made = part_by_id(&node, i.id);
		assert_non_null(made);
		assert_ptr_equal(papers_first(papers), p);
		if (late)
			p->i.expires -= 12 * DAY;
		else
			assert_int_equal(member_leave(made->m, true), 0);
		papers_work(papers);
		assert_int_equal(loop_turn(node.loop, false), 0);
		assert_null(part_by_id(&node, i.id));
		assert_null(papers_first(papers));
	}
	chat_close(node.chat);
}

/* a server that makes up wishes for welcomes, without end */
static void wished(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		papers_give(papers, &part, 0);
	assert_true(node.giving > 0 && node.giving <= 64);
	/* what is asked of ntm-post, which is not there, ends; then there is room */
	while (node.giving)
		assert_int_equal(loop_turn(node.loop, true), 0);
	papers_give(papers, &part, 0);
	assert_int_equal(node.giving, 1);
	while (node.giving)
		assert_int_equal(loop_turn(node.loop, true), 0);
	/* of nobody */
	papers_give(papers, &part, 7);
	assert_int_equal(node.giving, 0);
}

/* whoever invites says where the server of other groups is: it is not cut off */
static void learned(void **state)
{
	static const char many[] =
		"198.51.100.1:1|198.51.100.2:1|198.51.100.3:1|"
		"198.51.100.4:1|198.51.100.5:1|198.51.100.6:1|"
		"198.51.100.7:1|198.51.100.8:1";
	char ways[GROUP_WAYS_MAX + 1];

	(void)state;
	assert_int_equal(server_learn(&node, eve.ed_pub, "192.0.2.7:4509"), 0);
	assert_int_equal(server_learn(&node, eve.ed_pub, many), 0);
	assert_int_equal(memberstore_server_get(node.store, eve.ed_pub, ways),
			 0);
	assert_int_equal(strncmp(ways, "192.0.2.7:4509|198.51.100.1:1|", 30),
			 0);
	/* it has moved, and there is no room */
	assert_int_equal(server_learn(&node, eve.ed_pub,
				      "[2001:db8::7]:4509|192.0.2.7:4509|no"),
			 0);
	assert_int_equal(memberstore_server_get(node.store, eve.ed_pub, ways),
			 0);
	assert_string_equal(ways, "192.0.2.7:4509|198.51.100.1:1|"
				  "198.51.100.2:1|198.51.100.3:1|"
				  "[2001:db8::7]:4509|198.51.100.4:1|"
				  "198.51.100.5:1|198.51.100.6:1");
	/* one that nobody knows */
	assert_int_equal(server_learn(&node, ann.ed_pub, "192.0.2.8"), 0);
	assert_int_equal(memberstore_server_get(node.store, ann.ed_pub, ways),
			 -NTM_ENOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
		T(forged),    T(names),	   T(thousand),
		T(accounts),  T(accepted), T(welcomed),
		T(wished),    T(learned),  T(removed_unwelcomed),
		T(forgotten),
	};

	return cmocka_run_group_tests_name("papers", tests, stage_identities,
					   NULL);
}
