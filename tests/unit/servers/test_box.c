/* SPDX-License-Identifier: MIT */
/* test_box - prekeys, tokens, Cache Servers, and what ends them */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "box_site.h"
#include "servers/box/state.h"
#include "servers/dc/state.h"

static json_t *prekeys_at(struct box_site *s, const struct peer *who,
			  const char *name, long status)
{
	char path[300];
	const struct web w = {s, "GET", path, .peer = who};
	json_t *answer = NULL;

	snprintf(path, sizeof(path), "/v1/prekeys/%s", name);
	assert_int_equal(web(&w, NULL, &answer), status);
	return answer;
}

static void prekeys(void **state)
{
	struct peer phone;
	json_t *a, *b;

	(void)state;
	peer_new(&phone, &near.site, "phone");
	json_decref(prekeys_at(&near, &alice, bob.fqdn, 404));
	assert_int_equal(publish(&near, &bob), 200);
	a = prekeys_at(&near, &alice, bob.fqdn, 200);
	assert_int_equal(json_array_size(json_object_get(a, "prekeys")), 1);
	assert_string_equal(field_text(field_at(a, "prekeys", 0), "name"),
			    bob.fqdn);
	/* the newest one that is valid; an account's name stands for its devices */
	b = prekeys_at(&near, &alice, "bob." SITE_DOMAIN, 200);
	assert_true(json_equal(a, b));
	json_decref(b);
	/* new ones take the place of the old */
	assert_int_equal(publish(&near, &bob), 200);
	b = prekeys_at(&near, &alice, bob.fqdn, 200);
	assert_false(json_equal(a, b));
	json_decref(a);
	json_decref(b);
	/* the same, from the other domain and in parts */
	a = prekeys_at(&near, &alice, bob.fqdn, 200);
	b = prekeys_at(&far, &carol, bob.fqdn, 200);
	assert_true(json_equal(a, b));
	json_decref(b);
	json_decref(a);
	assert_int_equal(peer_login(&phone, "bob", SITE_PASSWORD), 0);
	while (publish(&near, &phone) != 200)
		; /* the AS's word is on its way */
	a = prekeys_at(&near, &alice, "bob." SITE_DOMAIN, 200);
	assert_int_equal(json_array_size(json_object_get(a, "prekeys")), 2);
	b = prekeys_at(&far, &carol, "bob." SITE_DOMAIN, 200);
	assert_true(web_len() > 1000);
	assert_true(json_equal(a, b));
	json_decref(a);
	json_decref(b);
	peer_free(&phone);
	json_decref(prekeys_at(&far, &carol, "dora." SITE_DOMAIN, 404));
	json_decref(prekeys_at(&far, &carol, "dora.example.com", 404));
}

static long put(const struct peer *p, json_t *body)
{
	const struct web w = {&near, "PUT", "/v1/prekeys", .peer = p};

	return web(&w, body, NULL);
}

static json_t *with(json_t *body, const char *key, json_t *v)
{
	json_object_set_new(field_at(body, "prekeys", 0), key, v);
	return body;
}

static void prekeys_refused(void **state)
{
	(void)state;
	assert_int_equal(put(&alice, prekeys_of(&bob, 1)), 400);
	assert_int_equal(put(&alice, prekeys_of(&alice, 9)), 400);
	assert_int_equal(put(&alice, prekeys_of(&alice, 0)), 400);
	assert_int_equal(put(&alice, json_object()), 400);
	assert_int_equal(put(&alice, json_array()), 400);
	assert_int_equal(put(&alice, with(prekeys_of(&alice, 1), "not_after",
					  json_integer(later(-5)))),
			 400);
	assert_int_equal(put(&alice, with(prekeys_of(&alice, 1), "key",
					  json_string(b64(3, 32)))),
			 400);
	assert_int_equal(put(&alice, with(prekeys_of(&alice, 1), "key",
					  json_string(b64(3, 31)))),
			 400);
	assert_int_equal(put(&alice, with(prekeys_of(&alice, 1), "certificate",
					  json_string("AAAA"))),
			 400);
	assert_int_equal(put(&alice, prekeys_of(&alice, 8)), 200);
}

static void tokens(void **state)
{
	struct web w = {&near, "GET", "/v1/cache", .peer = NULL};
	struct peer thief = alice;

	(void)state;
	assert_int_equal(web(&w, NULL, NULL), 401);
	w.peer = &alice;
	assert_int_equal(web(&w, NULL, NULL), 200);
	w.node = bob.fqdn; /* a token is one node's */
	assert_int_equal(web(&w, NULL, NULL), 401);
	w.node = NULL;
	thief.token[31] ^= 1;
	w.peer = &thief;
	assert_int_equal(web(&w, NULL, NULL), 401);
	w.peer = &carol; /* of another domain */
	assert_int_equal(web(&w, NULL, NULL), 401);
	w.peer = &alice;
	w.path = "/v1/cache?limit=0";
	assert_int_equal(web(&w, NULL, NULL), 400);
	w.path = "/v1/cache?after=x";
	assert_int_equal(web(&w, NULL, NULL), 400);
	w.path = "/v1/caches";
	assert_int_equal(web(&w, NULL, NULL), 404);
	w.path = "/v1/cache/0";
	w.method = "DELETE";
	assert_int_equal(web(&w, NULL, NULL), 404);
}

static void servers(void **state)
{
	const struct web get = {&near, "GET", "/v1/servers", .peer = &alice},
			 say = {&near, "POST", "/v1/servers", .as_cs = true};
	json_t *o;

	(void)state;
	assert_int_equal(web(&say,
			     json_pack("{s:s, s:[s, s]}", "name",
				       "cs." SITE_DOMAIN, "addresses",
				       "192.0.2.1:4507", "[2001:db8::1]:4507"),
			     NULL),
			 200);
	assert_int_equal(web(&say,
			     json_pack("{s:s, s:[s]}", "name", "cs." FAR_DOMAIN,
				       "addresses", "192.0.2.1:4507"),
			     NULL),
			 400);
	assert_int_equal(web(&get, NULL, &o), 200);
	assert_int_equal(json_array_size(json_object_get(o, "servers")), 1);
	assert_string_equal(json_string_value(field_at(
				    field_at(o, "servers", 0), "addresses", 1)),
			    "[2001:db8::1]:4507");
	json_decref(o);
}

static bool is_empty(void *arg)
{
	(void)arg;
	return list_len(&near, &alice) == 0;
}

static void prekeys_gone(const char *path)
{
	const struct web w = {&near, "GET", path, .peer = &alice};

	for (int i = 0; web(&w, NULL, NULL) != 404; i++)
		assert_true(i < 1000);
}

static void withdrawn(void **state)
{
	long long jobs;

	(void)state;
	assert_int_equal(publish(&near, &bob), 200);
	assert_int_equal(publish(&near, &alice), 200);
	assert_int_equal(exchange(&near, exchange_of(&near, NULL, alice.fqdn,
						     bob.fqdn, "i1")),
			 0);
	site_admin(&near.site, "account-disable", "bob");
	prekeys_gone("/v1/prekeys/bob." SITE_DOMAIN);
	/* box and DC do not go on telling each other */
	jobs = box_number(&near, "jobs");
	for (int i = 0; i < 20; i++)
		assert_int_equal(list_len(&near, &alice), 0);
	assert_in_range(box_number(&near, "jobs") - jobs, 20, 20 + 4);
	/* back again: nothing is there of what it had */
	site_admin(&near.site, "account-enable", "bob");
	assert_int_equal(peer_login(&bob, "bob", SITE_PASSWORD), 0);
	assert_int_equal(bob.code, 0);
	while (publish(&near, &bob) != 200)
		; /* the AS's word is on its way */
	assert_int_equal(list_len(&near, &bob), 0);
	assert_true(is_empty(NULL));
}

static long long serial_wanted;

static bool dc_has_heard(void *arg)
{
	return site_dc_number(arg, "revocation_serial") >= serial_wanted;
}

/* Withdrawn while the box is away: a DC that was started anew since says so. */
static void withdrawn_away(void **state)
{
	struct peer carla;

	(void)state;
	site_add_account(&near.site, "carla");
	peer_new(&carla, &near.site, "desk");
	assert_int_equal(peer_login(&carla, "carla", SITE_PASSWORD), 0);
	assert_int_equal(publish(&near, &bob), 200);
	assert_int_equal(publish(&near, &alice), 200);
	while (publish(&near, &carla) != 200)
		; /* the AS's word is on its way */
	assert_int_equal(exchange(&near, exchange_of(&near, NULL, bob.fqdn,
						     alice.fqdn, "i1")),
			 0);
	box_stop(&near);
	serial_wanted = site_dc_number(&near.site, "revocation_serial") + 2;
	site_admin(&near.site, "account-disable", "bob");
	site_admin(&near.site, "account-delete", "carla");
	assert_true(site_wait(&near.site, dc_has_heard, &near.site));
	site_stop_dc(&near.site);
	site_start_dc(&near.site);
	site_wait_link(&near.site);
	box_start(&near);
	box_wait(&near);
	prekeys_gone("/v1/prekeys/bob." SITE_DOMAIN);
	prekeys_gone("/v1/prekeys/carla." SITE_DOMAIN);
	assert_int_equal(list_len(&near, &alice), 1);
	assert_int_equal(publish(&near, &alice), 200);
	peer_free(&carla);
}

static void restarts(void **state)
{
	uint32_t serial;

	(void)state;
	assert_int_equal(publish(&near, &bob), 200);
	assert_int_equal(give_key(&near, &alice, bob.fqdn, "i1", 1), 0);
	assert_int_equal(exchange(&near, exchange_of(&near, NULL, alice.fqdn,
						     bob.fqdn, "i1")),
			 0);
	while (!serial_at(&near, &bob))
		assert_int_equal(loop_turn(near.site.loop, true), 0);
	serial = serial_at(&near, &bob);
	box_stop(&near);
	box_start(&near);
	box_wait(&near);
	assert_int_equal(list_len(&near, &bob), 1);
	site_stop_dc(&near.site);
	site_start_dc(&near.site);
	site_wait_link(&near.site);
	dc_hears(&near, &bob, serial);
}

static void as_described(void **state)
{
	(void)state;
	web_check(WEB_OTHERS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, boxes_setup, boxes_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(prekeys),   T(prekeys_refused),
		T(tokens),    T(servers),
		T(withdrawn), T(withdrawn_away),
		T(restarts),  cmocka_unit_test(as_described),
	};

	return cmocka_run_group_tests_name("box", tests, NULL, NULL);
}
