/* SPDX-License-Identifier: MIT */
/*
 * test_login_again - who has logged in before: by certificate, late, behind withdrawals;
 * and what it may ask of its account
 */
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

static void login_by_certificate(void **state)
{
	uint64_t first;
	struct peer p, other;

	(void)state;
	peer_new(&p, &site, "laptop");
	peer_new(&other, &site, "phone");
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	first = p.node_id;
	assert_int_equal(peer_login_cert(&p), 0);
	assert_int_equal(p.code, 0);
	assert_true(p.node_id != first);
	assert_string_equal(p.fqdn, "laptop.alice." SITE_DOMAIN);
	/* no certificate, no account */
	assert_int_equal(peer_login(&other, "", ""), 0);
	assert_int_equal(other.code, NTM_EAUTH);
	/* it speaks for its own device only */
	strcpy(p.device, "phone");
	assert_int_equal(peer_login_cert(&p), 0);
	assert_int_equal(p.code, NTM_EEXISTS);
	strcpy(p.device, "laptop");
	/* revoked */
	site_admin(&site, "device-revoke", p.fqdn);
	assert_int_equal(peer_login_cert(&p), 0);
	assert_int_equal(p.code, NTM_EDISABLED);
	peer_free(&p);
	peer_free(&other);
}

/* a certificate as the AS would have given, but for its time */
static void issue(struct peer *p, int64_t from, int64_t to)
{
	char key[128], cert_path[128];
	struct ntmc_cert cert;
	struct ntmc_ca *ca;

	snprintf(key, sizeof(key), "%s/as/ca.key", site.dir);
	snprintf(cert_path, sizeof(cert_path), "%s/as/ca.pem", site.dir);
	assert_int_equal(ntmc_ca_load(key, cert_path, &ca), 0);
	assert_int_equal(ntmc_cert_parse(p->cert, p->cert_len, &cert), 0);
	p->cert_len = sizeof(p->cert);
	assert_int_equal(
		ntmc_ca_issue(NULL, ca, &cert, from, to, p->cert, &p->cert_len),
		0);
	ntmc_ca_free(ca);
}

static void set_grace(unsigned int seconds)
{
	site.conf.as_renew_grace = seconds;
	as_reload(site.as, &site.conf);
}

static void login_expired_certificate(void **state)
{
	int64_t now = ntmc_now(NULL);
	struct peer p;

	(void)state;
	peer_new(&p, &site, "laptop");
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	issue(&p, now - 100, now + 100); /* what issue() makes is good */
	assert_int_equal(peer_login_cert(&p), 0);
	assert_int_equal(p.code, 0);
	set_grace(3500);
	issue(&p, now - 7200, now - 3600);
	assert_int_equal(peer_login_cert(&p), -NTM_EEXPIRED);
	set_grace(0);
	assert_int_equal(peer_login_cert(&p), -NTM_EEXPIRED);
	/* the password still works */
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, 0);
	peer_free(&p);
}

static uint32_t ask_ack(struct peer *p, bool cert, Ntm__Envelope *msg)
{
	Ntm__Envelope *answer;
	uint32_t code;

	msg->txn = 11;
	assert_int_equal(peer_ask(p, cert, msg, &answer), 0);
	assert_int_equal(answer->body_case, NTM__ENVELOPE__BODY_ACK);
	code = answer->ack->code;
	ntm__envelope__free_unpacked(answer, NULL);
	return code;
}

static uint32_t change_password(struct peer *p, const char *old,
				const char *new)
{
	Ntm__PasswordRequest q = NTM__PASSWORD_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	q.account = (char *)"alice";
	q.old_password = (char *)old;
	q.new_password = (char *)new;
	msg.body_case = NTM__ENVELOPE__BODY_PASSWORD_REQUEST;
	msg.password_request = &q;
	return ask_ack(p, false, &msg);
}

static uint32_t revoke(struct peer *p, const char *fqdn)
{
	Ntm__RevokeRequest q = NTM__REVOKE_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	q.fqdn = (char *)fqdn;
	msg.body_case = NTM__ENVELOPE__BODY_REVOKE_REQUEST;
	msg.revoke_request = &q;
	return ask_ack(p, true, &msg);
}

static uint32_t list_devices(struct peer *p)
{
	Ntm__DevicesRequest q = NTM__DEVICES_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT, *answer;
	uint32_t code;

	msg.body_case = NTM__ENVELOPE__BODY_DEVICES_REQUEST;
	msg.devices_request = &q;
	assert_int_equal(peer_ask(p, true, &msg, &answer), 0);
	code = answer->devices_response->code;
	ntm__envelope__free_unpacked(answer, NULL);
	return code;
}

/* log in by certificate once the DC knows of the last withdrawal */
static void login_settled(struct peer *p)
{
	int tries = 0;

	do
		assert_int_equal(peer_login_cert(p), 0);
	while (p->code == NTM_EAGAIN && ++tries < 1000);
	assert_int_equal(p->code, 0);
}

/* Off for 80 days: the key is enough to log in, and for nothing else. */
static void login_after_a_long_sleep(void **state)
{
	int64_t now = ntmc_now(NULL), day = 86400;
	uint8_t old[NTMC_CERT_MAX];
	struct peer p;
	struct ntmc_cert cert;
	size_t len;

	(void)state;
	assert_int_equal(site.conf.as_renew_grace, 90 * day);
	peer_new(&p, &site, "laptop");
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	issue(&p, now - 81 * day, now - 80 * day);
	memcpy(old, p.cert, len = p.cert_len);
	assert_int_equal(list_devices(&p), NTM_EEXPIRED);
	assert_int_equal(revoke(&p, p.fqdn), NTM_EEXPIRED);
	assert_int_equal(peer_login_cert(&p), 0);
	assert_int_equal(p.code, 0);
	assert_int_equal(ntmc_cert_parse(p.cert, p.cert_len, &cert), 0);
	assert_true(cert.not_after > now);
	assert_int_equal(list_devices(&p), 0);
	/* not for an account that is disabled, or a device revoked meanwhile */
	memcpy(p.cert, old, p.cert_len = len);
	site_admin(&site, "account-disable", "alice");
	assert_int_equal(peer_login_cert(&p), 0);
	assert_int_equal(p.code, NTM_EDISABLED);
	site_admin(&site, "account-enable", "alice");
	login_settled(&p);
	memcpy(p.cert, old, p.cert_len = len);
	site_admin(&site, "device-revoke", p.fqdn);
	assert_int_equal(peer_login_cert(&p), 0);
	assert_int_equal(p.code, NTM_EDISABLED);
	peer_free(&p);
}

static void password_change(void **state)
{
	struct peer p;

	(void)state;
	peer_new(&p, &site, "laptop");
	assert_int_equal(change_password(&p, "wrong one", "a new password"),
			 NTM_EPASSWORD);
	assert_int_equal(change_password(&p, SITE_PASSWORD, "short"),
			 NTM_EINVAL);
	assert_int_equal(change_password(&p, SITE_PASSWORD, "a new password"),
			 0);
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, NTM_EPASSWORD);
	assert_int_equal(peer_login(&p, "alice", "a new password"), 0);
	assert_int_equal(p.code, 0);
	peer_free(&p);
}

static void own_devices(void **state)
{
	Ntm__DevicesRequest q = NTM__DEVICES_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT, *answer;
	struct peer a, b, c;

	(void)state;
	site_add_account(&site, "carol");
	peer_new(&a, &site, "laptop");
	peer_new(&b, &site, "phone");
	peer_new(&c, &site, "desk");
	assert_int_equal(peer_login(&a, "alice", SITE_PASSWORD), 0);
	assert_int_equal(peer_login(&b, "alice", SITE_PASSWORD), 0);
	assert_int_equal(peer_login(&c, "carol", SITE_PASSWORD), 0);
	assert_int_equal(c.code, 0);
	/* another account's device is not there */
	assert_int_equal(revoke(&a, c.fqdn), NTM_ENOTFOUND);
	assert_int_equal(revoke(&a, b.fqdn), 0);
	msg.body_case = NTM__ENVELOPE__BODY_DEVICES_REQUEST;
	msg.devices_request = &q;
	assert_int_equal(peer_ask(&a, true, &msg, &answer), 0);
	assert_int_equal(answer->devices_response->code, 0);
	assert_int_equal(answer->devices_response->n_devices, 2);
	assert_string_equal(answer->devices_response->devices[0]->fqdn, a.fqdn);
	assert_false(answer->devices_response->devices[0]->revoked);
	assert_true(answer->devices_response->devices[1]->revoked);
	ntm__envelope__free_unpacked(answer, NULL);
	assert_int_equal(peer_login_cert(&b), 0);
	assert_int_equal(b.code, NTM_EDISABLED);
	peer_free(&a);
	peer_free(&b);
	peer_free(&c);
}

static bool dc_knows_all(void *arg)
{
	return site_dc_number(&site, "revocation_serial") == *(const int *)arg;
}

/* Disabled and enabled while the DC was away: a login that comes before the last
 * withdrawal has arrived there must not be ended by it. */
static void login_behind_withdrawals(void **state)
{
	struct peer p;
	int n = 60;

	(void)state;
	peer_new(&p, &site, "laptop");
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, 0);
	site_stop_dc(&site);
	for (int i = 0; i < n; i++) {
		site_admin(&site, "account-disable", "alice");
		site_admin(&site, "account-enable", "alice");
	}
	site_start_dc(&site);
	site_wait_link(&site);
	login_settled(&p);
	assert_true(site_wait(&site, dc_knows_all, &n));
	peer_register(&p); /* asserts that the session stands */
	peer_free(&p);
}

/* as long as names, and as many, as can be: they do not fit one answer */
static void add_long_devices(int n)
{
	struct device d = {.account = "alice", .last_login = 86400};
	struct accounts *a;
	char path[128];

	snprintf(path, sizeof(path), "%s/as/as.db", site.dir);
	assert_int_equal(accounts_open(path, &a), 0);
	memset(d.fqdn, 'x', sizeof(d.fqdn) - 1);
	for (size_t i = 60; i < sizeof(d.fqdn) - 1; i += 60)
		d.fqdn[i] = '.';
	memset(d.version, 'v', sizeof(d.version) - 1);
	for (int i = 0; i < n; i++) {
		snprintf(d.fqdn, 8, "d%06d", i);
		d.fqdn[7] = 'x';
		memcpy(d.fp, &i, sizeof(i));
		assert_int_equal(accounts_device_login(a, &d, 256), 0);
	}
	accounts_close(a);
}

static void too_many_devices(void **state)
{
	struct peer p;

	(void)state;
	peer_new(&p, &site, "laptop");
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, 0);
	site_stop_as(&site);
	add_long_devices(10);
	site_start_as(&site);
	assert_int_equal(list_devices(&p), 0);
	site_stop_as(&site);
	add_long_devices(250);
	site_start_as(&site);
	assert_int_equal(list_devices(&p), NTM_ELIMIT);
	peer_free(&p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(login_by_certificate),
		T(login_expired_certificate),
		T(login_after_a_long_sleep),
		T(password_change),
		T(own_devices),
		T(too_many_devices),
		T(login_behind_withdrawals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
