/* SPDX-License-Identifier: MIT */
/* cs_clock - the clock of cs_site's Cache Server, which a test moves */
#include "cs_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

#include "cs_site.h"

static int64_t later_s, ahead_s;

static uint64_t mono(void *arg)
{
	struct timespec t;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return LOOP_S((uint64_t)(t.tv_sec + later_s)) + (uint64_t)t.tv_nsec;
}

static int64_t wall(void *arg)
{
	(void)arg;
	return ntmc_now(NULL) + later_s + ahead_s;
}

void cs_clock_take(void)
{
	loop_set_clock(site.loop, mono, wall, NULL);
}

void cs_clock_give_back(void)
{
	loop_set_clock(site.loop, NULL, NULL, NULL);
}

static void on_done(struct desk_job *job, int err)
{
	(void)err;
	__atomic_store_n(&job->err, 1, __ATOMIC_SEQ_CST);
}

void cs_clock_later(int64_t s)
{
	struct desk_job behind = {.done = on_done};
	uint64_t before = cs->turns;

	later_s = s;
	while (cs->turns == before)
		assert_int_equal(loop_turn(site.loop, false), 0);
	desk_do(cs->desk, &behind);
	while (!__atomic_load_n(&behind.err, __ATOMIC_SEQ_CST))
		assert_int_equal(loop_turn(site.loop, false), 0);
}

void cs_clock_ahead(int64_t s)
{
	ahead_s = s;
}
