/* SPDX-License-Identifier: MIT */
/* test_tokens - logins' tokens reach a Cache Server, and leave it again */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "servers/as/state.h"
#include "servers/servercert.h"
#include "servers/tokens.h"
#include "peer.h"

#define MANY 250 /* nodes: three parts of a list */

static struct site site;
static struct peer laptop, desk;
static struct servercert cert;
static struct tokens *tokens;
static char changed_fqdn[FQDN_MAX + 1];
static enum tokens_state changed_state;
static unsigned int n_listed, n_changed;

static void on_listed(void *arg)
{
	(void)arg;
	n_listed++;
}

static void on_changed(void *arg, const char *fqdn, enum tokens_state state)
{
	(void)arg;
	strcpy(changed_fqdn, fqdn);
	changed_state = state;
	n_changed++;
}

static const struct tokens_ops ops = {.listed = on_listed,
				      .changed = on_changed};

static void subscribe(const char *role)
{
	struct server_ways as = {.a = {site.as_addr}, .n = 1};

	assert_int_equal(servercert_load(site.dir, role, &cert), 0);
	n_listed = 0;
	assert_int_equal(
		tokens_new(site.loop, cert.tls, role, &as, &ops, NULL, &tokens),
		0);
}

static void unsubscribe(void)
{
	tokens_free(tokens);
	tokens = NULL;
	assert_int_equal(loop_turn(site.loop, false), 0);
	servercert_clear(&cert);
}

static bool is_listed(void *arg)
{
	return n_listed >= *(unsigned int *)arg && tokens_are_fed(tokens);
}

static void wait_listed(unsigned int n)
{
	assert_true(site_wait(&site, is_listed, &n));
}

static int check(const struct peer *p)
{
	return tokens_check(tokens, p->fqdn, p->token, ntmc_now(NULL));
}

struct want {
	const struct peer *peer;
	int result;
};

static bool is_so(void *arg)
{
	const struct want *w = arg;

	return check(w->peer) == w->result;
}

static void wait_check(const struct peer *p, int result)
{
	struct want w = {p, result};

	assert_true(site_wait(&site, is_so, &w));
}

static int setup(void **state)
{
	(void)state;
	site_new(&site);
	site_add_account(&site, "alice");
	site_add_account(&site, "bob");
	peer_new(&laptop, &site, "laptop");
	peer_new(&desk, &site, "desk");
	assert_int_equal(peer_login(&laptop, "alice", SITE_PASSWORD), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (tokens)
		unsubscribe();
	peer_free(&laptop);
	peer_free(&desk);
	site_free(&site);
	return 0;
}

/* what was there before, what comes, whose it is */
static void told(void **state)
{
	struct peer thief;

	(void)state;
	subscribe("cs");
	assert_int_equal(check(&laptop), -NTM_EAGAIN);
	assert_int_equal(tokens_state(tokens, laptop.fqdn), TOKENS_UNKNOWN);
	wait_listed(1);
	assert_int_equal(check(&laptop), 0);
	assert_int_equal(tokens_state(tokens, "x.alice." SITE_DOMAIN),
			 TOKENS_NOBODY);
	assert_int_equal(peer_login(&desk, "bob", SITE_PASSWORD), 0);
	wait_check(&desk, 0);
	assert_int_equal(tokens_state(tokens, desk.fqdn), TOKENS_LIVE);
	/* another node's token; none at all; one that has run out */
	thief = laptop;
	memcpy(thief.token, desk.token, sizeof(thief.token));
	assert_int_equal(check(&thief), -NTM_EAUTH);
	memset(thief.token, 0, sizeof(thief.token));
	assert_int_equal(check(&thief), -NTM_EAUTH);
	assert_int_equal(
		tokens_check(tokens, desk.fqdn, desk.token,
			     ntmc_now(NULL) + site.conf.as_lifetime + 1),
		-NTM_EEXPIRED);
}

/* a renewal's token beside the one before; at most four */
static void renewed(void **state)
{
	struct peer first, last;

	(void)state;
	first = laptop;
	assert_int_equal(peer_login_cert(&laptop), 0);
	assert_memory_not_equal(first.token, laptop.token, 32);
	wait_check(&laptop, 0);
	assert_int_equal(check(&first), 0);
	for (unsigned int i = 0; i < 3; i++) {
		last = laptop;
		assert_int_equal(peer_login_cert(&laptop), 0);
	}
	wait_check(&laptop, 0);
	assert_int_equal(check(&last), 0);
	assert_int_equal(check(&first), -NTM_EAUTH);
}

static void withdrawn(void **state)
{
	(void)state;
	site_admin(&site, "account-disable", "bob");
	wait_check(&desk, -NTM_EAUTH);
	assert_string_equal(changed_fqdn, desk.fqdn);
	assert_int_equal(changed_state, TOKENS_WITHDRAWN);
	assert_int_equal(tokens_state(tokens, desk.fqdn), TOKENS_WITHDRAWN);
	assert_int_equal(check(&laptop), 0);
	site_admin(&site, "account-enable", "bob");
	site_wait_link(&site);
	/* the token from before stays dead */
	assert_int_equal(check(&desk), -NTM_EAUTH);
	do
		assert_int_equal(peer_login(&desk, "bob", SITE_PASSWORD), 0);
	while (desk.code == NTM_EAGAIN);
	assert_int_equal(desk.code, 0);
	wait_check(&desk, 0);
	site_admin(&site, "device-revoke", desk.fqdn);
	wait_check(&desk, -NTM_EAUTH);
	assert_int_equal(tokens_state(tokens, desk.fqdn), TOKENS_WITHDRAWN);
	site_admin(&site, "account-delete", "bob");
	while (tokens_state(tokens, desk.fqdn) != TOKENS_NOBODY)
		assert_int_equal(loop_turn(site.loop, true), 0);
	assert_int_equal(changed_state, TOKENS_NOBODY);
}

/* either side starts again: the same tokens */
static void restarts(void **state)
{
	(void)state;
	site_stop_as(&site);
	assert_int_equal(check(&laptop), 0); /* the AS is away */
	site_start_as(&site);
	wait_listed(2);
	assert_int_equal(check(&laptop), 0);
	unsubscribe();
	subscribe("box");
	wait_listed(1);
	assert_int_equal(check(&laptop), 0);
}

/* a list in parts, and a change while it comes */
static void parts(void **state)
{
	struct device d = {.account = "alice"};
	struct accounts *a = site.as->accounts;
	struct accounts_token t = {.expires = INT64_MAX};
	unsigned int before;

	(void)state;
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(d.fqdn, sizeof(d.fqdn), "d%03u.alice." SITE_DOMAIN, i);
		ntmc_random(NULL, d.fp, sizeof(d.fp));
		ntmc_sha256(d.fqdn, strlen(d.fqdn), t.hash);
		d.last_login = i * INT64_C(86400); /* not too many a day */
		assert_int_equal(accounts_device_login(a, &d, 2 * MANY), 0);
		assert_int_equal(accounts_token_add(a, d.fqdn, &t, 1), 0);
	}
	unsubscribe();
	before = n_changed;
	subscribe("cs");
	while (tokens_count(tokens) == 0) {
		assert_int_equal(loop_turn(site.loop, true), 0);
		if (n_changed == before)
			site_admin(&site, "device-revoke",
				   "d000.alice." SITE_DOMAIN);
	}
	wait_listed(1);
	assert_int_equal(tokens_count(tokens), MANY + 1);
	assert_int_equal(tokens_state(tokens, "d249.alice." SITE_DOMAIN),
			 TOKENS_LIVE);
	assert_int_equal(tokens_state(tokens, "d000.alice." SITE_DOMAIN),
			 TOKENS_WITHDRAWN);
}

static bool is_cut_off(void *arg)
{
	(void)arg;
	return !tokens_are_fed(tokens);
}

/* one that the administrator removed hears nothing more, and does not come back */
static void server_removed(void **state)
{
	uint64_t end;
	char path[128];

	(void)state;
	unsubscribe();
	subscribe("cs");
	wait_listed(1);
	site_remove_server(&site, "cs");
	n_changed = 0;
	assert_int_equal(peer_login(&laptop, "alice", SITE_PASSWORD), 0);
	assert_int_equal(laptop.code, 0);
	end = loop_now_exact(site.loop) + LOOP_MS(500);
	while (loop_now_exact(site.loop) < end) {
		loop_timer_arm(site.tick, LOOP_MS(5));
		assert_int_equal(loop_turn(site.loop, true), 0);
		assert_int_equal(n_listed, 1);
	}
	assert_int_equal(n_changed, 0);
	assert_true(site_wait(&site, is_cut_off, NULL));
	snprintf(path, sizeof(path), "%s/removed", site.dir);
	assert_int_equal(unlink(path), 0);
	wait_listed(2);
}

/* a node is told nobody's tokens; nor is another server */
static void not_for_nodes(void **state)
{
	static const char *const roles[] = {"rs", "dc"};
	Ntm__TokenSubscription body = NTM__TOKEN_SUBSCRIPTION__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT, *answer = NULL;

	(void)state;
	msg.txn = 5;
	msg.body_case = NTM__ENVELOPE__BODY_TOKEN_SUBSCRIPTION;
	msg.token_subscription = &body;
	assert_int_not_equal(peer_ask(&laptop, true, &msg, &answer), 0);
	assert_int_not_equal(peer_ask(&laptop, false, &msg, &answer), 0);
	for (size_t i = 0; i < 2; i++) {
		uint64_t end;

		unsubscribe();
		subscribe(roles[i]);
		end = loop_now_exact(site.loop) + LOOP_MS(300);
		while (loop_now_exact(site.loop) < end)
			assert_int_equal(loop_turn(site.loop, true), 0);
		assert_int_equal(n_listed, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told),		  cmocka_unit_test(renewed),
		cmocka_unit_test(withdrawn),	  cmocka_unit_test(restarts),
		cmocka_unit_test(server_removed), cmocka_unit_test(parts),
		cmocka_unit_test(not_for_nodes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
