/* SPDX-License-Identifier: MIT */
/* test_box_items - exchange requests: an item's way, in one domain and across two */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "box_site.h"
#include "servers/http.h"

static long on_key(const struct peer *who, struct box_site *s,
		   const char *method, const char *hash, json_t **answer)
{
	char path[128];
	const struct web w = {s, method, path, .peer = who};

	snprintf(path, sizeof(path), "/v1/temporal-keys/%s", hash);
	return web(&w, NULL, answer);
}

static long delete_entry(const struct peer *who, struct box_site *s,
			 long long id)
{
	char path[64];
	const struct web w = {s, "DELETE", path, .peer = who};

	snprintf(path, sizeof(path), "/v1/cache/%lld", id);
	return web(&w, NULL, NULL);
}

/* In one request: T, what nobody has, what is asked alone, and another's token */
static void in_batch(struct box_site *s, const struct peer *to,
		     const char *hash)
{
	static const int want[] = {200, 404, 400, 401};
	const struct web w = {s, "POST", "/v1/batch", .peer = to};
	json_t *o, *body;
	char path[128];

	snprintf(path, sizeof(path), "/v1/temporal-keys/%s", hash);
	body = json_pack("{s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}, "
			 "{s:s, s:s, s:{s:s}}]}",
			 "requests", "method", "GET", "path", path, "method",
			 "DELETE", "path", "/v1/cache/999999", "method", "GET",
			 "path", "/v1/cache", "method", "GET", "path", path,
			 "headers", "NTM-Node", alice.fqdn);
	assert_int_equal(web(&w, body, &o), 200);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
			field_number(field_at(o, "answers", i), "status"),
			want[i]);
	assert_string_equal(
		field_text(json_object_get(field_at(o, "answers", 0), "json"),
			   "key"),
		b64(1, 32));
	json_decref(o);
}

/* T by its hash, for nobody else; then all of it is deleted */
static void item_ends(struct box_site *s, const struct peer *to, json_t *e,
		      const char *hash)
{
	const struct web keys = {s, "GET", "/v1/temporal-keys", .peer = to};
	json_t *o;

	assert_int_equal(web(&keys, NULL, &o), 200);
	assert_string_equal(field_text(field_at(o, "keys", 0), "hash"), hash);
	json_decref(o);
	assert_int_equal(on_key(to, s, "GET", hash, &o), 200);
	assert_string_equal(field_text(o, "key"), b64(1, 32));
	json_decref(o);
	in_batch(s, to, hash);
	if (s == &near) {
		assert_int_equal(on_key(&alice, s, "GET", hash, NULL), 404);
		assert_int_equal(on_key(&alice, s, "DELETE", hash, NULL), 404);
		assert_int_equal(delete_entry(&alice, s, field_number(e, "id")),
				 404);
	}
	assert_int_equal(on_key(to, s, "GET", b64(77, 32), NULL), 404);
	assert_int_equal(on_key(to, s, "GET", "short", NULL), 404);
	assert_int_equal(delete_entry(to, s, field_number(e, "id")), 200);
	assert_int_equal(delete_entry(to, s, field_number(e, "id")), 404);
	assert_int_equal(on_key(to, s, "GET", hash, NULL), 404);
	assert_int_equal(list_len(s, to), 0);
}

/* alice sends to @to, of @s */
static void item_goes(struct box_site *s, const struct peer *to)
{
	json_t *list, *e, *o;
	long long first;
	char hash[B64_32];

	assert_int_equal(publish(s, to), 200);
	assert_int_equal(give_key(&near, &alice, to->fqdn, "i1", 1), 0);
	assert_int_equal(exchange(&near, exchange_of(&near, NULL, alice.fqdn,
						     to->fqdn, "i1")),
			 0);
	list = list_of(s, to);
	e = field_at(list, "entries", 0);
	first = field_number(e, "number");
	assert_int_equal(field_number(list, "serial"), first);
	assert_string_equal(field_text(e, "kind"), "item");
	assert_string_equal(field_text(e, "from"), alice.fqdn);
	assert_string_equal(field_text(e, "item"), "i1");
	assert_string_equal(field_text(e, "key_hash"), b64(5, 32));
	assert_string_equal(field_text(e, "ticket"), b64(3, 32));
	assert_true(json_is_null(json_object_get(e, "data_hash")));
	assert_string_equal(field_text(json_object_get(e, "cs"), "name"),
			    "cs." SITE_DOMAIN);
	strcpy(hash, field_text(e, "temporal_hash"));
	json_decref(list);
	dc_hears(s, to, first);
	/* the data: the same entry, another number */
	assert_int_equal(exchange(&near, exchange_of(&near, "data", alice.fqdn,
						     to->fqdn, "i1")),
			 0);
	list = list_of(s, to);
	assert_int_equal(json_array_size(json_object_get(list, "entries")), 1);
	e = field_at(list, "entries", 0);
	assert_true(field_number(e, "number") > first);
	assert_string_equal(field_text(e, "data_hash"), b64(9, 32));
	assert_int_equal(field_number(e, "size"), 1234567);
	dc_hears(s, to, field_number(e, "number"));
	/* all of it once more changes nothing */
	assert_int_equal(give_key(&near, &alice, to->fqdn, "i1", 1), 0);
	assert_int_equal(exchange(&near, exchange_of(&near, "data", alice.fqdn,
						     to->fqdn, "i1")),
			 0);
	o = list_of(s, to);
	assert_true(json_equal(o, list));
	json_decref(o);
	item_ends(s, to, e, hash);
	json_decref(list);
	dc_hears(s, to, 0);
}

static void item_within(void **state)
{
	(void)state;
	item_goes(&near, &bob);
}

static void item_across(void **state)
{
	(void)state;
	item_goes(&far, &carol);
}

/* The key of i2 with its blob, to @to. Return: does the box say that it heard of that? */
static bool whole_said(const struct peer *to)
{
	const struct web w = {&near, "POST", "/v1/exchange", .as_cs = true};
	json_t *answer = NULL, *x;
	bool heard;

	x = exchange_of(&near, NULL, alice.fqdn, to->fqdn, "i2");
	json_object_set_new(
		x, "blob",
		json_pack("{s:s, s:i}", "hash", b64(9, 32), "size", 1234567));
	assert_int_equal(web(&w, x, &answer), 200);
	assert_int_equal(field_number(field_at(answer, "results", 0), "code"),
			 0);
	heard = json_is_true(json_object_get(answer, "blob"));
	json_decref(answer);
	return heard;
}

/* Key and blob at once: one entry, of one number; also where the key was there before. Of
 * another domain's device the key alone is told. */
static void whole_at_once(void **state)
{
	json_t *list, *o, *e;
	long long first;

	(void)state;
	assert_int_equal(publish(&near, &bob), 200);
	assert_int_equal(publish(&far, &carol), 200);
	assert_true(whole_said(&bob));
	list = list_of(&near, &bob);
	assert_int_equal(json_array_size(json_object_get(list, "entries")), 1);
	e = field_at(list, "entries", 0);
	first = field_number(e, "number");
	assert_string_equal(field_text(e, "key_hash"), b64(5, 32));
	assert_string_equal(field_text(e, "data_hash"), b64(9, 32));
	assert_int_equal(field_number(e, "size"), 1234567);
	dc_hears(&near, &bob, first);
	assert_true(whole_said(&bob));
	assert_int_equal(exchange(&near, exchange_of(&near, "data", alice.fqdn,
						     bob.fqdn, "i2")),
			 0);
	o = list_of(&near, &bob);
	assert_true(json_equal(o, list));
	json_decref(o);
	assert_int_equal(delete_entry(&bob, &near, field_number(e, "id")), 200);
	json_decref(list);
	/* the key was told by itself, and its answer got lost */
	assert_int_equal(exchange(&near, exchange_of(&near, NULL, alice.fqdn,
						     bob.fqdn, "i2")),
			 0);
	assert_true(whole_said(&bob));
	list = list_of(&near, &bob);
	assert_int_equal(json_array_size(json_object_get(list, "entries")), 1);
	e = field_at(list, "entries", 0);
	assert_true(field_number(e, "number") > first);
	assert_string_equal(field_text(e, "data_hash"), b64(9, 32));
	assert_int_equal(delete_entry(&bob, &near, field_number(e, "id")), 200);
	json_decref(list);
	assert_false(whole_said(&carol));
	list = list_of(&far, &carol);
	e = field_at(list, "entries", 0);
	assert_true(json_is_null(json_object_get(e, "data_hash")));
	assert_int_equal(delete_entry(&carol, &far, field_number(e, "id")),
			 200);
	json_decref(list);
}

/* a node hears it, where it is now and when it comes */
static bool told(void *arg)
{
	const struct peer *p = arg;

	return p->got && p->got->body_case == NTM__SIGNAL__BODY_BOX_NOTICE;
}

static void node_is_told(void **state)
{
	(void)state;
	assert_int_equal(publish(&far, &carol), 200);
	peer_register(&carol);
	assert_int_equal(exchange(&near, exchange_of(&near, NULL, alice.fqdn,
						     carol.fqdn, "i1")),
			 0);
	assert_true(site_wait(&far.site, told, &carol));
	assert_int_equal(carol.got->box_notice->serial,
			 serial_at(&far, &carol));
	/* confirmed: so is the sender */
	assert_int_equal(publish(&near, &alice), 200);
	peer_register(&alice);
	assert_int_equal(
		exchange(&near, exchange_of(&near, "status", carol.fqdn,
					    alice.fqdn, "i1")),
		0);
	assert_true(site_wait(&near.site, told, &alice));
	assert_int_equal(list_len(&near, &alice), 1);
}

static void several(void **state)
{
	char to[600];
	const struct web w = {&near, "POST", "/v1/temporal-keys",
			      .peer = &alice, .to = to};
	const struct web keys = {&near, "GET", "/v1/temporal-keys",
				 .peer = &bob};
	json_t *answer = NULL, *list;

	(void)state;
	assert_int_equal(publish(&near, &bob), 200);
	assert_int_equal(publish(&far, &carol), 200);
	snprintf(to, sizeof(to),
		 "%s, %s, phone.carol." FAR_DOMAIN ", desk.dora.example.com",
		 bob.fqdn, carol.fqdn);
	assert_int_equal(
		web(&w,
		    json_pack("{s:I, s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:s},"
			      " {s:s, s:s}]}",
			      "expires", (json_int_t)later(600), "keys", "to",
			      bob.fqdn, "key", b64(1, 32), "to", carol.fqdn,
			      "key", b64(2, 32), "to",
			      "phone.carol." FAR_DOMAIN, "key", b64(3, 32),
			      "to", "desk.dora.example.com", "key", b64(4, 32)),
		    &answer),
		200);
	list = json_object_get(answer, "results");
	assert_int_equal(json_array_size(list), 4);
	assert_int_equal(field_number(json_array_get(list, 0), "code"), 0);
	assert_int_equal(field_number(json_array_get(list, 1), "code"), 0);
	assert_int_equal(field_number(json_array_get(list, 2), "code"),
			 NTM_ENONAME);
	assert_string_equal(field_text(json_array_get(list, 3), "error"),
			    "NONAME");
	json_decref(answer);
	/* one who needs it no more */
	assert_int_equal(web(&keys, NULL, &answer), 200);
	assert_int_equal(on_key(&bob, &near, "DELETE",
				field_text(field_at(answer, "keys", 0), "hash"),
				NULL),
			 200);
	json_decref(answer);
	assert_int_equal(web(&keys, NULL, &answer), 200);
	assert_int_equal(json_array_size(json_object_get(answer, "keys")), 0);
	json_decref(answer);
}

/* @x: taken */
static json_t *one_of(const char *method, const char *path, json_t *x)
{
	return json_pack("{s:s, s:s, s:o}", "method", method, "path", path,
			 "json", x);
}

static json_t *said(const char *to, const char *item)
{
	return one_of("POST", "/v1/exchange",
		      exchange_of(&near, NULL, alice.fqdn, to, item));
}

/* the first result of @i's answer; -status where it has none */
static long long nth_code(json_t *o, size_t i)
{
	json_t *a = field_at(o, "answers", i);

	return field_number(a, "status") == 200
		       ? field_number(field_at(json_object_get(a, "json"),
					       "results", 0),
				      "code")
		       : -field_number(a, "status");
}

/* Several in one request: each is checked, done and refused as if it came alone. */
static void several_exchanges(void **state)
{
	static const long long want[] = {0,    -400, 0,	   NTM_ENONAME,
					 -400, -400, -400, 0};
	const struct web w = {&near, "POST", "/v1/exchanges", .as_cs = true},
			 node = {&near, "POST", "/v1/batch", .peer = &alice},
			 nobody = {&near, "POST", "/v1/exchanges",
				   .peer = &alice};
	json_t *list = json_array(), *o;

	(void)state;
	assert_int_equal(publish(&near, &bob), 200);
	assert_int_equal(publish(&far, &carol), 200);
	json_array_append_new(list, said(bob.fqdn, "i1"));
	json_array_append_new(list,
			      one_of("POST", "/v1/exchange",
				     exchange_bent("kind", json_string("x"))));
	json_array_append_new(list, said(carol.fqdn, "i2"));
	json_array_append_new(list, said("phone.bob." SITE_DOMAIN, "i3"));
	json_array_append_new(list, one_of("POST", "/v1/exchange",
					   exchange_bent("cs", json_null())));
	json_array_append_new(list,
			      one_of("POST", "/v1/servers", json_object()));
	json_array_append_new(list, json_pack("{s:s, s:s}", "method", "POST",
					      "path", "/v1/exchange"));
	json_array_append_new(list, said(bob.fqdn, "i4"));
	assert_int_equal(web(&w, json_pack("{s:O}", "requests", list), &o),
			 200);
	assert_int_equal(json_array_size(json_object_get(o, "answers")), 8);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(nth_code(o, i), want[i]);
	json_decref(o);
	assert_int_equal(list_len(&near, &bob), 2);
	assert_int_equal(list_len(&far, &carol), 1);
	/* none, too many, no list; who is no Cache Server */
	assert_int_equal(web(&w, json_pack("{s:[]}", "requests"), NULL), 400);
	while (json_array_size(list) <= HTTP_BATCH_MAX)
		json_array_append_new(list, said(bob.fqdn, "i5"));
	assert_int_equal(web(&w, json_pack("{s:O}", "requests", list), NULL),
			 400);
	assert_int_equal(web(&w, json_object(), NULL), 400);
	assert_int_equal(
		web(&nobody, json_pack("{s:O}", "requests", list), NULL), 403);
	json_array_clear(list);
	json_array_append_new(list, said(bob.fqdn, "i6"));
	assert_int_equal(web(&node, json_pack("{s:o}", "requests", list), &o),
			 200);
	assert_int_equal(nth_code(o, 0), -403);
	json_decref(o);
	assert_int_equal(list_len(&near, &bob), 2);
}

static void as_described(void **state)
{
	(void)state;
	web_check(WEB_ITEMS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, boxes_setup, boxes_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(item_within),
		T(item_across),
		T(node_is_told),
		T(several),
		T(several_exchanges),
		T(whole_at_once),
		cmocka_unit_test(as_described),
	};

	return cmocka_run_group_tests_name("box_items", tests, NULL, NULL);
}
