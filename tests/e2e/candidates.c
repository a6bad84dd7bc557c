/* SPDX-License-Identifier: MIT */
/* candidates - every 32 bytes in files and memories that may be a key */
#include "tests/e2e/candidates.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of 32 random bytes 30 are different on average; fewer than 22 in one of 10^7 keys */
#define DISTINCT_MIN 22
/* in memory a key within a structure stands where a number may */
#define MEMORY_STEP 4

void give_up(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

static bool may_be_key(const uint8_t *b)
{
	uint64_t seen[4] = {0};
	unsigned int i, n = 0;

	for (i = 0; i < NTMC_KEY_LEN; i++)
		seen[b[i] >> 6] |= UINT64_C(1) << (b[i] & 63);
	for (i = 0; i < 4; i++)
		n += (unsigned int)__builtin_popcountll(seen[i]);
	return n >= DISTINCT_MIN;
}

static size_t place(const struct candidates *x, const uint8_t *b)
{
	uint64_t h, mix;
	size_t i;

	memcpy(&h, b, sizeof(h));
	memcpy(&mix, b + 16, sizeof(mix));
	h = (h ^ (mix << 7)) * UINT64_C(0x9e3779b97f4a7c15);
	for (i = h >> 20 & (x->size - 1);
	     x->table[i] && memcmp(x->keys[x->table[i] - 1].b, b, NTMC_KEY_LEN);
	     i = (i + 1) & (x->size - 1))
		;
	return i;
}

static void grow(struct candidates *x)
{
	size_t i;

	x->size = x->size ? 2 * x->size : 1 << 16;
	free(x->table);
	x->table = calloc(x->size, sizeof(*x->table));
	x->keys = realloc(x->keys, x->size / 2 * sizeof(*x->keys));
	if (!x->table || !x->keys)
		give_up("memory");
	for (i = 0; i < x->n; i++)
		x->table[place(x, x->keys[i].b)] = (uint32_t)i + 1;
}

void candidates_add(struct candidates *x, const uint8_t *b)
{
	size_t at;

	if (!may_be_key(b))
		return;
	if (x->n >= x->size / 2)
		grow(x);
	at = place(x, b);
	if (x->table[at])
		return;
	memcpy(x->keys[x->n++].b, b, NTMC_KEY_LEN);
	x->table[at] = (uint32_t)x->n;
}

static void windows(struct candidates *x, const uint8_t *b, size_t len,
		    size_t step)
{
	size_t i;

	for (i = 0; i + NTMC_KEY_LEN <= len; i += step)
		candidates_add(x, b + i);
}

/* the value of a digit of @bits bits; -1: none. Both alphabets of base64 */
int candidates_digit(uint8_t c, unsigned int bits)
{
	if (bits == 4)
		return isxdigit(c)
			       ? (isdigit(c) ? c - '0' : (c | 32) - 'a' + 10)
			       : -1;
	if (isupper(c))
		return c - 'A';
	if (islower(c))
		return c - 'a' + 26;
	if (isdigit(c))
		return c - '0' + 52;
	return c == '-' || c == '+' ? 62 : c == '_' || c == '/' ? 63 : -1;
}

/* A run of digits as bytes, from each of its first digits that begin a byte */
static void run_take(struct candidates *x, const uint8_t *b, size_t len,
		     unsigned int bits)
{
	uint8_t *out = malloc(len);
	unsigned int phase;
	size_t i, n;

	if (!out)
		give_up("memory");
	for (phase = 0; phase < 8 / (bits == 4 ? 4 : 2); phase++) {
		unsigned int have = 0;
		uint32_t word = 0;

		for (i = phase, n = 0; i < len; i++) {
			if (b[i] == '\n')
				continue; /* PEM */
			word = word << bits |
			       (uint32_t)candidates_digit(b[i], bits);
			have += bits;
			if (have >= 8) {
				have -= 8;
				out[n++] = (uint8_t)(word >> have);
			}
		}
		windows(x, out, n, 1);
	}
	free(out);
}

static void texts(struct candidates *x, const uint8_t *b, size_t len,
		  unsigned int bits)
{
	size_t least = NTMC_KEY_LEN * 8 / bits, i, begin;

	for (i = 0; i < len; i++) {
		begin = i;
		while (i < len && (candidates_digit(b[i], bits) >= 0 ||
				   (b[i] == '\n' && i > begin)))
			i++;
		if (i - begin >= least)
			run_take(x, b + begin, i - begin, bits);
	}
}

/* Return: of *@len bytes, mapped for good */
const uint8_t *file_map(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *b;

	if (fd < 0 || fstat(fd, &st))
		give_up(path);
	*len = (size_t)st.st_size;
	if (!*len) {
		close(fd);
		return (const uint8_t *)"";
	}
	b = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (b == MAP_FAILED)
		give_up(path);
	return b;
}

void candidates_search(struct candidates *x, const char *path)
{
	bool memory = *path == '@';
	size_t len;
	const uint8_t *b = file_map(path + memory, &len);

	x->bytes += len;
	windows(x, b, len, memory ? MEMORY_STEP : 1);
	texts(x, b, len, 6);
	texts(x, b, len, 4);
}
