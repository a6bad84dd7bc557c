/* SPDX-License-Identifier: MIT */
/*
 * test_hostile - servers and other receivers that mean harm, and answers that make no
 * sense: what ntm-post makes of them
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/post/outbox.h"
#include "common/log.h"
#include "libntmcrypto/blob.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

/* --- another receiver, who has K as well
 * --------------------------------------------------------- */

/* The blob of item 1 with the name "big" in its manifest changed, as far as one can
 * make it who has K and no signature. Return: its length; free @out */
static size_t blob_other(uint8_t **out)
{
	uint8_t item[ITEM_ID_LEN], *b;
	struct store *st = w.mn.post.store;
	struct post_ids ids;
	struct blob *blob;
	struct ntmc_key k;
	struct pack *p;
	size_t at_byte = BLOB_HEADER, n;
	uint64_t size;

	store_bind_int(st, OUT_GET, 1, 1);
	assert_int_equal(store_step(st, OUT_GET), 1);
	strcpy(ids.application, store_text(st, OUT_GET, 1));
	strcpy(ids.service, store_text(st, OUT_GET, 2));
	strcpy(ids.item, store_text(st, OUT_GET, 3));
	assert_int_equal(store_blob(st, OUT_GET, 5, k.b, sizeof(k.b)),
			 sizeof(k.b));
	store_reset(st, OUT_GET);
	post_item_id(&ids, item);
	assert_int_equal(pack_open(at("%s/post/out.1", w.mn.state), &p), 0);
	size = blob_size(pack_len(p));
	b = malloc(size);
	assert_non_null(b);
	assert_int_equal(blob_seal_new(ntmc_aead_preferred(), &k, item,
				       pack_len(p), &blob),
			 0);
	blob_header(blob, b);
	while ((n = blob_next(blob))) {
		assert_int_equal(pack_read(p, blob_payload_at(blob),
					   b + at_byte, n),
				 0);
		if (at_byte == BLOB_HEADER)
			memcpy(memmem(b + at_byte, n, "big", 3), "bad", 3);
		assert_int_equal(blob_seal_chunk(blob, b + at_byte, n), 0);
		at_byte += n + NTMC_TAG_LEN;
	}
	memset(b + at_byte, 0, size - at_byte);
	blob_free(blob);
	pack_close(p);
	*out = b;
	return size;
}

/* Its blob breaks off and makes no sense then; the one that is verified after it has
 * none of its files. */
static void test_other_files(void **state)
{
	struct stat st;
	uint8_t *b;
	size_t n;
	json_t *j;

	(void)state;
	file_put(at("%s/policy", w.cn.state), "# nobody\n", 9);
	who_load_policy(&w.cn.post.who);
	send_big(300000);
	json_decref(await(&w.cn, "inbox", "held"));
	n = blob_other(&b);
	file_put(at("%s/other", w.dir), b, n);
	free(b);
	(void)fault(at("{\"instead\": [[\"%s/other\", 200000], "
		       "[\"%s/big\", 70000]]}",
		       w.dir, w.dir));
	j = ask(&w.cn, json_pack("{s:s, s:i}", "cmd", "fetch", "id", 1));
	json_decref(j);
	j = await(&w.cn, "inbox", "here");
	assert_int_equal(stat(at("%s/tree/big", text(j, "folder")), &st), 0);
	assert_int_not_equal(stat(at("%s/tree/bad", text(j, "folder")), &st),
			     0);
	json_decref(j);
	big_here();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, ends_open, ends_close)
	const struct CMUnitTest tests[] = {
		TEST(test_other_files),
	};

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
