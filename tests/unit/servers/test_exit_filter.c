/* SPDX-License-Identifier: MIT */
/* test_exit_filter - where an exit may send, in every way an address can be written */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/addr.h"
#include "servers/exit/filter.h"

static bool passes(const struct filter *f, const char *text)
{
	uint8_t ip[16];
	const uint8_t *at;
	struct addr a;
	size_t n;

	/* not addr_parse(): it turns v4-mapped into IPv4 before the filter sees it */
	if (inet_pton(AF_INET6, text, ip) == 1)
		return filter_address(f, ip);
	assert_int_equal(addr_parse(text, 0, &a), 0);
	at = addr_ip(&a, &n);
	filter_widen(at, n, ip);
	return filter_address(f, ip);
}

/* the machine of the tests: 203.0.113.10/24, 2001:db8:1::10/64 */
static void make(struct filter *f, const char *allow, const char *deny)
{
	memset(f, 0, sizeof(*f));
	assert_int_equal(filter_list_parse(allow, &f->allow), 0);
	assert_int_equal(filter_list_parse(deny, &f->deny), 0);
	assert_int_equal(
		filter_list_parse("203.0.113.10, 2001:db8:1::10", &f->own), 0);
	assert_int_equal(
		filter_list_parse("203.0.113.0/24, 2001:db8:1::/64", &f->links),
		0);
	assert_int_equal(filter_ports_parse("25", f), 0);
}

static const char *const forbidden4[] = {
	"0.0.0.0",	   "0.1.2.3",	      "10.0.0.1",
	"10.255.255.255",  "100.64.0.1",      "100.100.100.200",
	"100.127.255.255", "127.0.0.1",	      "127.77.3.4",
	"169.254.0.1",	   "169.254.169.254", "172.16.0.1",
	"172.31.255.255",  "192.0.0.1",	      "192.0.0.9",
	"192.168.0.1",	   "198.18.0.1",      "198.19.255.255",
	"224.0.0.1",	   "239.1.2.3",	      "240.0.0.1",
	"255.255.255.255", "168.63.129.16",   "203.0.113.10",
	"203.0.113.77"};
static const char *const open4[] = {
	"192.0.2.1",	  "198.51.100.7",   "9.255.255.255", "11.0.0.0",
	"100.63.255.255", "100.128.0.0",    "172.15.0.1",    "172.32.0.0",
	"192.0.1.1",	  "198.17.0.1",	    "198.20.0.1",    "203.0.112.255",
	"203.0.114.0",	  "223.255.255.255"};
#define N(a) (sizeof(a) / sizeof((a)[0]))

static void test_ipv4(void **state)
{
	struct filter f;

	(void)state;
	make(&f, NULL, NULL);
	for (size_t i = 0; i < N(forbidden4); i++)
		assert_false(passes(&f, forbidden4[i]));
	for (size_t i = 0; i < N(open4); i++)
		assert_true(passes(&f, open4[i]));
}

/* @text inside IPv6 */
static void encode(const char *text, const char *prefix, char out[64])
{
	uint8_t ip[4];

	assert_int_equal(inet_pton(AF_INET, text, ip), 1);
	if (!strcmp(prefix, "2002:"))
		snprintf(out, 64, "2002:%02x%02x:%02x%02x::1", ip[0], ip[1],
			 ip[2], ip[3]);
	else
		snprintf(out, 64, "%s%02x%02x:%02x%02x", prefix, ip[0], ip[1],
			 ip[2], ip[3]);
}

static void test_encodings(void **state)
{
	static const char *const prefixes[] = {
		"::ffff:", "64:ff9b::", "2002:", "2a00:1::5efe:",
		"2a00:1::200:5efe:"};
	struct filter f;
	char text[64];

	(void)state;
	make(&f, NULL, NULL);
	for (size_t p = 0; p < N(prefixes); p++) {
		for (size_t i = 0; i < N(forbidden4); i++) {
			encode(forbidden4[i], prefixes[p], text);
			assert_false(passes(&f, text));
		}
		for (size_t i = 0; i < N(open4); i++) {
			encode(open4[i], prefixes[p], text);
			assert_true(passes(&f, text));
		}
	}
	/* v4-compatible, local NAT64 and Teredo: closed whatever is in them */
	assert_false(passes(&f, "::192.0.2.1"));
	assert_false(passes(&f, "64:ff9b:1::c000:201"));
	assert_false(passes(&f, "2001:0:c000:201::1"));
}

static void test_ipv6(void **state)
{
	static const char *const forbidden[] = {"::",
						"::1",
						"fe80::1",
						"fec0::1",
						"fc00::1",
						"fd00:ec2::254",
						"fd6e:1:2:3::4",
						"ff02::1",
						"100::1",
						"5f00::1",
						"4000::1",
						"2001:db8:1::10",
						"2001:db8:1::9"};
	static const char *const open[] = {"2000::1", "2a00:1450::1",
					   "2001:db8:2::1", "3fff::1",
					   "2001:db8:0:ffff::1"};
	struct filter f;

	(void)state;
	make(&f, NULL, NULL);
	for (size_t i = 0; i < N(forbidden); i++)
		assert_false(passes(&f, forbidden[i]));
	for (size_t i = 0; i < N(open); i++)
		assert_true(passes(&f, open[i]));
}

static void test_configured(void **state)
{
	struct filter f;

	(void)state;
	make(&f, "10.1.0.0/16, 203.0.113.0/24, fd12::/16", "198.51.100.0/24");
	assert_true(passes(&f, "10.1.2.3"));
	assert_false(passes(&f, "10.2.0.1"));
	assert_true(passes(&f, "::ffff:10.1.2.3"));
	assert_true(passes(&f, "64:ff9b::10.1.2.3"));
	assert_false(passes(&f, "64:ff9b::10.2.2.3"));
	assert_true(passes(&f, "fd12::1"));
	assert_false(passes(&f, "fd13::1"));
	assert_false(passes(&f, "198.51.100.7"));
	assert_false(passes(&f, "2002:c633:6407::1"));
	/* a neighbour, but not ourselves: that takes the very address */
	assert_true(passes(&f, "203.0.113.77"));
	assert_false(passes(&f, "203.0.113.10"));
	/* the longer prefix decides, and of two alike the one that closes */
	make(&f, "10.0.0.0/8, 10.1.2.0/24, 198.51.100.0/24",
	     "10.1.0.0/16, 198.51.100.0/24");
	assert_true(passes(&f, "10.2.0.1"));
	assert_false(passes(&f, "10.1.0.1"));
	assert_true(passes(&f, "10.1.2.1"));
	assert_false(passes(&f, "198.51.100.7"));
	make(&f, "203.0.113.10", "203.0.113.10");
	assert_false(passes(&f, "203.0.113.10"));
	make(&f, "203.0.113.10", NULL);
	assert_true(passes(&f, "203.0.113.10"));
	assert_false(passes(&f, "203.0.113.77"));
}

static void test_ports(void **state)
{
	struct filter f;

	(void)state;
	make(&f, NULL, NULL);
	assert_false(filter_port(&f, 25));
	assert_false(filter_port(&f, 0));
	assert_true(filter_port(&f, 26));
	assert_int_equal(filter_ports_parse("25, 465,587", &f), 0);
	assert_false(filter_port(&f, 587));
	assert_int_equal(filter_ports_parse("25, 0", &f), -NTM_EINVAL);
	assert_int_equal(filter_ports_parse("65536", &f), -NTM_EINVAL);
	assert_int_equal(filter_ports_parse("x", &f), -NTM_EINVAL);
	assert_false(filter_port(&f, 587)); /* a bad list changes nothing */
	assert_int_equal(filter_ports_parse(NULL, &f), 0);
	assert_true(filter_port(&f, 25));
}

static void test_text(void **state)
{
	static const char *const bad[] = {
		"10.0.0.0/33", "10.0.0/8",  "fd00::/129", "10.0.0.0/",
		"10.0.0.0/-1", "",	    "x",	  "[::1]",
		"10.0.0.1:80", "fe80::1%lo"};
	static char many[FILTER_PREFIXES_MAX * 14 + 32];
	struct filter_list l;
	struct filter_prefix p;

	(void)state;
	for (size_t i = 0; i < N(bad); i++)
		assert_int_equal(filter_prefix_parse(bad[i], &p), -NTM_EINVAL);
	for (int i = 0; i < FILTER_PREFIXES_MAX; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many),
			 "10.%d.%d.0/24,", i / 100, i % 100);
	assert_int_equal(filter_list_parse(many, &l), 0);
	assert_int_equal(l.n, FILTER_PREFIXES_MAX);
	strcat(many, "11.1.0.0/24");
	assert_int_equal(filter_list_parse(many, &l), -NTM_ELIMIT);
}

/* this machine has at least loopback, and nothing of it is open */
static void test_this_machine(void **state)
{
	struct filter f;

	(void)state;
	memset(&f, 0, sizeof(f));
	assert_int_equal(filter_look(&f), 0);
	assert_true(f.own.n > 0);
	for (size_t i = 0; i < f.own.n; i++)
		assert_false(filter_address(&f, f.own.p[i].ip));
}

static int run(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What only routes tell: a neighbour of an address that has no prefix, a range that is
 * this machine's. In a network of our own. */
static void test_routes(void **state)
{
	struct filter f;

	(void)state;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) ||
	    run("ip link set lo up && ip link add d type dummy 2>/dev/null && "
		"ip link set d up"))
		skip();
	memset(&f, 0, sizeof(f));
	assert_int_equal(run("ip addr add 2001:db8:7::5/128 dev d nodad && "
			     "ip addr add 203.0.113.5/32 dev d && "
			     "ip route add 2001:db8:7::/64 dev d && "
			     "ip route add 203.0.113.0/28 dev d && "
			     "ip route add local 198.51.100.0/28 dev lo && "
			     "ip route add 192.0.2.0/28 via 203.0.113.1 && "
			     "ip route add 0.0.0.0/1 dev d && "
			     "ip route add default via 203.0.113.1"),
			 0);
	assert_int_equal(filter_look(&f), 0);
	assert_false(passes(&f, "2001:db8:7::5"));
	assert_false(passes(&f, "2001:db8:7::77"));
	assert_false(passes(&f, "203.0.113.9"));
	assert_false(passes(&f, "198.51.100.7"));
	/* by a router, or a tunnel for everything */
	assert_true(passes(&f, "192.0.2.1"));
	assert_true(passes(&f, "9.1.1.1"));
	assert_true(passes(&f, "2001:db8:8::1"));
	/* more addresses than one has: they fit all the same */
	assert_int_equal(
		run("for i in $(seq 1 200); do ip addr add 11.1.$i.1/24 dev d "
		    "|| exit 1; done"),
		0);
	assert_int_equal(filter_look(&f), 0);
	assert_false(passes(&f, "11.1.200.77"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_configured),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_this_machine),
		cmocka_unit_test(test_routes), /* the last one */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
