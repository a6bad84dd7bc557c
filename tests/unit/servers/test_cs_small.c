/* SPDX-License-Identifier: MIT */
/*
 * test_cs_small - items whose blob goes with its keys: complete with one request, fetched
 * with one, kept in the store, gone with its last receiver
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cs_site.h"
#include "libntmcrypto/blobsum.h"

#define LEN 500

static char body[65536];

/* the name of the first @len bytes of data[] */
static void name_of(size_t len, char out[static 48])
{
	uint8_t sum[32];

	blobsum_of(data, len, sum);
	ntmc_base64url_encode(sum, sizeof(sum), out);
}

/* keys() and the first @len bytes of data[], of an item of @size */
static void with_data(struct say *s, const char *item, const char *to,
		      unsigned long long size, size_t len)
{
	char name[48];
	size_t at;

	keys(s, &alice, item, to, size);
	at = (size_t)snprintf(body, sizeof(body), "%s", s->body) - 1;
	name_of(len, name);
	at += (size_t)sprintf(body + at, ", \"hash\": \"%s\", \"data\": \"",
			      name);
	ntmc_base64url_encode(data, len, body + at);
	strcat(body, "\"}");
	s->a.body = body;
}

static void sent(const char *item, const char *to, long status)
{
	struct say s;

	with_data(&s, item, to, LEN, LEN);
	assert_int_equal(expect_number(&s, status, "offset"), LEN);
}

/* Return: is a blob of @item in the store? */
static bool is_stored(const char *item)
{
	uint8_t kept[LEN];
	struct item i;
	bool yes;

	pthread_mutex_lock(&cs->lock);
	yes = !items_find(cs->reader, alice.fqdn, "ntm", "file", item, &i) &&
	      i.small && !items_small_get(cs->reader, i.number, kept, LEN) &&
	      !memcmp(kept, data, LEN);
	pthread_mutex_unlock(&cs->lock);
	return yes;
}

/* files below cs/up and cs/blob */
static unsigned int files_in(const char *folder)
{
	char path[300];
	struct dirent *e;
	unsigned int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/cs/%s", site.dir, folder);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (e->d_type != DT_DIR) {
			n++;
			continue;
		}
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		n += files_in(path);
	}
	closedir(d);
	return n;
}

static unsigned int files(void)
{
	return files_in("up") + files_in("blob");
}

static void data_is(struct say *s, long status, size_t from, size_t len)
{
	expect(s, status);
	assert_int_equal(s->a.got_len, len);
	assert_memory_equal(s->a.got, data + from, len);
	free(s->a.got);
}

static void whole_way(void **state)
{
	struct peer p = stranger("phone.carol.example.net");
	char name[48], text[NTMC_BASE64URL_LEN(LEN) + 4];
	struct search key, blob, status;
	struct say s;

	(void)state;
	name_of(LEN, name);
	ntmc_base64url_encode(data, LEN, text);
	sent("whole", p.fqdn, 201);
	assert_true(is_stored("whole"));
	assert_int_equal(files(), 0);
	wait_exchange(&key, "key", "whole", p.fqdn);
	wait_exchange(&blob, "data", "whole", p.fqdn);
	assert_memory_equal(key.ticket, blob.ticket, 32);
	begin(&s, &alice, "GET", NULL, "/v1/items/whole");
	expect_text(&s, 200, "state", "complete");
	/* with its key, for who asks for it; and by itself */
	begin(&s, &p, "GET", key.ticket, "/v1/keys/%s", key.hash);
	line(&s, "NTM-With: data");
	expect_text(&s, 200, "data", text);
	begin(&s, &p, "GET", key.ticket, "/v1/keys/%s", key.hash);
	expect(&s, 200);
	assert_null(strstr(s.a.got, "\"data\""));
	free(s.a.got);
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", name);
	data_is(&s, 200, 0, LEN);
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", name);
	line(&s, "Range: bytes=%d-", LEN - 10);
	data_is(&s, 206, LEN - 10, 10);
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", name);
	line(&s, "Range: bytes=%d-", LEN);
	expect(&s, 416);
	free(s.a.got);
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", hash_text);
	expect_error(&s.a, 403, "PERM");
	begin(&s, &p, "POST", key.ticket, "/v1/confirmations");
	snprintf(s.body, sizeof(s.body), "{\"hash\":\"%s\",\"code\":0}", name);
	s.a.body = s.body;
	expect(&s, 200);
	free(s.a.got);
	wait_exchange(&status, "status", "whole", alice.fqdn);
	assert_false(is_stored("whole"));
	assert_int_equal(number("bytes"), 0);
	begin(&s, &p, "GET", key.ticket, "/v1/data/%s", name);
	expect_error(&s.a, 404, "NOTFOUND");
}

/* The box hears of the blob with the keys; one that is older by itself, for who waits in
 * our own domain as in others. */
static void told_together(void **state)
{
	unsigned int before = n_with_blob;
	struct search f;

	(void)state;
	sent("together", bob.fqdn, 201);
	wait_exchange(&f, "key", "together", bob.fqdn);
	wait_exchange(&f, "data", "together", bob.fqdn);
	assert_int_equal(n_with_blob, before + 1);
	cancel("together");
	box_older = true;
	sent("older", bob.fqdn, 201);
	wait_exchange(&f, "key", "older", bob.fqdn);
	wait_exchange(&f, "data", "older", bob.fqdn);
	box_older = false;
	assert_int_equal(n_with_blob, before + 1);
	cancel("older");
}

/* The same once more, as its answer was lost; with other data it is another item. A
 * receiver more shares the blob, which stays until the last has it. */
static void again(void **state)
{
	struct peer to[2] = {stranger("a.b.example.net"),
			     stranger("c.d.example.net")};
	struct search f;
	struct say s;
	char name[48];

	(void)state;
	name_of(LEN, name);
	sent("again", to[0].fqdn, 201);
	sent("again", to[0].fqdn, 200);
	with_data(&s, "again", to[0].fqdn, LEN, LEN);

	data[0] ^= 1;
	with_data(&s, "again", to[0].fqdn, LEN, LEN);
	data[0] ^= 1;
	expect_error(&s.a, 409, "EXISTS");
	sent("again", "a.b.example.net, c.d.example.net", 200);
	assert_int_equal(number("bytes"), LEN + 2 * KEY_LEN);
	for (size_t i = 0; i < 2; i++) {
		wait_exchange(&f, "data", "again", to[i].fqdn);
		assert_true(is_stored("again"));
		begin(&s, &to[i], "GET", f.ticket, "/v1/data/%s", name);
		data_is(&s, 200, 0, LEN);
		begin(&s, &to[i], "POST", f.ticket, "/v1/confirmations");
		snprintf(s.body, sizeof(s.body), "{\"hash\":\"%s\",\"code\":0}",
			 name);
		s.a.body = s.body;
		expect(&s, 200);
		free(s.a.got);
	}
	assert_false(is_stored("again"));
	/* who has not heard the answer until now */
	sent("again", "a.b.example.net, c.d.example.net", 200);
	assert_false(is_stored("again"));
	assert_int_equal(number("bytes"), 0);
}

/* What had begun as a file ends in the store, and nothing is left of the file. */
static void begun(void **state)
{
	struct search f;
	struct say s;

	(void)state;
	keys(&s, &alice, "begun", ONE, LEN);
	assert_int_equal(expect_number(&s, 201, "offset"), 0);
	patch(&s, &alice, "begun", 0, 100);
	assert_int_equal(expect_number(&s, 200, "offset"), 100);
	assert_int_equal(files(), 1);
	sent("begun", ONE, 200);
	assert_int_equal(files(), 0);
	assert_true(is_stored("begun"));
	patch(&s, &alice, "begun", 100, 100);
	assert_int_equal(expect_number(&s, 409, "offset"), LEN);
	wait_exchange(&f, "data", "begun", ONE);
	cancel("begun");
	assert_false(is_stored("begun"));
	assert_int_equal(number("bytes"), 0);
}

/* Over a restart, and out of a backup: it is in the store, so it comes with it. */
static void restored(void **state)
{
	char db[300], copy[320], command[700];
	long long lost = number("lost");
	struct search f;
	struct peer p = stranger("phone.carol.example.net");
	struct say s;
	char name[48];

	(void)state;
	name_of(LEN, name);
	snprintf(db, sizeof(db), "%s/cs/cs.db", site.dir);
	snprintf(copy, sizeof(copy), "%s.copy", db);
	sent("restored", p.fqdn, 201);
	wait_exchange(&f, "data", "restored", p.fqdn);
	cs_end();
	snprintf(command, sizeof(command), "cp '%s' '%s'", db, copy);
	assert_int_equal(system(command), 0);
	cs_begin();
	begin(&s, &p, "GET", f.ticket, "/v1/data/%s", name);
	data_is(&s, 200, 0, LEN);
	cancel("restored");
	cs_end();
	snprintf(command, sizeof(command), "mv '%s' '%s'", copy, db);
	assert_int_equal(system(command), 0);
	cs_begin();
	assert_true(is_stored("restored"));
	begin(&s, &p, "GET", f.ticket, "/v1/data/%s", name);
	data_is(&s, 200, 0, LEN);
	assert_int_equal(number("lost"), lost);
	cancel("restored");
}

static void wrong(void **state)
{
	struct server_conf conf = site.conf;
	struct say s;
	char *at;

	(void)state;
	with_data(&s, "wrong", ONE, LEN, LEN - 1);
	expect_error(&s.a, 400, "INVAL");
	with_data(&s, "wrong", ONE, ITEMS_SMALL_MAX + 1, ITEMS_SMALL_MAX + 1);
	expect_error(&s.a, 400, "INVAL");
	with_data(&s, "wrong", ONE, LEN, LEN);
	at = strstr(body, "\"data\": \"") + 9;
	*at = *at == 'A' ? 'B' : 'A'; /* not what its hash says */
	expect_error(&s.a, 400, "INVAL");
	with_data(&s, "wrong", ONE, LEN, LEN);
	strstr(body, "\"hash\"")[1] = 'H';
	expect_error(&s.a, 400, "INVAL");
	begin(&s, &alice, "GET", NULL, "/v1/items/wrong");
	expect_error(&s.a, 404, "NOTFOUND");
	conf.cs_quota = LEN - 1;
	cs_reload(cs, &conf);
	with_data(&s, "wrong", ONE, LEN, LEN);
	expect_error(&s.a, 413, "TOOBIG");
	assert_false(is_stored("wrong"));
	cs_reload(cs, &site.conf);
	with_data(&s, "wrong", ONE, ITEMS_SMALL_MAX, ITEMS_SMALL_MAX);
	assert_int_equal(expect_number(&s, 201, "offset"), ITEMS_SMALL_MAX);
	cancel("wrong");
	assert_int_equal(number("bytes"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_way), cmocka_unit_test(told_together),
		cmocka_unit_test(again),     cmocka_unit_test(begun),
		cmocka_unit_test(restored),  cmocka_unit_test(wrong),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
