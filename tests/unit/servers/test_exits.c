/* SPDX-License-Identifier: MIT */
/* test_exits - who may use the domain's exits: AS, DC, and what a node is told */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "servers/as/accounts.h"
#include "servers/dc/exits.h"
#include "servers/dc/state.h"
#include "peer.h"

#define EXIT "exit." SITE_DOMAIN

static struct site site;
static struct peer node, way; /* of alice; of the account exit */

static int setup(void **state)
{
	(void)state;
	site_new(&site);
	site_add_account(&site, "alice");
	site_add_account(&site, "exit");
	peer_new(&node, &site, "laptop");
	peer_new(&way, &site, "gate");
	assert_int_equal(peer_login(&node, "alice", SITE_PASSWORD), 0);
	assert_int_equal(peer_login(&way, "exit", SITE_PASSWORD), 0);
	peer_register(&node);
	peer_register(&way);
	way.ack_withdraw = true;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	peer_free(&node);
	peer_free(&way);
	site_free(&site);
	return 0;
}

/* 0: a route to the exit; else the code */
static uint32_t asked(struct peer *p, const char *name)
{
	const Ntm__Signal *s = peer_direction(p, name);

	assert_non_null(s);
	if (s->body_case == NTM__SIGNAL__BODY_ACK)
		return s->ack->code;
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	return 0;
}

static bool may(void *arg)
{
	(void)arg;
	return !asked(&node, EXIT);
}

static bool may_not(void *arg)
{
	(void)arg;
	return asked(&node, EXIT) == NTM_EPERM;
}

static void test_nobody_before_it_is_said(void **state)
{
	(void)state;
	assert_int_equal(asked(&node, EXIT), NTM_EPERM);
	assert_int_equal(asked(&node, way.fqdn), NTM_EPERM);
	assert_int_equal(way.route_wait != NULL, 0);
	site_admin(&site, "account-exit-on", "alice");
	assert_true(site_wait(&site, may, NULL));
	assert_int_equal(asked(&node, way.fqdn), 0);
	assert_non_null(way.route_wait);
	assert_string_equal(way.route_wait->route_direction->peer->fqdn,
			    node.fqdn);
}

static bool told(void *arg)
{
	(void)arg;
	return way.n_withdraw > 0;
}

/* the exit hears of it; the node stays what it is */
static void test_taken_back(void **state)
{
	unsigned int had;

	(void)state;
	site_admin(&site, "account-exit-on", "alice");
	assert_true(site_wait(&site, may, NULL));
	had = node.n_withdraw;
	site_admin(&site, "account-exit-off", "alice");
	assert_true(site_wait(&site, told, NULL));
	assert_int_equal(asked(&node, EXIT), NTM_EPERM);
	assert_int_equal(node.n_withdraw, had);
	assert_int_equal(site_dc_number(&site, "sessions"), 2);
}

/* a disabled account may no more, an enabled one again */
static void test_disabled(void **state)
{
	(void)state;
	site_add_account(&site, "bob");
	site_admin(&site, "account-exit-on", "alice");
	site_admin(&site, "account-exit-on", "bob");
	assert_true(site_wait(&site, may, NULL));
	site_admin(&site, "account-disable", "bob");
	assert_true(site_wait(&site, may, NULL));
	site_admin(&site, "account-exit-off", "alice");
	assert_true(site_wait(&site, may_not, NULL));
}

static uint32_t report(struct peer *p, uint32_t load, bool draining)
{
	Ntm__ExitStatus body = NTM__EXIT_STATUS__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *s;

	body.load = load;
	body.draining = draining;
	msg.body_case = NTM__SIGNAL__BODY_EXIT_STATUS;
	msg.exit_status = &body;
	s = peer_call(p, &msg);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ACK);
	return s->ack->code;
}

/* how many of 10 look-ups lead to @p, of two exits */
static unsigned int led_to(const struct peer *p)
{
	const Ntm__Signal *s;
	unsigned int n = 0;

	for (int i = 0; i < 10; i++) {
		s = peer_direction(&node, EXIT);
		assert_non_null(s);
		assert_int_equal(s->body_case,
				 NTM__SIGNAL__BODY_ROUTE_DIRECTION);
		n += !strcmp(s->route_direction->peer->fqdn, p->fqdn);
	}
	return n;
}

/* who is loaded gets fewer, who drains none; only an exit may say so of itself */
static void test_load_and_drain(void **state)
{
	static struct peer other;

	(void)state;
	peer_new(&other, &site, "second");
	assert_int_equal(peer_login(&other, "exit", SITE_PASSWORD), 0);
	peer_register(&other);
	site_admin(&site, "account-exit-on", "alice");
	assert_true(site_wait(&site, may, NULL));
	assert_int_equal(led_to(&way), 5); /* alike: by turns */
	assert_int_equal(report(&node, 0, true), NTM_EPERM);
	assert_int_equal(report(&way, 500, false), 0);
	assert_int_equal(report(&other, 100, false), 0);
	assert_int_equal(led_to(&way), 0);
	assert_int_equal(report(&other, 900, false), 0);
	assert_int_equal(led_to(&way), 10);
	assert_int_equal(report(&way, 0, true), 0);
	assert_int_equal(led_to(&way), 0);
	/* its tunnels are remade all the same */
	assert_int_equal(asked(&node, way.fqdn), 0);
	assert_int_equal(report(&other, 0, true), 0);
	assert_int_equal(asked(&node, EXIT), NTM_EOFFLINE);
	assert_int_equal(report(&way, 0, false), 0);
	assert_int_equal(led_to(&way), 10);
	peer_free(&other);
}

/* the DC keeps nothing of it: it is told again */
static void test_dc_restarts(void **state)
{
	(void)state;
	site_admin(&site, "account-exit-on", "alice");
	assert_true(site_wait(&site, may, NULL));
	site_stop_dc(&site);
	site_start_dc(&site);
	site_wait_link(&site);
	peer_register(&node);
	peer_register(&way);
	assert_true(site_wait(&site, may, NULL));
}

static void test_no_exit_is_there(void **state)
{
	(void)state;
	site_admin(&site, "account-exit-on", "alice");
	assert_true(site_wait(&site, may, NULL));
	site_admin(&site, "account-disable", "exit");
	assert_true(site_wait(&site, told, NULL));
	assert_int_equal(asked(&node, EXIT), NTM_EOFFLINE);
}

/* the exit asks, too, for a node that sleeps: but only one that may */
static void test_the_exit_asks(void **state)
{
	(void)state;
	assert_int_equal(asked(&way, node.fqdn), NTM_EPERM);
	site_admin(&site, "account-exit-on", "alice");
	assert_true(site_wait(&site, may, NULL));
	assert_int_equal(asked(&way, node.fqdn), 0);
}

/* the login says whether the person can be asked */
static void test_login_says(void **state)
{
	Ntm__LoginRequest q = NTM__LOGIN_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT, *answer = NULL;
	uint8_t sig[NTMC_SIG_LEN];

	(void)state;
	for (int on = 0; on < 2; on++) {
		if (on)
			site_admin(&site, "account-exit-on", "alice");
		peer_login_request(&node, &q, sig);
		q.account = (char *)"alice";
		q.password = (char *)SITE_PASSWORD;
		msg.body_case = NTM__ENVELOPE__BODY_LOGIN_REQUEST;
		msg.login_request = &q;
		assert_int_equal(peer_ask(&node, false, &msg, &answer), 0);
		assert_int_equal(answer->login_response->code, 0);
		assert_int_equal(answer->login_response->exit, on);
		ntm__envelope__free_unpacked(answer, NULL);
	}
}

/* in parts, whatever their size, no name is left out or told twice */
static void test_the_list(void **state)
{
	char path[128], name[64], last[FQDN_LABEL_MAX + 1] = "";
	char names[7][FQDN_LABEL_MAX + 1];
	struct accounts *a;
	size_t n, all = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s/list.db", site.dir);
	assert_int_equal(accounts_open(path, &a), 0);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "user%02d", i);
		assert_int_equal(accounts_add(a, name, "-", 1), 0);
		if (i % 2)
			assert_int_equal(accounts_set_exit(a, name, true), 0);
	}
	assert_int_equal(accounts_set_enabled(a, "user01", false), 0);
	do {
		assert_int_equal(accounts_exits(a, last, 7, names, &n), 0);
		for (size_t i = 0; i < n; i++) {
			assert_true(strcmp(names[i], last) > 0);
			strcpy(last, names[i]);
			assert_int_equal(atoi(names[i] + 4) % 2, 1);
		}
		all += n;
	} while (n == 7);
	assert_int_equal(all, 19);
	assert_int_equal(accounts_set_exit(a, "nobody", true), -NTM_ENOTFOUND);
	accounts_close(a);
}

/* parts of a list: it counts as a whole, and only when it began at its beginning */
static void test_parts(void **state)
{
	Ntm__ExitAccounts m = NTM__EXIT_ACCOUNTS__INIT;
	char *alice[] = {(char *)"alice"}, *bob[] = {(char *)"bob"};

	(void)state;
	m.n_accounts = 1;
	m.accounts = alice;
	m.first = true;
	exits_told(site.dc, &m); /* more is to come; alice may already */
	m.first = false;
	m.last = true;
	m.accounts = bob;
	exits_told(site.dc, &m);
	assert_int_equal(asked(&node, EXIT), 0);
	/* a last part without a beginning takes nothing from anybody */
	m.accounts = bob;
	exits_told(site.dc, &m);
	assert_int_equal(asked(&node, EXIT), 0);
	m.first = true;
	exits_told(site.dc, &m);
	assert_int_equal(asked(&node, EXIT), NTM_EPERM);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_nobody_before_it_is_said),
		T(test_taken_back),
		T(test_disabled),
		T(test_dc_restarts),
		T(test_load_and_drain),
		T(test_no_exit_is_there),
		T(test_the_exit_asks),
		T(test_login_says),
		T(test_the_list),
		T(test_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
