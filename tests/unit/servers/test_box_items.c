/* SPDX-License-Identifier: MIT */
/* test_box_items - exchange requests: an item's way, in one domain and across two, and lies */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "box_site.h"
#include "servers/box/state.h"
#include "servers/dc/state.h"

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

static json_t *bent(const char *key, json_t *v)
{
	json_t *x = exchange_of(&near, NULL, alice.fqdn, bob.fqdn, "i1");

	json_object_set_new(x, key, v);
	return x;
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
	assert_int_equal(post(&near, true, bent("kind", json_string("x"))),
			 400);
	assert_int_equal(post(&near, true, bent("item", json_string("a b"))),
			 400);
	assert_int_equal(post(&near, true, bent("item", json_string(""))), 400);
	assert_int_equal(
		post(&near, true, bent("message", json_string("a\nb"))), 400);
	assert_int_equal(post(&near, true, bent("to", json_array())), 400);
	assert_int_equal(post(&near, true, bent("expires", json_string("x"))),
			 400);
	/* a receiver without prekeys; what is over */
	x = exchange_of(&near, NULL, alice.fqdn, "phone.bob." SITE_DOMAIN, "i");
	assert_int_equal(exchange(&near, x), NTM_ENONAME);
	assert_int_equal(
		exchange(&near, bent("expires", json_integer(later(-1)))),
		NTM_EEXPIRED);
	assert_int_equal(list_len(&near, &bob), 0);
	assert_int_equal(
		exchange(&near,
			 bent("message", json_string("caf\xc3\xa9 \"1\\"))),
		0);
	assert_int_equal(list_len(&near, &bob), 1);
	/* one that the administrator removed */
	site_remove_server(&near.site, "cs");
	x = exchange_of(&near, NULL, alice.fqdn, bob.fqdn, "i1");
	assert_int_equal(post(&near, true, x), 403);
	snprintf(path, sizeof(path), "%s/removed", near.site.dir);
	assert_int_equal(unlink(path), 0);
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
	json_array_append_new(list, one_of("POST", "/v1/exchange",
					   bent("kind", json_string("x"))));
	json_array_append_new(list, said(carol.fqdn, "i2"));
	json_array_append_new(list, said("phone.bob." SITE_DOMAIN, "i3"));
	json_array_append_new(
		list, one_of("POST", "/v1/exchange", bent("cs", json_null())));
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
	web_check(true);
}

#define T(f) cmocka_unit_test_setup_teardown(f, boxes_setup, boxes_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(item_within),
		T(item_across),
		T(node_is_told),
		T(several),
		T(other_domain_is_away),
		T(exchange_refused),
		T(several_exchanges),
		T(whole_at_once),
		T(one_account),
		T(liar),
		cmocka_unit_test(as_described),
	};

	return cmocka_run_group_tests_name("box_items", tests, NULL, NULL);
}
