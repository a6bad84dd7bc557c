/* SPDX-License-Identifier: MIT */
/* test_domains_withdraw - withdrawals across domains: who met whom is told */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "far_site.h"
#include "servers/dc/meetings.h"
#include "servers/dc/state.h"

static bool is_told(void *arg)
{
	(void)arg;
	return far.n_withdraws;
}

static void withdrawn_here(void **state)
{
	uint8_t fp[NTMC_FP_LEN];

	(void)state;
	directed(CAROL);
	site_admin(&site, "account-disable", "alice");
	assert_true(site_wait(&site, is_told, NULL));
	ntmc_fingerprint(mn.id.ed_pub, fp);
	assert_memory_equal(far.withdrawn, fp, NTMC_FP_LEN);
}

/* Return: it is acknowledged */
static bool withdraw_said(const uint8_t *fp, uint32_t txn)
{
	Ntm__Withdraw body = NTM__WITHDRAW__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	ProtobufCBinaryData one = {NTMC_FP_LEN, (uint8_t *)fp};

	body.n_fingerprints = 1;
	body.fingerprints = &one;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_WITHDRAW;
	msg.withdraw = &body;
	played_dc_send(&far, &far.out, &msg);
	return played_dc_answer(&far, msg.txn);
}

static void withdraw_there(const uint8_t *fp)
{
	static uint32_t txn = 0x80000001;

	assert_true(withdraw_said(fp, txn++));
}

static bool cn_told(void *arg)
{
	(void)arg;
	return cn.n_withdraw;
}

static void withdrawn_there(void **state)
{
	uint8_t fp[NTMC_FP_LEN];

	(void)state;
	assert_int_equal(played_dc_link(&far), 0);
	assert_int_equal(direct_in(cn.fqdn), 0);
	/* one of ours: not its to say */
	ntmc_fingerprint(mn.id.ed_pub, fp);
	withdraw_there(fp);
	assert_int_equal(refused(), 1);
	assert_int_equal(cn.n_withdraw + mn.n_withdraw, 0);
	ntmc_fingerprint(far.node.ed_pub, fp);
	withdraw_there(fp);
	assert_true(site_wait(&site, cn_told, NULL));
	assert_int_equal(mn.n_withdraw, 0);
	/* said again nobody has met it any more: no node is told without end */
	withdraw_there(fp);
	assert_int_equal(refused(), 2);
	/* and not as often as it likes */
	site.conf.dc_peer_rate = 2;
	for (uint32_t i = 0; i < 4; i++)
		if (!withdraw_said(fp, 0x90000000 + i))
			return;
	fail_msg("any number of withdrawals is looked at");
}

static unsigned int n_told;

static void count_told(struct dc *dc, struct domain *d, uint32_t node,
		       const uint8_t fp[static NTMC_FP_LEN])
{
	(void)dc;
	(void)d;
	(void)node;
	(void)fp;
	n_told++;
}

static struct domain *domain_called(const char *name)
{
	struct domain *d = domain_put(site.dc, name);

	assert_non_null(d);
	return d;
}

/* one domain's flood does not make another's be forgotten */
static void meetings(void **state)
{
	struct domain *loud = domain_called(PLAYED_DOMAIN);
	struct domain *quiet = domain_called("example.com");
	uint8_t fp[NTMC_FP_LEN] = {0};
	uint32_t node = nodes_find(&site.dc->nodes, mn.fqdn);
	uint32_t other = nodes_find(&site.dc->nodes, cn.fqdn);
	struct meetings *m;

	(void)state;
	assert_int_equal(meetings_new(site.dc, &m), 0);
	meetings_add(m, quiet, node, fp);
	meetings_add(m, quiet, other, fp);
	meetings_add(m, quiet, node, fp);
	assert_int_equal(meetings_count(m), 2);
	for (uint32_t i = 0; i < MEETINGS_MAX + 1000; i++) {
		memcpy(fp + 1, &i, sizeof(i));
		meetings_add(m, loud, node, fp);
	}
	assert_int_equal(meetings_count(m), MEETINGS_MAX);
	assert_int_equal(loud->met.n, MEETINGS_MAX - 2);
	n_told = 0;
	assert_true(meetings_end(m, loud, fp, count_told));
	assert_int_equal(n_told, 1);
	assert_false(meetings_end(m, quiet, fp, count_told));
	assert_false(meetings_end(m, loud, fp, count_told));
	memset(fp, 0, sizeof(fp));
	assert_true(meetings_end(m, quiet, fp, count_told));
	assert_int_equal(n_told, 3);
	meetings_of_node(m, other, count_told);
	assert_int_equal(n_told, 3);
	meetings_end_all(m, loud, count_told);
	assert_int_equal(n_told, 3 + MEETINGS_MAX - 3);
	assert_int_equal(meetings_count(m), 0);
	meetings_free(m);
}

/* its DC has moved: whom its nodes met is known all the same */
static void met_and_moved(void **state)
{
	uint8_t fp[NTMC_FP_LEN];

	(void)state;
	assert_int_equal(played_dc_link(&far), 0);
	assert_int_equal(direct_in(cn.fqdn), 0);
	assert_string_equal(played_dc_add(&far), "");
	assert_int_equal(played_dc_link(&far), 0);
	ntmc_fingerprint(far.node.ed_pub, fp);
	withdraw_there(fp);
	assert_true(site_wait(&site, cn_told, NULL));
}

static void removed(void **state)
{
	json_t *request = json_pack("{s:s}", "domain", PLAYED_DOMAIN), *answer;

	(void)state;
	assert_int_equal(played_dc_link(&far), 0);
	assert_int_equal(direct_in(cn.fqdn), 0);
	answer = dc_admin(site.dc, "peer-remove", request);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	answer = dc_admin(site.dc, "peer-remove", request);
	assert_false(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	json_decref(request);
	assert_true(site_wait(&site, cn_told, NULL));
	assert_int_equal(not_directed(CAROL), NTM_ENONAME);
	assert_int_not_equal(played_dc_link(&far), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin_added, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(withdrawn_here), T(withdrawn_there), T(removed),
		T(meetings),	   T(met_and_moved),
	};

	return cmocka_run_group_tests_name("domains_withdraw", tests, NULL,
					   NULL);
}
