/* SPDX-License-Identifier: MIT */
/* test_queue - order, limits, a pool that others emptied */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/datapath/datapath.h"
#include "broker/datapath/queue.h"

#define LARGE 65535u

static struct queue_pool *pool;
static uint8_t bytes[LARGE];

static int setup(void **state)
{
	(void)state;
	return queue_pool_new(&pool);
}

static int teardown(void **state)
{
	(void)state;
	queue_pool_free(pool);
	return 0;
}

static unsigned int push(struct queue *q, uint32_t len, uint32_t mark)
{
	struct queue_record rec = {.len = len, .kind = QUEUE_PACKET};

	rec.vh.gso_size = (uint16_t)mark;
	memset(bytes, (int)(mark & 0xff), len);
	return queue_push(pool, q, &rec, bytes, false);
}

static void assert_head(struct queue *q, uint32_t len, uint32_t mark)
{
	struct queue_record rec;
	uint8_t *at;

	assert_true(queue_peek(pool, q, &rec, &at));
	assert_int_equal(rec.len, len);
	assert_int_equal(rec.vh.gso_size, mark);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(at[i], mark & 0xff);
	queue_pop(pool, q);
}

static void test_order(void **state)
{
	struct queue q;
	uint64_t seed = 1;
	uint32_t len[200];

	(void)state;
	queue_init(&q);
	for (int round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 200; i++) {
			seed = seed * 6364136223846793005ull + 1;
			len[i] = (uint32_t)(seed >> 40) % 2500 + 1;
			assert_int_equal(push(&q, len[i], i), 0);
		}
		for (uint32_t i = 0; i < 200; i++)
			assert_head(&q, len[i], i);
		assert_true(queue_empty(&q));
		assert_int_equal(q.bytes, 0);
	}
	queue_clear(pool, &q);
}

static void test_packet_limit(void **state)
{
	struct queue q;

	(void)state;
	queue_init(&q);
	for (uint32_t i = 0; i < DP_QUEUE_PACKETS; i++)
		assert_int_equal(push(&q, 1, i), 0);
	assert_int_equal(push(&q, 1, DP_QUEUE_PACKETS), 1);
	assert_int_equal(q.packets, DP_QUEUE_PACKETS);
	assert_head(&q, 1, 1);
	queue_clear(pool, &q);
	assert_true(queue_empty(&q));
}

static void test_byte_limit(void **state)
{
	struct queue q;
	uint32_t fit = DP_QUEUE_BYTES / LARGE;

	(void)state;
	queue_init(&q);
	for (uint32_t i = 0; i < fit; i++)
		assert_int_equal(push(&q, LARGE, i), 0);
	assert_int_equal(push(&q, LARGE, fit), 1);
	assert_true(q.bytes <= DP_QUEUE_BYTES);
	for (uint32_t i = 1; i <= fit; i++)
		assert_head(&q, LARGE, i);
	queue_clear(pool, &q);
}

static void test_keep_oldest(void **state)
{
	struct queue_record rec = {.len = LARGE};
	struct queue q;

	(void)state;
	queue_init(&q);
	for (uint32_t i = 0; i < DP_QUEUE_BYTES / LARGE; i++)
		assert_int_equal(push(&q, LARGE, i), 0);
	assert_int_equal(queue_push(pool, &q, &rec, bytes, true), 1);
	assert_head(&q, LARGE, 0);
	queue_clear(pool, &q);
}

/* Many queues share the pool; whoever comes last loses its own oldest. */
static void test_exhausted_pool(void **state)
{
	static struct queue q[QUEUE_POOL_BLOCKS + 1];
	struct queue other;
	uint32_t i;

	(void)state;
	for (i = 0; i <= QUEUE_POOL_BLOCKS; i++)
		queue_init(&q[i]);
	for (i = 0; i < QUEUE_POOL_BLOCKS; i++)
		assert_int_equal(push(&q[i], 100, i), 0);
	assert_int_equal(push(&q[i], 100, i), 1); /* nothing left */
	assert_true(queue_empty(&q[i]));
	assert_int_equal(push(&q[0], LARGE, 6), 0); /* in the block it has */
	assert_int_equal(push(&q[0], LARGE, 7), 2); /* its own make room */
	assert_head(&q[0], LARGE, 7);
	assert_true(queue_empty(&q[0]));
	queue_init(&other);
	assert_int_equal(push(&other, 50, 9), 0);
	for (i = 0; i < QUEUE_POOL_BLOCKS; i++)
		queue_clear(pool, &q[i]);
	assert_head(&other, 50, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_packet_limit),
		cmocka_unit_test(test_byte_limit),
		cmocka_unit_test(test_keep_oldest),
		cmocka_unit_test(test_exhausted_pool),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
