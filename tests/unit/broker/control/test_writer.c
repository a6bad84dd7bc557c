/* SPDX-License-Identifier: MIT */
/*
 * test_writer - files beside the loop: durable when told so, the last content wins, and
 *               the loop thread never waits for the disk
 *
 * fsync() here stands for the disk: it can be held up, and knows who waits for it.
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/pins.h"
#include "broker/policy.h"
#include "broker/timers.h"
#include "broker/writer.h"
#include "common/file.h"
#include "common/log.h"

#define WHO "desk.bob.example.org"

static char dir[64];
static uint64_t now_ns;
static struct loop *loop;
static struct writer *writer;

static pthread_t loop_thread;
static atomic_uint waits_of_loop, syncs;
static atomic_bool slow;
static sem_t begun, goes_on;

int fsync(int fd)
{
	(void)fd;
	syncs++;
	if (pthread_equal(pthread_self(), loop_thread)) {
		waits_of_loop++;
	} else if (slow) {
		sem_post(&begun);
		sem_wait(&goes_on);
	}
	return 0;
}

/* The disk is busy from now on; until disk_goes_on(). */
static void disk_is_slow(void)
{
	slow = true;
}

static void disk_goes_on(void)
{
	slow = false;
	sem_post(&goes_on);
}

static int64_t wall(void *ctx)
{
	(void)ctx;
	return 1800000000;
}

static uint64_t mono(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static void set_random(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 7, len);
}

static const struct ntmc_env env = {set_random, wall, NULL};

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/ntm-writer-XXXXXX");
	assert_non_null(mkdtemp(dir));
	now_ns = LOOP_S(1);
	loop_thread = pthread_self();
	waits_of_loop = syncs = 0;
	sem_init(&begun, 0, 0);
	sem_init(&goes_on, 0, 0);
	assert_int_equal(loop_new(&loop), 0);
	loop_set_clock(loop, mono, wall, NULL);
	assert_int_equal(writer_new(loop, &writer), 0);
	return 0;
}

static int teardown(void **state)
{
	char command[100];

	(void)state;
	writer_free(writer);
	loop_free(loop);
	snprintf(command, sizeof(command), "rm -r '%s'", dir);
	return system(command);
}

static const char *in_dir(const char *name)
{
	static char path[100];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* struct answer - what a callback said */
struct answer {
	unsigned int n;
	int err;
};

static void answered(void *arg, int err)
{
	struct answer *a = arg;

	a->n++;
	a->err = err;
}

static void put(const char *name, const char *text, struct answer *a)
{
	assert_int_equal(writer_replace(writer, in_dir(name),
					(uint8_t *)strdup(text), strlen(text),
					a ? answered : NULL, a),
			 0);
}

static void assert_holds(const char *name, const char *text)
{
	uint8_t *data;
	size_t len;

	assert_int_equal(file_read_private(in_dir(name), 4096, &data, &len), 0);
	assert_string_equal((char *)data, text);
	file_free(data, len);
}

static void until(const struct answer *a, unsigned int n)
{
	while (a->n < n)
		assert_int_equal(loop_turn(loop, true), 0);
}

/* --- the writer ---------------------------------------------------------------------- */

static void test_durable_when_told(void **state)
{
	struct answer a = {0};

	(void)state;
	disk_is_slow();
	put("x", "one", &a);
	sem_wait(&begun);
	assert_int_equal(loop_turn(loop, false), 0);
	assert_int_equal(a.n, 0); /* written, but not on the disk */
	disk_goes_on();
	until(&a, 1);
	assert_int_equal(a.err, 0);
	assert_int_equal(syncs, 2); /* the file, the folder */
	assert_holds("x", "one");
}

static void test_last_one_wins(void **state)
{
	struct answer one = {0}, two = {0}, three = {0}, other = {0};

	(void)state;
	disk_is_slow();
	put("x", "one", &one);
	sem_wait(&begun); /* that one is under way */
	put("x", "two", &two);
	put("y", "other", &other);
	put("x", "three", &three);
	disk_goes_on();
	until(&other, 1);
	assert_int_equal(one.n + two.n + three.n, 3);
	assert_int_equal(one.err | two.err | three.err | other.err, 0);
	assert_int_equal(syncs, 6); /* "two" was never written */
	assert_holds("x", "three");
	assert_holds("y", "other");
}

static void test_failure_is_told(void **state)
{
	struct answer bad = {0}, good = {0};

	(void)state;
	put("none/x", "one", &bad);
	put("x", "two", &good);
	until(&good, 1);
	assert_int_equal(bad.n, 1);
	assert_int_equal(bad.err, -NTM_ENOTFOUND);
	assert_int_equal(good.err, 0);
}

static void test_limit(void **state)
{
	struct answer a = {0}, none = {0};
	char name[16];

	(void)state;
	disk_is_slow();
	put("x", "", &a);
	sem_wait(&begun);
	for (int i = 0; i < WRITER_JOBS_MAX; i++) {
		snprintf(name, sizeof(name), "x%d", i);
		put(name, "", &a);
	}
	assert_int_equal(writer_replace(writer, in_dir("more"),
					(uint8_t *)strdup(""), 0, answered,
					&none),
			 -NTM_ELIMIT);
	put("x3", "again", &a);
	disk_goes_on();
	until(&a, WRITER_JOBS_MAX + 2);
	assert_int_equal(none.n, 0);
	assert_holds("x3", "again");
}

static void again(void *arg, int err)
{
	put("second", "x", arg);
	assert_int_equal(err, 0);
}

static void test_orderly_end(void **state)
{
	struct answer a = {0}, never = {0};

	(void)state;
	assert_int_equal(writer_replace(writer, in_dir("first"),
					(uint8_t *)strdup(""), 0, again, &a),
			 0);
	writer_finish(writer); /* what the callback asks for as well */
	assert_int_equal(a.n, 1);
	assert_holds("second", "x");
	put("last", "y", &never);
	writer_free(writer);
	assert_int_equal(never.n, 0);
	assert_holds("last", "y");
	assert_int_equal(writer_new(loop, &writer), 0);
}

/* --- who uses it ------------------------------------------------------------------------ */

static const uint8_t fp[NTMC_FP_LEN] = {1};
static const uint8_t six[16] = {0xfd, 0x6e, [15] = 1};
static const uint8_t four[4] = {198, 18, 0, 1};

static void test_pins_do_not_wait(void **state)
{
	struct answer a = {0};
	struct pins *p;

	(void)state;
	assert_int_equal(pins_open(loop, writer, dir, &env, &p), 0);
	disk_is_slow();
	assert_int_equal(pins_learn(p, WHO, fp, six, four), 0);
	now_ns += LOOP_MS(PINS_FLUSH_MS);
	assert_int_equal(loop_turn(loop, false), 0);
	sem_wait(&begun);
	assert_int_equal(pins_set_serial(p, 7), 0);
	assert_int_equal(pins_verify(p, WHO, fp, answered, &a), 0);
	assert_int_equal(loop_turn(loop, false), 0);
	assert_int_equal(a.n, 0);
	disk_goes_on();
	until(&a, 1);
	assert_int_equal(waits_of_loop, 0);
	writer_finish(writer);
	pins_free(p);
	assert_int_equal(pins_open(loop, writer, dir, &env, &p), 0);
	assert_true(pins_find(p, WHO)->verified);
	assert_int_equal(pins_serial(p), 7);
	pins_free(p);
}

static bool lets_in(const struct policy *p, const char *name)
{
	struct policy_grant g;

	policy_check(p, NULL, name, &g);
	return g.in;
}

static void test_policy_in_force_when_durable(void **state)
{
	struct policy_rule bob = {.subject = "bob.example.org"};
	struct policy_rule eve = {.subject = "eve.example.org"};
	struct answer allowed = {0}, both = {0};
	struct policy *p, *read;
	char why[256];

	(void)state;
	assert_int_equal(policy_open(writer, dir, &p, why, sizeof(why)), 0);
	disk_is_slow();
	assert_int_equal(policy_allow(p, &bob, answered, &allowed), 0);
	sem_wait(&begun);
	assert_int_equal(policy_allow(p, &eve, answered, &both), 0);
	assert_int_equal(policy_remove(p, "x.org", answered, &both), 0);
	assert_int_equal(loop_turn(loop, false), 0);
	assert_false(lets_in(p, WHO));
	disk_goes_on();
	until(&allowed, 1);
	assert_true(lets_in(p, WHO));
	until(&both, 2);
	assert_int_equal(both.err, -NTM_ENOTFOUND);
	assert_int_equal(policy_count(p), 2);
	assert_int_equal(waits_of_loop, 0);
	assert_int_equal(policy_open(writer, dir, &read, why, sizeof(why)), 0);
	assert_int_equal(policy_count(read), 2);
	policy_free(read);
	policy_free(p);
}

/* The disk refuses: what was in force stays, and the next change is not lost. */
static void test_policy_not_written(void **state)
{
	struct policy_rule bob = {.subject = "bob.example.org"};
	struct answer a = {0};
	struct policy *p;
	char why[256], name[100];

	(void)state;
	assert_int_equal(policy_open(writer, dir, &p, why, sizeof(why)), 0);
	snprintf(name, sizeof(name), "%s", in_dir("policy"));
	assert_int_equal(mkdir(name, 0700), 0); /* nothing can replace it */
	assert_int_equal(policy_allow(p, &bob, answered, &a), 0);
	until(&a, 1);
	assert_int_equal(a.err, -NTM_ESTORE);
	assert_false(lets_in(p, WHO));
	assert_int_equal(rmdir(name), 0);
	assert_int_equal(policy_allow(p, &bob, answered, &a), 0);
	until(&a, 2);
	assert_int_equal(a.err, 0);
	assert_true(lets_in(p, WHO));
	policy_free(p);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_durable_when_told),
		T(test_last_one_wins),
		T(test_failure_is_told),
		T(test_limit),
		T(test_orderly_end),
		T(test_pins_do_not_wait),
		T(test_policy_in_force_when_durable),
		T(test_policy_not_written),
	};

	log_open("test", LOG_ERR, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
