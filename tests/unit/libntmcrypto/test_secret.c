/* SPDX-License-Identifier: MIT */
/* test_secret - wiping, comparison, secret pages, the default env */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

static void wipe_and_compare(void **state)
{
	static const uint8_t zero[32];
	struct ntmc_key k, other;

	(void)state;
	ntmc_key_random(NULL, &k);
	ntmc_key_random(NULL, &other);
	assert_false(ntmc_equal(&k, &other, sizeof(k)));
	other = k;
	assert_true(ntmc_equal(&k, &other, sizeof(k)));
	other.b[31] ^= 1;
	assert_false(ntmc_equal(&k, &other, sizeof(k)));
	assert_true(ntmc_equal(NULL, NULL, 0));
	ntmc_key_clear(&k);
	assert_memory_equal(k.b, zero, sizeof(zero));
	ntmc_wipe(NULL, 0);
}

static void pages_work(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t sizes[] = {1, 32, page, page + 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t *p = ntmc_secret_alloc(sizes[i]);

		assert_non_null(p);
		assert_int_equal(p[0], 0);
		memset(p, 0xa5, sizes[i]);
		ntmc_secret_free(p, sizes[i]);
	}
	assert_null(ntmc_secret_alloc(0));
	assert_null(ntmc_secret_alloc(SIZE_MAX));
	ntmc_secret_free(NULL, 8);
}

/* a child sees zeros; smaps says "dd" (not dumped) and "wf" (wiped on fork) */
static void pages_are_marked(void **state)
{
	uint8_t *p = ntmc_secret_alloc(64);
	bool here = false, dd = false, wf = false;
	char line[512];
	int status;
	pid_t pid;
	FILE *f;

	(void)state;
	assert_non_null(p);
	memset(p, 0xa5, 64);
	pid = fork();
	if (pid == 0)
		_exit(p[0] == 0 && p[63] == 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(p[0], 0xa5);

	f = fopen("/proc/self/smaps", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (unsigned long)p &&
			       (unsigned long)p < to;
		if (here && !strncmp(line, "VmFlags:", 8)) {
			dd = strstr(line, " dd");
			wf = strstr(line, " wf");
		}
	}
	fclose(f);
	assert_true(dd);
	assert_true(wf);
	ntmc_secret_free(p, 64);
}

static void env(void **state)
{
	struct script s = {.fill = 5, .now = 1234};
	struct ntmc_env e = script_env(&s);
	uint8_t buf[3];

	(void)state;
	ntmc_random(&e, buf, sizeof(buf));
	assert_memory_equal(buf, "\5\6\7", 3);
	assert_int_equal(ntmc_now(&e), 1234);
	assert_true(ntmc_now(NULL) >= (int64_t)time(NULL) - 1);
	ntmc_random(NULL, buf, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wipe_and_compare),
		cmocka_unit_test(pages_work),
		cmocka_unit_test(pages_are_marked),
		cmocka_unit_test(env),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
