/* SPDX-License-Identifier: MIT */
/* test_login - logging in by password: limits, refusals */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "servers/as/state.h"
#include "peer.h"

static struct site site;

static int setup(void **state)
{
	(void)state;
	site_new(&site);
	site_add_account(&site, "alice");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	site_free(&site);
	return 0;
}

static void login_good(void **state)
{
	struct ntmc_trust *t;
	struct ntmc_cert cert;
	struct peer p;

	(void)state;
	peer_new(&p, &site, "laptop");
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, 0);
	assert_string_equal(p.fqdn, "laptop.alice." SITE_DOMAIN);
	assert_int_equal(p.n_dc, 1);
	assert_int_equal(ntmc_trust_new(&t), 0);
	assert_int_equal(ntmc_trust_add(t, p.ca, p.ca_len, site.ca_fp, NULL),
			 0);
	assert_int_equal(
		ntmc_trust_verify(t, p.cert, p.cert_len, ntmc_now(NULL), &cert),
		0);
	assert_string_equal(cert.fqdn, p.fqdn);
	assert_memory_equal(cert.ed_pub, p.id.ed_pub, NTMC_KEY_LEN);
	assert_in_range(cert.not_after, ntmc_now(NULL) + 86395,
			ntmc_now(NULL) + 86400);
	assert_in_range(cert.not_before,
			ntmc_now(NULL) - NTMC_CERT_BACKDATE_S - 5,
			ntmc_now(NULL) - NTMC_CERT_BACKDATE_S);
	assert_int_equal(cert.vip6[0], 0xfd);
	assert_int_equal(cert.vip6[1], 0x6e);
	assert_int_equal(cert.vip4[0], 198);
	assert_int_equal(cert.vip4[1] & 0xfe, 18);
	ntmc_trust_free(t);
	peer_free(&p);
}

static void login_wrong_password(void **state)
{
	struct peer p;

	(void)state;
	peer_new(&p, &site, "laptop");
	assert_int_equal(peer_login(&p, "alice", "wrong one"), 0);
	assert_int_equal(p.code, NTM_EPASSWORD);
	/* an unknown account says the same */
	assert_int_equal(peer_login(&p, "nobody", "wrong one"), 0);
	assert_int_equal(p.code, NTM_EPASSWORD);
	peer_free(&p);
}

static void login_rate_limited(void **state)
{
	uint8_t source[AS_SOURCE_LEN] = {127, 0, 0, 1};
	struct peer p;

	(void)state;
	peer_new(&p, &site, "laptop");
	source[AS_SOURCE_LEN - 1] = 4;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(peer_login(&p, "alice", "wrong one"), 0);
		assert_int_equal(p.code, NTM_EPASSWORD);
	}
	/* More at once, so that the wait outlasts the check of a password where
	 * that is slow: these five alone would be 4 s, with the three it is 32 s */
	for (int i = 0; i < 5; i++) {
		limiter_failure(site.as->by_account, "alice", 5,
				loop_now_exact(site.loop));
		limiter_failure(site.as->by_source, source, sizeof(source),
				loop_now_exact(site.loop));
	}
	/* the right password does not help now, and the time is said */
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, NTM_ERATE);
	assert_in_range(p.retry_after_s, 5, 60);
	/* the source is limited for other accounts, too */
	assert_int_equal(peer_login(&p, "bob", "x"), 0);
	assert_int_equal(p.code, NTM_ERATE);
	peer_free(&p);
}

static void login_disabled(void **state)
{
	struct peer p;

	(void)state;
	peer_new(&p, &site, "laptop");
	site_admin(&site, "account-disable", "alice");
	assert_int_equal(peer_login(&p, "alice", "wrong one"), 0);
	assert_int_equal(p.code, NTM_EPASSWORD); /* not for strangers to know */
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, NTM_EDISABLED);
	site_admin(&site, "account-enable", "alice");
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, 0);
	peer_free(&p);
}

static int login_at(struct peer *p, int64_t off)
{
	Ntm__Envelope msg = NTM__ENVELOPE__INIT, *answer;
	uint8_t sig[NTMC_SIG_LEN];
	Ntm__LoginRequest q;
	int code;

	peer_login_request(p, &q, sig);
	q.account = (char *)"alice";
	q.password = (char *)SITE_PASSWORD;
	q.now += off;
	msg.txn = 9;
	msg.body_case = NTM__ENVELOPE__BODY_LOGIN_REQUEST;
	msg.login_request = &q;
	assert_int_equal(peer_ask(p, false, &msg, &answer), 0);
	code = (int)answer->login_response->code;
	assert_in_range(answer->login_response->now, ntmc_now(NULL) - 5,
			ntmc_now(NULL));
	ntm__envelope__free_unpacked(answer, NULL);
	return code;
}

static void login_clock(void **state)
{
	struct peer p;

	(void)state;
	peer_new(&p, &site, "laptop");
	assert_int_equal(login_at(&p, 600), NTM_ECLOCK);
	assert_int_equal(login_at(&p, -600), NTM_ECLOCK);
	assert_int_equal(login_at(&p, 290), 0);
	assert_int_equal(login_at(&p, -290), 0);
	peer_free(&p);
}

static void login_device_names(void **state)
{
	struct peer a, b;

	(void)state;
	peer_new(&a, &site, "laptop");
	peer_new(&b, &site, "laptop");
	assert_int_equal(peer_login(&a, "alice", SITE_PASSWORD), 0);
	assert_int_equal(a.code, 0);
	/* the name is another identity's */
	assert_int_equal(peer_login(&b, "alice", SITE_PASSWORD), 0);
	assert_int_equal(b.code, NTM_EEXISTS);
	/* the identity has another name */
	strcpy(a.device, "phone");
	assert_int_equal(peer_login(&a, "alice", SITE_PASSWORD), 0);
	assert_int_equal(a.code, NTM_EEXISTS);
	/* revoked: the name is free, the identity is out for good */
	site_admin(&site, "device-revoke", "laptop.alice." SITE_DOMAIN);
	strcpy(a.device, "laptop");
	assert_int_equal(peer_login(&a, "alice", SITE_PASSWORD), 0);
	assert_int_equal(a.code, NTM_EDISABLED);
	assert_int_equal(peer_login(&b, "alice", SITE_PASSWORD), 0);
	assert_int_equal(b.code, 0);
	assert_int_equal(peer_login(&a, "alice", SITE_PASSWORD), 0);
	assert_int_equal(a.code, NTM_EDISABLED);
	peer_free(&a);
	peer_free(&b);
}

static void login_device_limit(void **state)
{
	struct peer p;
	char name[16];

	(void)state;
	site.conf.as_device_limit = 2;
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		peer_new(&p, &site, name);
		assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
		assert_int_equal(p.code, i < 2 ? 0 : NTM_ELIMIT);
		peer_free(&p);
	}
	/* a revoked one makes room */
	site_admin(&site, "device-revoke", "d0.alice." SITE_DOMAIN);
	peer_new(&p, &site, "d9");
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, 0);
	peer_free(&p);
}

static uint32_t login_new_key(const char *name)
{
	struct peer p;
	uint32_t code;

	peer_new(&p, &site, name);
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	code = p.code;
	peer_free(&p);
	return code;
}

/* an account that logs in and revokes for ever does not fill the domain */
static void login_churn_limit(void **state)
{
	char name[16], fqdn[64];

	(void)state;
	site.conf.as_device_limit = 1;
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		snprintf(fqdn, sizeof(fqdn), "%s.alice." SITE_DOMAIN, name);
		assert_int_equal(login_new_key(name), 0);
		site_admin(&site, "device-revoke", fqdn);
	}
	assert_int_equal(login_new_key("d4"), NTM_ELIMIT);
	/* nor under a name it has had, nor if its names are forgotten */
	assert_int_equal(login_new_key("d0"), NTM_ELIMIT);
	for (int i = 0; i < 4; i++) {
		snprintf(fqdn, sizeof(fqdn), "d%d.alice." SITE_DOMAIN, i);
		site_admin(&site, "device-delete", fqdn);
	}
	assert_int_equal(login_new_key("d4"), NTM_ELIMIT);
	/* whoever owns the domain can raise it */
	site.conf.as_device_limit = 2;
	assert_int_equal(login_new_key("d4"), 0);
}

static struct device device_on(int name, int key, int64_t day)
{
	struct device d = {.account = "alice", .last_login = day * 86400 + 9};

	snprintf(d.fqdn, sizeof(d.fqdn), "d%d.alice." SITE_DOMAIN, name);
	d.fp[0] = (uint8_t)key;
	return d;
}

/* the limit of names stays, that of new keys is over with the day */
static void churn_by_day(void **state)
{
	struct accounts *a;
	char path[128];
	struct device d;

	(void)state;
	snprintf(path, sizeof(path), "%s/churn.db", site.dir);
	assert_int_equal(accounts_open(path, &a), 0);
	assert_int_equal(accounts_add(a, "alice", "x", 0), 0);
	for (int i = 0; i < 4; i++) {
		d = device_on(i, i, 100);
		assert_int_equal(accounts_device_login(a, &d, 1), 0);
		assert_int_equal(accounts_device_revoke(a, d.fqdn, false, 0),
				 0);
	}
	d = device_on(0, 9, 100);
	assert_int_equal(accounts_device_login(a, &d, 1), -NTM_ELIMIT);
	d = device_on(4, 9, 101);
	assert_int_equal(accounts_device_login(a, &d, 1), -NTM_ELIMIT);
	d = device_on(0, 9, 101);
	assert_int_equal(accounts_device_login(a, &d, 1), 0);
	/* a device that is known is not new */
	for (int i = 0; i < 9; i++)
		assert_int_equal(accounts_device_login(a, &d, 1), 0);
	accounts_close(a);
}

static void login_without_dc(void **state)
{
	struct peer p;

	(void)state;
	peer_new(&p, &site, "laptop");
	site_stop_dc(&site);
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, NTM_EAGAIN);
	site_start_dc(&site);
	site_wait_link(&site);
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, 0);
	peer_free(&p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(login_good),	       T(login_wrong_password),
		T(login_rate_limited), T(login_disabled),
		T(login_clock),	       T(login_device_names),
		T(login_device_limit), T(login_churn_limit),
		T(churn_by_day),       T(login_without_dc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
