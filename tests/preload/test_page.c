/* SPDX-License-Identifier: MIT */
/* test_page - what is virtual changes while a program runs: the shared page, and another one */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload/shimproto.h"
#include "tests/preload/endpoint.h"

static struct shim_page *page_open(void)
{
	char path[256];
	void *at;
	int fd;

	snprintf(path, sizeof(path), "%s/ntm/%s", getenv("XDG_RUNTIME_DIR"),
		 SHIM_PAGE_FILE);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	at = mmap(NULL, sizeof(struct shim_page), PROT_READ | PROT_WRITE,
		  MAP_SHARED, fd, 0);
	assert_true(at != MAP_FAILED);
	close(fd);
	return at;
}

static bool connect_swaps(const char *to)
{
	struct place p = place(to, 9);
	int c = socket(p.ss.ss_family, SOCK_DGRAM, 0);
	bool yes;

	connect(c, PLACE_ARGS(p));
	yes = swapped(c);
	close(c);
	return yes;
}

/* A domain is added while the program runs, and taken away again. */
static void test_ranges_change(void **state)
{
	struct shim_page *page = page_open();
	struct shim_range *r = &page->ranges[2];

	(void)state;
	need_ns();
	assert_false(connect_swaps("203.0.113.1"));
	assert_true(connect_swaps(NODE4));
	page->seq++;
	r->prefix_len = 24;
	memcpy(r->addr, (uint8_t[]){203, 0, 113}, 3);
	r->family = AF_INET;
	page->seq++;
	assert_true(connect_swaps("203.0.113.1"));
	assert_true(connect_swaps("::ffff:203.0.113.1"));
	assert_false(connect_swaps("203.0.114.1"));
	assert_true(connect_swaps(NODE4));
	page->seq++;
	r->family = 0;
	page->seq++;
	assert_false(connect_swaps("203.0.113.1"));
	munmap(page, sizeof(*page));
}

/* Another broker, with a page of its own: seen at the next look-up. */
static void test_page_replaced(void **state)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	struct shim_page *old = page_open(), *new;
	char path[256], aside[256];
	struct addrinfo *res;
	int fd;

	(void)state;
	need_ns();
	snprintf(path, sizeof(path), "%s/ntm/" SHIM_PAGE_FILE, dir);
	snprintf(aside, sizeof(aside), "%s/ntm/aside", dir);
	assert_int_equal(rename(path, aside), 0);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_int_equal(write(fd, old, sizeof(*old)), sizeof(*old));
	close(fd);
	new = page_open();
	new->ranges[1].addr[0] = 203;
	assert_false(connect_swaps("203.18.0.1"));
	assert_int_equal(getaddrinfo("peer.me.test", "80", NULL, &res), 0);
	freeaddrinfo(res);
	assert_true(connect_swaps("203.18.0.1"));
	assert_false(connect_swaps(NODE4));
	assert_int_equal(rename(aside, path), 0);
	assert_int_equal(getaddrinfo("peer.me.test", "80", NULL, &res), 0);
	freeaddrinfo(res);
	assert_true(connect_swaps(NODE4));
	munmap(old, sizeof(*old));
	munmap(new, sizeof(*new));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_change),
		cmocka_unit_test(test_page_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
