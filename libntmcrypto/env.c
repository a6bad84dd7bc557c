/* SPDX-License-Identifier: MIT */
/* env - where randomness and time come from: the caller's, else the system's */
#include "libntmcrypto/ntmcrypto.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <time.h>

void ntmc_random(const struct ntmc_env *env, void *buf, size_t len)
{
	if (env && env->random) {
		env->random(env->ctx, buf, len);
		return;
	}
	/*
	 * Nobody can go on without randomness: a key made of anything else
	 * would be worse than no process. Bytes from outside cannot cause it.
	 */
	if (gnutls_rnd(GNUTLS_RND_KEY, buf, len) < 0)
		abort();
}

int64_t ntmc_now(const struct ntmc_env *env)
{
	if (env && env->now)
		return env->now(env->ctx);
	return (int64_t)time(NULL);
}
