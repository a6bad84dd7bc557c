/* SPDX-License-Identifier: MIT */
/*
 * candidates - every 32 bytes in files and memories that may be a key
 *
 * Owner:    the tool that searches: one struct, zeroed first; never freed.
 * Context:  programs that play thieves. Each candidate is kept once. Any 32 bytes in
 *           a file that may be a key are one, and so is what base64 and hexadecimal
 *           digits there say; of a memory those at each 4 bytes. (32 random bytes with fewer than 22 different values are
 *           as good as never met. So text, numbers and pointers are left out, and no
 *           key.)
 * Errors:   it ends the program with status 2, naming what could not be read.
 */
#ifndef NTM_TESTS_E2E_CANDIDATES_H
#define NTM_TESTS_E2E_CANDIDATES_H

#include "libntmcrypto/ntmcrypto.h"

struct candidates {
	struct ntmc_key *keys; /* each once */
	uint32_t *table;       /* of indices into @keys, one above */
	size_t n, size;
	uint64_t bytes; /* that were searched */
};

/** all in the file @path, or with an @ in front of it in that memory */
void candidates_search(struct candidates *x, const char *path);
/** these NTMC_KEY_LEN bytes, if they may be a key */
void candidates_add(struct candidates *x, const uint8_t *b);
/** the value of a digit of @bits bits (4 or 6); -1: none. Both alphabets of base64 */
int candidates_digit(uint8_t c, unsigned int bits);
/** Return: of *@len bytes, mapped for good */
const uint8_t *file_map(const char *path, size_t *len);
/** names @what and errno; status 2 */
void give_up(const char *what) __attribute__((noreturn));

#endif
