/* SPDX-License-Identifier: MIT */
/* test_receipt - who says that an item was received: its receiver, and nobody else */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/inbox.h"
#include "broker/post/outbox.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

static void policy(const char *text)
{
	file_put(at("%s/policy", w.cn.state), text, strlen(text));
	who_load_policy(&w.cn.post.who);
}

/* The first receiver of the newest item sent. A new reference */
static json_t *to_first(void)
{
	json_t *j = newest(&w.mn, "outbox");
	json_t *to = json_array_get(json_object_get(j, "to"), 0);

	json_incref(to);
	json_decref(j);
	return to;
}

static bool is_signed(void)
{
	json_t *to = to_first();
	bool yes = json_is_true(json_object_get(to, "signed"));

	json_decref(to);
	return yes;
}

static json_int_t claims(void)
{
	json_t *to = to_first();
	json_int_t n = json_integer_value(json_object_get(to, "claims"));

	json_decref(to);
	return n;
}

/* Until the CS has claimed once more */
static void await_claim(void)
{
	uint64_t next = 0, end = loop_now_exact(w.loop) + LOOP_S(20);
	json_int_t before = claims();

	(void)fault("{\"news\": true}");
	while (claims() == before) {
		assert_true(loop_now_exact(w.loop) < end);
		turn(&next);
	}
}

/* A Cache Server that says "received" of what nobody has fetched is not believed,
 * whatever it shows for it; and the item still arrives. */
static void test_claimed(void **state)
{
	static const char *const lies[] = {"bare", "forged", "replayed"};
	json_t *j;
	size_t i;

	(void)state;
	send_item(json_pack("{s:s}", "text", "one"));
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
	assert_true(is_signed());
	assert_int_equal(servers_count("{}", "receipts"), 1);

	policy("# nobody\n");
	send_item(json_pack("{s:s}", "text", "two"));
	json_decref(await(&w.cn, "inbox", "held"));
	outbox_is("waiting", "waiting");
	assert_int_equal(claims(), 0);
	for (i = 0; i < 3; i++) {
		(void)fault(at("{\"claim\": \"%s\"}", lies[i]));
		await_claim();
		outbox_is("waiting", "waiting");
		assert_false(is_signed());
		j = to_first();
		assert_string_equal(
			text(j, "text"),
			"its Cache Server says that it was received, without "
			"the receiver's signature; this is not believed");
		json_decref(j);
	}
	(void)fault("{\"claim\": null}");
	policy("allow mn.example.org\n");
	inbox_policy(w.cn.post.inbox);
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");
	assert_true(is_signed());
	j = to_first();
	assert_string_equal(text(j, "text"), "");
	json_decref(j);
}

/* What a receiver refuses it signs, too; a server that says so by itself ends the item,
 * as it can anyway, and is named. */
static void test_refused(void **state)
{
	json_t *j;

	(void)state;
	(void)fault("{\"flip\": true}");
	send_item(json_pack("{s:s}", "text", "one"));
	outbox_is("done", "refused");
	assert_true(is_signed());
	j = to_first();
	assert_string_equal(text(j, "error"), "AUTH");
	assert_string_equal(text(j, "text"),
			    "the receiver refused it: what came there is not "
			    "what was sent; send it again");
	json_decref(j);

	policy("# nobody\n");
	send_item(json_pack("{s:s}", "text", "two"));
	json_decref(await(&w.cn, "inbox", "held"));
	(void)fault("{\"claim\": \"refused\", \"news\": true}");
	outbox_is("done", "refused");
	assert_false(is_signed());
	j = to_first();
	assert_string_equal(text(j, "text"),
			    "the servers say, without the receiver's "
			    "signature, that it refused it: it breaks a rule "
			    "for items");
	json_decref(j);
}

/* The word on a refusal that the CS does not take at once is the same later. */
static void test_refused_later(void **state)
{
	uint64_t next = 0;
	json_t *j;

	(void)state;
	policy("# nobody\n");
	(void)fault("{\"flip\": true}");
	send_item(json_pack("{s:s}", "text", "one"));
	json_decref(await(&w.cn, "inbox", "held"));
	(void)fault("{\"unheard\": 1}");
	policy("allow mn.example.org\n");
	inbox_policy(w.cn.post.inbox);
	while (!servers_count("{}", "unheard"))
		turn(&next);
	outbox_is("done", "refused");
	assert_true(is_signed());
	j = to_first();
	assert_string_equal(text(j, "error"), "AUTH");
	json_decref(j);
	j = await(&w.cn, "inbox", "refused");
	assert_string_equal(text(j, "error"), "AUTH");
	json_decref(j);
}

/* Received, but the receipt is lost, and then the item: sent anew it is known, and the
 * same is said of it. @row_too: the receiver has no row of it any more */
static void again(bool row_too)
{
	uint64_t next = 0;

	(void)fault("{\"mute\": true}");
	send_item(json_pack("{s:s}", "text", "one"));
	taken(await(&w.cn, "inbox", "here"));
	await_claim();
	outbox_is("waiting", "waiting");
	if (row_too) {
		store_bind_int(w.cn.post.store, IN_DELETE, 1, 1);
		assert_int_equal(store_run(w.cn.post.store, IN_DELETE), 0);
	}
	(void)fault("{\"lost\": true, \"news\": true, \"wipe\": true, "
		    "\"mute\": false}");
	while (claims())
		turn(&next);
	(void)fault("{\"lost\": false}");
	outbox_is("done", "received");
	assert_true(is_signed());
	assert_int_equal(servers_count("{}", "receipts"), 2);
	assert_null(newest(&w.cn, "inbox"));
}

static void test_again(void **state)
{
	(void)state;
	again(false);
}

static void test_again_without_row(void **state)
{
	(void)state;
	again(true);
}

int main(void)
{
#define TEST(x) cmocka_unit_test_setup_teardown(x, ends_open, ends_close)
	const struct CMUnitTest tests[] = {
		TEST(test_claimed),	      TEST(test_refused),
		TEST(test_refused_later),     TEST(test_again),
		TEST(test_again_without_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
