/* SPDX-License-Identifier: MIT */
/* test_box_refused - exchange requests: what is refused, who is away, and lies */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "box_site.h"
#include "servers/box/state.h"
#include "servers/dc/state.h"

static void other_domain_is_away(void **state)
{
	(void)state;
	assert_int_equal(publish(&far, &carol), 200);
	box_stop(&far);
	assert_int_equal(give_key(&near, &alice, carol.fqdn, "i1", 1),
			 NTM_EAGAIN);
	box_start(&far);
	box_wait(&far);
	assert_int_equal(give_key(&near, &alice, carol.fqdn, "i1", 1), 0);
	site_stop_dc(&far.site);
	assert_int_equal(give_key(&near, &alice, carol.fqdn, "i2", 1),
			 NTM_EUNREACHABLE);
	site_start_dc(&far.site);
	site_wait_link(&far.site);
	box_wait(&far);
	assert_int_equal(give_key(&near, &alice, carol.fqdn, "i2", 1), 0);
	/* our own DC */
	site_stop_dc(&near.site);
	while (box_number(&near, "dc_link"))
		assert_int_equal(loop_turn(near.site.loop, true), 0);
	assert_int_equal(give_key(&near, &alice, carol.fqdn, "i3", 1),
			 NTM_EAGAIN);
	site_start_dc(&near.site);
	site_wait_link(&near.site);
}

static long post(struct box_site *s, bool cs, json_t *body)
{
	const struct web w = {s, "POST", "/v1/exchange", .as_cs = cs};

	return web(&w, body, NULL);
}

static void exchange_refused(void **state)
{
	char path[128];
	json_t *x;

	(void)state;
	assert_int_equal(publish(&near, &bob), 200);
	/* no Cache Server, and one of another domain */
	x = exchange_of(&near, NULL, alice.fqdn, bob.fqdn, "i1");
	assert_int_equal(post(&near, false, x), 403);
	/* senders of other domains, and no devices */
	x = exchange_of(&near, NULL, carol.fqdn, bob.fqdn, "i1");
	assert_int_equal(post(&near, true, x), 400);
	x = exchange_of(&near, NULL, "alice." SITE_DOMAIN, bob.fqdn, "i1");
	assert_int_equal(post(&near, true, x), 400);
	x = exchange_of(&near, "status", carol.fqdn, carol.fqdn, "i1");
	assert_int_equal(post(&near, true, x), 400);
	/* another server's name */
	x = exchange_of(&far, NULL, alice.fqdn, bob.fqdn, "i1");
	assert_int_equal(post(&near, true, x), 400);
	assert_int_equal(
		post(&near, true, exchange_bent("kind", json_string("x"))),
		400);
	assert_int_equal(
		post(&near, true, exchange_bent("item", json_string("a b"))),
		400);
	assert_int_equal(
		post(&near, true, exchange_bent("item", json_string(""))), 400);
	assert_int_equal(post(&near, true,
			      exchange_bent("message", json_string("a\nb"))),
			 400);
	assert_int_equal(post(&near, true, exchange_bent("to", json_array())),
			 400);
	assert_int_equal(
		post(&near, true, exchange_bent("expires", json_string("x"))),
		400);
	/* a receiver without prekeys; what is over */
	x = exchange_of(&near, NULL, alice.fqdn, "phone.bob." SITE_DOMAIN, "i");
	assert_int_equal(exchange(&near, x), NTM_ENONAME);
	assert_int_equal(
		exchange(&near,
			 exchange_bent("expires", json_integer(later(-1)))),
		NTM_EEXPIRED);
	assert_int_equal(list_len(&near, &bob), 0);
	assert_int_equal(
		exchange(&near,
			 exchange_bent("message",
				       json_string("caf\xc3\xa9 \"1\\"))),
		0);
	assert_int_equal(list_len(&near, &bob), 1);
	/* one that the administrator removed */
	site_remove_server(&near.site, "cs");
	x = exchange_of(&near, NULL, alice.fqdn, bob.fqdn, "i1");
	assert_int_equal(post(&near, true, x), 403);
	snprintf(path, sizeof(path), "%s/removed", near.site.dir);
	assert_int_equal(unlink(path), 0);
}

struct answers {
	unsigned int n, limited;
};

static void on_answer(void *arg, int err, const Ntm__BoxResponse *r)
{
	struct answers *a = arg;

	(void)r;
	a->n++;
	a->limited += err == -NTM_ELIMIT;
}

static bool all_answered(void *arg)
{
	const struct answers *a = arg;

	return a->n == BOX_ASKS_OF_ACCOUNT + 1;
}

static void ask_far(const struct peer *who, struct answers *a)
{
	Ntm__PrekeyRequest p = NTM__PREKEY_REQUEST__INIT;
	Ntm__BoxRequest q = NTM__BOX_REQUEST__INIT;

	p.name = carol.fqdn;
	q.body_case = NTM__BOX_REQUEST__BODY_PREKEYS;
	q.prekeys = &p;
	box_link_ask(near.box->link, who->fqdn, carol.fqdn, &q, on_answer, a);
}

/* What one account asks of other domains leaves room for others. */
static void one_account(void **state)
{
	struct answers a = {.n = 0}, b = {.n = 0};

	(void)state;
	box_wait(&near);
	for (int round = 0; round < 2; round++) {
		memset(&a, 0, sizeof(a));
		for (unsigned int i = 0; i < BOX_ASKS_OF_ACCOUNT; i++)
			ask_far(&alice, &a);
		assert_int_equal(a.n, 0);
		ask_far(&alice, &a);
		assert_int_equal(a.limited, 1);
		ask_far(&bob, &b);
		assert_int_equal(b.limited, 0);
		assert_true(site_wait(&near.site, all_answered, &a));
		assert_int_equal(a.limited, 1);
	}
}

/* as if @domain's DC had carried it to the far box */
static void says(const char *domain, const char *from, const char *to,
		 const char *cs, const char *ip)
{
	static uint8_t bytes[32] = {1};
	Ntm__BoxQuestion q = NTM__BOX_QUESTION__INIT;
	Ntm__BoxRequest r = NTM__BOX_REQUEST__INIT;
	Ntm__ExchangeRequest x = NTM__EXCHANGE_REQUEST__INIT;
	Ntm__Address a, *list[1] = {&a};
	struct addr addr;

	assert_int_equal(addr_parse(ip, 4507, &addr), 0);
	ntm__address__init(&a);
	addr_to_message(&addr, NTM__ADDRESS_KIND__ADDRESS_LOCAL, &a);
	x.from = (char *)from;
	x.to = (char *)to;
	x.application = x.service = x.item = "x";
	x.hash = x.ticket = (ProtobufCBinaryData){32, bytes};
	x.cs = (char *)cs;
	x.n_addresses = 1;
	x.addresses = list;
	x.expires = later(600);
	r.body_case = NTM__BOX_REQUEST__BODY_EXCHANGE;
	r.exchange = &x;
	q.domain = (char *)domain;
	q.request = &r;
	inbound_question(far.box, &q);
}

static void liar(void **state)
{
	json_t *list;

	(void)state;
	assert_int_equal(publish(&far, &carol), 200);
	/* our domain's name, or one below it */
	says(FAR_DOMAIN, "desk.alice", "desk.carol", "cs." FAR_DOMAIN,
	     "127.0.0.1");
	says("sub." FAR_DOMAIN, "desk.alice", "desk.carol",
	     "cs.sub." FAR_DOMAIN, "127.0.0.1");
	/* names that bring a domain of their own */
	says(SITE_DOMAIN, "desk.dora.example.com", "desk.carol",
	     "cs." SITE_DOMAIN, "127.0.0.1");
	says(SITE_DOMAIN, "alice", "desk.carol", "cs." SITE_DOMAIN,
	     "127.0.0.1");
	says(SITE_DOMAIN, "desk.alice", "desk.dora.example.com",
	     "cs." SITE_DOMAIN, "127.0.0.1");
	/* somebody else's Cache Server; nobody's address */
	says(SITE_DOMAIN, "desk.alice", "desk.carol", "cs.example.com",
	     "127.0.0.1");
	says(SITE_DOMAIN, "desk.alice", "desk.carol", "cs." FAR_DOMAIN,
	     "127.0.0.1");
	far.site.conf.dc_loopback = false;
	says(SITE_DOMAIN, "desk.alice", "desk.carol", "cs." SITE_DOMAIN,
	     "127.0.0.1");
	says(SITE_DOMAIN, "desk.alice", "desk.carol", "cs." SITE_DOMAIN,
	     "224.0.0.1");
	far.site.conf.dc_loopback = true;
	assert_int_equal(box_number(&far, "foreign_refused"), 9);
	assert_int_equal(list_len(&far, &carol), 0);
	/* what it may: the name is of its domain, whatever it says */
	says(SITE_DOMAIN, "desk.alice", "desk.carol", "cs." SITE_DOMAIN,
	     "127.0.0.1");
	list = list_of(&far, &carol);
	assert_string_equal(field_text(field_at(list, "entries", 0), "from"),
			    "desk.alice." SITE_DOMAIN);
	json_decref(list);
}

static void as_described(void **state)
{
	(void)state;
	web_check(WEB_SOME);
}

#define T(f) cmocka_unit_test_setup_teardown(f, boxes_setup, boxes_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(other_domain_is_away),
		T(exchange_refused),
		T(one_account),
		T(liar),
		cmocka_unit_test(as_described),
	};

	return cmocka_run_group_tests_name("box_refused", tests, NULL, NULL);
}
