/* SPDX-License-Identifier: MIT */
/* test_replay - both windows against one numbered table each */
#include <string.h>

#include "fixture.h"

#define W NTMC_REPLAY_WINDOW

struct row {
	uint64_t counter;
	bool accept;
};

static const struct row table[] = {
	/*  0 */ {0, true},
	/*  1 */ {0, false},
	/*  2 */ {1, true},
	/*  3 */ {1, false},
	/*  4 */ {9, true},
	/*  5 */ {8, true},
	/*  6 */ {7, true},
	/*  7 */ {7, false},
	/*  8 */ {W, true},
	/*  9 */ {W - 1, true},
	/* 10 */ {W - 1, false},
	/* 11: old, but inside */ {2, true},
	/* 12 */ {2, false},
	/* 13: one too old */ {0, false},
	/* 14 */ {W + 16, true},
	/* 15: seen long ago or not, outside */ {3, false},
	/* 16 */ {W + 16, false},
	/* 17: the oldest one inside */ {17, true},
	/* 18: just outside */ {16, false},
	/* 19: exactly one window ahead */ {2 * W + 16, true},
	/* 20: oldest inside, not seen */ {W + 17, true},
	/* 21: just outside, and seen */ {W + 16, false},
	/* 22 */ {2 * W + 17, true},
	/* 23: a jump beyond the whole ring */ {10 * W + 63, true},
	/* 24 */ {10 * W + 62, true},
	/* 25 */ {9 * W + 64, true},
	/* 26 */ {9 * W + 63, false},
	/* 27 */ {9 * W + 64, false},
	/* 28: every word was cleared */ {9 * W + 65, true},
	/* 29: a far jump */ {UINT64_MAX - 2, true},
	/* 30 */ {UINT64_MAX - 1, true},
	/* 31: never, it has no successor */ {UINT64_MAX, false},
	/* 32 */ {UINT64_MAX - 2, false},
	/* 33: the oldest one inside */ {UINT64_MAX - W, true},
	/* 34 */ {UINT64_MAX - W + 1, true},
	/* 35: just outside */ {UINT64_MAX - W - 1, false},
	/* 36 */ {0, false},
};

static const struct row table64[] = {
	/*  0 */ {0, true},
	/*  1 */ {0, false},
	/*  2 */ {3, true},
	/*  3 */ {1, true},
	/*  4 */ {1, false},
	/*  5 */ {2, true},
	/*  6: one word on */ {64, true},
	/*  7: the oldest one inside, seen */ {1, false},
	/*  8: outside */ {0, false},
	/*  9: inside, not seen */ {4, true},
	/* 10 */ {4, false},
	/* 11: ahead by exactly 64 */ {128, true},
	/* 12: just outside */ {64, false},
	/* 13: oldest inside */ {65, true},
	/* 14 */ {65, false},
	/* 15: far ahead */ {1000, true},
	/* 16 */ {999, true},
	/* 17 */ {937, true},
	/* 18 */ {936, false},
	/* 19 */ {UINT64_MAX - 1, true},
	/* 20 */ {UINT64_MAX, false},
	/* 21 */ {UINT64_MAX - 64, true},
	/* 22 */ {UINT64_MAX - 65, false},
	/* 23 */ {UINT64_MAX - 1, false},
};

static void large_window(void **state)
{
	struct ntmc_replay r = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct ntmc_replay before = r;

		if (ntmc_replay_check(&r, table[i].counter) != table[i].accept)
			fail_msg("row %zu: check", i);
		assert_memory_equal(&r, &before, sizeof(r));
		if (ntmc_replay_mark(&r, table[i].counter) != table[i].accept)
			fail_msg("row %zu: mark", i);
		if (!table[i].accept)
			assert_memory_equal(&r, &before, sizeof(r));
	}
}

static void small_window(void **state)
{
	struct ntmc_replay64 r = {0};

	(void)state;
	assert_int_equal(sizeof(r), 16);
	for (size_t i = 0; i < ARRAY_LEN(table64); i++) {
		if (ntmc_replay64_check(&r, table64[i].counter) !=
		    table64[i].accept)
			fail_msg("row %zu: check", i);
		if (ntmc_replay64_mark(&r, table64[i].counter) !=
		    table64[i].accept)
			fail_msg("row %zu: mark", i);
	}
}

/* against a list of what was accepted, with jumps, dwelling and late packets */
static void random_walk(void **state)
{
	static uint8_t seen[1 << 20];
	struct ntmc_replay r = {0};
	struct ntmc_replay64 r64 = {0};
	uint64_t top = 0, x = 42;
	static uint8_t seen64[1 << 20];
	uint64_t top64 = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint64_t c;
		bool want;

		x = x * 6364136223846793005u + 1442695040888963407u;
		c = top + (x >> 40) % 40;
		if ((x >> 20) % 3)
			c = top > 9000 ? top - (x >> 33) % 9000 : c;
		if (c >= sizeof(seen))
			break;
		want = !seen[c] && (c >= top || top - c <= W);
		if (ntmc_replay_mark(&r, c) != want)
			fail_msg("step %d, counter %llu", i,
				 (unsigned long long)c);
		if (want) {
			seen[c] = 1;
			if (c >= top)
				top = c + 1;
		}
		c = top64 + (x >> 40) % 4;
		if ((x >> 20) % 3)
			c = top64 > 80 ? top64 - (x >> 33) % 80 : c;
		want = !seen64[c] && (c >= top64 || top64 - c <= 64);
		if (ntmc_replay64_mark(&r64, c) != want)
			fail_msg("step %d, small, counter %llu", i,
				 (unsigned long long)c);
		if (want) {
			seen64[c] = 1;
			if (c >= top64)
				top64 = c + 1;
		}
	}
	assert_true(top > 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large_window),
		cmocka_unit_test(small_window),
		cmocka_unit_test(random_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
