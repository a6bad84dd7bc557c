/* SPDX-License-Identifier: MIT */
/* test_withdraw - withdrawals: who is told, until when, and what stays */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dc_site.h"

static bool both_withdrawn(void *arg)
{
	(void)arg;
	return mn.n_withdraw && cn.n_withdraw;
}

static void withdraw_disabled(void **state)
{
	const Ntm__Signal *s;
	uint64_t start;
	unsigned int n;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	assert_non_null(peer_direction(&mn, cn.fqdn));
	start = loop_now_exact(site.loop);
	site_admin(&site, "account-disable", "bob");
	assert_true(site_wait(&site, both_withdrawn, NULL));
	assert_true(loop_now_exact(site.loop) - start < LOOP_S(5));
	/* the keep-alive of whoever missed it says that there is news */
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->keep_alive_ack->revocation_serial, 1);
	/* acknowledged: no more of it */
	n = mn.n_withdraw + cn.n_withdraw;
	assert_int_equal(ack_code(peer_direction(&mn, cn.fqdn)), NTM_EOFFLINE);
	assert_int_equal(mn.n_withdraw + cn.n_withdraw, n);
	/* CN's session is over */
	assert_null(peer_keep_alive(&cn));
	assert_int_equal(peer_login_cert(&cn), 0);
	assert_int_equal(cn.code, NTM_EDISABLED);
	/* enabled again: the same identity comes back, same addresses */
	site_admin(&site, "account-enable", "bob");
	assert_int_equal(peer_login_cert(&cn), 0);
	assert_int_equal(cn.code, 0);
	peer_register(&cn);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
}

static bool twice(void *arg)
{
	(void)arg;
	return mn.n_withdraw >= 2;
}

static void withdraw_repeated(void **state)
{
	Ntm__RevocationRequest q = NTM__REVOCATION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *s;
	uint8_t fp[NTMC_FP_LEN];

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	assert_non_null(peer_direction(&mn, cn.fqdn));
	mn.ack_withdraw = false;
	site_admin(&site, "device-revoke", cn.fqdn);
	assert_true(site_wait(&site, twice, NULL));
	mn.ack_withdraw = true;
	/* asked for, it is on the list */
	msg.body_case = NTM__SIGNAL__BODY_REVOCATION_REQUEST;
	msg.revocation_request = &q;
	s = peer_call(&mn, &msg);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REVOCATION_LIST);
	assert_int_equal(s->revocation_list->n_fingerprints, 1);
	ntmc_fingerprint(cn.id.ed_pub, fp);
	assert_memory_equal(s->revocation_list->fingerprints[0].data, fp,
			    NTMC_FP_LEN);
	q.since = s->revocation_list->serial;
	msg.txn = 0;
	s = peer_call(&mn, &msg);
	assert_non_null(s);
	assert_int_equal(s->revocation_list->n_fingerprints, 0);
}

static bool one_node(void *arg)
{
	(void)arg;
	return site_dc_number(&site, "nodes") == 1;
}

static void released(void **state)
{
	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	assert_int_equal(site_dc_number(&site, "vip4_free"), 131070 - 2);
	site_admin(&site, "device-delete", cn.fqdn);
	assert_true(site_wait(&site, was_withdrawn, &cn));
	assert_true(site_wait(&site, one_node, NULL));
	assert_int_equal(ack_code(peer_direction(&mn, cn.fqdn)), NTM_ENONAME);
	assert_int_equal(site_dc_number(&site, "vip4_free"), 131070 - 1);
	site_stop_dc(&site);
	site_start_dc(&site);
	assert_int_equal(site_dc_number(&site, "nodes"), 1);
}

/* a withdrawal after a restart reaches those directed before it */
static void restarted_withdraw(void **state)
{
	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	assert_non_null(peer_direction(&mn, cn.fqdn));
	site_stop_dc(&site);
	/* queued while the DC is down */
	site_admin(&site, "account-disable", "bob");
	site_start_dc(&site);
	peer_register(&mn);
	peer_register(&cn);
	assert_true(site_wait(&site, both_withdrawn, NULL));
}

static unsigned int revocations_listed(struct peer *p)
{
	Ntm__RevocationRequest q = NTM__REVOCATION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *s;

	msg.body_case = NTM__SIGNAL__BODY_REVOCATION_REQUEST;
	msg.revocation_request = &q;
	s = peer_call(p, &msg);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REVOCATION_LIST);
	return (unsigned int)s->revocation_list->n_fingerprints;
}

/* a laptop that slept for a month still hears of what was withdrawn meanwhile */
static void withdrawal_kept(void **state)
{
	int64_t day = 86400, now = ntmc_now(NULL);

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	site_admin(&site, "device-revoke", cn.fqdn);
	assert_true(site_wait(&site, was_withdrawn, &cn));
	dc_prune(site.dc, now + 31 * day);
	assert_int_equal(revocations_listed(&mn), 1);
	dc_prune(site.dc, now + 33 * day);
	assert_int_equal(revocations_listed(&mn), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(withdraw_disabled),  T(withdraw_repeated), T(withdrawal_kept),
		T(restarted_withdraw), T(released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
