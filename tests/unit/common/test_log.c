/* SPDX-License-Identifier: MIT */
/* test_log - lines into a file, read back */
#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/err.h"
#include "common/file.h"

static char path[64];

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/ntm-test-log.XXXXXX");
	close(mkstemp(path));
	return log_open("prog", LOG_INFO, path);
}

static int teardown(void **state)
{
	(void)state;
	log_close();
	unlink(path);
	return 0;
}

static char *content(void)
{
	uint8_t *data;
	char *copy;
	size_t len;

	assert_int_equal(file_read(path, 100000, &data, &len), 0);
	copy = strdup((char *)data);
	file_free(data, len);
	return copy;
}

static void test_line(void **state)
{
	char *text;

	(void)state;
	errno = ENOENT;
	log_info("peer desk", "moved %d times: %m", 3);
	assert_int_equal(errno, ENOENT);
	log_debug("peer desk", "not shown");
	log_set_level(LOG_DEBUG);
	log_debug("peer desk", "shown");
	log_set_level(LOG_ERR);
	log_warn("peer desk", "not shown");
	text = content();
	/* 2026-01-02T03:04:05.678Z */
	assert_int_equal(text[10], 'T');
	assert_int_equal(text[23], 'Z');
	assert_non_null(strstr(text, "Z info prog: peer desk: moved 3 times: "
				     "No such file or directory\n"));
	assert_non_null(strstr(text, " debug prog: peer desk: shown\n"));
	assert_null(strstr(text, "not shown"));
	free(text);
}

/* A name of a peer cannot start a line or move the cursor. */
static void test_injection(void **state)
{
	char *text, *nl;

	(void)state;
	log_info("peer", "name %s", "a\nerror prog: forged\x1b[2J\r\x7f");
	text = content();
	nl = strchr(text, '\n');
	assert_non_null(nl);
	assert_int_equal(nl[1], '\0');
	assert_non_null(strstr(text, "a?error prog: forged?[2J??\n"));
	free(text);
}

static void test_long_line(void **state)
{
	char big[5000], *text;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info("peer", "%s", big);
	log_info(big, "%s", big);
	log_info("peer", "next");
	text = content();
	assert_true(strlen(text) < 2200);
	assert_non_null(strstr(text, "x\n"));
	assert_non_null(strstr(text, "peer: next\n"));
	free(text);
}

static void test_levels(void **state)
{
	enum log_level level;

	(void)state;
	assert_true(log_level_parse("warning", &level));
	assert_int_equal(level, LOG_WARN);
	assert_true(log_level_parse("err", &level));
	assert_int_equal(level, LOG_ERR);
	assert_true(log_level_parse("debug", &level));
	assert_int_equal(level, LOG_DEBUG);
	assert_false(log_level_parse("loud", &level));
	assert_int_equal(log_open("p", LOG_INFO, "/nonexistent/x"),
			 -NTM_ESYSTEM);
}

static void test_limit(void **state)
{
	struct log_limit l = {.burst = 3, .per_s = 1000};
	char *text;
	int i, n = 0;

	(void)state;
	for (i = 0; i < 10; i++)
		n += log_allowed(&l);
	assert_int_equal(n, 3);
	assert_int_equal(l.suppressed, 7);
	l.since -= 1001; /* the time has passed */
	assert_true(log_allowed(&l));
	text = content();
	assert_non_null(strstr(text, "7 lines like the next were left out"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_injection, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_long_line, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
