/* SPDX-License-Identifier: MIT */
/*
 * burglar - opens an item with whatever keys lie in the disks and memories of others
 *
 * Usage: burglar CA.pem SENDER RECEIVER APPLICATION SERVICE ITEM SEALED BLOB
 *                FILE... [@DUMP...]
 *
 * Theory of operation
 *
 * It has what a Cache Server and a box have: who sends to whom, the item's IDs, K
 * sealed twice (SEALED, binary) and the BLOB. What it looks for is a key. Every 32
 * bytes of each FILE that may be one are a candidate, and so is what base64 and
 * hexadecimal digits there say; of a memory DUMP those at each 8 bytes. (32 random
 * bytes with fewer than DISTINCT_MIN different values are as good as never met: see
 * there. So text, numbers and pointers are left out, and no key.) Then it goes the
 * receiver's way, by the same library:
 *
 *   each candidate as T        -> the outer seal
 *   each candidate as prekey   -> the inner one, and so K
 *   each candidate as K, and every K found -> the blob, which it prints
 *
 * Status 0: the blob was opened; 1: it was not; 2: it could not try.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libntmcrypto/blob.h"

/* Of 32 random bytes 30 are different on average; fewer than 22 in one of 10^7 keys */
#define DISTINCT_MIN 22

struct burglar {
	struct ntmc_trust *trust;
	const char *sender, *receiver;
	uint8_t item[ITEM_ID_LEN];
	uint8_t sealed[ITEM_SEALED_MAX];
	size_t sealed_len;
	const uint8_t *blob;
	size_t blob_len;

	struct ntmc_key *keys; /* candidates, each once */
	uint32_t *table;       /* of indices into @keys, one above */
	size_t n, size;
	uint64_t bytes;
	unsigned int temporal, wrapped, opened;
};

static void give_up(const char *what)
{
	fprintf(stderr, "burglar: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* --- candidates
 * ------------------------------------------------------------------------ */

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

static size_t place(const struct burglar *x, const uint8_t *b)
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

static void grow(struct burglar *x)
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

static void candidate(struct burglar *x, const uint8_t *b)
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

static void windows(struct burglar *x, const uint8_t *b, size_t len,
		    size_t step)
{
	size_t i;

	for (i = 0; i + NTMC_KEY_LEN <= len; i += step)
		candidate(x, b + i);
}

/* the value of a digit of @bits bits; -1: none. Both alphabets of base64 */
static int digit(uint8_t c, unsigned int bits)
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
static void run_take(struct burglar *x, const uint8_t *b, size_t len,
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
			word = word << bits | (uint32_t)digit(b[i], bits);
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

static void texts(struct burglar *x, const uint8_t *b, size_t len,
		  unsigned int bits)
{
	size_t least = NTMC_KEY_LEN * 8 / bits, i, begin;

	for (i = 0; i < len; i++) {
		begin = i;
		while (i < len &&
		       (digit(b[i], bits) >= 0 || (b[i] == '\n' && i > begin)))
			i++;
		if (i - begin >= least)
			run_take(x, b + begin, i - begin, bits);
	}
}

/* Return: of *@len bytes, mapped for good */
static const uint8_t *file_map(const char *path, size_t *len)
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

static void search(struct burglar *x, const char *path)
{
	bool memory = *path == '@';
	size_t len;
	const uint8_t *b = file_map(path + memory, &len);

	x->bytes += len;
	windows(x, b, len, memory ? 8 : 1);
	texts(x, b, len, 6);
	texts(x, b, len, 4);
}

/* --- the receiver's way
 * ---------------------------------------------------------------- */

static bool blob_try(struct burglar *x, const struct ntmc_key *k)
{
	uint8_t buf[BLOB_SEALED];
	struct blob *b;
	size_t n, at = BLOB_HEADER, i;
	bool opened = false;

	if (blob_open_new(k, x->item, x->blob, x->blob_len, &b))
		return false;
	while ((n = blob_next(b))) {
		memcpy(buf, x->blob + at, n + NTMC_TAG_LEN);
		if (blob_open_chunk(b, buf, n + NTMC_TAG_LEN))
			break;
		opened = true;
		at += n + NTMC_TAG_LEN;
		for (i = 0; i < n; i++)
			putchar(isprint(buf[i]) ? buf[i] : '\n');
	}
	blob_free(b);
	return opened;
}

static void prekeys_try(struct burglar *x, const uint8_t *wrapped, size_t len)
{
	struct item_names names = {x->item, x->sender, x->receiver};
	struct ntmc_cert cert;
	struct ntmc_key k;
	size_t i;

	for (i = 0; i < x->n; i++) {
		if (item_key_unwrap(NULL, x->trust, &names, &x->keys[i],
				    wrapped, len, &k, &cert))
			continue;
		x->wrapped++;
		x->opened += blob_try(x, &k);
	}
}

static void all_try(struct burglar *x)
{
	uint8_t wrapped[ITEM_SEALED_MAX];
	size_t i, len;

	for (i = 0; i < x->n; i++) {
		x->opened += blob_try(x, &x->keys[i]);
		if (item_temporal_open(&x->keys[i], x->item, x->sealed,
				       x->sealed_len, wrapped, &len))
			continue;
		x->temporal++;
		prekeys_try(x, wrapped, len);
	}
}

/* --- what it has
 * ----------------------------------------------------------------------- */

/* a certificate in PEM */
static void take_trust(struct burglar *x, const char *path)
{
	uint8_t der[NTMC_CERT_MAX * 2];
	size_t len, n = 0;
	const uint8_t *b = file_map(path, &len), *end = b + len;
	const uint8_t *line = memmem(b, len, "-----\n", 6);
	unsigned int have = 0;
	uint32_t word = 0;

	for (b = line ? line + 6 : end; b < end && *b != '-'; b++) {
		if (digit(*b, 6) < 0)
			continue;
		word = word << 6 | (uint32_t)digit(*b, 6);
		have += 6;
		if (have >= 8 && n < sizeof(der)) {
			have -= 8;
			der[n++] = (uint8_t)(word >> have);
		}
	}
	errno = EINVAL;
	if (ntmc_trust_new(&x->trust) ||
	    ntmc_trust_add(x->trust, der, n, NULL, NULL))
		give_up(path);
}

/* as docs/exchange.md says */
static void take_item(struct burglar *x, char **ids)
{
	uint8_t text[14 + 3 * (2 + 64)] = "ntm item id v1", hash[NTMC_HASH_LEN];
	size_t at = 14, len;
	int i;

	for (i = 0; i < 3; i++) {
		len = strlen(ids[i]);
		if (len > 64)
			exit(2);
		text[at++] = 0;
		text[at++] = (uint8_t)len;
		memcpy(text + at, ids[i], len);
		at += len;
	}
	ntmc_sha256(text, at, hash);
	memcpy(x->item, hash, sizeof(x->item));
}

int main(int argc, char **argv)
{
	struct burglar x = {.n = 0};
	const uint8_t *sealed;
	int i;

	if (argc < 10) {
		fputs("burglar: what?\n", stderr);
		return 2;
	}
	take_trust(&x, argv[1]);
	x.sender = argv[2];
	x.receiver = argv[3];
	take_item(&x, argv + 4);
	sealed = file_map(argv[7], &x.sealed_len);
	if (x.sealed_len > sizeof(x.sealed))
		return 2;
	memcpy(x.sealed, sealed, x.sealed_len);
	x.blob = file_map(argv[8], &x.blob_len);
	if (x.blob_len < BLOB_HEADER)
		return 2;
	for (i = 9; i < argc; i++)
		search(&x, argv[i]);
	all_try(&x);
	printf("%llu bytes, %zu candidates; as T: %u, as prekey: %u, blob "
	       "opened: %u times\n",
	       (unsigned long long)x.bytes, x.n, x.temporal, x.wrapped,
	       x.opened);
	return x.opened ? 0 : 1;
}
