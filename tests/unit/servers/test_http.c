/* SPDX-License-Identifier: MIT */
/* test_http - the HTTPS framework: trust, fields, bodies, answers later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "http_site.h"

/* the domain's CA is all that the client trusts; the name must be right */
static void trusted(void **state)
{
	struct https_ask a = {.method = "GET", .path = "/v1/echo"},
			 b = {.method = "GET",
			      .path = "/v1/echo",
			      .name = "cs." SITE_DOMAIN};
	json_t *j;

	(void)state;
	assert_int_equal(ask(&a), 200);
	/* ntm-post ends nothing by its time without it */
	assert_in_range(a.date, time(NULL) - 60, time(NULL) + 60);
	j = answer_of(&a);
	assert_string_equal(json_string_value(json_object_get(j, "version")),
			    "test 1");
	json_decref(j);
	assert_int_equal(ask(&b), -CURLE_PEER_FAILED_VERIFICATION);
	free(b.got);
}

static void fields(void **state)
{
	struct https_ask a = {.method = "GET",
			      .path = "/v1/echo",
			      .headers = {"NTM-Node: Laptop.alice.example.org",
					  "NTM-To: desk.bob.example.org, "
					  "phone.carol.example.net",
					  "NTM-Application: ntm",
					  "NTM-Service: file",
					  "NTM-Item: a.b_c-1",
					  "NTM-Message: gr%C3%BC%c3%9fe"}};
	json_t *j;

	(void)state;
	assert_int_equal(ask(&a), 200);
	j = answer_of(&a);
#define IS(key, text)                                                          \
	assert_string_equal(json_string_value(json_object_get(j, key)), text)
	IS("node", "laptop.alice.example.org");
	IS("application", "ntm");
	IS("service", "file");
	IS("item", "a.b_c-1");
	IS("message", "gr\xc3\xbc\xc3\x9f"
		      "e");
	IS("last", "phone.carol.example.net");
#undef IS
	assert_int_equal(json_integer_value(json_object_get(j, "to")), 2);
	json_decref(j);
}

static void bad_fields(void **state)
{
	static const struct {
		const char *header;
		long status;
		const char *error;
	} rows[] = {
		{"NTM-Node: a..b", 400, "INVAL"},
		{"NTM-Item: a/b", 400, "INVAL"},
		{"NTM-Application: "
		 "1234567890123456789012345678901234567890123456789012345678901"
		 "2"
		 "345",
		 400, "INVAL"},
		{"NTM-Message: %ff", 400, "INVAL"},
		{"NTM-Message: %0", 400, "INVAL"},
		{"NTM-Message: a%0Ab", 400, "INVAL"},
		{"NTM-Message: %00", 400, "INVAL"},
		{"NTM-To: a.b.example.org,", 400, "INVAL"},
		{"NTM-To: a.b.example.org, a.b.example.org", 400, "INVAL"},
		{"NTM-To: a.b.example.org b.c.example.org", 400, "INVAL"},
		{"Authorization: Basic abc", 401, "AUTH"},
		{"Authorization: Bearer " TOKEN "A", 401, "AUTH"},
		{"Authorization: Bearer "
		 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
		 401, "AUTH"},
	};
	struct https_ask none = {
		.method = "GET", .path = "/v1/echo", .no_version = true};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct https_ask a = {.method = "GET",
				      .path = "/v1/echo",
				      .headers = {rows[i].header}};

		expect_error(&a, rows[i].status, rows[i].error);
	}
	expect_error(&none, 400, "INVAL");
}

static void needs(void **state)
{
	struct https_ask anonymous = {
		.method = "POST", .path = "/v1/echo", .body = "{}"};
	struct https_ask no_item = {
		.method = "POST",
		.path = "/v1/echo",
		.headers = {"Authorization: Bearer " TOKEN,
			    "NTM-Node: laptop.alice.example.org"},
		.body = "{}"};
	struct https_ask whole = no_item, list = no_item, big = no_item,
			 none = {.method = "GET", .path = "/v1/nothing"},
			 other = {.method = "DELETE", .path = "/v1/echo"},
			 one = {.method = "GET",
				.path = "/v1/two/AAECAwQFBgcICQoLDA0ODw/of/x"},
			 short_id = {
				 .method = "GET",
				 .path = "/v1/two/AAECAwQFBgcICQoLDA0OD/of/x"};
	char text[1200];
	json_t *j;

	(void)state;
	whole.headers[2] = "NTM-To: desk.bob.example.org";
	whole.headers[3] = "NTM-Application: ntm";
	whole.headers[4] = "NTM-Service: file";
	whole.headers[5] = "NTM-Item: x";
	list = big = whole;
	list.body = "[1]";
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	big.body = text;
	expect_error(&anonymous, 401, "AUTH");
	expect_error(&no_item, 400, "INVAL");
	whole.body = "{\"a\": 1}";
	assert_int_equal(ask(&whole), 201);
	j = answer_of(&whole);
	assert_int_equal(json_integer_value(json_object_get(j, "a")), 1);
	json_decref(j);
	expect_error(&list, 400, "DECODE");
	expect_error(&big, 413, "TOOBIG");
	expect_error(&none, 404, "NOTFOUND");
	expect_error(&other, 405, "INVAL");
	assert_int_equal(ask(&one), 200);
	j = answer_of(&one);
	assert_string_equal(json_string_value(json_object_get(j, "second")),
			    "x");
	json_decref(j);
	expect_error(&short_id, 400, "DECODE");
}

static void peer_is_server(void **state)
{
	struct https_ask with = {.method = "GET",
				 .path = "/v1/peer",
				 .with_cert = true},
			 without = {.method = "GET", .path = "/v1/peer"};
	json_t *j;

	(void)state;
	assert_int_equal(ask(&with), 200);
	j = answer_of(&with);
	assert_string_equal(json_string_value(json_object_get(j, "peer")),
			    "cs." SITE_DOMAIN);
	json_decref(j);
	expect_error(&without, 403, "PERM");
	/* one that the administrator removed */
	is_removed = true;
	with = (struct https_ask){
		.method = "GET", .path = "/v1/peer", .with_cert = true};
	expect_error(&with, 403, "PERM");
	is_removed = false;
}

static void streams(void **state)
{
	struct https_ask a = {.method = "PATCH",
			      .path = "/v1/stream",
			      .body_len = BIG},
			 over = {.method = "PATCH",
				 .path = "/v1/stream",
				 .body_len = BIG + 1,
				 .expect = true},
			 refused = {.method = "PATCH",
				    .path = "/v1/stream?refuse=1",
				    .body_len = 100000},
			 failed = {.method = "PATCH",
				   .path = "/v1/stream?fail=1",
				   .body_len = 1000000};
	unsigned int before = ended;
	json_t *j;

	(void)state;
	assert_int_equal(ask(&a), 200);
	j = answer_of(&a);
	assert_int_equal(json_integer_value(json_object_get(j, "came")), BIG);
	json_decref(j);
	expect_error(&over, 413, "TOOBIG");
	expect_error(&refused, 409, "STATE");
	expect_error(&failed, 507, "STORE");
	streams_end(before + 3);
}

static void later(void **state)
{
	struct https_ask a = {.method = "GET", .path = "/v1/later"};
	pthread_t thread = begin_ask(&a);

	(void)state;
	assert_true(site_wait(&site, is_waiting, NULL));
	assert_false(a.over);
	http_answer_later(waiting, -NTM_ERATE, 7, "slowly");
	waiting = NULL;
	end_ask(&a, thread);
	assert_int_equal(a.status, 429);
	free(a.got);
}

static void expect_file(const char *range, long status, size_t from, size_t len)
{
	struct https_ask a = {.method = "GET", .path = "/v1/file"};
	char line[64];

	snprintf(line, sizeof(line), "Range: %s", range ? range : "");
	if (range)
		a.headers[0] = line;
	assert_int_equal(ask(&a), status);
	assert_int_equal(a.got_len, len);
	for (size_t i = 0; i < len; i++)
		if (a.got[i] != (char)((from + i) * 7 + (from + i) / 1000))
			fail_msg("byte %zu of %s", i, line);
	free(a.got);
}

static void files(void **state)
{
	struct https_ask head = {.method = "HEAD", .path = "/v1/file"},
			 behind = {.method = "GET",
				   .path = "/v1/file",
				   .headers = {"Range: bytes=300000-"}},
			 big = {.method = "GET", .path = "/v1/big"};

	(void)state;
	expect_file(NULL, 200, 0, FILE_LEN);
	expect_file("bytes=0-0", 206, 0, 1);
	expect_file("bytes=299999-", 206, FILE_LEN - 1, 1);
	expect_file("bytes=1000-200999", 206, 1000, 200000);
	expect_file("bytes=1000-9000000", 206, 1000, FILE_LEN - 1000);
	expect_file("bytes=-10", 206, FILE_LEN - 10, 10);
	expect_file("bytes=5-4", 200, 0, FILE_LEN);
	expect_file("bytes=0-1,4-5", 200, 0, FILE_LEN);
	expect_error(&behind, 416, "INVAL");
	assert_int_equal(ask(&head), 200);
	assert_int_equal(head.got_len, 0);
	free(head.got);
	assert_int_equal(ask(&big), 200);
	assert_int_equal(big.got_len, HTTPS_GOT_MAX / 2 + 11);
	free(big.got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trusted),	  cmocka_unit_test(fields),
		cmocka_unit_test(bad_fields),	  cmocka_unit_test(needs),
		cmocka_unit_test(peer_is_server), cmocka_unit_test(streams),
		cmocka_unit_test(later),	  cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
