/* SPDX-License-Identifier: MIT */
/* test_conf - values, defaults, and every error with its file and line */
#include "common/conf.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/file.h"

struct settings {
	char *name, *list;
	unsigned int port, idle;
	bool on;
	uint64_t size;
};

static const struct conf_key keys[] = {
	{"as", "name", CONF_STRING, offsetof(struct settings, name), NULL, ""},
	{"as", "listen", CONF_LIST, offsetof(struct settings, list), "a,b", ""},
	{"as", "port", CONF_UINT, offsetof(struct settings, port), "4501", ""},
	{"dc", "idle", CONF_DURATION, offsetof(struct settings, idle), "5m",
	 ""},
	{"dc", "on", CONF_BOOL, offsetof(struct settings, on), "yes", ""},
	{"dc", "size", CONF_SIZE, offsetof(struct settings, size), "64K", ""},
};
#define N (sizeof(keys) / sizeof(keys[0]))

static char path[64], error[256];
static struct settings s;

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/ntm-test-conf.XXXXXX");
	close(mkstemp(path));
	memset(&s, 0, sizeof(s));
	return conf_defaults(keys, N, &s);
}

static int teardown(void **state)
{
	(void)state;
	conf_clear(keys, N, &s);
	return unlink(path);
}

static int load(const char *text)
{
	assert_int_equal(file_write(path, text, strlen(text), 0600), 0);
	error[0] = '\0';
	return conf_load(keys, N, path, &s, error, sizeof(error));
}

static void test_defaults(void **state)
{
	(void)state;
	assert_null(s.name);
	assert_string_equal(s.list, "a,b");
	assert_int_equal(s.port, 4501);
	assert_int_equal(s.idle, 300);
	assert_true(s.on);
	assert_int_equal(s.size, 65536);
}

static void test_file(void **state)
{
	(void)state;
	assert_int_equal(load("# comment\n\n[as]\n"
			      "name = Big Machine  ; remark\n"
			      "   port=1\n"
			      "\tlisten = [::]:1, 0.0.0.0:1\n"
			      "[dc]\r\nidle = 2h\r\non = Off\nsize = 2g"),
			 0);
	assert_string_equal(s.name, "Big Machine");
	assert_int_equal(s.port, 1);
	assert_string_equal(s.list, "[::]:1, 0.0.0.0:1");
	assert_int_equal(s.idle, 7200);
	assert_false(s.on);
	assert_true(s.size == UINT64_C(2) << 30);
	assert_int_equal(load(""), 0);
	assert_int_equal(s.port, 1);
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"[as]\nname = x\nprot = 1\n",
		 ":3: unknown key 'prot' in [as]"},
		{"[as]\n\n[xs]\nname = x\n", ":4: unknown section [xs]"},
		{"name = x\n", ":1: key 'name' stands outside of a section"},
		{"[as]\nport = many\n",
		 ":2: 'port' in [as] is to be a number, not 'many'"},
		{"[as]\nport = -1\n", ":2: 'port' in [as] is to be a number"},
		{"[as]\nport = 4294967296\n", ":2: 'port'"},
		{"[as]\nport =\n", ":2: 'port'"},
		{"[dc]\nidle = 5 m\n", ":2: 'idle' in [dc] is to be a time"},
		{"[dc]\nidle = 50000d\n", ":2: 'idle'"},
		{"[dc]\nsize = 99999999999G\n", ":2: 'size'"},
		{"[dc]\nsize = 1KB\n", ":2: 'size'"},
		{"[dc]\non = maybe\n", ":2: 'on' in [dc] is to be yes or no"},
		{"[as]\nport = 1\nport = 2\n",
		 ":3: 'port' in [as] is set already, in line 2"},
		{"[as]\nnonsense\n", ":2: neither [section] nor key = value"},
		{"[as\nport = 1\n", ":1: neither [section] nor"},
		/* the first of several */
		{"[as]\na = 1\nb = 2\n", ":2: unknown key 'a'"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(load(bad[i].text), -NTM_ECONF);
		assert_int_equal(strncmp(error, path, strlen(path)), 0);
		if (!strstr(error, bad[i].says))
			fail_msg("'%s' says '%s'", bad[i].text, error);
	}
	/* nothing of a wrong file was taken */
	assert_null(s.name);
	assert_int_equal(s.port, 4501);
}

static void test_long_lines(void **state)
{
	static char text[10000];

	(void)state;
	strcpy(text, "[as]\nname = ");
	memset(text + 12, 'x', 3000);
	assert_int_equal(load(text), 0);
	assert_int_equal(strlen(s.name), 3000);
	memset(text + 12, 'y', 5000);
	assert_int_equal(load(text), -NTM_ECONF);
	assert_non_null(strstr(error, ":2: the line is longer than"));
	assert_int_equal(s.name[0], 'x');
}

static void test_missing(void **state)
{
	(void)state;
	assert_int_equal(
		conf_load(keys, N, "/nonexistent/c", &s, error, sizeof(error)),
		-NTM_ENOTFOUND);
	assert_string_equal(error, "/nonexistent/c: No such file or directory");
	assert_int_equal(conf_load(keys, N, "/", &s, error, sizeof(error)),
			 -NTM_ECONF);
}

static void test_set(void **state)
{
	static const char *const bad[] = {
		"",	     "port=1",	  "as.port", "as=1.port", "as.prot=1",
		"xx.port=1", "as.port=x", ".=",	     "as.=1",
	};
	size_t i;

	(void)state;
	assert_int_equal(
		conf_set(keys, N, "as.port=7", &s, error, sizeof(error)), 0);
	assert_int_equal(s.port, 7);
	assert_int_equal(
		conf_set(keys, N, "as.name=a=b.c", &s, error, sizeof(error)),
		0);
	assert_string_equal(s.name, "a=b.c");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error[0] = '\0';
		assert_int_equal(
			conf_set(keys, N, bad[i], &s, error, sizeof(error)),
			-NTM_ECONF);
		assert_true(strlen(error) > 10);
	}
	assert_int_equal(s.port, 7);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_defaults),   test(test_file),	   test(test_errors),
		test(test_long_lines), test(test_missing), test(test_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
