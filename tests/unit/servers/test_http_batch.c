/* SPDX-License-Identifier: MIT */
/* test_http_batch - several requests in one */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "http_site.h"

#define BATCH(requests)                                                        \
	{                                                                      \
		.method = "POST", .path = "/v1/batch",                         \
		.headers = {"Authorization: Bearer " TOKEN,                    \
			    "NTM-Node: laptop.alice.example.org"},             \
		.body = "{\"requests\": [" requests "]}"                       \
	}

static json_t *part(json_t *j, size_t i, int status)
{
	json_t *a = json_array_get(json_object_get(j, "answers"), i);

	if (json_integer_value(json_object_get(a, "status")) != status)
		fail_msg("answer %zu is %s", i, json_dumps(a, 0));
	return a;
}

static void part_is(json_t *j, size_t i, int status, const char *key,
		    const char *text)
{
	json_t *body = json_object_get(part(j, i, status), "json");

	assert_string_equal(json_string_value(json_object_get(body, key)),
			    text);
}

/* Each as if it came alone; the fields are its own, or those around it. */
static void batch(void **state)
{
	struct https_ask a = BATCH(
		"{\"method\": \"GET\", \"path\": \"/v1/echo\"},"
		"{\"method\": \"GET\", \"path\": \"/v1/echo\", \"headers\":"
		" {\"NTM-Node\": \"desk.bob.example.org\"}},"
		"{\"method\": \"POST\", \"path\": \"/v1/echo\", \"json\":"
		" {\"a\": \"b\"}, \"headers\": {\"NTM-Item\": \"x\","
		" \"NTM-To\": \"desk.bob.example.org\","
		" \"NTM-Application\": \"ntm\", \"NTM-Service\": \"file\"}},"
		"{\"method\": \"POST\", \"path\": \"/v1/echo\", \"json\": {}},"
		"{\"method\": \"PATCH\", \"path\": \"/v1/stream\","
		" \"data\": \"AAECAw\"},"
		"{\"method\": \"GET\", \"path\": \"/v1/small\"}");
	json_t *j;
	unsigned int before = ended;

	(void)state;
	assert_int_equal(ask(&a), 200);
	j = answer_of(&a);
	part_is(j, 0, 200, "node", "laptop.alice.example.org");
	part_is(j, 1, 200, "node", "desk.bob.example.org");
	part_is(j, 2, 201, "a", "b");
	part_is(j, 3, 400, "error", "INVAL");
	assert_int_equal(
		json_integer_value(json_object_get(
			json_object_get(part(j, 4, 200), "json"), "came")),
		4);
	/* bytes 0, 7, 14 */
	assert_string_equal(
		json_string_value(json_object_get(part(j, 5, 200), "data")),
		"AAcO");
	assert_int_equal(json_array_size(json_object_get(j, "answers")), 6);
	json_decref(j);
	streams_end(before + 1);
}

/* What is no request, what is not for a batch, and what is too much */
static void batch_refused(void **state)
{
	struct https_ask
		a = BATCH("{\"method\": \"GET\", \"path\": \"/v1/big\"}, 7, {},"
			  "{\"method\": \"GET\", \"path\": \"/v1/file\"},"
			  "{\"method\": \"GET\", \"path\": \"/v1/none\"},"
			  "{\"method\": \"POST\", \"path\": \"/v1/batch\","
			  " \"json\": {\"requests\": []}},"
			  "{\"method\": \"PATCH\", \"path\": \"/v1/stream\","
			  " \"data\": \"A*\"}"),
		none = BATCH("");
	char many[65 * 2 + 32] = "{\"requests\": [1";
	struct https_ask over = none;
	json_t *j;

	(void)state;
	assert_int_equal(ask(&a), 200);
	j = answer_of(&a);
	part_is(j, 0, 400, "error", "INVAL");
	part_is(j, 1, 400, "error", "DECODE");
	part_is(j, 2, 400, "error", "DECODE");
	part_is(j, 3, 413, "error", "TOOBIG");
	part_is(j, 4, 404, "error", "NOTFOUND");
	part_is(j, 5, 400, "error", "INVAL");
	part_is(j, 6, 400, "error", "DECODE");
	json_decref(j);
	expect_error(&none, 400, "INVAL");
	for (size_t i = 0; i < HTTP_BATCH_MAX; i++)
		strcat(many, ",1");
	strcat(many, "]}");
	over.body = many;
	expect_error(&over, 400, "INVAL");
}

/* One is answered later, by another thread: the others wait for it. */
static void batch_later(void **state)
{
	struct https_ask a =
		BATCH("{\"method\": \"GET\", \"path\": \"/v1/later\"},"
		      "{\"method\": \"GET\", \"path\": \"/v1/echo\"}");
	pthread_t thread = begin_ask(&a);
	json_t *j;

	(void)state;
	assert_true(site_wait(&site, is_waiting, NULL));
	assert_false(a.over);
	http_answer_later(waiting, -NTM_ERATE, 7, "slowly");
	waiting = NULL;
	end_ask(&a, thread);
	assert_int_equal(a.status, 200);
	j = answer_of(&a);
	part_is(j, 0, 429, "error", "RATE");
	assert_int_equal(json_integer_value(json_object_get(part(j, 0, 429),
							    "retry_after")),
			 7);
	part_is(j, 1, 200, "node", "laptop.alice.example.org");
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch),
		cmocka_unit_test(batch_refused),
		cmocka_unit_test(batch_later),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
