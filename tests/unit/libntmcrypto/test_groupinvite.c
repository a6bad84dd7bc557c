/* SPDX-License-Identifier: MIT */
/* test_groupinvite - invitations and acceptances: for one identity, for a time */
#include "groups.h"

#include <string.h>

#define DAY 86400

struct post {
	struct ntmc_identity inviter, invitee, other, gms;
	struct group_invite invite;
	struct group_accept accept;
	struct ntmc_key priv;
	struct script script;
	struct ntmc_env env;
};

static void post_open(struct post *p)
{
	struct group_invite *i = &p->invite;

	memset(p, 0, sizeof(*p));
	p->script.fill = 3;
	p->env = script_env(&p->script);
	fixture_identity(1, &p->inviter);
	fixture_identity(2, &p->invitee);
	fixture_identity(3, &p->other);
	fixture_identity(4, &p->gms);
	memset(i->id, 7, sizeof(i->id));
	strcpy(i->name, "band");
	memcpy(i->server_key, p->gms.ed_pub, NTMC_KEY_LEN);
	strcpy(i->server, "gms.example.org");
	strcpy(i->ways, "192.0.2.1:4509|[2001:db8::1]:4509");
	strcpy(i->inviter, "desk.ann.example.org");
	strcpy(i->invitee, "desk.bob.example.net");
	memcpy(i->inviter_key, p->inviter.ed_pub, NTMC_KEY_LEN);
	memcpy(i->invitee_key, p->invitee.ed_pub, NTMC_KEY_LEN);
	i->rights = GROUP_MAY_INVITE;
	i->expires = FIXTURE_NOW + 30 * DAY;
	memset(i->token, 9, sizeof(i->token));
	memcpy(p->accept.id, i->id, sizeof(i->id));
	memcpy(p->accept.token, i->token, sizeof(i->token));
	ntmc_x25519_keygen(&p->env, &p->priv, p->accept.prekey.pub);
	p->accept.prekey.serial = 1;
	group_prekey_sign(&p->invitee, i->id, &p->accept.prekey);
}

static void test_invite(void **state)
{
	uint8_t b[GROUP_INVITE_MAX], bad[GROUP_INVITE_MAX + 1];
	struct group_invite got;
	struct post p;
	size_t len, i;

	(void)state;
	post_open(&p);
	assert_int_equal(group_invite_make(&p.inviter, &p.invite, b, &len), 0);
	assert_int_equal(
		group_invite_get(b, len, p.invitee.ed_pub, FIXTURE_NOW, &got),
		0);
	assert_memory_equal(&got, &p.invite, sizeof(got));
	for (i = 0; i < len; i++) {
		assert_int_equal(group_invite_get(b, i, p.invitee.ed_pub,
						  FIXTURE_NOW, &got),
				 -NTM_EDECODE);
		memcpy(bad, b, len);
		bad[i] ^= 1;
		assert_int_not_equal(group_invite_get(bad, len,
						      p.invitee.ed_pub,
						      FIXTURE_NOW, &got),
				     0);
	}
	memcpy(bad, b, len);
	assert_int_equal(group_invite_get(bad, len + 1, p.invitee.ed_pub,
					  FIXTURE_NOW, &got),
			 -NTM_EDECODE);
	/* passed on to somebody else */
	assert_int_equal(
		group_invite_get(b, len, p.other.ed_pub, FIXTURE_NOW, &got),
		-NTM_ENOTOURS);
	assert_int_equal(group_invite_get(b, len, p.invitee.ed_pub,
					  p.invite.expires, &got),
			 -NTM_EEXPIRED);
	assert_int_equal(group_invite_get(b, len, p.invitee.ed_pub,
					  FIXTURE_NOW - 301, &got),
			 -NTM_ECLOCK);
	/* in somebody else's name */
	assert_int_equal(group_invite_make(&p.other, &p.invite, b, &len),
			 -NTM_EINVAL);
	strcpy(p.invite.name, "b\x1b[2Jnd");
	assert_int_equal(group_invite_make(&p.inviter, &p.invite, b, &len),
			 -NTM_EINVAL);
}

static void test_accept(void **state)
{
	uint8_t b[GROUP_ACCEPT_LEN], bad[GROUP_ACCEPT_LEN];
	struct group_accept got;
	struct group_invite other;
	struct post p;
	size_t i;

	(void)state;
	post_open(&p);
	group_accept_make(&p.invitee, &p.accept, b);
	assert_int_equal(
		group_accept_get(b, sizeof(b), &p.invite, FIXTURE_NOW, &got),
		0);
	assert_memory_equal(&got, &p.accept, sizeof(got));
	for (i = 0; i < sizeof(b); i++) {
		assert_int_equal(
			group_accept_get(b, i, &p.invite, FIXTURE_NOW, &got),
			-NTM_EDECODE);
		memcpy(bad, b, sizeof(b));
		bad[i] ^= 1;
		assert_int_not_equal(group_accept_get(bad, sizeof(bad),
						      &p.invite, FIXTURE_NOW,
						      &got),
				     0);
	}
	/* an old acceptance for a new invite, of the same identity or not */
	other = p.invite;
	other.token[0]++;
	assert_int_equal(
		group_accept_get(b, sizeof(b), &other, FIXTURE_NOW, &got),
		-NTM_ENOTFOUND);
	other = p.invite;
	memcpy(other.invitee_key, p.other.ed_pub, NTMC_KEY_LEN);
	assert_int_equal(
		group_accept_get(b, sizeof(b), &other, FIXTURE_NOW, &got),
		-NTM_EAUTH);
	assert_int_equal(group_accept_get(b, sizeof(b), &p.invite,
					  p.invite.expires, &got),
			 -NTM_EEXPIRED);
	/* another one's prekey in it */
	/* a prekey to which nobody can seal; one that is another's */
	memset(p.accept.prekey.pub, 0, sizeof(p.accept.prekey.pub));
	group_prekey_sign(&p.invitee, p.invite.id, &p.accept.prekey);
	group_accept_make(&p.invitee, &p.accept, b);
	assert_int_equal(
		group_accept_get(b, sizeof(b), &p.invite, FIXTURE_NOW, &got),
		-NTM_EAUTH);
	ntmc_x25519_keygen(&p.env, &p.priv, p.accept.prekey.pub);
	group_prekey_sign(&p.other, p.invite.id, &p.accept.prekey);
	group_accept_make(&p.invitee, &p.accept, b);
	assert_int_equal(
		group_accept_get(b, sizeof(b), &p.invite, FIXTURE_NOW, &got),
		-NTM_EAUTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invite),
		cmocka_unit_test(test_accept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
