/* SPDX-License-Identifier: MIT */
/* test_gms_abroad - members of other domains at a GMS, and who says that he is one */
#include <stdio.h>
#include <string.h>

#include "gms_rig.h"

static struct site far;
static struct peer carol, dave;
static struct tls_context *far_tls;
static struct gms_member guest;

/* the GMS is known by its identity alone, as the log has it */
static struct tls_context *by_key(const struct ntmc_identity *id,
				  const uint8_t *cert, size_t cert_len,
				  const uint8_t *ca, size_t ca_len,
				  const uint8_t *gms_key)
{
	struct tls_context *c;

	assert_int_equal(
		tls_context_new(id, cert, cert_len, ca, ca_len, NULL, NULL, &c),
		0);
	tls_context_set_roles(c, NTMC_ROLE_GMS);
	tls_context_set_peer_key(c, gms_key);
	return c;
}

static void person(struct peer *p, const char *account)
{
	site_add_account(&far, account);
	peer_new(p, &far, "desk");
	assert_int_equal(peer_login(p, account, SITE_PASSWORD), 0);
	assert_int_equal(p->code, 0);
}

static int far_up(void **state)
{
	rig_site_up(state);
	site_new_beside(&far, &site, "example.net");
	site_wait_link(&far);
	person(&carol, "carol");
	person(&dave, "dave");
	return 0;
}

static int far_down(void **state)
{
	peer_free(&carol);
	peer_free(&dave);
	site_free(&far);
	return rig_site_down(state);
}

static int setup(void **state)
{
	rig_setup(state);
	far_tls = by_key(&carol.id, carol.cert, carol.cert_len, carol.ca,
			 carol.ca_len, gms->id.ed_pub);
	gms_member_init(&guest, site.loop, &carol.id, carol.fqdn, far_tls, gid);
	return 0;
}

static int teardown(void **state)
{
	gms_member_clear(&guest);
	rig_teardown(state);
	tls_context_free(far_tls);
	return 0;
}

static bool are_strangers(void *arg)
{
	return gms->n_strangers == *(unsigned int *)arg;
}

/* the GMS learns of a connection's begin and end after the node */
static void wait_strangers(unsigned int n)
{
	assert_true(site_wait(&site, are_strangers, &n));
}

static void comes(struct gms_member *who)
{
	assert_int_equal(gms_member_connect(who, &gms_at), 0);
	assert_true(site_wait(&site, rig_is_open, who));
}

static int add_guest(void)
{
	struct group_joiner j = {.rights = GROUP_MAY_REMOVE,
				 .fqdn = guest.fqdn};
	struct group_change c = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	int r;

	ntmc_random(NULL, j.token, sizeof(j.token));
	memcpy(j.ed_pub, guest.id->ed_pub, sizeof(j.ed_pub));
	r = rig_submit(&m[0], &c);
	if (!r)
		rig_wait_key(&m[0]);
	return r;
}

/* in one group with who is of the GMS's own domain; it may do what its rights say */
static void guest_is_member(void **state)
{
	struct group_change c = {.kind = GROUP_REMOVE,
				 .reason = GROUP_REMOVED,
				 .gone = &m[1].index,
				 .n_gone = 1};

	(void)state;
	assert_int_equal(rig_add(1), 0);
	comes(&guest);
	wait_strangers(1);
	assert_int_equal(add_guest(), 0);
	assert_int_equal(gms_member_welcome(&m[0], &guest), 0);
	gms_member_hello(&guest);
	rig_wait_key(&guest);
	wait_strangers(0);
	rig_assert_together(2);
	assert_memory_equal(&guest.keys, &m[0].keys, sizeof(guest.keys));
	assert_true(m[0].sealed);
	assert_false(guest.sealed);
	assert_int_equal(rig_submit(&guest, &c), 0);
	rig_wait_key(&guest);
	rig_wait_key(&m[0]);
	assert_true(site_wait(&site, rig_is_gone, &m[1]));
	assert_memory_equal(&guest.keys, &m[0].keys, sizeof(guest.keys));
}

/* a group is founded at the GMS of the founder's own domain */
static void guest_founds_nothing(void **state)
{
	static struct gms_member founder;
	uint8_t other[GROUP_ID_LEN] = {9, 9};

	(void)state;
	gms_member_init(&founder, site.loop, &carol.id, carol.fqdn, far_tls,
			other);
	comes(&founder);
	assert_int_equal(gms_member_create(&founder, gms->id.ed_pub,
					   &group_policy_default),
			 0);
	assert_int_equal(rig_wait_ack(&founder), -NTM_ENOTOURS);
	gms_member_clear(&founder);
}

/* whom no log names is told so, and goes */
static void stranger_goes(void **state)
{
	(void)state;
	comes(&guest);
	gms_member_hello(&guest);
	assert_true(site_wait(&site, rig_is_gone, &guest));
	assert_int_equal(guest.gone_code, NTM_ENONAME);
	assert_true(site_wait(&site, rig_is_closed, &guest));
	wait_strangers(0);
}

/* they take nobody's place */
static void strangers_are_few(void **state)
{
	(void)state;
	gms->n_strangers = GMS_STRANGERS;
	assert_int_equal(gms_member_connect(&guest, &gms_at), 0);
	assert_true(site_wait(&site, rig_is_closed, &guest));
	assert_int_equal(rig_add(1), 0);
	gms->n_strangers = GMS_STRANGERS - 1;
	comes(&guest);
	wait_strangers(GMS_STRANGERS);
	gms->n_strangers = 1;
	channel_close(guest.channel);
	guest.channel = NULL;
	wait_strangers(0);
}

/* a CA of one's own, for any domain: it names its nodes as it likes */
static struct tls_context *forged(const char *domain, const char *fqdn,
				  struct ntmc_identity *id, uint8_t *cert,
				  size_t *cert_len)
{
	const uint8_t slice[4] = {198, 18};
	struct ntmc_cert c = {.kind = NTMC_CERT_NODE};
	uint8_t ca_der[NTMC_CERT_MAX], prefix6[16];
	size_t ca_len = sizeof(ca_der);
	int64_t now = ntmc_now(NULL);
	struct tls_context *made;
	struct ntmc_ca *ca;

	assert_int_equal(ntmc_ca_new(NULL, domain, slice, 15, 30, &ca, prefix6),
			 0);
	assert_int_equal(ntmc_ca_der(ca, ca_der, &ca_len), 0);
	ntmc_identity_new(NULL, id);
	strcpy(c.fqdn, fqdn);
	memcpy(c.ed_pub, id->ed_pub, sizeof(c.ed_pub));
	memcpy(c.x_pub, id->x_pub, sizeof(c.x_pub));
	ntmc_static_sign(id, c.x_sig);
	memcpy(c.vip6, prefix6, sizeof(c.vip6));
	c.vip6[15] = 1;
	memcpy(c.vip4, (uint8_t[]){198, 18, 0, 1}, 4);
	*cert_len = NTMC_CERT_MAX;
	assert_int_equal(ntmc_ca_issue(NULL, ca, &c, now - 60, now + 3600, cert,
				       cert_len),
			 0);
	made = by_key(id, cert, *cert_len, ca_der, ca_len, gms->id.ed_pub);
	ntmc_ca_free(ca);
	return made;
}

static void forgers(void **state)
{
	static const struct {
		const char *domain, *fqdn;
		bool in;
	} made[] = {
		{SITE_DOMAIN, "desk.person0." SITE_DOMAIN, false},
		{"org", "desk.person0." SITE_DOMAIN, false},
		{"sub." SITE_DOMAIN, "desk.person0.sub." SITE_DOMAIN, false},
		/* carol's name, and not her key: nobody */
		{"example.net", "desk.carol.example.net", true},
	};
	static struct gms_member forger;
	struct ntmc_identity id;
	uint8_t cert[NTMC_CERT_MAX];
	struct tls_context *c;
	size_t i, len;

	(void)state;
	assert_int_equal(add_guest(), 0);
	for (i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		c = forged(made[i].domain, made[i].fqdn, &id, cert, &len);
		gms_member_init(&forger, site.loop, &id, made[i].fqdn, c, gid);
		assert_int_equal(gms_member_connect(&forger, &gms_at), 0);
		if (made[i].in) {
			assert_true(site_wait(&site, rig_is_open, &forger));
			gms_member_hello(&forger);
			assert_true(site_wait(&site, rig_is_gone, &forger));
			assert_int_equal(forger.gone_code, NTM_ENONAME);
			assert_int_equal(forger.n_news, 0);
		}
		assert_true(site_wait(&site, rig_is_closed, &forger));
		gms_member_clear(&forger);
		assert_int_equal(loop_turn(site.loop, false), 0);
		tls_context_free(c);
	}
}

/* who answers with another key than the log's is no GMS, whatever its CA says */
static void another_gms(void **state)
{
	static struct gms_member wary;
	struct tls_context *c = by_key(&carol.id, carol.cert, carol.cert_len,
				       carol.ca, carol.ca_len, dave.id.ed_pub);

	(void)state;
	gms_member_init(&wary, site.loop, &carol.id, carol.fqdn, c, gid);
	assert_int_equal(gms_member_connect(&wary, &gms_at), 0);
	assert_true(site_wait(&site, rig_is_closed, &wary));
	assert_int_equal(wary.closed, -NTM_EPIN);
	gms_member_clear(&wary);
	assert_int_equal(loop_turn(site.loop, false), 0);
	tls_context_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(guest_is_member), T(guest_founds_nothing),
		T(stranger_goes),   T(strangers_are_few),
		T(forgers),	    T(another_gms),
	};

	return cmocka_run_group_tests(tests, far_up, far_down);
}
