/* SPDX-License-Identifier: MIT */
/* test_cs - a whole Cache Server beside an AS, with a played box */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "cs_site.h"
#include "libntmcrypto/blobsum.h"

/* 81 bytes; what they say is none of the Cache Server's business */
#define RECEIPT                                                                \
	"AbCdEfGhIjKlMnOpQrStUvWxYz01"                                         \
	"AbCdEfGhIjKlMnOpQrStUvWxYz01"                                         \
	"AbCdEfGhIjKlMnOpQrStUvWxYz01"                                         \
	"AbCdEfGhIjKlMnOpQrSt_-AA"

static void whole_way(void **state)
{
	struct peer p = stranger("phone.carol.example.net");
	struct search key, blob, status;
	struct say s;

	(void)state;
	upload("whole", p.fqdn);
	wait_exchange(&key, "key", "whole", p.fqdn);
	wait_exchange(&blob, "data", "whole", p.fqdn);
	assert_memory_equal(key.ticket, blob.ticket, 32);
	begin(&s, &p, "GET", key.ticket, "/v1/keys/%s", key.hash);
	expect_text(&s, 200, "key", "c2VhbGVk");
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", hash_text);
	expect(&s, 200);
	assert_int_equal(s.a.got_len, SIZE);
	assert_memory_equal(s.a.got, data, SIZE);
	free(s.a.got);
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", hash_text);
	line(&s, "Range: bytes=%d-", SIZE - 10);
	expect(&s, 206);
	assert_int_equal(s.a.got_len, 10);
	assert_memory_equal(s.a.got, data + SIZE - 10, 10);
	free(s.a.got);
	begin(&s, &alice, "GET", NULL, "/v1/items/whole");
	expect_text(&s, 200, "state", "complete");
	confirm(&s, &p, key.ticket, 0);
	s.body[strlen(s.body) - 1] = '\0';
	strcat(s.body, ",\"receipt\":\"" RECEIPT "\"}");
	expect(&s, 200);
	free(s.a.got);
	wait_exchange(&status, "status", "whole", alice.fqdn);
	begin(&s, &alice, "GET", NULL, "/v1/items/whole");
	expect_text(&s, 200, "state", "done");
	/* its sender gets the receipt, as it came */
	begin(&s, &alice, "GET", NULL, "/v1/items/whole");
	expect(&s, 200);
	assert_non_null(strstr(s.a.got, "\"receipt\":\"" RECEIPT "\""));
	free(s.a.got);
	/* the blob is gone; the confirmation may come again */
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", hash_text);
	expect_error(&s.a, 404, "NOTFOUND");
	confirm(&s, &p, key.ticket, 0);
	expect(&s, 200);
	free(s.a.got);
	assert_int_equal(number("bytes"), 0);
	assert_true(n_registered > 0);
}

#define OF_ITEM                                                                \
	"\"headers\": {\"NTM-Application\": \"ntm\", \"NTM-Service\": "        \
	"\"file\", \"NTM-Item\": \"batch\", \"NTM-To\": \"%s\"}"

static void ask_batch(struct say *s, const int *want, size_t n)
{
	json_t *j, *a;
	size_t i;

	s->a.body = s->body;
	assert_int_equal(ask(&s->a), 200);
	j = json_loadb(s->a.got, s->a.got_len, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(j, "answers")), n);
	for (i = 0; i < n; i++) {
		a = json_array_get(json_object_get(j, "answers"), i);
		if (json_integer_value(json_object_get(a, "status")) != want[i])
			fail_msg("answer %zu: %s", i, json_dumps(a, 0));
	}
	json_decref(j);
	free(s->a.got);
	s->a.got = NULL;
}

/* A small item in one request each: what begins it, its data, its way out. Whoever's
 * ticket a part has not is told so, and the others are done. */
static void in_batches(void **state)
{
	static const int begun[] = {201, 404}, sent[] = {200, 404},
			 got[] = {200, 200, 403, 401, 200};
	struct peer p = stranger("phone.carol.example.net");
	char digest[48], other[48];
	uint8_t sum[32];
	struct search key;
	struct say s;

	(void)state;
	blobsum_of(data, 3, sum);
	ntmc_base64url_encode(sum, sizeof(sum), digest);
	begin(&s, &alice, "POST", NULL, "/v1/batch");
	snprintf(s.body, sizeof(s.body),
		 "{\"requests\": [{\"method\": \"POST\", "
		 "\"path\": \"/v1/items/batch/keys\", " OF_ITEM
		 ", \"json\": {\"size\": 3, \"keys\": [{\"to\": \"%s\", "
		 "\"key\": \"c2VhbGVk\"}]}}, {\"method\": \"GET\", "
		 "\"path\": \"/v1/items/none\", \"headers\": "
		 "{\"NTM-Application\": \"ntm\", \"NTM-Service\": \"x\"}}]}",
		 p.fqdn, p.fqdn);
	ask_batch(&s, begun, 2);
	ntmc_base64url_encode(data, 3, other);
	begin(&s, &alice, "POST", NULL, "/v1/batch");
	snprintf(s.body, sizeof(s.body),
		 "{\"requests\": [{\"method\": \"PATCH\", "
		 "\"path\": \"/v1/items/batch/data\", \"data\": \"%s\", "
		 "\"headers\": {\"NTM-Application\": \"ntm\", "
		 "\"NTM-Service\": \"file\", \"NTM-Offset\": \"0\", "
		 "\"NTM-Hash\": \"%s\"}}, {\"method\": \"PATCH\", "
		 "\"path\": \"/v1/items/none/data\", \"data\": \"AA\", "
		 "\"headers\": {\"NTM-Application\": \"ntm\", "
		 "\"NTM-Service\": \"file\", \"NTM-Offset\": \"1\"}}]}",
		 other, digest);
	ask_batch(&s, sent, 2);
	wait_exchange(&key, "data", "batch", p.fqdn);
	wait_exchange(&key, "key", "batch", p.fqdn);
	begin(&s, &p, "POST", key.ticket, "/v1/batch");
	ntmc_base64url_encode(alice.token, 32, other);
	snprintf(s.body, sizeof(s.body),
		 "{\"requests\": [{\"method\": \"GET\", "
		 "\"path\": \"/v1/keys/%s\"}, {\"method\": \"GET\", "
		 "\"path\": \"/v1/data/%s\"}, {\"method\": \"GET\", "
		 "\"path\": \"/v1/data/%s\"}, {\"method\": \"GET\", "
		 "\"path\": \"/v1/data/%s\", \"headers\": "
		 "{\"Authorization\": \"Bearer %s\"}}, "
		 "{\"method\": \"POST\", \"path\": \"/v1/confirmations\", "
		 "\"json\": {\"hash\": \"%s\", \"code\": 0}}]}",
		 key.hash, digest, hash_text, digest, other, digest);
	ask_batch(&s, got, 5);
	wait_exchange(&key, "status", "batch", alice.fqdn);
	/* nobody's token: its body is not read */
	begin(&s, &p, "POST", alice.token, "/v1/batch");
	s.a.body = "{\"requests\": [{}]}";
	expect_error(&s.a, 401, "AUTH");
}

/* three receivers, one blob, until the last has it; one refuses */
static void three(void **state)
{
	struct peer to[3] = {stranger("a.b.example.net"),
			     stranger("c.d.example.net"),
			     stranger("e.f.example.net")};
	struct search f;
	struct say s;

	(void)state;
	upload("three", "a.b.example.net, c.d.example.net, e.f.example.net");
	for (size_t i = 0; i < 3; i++) {
		wait_exchange(&f, "data", "three", to[i].fqdn);
		begin(&s, &to[i], "GET", f.ticket, "/v1/data/%s", hash_text);
		expect(&s, 200);
		assert_int_equal(s.a.got_len, SIZE);
		free(s.a.got);
		begin(&s, &alice, "GET", NULL, "/v1/items/three");
		expect_text(&s, 200, "state", "complete");
		assert_int_equal(number("bytes"), SIZE + 3 * KEY_LEN);
		confirm(&s, &to[i], f.ticket, i == 1 ? NTM_EPOLICY : 0);
		expect(&s, 200);
		free(s.a.got);
	}
	assert_int_equal(number("bytes"), 0);
	begin(&s, &alice, "GET", NULL, "/v1/items/three");
	expect(&s, 200);
	assert_non_null(strstr(s.a.got, "\"state\":\"refused\""));
	assert_non_null(strstr(s.a.got, "\"error\":\"POLICY\""));
	assert_null(strstr(s.a.got, "\"receipt\""));
	free(s.a.got);
}

/* One that is too short, too long, or no text is none; and says nothing of the item. */
static void receipts(void **state)
{
	static const char *const bad[] = {
		"\"\"", "\"AAAA\"", "\"" RECEIPT "AAAA\"", "7", "null", "{}"};
	struct peer p = stranger("one.b.example.net");
	struct search f;
	struct say s;

	(void)state;
	upload("receipts", p.fqdn);
	wait_exchange(&f, "data", "receipts", p.fqdn);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		confirm(&s, &p, f.ticket, 0);
		s.body[strlen(s.body) - 1] = '\0';
		strcat(s.body, ",\"receipt\":");
		strcat(s.body, bad[i]);
		strcat(s.body, "}");
		expect_error(&s.a, 400, "INVAL");
	}
	begin(&s, &alice, "GET", NULL, "/v1/items/receipts");
	expect_text(&s, 200, "state", "complete");
	confirm(&s, &p, f.ticket, 0);
	expect(&s, 200);
	free(s.a.got);
}

/* from any offset, over a restart; what is wrong is said with where to go on */
static void offsets(void **state)
{
	struct say s;

	(void)state;
	keys(&s, &alice, "offsets", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	patch(&s, &alice, "offsets", 0, 100000);
	assert_int_equal(expect_number(&s, 200, "offset"), 100000);
	patch(&s, &alice, "offsets", 0, 1000);
	assert_int_equal(expect_number(&s, 409, "offset"), 100000);
	patch(&s, &alice, "offsets", 100001, 1000);
	assert_int_equal(expect_number(&s, 409, "offset"), 100000);
	patch(&s, &alice, "offsets", 100000, SIZE - 100000);
	s.a.body_len++; /* more than was said */
	expect_error(&s.a, 413, "TOOBIG");
	cs_end();
	cs_begin();
	begin(&s, &alice, "GET", NULL, "/v1/items/offsets");
	assert_int_equal(expect_number(&s, 200, "offset"), 100000);
	/* the same keys once more: where to go on */
	keys(&s, &alice, "offsets", ONE, SIZE);
	assert_int_equal(expect_number(&s, 200, "offset"), 100000);
	keys(&s, &alice, "offsets", "two.example.net", SIZE);
	expect_error(&s.a, 409, "EXISTS");
	patch(&s, &alice, "offsets", 100000, 100000);
	assert_int_equal(expect_number(&s, 200, "offset"), 200000);
	begin(&s, &alice, "POST", NULL, "/v1/items/offsets/complete");
	snprintf(s.body, sizeof(s.body), "{\"hash\":\"%s\",\"size\":%d}",
		 hash_text, SIZE);
	s.a.body = s.body;
	assert_int_equal(expect_number(&s, 409, "offset"), 200000);
	patch(&s, &alice, "offsets", 200000, SIZE - 200000);
	line(&s, "NTM-Hash: %s", hash_text);
	expect_text(&s, 200, "hash", hash_text);
	/* again, as its answer may have been lost */
	begin(&s, &alice, "POST", NULL, "/v1/items/offsets/complete");
	snprintf(s.body, sizeof(s.body), "{\"hash\":\"%s\",\"size\":%d}",
		 hash_text, SIZE);
	s.a.body = s.body;
	expect_text(&s, 200, "hash", hash_text);
	cancel("offsets");
}

static void wrong_hash(void **state)
{
	char other[48];
	struct say s;

	(void)state;
	strcpy(other, hash_text);
	other[0] = other[0] == 'A' ? 'B' : 'A';
	keys(&s, &alice, "wrong", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	patch(&s, &alice, "wrong", 0, SIZE);
	line(&s, "NTM-Hash: %s", other);
	assert_int_equal(expect_number(&s, 409, "offset"), 0);
	patch(&s, &alice, "wrong", 0, SIZE);
	line(&s, "NTM-Hash: %s", hash_text);
	expect_text(&s, 200, "hash", hash_text);
	cancel("wrong");
	assert_int_equal(number("bytes"), 0);
}

/* other people's tokens, items, tickets and hashes */
static void not_yours(void **state)
{
	struct peer p = stranger("a.b.example.net"),
		    thief = stranger("t.t.example.net");
	struct search f, g;
	uint8_t none[32] = {0};
	struct say s;

	(void)state;
	upload("mine", p.fqdn);
	upload("other", thief.fqdn);
	wait_exchange(&f, "data", "mine", p.fqdn);
	wait_exchange(&f, "key", "mine", p.fqdn);
	wait_exchange(&g, "key", "other", thief.fqdn);
	/* a sender: no token, another's, one that was withdrawn */
	begin(&s, &alice, "GET", none, "/v1/items/mine");
	expect_error(&s.a, 401, "AUTH");
	begin(&s, &alice, "GET", bob.token, "/v1/items/mine");
	expect_error(&s.a, 401, "AUTH");
	begin(&s, &bob, "GET", NULL, "/v1/items/mine");
	expect_error(&s.a, 404, "NOTFOUND");
	begin(&s, &bob, "DELETE", NULL, "/v1/items/mine");
	expect_error(&s.a, 404, "NOTFOUND");
	/* a receiver: another's ticket, another's hash, a sender's token */
	begin(&s, &thief, "GET", f.ticket, "/v1/data/%s", hash_text);
	expect_error(&s.a, 401, "AUTH");
	begin(&s, &thief, "GET", g.ticket, "/v1/keys/%s", hash_text);
	expect_error(&s.a, 403, "PERM");
	f.hash[0] = f.hash[0] == 'A' ? 'B' : 'A';
	begin(&s, &p, "GET", f.ticket, "/v1/data/%s", f.hash);
	expect_error(&s.a, 403, "PERM");
	begin(&s, &alice, "GET", NULL, "/v1/data/%s", hash_text);
	expect_error(&s.a, 401, "AUTH");
	confirm(&s, &thief, f.ticket, 0);
	expect_error(&s.a, 401, "AUTH");
	for (size_t i = 0; i < 2; i++) {
		cancel(i ? "mine" : "other");
		if (i)
			break;
		/* the same blob, of another item: still there */
		begin(&s, &p, "GET", f.ticket, "/v1/data/%s", hash_text);
		expect(&s, 200);
		free(s.a.got);
	}
	begin(&s, &p, "GET", f.ticket, "/v1/data/%s", hash_text);
	expect_error(&s.a, 404, "NOTFOUND");
}

static bool is_refused(void *arg)
{
	const struct peer *p = arg;

	return tokens_check(cs->tokens, p->fqdn, p->token, ntmc_now(NULL)) ==
	       -NTM_EAUTH;
}

static void withdrawn(void **state)
{
	struct search f;
	struct say s;

	(void)state;
	upload("late", bob.fqdn);
	wait_exchange(&f, "data", "late", bob.fqdn);
	begin(&s, &bob, "GET", f.ticket, "/v1/data/%s", hash_text);
	expect(&s, 200);
	free(s.a.got);
	begin(&s, &bob, "GET", NULL, "/v1/items");
	expect(&s, 200);
	free(s.a.got);
	site_admin(&site, "account-disable", "bob");
	assert_true(site_wait(&site, is_refused, &bob));
	begin(&s, &bob, "GET", NULL, "/v1/items");
	expect_error(&s.a, 401, "AUTH");
	/* and with a ticket that it had */
	begin(&s, &bob, "GET", f.ticket, "/v1/data/%s", hash_text);
	expect_error(&s.a, 401, "AUTH");
	cancel("late");
}

static void quota(void **state)
{
	struct server_conf conf = site.conf;
	long long before = number("bytes");
	struct say s;

	(void)state;
	/* two items and their sealed keys */
	conf.cs_quota = 2 * (SIZE + KEY_LEN);
	cs_reload(cs, &conf);
	keys(&s, &alice, "q1", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	keys(&s, &alice, "q2", ONE, SIZE + 1);
	expect_error(&s.a, 507, "LIMIT");
	keys(&s, &alice, "q2", ONE, SIZE);
	expect(&s, 201);
	free(s.a.got);
	keys(&s, &alice, "q3", ONE, 1);
	expect_error(&s.a, 507, "LIMIT");
	assert_int_equal(number("bytes"), before + 2 * (SIZE + KEY_LEN));
	/* one more receiver is one more key */
	keys(&s, &alice, "q2", ONE ", two.example.net", SIZE);
	expect(&s, 200);
	free(s.a.got);
	assert_int_equal(number("bytes"), before + 2 * SIZE + 3 * KEY_LEN);
	cancel("q1");
	keys(&s, &alice, "q3", ONE, SIZE - KEY_LEN);
	expect(&s, 201);
	free(s.a.got);
	/* what never fits is not tried again */
	keys(&s, &bob, "q5", ONE, conf.cs_quota);
	expect_error(&s.a, 413, "TOOBIG");
	keys(&s, &bob, "q5", ONE, conf.cs_quota - KEY_LEN);
	expect(&s, 201);
	free(s.a.got);
	begin(&s, &bob, "DELETE", NULL, "/v1/items/q5");
	expect(&s, 200);
	free(s.a.got);
	keys(&s, &alice, "q4", ONE, UINT64_C(1) << 60); /* nor has the disk */
	expect(&s, 507);
	free(s.a.got);
	cs_reload(cs, &site.conf);
	begin(&s, &alice, "GET", NULL, "/v1/items?limit=1");
	expect(&s, 200);
	assert_non_null(strstr(s.a.got, "\"more\":true"));
	free(s.a.got);
	cancel("q2");
	cancel("q3");
	assert_int_equal(number("bytes"), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_way), cmocka_unit_test(in_batches),
		cmocka_unit_test(three),     cmocka_unit_test(receipts),
		cmocka_unit_test(offsets),   cmocka_unit_test(wrong_hash),
		cmocka_unit_test(not_yours), cmocka_unit_test(quota),
		cmocka_unit_test(withdrawn),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
