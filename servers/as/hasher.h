/* SPDX-License-Identifier: MIT */
/*
 * hasher - Argon2 beside the loop: a few threads and a bounded queue
 *
 * Owner:   the AS. Context: calls and callbacks on the loop thread; the threads
 *          see only the job. Passwords and hashes are copied and wiped.
 * Limits:  HASHER_THREADS at work, HASHER_QUEUE_MAX waiting; then -NTM_ELIMIT.
 * Threads, because one check takes tens of milliseconds and 19 MiB by design and
 * the loop has keep-alives of servers and other logins to serve meanwhile.
 */
#ifndef NTM_SERVERS_AS_HASHER_H
#define NTM_SERVERS_AS_HASHER_H

#include "common/err.h"
#include "common/loop.h"

#define HASHER_THREADS	 2
#define HASHER_QUEUE_MAX 64

struct hasher;
/** @err: of ntmc_password_verify() or ntmc_password_hash(); @hash: the new hash,
 *  NULL after a check; borrowed */
typedef void hasher_fn(void *arg, int err, const char *hash);

NTM_MUST_CHECK int hasher_new(struct loop *l, struct hasher **out);
/** waits for the jobs at work; callbacks are not called any more */
void hasher_free(struct hasher *h);
/** @hash: NULL for an unknown account: costs the same, fails with PASSWORD.
 *  Return: 0, -NTM_ELIMIT, -NTM_ENOMEM */
NTM_MUST_CHECK int hasher_verify(struct hasher *h, const char *password,
				 const char *hash, hasher_fn *fn, void *arg);
NTM_MUST_CHECK int hasher_hash(struct hasher *h, const char *password,
			       hasher_fn *fn, void *arg);

#endif
