/* SPDX-License-Identifier: MIT */
/* test_paths - the relay's tables: paths under readers' eyes, quotas, local addresses */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "servers/rs/locals.h"
#include "servers/rs/paths.h"
#include "servers/rs/quota.h"

#define SIZE 300

static struct paths paths;
static unsigned int n_gone;

static int put(uint64_t id, uint8_t owner, uint32_t now_s)
{
	struct path_keys k = {.id = id, .owner = owner};
	uint32_t old[2];

	memset(&k.end, (int)(id >> 8), sizeof(k.end));
	return paths_put(&paths, &k, now_s, old);
}

/* A Path ID that is in use is nobody else's: the keys of its ends would go. */
static void other_accounts(void **state)
{
	struct path_keys k = {.id = 2, .account = {5, 6}};
	uint32_t old[2];

	(void)state;
	assert_int_equal(paths_init(&paths, SIZE), 0);
	assert_int_equal(paths_put(&paths, &k, 10, old), 0);
	assert_int_equal(paths_put(&paths, &k, 10, old), 0);
	k.account[0] = 6;
	k.account[1] = 5;
	assert_int_equal(paths_put(&paths, &k, 10, old), 0);
	k.account[1] = 7;
	assert_int_equal(paths_put(&paths, &k, 10, old), -NTM_EEXISTS);
	k.account[0] = 5;
	assert_int_equal(paths_put(&paths, &k, 10, old), -NTM_EEXISTS);
	paths_clear(&paths);
}

static void gone(void *arg, const struct path *path)
{
	(void)arg;
	assert_true(atomic_load(&path->id) != 0);
	n_gone++;
}

static struct remote at(uint64_t ip, uint16_t port)
{
	return (struct remote){.ip = {ip, ~ip}, .port = port};
}

static void full_and_again(void **state)
{
	(void)state;
	assert_int_equal(paths_init(&paths, 0), -NTM_EINVAL);
	assert_int_equal(paths_init(&paths, PATHS_MAX + 1), -NTM_EINVAL);
	assert_int_equal(paths_init(&paths, SIZE), 0);
	for (uint64_t i = 1; i <= SIZE; i++)
		assert_int_equal(put(i << 1, 0, 10), 0);
	assert_int_equal(put(UINT64_C(1) << 40, 0, 10), -NTM_ELIMIT);
	assert_int_equal(put(2, 1, 10), -NTM_EEXISTS); /* another link's */
	assert_int_equal(put(2, 0, 10), 0);
	assert_int_equal(paths.used, SIZE);
	paths_remove(&paths, paths_find(&paths, 2), 11);
	assert_int_equal(paths_find(&paths, 2), 0);
	assert_int_equal(paths_find(&paths, 3), 0);
	assert_int_equal(put(UINT64_C(1) << 40, 0, 11), 0);
	for (uint64_t i = 2; i <= SIZE; i++)
		assert_int_not_equal(paths_find(&paths, i << 1 | 1), 0);
	paths_clear(&paths);
}

/* random puts and removals against a plain list */
static void like_a_list(void **state)
{
	uint64_t ids[SIZE] = {0};
	unsigned int seed = 7, used = 0;

	(void)state;
	assert_int_equal(paths_init(&paths, SIZE), 0);
	for (uint32_t step = 0; step < 20000; step++) {
		size_t i = (size_t)rand_r(&seed) % SIZE;

		if (ids[i]) {
			paths_remove(&paths, paths_find(&paths, ids[i]),
				     step / 100 + 1);
			assert_int_equal(paths_find(&paths, ids[i]), 0);
			ids[i] = 0;
			used--;
		} else {
			ids[i] = (uint64_t)(step + 1) << 1;
			assert_int_equal(put(ids[i], 0, step / 100 + 1), 0);
			used++;
		}
		assert_int_equal(paths.used, used);
	}
	for (size_t i = 0; i < SIZE; i++)
		if (ids[i])
			assert_true(atomic_load(&paths_at(&paths,
							  paths_find(&paths,
								     ids[i]))
							 ->id) == ids[i]);
	paths_clear(&paths);
}

static void ends_age(void **state)
{
	struct remote a = at(1, 2), b = at(3, 4);
	struct path_view v;
	struct path *path;

	(void)state;
	n_gone = 0;
	assert_int_equal(paths_init(&paths, SIZE), 0);
	assert_int_equal(put(2, 0, 100), 0);
	path = paths_at(&paths, paths_find(&paths, 2));
	paths_lock(path);
	paths_bind(&path->end[0], &a, true, 100);
	paths_bind(&path->end[1], &b, true, 130);
	paths_unlock(path);
	assert_true(paths_view(path, 3, &v)); /* towards CN */
	assert_true(v.sender_bound && v.receiver_bound);
	assert_true(remote_same(&v.sender, &a) && remote_same(&v.receiver, &b));
	assert_false(paths_view(path, 5, &v));
	paths_sweep(&paths, SIZE, 160, gone, NULL, NULL);
	assert_true(paths_view(path, 3, &v) && v.sender_bound);
	paths_sweep(&paths, SIZE, 161, gone, NULL, NULL);
	assert_true(paths_view(path, 3, &v));
	assert_false(v.sender_bound);
	assert_true(v.receiver_bound);
	assert_int_equal(n_gone, 0);
	paths_sweep(&paths, SIZE, 191, gone, NULL, NULL);
	assert_int_equal(n_gone, 1);
	assert_int_equal(paths.used, 0);
	assert_false(paths_view(path, 3, &v));
	paths_clear(&paths);
}

/* --- readers and a writer ----------------------------------------------------------- */

static _Atomic bool done;
static _Atomic unsigned long seen, torn;

/* what a forwarding thread does; an end is always of one piece */
static void *reader(void *arg)
{
	unsigned int seed = *(unsigned int *)arg;
	struct path_view v;

	while (!atomic_load(&done)) {
		uint64_t id = (uint64_t)(rand_r(&seed) % 64 + 1) << 1;
		uint32_t h = paths_find(&paths, id);

		if (!h || !paths_view(paths_at(&paths, h), id, &v) ||
		    !v.sender_bound)
			continue;
		atomic_fetch_add(&seen, 1);
		if (v.sender.ip[0] != ~v.sender.ip[1] ||
		    v.sender.port != (uint16_t)v.sender.ip[0])
			atomic_fetch_add(&torn, 1);
	}
	return NULL;
}

static void readers_see_whole_ends(void **state)
{
	unsigned int seeds[2] = {1, 2}, seed = 3;
	pthread_t threads[2];

	(void)state;
	assert_int_equal(paths_init(&paths, 64), 0);
	atomic_store(&done, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, reader, &seeds[i]),
			0);
	for (uint32_t step = 1; step < 200000 || !atomic_load(&seen); step++) {
		uint64_t id = (uint64_t)(rand_r(&seed) % 64 + 1) << 1;
		struct remote r = at(step, (uint16_t)step);
		uint32_t h = paths_find(&paths, id);
		struct path *path;

		if (!h) {
			assert_int_equal(put(id, 0, step), 0);
			continue;
		}
		if (step % 7 == 0) {
			paths_remove(&paths, h, step);
			continue;
		}
		path = paths_at(&paths, h);
		paths_lock(path);
		paths_bind(&path->end[step & 1], &r, true, step);
		paths_unlock(path);
	}
	atomic_store(&done, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&torn), 0);
	paths_clear(&paths);
}

/* --- quotas ----------------------------------------------------------------------- */

static void accounts(void **state)
{
	struct quota q;
	uint32_t a, b, c;

	(void)state;
	assert_int_equal(quota_init(&q, 2), 0);
	assert_int_equal(quota_get(&q, "", &a), 0);
	assert_int_equal(a, 0);
	assert_int_equal(quota_charge(&q, a, 5, 1000, 1), 5);
	assert_int_equal(quota_get(&q, "alice", &a), 0);
	assert_int_equal(quota_get(&q, "alice", &b), 0);
	assert_int_equal(a, b);
	assert_int_equal(quota_get(&q, "bob", &b), 0);
	assert_int_equal(quota_get(&q, "carol", &c), -NTM_ELIMIT);
	quota_put(&q, a);
	quota_put(&q, a);
	assert_int_equal(quota_find(&q, "alice"), a);
	quota_day(&q, 5); /* alice has no path left, bob has */
	assert_int_equal(quota_find(&q, "alice"), 0);
	assert_int_equal(quota_find(&q, "bob"), b);
	assert_int_equal(quota_get(&q, "carol", &c), 0);
	quota_clear(&q);
}

static void amounts(void **state)
{
	uint64_t s = 1000000000u;
	struct quota q;
	uint32_t a, n = 0;

	(void)state;
	assert_int_equal(quota_init(&q, 2), 0);
	assert_int_equal(quota_get(&q, "alice", &a), 0);
	assert_false(quota_is_on(&q));
	quota_set(&q, 0, 10000);
	assert_true(quota_is_on(&q));
	assert_int_equal(quota_charge(&q, a, 10, 1000, s), 10);
	assert_int_equal(quota_charge(&q, a, 1, 1, s), 0);
	assert_true(quota_is_over(&q, a));
	quota_day(&q, 1);
	assert_false(quota_is_over(&q, a));
	/* 1 MB/s: 250 ms of it at once, then one more each millisecond */
	quota_set(&q, 1000000, 0);
	assert_in_range(quota_charge(&q, a, 1000, 1000, s), 249, 250);
	assert_int_equal(quota_charge(&q, a, 10, 1000, s), 0);
	for (unsigned int ms = 1; ms <= 1000; ms++)
		n += quota_charge(&q, a, 10, 1000, s + ms * s / 1000);
	assert_in_range(n, 998, 1001);
	/* after a rest no more than the burst */
	assert_in_range(quota_charge(&q, a, 1000, 1000, 100 * s), 249, 250);
	quota_clear(&q);
}

static void local_numbers(void **state)
{
	static struct locals l;
	uint8_t ip[16] = {0};

	(void)state;
	locals_init(&l);
	for (unsigned int i = 1; i <= LOCALS_MAX; i++) {
		ip[3] = (uint8_t)i;
		assert_int_equal(locals_number(&l, ip), i);
		assert_int_equal(locals_number(&l, ip), i);
		assert_memory_equal(locals_ip(&l, (uint8_t)i), ip, 16);
	}
	ip[4] = 1;
	assert_int_equal(locals_number(&l, ip), 0);
	locals_clear(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_and_again),
		cmocka_unit_test(other_accounts),
		cmocka_unit_test(like_a_list),
		cmocka_unit_test(ends_age),
		cmocka_unit_test(readers_see_whole_ends),
		cmocka_unit_test(accounts),
		cmocka_unit_test(amounts),
		cmocka_unit_test(local_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
