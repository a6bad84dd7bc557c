/* SPDX-License-Identifier: MIT */
/* test_groupword - epochs and words between ntm-member and ntm-worker */
#include "tests/unit/libntmcrypto/groups.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fdmsg.h"
#include "broker/groupword.h"

static struct circle c;

static struct groupword_epoch make(unsigned int who)
{
	struct groupword_epoch e = {.index = c.p[who].index,
				    .valid_s = 7200,
				    .now = GROUPWORD_NOW_MAX};

	strcpy(e.name, "chat");
	strcpy(e.domain, "example.org");
	memset(e.prefix, 0xfd, sizeof(e.prefix));
	e.keys = c.p[who].keys;
	e.group = c.p[who].g;
	return e;
}

static int setup(void **state)
{
	(void)state;
	circle_open(&c);
	circle_create(&c);
	circle_add(&c, 0, 1, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	circle_close(&c);
	return 0;
}

static void same(const struct groupword_epoch *got,
		 const struct groupword_epoch *want)
{
	static const struct ntmc_key none;

	assert_string_equal(got->name, want->name);
	assert_string_equal(got->domain, want->domain);
	assert_memory_equal(got->prefix, want->prefix, sizeof(got->prefix));
	assert_int_equal(got->index, want->index);
	assert_int_equal(got->valid_s, want->valid_s);
	assert_int_equal(got->now, want->now);
	assert_int_equal(got->keys.epoch, want->keys.epoch);
	assert_memory_equal(got->keys.id, want->keys.id, GROUP_ID_LEN);
	assert_memory_equal(got->keys.hash, want->keys.hash, NTMC_HASH_LEN);
	assert_memory_equal(got->keys.tag, want->keys.tag, GROUP_TAG_LEN);
	assert_memory_equal(&got->keys.data, &want->keys.data, NTMC_KEY_LEN);
	assert_memory_equal(&got->keys.control, &want->keys.control,
			    NTMC_KEY_LEN);
	assert_memory_equal(&got->keys.relay, &want->keys.relay, NTMC_KEY_LEN);
	/* what the worker is not to have */
	assert_memory_equal(&got->keys.confirm, &none, NTMC_KEY_LEN);
	assert_memory_equal(&got->keys.exporter, &none, NTMC_KEY_LEN);
	assert_int_equal(group_size(got->group), group_size(want->group));
}

static void test_epoch(void **state)
{
	static uint8_t b[GROUPWORD_EPOCH_MAX + 1];
	struct groupword_epoch e = make(1), got, before;
	size_t len = 0;

	(void)state;
	assert_int_equal(groupword_epoch_put(&e, b, &len), 0);
	assert_int_equal(groupword_epoch_get(b, len, &got), 0);
	same(&got, &e);
	groupword_epoch_clear(&got);
	before = got;
	for (size_t i = 0; i < len; i++)
		assert_int_equal(groupword_epoch_get(b, i, &got), -NTM_EDECODE);
	assert_int_equal(groupword_epoch_get(b, len + 1, &got), -NTM_EDECODE);
	assert_memory_equal(&got, &before, sizeof(got));

	e.index = 77; /* no member */
	assert_int_equal(groupword_epoch_put(&e, b, &len), 0);
	assert_int_equal(groupword_epoch_get(b, len, &got), -NTM_EDECODE);
	e = make(1);
	strcpy(e.name, "Chat"); /* no group's name */
	assert_int_equal(groupword_epoch_put(&e, b, &len), 0);
	assert_int_equal(groupword_epoch_get(b, len, &got), -NTM_EDECODE);
	e = make(1);
	e.keys.epoch++; /* keys of another epoch than the log */
	assert_int_equal(groupword_epoch_put(&e, b, &len), -NTM_ESTATE);
}

static void test_descriptor(void **state)
{
	struct groupword_epoch e = make(0), got;
	int sv[2], fds[FDMSG_MAX], fd;
	uint8_t b[GROUPWORD_MAX];
	struct groupword w;
	size_t n = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	assert_int_equal(groupword_epoch_send(sv[0], &e), 0);
	assert_int_equal(fdmsg_recv(sv[1], b, sizeof(b), fds, &n, 0), 1);
	assert_int_equal(n, 1);
	assert_int_equal(groupword_get(b, 1, &w), 0);
	assert_int_equal(w.kind, GROUPWORD_EPOCH);
	assert_int_equal(groupword_epoch_read(fds[0], &got), 0);
	same(&got, &e);
	groupword_epoch_clear(&got);
	close(fds[0]);
	/* no file, an empty one, one that is too large */
	assert_int_equal(groupword_epoch_read(sv[0], &got), -NTM_EDECODE);
	fd = memfd_create("test", 0);
	assert_int_equal(groupword_epoch_read(fd, &got), -NTM_EDECODE);
	assert_int_equal(ftruncate(fd, GROUPWORD_EPOCH_MAX + 1), 0);
	assert_int_equal(groupword_epoch_read(fd, &got), -NTM_EDECODE);
	close(fd);
	close(sv[0]);
	close(sv[1]);
}

static void test_words(void **state)
{
	static const uint8_t text[GROUPWORD_TEXT_MAX] = {1, 2, 3};
	const struct groupword words[] = {
		{.kind = GROUPWORD_EPOCH},
		{.kind = GROUPWORD_ALL},
		{.kind = GROUPWORD_END, .id = {1, 2, 3}},
		{.kind = GROUPWORD_VALID,
		 .id = {4},
		 .epoch = 1ull << 60,
		 .valid_s = 7200,
		 .now = 1800000000},
		{.kind = GROUPWORD_CONTROL,
		 .id = {5},
		 .epoch = 9,
		 .index = 3,
		 .text = text,
		 .text_len = sizeof(text)},
		{.kind = GROUPWORD_RELAY,
		 .id = {6},
		 .epoch = 10,
		 .index = 2047,
		 .aead = NTMC_CHACHA20_POLY1305,
		 .key = {7, 8},
		 .relays = {{4, {192, 0, 2, 1}, 4503}, {16, {0x20, 1}, 1}},
		 .n_relays = 2},
	};
	struct groupword got;
	uint8_t b[GROUPWORD_MAX + 1] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		const struct groupword *w = &words[i];
		size_t len = groupword_put(w, b);

		assert_true(len > 0);
		assert_int_equal(groupword_get(b, len, &got), 0);
		assert_int_equal(got.kind, w->kind);
		assert_memory_equal(got.id, w->id, sizeof(got.id));
		assert_int_equal(got.epoch, w->epoch);
		assert_int_equal(got.valid_s, w->valid_s);
		assert_int_equal(got.now, w->now);
		assert_int_equal(got.index, w->index);
		assert_int_equal(got.text_len, w->text_len);
		assert_int_equal(got.aead, w->aead);
		assert_memory_equal(got.key, w->key, sizeof(got.key));
		assert_int_equal(got.n_relays, w->n_relays);
		assert_memory_equal(got.relays, w->relays, sizeof(got.relays));
		if (w->text_len)
			assert_memory_equal(got.text, text, w->text_len);
		for (size_t k = 0; k < len; k++)
			if (w->kind != GROUPWORD_CONTROL || k < 29)
				assert_int_equal(groupword_get(b, k, &got),
						 -NTM_EDECODE);
		assert_int_equal(groupword_get(b, len + 1, &got), -NTM_EDECODE);
	}
}

/* a kind that is none, a time that no clock has */
static void test_no_words(void **state)
{
	struct groupword got,
		late = {.kind = GROUPWORD_VALID, .now = GROUPWORD_NOW_MAX + 1};
	uint8_t b[GROUPWORD_MAX] = {0};

	(void)state;
	assert_int_equal(groupword_get(b, 1, &got), -NTM_EDECODE);
	b[0] = GROUPWORD_KEEP + 1;
	assert_int_equal(groupword_get(b, 1, &got), -NTM_EDECODE);
	assert_int_equal(groupword_get(b, groupword_put(&late, b), &got),
			 -NTM_EDECODE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_epoch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptor, setup,
						teardown),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_no_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
