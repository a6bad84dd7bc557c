/* SPDX-License-Identifier: MIT */
/* group_store - what a member's store costs for an epoch that nobody came or went in */
#include "tests/bench/group_store.h"

#include <stdio.h>
#include <time.h>

#define EPOCHS 100

/** struct spent - milliseconds: of this thread's processor, and by the clock */
struct spent {
	double cpu, wall;
};

static double ms_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void count(struct spent *s, int sign)
{
	s->cpu += sign * ms_of(CLOCK_THREAD_CPUTIME_ID);
	s->wall += sign * ms_of(CLOCK_MONOTONIC);
}

/* as news.c writes it */
static void write_epoch(struct memberstore *s, const struct mate *p,
			const struct member_own *own, uint64_t epoch,
			const uint8_t *entry, size_t len)
{
	const uint8_t *id = member_id(p->m);
	int r = memberstore_begin(s);

	if (!r)
		r = memberstore_log_put(s, id, epoch, entry, len, NULL);
	if (!r)
		r = memberstore_put(s, p->m->g, own);
	if (!r)
		r = memberstore_seal_put(s, id, p->m->seal);
	if (!r)
		r = memberstore_commit(s);
	must(r, "an epoch");
}

void group_store_figure(const struct mate *p, const char *path)
{
	uint8_t entry[GROUP_ENTRY_MAX], sealer[NTMC_KEY_LEN];
	struct spent epoch = {0}, tidy = {0};
	struct member_own own = p->m->own;
	struct memberstore *s;
	size_t len;

	must(memberstore_open(path, NULL, &p->id, &s), path);
	must(memberstore_log_get(p->store, member_id(p->m), p->epoch, entry,
				 &len, sealer),
	     "the last entry");
	write_epoch(s, p, &own, 1, entry, len);
	for (unsigned int i = 2; i < EPOCHS + 2; i++) {
		own.serial++;
		count(&epoch, -1);
		write_epoch(s, p, &own, i, entry, len);
		count(&epoch, 1);
		count(&tidy, -1);
		must(memberstore_tidy(s), path);
		count(&tidy, 1);
	}
	printf("# group-store-%zu: an epoch %.3f ms of CPU, %.2f ms in all; "
	       "tidied %.3f, %.2f ms\n",
	       group_size(p->m->g), epoch.cpu / EPOCHS, epoch.wall / EPOCHS,
	       tidy.cpu / EPOCHS, tidy.wall / EPOCHS);
	member_own_clear(&own);
	memberstore_close(s);
}
