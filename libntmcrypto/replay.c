/* SPDX-License-Identifier: MIT */
/*
 * replay - which packet counters were seen (RFC 6479 and a 64-bit small one)
 *
 * Theory of operation
 *
 * .last is the highest accepted counter plus one, so that zeroed memory means
 * "nothing yet". The large window is a ring of 64-bit words indexed by
 * counter / 64; moving forward clears whole words, never shifts. One word more
 * than the window's size keeps the oldest acceptable counter out of the word
 * that is being filled. The last counter of all, 2^64 - 1, is never accepted:
 * .last could not express it.
 */
#include "libntmcrypto/ntmcrypto.h"

#define WORDS (sizeof(((struct ntmc_replay *)0)->bits) / sizeof(uint64_t))

bool ntmc_replay_check(const struct ntmc_replay *r, uint64_t counter)
{
	if (counter == UINT64_MAX)
		return false;
	if (counter >= r->last)
		return true;
	if (r->last - counter > NTMC_REPLAY_WINDOW)
		return false;
	return !(r->bits[counter / 64 % WORDS] >> (counter % 64) & 1);
}

bool ntmc_replay_mark(struct ntmc_replay *r, uint64_t counter)
{
	uint64_t word = counter / 64;

	if (!ntmc_replay_check(r, counter))
		return false;
	if (counter >= r->last) {
		uint64_t old = r->last ? (r->last - 1) / 64 : 0;
		uint64_t n = word - old < WORDS ? word - old : WORDS;

		for (uint64_t i = 1; i <= n; i++)
			r->bits[(old + i) % WORDS] = 0;
		r->last = counter + 1;
	}
	r->bits[word % WORDS] |= (uint64_t)1 << (counter % 64);
	return true;
}

bool ntmc_replay64_check(const struct ntmc_replay64 *r, uint64_t counter)
{
	uint64_t age;

	if (counter == UINT64_MAX)
		return false;
	if (counter >= r->last)
		return true;
	age = r->last - 1 - counter;
	return age < 64 && !(r->bits >> age & 1);
}

bool ntmc_replay64_mark(struct ntmc_replay64 *r, uint64_t counter)
{
	if (!ntmc_replay64_check(r, counter))
		return false;
	if (counter >= r->last) {
		uint64_t shift = counter + 1 - r->last;

		r->bits = shift < 64 ? r->bits << shift : 0;
		r->last = counter + 1;
	}
	r->bits |= (uint64_t)1 << (r->last - 1 - counter);
	return true;
}
