/* SPDX-License-Identifier: MIT */
/* vaes - AES-256-GCM by Intel's IPsec library, for CPUs with VAES and AVX-512 */
#include "libntmcrypto/vaes.h"

#if defined(__x86_64__) && __has_include(<intel-ipsec-mb.h>)

#include <intel-ipsec-mb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KEY_ALIGN 64

/* The library's table of functions for this CPU. Written once, then only read;
 * made at the first key because it takes 200 KiB and a self-test. */
static struct {
	pthread_once_t once;
	IMB_MGR *mgr;
} table = {.once = PTHREAD_ONCE_INIT};

struct vaes_key {
	struct gcm_key_data schedule;
	struct gcm_context_data work;
};

static void table_make(void)
{
	uint64_t need = IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ |
			IMB_FEATURE_AVX512_SKX | IMB_FEATURE_SELF_TEST_PASS;
	IMB_MGR *mgr = alloc_mb_mgr(0);

	if (!mgr)
		return;
	if ((mgr->features & need) == (need & ~IMB_FEATURE_SELF_TEST_PASS)) {
		init_mb_mgr_avx512(mgr);
		if (!imb_get_errno(mgr) && (mgr->features & need) == need) {
			table.mgr = mgr;
			return;
		}
	}
	free_mb_mgr(mgr);
}

struct vaes_key *vaes_key_new(const struct ntmc_key *key)
{
	size_t size = (sizeof(struct vaes_key) + KEY_ALIGN - 1) / KEY_ALIGN *
		      KEY_ALIGN;
	struct vaes_key *k;

	pthread_once(&table.once, table_make);
	if (!table.mgr)
		return NULL;
	k = aligned_alloc(KEY_ALIGN, size);
	if (k)
		IMB_AES256_GCM_PRE(table.mgr, key->b, &k->schedule);
	return k;
}

void vaes_key_free(struct vaes_key *k)
{
	if (!k)
		return;
	ntmc_wipe(k, sizeof(*k));
	free(k);
}

void vaes_seal(struct vaes_key *k, const uint8_t nonce[static 12],
	       const void *ad, size_t ad_len, const uint8_t *in, size_t len,
	       uint8_t *out)
{
	IMB_AES256_GCM_ENC(table.mgr, &k->schedule, &k->work, out, in, len,
			   nonce, ad, ad_len, out + len, NTMC_TAG_LEN);
}

/* In constant time: two words, no branch between them. */
static bool tag_equal(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

bool vaes_open(struct vaes_key *k, const uint8_t nonce[static 12],
	       const void *ad, size_t ad_len, uint8_t *buf, size_t len)
{
	uint8_t tag[NTMC_TAG_LEN];
	bool ok;

	IMB_AES256_GCM_DEC(table.mgr, &k->schedule, &k->work, buf, buf, len,
			   nonce, ad, ad_len, tag, sizeof(tag));
	ok = tag_equal(tag, buf + len);
	ntmc_wipe(tag, sizeof(tag)); /* of a forgery: not to be learned */
	return ok;
}

#else

struct vaes_key *vaes_key_new(const struct ntmc_key *key)
{
	(void)key;
	return NULL;
}

void vaes_key_free(struct vaes_key *k)
{
	(void)k;
}

void vaes_seal(struct vaes_key *k, const uint8_t nonce[static 12],
	       const void *ad, size_t ad_len, const uint8_t *in, size_t len,
	       uint8_t *out)
{
	(void)k, (void)nonce, (void)ad, (void)ad_len;
	(void)in, (void)len, (void)out;
}

bool vaes_open(struct vaes_key *k, const uint8_t nonce[static 12],
	       const void *ad, size_t ad_len, uint8_t *buf, size_t len)
{
	(void)k, (void)nonce, (void)ad, (void)ad_len, (void)buf, (void)len;
	return false;
}

#endif
