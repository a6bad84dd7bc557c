/* SPDX-License-Identifier: MIT */
/* test_groupsave - a group in pieces: together they are the whole, and what changed is told */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups.h"

#define KEPT	   512
#define STEPS	   1500
#define PEOPLE_MAX 300

/** struct kept - pieces as a store has them, of the epoch @epoch; 0: none */
struct kept {
	uint64_t epoch;
	struct piece {
		uint32_t number;
		uint8_t *b;
		size_t len;
	} p[KEPT];
	size_t n;
};

static struct circle c;
static struct ntmc_identity ids[PEOPLE_MAX];

static int setup(void **state)
{
	(void)state;
	circle_open(&c);
	circle_create(&c);
	for (size_t i = 0; i < PEOPLE_MAX; i++)
		ntmc_identity_new(NULL, &ids[i]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	circle_close(&c);
	return 0;
}

static void change(struct group_change *what)
{
	circle_make(&c, 0, what);
	assert_int_equal(group_apply(c.log, c.entry, c.len, NULL), 0);
	assert_int_equal(group_apply(c.p[0].g, c.entry, c.len, NULL), 0);
}

/* @n come, whose keys nobody in the group has */
static void come(size_t n)
{
	char names[GROUP_JOIN_MAX][32];
	struct group_joiner j[GROUP_JOIN_MAX] = {{.rights = 0}};
	size_t i, k = 0;

	for (i = 0; i < PEOPLE_MAX && k < n; i++) {
		if (group_find_key(c.log, ids[i].ed_pub))
			continue;
		ntmc_random(NULL, j[k].token, sizeof(j[k].token));
		memcpy(j[k].ed_pub, ids[i].ed_pub, NTMC_KEY_LEN);
		snprintf(names[k], sizeof(names[k]), "d%zu.example.org", i);
		j[k].fqdn = names[k];
		k++;
	}
	assert_int_equal(k, n);
	change(&(struct group_change){
		.kind = GROUP_ADD, .joiners = j, .n_joiners = n});
}

/* @n of those behind position @at go, with @step between them */
static void go(size_t at, size_t n, size_t step)
{
	uint32_t gone[GROUP_GONE_MAX];
	size_t i;

	for (i = 0; i < n; i++)
		gone[i] = group_at(c.log, at + i * step)->index;
	change(&(struct group_change){.kind = GROUP_REMOVE,
				      .reason = GROUP_REMOVED,
				      .gone = gone,
				      .n_gone = n});
}

static void rules(void)
{
	change(&(struct group_change){.kind = GROUP_POLICY,
				      .policy = &group_policy_default});
}

/* --- what a store does ---------------------------------------------------------------- */

static void forget(struct kept *k)
{
	while (k->n)
		free(k->p[--k->n].b);
}

static void keep(struct kept *k, uint32_t number)
{
	size_t i, len, again;
	uint8_t *b;

	for (i = 0; i < k->n && k->p[i].number != number; i++)
		;
	assert_true(i < KEPT);
	if (i == k->n)
		k->p[k->n++] = (struct piece){.number = number};
	assert_int_equal(group_piece_save(c.log, number, NULL, 0, &len), 0);
	b = malloc(len + 1);
	if (len > 1)
		assert_int_equal(
			group_piece_save(c.log, number, b, len - 1, &again),
			-NTM_ETOOBIG);
	if (len)
		assert_int_equal(
			group_piece_save(c.log, number, b, len, &again), 0);
	free(k->p[i].b);
	k->p[i].b = b;
	k->p[i].len = len;
}

/* Return: what has changed was known */
static bool follow(struct kept *k)
{
	uint32_t changed[GROUP_TOUCHES], number = GROUP_PIECE_HEAD;
	size_t i, n;
	bool known = group_pieces_since(c.log, k->epoch, changed, &n);

	for (i = 0; known && i < n; i++)
		keep(k, changed[i]);
	if (!known) {
		forget(k);
		while (number != GROUP_PIECE_USED) {
			number = group_piece_next(c.log, number);
			keep(k, number);
		}
	}
	k->epoch = group_epoch(c.log);
	return known;
}

static int by_number(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* the head, and what is kept: is it the whole? */
static void is_whole(struct kept *k)
{
	static uint8_t want[1 << 18], got[1 << 18];
	size_t i, want_len, len;

	assert_int_equal(group_save(c.log, want, sizeof(want), &want_len), 0);
	assert_int_equal(group_piece_save(c.log, GROUP_PIECE_HEAD, got,
					  sizeof(got), &len),
			 0);
	qsort(k->p, k->n, sizeof(k->p[0]), by_number);
	for (i = 0; i < k->n; i++) {
		memcpy(got + len, k->p[i].b, k->p[i].len);
		len += k->p[i].len;
	}
	assert_int_equal(len, want_len);
	assert_memory_equal(got, want, len);
}

/* --- tests ------------------------------------------------------------------------------ */

static size_t since(uint64_t epoch, uint32_t out[static GROUP_TOUCHES])
{
	size_t n;

	assert_true(group_pieces_since(c.log, epoch, out, &n));
	return n;
}

/* each kind of entry, and the pieces that it changes */
static void test_kinds(void **state)
{
	uint32_t p[GROUP_TOUCHES];
	struct group *g;
	uint8_t b[32768];
	uint64_t e;
	size_t len, n;

	(void)state;
	assert_int_equal(since(1, p), 0);
	come(GROUP_JOIN_MAX); /* 1 to 64 */
	assert_int_equal(since(1, p), 3);
	e = group_epoch(c.log);
	assert_int_equal(since(e, p), 0);
	assert_false(group_pieces_since(c.log, e + 1, p, &n));
	assert_false(group_pieces_since(c.log, 0, p, &n));
	rules();
	change(&(struct group_change){.kind = GROUP_REFRESH,
				      .share = &c.share});
	assert_int_equal(since(e, p), 0);
	change(&(struct group_change){
		.kind = GROUP_RIGHTS, .index = 40, .rights = GROUP_ADMIN});
	assert_int_equal(since(e, p), 1);
	assert_int_equal(p[0], 1);
	e = group_epoch(c.log);
	go(64, 1, 1);
	assert_int_equal(since(e, p), 2);
	assert_int_equal(p[0] + p[1], 2 + GROUP_PIECE_USED);
	/* nobody is left in it */
	assert_int_equal(group_piece_save(c.log, 2, b, sizeof(b), &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(group_piece_next(c.log, 1), GROUP_PIECE_USED);
	/* who has it from a store knows of nothing before */
	assert_int_equal(group_save(c.log, b, sizeof(b), &len), 0);
	assert_int_equal(group_load(b, len, &g), 0);
	assert_false(group_pieces_since(g, e, p, &n));
	assert_true(group_pieces_since(g, e + 1, p, &n));
	assert_int_equal(n, 0);
	group_free(g);
	assert_int_equal(group_new(&g), 0);
	assert_int_equal(group_piece_save(g, 0, b, sizeof(b), &len),
			 -NTM_ESTATE);
	group_free(g);
}

/* xorshift: the same each time */
static uint32_t by_chance(uint32_t r)
{
	r ^= r << 13;
	r ^= r >> 17;
	return r ^ r << 5;
}

/* two stores, one of which writes each epoch and one now and then */
static void test_follow(void **state)
{
	static struct kept each, some;
	unsigned int i, known = 0, unknown = 0;
	uint32_t r = 1;

	(void)state;
	come(GROUP_JOIN_MAX);
	for (i = 0; i < STEPS; i++) {
		size_t n = group_size(c.log);

		r = by_chance(r);
		if (n > 200)
			go(1 + r % 64, 1 + r % 64, 2);
		else if (r % 4 == 0)
			come(1 + (r >> 8) % GROUP_JOIN_MAX);
		else if (r % 4 == 1 && n > 30)
			go(1 + (r >> 8) % (n - 10), 1 + (r >> 16) % 9, 1);
		else if (r % 4 == 2)
			change(&(struct group_change){
				.kind = GROUP_RIGHTS,
				.index = group_at(c.log, n - 1)->index,
				.rights = (r >> 8) % GROUP_ALL_RIGHTS});
		else
			rules();
		follow(&each);
		is_whole(&each);
		if ((r >> 24) % 8)
			continue;
		if (follow(&some))
			known++;
		else
			unknown++;
		is_whole(&some);
	}
	assert_true(known > 1);
	assert_true(unknown > 1); /* the first, and what was too long ago */
	forget(&each);
	forget(&some);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
