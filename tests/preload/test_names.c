/* SPDX-License-Identifier: MIT */
/* test_names - names of virtual peers, and what the real resolver may not say */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preload/shimproto.h"
#include "tests/preload/endpoint.h"

#define NAME "peer.me.test"

/* what reached the resolver behind the shim (fakeresolv.c) */
static int real_calls(void)
{
	void *sym = dlsym(RTLD_DEFAULT, "fake_resolv_calls");
	int (*calls)(void);

	assert_non_null(sym);
	memcpy(&calls, &sym, sizeof(calls));
	return calls();
}

/* The list as text: "addr:port/socktype addr:port/socktype". */
static const char *list_text(const struct addrinfo *ai)
{
	static char text[512];
	char host[64], serv[16], one[128];

	text[0] = '\0';
	for (; ai; ai = ai->ai_next) {
		assert_int_equal(getnameinfo(ai->ai_addr, ai->ai_addrlen, host,
					     sizeof(host), serv, sizeof(serv),
					     NI_NUMERICHOST | NI_NUMERICSERV),
				 0);
		snprintf(one, sizeof(one), "%s%s:%s/%d", text[0] ? " " : "",
			 host, serv, ai->ai_socktype);
		strcat(text, one);
	}
	return text;
}

static void look_up(const char *name, const char *service, int family,
		    int flags, const char *want)
{
	struct addrinfo h = {.ai_family = family,
			     .ai_socktype = SOCK_STREAM,
			     .ai_flags = flags};
	struct addrinfo *res = NULL;

	assert_int_equal(getaddrinfo(name, service, &h, &res), 0);
	assert_string_equal(list_text(res), want);
	assert_int_equal(res->ai_flags, flags);
	freeaddrinfo(res);
}

static int look_up_error(const char *name, const char *service, int family,
			 int flags)
{
	struct addrinfo h = {.ai_family = family, .ai_flags = flags};
	struct addrinfo *res = NULL;
	int ret = getaddrinfo(name, service, &h, &res);

	assert_null(res);
	return ret;
}

static void test_families(void **state)
{
	const int calls = real_calls();

	(void)state;
	look_up(NAME, "80", AF_UNSPEC, 0, NODE6 ":80/1 " NODE4 ":80/1");
	look_up(NAME, "80", AF_INET, 0, NODE4 ":80/1");
	look_up(NAME, "80", AF_INET6, 0, NODE6 ":80/1");
	look_up(NAME ".", "80", AF_INET, 0, NODE4 ":80/1");
	look_up("four.me.test", "80", AF_UNSPEC, 0, NODE4 ":80/1");
	look_up("six.me.test", NULL, AF_UNSPEC, 0, NODE6 ":0/1");
	assert_int_equal(look_up_error("four.me.test", "80", AF_INET6, 0),
			 EAI_NODATA);
	assert_int_equal(look_up_error("six.me.test", "80", AF_INET, 0),
			 EAI_NODATA);
	assert_int_equal(real_calls(), calls);
}

static void test_flags(void **state)
{
	(void)state;
	look_up(NAME, "80", AF_UNSPEC, AI_ADDRCONFIG | AI_PASSIVE,
		NODE6 ":80/1 " NODE4 ":80/1");
	look_up("four.me.test", "80", AF_INET6, AI_V4MAPPED,
		"::ffff:" NODE4 ":80/1");
	look_up(NAME, "80", AF_INET6, AI_V4MAPPED, NODE6 ":80/1");
	look_up(NAME, "80", AF_INET6, AI_V4MAPPED | AI_ALL,
		NODE6 ":80/1 ::ffff:" NODE4 ":80/1");
	look_up(NAME, "80", AF_INET, AI_NUMERICSERV, NODE4 ":80/1");
	look_up(NAME, "http", AF_INET, 0, NODE4 ":80/1");
	assert_int_equal(look_up_error(NAME, "http", AF_INET, AI_NUMERICSERV),
			 EAI_NONAME);
	assert_int_equal(look_up_error(NAME, "http", AF_INET, AI_NUMERICHOST),
			 EAI_NONAME);
	assert_int_equal(look_up_error(NAME, "no-such-service", AF_INET, 0),
			 EAI_SERVICE);
	assert_int_equal(look_up_error(NAME, "80", AF_INET, 1 << 30),
			 EAI_BADFLAGS);
	assert_int_equal(look_up_error(NAME, "80", AF_UNIX, 0), EAI_FAMILY);
}

static void test_canonname(void **state)
{
	struct addrinfo h = {.ai_flags = AI_CANONNAME}, *res;

	(void)state;
	assert_int_equal(getaddrinfo("alias.me.test", NULL, &h, &res), 0);
	assert_string_equal(res->ai_canonname, "peer.me.test");
	assert_null(res->ai_next->ai_canonname);
	freeaddrinfo(res);
}

static void test_no_hints(void **state)
{
	struct addrinfo *res = NULL;
	int n = 0;

	(void)state;
	assert_int_equal(getaddrinfo(NAME, NULL, NULL, &res), 0);
	for (struct addrinfo *ai = res; ai; ai = ai->ai_next)
		n++;
	/* stream, datagram and raw, of two families */
	assert_int_equal(n, 6);
	freeaddrinfo(res);
}

static void test_errors(void **state)
{
	const int calls = real_calls();

	(void)state;
	assert_int_equal(look_up_error("none.me.test", "80", 0, 0), EAI_NONAME);
	assert_int_equal(look_up_error("empty.me.test", "80", 0, 0),
			 EAI_NONAME);
	assert_int_equal(look_up_error("off.me.test", "80", 0, 0), EAI_AGAIN);
	assert_int_equal(look_up_error("policy.me.test", "80", 0, 0), EAI_FAIL);
	assert_int_equal(look_up_error("pin.me.test", "80", 0, 0), EAI_FAIL);
	assert_int_equal(real_calls(), calls);
}

/* What cannot be a peer's name costs no request. */
static void test_cheap(void **state)
{
	static const char *const names[] = {"127.0.0.1", "127.1",
					    "0x7f.1",	 "::1",
					    "localhost", "LOCALHOST."};
	char long_name[SHIM_NAME_MAX + 10];
	uint32_t asked = stats()->asked[SHIM_RESOLVE];
	struct addrinfo *res;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (getaddrinfo(names[i], "1", NULL, &res) == 0)
			freeaddrinfo(res);
	look_up_error("single", "1", 0, 0);
	look_up_error("b\xc3\xbc"
		      "cher.example",
		      "1", 0, 0);
	memset(long_name, 'a', sizeof(long_name));
	long_name[5] = '.';
	long_name[sizeof(long_name) - 1] = '\0';
	look_up_error(long_name, "1", 0, 0);
	assert_int_equal(getaddrinfo(NULL, "1", NULL, &res), 0);
	freeaddrinfo(res);
	assert_int_equal(stats()->asked[SHIM_RESOLVE], asked);
	/* one byte less is asked for */
	long_name[SHIM_NAME_MAX] = '\0';
	look_up_error(long_name, "1", 0, 0);
	assert_int_equal(stats()->asked[SHIM_RESOLVE], asked + 1);
}

static void test_real_and_false(void **state)
{
	struct addrinfo h = {.ai_flags = AI_CANONNAME,
			     .ai_family = AF_INET,
			     .ai_socktype = SOCK_STREAM};
	struct addrinfo *res = NULL;

	(void)state;
	assert_int_equal(look_up_error("nowhere.example.net", "80", 0, 0),
			 EAI_NONAME);
	assert_int_equal(look_up_error("false.example.net", "80", AF_INET, 0),
			 EAI_NONAME);
	assert_int_equal(getaddrinfo("mixed.example.net", "80", &h, &res), 0);
	assert_string_equal(list_text(res), "192.0.2.7:80/1");
	/* as fakeresolv has it: the address in digits */
	assert_string_equal(res->ai_canonname, "198.18.0.2");
	freeaddrinfo(res);
	/* digits are nobody's answer */
	assert_int_equal(getaddrinfo(NODE4, "80", NULL, &res), 0);
	freeaddrinfo(res);
}

static void test_gethostbyname(void **state)
{
	char buf[512], small[40], text[INET6_ADDRSTRLEN];
	struct hostent ent, *res, *e = gethostbyname(NAME);
	int herr = 0;

	(void)state;
	assert_non_null(e);
	assert_int_equal(e->h_addrtype, AF_INET);
	assert_string_equal(e->h_name, NAME);
	assert_null(e->h_aliases[0]);
	inet_ntop(AF_INET, e->h_addr_list[0], text, sizeof(text));
	assert_string_equal(text, NODE4);
	assert_null(e->h_addr_list[1]);
	e = gethostbyname2(NAME, AF_INET6);
	assert_int_equal(e->h_length, 16);
	inet_ntop(AF_INET6, e->h_addr_list[0], text, sizeof(text));
	assert_string_equal(text, NODE6);
	assert_int_equal(
		gethostbyname_r(NAME, &ent, small, sizeof(small), &res, &herr),
		ERANGE);
	assert_null(res);
	/* not aligned either */
	assert_int_equal(gethostbyname2_r(NAME, AF_INET6, &ent, buf + 1,
					  sizeof(buf) - 1, &res, &herr),
			 0);
	assert_ptr_equal(res, &ent);
	inet_ntop(AF_INET6, ent.h_addr_list[0], text, sizeof(text));
	assert_string_equal(text, NODE6);
	assert_int_equal(gethostbyname2_r("four.me.test", AF_INET6, &ent, buf,
					  sizeof(buf), &res, &herr),
			 0);
	assert_null(res);
	assert_int_equal(herr, NO_DATA);
	assert_int_equal(gethostbyname_r("off.me.test", &ent, buf, sizeof(buf),
					 &res, &herr),
			 EAGAIN);
	assert_int_equal(herr, TRY_AGAIN);
	assert_null(gethostbyname("none.me.test"));
	assert_int_equal(h_errno, HOST_NOT_FOUND);
	assert_null(gethostbyname("policy.me.test"));
	assert_int_equal(h_errno, NO_RECOVERY);
}

static void test_gethostbyname_false(void **state)
{
	struct hostent ent, *res, *e;
	char buf[512];
	int herr;

	(void)state;
	assert_null(gethostbyname("false.example.net"));
	assert_int_equal(h_errno, HOST_NOT_FOUND);
	e = gethostbyname("mixed.example.net");
	assert_non_null(e);
	assert_int_equal(((unsigned char *)e->h_addr_list[0])[0], 192);
	assert_null(e->h_addr_list[1]);
	assert_int_equal(gethostbyname_r("false.example.net", &ent, buf,
					 sizeof(buf), &res, &herr),
			 0);
	assert_null(res);
	assert_int_equal(herr, HOST_NOT_FOUND);
}

static void test_reverse(void **state)
{
	struct place p = place(NODE6, 80), v = place(VOID4, 80);
	char host[64], serv[16], buf[512];
	struct hostent ent, *res, *e;
	struct in_addr ip;
	int herr;

	(void)state;
	assert_int_equal(getnameinfo(PLACE_ARGS(p), host, sizeof(host), serv,
				     sizeof(serv), 0),
			 0);
	assert_string_equal(host, NAME);
	assert_string_equal(serv, "http");
	assert_int_equal(getnameinfo(PLACE_ARGS(p), host, sizeof(host), NULL, 0,
				     NI_NUMERICHOST),
			 0);
	assert_string_equal(host, NODE6);
	assert_int_equal(getnameinfo(PLACE_ARGS(p), host, 5, NULL, 0, 0),
			 EAI_OVERFLOW);
	assert_int_equal(
		getnameinfo(PLACE_ARGS(v), host, sizeof(host), NULL, 0, 0), 0);
	assert_string_equal(host, VOID4);
	assert_int_equal(getnameinfo(PLACE_ARGS(v), host, sizeof(host), NULL, 0,
				     NI_NAMEREQD),
			 EAI_NONAME);
	inet_pton(AF_INET, NODE4, &ip);
	e = gethostbyaddr(&ip, sizeof(ip), AF_INET);
	assert_non_null(e);
	assert_string_equal(e->h_name, NAME);
	assert_memory_equal(e->h_addr_list[0], &ip, 4);
	assert_int_equal(gethostbyaddr_r(&ip, sizeof(ip), AF_INET, &ent, buf,
					 sizeof(buf), &res, &herr),
			 0);
	assert_string_equal(res->h_name, NAME);
	inet_pton(AF_INET, VOID4, &ip);
	assert_null(gethostbyaddr(&ip, sizeof(ip), AF_INET));
	assert_int_equal(h_errno, HOST_NOT_FOUND);
}

static void test_res_query(void **state)
{
	const int calls = real_calls();
	unsigned char buf[512];
	struct __res_state res;
	ns_msg msg;
	ns_rr rr;
	int n;

	(void)state;
	n = res_query(NAME, ns_c_in, ns_t_aaaa, buf, sizeof(buf));
	assert_true(n > 0);
	assert_int_equal(ns_initparse(buf, n, &msg), 0);
	assert_int_equal(ns_msg_count(msg, ns_s_an), 1);
	assert_int_equal(ns_parserr(&msg, ns_s_an, 0, &rr), 0);
	assert_string_equal(ns_rr_name(rr), NAME);
	assert_int_equal(ns_rr_type(rr), ns_t_aaaa);
	assert_int_equal(ns_rr_rdlen(rr), 16);
	assert_int_equal(ns_rr_rdata(rr)[15], 2);
	memset(&res, 0, sizeof(res));
	/* Firefox: type 65, HTTPS */
	assert_int_equal(res_nquery(&res, NAME, ns_c_in, 65, buf, sizeof(buf)),
			 -1);
	assert_int_equal(h_errno, NO_DATA);
	assert_int_equal(res.res_h_errno, NO_DATA);
	assert_int_equal(ns_initparse(buf, 12 + 14 + 4, &msg), 0);
	assert_int_equal(ns_msg_getflag(msg, ns_f_rcode), ns_r_noerror);
	assert_int_equal(ns_msg_count(msg, ns_s_an), 0);
	assert_int_equal(
		res_query("none.me.test", ns_c_in, ns_t_a, buf, sizeof(buf)),
		-1);
	assert_int_equal(h_errno, HOST_NOT_FOUND);
	/* a short buffer gets what fits, and the full length */
	memset(buf, 0xee, sizeof(buf));
	n = res_query(NAME, ns_c_in, ns_t_a, buf, 20);
	assert_true(n > 20);
	assert_int_equal(buf[20], 0xee);
	assert_int_equal(real_calls(), calls);
	assert_true(res_query("true.example.net", ns_c_in, ns_t_a, buf,
			      sizeof(buf)) > 0);
	assert_int_equal(real_calls(), calls + 1);
	assert_int_equal(res_query("false.example.net", ns_c_in, ns_t_a, buf,
				   sizeof(buf)),
			 -1);
	assert_int_equal(h_errno, HOST_NOT_FOUND);
	assert_int_equal(res_nquery(&res, "false.example.net", ns_c_in, ns_t_a,
				    buf, sizeof(buf)),
			 -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_canonname),
		cmocka_unit_test(test_no_hints),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_cheap),
		cmocka_unit_test(test_real_and_false),
		cmocka_unit_test(test_gethostbyname),
		cmocka_unit_test(test_gethostbyname_false),
		cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_res_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
