/* SPDX-License-Identifier: MIT */
/* test_tables - the DC's tables: slab, chain, index, nodes, leases, pairs; the limiter */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "servers/as/limiter.h"
#include "servers/dc/chain.h"
#include "servers/dc/nodes.h"
#include "servers/dc/pairs.h"

static void slab_reuses(void **state)
{
	struct slab s;
	uint32_t a, b;

	(void)state;
	slab_init(&s, 16, 3);
	a = slab_add(&s);
	b = slab_add(&s);
	assert_int_equal(a, 1);
	assert_int_equal(b, 2);
	memset(slab_at(&s, a), 0xff, 16);
	slab_del(&s, a);
	assert_int_equal(slab_add(&s), a);
	for (int i = 0; i < 16; i++)
		assert_int_equal(((uint8_t *)slab_at(&s, a))[i], 0);
	assert_int_equal(slab_add(&s), 3);
	assert_int_equal(slab_add(&s), 0); /* the maximum */
	slab_clear(&s);
}

static void expect_chain(const struct chain *c, const struct slab *s,
			 const char *want)
{
	struct {
		uint32_t slab_link;
		struct chain_link link;
	} * x;
	uint32_t prev = 0;

	for (uint32_t h = c->head; h; h = x->link.next, want++) {
		x = slab_at(s, h);
		assert_int_equal(h, *want - '0');
		assert_int_equal(x->link.prev, prev);
		prev = h;
	}
	assert_int_equal(*want, 0);
	assert_int_equal(c->tail, prev);
}

static void chain_order(void **state)
{
	struct chain a = {0, 0}, b = {0, 0};
	struct slab s;

	(void)state;
	slab_init(&s, 16, 4);
	for (uint32_t h = 1; h <= 4; h++) {
		assert_int_equal(slab_add(&s), h);
		chain_append(&a, &s, h);
	}
	expect_chain(&a, &s, "1234");
	chain_remove(&a, &s, 2); /* between */
	expect_chain(&a, &s, "134");
	chain_remove(&a, &s, 4); /* the last */
	expect_chain(&a, &s, "13");
	chain_append(&b, &s, 4);
	chain_remove(&a, &s, 1); /* the first, into another chain */
	chain_append(&b, &s, 1);
	expect_chain(&a, &s, "3");
	expect_chain(&b, &s, "41");
	chain_remove(&a, &s, 3);
	expect_chain(&a, &s, "");
	chain_append(&a, &s, 2);
	expect_chain(&a, &s, "2");
	slab_clear(&s);
}

/* every third hash is the same: long chains across deletions */
static uint64_t bad_hash(const void *owner, uint32_t h)
{
	(void)owner;
	return h % 3 ? h * 7919u : 5;
}

static bool contains(const struct index *ix, uint32_t want)
{
	uint32_t at, h = index_first(ix, bad_hash(NULL, want), &at);

	while (h && h != want)
		h = index_next(ix, &at);
	return h;
}

static void index_walk(void **state)
{
	static bool there[5001];
	unsigned int seed = 4711;
	struct index ix;

	(void)state;
	index_init(&ix, bad_hash, NULL);
	for (int i = 0; i < 20000; i++) {
		uint32_t h = (uint32_t)(rand_r(&seed) % 5000) + 1;

		if (there[h])
			index_del(&ix, h);
		else
			assert_int_equal(index_add(&ix, h), 0);
		there[h] = !there[h];
		if (i % 1000)
			continue;
		for (uint32_t k = 1; k <= 5000; k++)
			assert_int_equal(contains(&ix, k), there[k]);
	}
	index_clear(&ix);
}

static const uint8_t prefix6[8] = {0xfd, 0x6e};

static uint32_t put(struct nodes *n, const char *fqdn, uint8_t who)
{
	uint8_t ed[32], x[32] = {0}, sig[64] = {0};
	struct node_keys k = {
		.fqdn = fqdn, .ed_pub = ed, .x_pub = x, .x_sig = sig};
	uint32_t h = 0;

	memset(ed, who, sizeof(ed));
	assert_int_equal(nodes_put(n, &k, &h), 0);
	return h;
}

static void nodes_leases(void **state)
{
	struct server_slice slice = {{198, 18, 0, 0}, 24};
	struct nodes n;
	uint32_t first, vip4, h = 0;
	char name[64];

	(void)state;
	assert_int_equal(nodes_init(&n, prefix6, &slice), 0);
	first = put(&n, "d0.a.example.org", 1);
	vip4 = nodes_at(&n, first)->vip4;
	assert_int_equal(vip4 >> 8, (198u << 16) + (18u << 8));
	assert_true((vip4 & 0xff) != 0 && (vip4 & 0xff) != 255);
	/* the same name, another key: the same lease */
	assert_int_equal(put(&n, "d0.a.example.org", 2), first);
	assert_int_equal(nodes_at(&n, first)->vip4, vip4);
	/* 254 addresses, then none: the node lives by IPv6 alone */
	for (int i = 1; i < 255; i++) {
		snprintf(name, sizeof(name), "d%d.a.example.org", i);
		h = put(&n, name, (uint8_t)i);
	}
	assert_int_equal(n.vip4_free, 0);
	assert_int_equal(nodes_at(&n, h)->vip4, 0);
	assert_true(nodes_at(&n, h)->vip6_host != 0);
	/* given back, given out again */
	nodes_release(&n, first);
	assert_int_equal(nodes_find(&n, "d0.a.example.org"), 0);
	h = put(&n, "new.a.example.org", 9);
	assert_int_equal(nodes_at(&n, h)->vip4, vip4);
	nodes_clear(&n);
}

static void nodes_accounts(void **state)
{
	struct server_slice slice = {{198, 18, 0, 0}, 15};
	uint32_t a, b, c;
	unsigned int n_devices = 0;
	struct nodes n;

	(void)state;
	assert_int_equal(nodes_init(&n, prefix6, &slice), 0);
	a = put(&n, "a.alice.example.org", 1);
	b = put(&n, "b.alice.example.org", 2);
	c = put(&n, "c.alice.example.org", 3);
	put(&n, "a.bob.example.org", 4);
	nodes_release(&n, a); /* the head of the list */
	for (uint32_t h = nodes_find_account(&n, "alice.example.org"); h;
	     h = nodes_at(&n, h)->next_of_account)
		n_devices++;
	assert_int_equal(n_devices, 2);
	nodes_release(&n, c);
	assert_int_equal(nodes_find_account(&n, "alice.example.org"), b);
	nodes_release(&n, b);
	assert_int_equal(nodes_find_account(&n, "alice.example.org"), 0);
	assert_true(nodes_find_account(&n, "bob.example.org") != 0);
	nodes_clear(&n);
}

static void nodes_sessions(void **state)
{
	struct server_slice slice = {{198, 18, 0, 0}, 15};
	struct ntmc_key k = {{1}};
	struct nodes n;
	uint32_t h;

	(void)state;
	assert_int_equal(nodes_init(&n, prefix6, &slice), 0);
	h = put(&n, "a.alice.example.org", 1);
	assert_int_equal(nodes_add_session(&n, h, 10, &k, NTMC_AES_256_GCM, 1),
			 0);
	assert_int_equal(nodes_add_session(&n, h, 10, &k, NTMC_AES_256_GCM, 1),
			 -NTM_EEXISTS);
	assert_int_equal(nodes_add_session(&n, h, 11, &k, NTMC_AES_256_GCM, 1),
			 0);
	/* renewed again before it registered: the unused one goes */
	assert_int_equal(nodes_add_session(&n, h, 12, &k, NTMC_AES_256_GCM, 1),
			 0);
	assert_int_equal(nodes_find_session(&n, 11), 0);
	nodes_drop_session(&n, nodes_find_session(&n, 10));
	assert_int_equal(nodes_at(&n, h)->session, nodes_find_session(&n, 12));
	assert_int_equal(nodes_at(&n, h)->next, 0);
	nodes_clear(&n);
}

static void count(void *arg, uint32_t other)
{
	unsigned int *seen = arg;

	seen[other]++;
}

static void pairs_ring(void **state)
{
	struct server_slice slice = {{198, 18, 0, 0}, 15};
	unsigned int seen[8] = {0};
	struct nodes n;
	struct pairs p;
	uint32_t h[5];

	(void)state;
	assert_int_equal(nodes_init(&n, prefix6, &slice), 0);
	assert_int_equal(pairs_init(&p), 0);
	for (int i = 0; i < 5; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d.a%d.example.org", i);
		h[i] = put(&n, name, (uint8_t)i);
	}
	pairs_add(&p, &n, h[0], h[1], 100);
	pairs_add(&p, &n, h[2], h[0], 101);
	pairs_add(&p, &n, h[0], h[1], 102); /* again: no new entry */
	assert_int_equal(p.next, 3);
	pairs_each(&p, &n, h[0], 103, count, seen);
	assert_int_equal(seen[h[1]], 1);
	assert_int_equal(seen[h[2]], 1);
	assert_int_equal(seen[h[3]], 0);
	/* a day later nobody is told */
	memset(seen, 0, sizeof(seen));
	pairs_each(&p, &n, h[0], 103 + PAIRS_DAY_S, count, seen);
	assert_int_equal(seen[h[1]] + seen[h[2]], 0);
	/* once round the ring: the old entries are gone, and it is known */
	assert_false(pairs_incomplete(&p, 200));
	for (uint32_t i = 0; i < PAIRS_MAX; i++) {
		nodes_at(&n, h[3])->last_pair = 0; /* always a new entry */
		pairs_add(&p, &n, h[3], h[4], 200);
	}
	assert_true(pairs_incomplete(&p, 200));
	pairs_each(&p, &n, h[0], 201, count, seen);
	assert_int_equal(seen[h[1]] + seen[h[2]], 0);
	pairs_clear(&p);
	nodes_clear(&n);
}

#define S UINT64_C(1000000000)
static void limiter_grows(void **state)
{
	static const unsigned int waits[] = {0, 0, 1, 2, 4, 8, 16, 32, 60, 60};
	struct limiter *l;
	uint64_t now = 1000 * S;

	(void)state;
	assert_int_equal(limiter_new(60, &l), 0);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		limiter_failure(l, "alice", 5, now);
		assert_int_equal(limiter_wait_s(l, "alice", 5, now), waits[i]);
		now += waits[i] * S;
		assert_int_equal(limiter_wait_s(l, "alice", 5, now), 0);
	}
	assert_int_equal(limiter_wait_s(l, "bob", 3, now), 0);
	/* forgotten after a quiet quarter of an hour */
	now += (LIMITER_FORGET_S + 1) * S;
	limiter_failure(l, "alice", 5, now);
	assert_int_equal(limiter_wait_s(l, "alice", 5, now), 0);
	/* taking one back leaves the others */
	for (int i = 0; i < 5; i++)
		limiter_failure(l, "eve", 3, now);
	limiter_take_back(l, "eve", 3);
	assert_int_equal(limiter_wait_s(l, "eve", 3, now), 0);
	limiter_failure(l, "eve", 3, now);
	assert_int_equal(limiter_wait_s(l, "eve", 3, now), 4);
	limiter_success(l, "eve", 3);
	limiter_failure(l, "eve", 3, now);
	assert_int_equal(limiter_wait_s(l, "eve", 3, now), 0);
	limiter_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slab_reuses),
		cmocka_unit_test(chain_order),
		cmocka_unit_test(index_walk),
		cmocka_unit_test(nodes_leases),
		cmocka_unit_test(nodes_accounts),
		cmocka_unit_test(nodes_sessions),
		cmocka_unit_test(pairs_ring),
		cmocka_unit_test(limiter_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
