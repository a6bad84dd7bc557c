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
 * sealed twice (SEALED, binary) and the BLOB. What it looks for is a key: whatever may
 * be one in each FILE or DUMP is a candidate (candidates.h). Then it goes the receiver's way, by the
 * same library:
 *
 *   each candidate as T        -> the outer seal
 *   each candidate as prekey   -> the inner one, and so K
 *   each candidate as K, and every K found -> the blob, which it prints
 *
 * Status 0: the blob was opened; 1: it was not; 2: it could not try.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/blob.h"
#include "tests/e2e/candidates.h"

struct burglar {
	struct ntmc_trust *trust;
	const char *sender, *receiver;
	uint8_t item[ITEM_ID_LEN];
	uint8_t sealed[ITEM_SEALED_MAX];
	size_t sealed_len;
	const uint8_t *blob;
	size_t blob_len;

	struct candidates c;
	unsigned int temporal, wrapped, opened;
};

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
	uint8_t pub[NTMC_KEY_LEN];
	struct ntmc_cert cert;
	struct ntmc_key k;
	size_t i;

	for (i = 0; i < x->c.n; i++) {
		ntmc_x25519_public(&x->c.keys[i], pub);
		if (item_key_unwrap(NULL, x->trust, &names, &x->c.keys[i], pub,
				    NULL, wrapped, len, &k, &cert))
			continue;
		x->wrapped++;
		x->opened += blob_try(x, &k);
	}
}

static void all_try(struct burglar *x)
{
	uint8_t wrapped[ITEM_SEALED_MAX];
	size_t i, len;

	for (i = 0; i < x->c.n; i++) {
		x->opened += blob_try(x, &x->c.keys[i]);
		if (item_temporal_open(&x->c.keys[i], x->item, x->sealed,
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
		if (candidates_digit(*b, 6) < 0)
			continue;
		word = word << 6 | (uint32_t)candidates_digit(*b, 6);
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
	struct burglar x = {.opened = 0};
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
		candidates_search(&x.c, argv[i]);
	all_try(&x);
	printf("%llu bytes, %zu candidates; as T: %u, as prekey: %u, blob "
	       "opened: %u times\n",
	       (unsigned long long)x.c.bytes, x.c.n, x.temporal, x.wrapped,
	       x.opened);
	return x.opened ? 0 : 1;
}
