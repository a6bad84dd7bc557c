/* SPDX-License-Identifier: MIT */
/* manyhash - SHA-256 of several pieces of one length at once */
#include "libntmcrypto/manyhash.h"

#include <nettle/sha2.h>

void manyhash_plain(const uint8_t *data, size_t len, size_t n, uint8_t *out)
{
	struct sha256_ctx c;
	size_t i;

	sha256_init(&c);
	for (i = 0; i < n; i++) {
		sha256_update(&c, len, data + i * len);
		sha256_digest(&c, NTMC_HASH_LEN, out + i * NTMC_HASH_LEN);
	}
}

#if defined(__x86_64__) && __has_include(<intel-ipsec-mb.h>)

#include <intel-ipsec-mb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define WORTH_IT 8 /* sixteen lanes take as long for fewer pieces */

/*
 * A manager has the lanes, belongs to one thread at a time, and takes 200 KiB and a
 * self-test to make. So those that were made are kept: as many as threads have hashed at
 * the same moment.
 */
struct lanes {
	struct lanes *next;
	IMB_MGR *mgr;
};

static struct {
	pthread_mutex_t lock;
	struct lanes *free;
	bool lacking; /* CPU or library */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct lanes *lanes_make(void)
{
	const uint64_t need =
		IMB_FEATURE_AVX512_SKX | IMB_FEATURE_SELF_TEST_PASS;
	struct lanes *l = malloc(sizeof(*l));
	IMB_MGR *mgr = l ? alloc_mb_mgr(0) : NULL;

	if (mgr && (mgr->features & IMB_FEATURE_AVX512_SKX)) {
		init_mb_mgr_avx512(mgr);
		if (!imb_get_errno(mgr) && (mgr->features & need) == need) {
			l->mgr = mgr;
			return l;
		}
	}
	if (mgr)
		free_mb_mgr(mgr);
	free(l);
	return NULL;
}

/* NULL: not here */
static struct lanes *lanes_take(void)
{
	struct lanes *l;
	bool lacking;

	pthread_mutex_lock(&all.lock);
	l = all.free;
	if (l)
		all.free = l->next;
	lacking = all.lacking;
	pthread_mutex_unlock(&all.lock);
	if (l || lacking)
		return l;
	l = lanes_make();
	if (!l) {
		pthread_mutex_lock(&all.lock);
		all.lacking = true;
		pthread_mutex_unlock(&all.lock);
	}
	return l;
}

static void lanes_put(struct lanes *l)
{
	pthread_mutex_lock(&all.lock);
	l->next = all.free;
	all.free = l;
	pthread_mutex_unlock(&all.lock);
}

/* Return: it was done */
static unsigned int took(const IMB_JOB *job)
{
	return job->status == IMB_STATUS_COMPLETED;
}

static bool lanes_hash(IMB_MGR *mgr, const uint8_t *data, size_t len, size_t n,
		       uint8_t *out)
{
	unsigned int done = 0;
	IMB_JOB *job;
	size_t i;

	for (i = 0; i < n; i++) {
		job = IMB_GET_NEXT_JOB(mgr);
		memset(job, 0, sizeof(*job));
		job->cipher_mode = IMB_CIPHER_NULL;
		job->cipher_direction = IMB_DIR_ENCRYPT;
		job->chain_order = IMB_ORDER_HASH_CIPHER;
		job->hash_alg = IMB_AUTH_SHA_256;
		job->src = data + i * len;
		job->msg_len_to_hash_in_bytes = len;
		job->auth_tag_output = out + i * NTMC_HASH_LEN;
		job->auth_tag_output_len_in_bytes = NTMC_HASH_LEN;
		job = IMB_SUBMIT_JOB(mgr);
		while (job) {
			done += took(job);
			job = IMB_GET_COMPLETED_JOB(mgr);
		}
	}
	while ((job = IMB_FLUSH_JOB(mgr)))
		done += took(job);
	return done == n;
}

void manyhash(const uint8_t *data, size_t len, size_t n, uint8_t *out)
{
	struct lanes *l = n < WORTH_IT ? NULL : lanes_take();
	bool done = false;

	if (l) {
		done = lanes_hash(l->mgr, data, len, n, out);
		lanes_put(l);
	}
	if (!done)
		manyhash_plain(data, len, n, out);
}

#else

void manyhash(const uint8_t *data, size_t len, size_t n, uint8_t *out)
{
	manyhash_plain(data, len, n, out);
}

#endif
