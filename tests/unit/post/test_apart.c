/* SPDX-License-Identifier: MIT */
/* test_apart - an item of several receivers, one of whom cannot get it now */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/inbox.h"
#include "broker/post/outbox.h"
#include "common/log.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

#define AWAY "desk.away.example.net"

static void policy(struct end *e, const char *text)
{
	file_put(at("%s/policy", e->state), text, strlen(text));
	who_load_policy(&e->post.who);
}

/* The newest item sent: the state of one of its receivers; "": it has none such */
static const char *state_of(const char *name, const char *key)
{
	static char state[200];
	json_t *j = newest(&w.mn, "outbox"), *to;
	size_t i;

	*state = '\0';
	json_array_foreach(json_object_get(j, "to"), i, to)
	{
		if (!strcmp(text(to, "name"), name))
			snprintf(state, sizeof(state), "%s", text(to, key));
	}
	json_decref(j);
	return state;
}

static void await_state(const char *name, const char *state)
{
	uint64_t next = 0, end = loop_now_exact(w.loop) + LOOP_S(20);

	while (strcmp(state_of(name, "state"), state)) {
		if (loop_now_exact(w.loop) > end)
			fail_msg("%s is %s", name, state_of(name, "state"));
		turn(&next);
	}
}

static void says(const char *error)
{
	json_t *j = newest(&w.mn, "outbox");

	assert_string_equal(text(j, "error"), error);
	json_decref(j);
}

/* A domain that does not answer keeps nobody else waiting; and when it is there again,
 * its devices have their turn. */
static void test_domain(void **state)
{
	(void)state;
	(void)fault("{\"away\": \"away.example.net\"}");
	send_item(json_pack("{s:s, s:[s,s,s]}", "text", "one", "to", AWAY, CN,
			    "tab.away.example.net"));
	taken(await(&w.cn, "inbox", "here"));
	await_state(CN, "received");
	outbox_is("sending", NULL);
	says("UNREACHABLE");
	assert_string_equal(state_of(AWAY, "state"), "searching");
	assert_string_equal(state_of("tab.away.example.net", "state"),
			    "searching");
	(void)fault("{\"away\": null}");
	json_decref(await(&w.mn, "outbox", "done"));
	assert_string_equal(state_of(AWAY, "error"), "NONAME");
	assert_string_equal(state_of(CN, "state"), "received");
}

/* Who has been off for longer than a prekey lives gets it when that is on again; a device
 * whose account has others is named, and keeps nobody waiting. */
static void test_off(void **state)
{
	uint64_t next = 0;
	bool said;
	json_t *j;

	(void)state;
	(void)fault("{\"offline\": \"" CN "\"}");
	send_item(json_pack("{s:s}", "text", "one"));
	do {
		turn(&next);
		j = newest(&w.mn, "outbox");
		said = !strcmp(text(j, "error"), "OFFLINE");
		assert_string_equal(text(j, "state"), "sending");
		json_decref(j);
	} while (!said);
	(void)fault("{\"offline\": null}");
	taken(await(&w.cn, "inbox", "here"));
	outbox_is("done", "received");

	(void)fault("{\"without\": [\"old.cn.example.org\"]}");
	send_item(json_pack("{s:s, s:[s]}", "text", "two", "to",
			    "cn.example.org"));
	taken(await(&w.cn, "inbox", "here"));
	json_decref(await(&w.mn, "outbox", "done"));
	assert_string_equal(state_of(CN, "state"), "received");
	assert_string_equal(state_of("old.cn.example.org", "state"), "failed");
	assert_string_equal(state_of("old.cn.example.org", "error"), "OFFLINE");
	assert_string_equal(state_of("old.cn.example.org", "text"),
			    "it has been off for more than a month; it was "
			    "sent to the account's other devices");
}

/* Of many names of that domain one is asked for. */
static void test_asked_once(void **state)
{
	const char *to[9] = {CN};
	char names[8][64];
	json_t *list = json_array();
	json_int_t before;
	int i;

	(void)state;
	(void)fault("{\"away\": \"away.example.net\"}");
	for (i = 1; i < 9; i++) {
		snprintf(names[i - 1], sizeof(names[0]), "d%d.away.example.net",
			 i);
		to[i] = names[i - 1];
	}
	for (i = 0; i < 9; i++)
		json_array_append_new(list, json_string(to[i]));
	before = servers_count("{}", "prekeys");
	send_item(json_pack("{s:s, s:o}", "text", "one", "to", list));
	json_decref(await(&w.cn, "inbox", "here"));
	assert_int_equal(servers_count("{}", "prekeys"), before + 2);
}

/* DIR/big for CN, for whom it lies at the Cache Server, and for MN, whose box takes nothing
 * now */
static void send_to_both(void)
{
	policy(&w.cn, "# nobody\n");
	(void)fault("{\"again\": [\"" MN "\"]}");
	file_fill(at("%s/big", w.dir), 400000, 9);
	send_item(json_pack("{s:[s], s:[s,s]}", "files", at("%s/big", w.dir),
			    "to", CN, MN));
	json_decref(await(&w.cn, "inbox", "held"));
	await_state(CN, "waiting");
}

/* A receiver whose box takes nothing now comes to the item at the Cache Server later;
 * what lies there is not sent again, and need not be here any more. */
static void test_joins(void **state)
{
	json_int_t bytes;

	(void)state;
	policy(&w.mn, "allow mn.example.org\n");
	send_to_both();
	assert_string_equal(state_of(MN, "state"), "sending");
	says("AGAIN");
	bytes = fault("{}");
	unlink(at("%s/big", w.dir));
	(void)fault("{\"again\": []}");
	await_state(MN, "received");
	assert_int_equal(servers_count("{}", "grown"), 1);
	/* what MN fetched is all that moved */
	assert_true(fault("{}") - bytes < 410000);
	json_decref(await(&w.mn, "inbox", "here"));
	outbox_is("waiting", NULL);
	assert_string_equal(state_of(CN, "state"), "waiting");
	policy(&w.cn, "allow mn.example.org\n");
	inbox_policy(w.cn.post.inbox);
	await_state(CN, "received");
	outbox_is("done", NULL);
}

/* What cannot be sent any more ends for those alone who have nothing of it. */
static void test_rest_fails(void **state)
{
	json_t *j;

	(void)state;
	send_to_both();
	file_fill(at("%s/big", w.dir), 400000, 10);
	/* it wants all of it again, for those that it is told of */
	(void)fault("{\"again\": [], \"forget\": true}");
	await_state(MN, "failed");
	assert_string_equal(state_of(MN, "error"), "CHANGED");
	assert_string_equal(state_of(CN, "state"), "waiting");
	j = await(&w.mn, "outbox", "waiting");
	assert_string_equal(text(j, "error"), "CHANGED");
	json_decref(j);
	assert_int_equal(servers_count("{}", "cancelled"), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, ends_open, ends_close)
	const struct CMUnitTest tests[] = {
		TEST(test_domain), TEST(test_off),	  TEST(test_asked_once),
		TEST(test_joins),  TEST(test_rest_fails),
	};

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
