/* SPDX-License-Identifier: MIT */
/* secret - keys, constant-time comparison, memory that is not dumped */
#include "libntmcrypto/ntmcrypto.h"

#include <nettle/memops.h>
#include <sys/mman.h>
#include <unistd.h>

void ntmc_key_clear(struct ntmc_key *k)
{
	ntmc_wipe(k, sizeof(*k));
}

void ntmc_key_random(const struct ntmc_env *env, struct ntmc_key *k)
{
	ntmc_random(env, k->b, sizeof(k->b));
}

bool ntmc_equal(const void *a, const void *b, size_t len)
{
	return len == 0 || memeql_sec(a, b, len);
}

/* whole pages, so that nothing else shares their flags; 0 on overflow */
static size_t page_round(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (len == 0 || len > SIZE_MAX - page)
		return 0;
	return (len + page - 1) / page * page;
}

void *ntmc_secret_alloc(size_t len)
{
	size_t size = page_round(len);
	void *p;

	if (!size)
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	/*
	 * Best effort, each: RLIMIT_MEMLOCK may be small, a kernel may lack
	 * an advice, and a program with unlocked secrets still works.
	 */
	(void)mlock(p, size);
	(void)madvise(p, size, MADV_DONTDUMP);
	(void)madvise(p, size, MADV_WIPEONFORK);
	return p;
}

void ntmc_secret_free(void *p, size_t len)
{
	size_t size = page_round(len);

	if (!p || !size)
		return;
	ntmc_wipe(p, size);
	(void)munmap(p, size);
}
