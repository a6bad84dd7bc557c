/* SPDX-License-Identifier: MIT */
/* test_page - readers of the shared page: ranges, flows, a writer at work */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "preload/shimproto.h"

static struct shim_page *page;

static int setup(void **state)
{
	(void)state;
	page = calloc(1, sizeof(*page));
	return page ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(page);
	return 0;
}

static struct shim_addr addr(const char *text, uint16_t port)
{
	struct shim_addr a = {.family = AF_INET, .port = port};

	if (strchr(text, ':'))
		a.family = AF_INET6;
	assert_int_equal(inet_pton(a.family, text, a.addr), 1);
	return a;
}

static void range(int i, const char *text, uint16_t len)
{
	struct shim_addr a = addr(text, 0);

	page->ranges[i].family = a.family;
	page->ranges[i].prefix_len = len;
	memcpy(page->ranges[i].addr, a.addr, 16);
}

static bool is_virtual(const char *text)
{
	struct shim_addr a = addr(text, 0);
	struct sockaddr_storage ss;
	socklen_t len = shim_addr_to(&a, &ss);

	return shim_page_virtual(page, (struct sockaddr *)&ss, len);
}

static void test_ranges(void **state)
{
	(void)state;
	range(0, "198.18.0.0", 15);
	range(1, "fd6e:1:2:3::", 64);
	range(2, "240.1.2.128", 25);
	assert_true(is_virtual("198.18.0.0"));
	assert_true(is_virtual("198.19.255.255"));
	assert_false(is_virtual("198.17.255.255"));
	assert_false(is_virtual("198.20.0.0"));
	assert_true(is_virtual("240.1.2.128") && is_virtual("240.1.2.255"));
	assert_false(is_virtual("240.1.2.127") || is_virtual("240.1.3.128"));
	assert_true(is_virtual("fd6e:1:2:3::1"));
	assert_true(is_virtual("fd6e:1:2:3:ffff:ffff:ffff:ffff"));
	assert_false(is_virtual("fd6e:1:2:4::1"));
	assert_true(is_virtual("::ffff:198.18.0.1"));
	assert_false(is_virtual("::ffff:10.0.0.1"));
	assert_false(is_virtual("127.0.0.1") || is_virtual("::1"));
}

static void test_range_limits(void **state)
{
	int i;

	(void)state;
	assert_false(is_virtual("10.0.0.1"));
	for (i = 0; i < SHIM_RANGES_MAX; i++)
		range(i, "10.0.0.1", 32);
	range(SHIM_RANGES_MAX - 1, "10.9.9.9", 32);
	assert_true(is_virtual("10.9.9.9"));
	/* nonsense in the page matches nothing */
	range(0, "10.0.0.1", 33);
	range(SHIM_RANGES_MAX - 1, "fd6e::", 129);
	assert_false(is_virtual("fd6e::1"));
	range(0, "0.0.0.0", 0);
	assert_true(is_virtual("1.2.3.4"));
}

static void test_short_sockaddr(void **state)
{
	struct shim_addr a = addr("fd6e::1", 1);
	struct sockaddr_storage ss;

	(void)state;
	range(0, "::", 0);
	range(1, "0.0.0.0", 0);
	shim_addr_to(&a, &ss);
	assert_true(shim_page_virtual(page, (struct sockaddr *)&ss, 28));
	assert_false(shim_page_virtual(page, (struct sockaddr *)&ss, 16));
	ss.ss_family = AF_INET;
	assert_true(shim_page_virtual(page, (struct sockaddr *)&ss, 16));
	assert_false(shim_page_virtual(page, (struct sockaddr *)&ss, 15));
	ss.ss_family = AF_UNIX;
	assert_false(shim_page_virtual(page, (struct sockaddr *)&ss, 100));
	assert_false(shim_page_virtual(page, NULL, 100));
}

/* A worker killed half-way leaves an odd number; readers go on. */
static void test_dead_writer(void **state)
{
	struct shim_addr peer = addr("198.18.0.9", 5), alias;

	(void)state;
	range(0, "198.18.0.0", 15);
	page->seq = 7;
	assert_true(is_virtual("198.18.0.1"));
	page->hash[shim_flow_hash(&peer, 53) % SHIM_FLOWS] = 1;
	page->flows[0] = (struct shim_flow){.seq = 3,
					    .live = 1,
					    .server = 53,
					    .alias_port = 9,
					    .peer = peer};
	assert_false(shim_flow_find(page, &peer, 53, false, &alias));
	page->flows[0].seq = 4;
	assert_true(shim_flow_find(page, &peer, 53, false, &alias));
}

static void flow(uint32_t n, const char *peer, uint16_t port, uint16_t server,
		 uint16_t alias_port, uint16_t alias6_port)
{
	struct shim_flow *f = &page->flows[n];
	uint32_t slot;

	f->live = 1;
	f->server = server;
	f->alias_port = alias_port;
	f->alias6_port = alias6_port;
	f->peer = addr(peer, port);
	slot = shim_flow_hash(&f->peer, server) % SHIM_FLOWS;
	f->next = page->hash[slot];
	page->hash[slot] = n + 1;
}

static void test_flow_find(void **state)
{
	struct shim_addr alias, want = addr("127.80.1.44", 4000),
				v6 = addr("::1", SHIM_UDPALIAS6_PORT + 7),
				peer = addr("198.18.0.9", 5),
				peer6 = addr("fd6e::9", 5);

	(void)state;
	flow(300, "198.18.0.9", 5, 53, 4000, 0);
	flow(7, "fd6e::9", 5, 53, 0, SHIM_UDPALIAS6_PORT + 7);
	assert_true(shim_flow_find(page, &peer, 53, false, &alias));
	assert_memory_equal(&alias, &want, sizeof(want));
	assert_true(shim_flow_find(page, &peer6, 53, true, &alias));
	assert_memory_equal(&alias, &v6, sizeof(v6));
	/* each other thing differs */
	assert_false(shim_flow_find(page, &peer, 54, false, &alias));
	assert_false(shim_flow_find(page, &peer6, 53, false, &alias));
	peer.port = 6;
	assert_false(shim_flow_find(page, &peer, 53, false, &alias));
	peer.port = 5;
	page->flows[300].live = 0;
	assert_false(shim_flow_find(page, &peer, 53, false, &alias));
}

/* Two flows in one chain; and a chain that bites its tail ends. */
static void test_chains(void **state)
{
	struct shim_addr alias, peer = addr("198.18.0.9", 5);
	uint32_t slot = shim_flow_hash(&peer, 53) % SHIM_FLOWS;

	(void)state;
	flow(1, "198.18.0.9", 5, 53, 4000, 0);
	flow(2, "198.18.0.9", 6, 53, 4000, 0);
	page->flows[2].next = 2;
	page->hash[slot] = 3;
	assert_true(shim_flow_find(page, &peer, 53, false, &alias));
	assert_int_equal(alias.addr[3], 1);
	page->flows[1].live = 0;
	page->flows[1].next = 3;
	assert_false(shim_flow_find(page, &peer, 53, false, &alias));
	page->hash[slot] = SHIM_FLOWS + 1;
	assert_false(shim_flow_find(page, &peer, 53, false, &alias));
}

static bool source(const char *text, uint16_t port, uint16_t server)
{
	struct shim_addr alias = addr(text, port), peer,
			 want = addr("198.18.0.9", 5);

	if (!shim_flow_source(page, &alias, server, &peer))
		return false;
	return !memcmp(&peer, &want, sizeof(want));
}

static void test_flow_source(void **state)
{
	(void)state;
	flow(300, "198.18.0.9", 5, 53, 4000, 0);
	flow(7, "198.18.0.9", 5, 53, 0, SHIM_UDPALIAS6_PORT + 7);
	assert_true(source("127.80.1.44", 4000, 53));
	assert_true(source("::ffff:127.80.1.44", 4000, 53));
	assert_true(source("::1", SHIM_UDPALIAS6_PORT + 7, 53));
	assert_false(source("127.80.1.44", 4001, 53));
	assert_false(source("127.80.1.44", 4000, 54));
	assert_false(source("127.80.1.45", 4000, 53));
	assert_false(source("127.80.0.7", 0, 53));
	assert_false(source("127.95.255.255", 4000, 53));
	assert_false(source("127.79.1.44", 4000, 53));
	assert_false(source("127.96.1.44", 4000, 53));
	assert_false(source("::1", 7, 53));
	assert_false(source("::1", SHIM_UDPALIAS6_PORT + 8, 53));
	assert_false(source("::2", SHIM_UDPALIAS6_PORT + 7, 53));
	page->flows[300].live = 0;
	assert_false(source("127.80.1.44", 4000, 53));
}

/* The hash spreads what peers look like: one address, many ports. */
static void test_hash_spread(void **state)
{
	static uint8_t used[SHIM_FLOWS];
	struct shim_addr peer = addr("fd6e:1:2:3::9", 0);
	int i, chains = 0;

	(void)state;
	for (i = 0; i < SHIM_FLOWS; i++) {
		peer.port = (uint16_t)(i + 1);
		used[shim_flow_hash(&peer, 53) % SHIM_FLOWS] = 1;
	}
	for (i = 0; i < SHIM_FLOWS; i++)
		chains += used[i];
	/* an ideal hash fills 1 - 1/e, 63 % */
	assert_true(chains > SHIM_FLOWS * 6 / 10);
}

/* A writer that flips between two consistent states, and a reader who must
 * never see a mixture: port and address change together. */
static void *writer(void *arg)
{
	struct shim_flow *f = arg;
	uint32_t i;

	for (i = 0; i < 400000; i++) {
		__atomic_store_n(&f->seq, 2 * i + 1, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		f->alias_port = (uint16_t)(1 + i % 2);
		f->peer.port = (uint16_t)(1 + i % 2);
		__atomic_store_n(&f->seq, 2 * i + 2, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void test_writer_at_work(void **state)
{
	struct shim_addr alias = addr("127.80.0.0", 1), peer;
	pthread_t thread;
	long seen = 0, i;

	(void)state;
	flow(0, "198.18.0.9", 1, 53, 1, 0);
	assert_int_equal(pthread_create(&thread, NULL, writer, &page->flows[0]),
			 0);
	for (i = 0; i < 400000; i++) {
		alias.port = (uint16_t)(1 + i % 2);
		if (!shim_flow_source(page, &alias, 53, &peer))
			continue;
		assert_int_equal(peer.port, alias.port);
		seen++;
	}
	pthread_join(thread, NULL);
	alias.port = page->flows[0].alias_port;
	assert_true(shim_flow_source(page, &alias, 53, &peer));
	print_message("# %ld of 400000 reads saw their flow\n", seen);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ranges),	   TEST(test_range_limits),
		TEST(test_short_sockaddr), TEST(test_dead_writer),
		TEST(test_flow_find),	   TEST(test_chains),
		TEST(test_flow_source),	   TEST(test_hash_spread),
		TEST(test_writer_at_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
