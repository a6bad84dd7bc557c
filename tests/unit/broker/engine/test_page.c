/* SPDX-License-Identifier: MIT */
/* test_page - the page's writer against its readers; taking over a broken page */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "broker/page.h"

static char dir[] = "/tmp/ntm-page-XXXXXX";

static char *file(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/page", dir);
	return path;
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	unlink(file());
	return rmdir(dir);
}

static struct shim_addr peer_make(uint32_t n)
{
	struct shim_addr a = {.family = AF_INET, .port = 4000};

	a.addr[0] = 198;
	a.addr[1] = 18;
	a.addr[2] = (uint8_t)(n >> 8);
	a.addr[3] = (uint8_t)n;
	return a;
}

static bool finds(const struct page *p, uint32_t n)
{
	struct shim_addr peer = peer_make(n), alias, back;

	if (!shim_flow_find(page_map(p), &peer, 53, false, &alias))
		return false;
	assert_true(shim_flow_source(page_map(p), &alias, 53, &back));
	assert_memory_equal(&back, &peer, sizeof(peer));
	return true;
}

static void add(struct page *p, uint32_t n)
{
	struct shim_addr peer = peer_make(n);

	page_flow_add(p, n, 53, 7777, 0, &peer);
}

static void test_made_private(void **state)
{
	struct page *p;
	struct stat st;

	(void)state;
	assert_int_equal(page_open(dir, false, &p), 0);
	assert_int_equal(lstat(file(), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, sizeof(struct shim_page));
	assert_int_equal(page_map(p)->worker_pid, getpid());
	page_close(p);
}

/* Long chains: every fourth flow taken out of the middle, then put back. */
static void test_chains(void **state)
{
	enum { N = 12000 };
	struct page *p;
	uint32_t i;

	(void)state;
	assert_int_equal(page_open(dir, false, &p), 0);
	for (i = 0; i < N; i++)
		add(p, i);
	for (i = 0; i < N; i++)
		assert_true(finds(p, i));
	for (i = 0; i < N; i += 4)
		page_flow_del(p, i);
	for (i = 0; i < N; i++)
		assert_int_equal(finds(p, i), i % 4 != 0);
	for (i = 0; i < N; i += 4)
		add(p, i);
	for (i = 0; i < N; i++) {
		assert_true(finds(p, i));
		page_flow_del(p, i);
	}
	for (i = 0; i < SHIM_FLOWS; i++)
		assert_int_equal(page_map(p)->hash[i], 0);
	page_close(p);
}

static void test_ports_and_ranges(void **state)
{
	struct shim_range r[SHIM_RANGES_MAX + 1] = {
		{.family = AF_INET, .prefix_len = 15, .addr = {198, 18}}};
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct page *p;

	(void)state;
	assert_int_equal(page_open(dir, false, &p), 0);
	page_set_ranges(p, r, SHIM_RANGES_MAX + 1);
	in.sin_addr.s_addr = htonl(0xc6130001);
	assert_true(shim_page_virtual(page_map(p), (struct sockaddr *)&in,
				      sizeof(in)));
	in.sin_addr.s_addr = htonl(0xc6140001);
	assert_false(shim_page_virtual(page_map(p), (struct sockaddr *)&in,
				       sizeof(in)));
	page_set_port(p, false, 65535, true);
	page_set_port(p, true, 0, true);
	assert_int_equal(page_map(p)->udp_ports[2047], 0x80000000u);
	assert_int_equal(page_map(p)->udp6_ports[0], 1);
	page_set_port(p, false, 65535, false);
	assert_int_equal(page_map(p)->udp_ports[2047], 0);
	page_close(p);
}

/* What a worker killed while writing leaves, and worse. */
static void test_take_over(void **state)
{
	struct shim_page *raw;
	struct page *p;
	int fd;

	(void)state;
	assert_int_equal(page_open(dir, false, &p), 0);
	add(p, 1);
	add(p, 2);
	add(p, 3);
	page_close(p);
	fd = open(file(), O_RDWR | O_CLOEXEC);
	raw = mmap(NULL, sizeof(*raw), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   0);
	close(fd);
	assert_int_equal(raw->worker_pid, 0);
	raw->flows[2].seq |= 1;
	raw->flows[3].next = 4; /* a circle */
	raw->hash[17] = 0xffffffff;
	raw->seq |= 1;

	assert_int_equal(page_open(dir, true, &p), 0);
	assert_true(finds(p, 1));
	assert_false(finds(p, 2));
	assert_true(finds(p, 3));
	assert_int_equal(raw->seq & 1, 0);
	assert_int_equal(raw->flows[2].seq & 1, 0);
	assert_int_equal(raw->flows[2].live, 0);
	/* in place: who has it mapped sees it */
	assert_int_equal(raw->worker_pid, getpid());
	page_close(p);

	assert_int_equal(page_open(dir, false, &p), 0);
	assert_false(finds(p, 1));
	assert_false(finds(p, 3));
	page_close(p);
	munmap(raw, sizeof(*raw));
}

static void test_foreign_file(void **state)
{
	struct page *p;
	struct stat st;

	(void)state;
	/* another version, another size, open to others, a symbolic link */
	assert_int_equal(truncate(file(), 100), 0);
	assert_int_equal(page_open(dir, true, &p), 0);
	assert_int_equal(stat(file(), &st), 0);
	assert_int_equal(st.st_size, sizeof(struct shim_page));
	page_close(p);
	assert_int_equal(chmod(file(), 0644), 0);
	assert_int_equal(page_open(dir, true, &p), 0);
	assert_int_equal(stat(file(), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	page_close(p);
	unlink(file());
	assert_int_equal(symlink("/dev/null", file()), 0);
	assert_int_equal(page_open(dir, true, &p), 0);
	assert_int_equal(lstat(file(), &st), 0);
	assert_true(S_ISREG(st.st_mode));
	page_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_private),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_ports_and_ranges),
		cmocka_unit_test(test_take_over),
		cmocka_unit_test(test_foreign_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
